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
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from engine.errors import JobFailed, OutOfMemory, ProcessDied
from engine.jobs.daemon import stamp_of, worker_is_alive
from engine.jobs.executors.base import Executor, Exit
from engine.jobs.logs import REASON_LINES
from engine.jobs.monitor import Monitor
from engine.jobs.notices import Notifier
from engine.jobs.slots import KINDS, Slot, has_room
from engine.store import attempts, jobs, workers
from engine.store.database import DatabaseTrouble
from engine.store.jobs import Job
from engine.workbench import Workbench

log = logging.getLogger(__name__)

POLL_SECONDS = 0.3
BUSY_SECONDS = 10.0
"""How long a write of the worker waits for a database that somebody else has locked, before it
looks whether that is a frozen process."""
HEARTBEAT_SECONDS = 5.0
LOCK_WAIT_SECONDS = 15.0
"""How long a new worker waits for an old one that is on its way out."""
START_WAIT_SECONDS = 10.0
"""Until something is started again after a process could not be."""

_BEATS_OF_SILENCE = 4
_TROUBLE_WAIT_SECONDS = 1.0
_RETRIED = KINDS["training"]
"""What is started again when its process dies: it goes on from what it has saved. The others have
a person waiting, and would only die once more of what killed them."""

_WRITTEN_IN = ("uploads/*", "drafts/*", "datasets", "datasets/*/cache/*", "runs/*/checkpoints")
"""Where processes write large files and folders under temporary names."""


@dataclass(frozen=True, slots=True)
class _Sign:
    """The newest sign of life of an attempt."""

    attempt: int
    heartbeat_at: float | None
    seen_at_beat: int
    """The worker's own beat during which it was first seen."""


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
        silence_seconds = workbench.settings.silence_seconds
        self.beat_seconds = min(HEARTBEAT_SECONDS, silence_seconds / _BEATS_OF_SILENCE)
        self._leaving = threading.Event()
        self._num_beats = 0
        self._signs: dict[str, _Sign] = {}
        self._is_full = False
        self._start_at = 0.0

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
            stamp = stamp_of(os.getpid())
            assert stamp is not None, "a process that runs has a stamp"
            workers.announce(self.database, self.host, os.getpid(), stamp)
            log.info("Worker %d started for %s.", os.getpid(), self.workbench.settings.home)
            try:
                with Monitor(self.workbench, self.host), Notifier(self.workbench):
                    self._work()
            finally:
                if self.workbench.settings.home.exists():
                    workers.leave(self.database, self.host)
                log.info("Worker %d left.", os.getpid())

    def _work(self) -> None:
        busy_at = beat_at = time.monotonic()
        with suppress(OSError):
            self._sweep()
        while not self._leaving.wait(POLL_SECONDS):
            if not self.workbench.settings.home.exists():
                return
            now = time.monotonic()
            try:
                if now - beat_at >= self.beat_seconds:
                    workers.beat(self.database, self.host)
                    self._num_beats += 1
                    beat_at = now
                if self.turn():
                    busy_at = now
                elif (
                    self.idle_seconds is not None
                    and now - busy_at >= self.idle_seconds
                    and workers.leave_if_idle(self.database, self.host)
                ):
                    return
            except (DatabaseTrouble, OSError):
                if not self.workbench.settings.home.exists():
                    return
                # A disk that is full or a database that is locked gets well again.
                log.exception("A round of the worker failed; the next one tries again.")
                self._kill_frozen()
                self._leaving.wait(_TROUBLE_WAIT_SECONDS)

    def _kill_frozen(self) -> None:
        """Kill the processes of jobs that somebody has frozen (SIGSTOP).

        One that is frozen while it writes holds the database's lock, and nobody else can write
        until it is gone; the next round sees that it is.
        """
        try:
            running = jobs.with_status(self.database, "running")
        except DatabaseTrouble:
            return
        for job in running:
            if job.handle is None or job.handle["host"] != self.host:
                continue
            if self.executor.is_frozen(job.handle):
                log.warning("Job %s is frozen; its process is killed.", job.id)
                self.executor.stop(job.handle, at_once=True)

    def turn(self) -> bool:
        """One round: end what has died, start what may start. True while anything is live."""
        running = jobs.with_status(self.database, "running")
        self._signs = {job.id: self._sign(job) for job in running}
        for job in running:
            self._watch(job)
        live = jobs.with_status(self.database, *jobs.LIVE)
        waiting = {job.kind for job in live if job.status == "queued"}
        if time.monotonic() >= self._start_at and self._has_room():
            running = [job for job in live if job.status == "running"]
            for slot in self.executor.free_slots(running):
                # Asked first: a claim keeps all other writers waiting.
                if waiting.intersection(KINDS[slot.lane]):
                    self._start_next(slot)
        return bool(live)

    def _has_room(self) -> bool:
        is_full = not has_room(self.workbench.settings.home)
        if is_full and not self._is_full:
            log.warning("The disk is full; nothing is started until there is more room.")
        elif self._is_full and not is_full:
            log.warning("There is room on the disk; jobs start again.")
        self._is_full = is_full
        return not is_full

    def _sign(self, job: Job) -> _Sign:
        known = self._signs.get(job.id)
        if known and (known.attempt, known.heartbeat_at) == (job.attempts, job.heartbeat_at):
            return known
        return _Sign(job.attempts, job.heartbeat_at, self._num_beats)

    def _watch(self, job: Job) -> None:
        # Counted in the worker's own beats: while it could write to the database, the process
        # could too. Neither a locked database nor a clock that is set looks like a death.
        is_silent = self._num_beats - self._signs[job.id].seen_at_beat > _BEATS_OF_SILENCE
        is_here = job.handle is not None and job.handle["host"] == self.host
        if is_here and job.handle is not None:
            ended = self.executor.poll(job.handle)
            if ended is not None:
                self._end_dead(job, _death(ended, self._log_tail(job)))
            elif is_silent:
                self.executor.stop(job.handle, at_once=True)
                self._end_dead(job, _hang(job.phase, self._log_tail(job)))
        elif is_silent:
            # Its process was never started, or is another machine's.
            self._end_dead(job, _death(Exit(None), self._log_tail(job)))

    def _log_tail(self, job: Job) -> str:
        return self.executor.log_tail(job.id, REASON_LINES)

    def _end_dead(self, job: Job, failure: JobFailed) -> None:
        """End an attempt whose process is gone; one that ended itself properly is left as it is."""
        # What the attempt did last, such as giving its job back, may be younger than `job`; and
        # then another machine may have begun the next one.
        attempt, job = job.attempts, jobs.get(self.database, job.id)
        if job.attempts != attempt:
            return
        error = failure.to_record()
        if job.wish is not None:
            attempts.add_incident(self.database, job, error)
            was_running = attempts.finish(self.database, job, "stopped")
        elif job.kind in _RETRIED and job.retries < self.workbench.settings.retries:
            was_running = attempts.give_back(self.database, job, error, is_retry=True)
        else:
            was_running = attempts.finish(self.database, job, "failed", error=error)
        if was_running:
            log.warning("Attempt %d at job %s (%s): %s", job.attempts, job.id, job.kind, failure)
            self._sweep()

    def _sweep(self) -> None:
        """Delete what dead processes left half-written."""
        for pattern in _WRITTEN_IN:
            self.workbench.files.sweep(pattern)

    def _start_next(self, slot: Slot) -> None:
        job = attempts.claim(self.database, KINDS[slot.lane], slot.name)
        if job is None:
            return
        log.info("Starting job %s (%s) in slot %s.", job.id, job.kind, slot.name)
        try:
            running = jobs.with_status(self.database, "running")
            handle = self.executor.submit(job, slot, running)
        except OSError:
            # Of the machine and not of the job: no memory or no room for one process more.
            log.exception("Job %s could not be started; it waits.", job.id)
            attempts.put_back(self.database, job)
            self._start_at = time.monotonic() + START_WAIT_SECONDS
            return
        attempts.set_handle(self.database, job, handle)


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


def _death(ended: Exit, log_tail: str) -> JobFailed:
    """What is said of a process that ended without a word."""
    if ended.out_of_memory:
        return OutOfMemory(
            "The memory of the machine ran out, and its kernel killed the process. A smaller batch "
            "(batch_size) with more accumulated batches (accumulation), smaller images "
            "(image_size_px), or fewer jobs at once need less.",
            log=log_tail,
        )
    return ProcessDied(
        "The process ended without a result: {cause}. The last lines of its log say more; start "
        "it again when the cause is gone.",
        cause=_cause(ended),
        log=log_tail,
    )


def _hang(phase: str, log_tail: str) -> JobFailed:
    return ProcessDied(
        "The process showed no sign of life any more while its phase was “{phase}”, and was "
        "killed. The last lines of its log say more; start it again when the cause is gone.",
        phase=phase,
        log=log_tail,
    )


def _cause(ended: Exit) -> str:
    if ended.code is None:
        return "it disappeared while no worker watched it"
    if ended.code < 0:
        known = {number.value: number.name for number in signal.Signals}
        name = known.get(-ended.code, f"signal {-ended.code}")
        return f"killed by {name}"
    return f"exit status {ended.code}"
