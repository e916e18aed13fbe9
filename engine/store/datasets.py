"""Datasets and their samples."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from engine.errors import NotFound, Refused
from engine.store import schema
from engine.store.database import Database

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassEntry:
    """One row of a dataset's class table."""

    index: int
    """Value of the class in the stored masks."""
    name: str
    color: str
    """`#rrggbb`"""
    background: bool
    """Background is never averaged into a score."""
    source_value: int
    """Value of the class in the masks as they were imported, the first of several; a colour is
    0xRRGGBB."""


# The report grows with the dataset and few readers want it.
_COLUMNS = tuple(column for column in schema.datasets.c if column.name != "report")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One image with its mask."""

    position: int
    """Place in the dataset's natural order; the sample's key within the dataset."""
    name: str
    """Path inside the archive, without the suffix."""
    image_file: str
    """File name below `datasets/<id>/images/`; viewable by a browser."""
    mask_file: str
    """File name below `datasets/<id>/masks/`; index PNG, 255 = ignored."""
    width: int
    height: int
    class_pixels: tuple[int, ...]
    """Pixels of each class, by class index."""
    split: SplitName
    """The part of the dataset's own split it is in."""
    fold: int | None = None
    """Of a k-fold split, the fold in which it validates, from 1; None for test samples."""
    group: str | None = None
    """Samples with the same group are never divided by a split; None: stands alone."""
    twins: int | None = None
    """Number of the cluster of duplicates it is in; None: there is no other like it."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What was measured; see `engine.datasets.quality.SampleFacts`."""

    @property
    def stem(self) -> str:
        """What the files made of the sample are called, without their suffix."""
        return f"{self.position:06d}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """An imported, immutable, content-hashed collection of samples with its classes."""

    id: str
    name: str
    actor: str
    created_at: float
    content_hash: str
    num_samples: int
    num_channels: int
    """1 when every image is grey, else 3."""
    classes: tuple[ClassEntry, ...]
    plan: dict[str, Any] | None
    """How it was imported; see `engine.datasets.plan`. None for one of an early version."""
    parent_id: str | None
    """The dataset that it corrects; that one may have been deleted."""
    change: list[dict[str, Any]] | None
    """What was corrected, as `Note` records; None for an import."""
    tags: tuple[str, ...]
    notes: str
    """What people wrote about it."""


def add(
    database: Database,
    *,
    dataset_id: str,
    name: str,
    content_hash: str,
    num_channels: int,
    classes: Sequence[ClassEntry],
    samples: Sequence[Sample],
    report: dict[str, Any],
    actor: str,
    plan: dict[str, Any] | None = None,
    parent_id: str | None = None,
    change: list[dict[str, Any]] | None = None,
) -> None:
    """Record a dataset whose files are in place.

    Args:
        report: what the import found; see `engine.datasets.report`.
    """
    with database.writing() as connection:
        connection.execute(
            schema.datasets.insert().values(
                id=dataset_id,
                name=name,
                actor=actor,
                created_at=time.time(),
                content_hash=content_hash,
                num_samples=len(samples),
                num_channels=num_channels,
                classes=[_class_to_json(entry) for entry in classes],
                report=report,
                plan=plan,
                parent_id=parent_id,
                change=change,
                tags=[],
                notes="",
            )
        )
        connection.execute(
            schema.samples.insert(),
            [
                {
                    "dataset_id": dataset_id,
                    "position": sample.position,
                    "name": sample.name,
                    "image_file": sample.image_file,
                    "mask_file": sample.mask_file,
                    "width": sample.width,
                    "height": sample.height,
                    "class_pixels": list(sample.class_pixels),
                    "split": sample.split,
                    "fold": sample.fold,
                    "group_name": sample.group,
                    "twins": sample.twins,
                    "facts": sample.facts,
                }
                for sample in samples
            ],
        )


def get(database: Database, dataset_id: str) -> Dataset:
    """The dataset with this id.

    Raises:
        NotFound: there is none.
    """
    query = sa.select(*_COLUMNS).where(schema.datasets.c.id == dataset_id)
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise _no_dataset(dataset_id)
    return _dataset(row)


def find(database: Database, id_or_name: str) -> Dataset:
    """The dataset with this id or, failing that, the newest one with this name.

    Raises:
        NotFound: there is none.
    """
    table = schema.datasets
    query = (
        sa.select(*_COLUMNS)
        .where(sa.or_(table.c.id == id_or_name, table.c.name == id_or_name))
        .order_by((table.c.id == id_or_name).desc(), table.c.created_at.desc())
    )
    with database.reading() as connection:
        row = connection.execute(query).first()
    if row is None:
        raise NotFound("There is no dataset with the id or name “{dataset}”.", dataset=id_or_name)
    return _dataset(row)


def all_newest_first(database: Database) -> list[Dataset]:
    """Every dataset."""
    query = sa.select(*_COLUMNS).order_by(schema.datasets.c.created_at.desc())
    with database.reading() as connection:
        return [_dataset(row) for row in connection.execute(query)]


def with_content(database: Database, content_hash: str) -> list[Dataset]:
    """The datasets that hold exactly this content."""
    query = sa.select(*_COLUMNS).where(schema.datasets.c.content_hash == content_hash)
    with database.reading() as connection:
        return [_dataset(row) for row in connection.execute(query)]


def samples(database: Database, dataset_id: str) -> list[Sample]:
    """A dataset's samples in their natural order."""
    query = (
        sa.select(schema.samples)
        .where(schema.samples.c.dataset_id == dataset_id)
        .order_by(schema.samples.c.position)
    )
    with database.reading() as connection:
        return [
            Sample(
                position=row.position,
                name=row.name,
                image_file=row.image_file,
                mask_file=row.mask_file,
                width=row.width,
                height=row.height,
                class_pixels=tuple(row.class_pixels),
                split=row.split,
                fold=row.fold,
                group=row.group_name,
                twins=row.twins,
                facts=row.facts,
            )
            for row in connection.execute(query)
        ]


def report(database: Database, dataset_id: str) -> dict[str, Any]:
    """What the import found; see `engine.datasets.report`.

    Raises:
        NotFound: there is no such dataset.
    """
    query = sa.select(schema.datasets.c.report).where(schema.datasets.c.id == dataset_id)
    with database.reading() as connection:
        found = connection.execute(query).one_or_none()
    if found is None:
        raise _no_dataset(dataset_id)
    return dict(found.report)


def corrections_of(database: Database, dataset_id: str) -> list[Dataset]:
    """The versions that were made from a dataset, oldest first."""
    query = (
        sa.select(*_COLUMNS)
        .where(schema.datasets.c.parent_id == dataset_id)
        .order_by(schema.datasets.c.created_at)
    )
    with database.reading() as connection:
        return [_dataset(row) for row in connection.execute(query)]


def describe(
    database: Database,
    dataset_id: str,
    *,
    name: str,
    tags: Sequence[str],
    notes: str,
    actor: str,
) -> None:
    """Change what people call a dataset and say of it; its content stays as it is.

    Raises:
        NotFound: there is no such dataset.
    """
    table = schema.datasets
    with database.writing() as connection:
        outcome = connection.execute(
            table.update()
            .where(table.c.id == dataset_id)
            .values(name=name, tags=list(tags), notes=notes)
        )
    if not outcome.rowcount:
        raise _no_dataset(dataset_id)


def delete(database: Database, dataset_id: str, *, actor: str) -> None:
    """Forget a dataset. Its files are the caller's to remove, afterwards.

    Raises:
        Refused: runs use it.
        NotFound: there is none.
    """
    get(database, dataset_id)
    runs_using = sa.select(sa.func.count()).where(schema.runs.c.dataset_id == dataset_id)
    with database.writing() as connection:
        count = connection.scalar(runs_using)
        if count:
            raise Refused(
                "{count} runs use this dataset, so it cannot be deleted. Delete the runs first.",
                count=count,
            )
        connection.execute(schema.datasets.delete().where(schema.datasets.c.id == dataset_id))


def _no_dataset(dataset_id: str) -> NotFound:
    return NotFound("There is no dataset “{dataset}”.", dataset=dataset_id)


def _class_to_json(entry: ClassEntry) -> dict[str, Any]:
    return {
        "index": entry.index,
        "name": entry.name,
        "color": entry.color,
        "background": entry.background,
        "source_value": entry.source_value,
    }


def _dataset(row: sa.Row[Any]) -> Dataset:
    return Dataset(
        id=row.id,
        name=row.name,
        actor=row.actor,
        created_at=row.created_at,
        content_hash=row.content_hash,
        num_samples=row.num_samples,
        num_channels=row.num_channels,
        classes=tuple(ClassEntry(**entry) for entry in row.classes),
        plan=row.plan,
        parent_id=row.parent_id,
        change=row.change,
        tags=tuple(row.tags),
        notes=row.notes,
    )
