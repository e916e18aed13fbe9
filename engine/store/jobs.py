"""Jobs as people see them: queued, looked at, moved, stopped, resumed.

A run's status is its job's status; there is no second truth. What a worker and a job's process
write is in `attempts`.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa

from engine.errors import NotFound, Refused
from engine.store import order, schema
from engine.store.database import Database, new_id

JobKind = Literal["inspect", "import", "derive", "train", "evaluate", "preflight"]
JobStatus = Literal["queued", "running", "completed", "stopped", "failed"]
Wish = Literal["stop", "pause"]
"""What a person may want of a live job. A training that is stopped is scored before it ends, one
that is paused is not; both keep everything and can be resumed."""

KINDS: tuple[JobKind, ...] = get_args(JobKind)
LIVE: tuple[JobStatus, ...] = ("queued", "running")
ENDED: tuple[JobStatus, ...] = ("completed", "stopped", "failed")


_BEFORE = "before"
"""In the payload of a job that waits to go on: how it had ended."""


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
    """When its newest attempt began."""
    ended_at: float | None
    heartbeat_at: float | None
    """When its process last showed that it lives."""
    wish: Wish | None
    """What somebody asked of it since it was queued."""
    progress: float
    """Share done, 0 to 1."""
    phase: str
    """What it is doing, one word for the page to translate."""
    handle: dict[str, Any] | None
    """Where the executor started it."""
    error: dict[str, Any] | None
    """Why it failed; see `engine.errors.WorkbenchError.to_record`."""
    result: dict[str, Any] | None
    priority: int
    """Higher is started first, whoever owns it."""
    rank: float
    """Its place among its owner's queued jobs of the same priority: lower is started first."""
    slot: str | None
    """Where it runs, or ran last; see `engine.jobs.slots`."""
    attempts: int
    """How often it was started. The number of the newest attempt fences its process: one of an
    earlier attempt can write nothing any more."""
    retries: int
    """How often it was started again by itself since a person last wished it to run."""
    queued_at: float
    """When it last joined the queue."""
    waited_seconds: float
    """Spent in the queue before the attempts so far."""
    ran_seconds: float
    """Spent in the attempts that have ended."""
    start_progress: float
    """Its progress when the newest attempt began."""
    incidents: list[dict[str, Any]]
    """What befell earlier attempts, oldest first: records of errors with `at` (Unix seconds) and
    `attempt`."""

    @property
    def is_live(self) -> bool:
        """Whether it may still change."""
        return self.status in LIVE

    @property
    def is_paused(self) -> bool:
        """Whether it ended because somebody paused it."""
        return self.status == "stopped" and self.wish == "pause"


def add_row(connection: sa.Connection, kind: JobKind, payload: dict[str, Any], actor: str) -> str:
    """Queue a job within the caller's transaction and return its id."""
    job_id, now = new_id(), time.time()
    connection.execute(
        schema.jobs.insert().values(
            id=job_id,
            kind=kind,
            payload=payload,
            actor=actor,
            status="queued",
            created_at=now,
            progress=0.0,
            phase="queued",
            priority=0,
            rank=now,
            attempts=0,
            retries=0,
            queued_at=now,
            waited_seconds=0.0,
            ran_seconds=0.0,
            start_progress=0.0,
            incidents=[],
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


def all_ids(database: Database) -> set[str]:
    """The ids of all jobs."""
    with database.reading() as connection:
        return set(connection.scalars(sa.select(schema.jobs.c.id)))


def recently_ended(database: Database, limit: int) -> list[Job]:
    """The jobs that ended last, the newest end first."""
    table = schema.jobs
    query = (
        sa.select(table)
        .where(table.c.status.in_(ENDED))
        .order_by(table.c.ended_at.desc())
        .limit(limit)
    )
    with database.reading() as connection:
        return [Job(**row._mapping) for row in connection.execute(query)]


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


def request_stop(database: Database, job_id: str, *, wish: Wish = "stop", actor: str) -> None:
    """Ask a job to stop: a queued one is taken out of the queue at once, see `cancel`; a running
    one stops when it notices.

    Raises:
        NotFound: there is no such job.
        Refused: it has ended already.
    """
    with database.writing() as connection:
        job = locked(connection, job_id)
        if job.status in ENDED:
            raise Refused("It has already {status}; there is nothing to stop.", status=job.status)
        if job.status == "queued":
            _take_out(connection, job, wish)
        else:
            _change(connection, job_id, wish=wish)


def cancel(database: Database, job_id: str, *, actor: str) -> None:
    """Take a job out of the queue. One that was to go on after its end is again as it had ended.

    Raises:
        NotFound: there is no such job.
        Refused: it is not waiting any more.
    """
    with database.writing() as connection:
        job = locked(connection, job_id)
        _require_queued(job)
        _take_out(connection, job, "stop")


def resume_row(
    connection: sa.Connection, job_id: str, config: dict[str, Any] | None = None
) -> None:
    """Queue an ended job once more within the caller's transaction; what it was told before is
    forgotten, what befell it is kept.

    Args:
        config: the settings of its run before they are changed, for `cancel` to put them back.

    Raises:
        NotFound: there is no such job.
        Refused: it has not ended.
    """
    job = locked(connection, job_id)
    if job.status in LIVE:
        raise Refused("It is {status} already; there is nothing to resume.", status=job.status)
    kept = ("status", "phase", "ended_at", "wish", "error", "result", "progress", "incidents")
    before = {name: getattr(job, name) for name in kept} | {"config": config}
    incidents = job.incidents
    if job.error is not None:
        incidents = [*incidents, incident(job, job.error)]
    now = time.time()
    _change(
        connection,
        job_id,
        payload=job.payload | {_BEFORE: before},
        status="queued",
        phase="queued",
        ended_at=None,
        wish=None,
        error=None,
        retries=0,
        priority=0,
        rank=now,
        queued_at=now,
        incidents=incidents,
    )


def begun(payload: dict[str, Any]) -> dict[str, Any]:
    """What is left of a job's payload when an attempt begins: there is no way back any more."""
    return {name: value for name, value in payload.items() if name != _BEFORE}


def incident(job: Job, error: dict[str, Any]) -> dict[str, Any]:
    """What is kept of the end of a job's newest attempt."""
    return error | {"at": time.time(), "attempt": job.attempts}


def queue(database: Database, kinds: Sequence[JobKind] = KINDS) -> list[Job]:
    """The queued jobs of some kinds in the order in which they would be started."""
    with database.reading() as connection:
        return _in_order(connection, kinds)


def run_next(database: Database, job_id: str, *, actor: str) -> None:
    """Put a queued job before all others.

    Raises:
        NotFound: there is no such job.
        Refused: it is not waiting any more.
    """
    table = schema.jobs
    with database.writing() as connection:
        _require_queued(locked(connection, job_id))
        highest = sa.select(sa.func.max(table.c.priority)).where(table.c.status == "queued")
        priority = (connection.scalar(highest) or 0) + 1
        connection.execute(table.update().where(table.c.id == job_id).values(priority=priority))


def move(database: Database, job_id: str, *, earlier: bool, actor: str) -> None:
    """Let a queued job change places with the one before or after it; the first and the last stay.

    The neighbour is the nearest of the same kind and owner: the order between owners is kept
    fair by itself (`order.in_order`), and each kind has slots of its own.

    Raises:
        NotFound: there is no such job.
        Refused: it is not waiting any more.
    """
    table = schema.jobs
    with database.writing() as connection:
        job = locked(connection, job_id)
        _require_queued(job)
        line = [
            other
            for other in _in_order(connection, KINDS)
            if (other.kind, other.actor) == (job.kind, job.actor)
        ]
        index = [other.id for other in line].index(job_id)
        other_index = index - 1 if earlier else index + 1
        if not 0 <= other_index < len(line):
            return
        line[index], line[other_index] = line[other_index], line[index]
        # The places are dealt out anew, so that a job can also pass one of a higher priority.
        priorities = sorted((other.priority for other in line), reverse=True)
        ranks = _apart(sorted(other.rank for other in line))
        for other, priority, rank in zip(line, priorities, ranks, strict=True):
            connection.execute(
                table.update().where(table.c.id == other.id).values(priority=priority, rank=rank)
            )


def last_started(connection: sa.Connection, kinds: Sequence[JobKind]) -> dict[str, float]:
    """When a job of some kinds was last started, by owner."""
    table = schema.jobs
    query = (
        sa.select(table.c.actor, sa.func.max(table.c.started_at))
        .where(table.c.kind.in_(kinds), table.c.started_at.is_not(None))
        .group_by(table.c.actor)
    )
    return {actor: moment for actor, moment in connection.execute(query)}


def locked(connection: sa.Connection, job_id: str) -> Job:
    """A job within a writing transaction: on PostgreSQL others wait until it is over.

    Raises:
        NotFound: there is no such job.
    """
    query = sa.select(schema.jobs).where(schema.jobs.c.id == job_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("There is no job “{job}”.", job=job_id)
    return Job(**row._mapping)


def _in_order(connection: sa.Connection, kinds: Sequence[JobKind]) -> list[Job]:
    table = schema.jobs
    query = sa.select(table).where(table.c.status.in_(LIVE), table.c.kind.in_(kinds))
    live = [Job(**row._mapping) for row in connection.execute(query)]
    return order.in_order(live, last_started(connection, kinds))


def _apart(ranks: Sequence[float]) -> list[float]:
    """Ascending ranks, with those that are equal as little apart as can be."""
    apart: list[float] = []
    for rank in ranks:
        apart.append(max(rank, math.nextafter(apart[-1], math.inf)) if apart else rank)
    return apart


def _take_out(connection: sa.Connection, job: Job, wish: Wish) -> None:
    now = time.time()
    waited_seconds = job.waited_seconds + max(now - job.queued_at, 0.0)
    ended = {"status": "stopped", "phase": "stopped", "ended_at": now, "wish": wish}
    payload = dict(job.payload)
    before = payload.pop(_BEFORE, None)
    if before is not None:
        config = before.pop("config", None)
        if config is not None:
            runs = schema.runs
            connection.execute(runs.update().where(runs.c.job_id == job.id).values(config=config))
        ended = before
    _change(connection, job.id, **ended, payload=payload, waited_seconds=waited_seconds)


def _change(connection: sa.Connection, job_id: str, **values: Any) -> None:
    connection.execute(schema.jobs.update().where(schema.jobs.c.id == job_id).values(values))


def _require_queued(job: Job) -> None:
    if job.status != "queued":
        raise Refused("It is {status} and not waiting any more.", status=job.status)
