"""How far a job is, and when it will be done. Pure functions of what the store says."""

from engine.jobs.status import attempt_seconds, run_seconds
from engine.store.jobs import Job
from engine.store.runs import Run

_SHARE_OF_A_PACE = 0.03
"""So much must be done before the time left is told."""
_STEADY_PHASES = {"train": "training", "evaluate": "evaluating"}
"""What is done at an even pace; the phases before it say nothing of it."""


def elapsed_seconds(job: Job, now: float) -> float | None:
    """Time a job was at work, over all its attempts; None if it never started."""
    return run_seconds(job, now) if job.attempts else None


def remaining_seconds(job: Job, now: float) -> float | None:
    """Time left of a job, from the pace since its attempt began; None before there is one."""
    done = job.progress - job.start_progress
    is_steady = job.phase == _STEADY_PHASES.get(job.kind, job.phase)
    if job.status != "running" or not is_steady or done < _SHARE_OF_A_PACE:
        return None
    return attempt_seconds(job, now) * (1 - job.progress) / done


def expected_seconds(run: Run) -> float | None:
    """How long the training was expected to take, as measured before its first step."""
    speed = (run.preflight or {}).get("speed")
    return None if speed is None else float(speed["total_seconds"])


def epochs_text(run: Run) -> str:
    """Epochs done, of how many when that is known: 7 / 20."""
    if run.config.schedule.max_minutes is not None:
        return str(run.num_epochs_done)
    return f"{run.num_epochs_done} / {run.config.schedule.epochs}"
