"""Runs: one training of one recipe on one dataset."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from engine.config import TrainConfig, parse_config, with_changes
from engine.errors import NotFound, Refused
from engine.notes import Note
from engine.store import jobs, schema
from engine.store.database import Database, new_id
from engine.store.jobs import Job

Split = dict[str, list[int]]
"""Sample positions by split name: `{"train": [...], "val": [...], "test": [...]}`."""

SPLIT_NAMES = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One training, with the job that carries it out."""

    id: str
    name: str
    dataset_id: str
    dataset_name: str
    actor: str
    created_at: float
    config: TrainConfig
    num_parameters: int
    environment: dict[str, Any] | None
    """Versions and hardware it ran on; None until it started."""
    reasons: Mapping[str, Note]
    """Why a setting has its value, by leaf name; only of settings that were fitted to the data."""
    preflight: dict[str, Any] | None
    """What was measured before its first step; None until then."""
    adjustments: Mapping[str, Any]
    """Settings, by leaf name, that differ from `config` since memory ran out; see
    `effective_config`."""
    scored_at: float | None
    """When its images were last scored; None while they are not."""
    tags: tuple[str, ...]
    notes: str
    archived: bool
    """Whether it is left out where nobody asks for archived runs."""
    job: Job
    num_epochs_done: int
    best_epoch: int | None
    best_val_dice: float | None
    """Mean image Dice of the best epoch on the validation split, at training size."""

    @property
    def status(self) -> jobs.JobStatus:
        """queued → running → completed / stopped / failed"""
        return self.job.status

    @property
    def effective_config(self) -> TrainConfig:
        """The settings it is trained with."""
        return with_changes(self.config, self.adjustments)


def add(
    database: Database,
    *,
    name: str,
    dataset_id: str,
    config: TrainConfig,
    split: Split,
    num_parameters: int,
    actor: str,
    reasons: Mapping[str, Note] | None = None,
) -> str:
    """Record a run and queue its training job in one transaction; returns the run's id.

    Args:
        reasons: why settings have their values, by leaf name.
    """
    run_id = new_id()
    with database.writing() as connection:
        job_id = jobs.add_row(connection, "train", {"run": run_id}, actor)
        connection.execute(
            schema.runs.insert().values(
                id=run_id,
                name=name,
                dataset_id=dataset_id,
                job_id=job_id,
                actor=actor,
                created_at=time.time(),
                config=config.to_dict(),
                split=split,
                num_parameters=num_parameters,
                reasons={name: note.to_record() for name, note in (reasons or {}).items()},
                adjustments={},
                tags=[],
                notes="",
                archived=False,
            )
        )
    return run_id


def get(database: Database, run_id: str) -> Run:
    """The run with this id.

    Raises:
        NotFound: there is none.
    """
    found = _select(database, schema.runs.c.id == run_id)
    if not found:
        raise NotFound("There is no run “{run}”.", run=run_id)
    return found[0]


def find(database: Database, id_or_name: str) -> Run:
    """The run with this id or, failing that, the newest one with this name.

    Raises:
        NotFound: there is none.
    """
    table = schema.runs
    found = _select(database, sa.or_(table.c.id == id_or_name, table.c.name == id_or_name))
    if not found:
        raise NotFound("There is no run with the id or name “{run}”.", run=id_or_name)
    return next((run for run in found if run.id == id_or_name), found[0])


def all_newest_first(database: Database) -> list[Run]:
    """Every run."""
    return _select(database, sa.true())


def of_dataset(database: Database, dataset_id: str) -> list[Run]:
    """The runs on one dataset, newest first."""
    return _select(database, schema.runs.c.dataset_id == dataset_id)


def split_of(database: Database, run_id: str) -> Split:
    """Which samples a run trains, validates and tests on.

    Raises:
        NotFound: there is no such run.
    """
    with database.reading() as connection:
        split = connection.scalar(sa.select(schema.runs.c.split).where(schema.runs.c.id == run_id))
    if split is None:
        raise NotFound("There is no run “{run}”.", run=run_id)
    return dict(split)


def resume(
    database: Database, run_id: str, longer: tuple[TrainConfig, float] | None = None
) -> None:
    """Queue an ended run once more, to go on where it stands; in one transaction.

    Args:
        longer: where it is to be trained for longer than was planned, its settings from now on,
            and the share of the new plan that is done.

    Raises:
        NotFound: there is no such run.
        Refused: it has not ended, or its images are being scored.
    """
    table = schema.runs
    with database.writing() as connection:
        job_id = connection.scalar(sa.select(table.c.job_id).where(table.c.id == run_id))
        if job_id is None:
            raise NotFound("There is no run “{run}”.", run=run_id)
        refuse_while_scored(connection, run_id)
        before = sa.select(table.c.config).where(table.c.id == run_id)
        jobs.resume_row(connection, job_id, connection.scalar(before))
        if longer is not None:
            config, progress = longer
            connection.execute(
                table.update().where(table.c.id == run_id).values(config=config.to_dict())
            )
            connection.execute(
                schema.jobs.update().where(schema.jobs.c.id == job_id).values(progress=progress)
            )


def refuse_while_scored(connection: sa.Connection, run_id: str) -> None:
    """Make sure, within the caller's transaction, that nothing scores a run's images.

    Raises:
        Refused: a job does, or waits to.
    """
    table = schema.jobs
    live = sa.select(table.c.payload, table.c.status).where(
        table.c.kind == "evaluate", table.c.status.in_(jobs.LIVE)
    )
    for payload, status in connection.execute(live):
        if payload["run"] == run_id:
            raise Refused(
                "The images of the run are being scored (the job is {status}). Wait for its end, "
                "or cancel it first.",
                status=status,
            )


def describe(
    database: Database,
    run_id: str,
    *,
    name: str | None = None,
    tags: Sequence[str] | None = None,
    notes: str | None = None,
    archived: bool | None = None,
) -> None:
    """Change what people call a run and write on it; None leaves a thing as it is."""
    wished = {"name": name, "notes": notes, "archived": archived}
    changes: dict[str, Any] = {key: value for key, value in wished.items() if value is not None}
    if tags is not None:
        changes["tags"] = list(tags)
    if changes:
        _set(database, run_id, **changes)


def delete(database: Database, run_id: str) -> None:
    """Forget a run with its job, epochs and scores; one that is not there is fine.

    Raises:
        Refused: it has not ended, or its images are being scored.
    """
    table = schema.runs
    with database.writing() as connection:
        job_id = connection.scalar(sa.select(table.c.job_id).where(table.c.id == run_id))
        if job_id is None:
            return
        job = jobs.locked(connection, job_id)
        if job.is_live:
            raise Refused("It is {status}. Stop it first.", status=job.status)
        refuse_while_scored(connection, run_id)
        connection.execute(table.delete().where(table.c.id == run_id))
        connection.execute(schema.jobs.delete().where(schema.jobs.c.id == job_id))


def set_adjustments(database: Database, run_id: str, adjustments: Mapping[str, Any]) -> None:
    """Record the settings, by leaf name, that a run is trained with in place of its own."""
    _set(database, run_id, adjustments=dict(adjustments))


def set_environment(database: Database, run_id: str, environment: dict[str, Any]) -> None:
    """Record the versions and the hardware a run is trained with."""
    _set(database, run_id, environment=environment)


def set_preflight(database: Database, run_id: str, record: Mapping[str, Any]) -> None:
    """Record what was measured before a run's first step.

    Args:
        record: JSON types.
    """
    _set(database, run_id, preflight=dict(record))


def _set(database: Database, run_id: str, **changes: Any) -> None:
    with database.writing() as connection:
        connection.execute(schema.runs.update().where(schema.runs.c.id == run_id).values(changes))


def _select(database: Database, condition: sa.ColumnElement[bool]) -> list[Run]:
    runs, epochs = schema.runs, schema.epochs
    # Correlated, so that one run costs a look at its own epochs and not at everybody's.
    newest_best = sa.and_(epochs.c.run_id == runs.c.id, epochs.c.is_best)
    best_epoch = sa.select(sa.func.max(epochs.c.epoch)).where(newest_best)
    best_val_dice = (
        sa.select(epochs.c.val_dice).where(newest_best).order_by(epochs.c.epoch.desc()).limit(1)
    )
    num_done = sa.select(sa.func.count()).where(epochs.c.run_id == runs.c.id)
    query = (
        # The split is left out: it grows with the dataset and few readers want it.
        sa.select(
            *(column for column in runs.c if column.name != "split"),
            schema.datasets.c.name.label("dataset_name"),
            best_epoch.scalar_subquery().label("best_epoch"),
            best_val_dice.scalar_subquery().label("best_val_dice"),
            num_done.scalar_subquery().label("num_epochs_done"),
        )
        .add_columns(*(column.label(f"job_{column.name}_") for column in schema.jobs.c))
        .join(schema.jobs, schema.jobs.c.id == runs.c.job_id)
        .join(schema.datasets, schema.datasets.c.id == runs.c.dataset_id)
        .where(condition)
        .order_by(runs.c.created_at.desc(), runs.c.id)
    )
    with database.reading() as connection:
        return [_run(row) for row in connection.execute(query)]


def _run(row: sa.Row[Any]) -> Run:
    values = row._mapping
    return Run(
        id=row.id,
        name=row.name,
        dataset_id=row.dataset_id,
        dataset_name=row.dataset_name,
        actor=row.actor,
        created_at=row.created_at,
        config=parse_config(row.config),
        num_parameters=row.num_parameters,
        environment=row.environment,
        reasons={name: Note.from_record(record) for name, record in row.reasons.items()},
        preflight=row.preflight,
        adjustments=row.adjustments,
        scored_at=row.scored_at,
        tags=tuple(row.tags),
        notes=row.notes,
        archived=row.archived,
        job=Job(**{column.name: values[f"job_{column.name}_"] for column in schema.jobs.c}),
        num_epochs_done=row.num_epochs_done,
        best_epoch=row.best_epoch,
        best_val_dice=row.best_val_dice,
    )
