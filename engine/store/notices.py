"""Notices: what is still to be told of trainings that have ended, and how that went.

There is one row for each end of a training and each channel it is told by. Rows also stand for
what is never told: what had ended before a channel was set up.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from engine.store import schema
from engine.store.database import Database
from engine.store.jobs import JobStatus

Channel = Literal["webhook", "mail"]

TOLD: tuple[JobStatus, ...] = ("completed", "failed")
"""The ends that are told; a training is stopped by people, who know."""
TOLD_WITHIN_SECONDS = 24 * 3600.0
"""What ended longer ago is told no more: nobody worked on the home since."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """The end of one attempt at a training, to be told by one channel."""

    job_id: str
    attempt: int
    channel: Channel
    run_id: str
    tries: int
    """How often it has been tried, the present try included."""


def queue(database: Database, channels: Sequence[Channel]) -> None:
    """Note what has ended and is to be told.

    A channel that is seen for the first time begins with what ends from now on.
    """
    with database.reading() as connection:
        if not any(_missing(connection, channel) for channel in channels):
            return
    try:
        with database.writing() as connection:
            rows = [row for channel in channels for row in _missing(connection, channel)]
            if rows:
                connection.execute(schema.notices.insert(), rows)
    except sa.exc.IntegrityError:
        # Where writers do not exclude each other, another worker may be faster. What it has not
        # noted is found again next time.
        return


def take_due(
    database: Database, channels: Sequence[Channel], *, hold_seconds: float
) -> Notice | None:
    """The notice that has been due for longest, counted as tried once more; None: there is none.

    However many workers ask, it is given to one of them.

    Args:
        hold_seconds: a notice is due again after so long unless it is said how the try went: who
            took it may die.
    """
    table, now = schema.notices, time.time()
    is_due = sa.and_(table.c.channel.in_(channels), table.c.next_try_at <= now)
    query = (
        sa.select(
            table,
            schema.runs.c.id.label("run_id"),
            schema.jobs.c.status,
            schema.jobs.c.attempts,
        )
        .join(schema.jobs, schema.jobs.c.id == table.c.job_id)
        .join(schema.runs, schema.runs.c.job_id == table.c.job_id)
        .where(is_due)
        .order_by(table.c.next_try_at)
    )
    with database.reading() as connection:
        if not connection.scalar(sa.select(sa.exists().where(is_due))):
            return None
    with database.writing() as connection:
        for row in connection.execute(query).all():
            if row.status not in TOLD or row.attempts != row.attempt:
                _settle(connection, row, error="It was resumed before this could be told.")
            elif _take(connection, row, now + hold_seconds):
                return Notice(
                    job_id=row.job_id,
                    attempt=row.attempt,
                    channel=row.channel,
                    run_id=row.run_id,
                    tries=row.tries + 1,
                )
    return None


def mark_sent(database: Database, notice: Notice, remark: str | None = None) -> None:
    """Record that it was told; with a remark, that not everybody was reached."""
    _mark(database, notice, sent_at=time.time(), next_try_at=None, error=remark)


def mark_failed(
    database: Database, notice: Notice, error: str, *, wait_seconds: float | None
) -> None:
    """Record that it could not be told.

    Args:
        wait_seconds: when to try again; None: never.
    """
    next_try_at = None if wait_seconds is None else time.time() + wait_seconds
    _mark(database, notice, next_try_at=next_try_at, error=error)


def _missing(connection: sa.Connection, channel: Channel) -> list[dict[str, Any]]:
    """The rows that a channel lacks."""
    table, trains, now = schema.notices, schema.jobs, time.time()
    same = sa.and_(
        table.c.job_id == trains.c.id,
        table.c.attempt == trains.c.attempts,
        table.c.channel == channel,
    )
    values = {"channel": channel, "created_at": now, "tries": 0}
    if connection.scalar(sa.select(sa.exists().where(table.c.channel == channel))):
        ended = (
            sa.select(trains.c.id, trains.c.attempts)
            .outerjoin(table, same)
            .where(
                trains.c.kind == "train",
                trains.c.status.in_(TOLD),
                trains.c.ended_at > now - TOLD_WITHIN_SECONDS,
                table.c.job_id.is_(None),
            )
        )
        return [
            values | {"job_id": row.id, "attempt": row.attempts, "next_try_at": now}
            for row in connection.execute(ended)
        ]
    # No job ends in an attempt 0, so that the end of one that is live will be told.
    is_live = trains.c.status.in_(("queued", "running"))
    known = sa.select(
        trains.c.id, sa.case((is_live, 0), else_=trains.c.attempts).label("attempt")
    ).where(trains.c.kind == "train")
    return [
        values | {"job_id": row.id, "attempt": row.attempt, "next_try_at": None}
        for row in connection.execute(known)
    ]


def _take(connection: sa.Connection, row: sa.Row[Any], next_try_at: float) -> bool:
    """False where another worker was faster."""
    tried = _of(row).where(schema.notices.c.next_try_at == row.next_try_at)
    outcome = connection.execute(tried.values(next_try_at=next_try_at, tries=row.tries + 1))
    return outcome.rowcount == 1


def _settle(connection: sa.Connection, row: sa.Row[Any], *, error: str) -> None:
    connection.execute(_of(row).values(next_try_at=None, error=error))


def _mark(database: Database, notice: Notice, **values: Any) -> None:
    # A try that took longer than it was held for is not the newest any more.
    newest = _of(notice).where(schema.notices.c.tries == notice.tries)
    with database.writing() as connection:
        connection.execute(newest.values(**values))


def _of(notice: Notice | sa.Row[Any]) -> sa.Update:
    table = schema.notices
    return table.update().where(
        table.c.job_id == notice.job_id,
        table.c.attempt == notice.attempt,
        table.c.channel == notice.channel,
    )
