"""How far a run is, and when it will be done. Pure functions of what the store says."""

from engine.store.runs import Run


def elapsed_seconds(run: Run, now: float) -> float | None:
    """Time since the run started, to its end if it has ended; None if it never started."""
    if run.job.started_at is None:
        return None
    return (run.job.ended_at or now) - run.job.started_at


def remaining_seconds(run: Run, now: float) -> float | None:
    """Time left of a training, from the pace so far; None before there is one."""
    elapsed = elapsed_seconds(run, now)
    if run.status != "running" or run.job.phase != "training" or elapsed is None:
        return None
    if run.job.progress < 0.03:
        return None
    return elapsed * (1 - run.job.progress) / run.job.progress


def expected_seconds(run: Run) -> float | None:
    """How long the training was expected to take, as measured before its first step."""
    speed = (run.preflight or {}).get("speed")
    return None if speed is None else float(speed["total_seconds"])


def epochs_text(run: Run) -> str:
    """Epochs done, of how many when that is known: 7 / 20."""
    if run.config.schedule.max_minutes is not None:
        return str(run.num_epochs_done)
    return f"{run.num_epochs_done} / {run.config.schedule.epochs}"
