"""Machine samples: what the machines with a worker were doing over time."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from engine.store import schema
from engine.store.database import Database

KEPT_SECONDS = 7 * 86_400.0
"""Older samples are forgotten."""
DENSE_SECONDS = 86_400.0
"""Of older samples, one a minute is kept."""

_THINNED_SECONDS = 60
_AHEAD_SECONDS = 60.0
"""A sample so far in the future was taken before the clock was set back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineSample:
    """What a machine was doing at one moment; the fields are those of `engine.monitor`."""

    host: str
    at: float
    cpu_share: float
    memory_used_bytes: int
    memory_total_bytes: int
    disk_free_bytes: int
    disk_total_bytes: int
    gpus: Sequence[Mapping[str, Any]]
    """One `engine.monitor.GpuState` after the other."""


def add(database: Database, sample: MachineSample) -> None:
    """Record a sample."""
    with database.writing() as connection:
        connection.execute(schema.machine_samples.insert(), asdict(sample))


def between(database: Database, host: str, start: float, end: float) -> list[MachineSample]:
    """The samples of a host from one moment to another, in Unix seconds, oldest first."""
    table = schema.machine_samples
    query = (
        sa.select(table)
        .where(table.c.host == host, table.c.at >= start, table.c.at <= end)
        .order_by(table.c.at)
    )
    with database.reading() as connection:
        return [MachineSample(**row._mapping) for row in connection.execute(query)]


def newest(database: Database) -> list[MachineSample]:
    """The newest sample of each host, by the name of the host."""
    table = schema.machine_samples
    last = sa.select(table.c.host, sa.func.max(table.c.at).label("at")).group_by(table.c.host)
    found = last.subquery()
    query = (
        sa.select(table)
        .join(found, sa.and_(found.c.host == table.c.host, found.c.at == table.c.at))
        .order_by(table.c.host)
    )
    with database.reading() as connection:
        return [MachineSample(**row._mapping) for row in connection.execute(query)]


def hosts(database: Database, start: float, end: float) -> list[str]:
    """The hosts with samples from one moment to another, by name."""
    table = schema.machine_samples
    query = (
        sa.select(table.c.host)
        .where(table.c.at >= start, table.c.at <= end)
        .group_by(table.c.host)
        .order_by(table.c.host)
    )
    with database.reading() as connection:
        return list(connection.scalars(query))


def sweep(database: Database, host: str) -> None:
    """Forget the samples that are too old, and thin out those of a host that are old.

    Its samples from the future, of a clock that was set back since, are forgotten too.
    """
    table, now = schema.machine_samples, time.time()
    own = table.c.host == host
    too_many = _too_many(database, host, now - DENSE_SECONDS)
    with database.writing() as connection:
        connection.execute(table.delete().where(table.c.at < now - KEPT_SECONDS))
        connection.execute(table.delete().where(own, table.c.at > now + _AHEAD_SECONDS))
        if too_many:
            one = table.delete().where(own, table.c.at == sa.bindparam("moment"))
            connection.execute(one, [{"moment": moment} for moment in too_many])


def _too_many(database: Database, host: str, before: float) -> list[float]:
    """When a host's samples were taken that are not the first of their minute."""
    table = schema.machine_samples
    query = (
        sa.select(table.c.at).where(table.c.host == host, table.c.at < before).order_by(table.c.at)
    )
    with database.reading() as connection:
        moments = list(connection.scalars(query))
    minutes = [int(moment // _THINNED_SECONDS) for moment in moments]
    return [
        moment
        for moment, minute, last in zip(moments[1:], minutes[1:], minutes, strict=False)
        if minute == last
    ]
