"""Processes on this machine: one slot per GPU, one CPU slot for training when there is none,
one slot for everything light."""

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


class LocalExecutor:
    """Starts each job with exec, in its own session, so that no signal to the worker reaches it."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        self.gpus = visible_gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def free_slots(self, kind: JobKind, running: list[Job]) -> int:
        """How many more jobs of a kind may start beside the running ones."""
        num_slots = max(len(self.gpus), 1) if kind == "train" else 1
        return num_slots - sum(job.kind == kind for job in self._here(running))

    def submit(self, job: Job, running: list[Job]) -> Handle:
        """Start the process of a job; a training gets the first free GPU to itself."""
        gpu = self._free_gpu(running) if job.kind == "train" else None
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

    def _free_gpu(self, running: list[Job]) -> str | None:
        taken = {job.handle["gpu"] for job in self._here(running) if job.handle}
        return next((gpu for gpu in self.gpus if gpu not in taken), None)


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
