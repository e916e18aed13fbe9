"""Wishes about runs and jobs that are there: stop, resume, score, describe, delete, another place
in the queue. New ones are in `queue` and `imports`.

Each function takes the acting user as `actor`.
"""

import logging
import math
from collections.abc import Sequence
from contextlib import suppress

from engine.config import TrainConfig, with_changes
from engine.errors import BadInput, Refused
from engine.files import Files
from engine.jobs.daemon import ensure_worker
from engine.jobs.imports import MAX_NOTES_CHARS, kept_tags
from engine.jobs.logs import log_key
from engine.jobs.queue import checked_name
from engine.jobs.storage import has_training_state
from engine.run_files import best_key, run_folder
from engine.store import jobs, runs
from engine.store.jobs import Job, Wish
from engine.store.runs import Run
from engine.workbench import Workbench

log = logging.getLogger(__name__)

_SCORINGS_LOOKED_THROUGH = 500


def stop_run(workbench: Workbench, run_id: str, *, wish: Wish = "stop", actor: str) -> None:
    """Ask a run to stop or to pause; a queued one is stopped at once.

    Raises:
        NotFound: there is no such run.
        Refused: it has ended already.
    """
    run = runs.get(workbench.database, run_id)
    stop_job(workbench, run.job.id, wish=wish, actor=actor)


def stop_job(workbench: Workbench, job_id: str, *, wish: Wish = "stop", actor: str) -> None:
    """Ask any job to stop; a queued one is stopped at once.

    Raises:
        NotFound: there is no such job.
        Refused: it has ended already.
    """
    jobs.request_stop(workbench.database, job_id, wish=wish, actor=actor)
    if jobs.get(workbench.database, job_id).is_live:
        # Where its process has died unseen, a worker has to say so.
        ensure_worker(workbench)


def resume_run(workbench: Workbench, run_id: str, *, more: float = 0, actor: str) -> None:
    """Queue an ended run once more, to go on from its last checkpoint.

    Args:
        more: epochs that it is trained beyond its plan, or minutes where it has a time budget. A
            run that completed early is trained so many epochs beyond those it has.

    Raises:
        NotFound: there is no such run.
        BadInput: `more` is no sensible number.
        BadSetting: the plan would become longer than one can be.
        Refused: it has not ended, its images are being scored, it is complete and nothing more is
            asked for, or what it needs to be trained further is gone.
    """
    run = runs.get(workbench.database, run_id)
    if run.job.is_live:
        raise Refused(
            "“{run}” is {status} already; there is nothing to resume.",
            run=run.name,
            status=run.status,
        )
    config = _prolonged(run, more)
    if run.status == "completed" and not more:
        raise Refused(
            "“{run}” is completed. Say how many more epochs it is to be trained (or minutes, where "
            "it has a time budget).",
            run=run.name,
        )
    if run.num_epochs_done and not has_training_state(workbench, run.id):
        raise Refused(
            "“{run}” cannot be trained further: its training state was removed, by hand or some "
            "time after its end (WORKBENCH_KEEP_STATES_DAYS). A new run can start from its best "
            "weights (start_from).",
            run=run.name,
        )
    longer = (config, _done_share(run, config)) if more else None
    runs.resume(workbench.database, run.id, longer)
    ensure_worker(workbench)


def score_run(workbench: Workbench, run_id: str, *, actor: str) -> str:
    """Queue the scoring of an ended run's images with its best checkpoint; returns the job's id.

    Scores it has already are replaced.

    Raises:
        NotFound: there is no such run.
        Refused: it has not ended, it is being scored already, or it has no best checkpoint.
    """
    run = runs.get(workbench.database, run_id)
    if run.best_epoch is None or not workbench.files.path(best_key(run_folder(run.id))).exists():
        raise Refused(
            "“{run}” has no best weights to score its images with. Train it for an epoch first.",
            run=run.name,
        )
    # The run's job is locked, so that of two who ask at once one is refused.
    with workbench.database.writing() as connection:
        if jobs.locked(connection, run.job.id).is_live:
            raise Refused(
                "“{run}” is {status}. Its images can be scored when it has ended.",
                run=run.name,
                status=run.status,
            )
        runs.refuse_while_scored(connection, run.id)
        job_id = jobs.add_row(connection, "evaluate", {"run": run.id}, actor)
    ensure_worker(workbench)
    return job_id


def last_scoring(workbench: Workbench, run_id: str) -> Job | None:
    """The newest job that was to score a run's images after its end, if there was one of late."""
    newest = jobs.newest(workbench.database, "evaluate", _SCORINGS_LOOKED_THROUGH)
    return next((job for job in newest if job.payload["run"] == run_id), None)


def describe_run(
    workbench: Workbench,
    run_id: str,
    *,
    name: str | None = None,
    tags: Sequence[str] | None = None,
    notes: str | None = None,
    archived: bool | None = None,
    actor: str,
) -> None:
    """Rename a run, say something about it, or put it out of sight; None leaves a thing as it is.

    Raises:
        NotFound: there is no such run.
        BadInput: the name is empty or too long.
        Refused: it is to be archived, and has not ended.
    """
    run = runs.get(workbench.database, run_id)
    if archived and run.job.is_live:
        raise Refused(
            "“{run}” is {status}. It can be archived when it has ended.",
            run=run.name,
            status=run.status,
        )
    runs.describe(
        workbench.database,
        run_id,
        name=None if name is None else _name_that_is_there(name),
        tags=None if tags is None else kept_tags(tags),
        notes=None if notes is None else notes[:MAX_NOTES_CHARS],
        archived=archived,
    )


def delete_run(workbench: Workbench, run_id: str, *, actor: str) -> None:
    """Delete an ended run with its scores, weights, pictures and log. Runs that started from it
    keep what they learnt.

    Its rows go first: killed in between, it is deleted, and the sweep removes the files.

    Raises:
        NotFound: there is no such run.
        Refused: it has not ended, its images are being scored, or a run that has not ended starts
            from it.
    """
    run = runs.get(workbench.database, run_id)
    for other in runs.all_newest_first(workbench.database):
        if other.job.is_live and other.config.model.start_from == run.id:
            raise Refused(
                "“{other}” starts from “{run}” and is {status}. Wait for its end, or stop it.",
                other=other.name,
                run=run.name,
                status=other.status,
            )
    scorings = jobs.newest(workbench.database, "evaluate", _SCORINGS_LOOKED_THROUGH)
    own = [job.id for job in scorings if job.payload["run"] == run.id]
    runs.delete(workbench.database, run.id)
    for job_id in own:
        jobs.delete(workbench.database, job_id)
    for key in (f"runs/{run.id}", *map(log_key, (run.job.id, *own))):
        _remove(workbench.files, key)
    log.info("Run %s “%s” was deleted for “%s”.", run.id, run.name, actor)


def cancel_job(workbench: Workbench, job_id: str, *, actor: str) -> None:
    """Take a job out of the queue; a run that was to go on stays as it is.

    Raises:
        NotFound: there is no such job.
        Refused: it is not waiting any more.
    """
    jobs.cancel(workbench.database, job_id, actor=actor)


def run_next(workbench: Workbench, job_id: str, *, actor: str) -> None:
    """Put a queued job before all others.

    Raises:
        NotFound: there is no such job.
        Refused: it is not waiting any more.
    """
    jobs.run_next(workbench.database, job_id, actor=actor)
    ensure_worker(workbench)


def move_job(workbench: Workbench, job_id: str, *, earlier: bool, actor: str) -> None:
    """Let a queued job change places with its owner's one of the same kind before or after it.

    Raises:
        NotFound: there is no such job.
        Refused: it is not waiting any more.
    """
    jobs.move(workbench.database, job_id, earlier=earlier, actor=actor)
    ensure_worker(workbench)


def _done_share(run: Run, config: TrainConfig) -> float:
    """How much of a longer plan a run has done, 0 to 1."""
    before, now = run.config.schedule.max_minutes, config.schedule.max_minutes
    if before is None or now is None:
        return min(run.num_epochs_done / config.schedule.epochs, 1.0)
    return run.job.progress * before / now


def _prolonged(run: Run, more: float) -> TrainConfig:
    """The run's settings with a longer plan."""
    schedule = run.config.schedule
    if schedule.max_minutes is not None:
        if not 0 <= more < math.inf:
            raise BadInput("{seen:g} more minutes cannot be trained. Give 0 or more.", seen=more)
        return with_changes(run.config, {"max_minutes": schedule.max_minutes + more})
    if not 0 <= more < math.inf or more != int(more):
        raise BadInput(
            "{seen:g} more epochs cannot be trained. Give a whole number, 0 or more.", seen=more
        )
    planned = run.num_epochs_done if run.status == "completed" else schedule.epochs
    return with_changes(run.config, {"epochs": planned + int(more)})


def _name_that_is_there(name: str) -> str:
    name = checked_name(name)
    if not name:
        raise BadInput("The name of the run is empty. Give one.")
    return name


def _remove(files: Files, key: str) -> None:
    try:
        # What vanishes meanwhile is as good as removed.
        with suppress(FileNotFoundError):
            files.remove(key)
    except OSError:
        log.exception("%s could not be removed; the sweep tries again.", key)
