"""Processes on this machine."""

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pynvml

from engine.jobs.daemon import process_lives, stamp_of
from engine.jobs.executors.base import Exit, Handle
from engine.jobs.logs import log_key, tail
from engine.jobs.slots import Slot, free_slots, gpu_for, machine_slots
from engine.machine import oom_kills, usable_cores
from engine.store.jobs import Job
from engine.workbench import Workbench

_PROJECT = Path(__file__).parents[3]


class LocalExecutor:
    """Starts each job with exec, in its own session, so that no signal to the worker reaches it."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        gpus = visible_gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))
        self.slots = machine_slots(workbench.settings, gpus, usable_cores())
        self._children: dict[tuple[int, str], subprocess.Popen[bytes]] = {}

    def free_slots(self, running: Sequence[Job]) -> list[Slot]:
        """Where more jobs may start beside the running ones."""
        return free_slots(self.slots, _here(running))

    def submit(self, job: Job, slot: Slot, running: Sequence[Job]) -> Handle:
        """Start the process of a job.

        Raises:
            OSError: it cannot be started, or its log cannot be written.
        """
        gpu = gpu_for(slot, self.slots, _here(running))
        log_path = self.workbench.files.path(log_key(job.id))
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with open(log_path, "ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "engine.jobs.process", job.id, str(job.attempts)],
                cwd=_PROJECT,
                env=self._environment(slot, gpu),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        stamp = stamp_of(child.pid) or "ended"
        self._children[child.pid, stamp] = child
        return {
            "host": platform.node(),
            "pid": child.pid,
            "stamp": stamp,
            "gpu": gpu,
            "oom_kills": oom_kills(),
        }

    def poll(self, handle: Handle) -> Exit | None:
        """How the process ended; None while it runs."""
        child = self._children.get((handle["pid"], handle["stamp"]))
        code = None if child is None else child.poll()
        lives = process_lives(handle["pid"], handle["stamp"]) if child is None else code is None
        if lives:
            return None
        was_killed = code in (None, -signal.SIGKILL)
        return Exit(code, was_killed and oom_kills() > handle.get("oom_kills", 0))

    def is_frozen(self, handle: Handle) -> bool:
        """Whether the process lives, but was stopped in its tracks (SIGSTOP)."""
        if not process_lives(handle["pid"], handle["stamp"]):
            return False
        with suppress(psutil.Error):
            return bool(psutil.Process(handle["pid"]).status() == psutil.STATUS_STOPPED)
        return False

    def stop(self, handle: Handle, *, at_once: bool = False) -> None:
        """Ask the process and its children to hand over and end, or end them."""
        if process_lives(handle["pid"], handle["stamp"]):
            # It may end just now.
            with suppress(ProcessLookupError):
                os.killpg(handle["pid"], signal.SIGKILL if at_once else signal.SIGTERM)

    def log_tail(self, job_id: str, num_lines: int) -> str:
        """The last lines the process printed."""
        return tail(self.workbench.files, job_id, num_lines)

    def _environment(self, slot: Slot, gpu: str | None) -> dict[str, str]:
        environment = os.environ | self.workbench.settings.to_environment()
        given = environment.get("OMP_NUM_THREADS", "")
        threads = min(slot.threads, int(given)) if given.isdigit() else slot.threads
        return environment | {
            "PYTHONUNBUFFERED": "1",
            "CUDA_VISIBLE_DEVICES": gpu or "",
            "OMP_NUM_THREADS": str(threads),
            # Threads that wait for each other sleep. By default they spin, and where two jobs
            # share a core each spends most of its time in waiting for the other's turn to end.
            "OMP_WAIT_POLICY": environment.get("OMP_WAIT_POLICY", "PASSIVE"),
        }


def _here(running: Sequence[Job]) -> list[Job]:
    """The jobs on this machine; one that has no process yet may be."""
    host = platform.node()
    return [job for job in running if job.handle is None or job.handle["host"] == host]


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
