"""The process of one job: `python -m engine.jobs.process JOB`, started by an executor.

It writes the job's end itself. When it cannot (killed, out of memory), the worker does.
"""

import logging
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from engine.errors import JobFailed, Stopped, WorkbenchError
from engine.settings import Settings
from engine.store import jobs
from engine.store.jobs import Job, JobStatus
from engine.workbench import Workbench, open_workbench

log = logging.getLogger(__name__)

_REPORT_SECONDS = 0.5
"""How often progress is written and a stop is looked for."""

_BEAT_SECONDS = 5.0

Ending = tuple[JobStatus, dict[str, Any] | None]
"""How a task ended, and its result."""


class JobControl:
    """A running task's line to its job: it reports progress and learns whether to stop."""

    def __init__(self, workbench: Workbench, job: Job) -> None:
        self._database, self._job_id = workbench.database, job.id
        self._reported_at = self._asked_at = -_REPORT_SECONDS
        self._phase = ""
        self._stop = False

    def progress(self, phase: str, share: float) -> None:
        """Report what is being done and the share of the whole job done, 0 to 1.

        Cheap to call at every step: written at most twice a second, and when the phase changes.
        """
        now = time.monotonic()
        if phase != self._phase or now - self._reported_at >= _REPORT_SECONDS:
            jobs.set_progress(self._database, self._job_id, phase, share)
            self._reported_at, self._phase = now, phase

    def should_stop(self) -> bool:
        """Whether somebody asked the job, or this process, to stop."""
        now = time.monotonic()
        if not self._stop and now - self._asked_at >= _REPORT_SECONDS:
            self._stop = jobs.stop_requested(self._database, self._job_id)
            self._asked_at = now
        return self._stop

    def progress_or_stop(self, phase: str, share: float) -> None:
        """Report progress like `progress`, between two pieces of work that may be left undone.

        Raises:
            Stopped: somebody asked for it.
        """
        self.progress(phase, share)
        if self.should_stop():
            raise Stopped("The job was stopped.")

    def request_stop(self) -> None:
        """Stop at the next chance."""
        self._stop = True


Task = Callable[[Workbench, Job, JobControl], Ending]


def main(job_id: str) -> int:
    """Execute a job; the exit status is 0 when its end is recorded."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stdout,
        format="%(asctime)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    workbench = open_workbench(Settings.from_environment(os.environ))
    job = jobs.get(workbench.database, job_id)
    _record_handle(workbench, job)
    control = JobControl(workbench, job)
    signal.signal(signal.SIGTERM, lambda *_: control.request_stop())
    with _beating(workbench, job.id):
        status, result, error = _execute(workbench, job, control)
    jobs.finish(workbench.database, job.id, status, error=error, result=result)
    workbench.close()
    return 0


def _execute(
    workbench: Workbench, job: Job, control: JobControl
) -> tuple[JobStatus, dict[str, Any] | None, dict[str, Any] | None]:
    try:
        status, result = _task(job)(workbench, job, control)
    except Stopped:
        log.info("Stopped.")
        return "stopped", None, None
    except WorkbenchError as error:
        log.error("%s", error)
        return "failed", None, error.to_record()
    except Exception as error:
        log.exception("The job ended with an error nobody expected.")
        failure = JobFailed(
            "Something went wrong that should not: {kind}: {detail}. The log has the details; "
            "please report it with them.",
            kind=type(error).__name__,
            detail=str(error),
        )
        return "failed", None, failure.to_record()
    return status, result, None


def _task(job: Job) -> Task:
    # Imported by need: only the process of a training or a preflight loads torch.
    if job.kind == "train":
        from engine.jobs.training_task import run_training

        return run_training
    if job.kind == "preflight":
        from engine.jobs.preflight_task import run_preflight

        return run_preflight
    from engine.jobs.import_task import run_derivation, run_import, run_inspection

    return {"inspect": run_inspection, "import": run_import, "derive": run_derivation}[job.kind]


@contextmanager
def _beating(workbench: Workbench, job_id: str) -> Iterator[None]:
    """Show while the block runs that this process lives; workers of other machines see it too."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT_SECONDS):
            try:
                jobs.beat(workbench.database, job_id)
            except Exception:
                # A database that is busy now will take the next beat.
                log.warning("No heartbeat could be written this time.", exc_info=True)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _record_handle(workbench: Workbench, job: Job) -> None:
    """Record this process once more: the worker may have died before it could."""
    handle = (job.handle or {"gpu": os.environ.get("CUDA_VISIBLE_DEVICES") or None}) | {
        "host": platform.node(),
        "pid": os.getpid(),
        "process_started_at": psutil.Process().create_time(),
    }
    jobs.set_handle(workbench.database, job.id, handle)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
