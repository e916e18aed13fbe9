"""A home that real processes work on."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import psutil

from engine.config import recipe, with_changes
from engine.datasets.importer import import_dataset
from engine.datasets.toy import write_toy_zip
from engine.jobs.queue import submit_training
from engine.settings import Settings
from engine.store import epochs, runs, scores
from engine.store.runs import Run
from engine.workbench import open_workbench
from tests.conftest import kill_processes_of, processes_of

PROJECT = Path(__file__).parents[2]

WAIT_SECONDS = 90

TINY = {
    "width": 4,
    "num_levels": 2,
    "image_size_px": 16,
    "epochs": 2,
    "device": "cpu",
    "precision": "fp32",
}
"""Settings of a training that is over in a moment."""

LASTING = TINY | {"epochs": 60, "deterministic": True}
"""Settings of a training that takes some seconds and is the same every time."""

ENDLESS = TINY | {"epochs": 100_000}
FOR_SECONDS = TINY | {"max_minutes": 5 / 60}
"""A training that goes on for five seconds, on a slow machine too."""

TINY_OPTIONS = [f"--set={name}={value}" for name, value in TINY.items()]


class LiveHome:
    """A home, the commands given to it, and the workers that work on it.

    Args:
        path: its folder.
        worker: `WORKBENCH_WORKER`: "local" starts a worker by itself, "external" only here.
    """

    def __init__(self, path: Path, worker: str) -> None:
        self.path = path
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH_")
        } | {
            "WORKBENCH_HOME": str(path),
            "WORKBENCH_WORKER": worker,
            # Networks this small are slowed down by more.
            "OMP_NUM_THREADS": "1",
        }
        self.workbench = open_workbench(Settings.from_environment(self.environment))
        self.database = self.workbench.database
        self._processes: list[subprocess.Popen[bytes]] = []

    def command(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Give a command; its end, whatever it is."""
        return subprocess.run(
            [sys.executable, "-m", "engine", *map(str, arguments)],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )

    def result(self, *arguments: object) -> Any:
        """Give a command that succeeds; what its last line says."""
        ended = self.command(*arguments)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])

    def start_worker(self, **options: Any) -> subprocess.Popen[bytes]:
        """Start a worker that never leaves by itself; what it says goes to `worker_log`.

        Args:
            options: of `subprocess.Popen`.
        """
        with open(self.worker_log, "ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "engine", "worker"],
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **options,
            )
        self._processes.append(worker)
        return worker

    @property
    def worker_log(self) -> Path:
        """Beside the home, not in it, as a home may be removed."""
        return self.path.with_name(self.path.name + "-worker.txt")

    def add_dataset(self) -> str:
        """Import a toy dataset; returns its id."""
        source = self.path.with_name(self.path.name + "-toy.zip")
        write_toy_zip(source, num_samples=8, size_px=24, rectangles=False)
        return import_dataset(self.workbench, source, name="toy", actor="test").id

    def train(self, changes: Mapping[str, Any]) -> str:
        """Queue a training on the toy dataset; returns the run's id."""
        config = with_changes(recipe("quick"), changes)
        return submit_training(self.workbench, self.add_dataset(), config, actor="test")

    def train_alike(self, run_id: str) -> str:
        """Queue a training with the settings and the dataset of another; returns the run's id."""
        run = self.run(run_id)
        return submit_training(self.workbench, run.dataset_id, run.config, actor="test")

    def restart_worker(self) -> subprocess.Popen[bytes]:
        """End the workers and start one that sees the environment as it is now."""
        for worker in self._processes:
            worker.terminate()
            worker.wait(10)
        return self.start_worker()

    def run(self, run_id: str) -> Run:
        """The run as it is now."""
        return runs.get(self.database, run_id)

    def wait_for_epoch(self, run_id: str, epoch: int = 1) -> Run:
        """Wait until so many epochs are recorded."""

        def reached() -> bool:
            run = self.run(run_id)
            assert run.job.is_live, f"{run.status} too early: {run.job.error}"
            return run.num_epochs_done >= epoch

        wait_until(reached, f"epoch {epoch}")
        return self.run(run_id)

    def wait_for_end(self, run_id: str) -> Run:
        """Wait until the run has ended, however."""
        wait_until(lambda: not self.run(run_id).job.is_live, "the run's end")
        return self.run(run_id)

    def run_processes(self) -> list[psutil.Process]:
        """The processes of jobs that live."""
        found = []
        for process in processes_of(self.path):
            with suppress(psutil.Error):
                if "engine.jobs.process" in process.cmdline():
                    found.append(process)
        return found

    def assert_whole(self, run_id: str, num_epochs: int) -> Run:
        """Wait for a run's end: it is completed, no epoch is missing or there twice, all its
        images are scored, and no process of it is left."""
        run = self.wait_for_end(run_id)
        assert run.status == "completed", run.job.error
        assert run.job.error is None
        recorded = [record.epoch for record in epochs.of_run(self.database, run_id)]
        assert recorded == list(range(1, num_epochs + 1))
        split = runs.split_of(self.database, run_id)
        scored = scores.of_run(self.database, run_id)
        assert sorted(each.position for each in scored) == sorted(chain(*split.values()))
        wait_until(lambda: self.run_processes() == [], "its process to end", 30)
        return run

    def close(self) -> None:
        """End everything that works on it; may be called twice."""
        while self._processes:
            worker = self._processes.pop()
            worker.kill()
            worker.wait(10)
        kill_processes_of(self.path)
        self.workbench.close()


def wait_until(condition: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Poll until a condition holds, or fail and say what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {seconds} s in vain for {what}.")
        time.sleep(0.05)
