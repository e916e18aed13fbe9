"""Epoch records: the numbers of one epoch of one run."""

import time
from dataclasses import asdict

import sqlalchemy as sa

from engine.events import EpochRecord
from engine.store import schema
from engine.store.database import Database


def add(database: Database, run_id: str, record: EpochRecord) -> None:
    """Record an epoch of a run."""
    values = asdict(record) | {"run_id": run_id, "ended_at": time.time()}
    values["val_class_dice"] = list(record.val_class_dice)
    with database.writing() as connection:
        connection.execute(schema.epochs.insert().values(values))


def of_run(database: Database, run_id: str) -> list[EpochRecord]:
    """A run's epochs in order."""
    table = schema.epochs
    query = sa.select(table).where(table.c.run_id == run_id).order_by(table.c.epoch)
    names = EpochRecord.__dataclass_fields__
    with database.reading() as connection:
        rows = [row._mapping for row in connection.execute(query)]
    return [
        EpochRecord(
            **{name: row[name] for name in names if name != "val_class_dice"},
            val_class_dice=tuple(row["val_class_dice"]),
        )
        for row in rows
    ]
