"""A correction of a dataset is a new dataset that remembers its parent; no dataset ever changes.

Files that stay the same are hard links to the parent's, so a version costs little disk.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from engine.config import Part, SplitConfig, parse_part
from engine.datasets.assembly import Measured, Origin, assemble
from engine.datasets.cache import stored_image
from engine.datasets.disk import disk_errors
from engine.datasets.inspection import Progress, ShouldStop
from engine.datasets.masks import count_classes
from engine.datasets.parallel import PixelBudget, for_each
from engine.datasets.plan import GroupPlan, ImportPlan, Role, parse_plan
from engine.datasets.quality import SampleFacts, measure
from engine.datasets.sample_writer import FOLDERS, write_mask
from engine.datasets.splits import Assignment
from engine.errors import BadData, BadSetting, Stopped
from engine.notes import Note
from engine.pictures.masks import read_index_png
from engine.scores.counts import IGNORED_INDEX
from engine.store import datasets
from engine.store.database import new_id
from engine.store.datasets import ClassEntry, Dataset, Sample
from engine.workbench import Workbench


class ClassChange(Part):
    """What becomes of one class. Classes of the same new name are merged."""

    index: int = Field(ge=0)
    """Of the parent's class."""
    name: str = Field(min_length=1, max_length=100)
    color: str = Field(pattern=r"^#[0-9a-fA-F]{6}$")
    role: Role = "class"
    """“ignore”: its pixels do not count any more."""


class Change(Part):
    """What a new version has differently."""

    leave_out: tuple[int, ...] = ()
    """Positions of samples that are not taken over."""
    classes: tuple[ClassChange, ...] = ()
    """One for each class of the parent, or none to leave the classes as they are."""
    groups: GroupPlan | None = None
    """New groups; None keeps the parent's."""
    split: SplitConfig | None = None
    """A new split; None keeps the parent's."""
    to_train: tuple[int, ...] = ()
    """Positions of samples that the kept split is to have among the training samples."""

    @model_validator(mode="after")
    def _changes_agree(self) -> Self:
        if not (self.leave_out or self.classes or self.groups or self.split or self.to_train):
            raise ValueError("Nothing is changed. Change something")
        if self.split and self.to_train:
            raise ValueError("A new split decides for itself what is trained on. Give one of both")
        return self

    def to_dict(self) -> dict[str, Any]:
        """The change as nested JSON types."""
        return self.model_dump(mode="json")


def parse_change(values: Mapping[str, Any]) -> Change:
    """A validated change from nested plain values.

    Raises:
        BadSetting: a value is out of range, of the wrong kind, or unknown.
    """
    return parse_part(Change, values, "The change cannot be made: {problems}.")


def derive(
    workbench: Workbench,
    dataset_id: str,
    change: Change,
    *,
    name: str,
    actor: str,
    progress: Progress = lambda share: None,
    should_stop: ShouldStop = lambda: False,
) -> Dataset:
    """Make a corrected version of a dataset.

    Raises:
        NotFound: there is no such dataset.
        BadData: the change leaves too little, or a stored file is damaged.
        BadSetting: the change does not fit the dataset.
        Stopped: `should_stop` said so.
        Refused: the files cannot be written.
    """
    parent = datasets.get(workbench.database, dataset_id)
    samples = datasets.samples(workbench.database, dataset_id)
    _check_positions(change, len(samples))
    kept = [sample for sample in samples if sample.position not in set(change.leave_out)]
    if not kept:
        raise BadData("Every sample would be left out; at least 2 must remain. Leave out fewer.")
    classes, table = _new_classes(parent, change)
    plan = _new_plan(parent, change)
    new_dataset_id = new_id()
    folder_key = f"datasets/{new_dataset_id}"
    with disk_errors(), workbench.files.staging(folder_key) as folder:
        copier = _Copier(workbench, parent, folder, classes, table)
        assembled = assemble(
            _copy_all(copier, kept, progress, should_stop),
            classes,
            plan,
            Origin.from_report(datasets.report(workbench.database, parent.id)),
            kept_groups=None if change.groups else [sample.group for sample in kept],
            split=None if change.split else _kept_split(kept, change),
        )
    with workbench.files.removed_on_error(folder_key):
        datasets.add(
            workbench.database,
            dataset_id=new_dataset_id,
            name=name.strip(),
            content_hash=_content_hash(parent, change),
            num_channels=parent.num_channels,
            classes=classes,
            samples=assembled.samples,
            report=assembled.report(same_content=()),
            actor=actor,
            plan=None if parent.plan is None else plan.to_dict(),
            parent_id=parent.id,
            change=[note.to_record() for note in describe(change, parent, samples)],
        )
    return datasets.get(workbench.database, new_dataset_id)


def describe(change: Change, parent: Dataset, samples: Sequence[Sample]) -> list[Note]:
    """What a change changes, in sentences."""
    found = []
    if change.leave_out:
        found.append(
            Note(
                "{num} of {total} samples were left out, such as “{example}”.",
                {
                    "num": len(set(change.leave_out)),
                    "total": len(samples),
                    "example": samples[change.leave_out[0]].name,
                },
            )
        )
    for rule in change.classes:
        entry = parent.classes[rule.index]
        role: Role = "background" if entry.background else "class"
        if (rule.name, rule.role) != (entry.name, role):
            found.append(
                Note(
                    "The class “{old}” ({old_role}) became “{new}” ({new_role}).",
                    {"old": entry.name, "old_role": role, "new": rule.name, "new_role": rule.role},
                )
            )
        elif rule.color.lower() != entry.color.lower():
            found.append(Note("The class “{name}” has another colour.", {"name": entry.name}))
    if change.groups:
        found.append(Note("Samples are grouped anew: {by}.", {"by": change.groups.by}))
    if change.split:
        found.append(
            Note("The split is a new one: {method}.", {"method": change.split.split_method})
        )
    if change.to_train:
        found.append(
            Note(
                "{num} samples went to training, so that no copy of a training image is scored.",
                {"num": len(set(change.to_train))},
            )
        )
    return found


class _Copier:
    """Takes samples of a parent over into a new folder. Thread-safe."""

    def __init__(
        self,
        workbench: Workbench,
        parent: Dataset,
        folder: Path,
        classes: Sequence[ClassEntry],
        table: NDArray[np.uint8],
    ) -> None:
        self._files, self._parent, self._folder = workbench.files, parent, folder
        self._classes, self._table = classes, table
        self._recoded = tuple(classes) != parent.classes
        self._budget = PixelBudget()
        for name in FOLDERS:
            (folder / name).mkdir()

    def copy(self, item: tuple[int, Sample]) -> Measured:
        """Take one sample over under a new number."""
        number, sample = item
        stem = f"{number:06d}"
        image_file = stem + sample.image_file.removeprefix(sample.stem)
        self._link(f"images/{sample.image_file}", f"images/{image_file}")
        self._link(f"thumbs/{sample.stem}.webp", f"thumbs/{stem}.webp")
        class_pixels, facts = sample.class_pixels, SampleFacts.from_dict(sample.facts)
        if self._recoded or facts is None:
            with self._budget.holding(2 * sample.width * sample.height):
                coded = self._table[read_index_png(self._path(f"masks/{sample.mask_file}"))]
                write_mask(self._folder, number, coded, self._classes)
                class_pixels = count_classes(coded, len(self._classes))
                image = stored_image(self._files, self._parent, sample)
                num_instances = None if facts is None else facts.num_instances
                facts = measure(image, coded, self._classes, num_instances)
        else:
            self._link(f"masks/{sample.mask_file}", f"masks/{stem}.png")
            self._link(f"thumbs/{sample.stem}.mask.png", f"thumbs/{stem}.mask.png")
        return Measured(
            name=sample.name,
            image_file=image_file,
            width=sample.width,
            height=sample.height,
            class_pixels=class_pixels,
            folder_split=None,
            facts=facts,
        )

    def _path(self, file: str) -> Path:
        return self._files.path(f"datasets/{self._parent.id}/{file}")

    def _link(self, old_file: str, new_file: str) -> None:
        try:
            os.link(self._path(old_file), self._folder / new_file)
        except FileNotFoundError as error:
            raise BadData(
                "The file {file} of the dataset “{dataset}” is missing. Restore it, or import the "
                "dataset again.",
                file=old_file,
                dataset=self._parent.name,
            ) from error
        except OSError:
            # A file system without hard links.
            shutil.copyfile(self._path(old_file), self._folder / new_file)


def _copy_all(
    copier: _Copier, kept: Sequence[Sample], progress: Progress, should_stop: ShouldStop
) -> list[Measured]:
    measured: list[Measured] = []

    def take(result: Measured) -> None:
        if should_stop():
            raise Stopped("The new version was stopped; nothing was stored.")
        measured.append(result)
        progress(len(measured) / len(kept))

    for_each(copier.copy, enumerate(kept), take)
    return measured


def _check_positions(change: Change, num_samples: int) -> None:
    unknown = [p for p in (*change.leave_out, *change.to_train) if not 0 <= p < num_samples]
    if unknown:
        raise BadSetting(
            "There is no sample {position}; the dataset has {num}, counted from 0.",
            position=unknown[0],
            num=num_samples,
        )


def _new_classes(
    parent: Dataset, change: Change
) -> tuple[tuple[ClassEntry, ...], NDArray[np.uint8]]:
    """The classes of the new version, and the new index by old one."""
    table = np.arange(256, dtype=np.uint8)
    if not change.classes:
        return parent.classes, table
    if sorted(rule.index for rule in change.classes) != list(range(len(parent.classes))):
        raise BadSetting(
            "The change names {num} classes, the dataset has {num_known}. Name each one once.",
            num=len(change.classes),
            num_known=len(parent.classes),
        )
    entries: dict[str, ClassEntry] = {}
    for rule in sorted(change.classes, key=lambda rule: rule.index):
        if rule.role == "ignore":
            table[rule.index] = IGNORED_INDEX
            continue
        entry = entries.setdefault(
            rule.name,
            ClassEntry(
                index=len(entries),
                name=rule.name,
                color=rule.color,
                background=rule.role == "background",
                source_value=parent.classes[rule.index].source_value,
            ),
        )
        table[rule.index] = entry.index
    _check_roles(tuple(entries.values()))
    return tuple(entries.values()), table


def _check_roles(classes: Sequence[ClassEntry]) -> None:
    if sum(entry.background for entry in classes) > 1:
        raise BadSetting("There are two backgrounds. Merge them by giving them the same name.")
    if all(entry.background for entry in classes):
        raise BadSetting("No class is left to learn. Make at least one a class.")


def _new_plan(parent: Dataset, change: Change) -> ImportPlan:
    plan = ImportPlan() if parent.plan is None else parse_plan(parent.plan)
    return plan.model_copy(
        update={"groups": change.groups or plan.groups, "split": change.split or plan.split}
    )


def _kept_split(kept: Sequence[Sample], change: Change) -> Assignment:
    to_train = set(change.to_train)
    split = tuple("train" if s.position in to_train else s.split for s in kept)
    if not {"train", "val"} <= set(split):
        raise BadData(
            "No {part} samples would be left. Leave out fewer, or make a new split as well.",
            part="training" if "train" not in split else "validation",
        )
    return Assignment(split=split, fold=tuple(s.fold for s in kept))


def _content_hash(parent: Dataset, change: Change) -> str:
    """Fingerprint of the content; the parent's when only groups and split differ."""
    content = change.to_dict()
    if not (content["leave_out"] or content["classes"]):
        return parent.content_hash
    changed = json.dumps([parent.content_hash, content["leave_out"], content["classes"]])
    return hashlib.sha256(changed.encode()).hexdigest()
