"""Scores: the counts of one sample and one class under one run's best checkpoint."""

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from engine.store import schema
from engine.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleScore:
    """The counts of one sample, one entry per class index."""

    position: int
    """The sample's position in its dataset."""
    split: str
    tp: tuple[int, ...]
    fp: tuple[int, ...]
    fn: tuple[int, ...]


def add(
    database: Database,
    run_id: str,
    sample_scores: Sequence[SampleScore],
    histograms: Sequence[NDArray[np.int64]],
) -> None:
    """Record the scores of some samples, and the time as the run's `scored_at`.

    Args:
        histograms: one array of shape (classes, 2, 256) per sample: pixels by probability bin,
            on the class's truth and elsewhere.
    """
    rows: list[dict[str, Any]] = [
        {
            "run_id": run_id,
            "position": score.position,
            "class_index": class_index,
            "split": score.split,
            "tp": score.tp[class_index],
            "fp": score.fp[class_index],
            "fn": score.fn[class_index],
            "histograms": zlib.compress(bins[class_index].astype("<u4").tobytes()),
        }
        for score, bins in zip(sample_scores, histograms, strict=True)
        for class_index in range(len(score.tp))
    ]
    runs = schema.runs
    with database.writing() as connection:
        connection.execute(schema.scores.insert(), rows)
        connection.execute(runs.update().where(runs.c.id == run_id).values(scored_at=time.time()))


def clear(database: Database, run_id: str) -> None:
    """Forget a run's scores: they are of a checkpoint that is its best no more."""
    scores, runs = schema.scores, schema.runs
    with database.writing() as connection:
        connection.execute(scores.delete().where(scores.c.run_id == run_id))
        connection.execute(runs.update().where(runs.c.id == run_id).values(scored_at=None))


def of_run(database: Database, run_id: str, split: str | None = None) -> list[SampleScore]:
    """A run's scores by sample position, of one split or of all."""
    table = schema.scores
    query = (
        sa.select(
            table.c.position, table.c.class_index, table.c.split, table.c.tp, table.c.fp, table.c.fn
        )
        .where(table.c.run_id == run_id)
        .order_by(table.c.position, table.c.class_index)
    )
    if split is not None:
        query = query.where(table.c.split == split)
    by_position: dict[int, list[sa.RowMapping]] = {}
    with database.reading() as connection:
        for row in connection.execute(query).mappings():
            by_position.setdefault(row["position"], []).append(row)
    return [
        SampleScore(
            position=position,
            split=rows[0]["split"],
            tp=tuple(row["tp"] for row in rows),
            fp=tuple(row["fp"] for row in rows),
            fn=tuple(row["fn"] for row in rows),
        )
        for position, rows in by_position.items()
    ]


def histograms_of(database: Database, run_id: str, position: int) -> NDArray[np.int64]:
    """One sample's probability histograms, shape (classes, 2, 256)."""
    table = schema.scores
    query = (
        sa.select(table.c.histograms)
        .where(table.c.run_id == run_id, table.c.position == position)
        .order_by(table.c.class_index)
    )
    with database.reading() as connection:
        blobs = connection.scalars(query).all()
    return np.stack(
        [np.frombuffer(zlib.decompress(blob), "<u4").reshape(2, 256) for blob in blobs]
    ).astype(np.int64)
