"""Epoch records: the numbers of one epoch of one run."""

import time
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from engine.store import schema
from engine.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """One pass over the training samples and the validation after it.

    Validation numbers are computed at training size, by the rules of `engine.scores.rules`.
    """

    epoch: int
    """From 1."""
    train_loss: float
    val_loss: float
    val_dice: float
    """Mean image Dice."""
    val_iou: float
    """Mean image IoU."""
    val_class_dice: tuple[float | None, ...]
    """Mean Dice of each class, by class index; None for a class that never occurs."""
    learning_rate: float
    """At the epoch's last step."""
    seconds: float
    """Training and validation together."""
    images_per_second: float
    """Training images, validation time left out."""
    is_best: bool
    """Whether it became the best checkpoint when it ended."""


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
