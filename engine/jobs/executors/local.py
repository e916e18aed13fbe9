"""Processes on this machine: one training per GPU, or one where there is none, and beside them one
job of each other kind."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pynvml

from engine.jobs.daemon import process_lives
from engine.jobs.executors.base import Exit, Handle
from engine.jobs.logs import log_key, tail
from engine.store.jobs import Job, JobKind
from engine.workbench import Workbench

_PROJECT = Path(__file__).parents[3]
_ON_GPU: tuple[JobKind, ...] = ("train", "preflight")


class LocalExecutor:
    """Starts each job with exec, in its own session, so that no signal to the worker reaches it."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        self.gpus = visible_gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def free_slots(self, kind: JobKind, running: list[Job]) -> int:
        """How many more jobs of a kind may start beside the running ones."""
        here = self._here(running)
        if kind == "train" and self.gpus:
            # A training does not join a preflight: it would measure, and fit, what is left.
            unplaced = sum(job.kind in _ON_GPU and job.handle is None for job in here)
            return len(set(self.gpus) - _gpus_of(here)) - unplaced
        return 1 - sum(job.kind == kind for job in here)

    def submit(self, job: Job, running: list[Job]) -> Handle:
        """Start the process of a job.

        A training gets a GPU to itself. A preflight gets one too, or where all are taken, shares
        the first: whoever tries settings does not wait for the end of a training.
        """
        gpu = self._gpu(running) if job.kind in _ON_GPU else None
        environment = os.environ | self.workbench.settings.to_environment()
        environment |= {"PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": gpu or ""}
        log_path = self.workbench.files.path(log_key(job.id))
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with open(log_path, "ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "engine.jobs.process", job.id],
                cwd=_PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children[child.pid] = child
        return {
            "host": platform.node(),
            "pid": child.pid,
            "process_started_at": psutil.Process(child.pid).create_time(),
            "gpu": gpu,
        }

    def poll(self, handle: Handle) -> Exit | None:
        """How the process ended; None while it runs."""
        child = self._children.get(handle["pid"])
        if child is not None:
            code = child.poll()
            return None if code is None else Exit(code)
        alive = process_lives(handle["pid"], handle["process_started_at"])
        return None if alive else Exit(None)

    def stop(self, handle: Handle) -> None:
        """Ask the process and its children to end."""
        if self.poll(handle) is None:
            os.killpg(handle["pid"], signal.SIGTERM)

    def log_tail(self, job_id: str, num_lines: int) -> str:
        """The last lines the process printed."""
        return tail(self.workbench.files, job_id, num_lines)

    def _here(self, running: list[Job]) -> list[Job]:
        """The jobs on this machine; one that has no process yet may be."""
        host = platform.node()
        return [job for job in running if job.handle is None or job.handle["host"] == host]

    def _gpu(self, running: list[Job]) -> str | None:
        """The first GPU that no job has, else the first."""
        taken = _gpus_of(self._here(running))
        return min(self.gpus, key=lambda gpu: gpu in taken, default=None)


def _gpus_of(running: list[Job]) -> set[str]:
    return {job.handle["gpu"] for job in running if job.handle and job.handle["gpu"]}


def visible_gpus(cuda_visible_devices: str | None) -> list[str]:
    """The GPUs this process may use, as `CUDA_VISIBLE_DEVICES` entries; asked of the driver,
    because torch would take hold of them."""
    if cuda_visible_devices is not None:
        return [entry.strip() for entry in cuda_visible_devices.split(",") if entry.strip()]
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [str(index) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()
