"""Workers: which machine has one, and whether it lives."""

import time
from dataclasses import dataclass

import sqlalchemy as sa

from engine.store import schema
from engine.store.database import Database

NOTICE_SECONDS = 2 * 3600.0
"""How long a worker stays to tell of an ended run that nobody could be told of yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerRecord:
    """One worker."""

    host: str
    pid: int
    stamp: str
    """Tells its process from others with the same number; see `engine.jobs.daemon.stamp_of`."""
    heartbeat_at: float


def announce(database: Database, host: str, pid: int, stamp: str) -> None:
    """Record that this process is the worker of its host."""
    with database.writing() as connection:
        connection.execute(schema.workers.delete().where(schema.workers.c.host == host))
        connection.execute(
            schema.workers.insert().values(
                host=host,
                pid=pid,
                stamp=stamp,
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
    """Leave unless jobs are open or somebody is still to be told of one; the check and the leaving
    are one transaction.

    Whoever queues a job afterwards finds no worker and starts one.
    """
    jobs, notices = schema.jobs, schema.notices
    is_open = sa.exists().where(jobs.c.status.in_(("queued", "running")))
    # Those of a channel that is not set up any more are due for ever.
    is_due = sa.exists().where(
        notices.c.next_try_at.is_not(None),
        notices.c.created_at > time.time() - NOTICE_SECONDS,
    )
    with database.writing() as connection:
        if connection.scalar(sa.select(sa.or_(is_open, is_due))):
            return False
        connection.execute(schema.workers.delete().where(schema.workers.c.host == host))
        return True
