"""What is said of a job: its state, and how long it has run and waited over all its attempts.

Pure functions of its row. A clock that is set back makes no time negative.
"""

from typing import Literal

from engine.store.jobs import Job, JobStatus

JobState = JobStatus | Literal["stopping", "pausing", "paused"]


def state_of(job: Job) -> JobState:
    """A job's status, told apart by what somebody wished of it."""
    if job.is_paused:
        return "paused"
    if job.status == "running" and job.wish is not None:
        return "stopping" if job.wish == "stop" else "pausing"
    return job.status


def run_seconds(job: Job, now: float) -> float:
    """Time that its attempts took, the one that runs included.

    Args:
        now: Unix seconds.
    """
    return job.ran_seconds + attempt_seconds(job, now)


def attempt_seconds(job: Job, now: float) -> float:
    """Time since the attempt that runs began; 0 while none runs.

    Args:
        now: Unix seconds.
    """
    if job.status != "running" or job.started_at is None:
        return 0.0
    return max(now - job.started_at, 0.0)


def queue_seconds(job: Job, now: float) -> float:
    """Time that it spent waiting for a slot, up to now if it waits.

    Args:
        now: Unix seconds.
    """
    waiting = max(now - job.queued_at, 0.0) if job.status == "queued" else 0.0
    return job.waited_seconds + waiting
