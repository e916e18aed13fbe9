"""Jobs: what the queue executes. A run's status is its job's status; there is no second truth."""

import time
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from engine.errors import NotFound, Refused
from engine.store import schema
from engine.store.database import Database, new_id

JobKind = Literal["inspect", "import", "derive", "train", "preflight"]
JobStatus = Literal["queued", "running", "completed", "stopped", "failed"]

LIVE: tuple[JobStatus, ...] = ("queued", "running")
ENDED: tuple[JobStatus, ...] = ("completed", "stopped", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One thing to execute."""

    id: str
    kind: JobKind
    payload: dict[str, Any]
    actor: str
    status: JobStatus
    created_at: float
    started_at: float | None
    ended_at: float | None
    heartbeat_at: float | None
    """When its process last showed that it lives."""
    stop_requested: bool
    progress: float
    """Share done, 0 to 1."""
    phase: str
    """What it is doing, one word for the page to translate."""
    handle: dict[str, Any] | None
    """Where the executor started it."""
    error: dict[str, Any] | None
    """Why it failed; see `engine.errors.WorkbenchError.to_record`."""
    result: dict[str, Any] | None

    @property
    def is_live(self) -> bool:
        """Whether it may still change."""
        return self.status in LIVE


def add_row(connection: sa.Connection, kind: JobKind, payload: dict[str, Any], actor: str) -> str:
    """Queue a job within the caller's transaction and return its id."""
    job_id = new_id()
    connection.execute(
        schema.jobs.insert().values(
            id=job_id,
            kind=kind,
            payload=payload,
            actor=actor,
            status="queued",
            created_at=time.time(),
            stop_requested=False,
            progress=0.0,
            phase="queued",
        )
    )
    return job_id


def add(database: Database, kind: JobKind, payload: dict[str, Any], *, actor: str) -> str:
    """Queue a job and return its id."""
    with database.writing() as connection:
        return add_row(connection, kind, payload, actor)


def get(database: Database, job_id: str) -> Job:
    """The job with this id.

    Raises:
        NotFound: there is none.
    """
    query = sa.select(schema.jobs).where(schema.jobs.c.id == job_id)
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("There is no job “{job}”.", job=job_id)
    return Job(**row._mapping)


def with_status(database: Database, *statuses: JobStatus) -> list[Job]:
    """The jobs in one of these states, oldest first."""
    query = (
        sa.select(schema.jobs)
        .where(schema.jobs.c.status.in_(statuses))
        .order_by(schema.jobs.c.created_at)
    )
    with database.reading() as connection:
        return [Job(**row._mapping) for row in connection.execute(query)]


def newest(database: Database, kind: JobKind, limit: int) -> list[Job]:
    """The newest jobs of a kind."""
    query = (
        sa.select(schema.jobs)
        .where(schema.jobs.c.kind == kind)
        .order_by(schema.jobs.c.created_at.desc())
        .limit(limit)
    )
    with database.reading() as connection:
        return [Job(**row._mapping) for row in connection.execute(query)]


def claim(database: Database, kind: JobKind) -> Job | None:
    """Turn the oldest queued job of a kind into a running one; None when there is none."""
    table = schema.jobs
    oldest = (
        sa.select(table.c.id)
        .where(table.c.status == "queued", table.c.kind == kind)
        .order_by(table.c.created_at)
        .limit(1)
    )
    now = time.time()
    with database.writing() as connection:
        job_id = connection.scalar(oldest)
        if job_id is None:
            return None
        connection.execute(
            table.update()
            .where(table.c.id == job_id, table.c.status == "queued")
            .values(status="running", started_at=now, heartbeat_at=now, phase="starting")
        )
        row = connection.execute(sa.select(table).where(table.c.id == job_id)).one()
    return Job(**row._mapping)


def ended_before(database: Database, kind: JobKind, before: float) -> list[str]:
    """Ids of the jobs of a kind that ended before a time in Unix seconds, oldest first."""
    table = schema.jobs
    query = (
        sa.select(table.c.id)
        .where(table.c.kind == kind, table.c.status.in_(ENDED), table.c.ended_at < before)
        .order_by(table.c.ended_at)
    )
    with database.reading() as connection:
        return list(connection.scalars(query))


def delete(database: Database, job_id: str) -> None:
    """Forget a job that no run and no draft refers to; one that is not there is fine."""
    with database.writing() as connection:
        connection.execute(schema.jobs.delete().where(schema.jobs.c.id == job_id))


def beat(database: Database, job_id: str) -> None:
    """Record that a job's process lives."""
    table = schema.jobs
    with database.writing() as connection:
        connection.execute(
            table.update()
            .where(table.c.id == job_id, table.c.status == "running")
            .values(heartbeat_at=time.time())
        )


def set_handle(database: Database, job_id: str, handle: dict[str, Any]) -> None:
    """Remember where the executor started a job."""
    with database.writing() as connection:
        connection.execute(
            schema.jobs.update().where(schema.jobs.c.id == job_id).values(handle=handle)
        )


def set_progress(database: Database, job_id: str, phase: str, progress: float) -> None:
    """Record what a running job is doing and how far it is."""
    with database.writing() as connection:
        connection.execute(
            schema.jobs.update()
            .where(schema.jobs.c.id == job_id, schema.jobs.c.status == "running")
            .values(phase=phase, progress=progress)
        )


def request_stop(database: Database, job_id: str, *, actor: str) -> None:
    """Ask a job to stop: a queued one is stopped at once, a running one when it notices.

    Raises:
        NotFound: there is no such job.
        Refused: it has ended already.
    """
    table = schema.jobs
    with database.writing() as connection:
        status = connection.scalar(sa.select(table.c.status).where(table.c.id == job_id))
        if status is None:
            raise NotFound("There is no job “{job}”.", job=job_id)
        if status in ENDED:
            raise Refused("It has already {status}; there is nothing to stop.", status=status)
        changes: dict[str, Any] = {"stop_requested": True}
        if status == "queued":
            changes |= {"status": "stopped", "ended_at": time.time(), "phase": "stopped"}
        connection.execute(table.update().where(table.c.id == job_id).values(**changes))


def stop_requested(database: Database, job_id: str) -> bool:
    """Whether somebody asked the job to stop."""
    query = sa.select(schema.jobs.c.stop_requested).where(schema.jobs.c.id == job_id)
    with database.reading() as connection:
        return bool(connection.scalar(query))


def finish(
    database: Database,
    job_id: str,
    status: JobStatus,
    *,
    error: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
) -> bool:
    """End a running job; returns False, changing nothing, when it had ended already."""
    table = schema.jobs
    changes: dict[str, Any] = {
        "status": status,
        "ended_at": time.time(),
        "phase": status,
        "error": error,
        "result": result,
    }
    if status == "completed":
        changes["progress"] = 1.0
    with database.writing() as connection:
        outcome = connection.execute(
            table.update().where(table.c.id == job_id, table.c.status == "running").values(changes)
        )
    return outcome.rowcount == 1
