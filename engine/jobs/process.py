"""The process of an attempt at a job: `python -m engine.jobs.process JOB ATTEMPT`, started by an
executor.

It writes the attempt's end itself. When it cannot (killed, out of memory), the worker does.
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
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import JobFailed, ProcessDied, Stopped, WorkbenchError
from engine.jobs.daemon import stamp_of
from engine.jobs.logs import REASON_LINES, tail
from engine.jobs.slots import KINDS
from engine.machine import oom_kills
from engine.settings import Settings
from engine.store import attempts, jobs
from engine.store.database import DatabaseTrouble
from engine.store.jobs import Job, JobStatus, Wish
from engine.workbench import Workbench, open_workbench

log = logging.getLogger(__name__)

_REPORT_SECONDS = 0.5
"""How often progress is written and a wish is looked for."""
_BEAT_SECONDS = 2.0
_BUSY_SECONDS = 300.0
"""How long a write waits for a database that somebody else has locked: what a training has
learnt is worth the wait."""

Ending = tuple[JobStatus, dict[str, Any] | None]
"""How a task ended, and its result."""


class JobControl:
    """A running task's line to its job: it reports progress and learns whether to stop."""

    def __init__(self, workbench: Workbench, job: Job) -> None:
        self._database, self._job = workbench.database, job
        self._reported_at = self._asked_at = -_REPORT_SECONDS
        self._phase = ""
        self._wish: Wish | None = None
        self._leaving = False
        self.stepped_at = time.monotonic()
        """When the task last came by."""

    @property
    def wish(self) -> Wish | Literal["leave"] | None:
        """What is wanted of the task as far as it knows; “leave”: that it hands over, as the
        machine may be about to shut down."""
        # Who wished to stop would have the images scored, and for that there may be no time.
        return "leave" if self._leaving and self._wish != "pause" else self._wish

    def progress(self, phase: str, share: float) -> None:
        """Report what is being done and the share of the whole job done, 0 to 1.

        Cheap to call at every step: written at most twice a second, and when the phase changes.
        """
        now = self.stepped_at = time.monotonic()
        if phase == self._phase and now - self._reported_at < _REPORT_SECONDS:
            return
        self._reported_at, self._phase = now, phase
        try:
            attempts.set_progress(self._database, self._job, phase, share)
        except DatabaseTrouble:
            log.warning("The progress could not be recorded this time.", exc_info=True)

    def should_stop(self) -> bool:
        """Whether somebody asked the job, or this process, to stop."""
        now = self.stepped_at = time.monotonic()
        # Whoever stopped a run may still pause it while it is scored.
        if self._wish != "pause" and now - self._asked_at >= _REPORT_SECONDS:
            self._asked_at = now
            try:
                job = jobs.get(self._database, self._job.id)
            except DatabaseTrouble:
                log.warning("The database cannot be read at the moment.", exc_info=True)
            else:
                if (job.status, job.attempts) != ("running", self._job.attempts):
                    _leave_to_successor()
                self._wish = job.wish
        return self.wish is not None

    def progress_or_stop(self, phase: str, share: float) -> None:
        """Report progress like `progress`, between two pieces of work that may be left undone.

        Raises:
            Stopped: somebody asked for it.
        """
        self.progress(phase, share)
        if self.should_stop():
            raise Stopped("The job was stopped.")

    def show_life(self) -> None:
        """Say that the task goes on, where there is nothing to report."""
        self.stepped_at = time.monotonic()

    def leave(self) -> None:
        """Hand over at the next chance."""
        self._leaving = True


Task = Callable[[Workbench, Job, JobControl], Ending]


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: JobStatus
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


def main(job_id: str, attempt: int) -> int:
    """Execute an attempt at a job; the exit status is 0 when its end is recorded."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stdout,
        format="%(asctime)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    settings = Settings.from_environment(os.environ)
    workbench = open_workbench(settings, busy_seconds=_BUSY_SECONDS)
    job = jobs.get(workbench.database, job_id)
    if (job.status, job.attempts) != ("running", attempt):
        log.info("Attempt %d is over before it began; the job is %s.", attempt, job.status)
        return 0
    _record_handle(workbench, job)
    control = JobControl(workbench, job)
    signal.signal(signal.SIGTERM, lambda *_: control.leave())
    if attempt > 1:
        log.info("Attempt %d begins.", attempt)
    with _beating(workbench, job, control):
        outcome = _execute(workbench, job, control)
    _record_end(workbench, job, control, outcome)
    workbench.close()
    return 0


def _record_end(workbench: Workbench, job: Job, control: JobControl, outcome: _Outcome) -> None:
    if outcome.status == "stopped" and control.wish == "leave":
        handed_over = ProcessDied(
            "The process was told to end (SIGTERM), as when the machine shuts down, and left its "
            "work in good order."
        )
        attempts.give_back(workbench.database, job, handed_over.to_record(), is_retry=False)
        log.info("Handed over; the job is back in the queue.")
        return
    error = outcome.error
    log_tail = tail(workbench.files, job.id, REASON_LINES)
    if error is not None and log_tail and job.kind in KINDS["training"]:
        # Of a look into an archive the sentence says all; of a training the way there says more.
        error = error | {"facts": error["facts"] | {"log": log_tail}}
    attempts.finish(workbench.database, job, outcome.status, error=error, result=outcome.result)


def _execute(workbench: Workbench, job: Job, control: JobControl) -> _Outcome:
    try:
        status, result = _task(job)(workbench, job, control)
    except Stopped:
        log.info("Stopped.")
        return _Outcome("stopped")
    except WorkbenchError as error:
        log.error("%s", error)
        return _Outcome("failed", error=error.to_record())
    except DatabaseTrouble:
        # Its end could not be recorded either: the worker does that, and starts it again.
        log.exception("The database cannot be used; this attempt ends.")
        raise
    except Exception as error:
        log.exception("The job ended with an error nobody expected.")
        failure = JobFailed(
            "Something went wrong that should not: {kind}: {detail}. The log has the details; "
            "please report it with them.",
            kind=type(error).__name__,
            detail=str(error),
        )
        return _Outcome("failed", error=failure.to_record())
    return _Outcome(status, result)


def _task(job: Job) -> Task:
    # Imported by need: only the process of what computes with networks loads torch.
    if job.kind in ("train", "evaluate"):
        from engine.jobs.training_task import run_evaluation, run_training

        return run_training if job.kind == "train" else run_evaluation
    if job.kind == "preflight":
        from engine.jobs.preflight_task import run_preflight

        return run_preflight
    from engine.jobs.import_task import run_derivation, run_import, run_inspection

    return {"inspect": run_inspection, "import": run_import, "derive": run_derivation}[job.kind]


@contextmanager
def _beating(workbench: Workbench, job: Job, control: JobControl) -> Iterator[None]:
    """Show while the block runs that this process lives and its task goes on.

    A task that hangs is not shown as living, so that the worker ends it. A process whose attempt
    is over (it was taken for dead) ends at once, before it writes a file of its successor's.
    """
    ended = threading.Event()
    settings = workbench.settings
    period_seconds = min(_BEAT_SECONDS, settings.silence_seconds / 4)

    def beat() -> None:
        while not ended.wait(period_seconds):
            if time.monotonic() - control.stepped_at > settings.hang_seconds:
                continue
            try:
                is_current = attempts.beat(workbench.database, job)
            except DatabaseTrouble:
                # A database that is busy now will take the next beat.
                log.warning("No heartbeat could be written this time.", exc_info=True)
                continue
            if not is_current and not ended.is_set():
                _leave_to_successor()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _leave_to_successor() -> None:
    """End at once: what the process goes on to write may be its successor's."""
    log.error("This attempt was given up meanwhile; the process ends.")
    os._exit(1)


def _record_handle(workbench: Workbench, job: Job) -> None:
    """Record this process once more: the worker may have died before it could."""
    handle = (job.handle or {"gpu": os.environ.get("CUDA_VISIBLE_DEVICES") or None}) | {
        "host": platform.node(),
        "pid": os.getpid(),
        "stamp": stamp_of(os.getpid()),
    }
    handle.setdefault("oom_kills", oom_kills())
    attempts.set_handle(workbench.database, job, handle)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
