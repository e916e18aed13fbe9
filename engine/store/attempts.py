"""Attempts at a job: what a worker and the job's process write.

Every write names the attempt it belongs to (the job as it was claimed) and changes nothing when
a newer one has begun: a process that was taken for dead and wakes up again cannot spoil what its
successor does.
"""

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from engine.store import jobs, schema
from engine.store.database import Database
from engine.store.jobs import LIVE, Job, JobKind, JobStatus
from engine.store.order import in_order


def claim(database: Database, kinds: Sequence[JobKind], slot: str) -> Job | None:
    """Begin an attempt at the first queued job of some kinds; None when there is none.

    However many workers ask, a job is given to one of them.
    """
    table = schema.jobs
    columns = (
        table.c.id, table.c.kind, table.c.actor, table.c.status, table.c.priority, table.c.rank
    )  # fmt: skip
    with database.writing() as connection:
        live = connection.execute(
            sa.select(*columns).where(table.c.status.in_(LIVE), table.c.kind.in_(kinds))
        ).all()
        for row in in_order(live, jobs.last_started(connection, kinds)):
            if _begin(connection, row.id, slot):
                claimed = connection.execute(sa.select(table).where(table.c.id == row.id)).one()
                payload = jobs.begun(claimed.payload)
                connection.execute(
                    table.update().where(table.c.id == row.id).values(payload=payload)
                )
                return Job(**{**claimed._mapping, "payload": payload})
    return None


def _begin(connection: sa.Connection, job_id: str, slot: str) -> bool:
    """False where another worker was faster, as may be where writers do not exclude each other."""
    table, now = schema.jobs, time.time()
    outcome = connection.execute(
        table.update()
        .where(table.c.id == job_id, table.c.status == "queued")
        .values(
            status="running",
            phase="starting",
            slot=slot,
            handle=None,
            started_at=now,
            heartbeat_at=now,
            attempts=table.c.attempts + 1,
            waited_seconds=table.c.waited_seconds + _since(table.c.queued_at, now),
            start_progress=table.c.progress,
        )
    )
    return outcome.rowcount == 1


def set_handle(database: Database, job: Job, handle: dict[str, Any]) -> None:
    """Remember where the executor started an attempt."""
    _write(database, job, handle=handle)


def beat(database: Database, job: Job) -> bool:
    """Record that an attempt's process lives; False when the attempt has ended without it."""
    return _write(database, job, heartbeat_at=time.time())


def set_progress(database: Database, job: Job, phase: str, progress: float) -> None:
    """Record what an attempt is doing and how far the job is.

    A training that goes on from an earlier point, or to a later end, than it had reached begins
    with less than was done.
    """
    begun = schema.jobs.c.start_progress
    start_progress = sa.case((begun > progress, progress), else_=begun)
    _write(database, job, phase=phase, progress=progress, start_progress=start_progress)


def add_incident(database: Database, job: Job, error: dict[str, Any]) -> None:
    """Record what befell an attempt that goes on all the same."""
    with database.writing() as connection:
        now = jobs.locked(connection, job.id)
        incidents = [*now.incidents, jobs.incident(job, error)]
        connection.execute(_of(job).values(incidents=incidents))


def finish(
    database: Database,
    job: Job,
    status: JobStatus,
    *,
    error: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
) -> bool:
    """End a job; returns False, changing nothing, when the attempt had ended already."""
    table, now = schema.jobs, time.time()
    changes: dict[str, Any] = {
        "status": status,
        "ended_at": now,
        "phase": status,
        "error": error,
        "result": result,
        "ran_seconds": table.c.ran_seconds + _since(table.c.started_at, now),
    }
    if status == "completed":
        changes["progress"] = 1.0
    return _write(database, job, **changes)


def give_back(database: Database, job: Job, error: dict[str, Any], *, is_retry: bool) -> bool:
    """End an attempt and queue its job again, before what its owner queued later; one that
    somebody wished to stop meanwhile is stopped.

    Args:
        error: why the attempt ended; kept among the job's incidents.
        is_retry: whether it counts against how often a job is started again by itself; an attempt
            that handed over in good order does not.

    Returns:
        False, changing nothing, when the attempt had ended already.
    """
    table, now = schema.jobs, time.time()
    with database.writing() as connection:
        current = jobs.locked(connection, job.id)
        status = "queued" if current.wish is None else "stopped"
        outcome = connection.execute(
            _of(job).values(
                status=status,
                phase=status,
                handle=None,
                queued_at=now,
                ended_at=None if current.wish is None else now,
                retries=current.retries + is_retry,
                ran_seconds=table.c.ran_seconds + _since(table.c.started_at, now),
                incidents=[*current.incidents, jobs.incident(job, error)],
            )
        )
    return outcome.rowcount == 1


def put_back(database: Database, job: Job) -> None:
    """Queue a job again of which no process could be started, as if it had not been claimed."""
    _write(
        database,
        job,
        status="queued",
        phase="queued",
        slot=None,
        queued_at=time.time(),
        attempts=job.attempts - 1,
    )


def _of(job: Job) -> sa.Update:
    table = schema.jobs
    return table.update().where(
        table.c.id == job.id, table.c.status == "running", table.c.attempts == job.attempts
    )


def _write(database: Database, job: Job, **changes: Any) -> bool:
    with database.writing() as connection:
        return connection.execute(_of(job).values(**changes)).rowcount == 1


def _since(moment: sa.ColumnElement[float], now: float) -> sa.ColumnElement[float]:
    """Seconds since then; 0 where the clock was set back meanwhile."""
    return sa.case((moment < now, now - moment), else_=0.0)
