"""Drafts: archives on their way to becoming datasets, looked into but not yet imported."""

import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from engine.errors import NotFound, Refused
from engine.store import jobs, schema
from engine.store.database import Database
from engine.store.jobs import Job, JobKind


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """One archive with the plan for its import."""

    id: str
    name: str
    """What the dataset will be called."""
    actor: str
    created_at: float
    source: str
    """Where the archive is: a key of the home's files, or an absolute path on the server."""
    plan: dict[str, Any] | None
    """See `engine.datasets.plan`; None until the archive was looked into."""
    job: Job
    """The last thing that was, or is, done with it: an inspection or the import."""


def add(
    database: Database,
    *,
    draft_id: str,
    name: str,
    source: str,
    kind: JobKind,
    actor: str,
) -> str:
    """Record a draft and queue its first job in one transaction; returns the job's id.

    Args:
        kind: “inspect” to look first, “import” to import as the inspection proposes.
    """
    with database.writing() as connection:
        job_id = jobs.add_row(connection, kind, {"draft": draft_id, "name": name}, actor)
        connection.execute(
            schema.drafts.insert().values(
                id=draft_id,
                name=name,
                actor=actor,
                created_at=time.time(),
                source=source,
                job_id=job_id,
            )
        )
    return job_id


def get(database: Database, draft_id: str) -> Draft:
    """The draft with this id.

    Raises:
        NotFound: there is none; it was imported or discarded.
    """
    found = _select(database, schema.drafts.c.id == draft_id)
    if not found:
        raise _no_draft(draft_id)
    return found[0]


def all_newest_first(database: Database) -> list[Draft]:
    """Every draft."""
    return _select(database, sa.true())


def with_source(database: Database, source: str) -> list[Draft]:
    """The drafts of one archive, newest first."""
    return _select(database, schema.drafts.c.source == source)


def set_plan(database: Database, draft_id: str, plan: dict[str, Any]) -> None:
    """Keep the plan of a draft."""
    table = schema.drafts
    with database.writing() as connection:
        connection.execute(table.update().where(table.c.id == draft_id).values(plan=plan))


def submit(
    database: Database,
    draft_id: str,
    kind: JobKind,
    *,
    name: str,
    plan: dict[str, Any],
    actor: str,
) -> str:
    """Queue the next job of a draft under a plan; returns the job's id.

    Raises:
        NotFound: there is no such draft.
        Refused: its last job has not ended yet.
    """
    table = schema.drafts
    with database.writing() as connection:
        status = connection.scalar(
            sa.select(schema.jobs.c.status)
            .join(table, table.c.job_id == schema.jobs.c.id)
            .where(table.c.id == draft_id)
        )
        if status is None:
            raise _no_draft(draft_id)
        if status in jobs.LIVE:
            raise Refused("It is being worked on. Wait for its end, or stop it first.")
        job_id = jobs.add_row(connection, kind, {"draft": draft_id, "name": name}, actor)
        connection.execute(
            table.update().where(table.c.id == draft_id).values(name=name, plan=plan, job_id=job_id)
        )
    return job_id


def delete(database: Database, draft_id: str) -> None:
    """Forget a draft; a missing one is fine. Its files are the caller's to remove."""
    with database.writing() as connection:
        connection.execute(schema.drafts.delete().where(schema.drafts.c.id == draft_id))


def _no_draft(draft_id: str) -> NotFound:
    return NotFound(
        "There is no import “{draft}”. It has become a dataset, or was discarded.", draft=draft_id
    )


def _select(database: Database, condition: sa.ColumnElement[bool]) -> list[Draft]:
    drafts, job_table = schema.drafts, schema.jobs
    query = (
        sa.select(
            *(column for column in drafts.c if column.name != "job_id"),
            *(column.label(f"job_{column.name}") for column in job_table.c),
        )
        .join(job_table, job_table.c.id == drafts.c.job_id)
        .where(condition)
        .order_by(drafts.c.created_at.desc())
    )
    with database.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return [
        Draft(
            **{column.name: row[column.name] for column in drafts.c if column.name != "job_id"},
            job=Job(**{column.name: row[f"job_{column.name}"] for column in job_table.c}),
        )
        for row in rows
    ]
