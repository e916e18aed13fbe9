"""Epoch records: the numbers of one epoch of one run."""

import time
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from engine.events import EpochRecord
from engine.store import schema
from engine.store.database import Database

_BY_CLASS = ("val_class_dice", "val_class_iou")


def add(database: Database, run_id: str, record: EpochRecord) -> None:
    """Record an epoch of a run."""
    values = asdict(record) | {"run_id": run_id, "ended_at": time.time()}
    values |= {name: list(values[name]) for name in _BY_CLASS}
    with database.writing() as connection:
        connection.execute(schema.epochs.insert().values(values))


def of_run(database: Database, run_id: str) -> list[EpochRecord]:
    """A run's epochs in order."""
    table = schema.epochs
    query = sa.select(table).where(table.c.run_id == run_id).order_by(table.c.epoch)
    with database.reading() as connection:
        return [_record(row) for row in connection.execute(query)]


def _record(row: sa.Row[Any]) -> EpochRecord:
    values: dict[str, Any] = {name: row._mapping[name] for name in EpochRecord.__dataclass_fields__}
    return EpochRecord(**values | {name: tuple(values[name]) for name in _BY_CLASS})
