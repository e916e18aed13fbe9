"""Epoch records: the numbers of one epoch of one run."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from engine.events import EpochRecord
from engine.store import schema
from engine.store.database import Database

_BY_CLASS = ("val_class_dice", "val_class_iou")
_INSERT = schema.epochs.insert()


def add(database: Database, run_id: str, record: EpochRecord) -> None:
    """Record an epoch of a run."""
    # Made before other writers are kept waiting, and given beside the statement, not within it,
    # so that it is compiled only once: 0.4 × the time (`benchmarks/store.py`).
    values = _values(run_id, record)
    try:
        with database.writing() as connection:
            connection.execute(_INSERT, values)
    except sa.exc.IntegrityError:
        # Written by an attempt that was taken for dead, in the moment before it ended.
        table = schema.epochs
        same = (table.c.run_id == run_id, table.c.epoch == record.epoch)
        with database.writing() as connection:
            connection.execute(table.delete().where(*same))
            connection.execute(_INSERT, values)


def restore(database: Database, run_id: str, records: Sequence[EpochRecord]) -> None:
    """Make a run's epochs those that a training goes on from: ones that were lost are added, and
    ones that it will train again are forgotten."""
    table = schema.epochs
    known = sa.select(table.c.epoch).where(table.c.run_id == run_id)
    with database.writing() as connection:
        connection.execute(
            table.delete().where(table.c.run_id == run_id, table.c.epoch > len(records))
        )
        present = set(connection.scalars(known))
        lost = [_values(run_id, each) for each in records if each.epoch not in present]
        if lost:
            connection.execute(table.insert(), lost)


def of_run(database: Database, run_id: str) -> list[EpochRecord]:
    """A run's epochs in order."""
    table = schema.epochs
    query = sa.select(table).where(table.c.run_id == run_id).order_by(table.c.epoch)
    with database.reading() as connection:
        return [_record(row) for row in connection.execute(query)]


def _values(run_id: str, record: EpochRecord) -> dict[str, Any]:
    values = asdict(record) | {"run_id": run_id, "ended_at": time.time()}
    return values | {name: list(values[name]) for name in _BY_CLASS}


def _record(row: sa.Row[Any]) -> EpochRecord:
    values: dict[str, Any] = {name: row._mapping[name] for name in EpochRecord.__dataclass_fields__}
    return EpochRecord(**values | {name: tuple(values[name]) for name in _BY_CLASS})
