"""The worker: claims jobs, gives each its own process, and tells the truth about how it ended.

It holds no state that matters. Killed, it is started again, finds the running jobs in the
database, and goes on watching those whose process lives.
"""

import fcntl
import logging
import os
import platform
import signal
import threading
import time
from typing import IO, get_args

import psutil

from engine.errors import ProcessDied
from engine.jobs.daemon import worker_is_alive
from engine.jobs.executors.base import Executor, Exit
from engine.store import jobs, workers
from engine.store.jobs import Job, JobKind
from engine.workbench import Workbench

log = logging.getLogger(__name__)

POLL_SECONDS = 0.3
HEARTBEAT_SECONDS = 5.0
LOCK_WAIT_SECONDS = 15.0
"""How long a new worker waits for an old one that is on its way out."""
HANDLE_WAIT_SECONDS = 30.0
"""How long a claimed job may be without a process before it counts as lost."""
SILENCE_SECONDS = 60.0
"""How long a process on another machine may show no sign of life before it counts as dead."""
REASON_LINES = 15

_WRITTEN_IN = ("uploads/*", "drafts/*", "datasets", "datasets/*/cache/*", "runs/*/checkpoints")
"""Where processes write large files and folders under temporary names."""

_KINDS: tuple[JobKind, ...] = get_args(JobKind)


class Worker:
    """One worker on one machine.

    Args:
        workbench: the home it works for.
        executor: where it starts processes.
        idle_seconds: end after this long without a job; None: never.
    """

    def __init__(
        self, workbench: Workbench, executor: Executor, idle_seconds: float | None
    ) -> None:
        self.database = workbench.database
        self.workbench = workbench
        self.executor = executor
        self.idle_seconds = idle_seconds
        self.host = platform.node()
        self._leaving = threading.Event()

    def run(self) -> None:
        """Work until told to leave, until idle for long enough, or until the home is gone.

        Jobs that are running when it leaves go on; the next worker watches them.
        """
        signal.signal(signal.SIGTERM, lambda *_: self._leaving.set())
        signal.signal(signal.SIGINT, lambda *_: self._leaving.set())
        lock = _lock(self.workbench)
        if lock is None:
            log.info("Another worker holds the lock of this home; nothing to do.")
            return
        with lock:
            started_at = psutil.Process().create_time()
            workers.announce(self.database, self.host, os.getpid(), started_at)
            log.info("Worker %d started for %s.", os.getpid(), self.workbench.settings.home)
            try:
                self._work()
            finally:
                if self.workbench.settings.home.exists():
                    workers.leave(self.database, self.host)
                log.info("Worker %d left.", os.getpid())

    def _work(self) -> None:
        busy_at = beat_at = time.monotonic()
        self._sweep()
        while not self._leaving.wait(POLL_SECONDS):
            if not self.workbench.settings.home.exists():
                return
            now = time.monotonic()
            if now - beat_at >= HEARTBEAT_SECONDS:
                workers.beat(self.database, self.host)
                beat_at = now
            if self.turn():
                busy_at = now
            elif (
                self.idle_seconds is not None
                and now - busy_at >= self.idle_seconds
                and workers.leave_if_idle(self.database, self.host)
            ):
                return

    def turn(self) -> bool:
        """One round: end what has died, start what may start. True while anything is live."""
        for job in jobs.with_status(self.database, "running"):
            self._watch(job)
        for kind in _KINDS:
            running = jobs.with_status(self.database, "running")
            for _ in range(self.executor.free_slots(kind, running)):
                self._start_next(kind)
        return bool(jobs.with_status(self.database, *jobs.LIVE))

    def _watch(self, job: Job) -> None:
        if job.handle is None:
            lost = time.time() - (job.started_at or 0) > HANDLE_WAIT_SECONDS
            ended = Exit(None) if lost else None
        elif job.handle["host"] != self.host:
            # Another machine's, or this one's under an earlier name: only its heartbeat tells.
            silent = time.time() - (job.heartbeat_at or 0) > SILENCE_SECONDS
            ended = Exit(None) if silent else None
        else:
            ended = self.executor.poll(job.handle)
        if ended is not None:
            self._end_dead(job, ended)

    def _end_dead(self, job: Job, ended: Exit) -> None:
        """End a job whose process is gone; one that ended itself properly is left as it is."""
        error = ProcessDied(
            "The process ended without a result: {cause}. The last lines of its log say more; "
            "start it again when the cause is gone.",
            cause=_cause(ended),
            log=self.executor.log_tail(job.id, REASON_LINES),
        )
        if jobs.finish(self.database, job.id, "failed", error=error.to_record()):
            log.warning("Job %s (%s) died: %s.", job.id, job.kind, _cause(ended))
            self._sweep()

    def _sweep(self) -> None:
        """Delete what dead processes left half-written."""
        for pattern in _WRITTEN_IN:
            self.workbench.files.sweep(pattern)

    def _start_next(self, kind: JobKind) -> None:
        job = jobs.claim(self.database, kind)
        if job is None:
            return
        log.info("Starting job %s (%s).", job.id, kind)
        try:
            handle = self.executor.submit(job, jobs.with_status(self.database, "running"))
        except OSError as error:
            log.exception("Job %s could not be started.", job.id)
            failure = ProcessDied(
                "The process could not be started: {reason}. Start it again when the cause is "
                "gone.",
                reason=str(error),
            )
            jobs.finish(self.database, job.id, "failed", error=failure.to_record())
            return
        jobs.set_handle(self.database, job.id, handle)


def _lock(workbench: Workbench) -> IO[str] | None:
    """The lock that makes a worker the only one of its machine and home, or None."""
    file = open(workbench.files.path(f"worker-{platform.node()}.lock"), "w")  # noqa: SIM115
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > deadline or worker_is_alive(workbench):
                file.close()
                return None
            time.sleep(0.1)


def _cause(ended: Exit) -> str:
    if ended.code is None:
        return "it disappeared while no worker watched it"
    if ended.code < 0:
        known = {number.value: number.name for number in signal.Signals}
        name = known.get(-ended.code, f"signal {-ended.code}")
        hint = ", as happens when memory runs out" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    return f"exit status {ended.code}"
