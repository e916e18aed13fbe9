"""Workers: which machine has one, and whether it lives."""

import time
from dataclasses import dataclass

import sqlalchemy as sa

from engine.store import schema
from engine.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerRecord:
    """One worker."""

    host: str
    pid: int
    process_started_at: float
    heartbeat_at: float


def announce(database: Database, host: str, pid: int, process_started_at: float) -> None:
    """Record that this process is the worker of its host."""
    with database.writing() as connection:
        connection.execute(schema.workers.delete().where(schema.workers.c.host == host))
        connection.execute(
            schema.workers.insert().values(
                host=host,
                pid=pid,
                process_started_at=process_started_at,
                heartbeat_at=time.time(),
            )
        )


def beat(database: Database, host: str) -> None:
    """Record that the host's worker lives."""
    with database.writing() as connection:
        connection.execute(
            schema.workers.update()
            .where(schema.workers.c.host == host)
            .values(heartbeat_at=time.time())
        )


def get(database: Database, host: str) -> WorkerRecord | None:
    """The worker of a host, if one announced itself and did not leave."""
    query = sa.select(schema.workers).where(schema.workers.c.host == host)
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else WorkerRecord(**row._mapping)


def leave(database: Database, host: str) -> None:
    """Record that the host's worker ended."""
    with database.writing() as connection:
        connection.execute(schema.workers.delete().where(schema.workers.c.host == host))


def leave_if_idle(database: Database, host: str) -> bool:
    """Leave unless jobs are open; the check and the leaving are one transaction.

    Whoever queues a job afterwards finds no worker and starts one.
    """
    open_jobs = sa.select(sa.func.count()).where(schema.jobs.c.status.in_(("queued", "running")))
    with database.writing() as connection:
        if connection.scalar(open_jobs):
            return False
        connection.execute(schema.workers.delete().where(schema.workers.c.host == host))
        return True
