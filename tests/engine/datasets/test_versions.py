"""A correction is a new dataset; the old one stays as it was."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.config import SplitConfig
from engine.datasets.importer import import_dataset
from engine.datasets.plan import GroupPlan
from engine.datasets.versions import Change, ClassChange, derive, parse_change
from engine.errors import BadData, BadSetting, NotFound, Stopped
from engine.notes import Note
from engine.pictures.masks import read_index_png
from engine.store import datasets
from engine.store.datasets import Dataset
from engine.workbench import Workbench

Encode = Callable[..., bytes]

RENAMED = (
    ClassChange(index=0, name="ground", color="#000000", role="background"),
    ClassChange(index=1, name="cell", color="#ff0000"),
    ClassChange(index=2, name="cell", color="#ff0000"),
    ClassChange(index=3, name="dirt", color="#00ff00", role="ignore"),
)
"""The second and third class merged, the fourth ignored."""


@pytest.fixture
def parent(workbench: Workbench, make_zip: Callable[..., Path], encode: Encode) -> Dataset:
    """Twelve samples of four classes."""
    members = {}
    for number in range(12):
        generator = np.random.default_rng(number)
        image = generator.integers(0, 256, (24, 32), np.uint8)
        mask = (np.indices((24, 32)).sum(0) // (number + 2) % 4).astype(np.uint8)
        members[f"images/{number}.png"] = encode(image)
        members[f"masks/{number}.png"] = encode(mask)
    return import_dataset(workbench, make_zip(members), name="cells", actor="ada")


def derived(workbench: Workbench, parent: Dataset, **change: Any) -> Dataset:
    return derive(workbench, parent.id, Change(**change), name="cells v2", actor="bob")


def path(workbench: Workbench, dataset: Dataset, file: str) -> Path:
    return workbench.files.path(f"datasets/{dataset.id}/{file}")


def everything(workbench: Workbench, dataset: Dataset) -> tuple[Any, ...]:
    """A dataset's rows and files."""
    folder = path(workbench, dataset, "masks").parent
    files = {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    samples = datasets.samples(workbench.database, dataset.id)
    return datasets.get(workbench.database, dataset.id), samples, files


def test_version_remembers_its_parent_and_what_was_changed_and_the_parent_stays(
    workbench: Workbench, parent: Dataset
) -> None:
    before = everything(workbench, parent)
    child = derived(workbench, parent, leave_out=(3,), classes=RENAMED)
    assert (child.parent_id, child.name, child.actor) == (parent.id, "cells v2", "bob")
    assert child.change is not None
    said = " ".join(str(Note.from_record(record)) for record in child.change)
    assert "1 of 12 samples" in said and "“dirt”" in said
    assert everything(workbench, parent) == before
    assert child.content_hash != parent.content_hash
    assert [each.id for each in datasets.corrections_of(workbench.database, parent.id)] == [
        child.id
    ]


def test_samples_that_are_left_out_are_gone_and_the_others_move_up(
    workbench: Workbench, parent: Dataset
) -> None:
    child = derived(workbench, parent, leave_out=(0, 5, 11))
    old = datasets.samples(workbench.database, parent.id)
    new = datasets.samples(workbench.database, child.id)
    kept = [sample for sample in old if sample.position not in (0, 5, 11)]
    assert [sample.position for sample in new] == list(range(9))
    for before, after in zip(kept, new, strict=True):
        assert (before.name, before.split, before.facts) == (after.name, after.split, after.facts)
        for kind, file in (
            ("images", "{0.image_file}"),
            ("masks", "{0.mask_file}"),
            ("thumbs", "{0.stem}.webp"),
            ("thumbs", "{0.stem}.mask.png"),
        ):
            old_path = path(workbench, parent, f"{kind}/{file.format(before)}")
            new_path = path(workbench, child, f"{kind}/{file.format(after)}")
            assert os.path.samefile(old_path, new_path), "unchanged files are shared"
    assert len(list(path(workbench, child, "images").iterdir())) == 9


def test_classes_are_renamed_merged_and_ignored_in_every_mask(
    workbench: Workbench, parent: Dataset
) -> None:
    child = derived(workbench, parent, classes=RENAMED)
    assert [(e.index, e.name, e.color, e.background) for e in child.classes] == [
        (0, "ground", "#000000", True),
        (1, "cell", "#ff0000", False),
    ]
    table = np.array([0, 1, 1, 255], np.uint8)
    for sample in datasets.samples(workbench.database, child.id):
        old = read_index_png(path(workbench, parent, f"masks/{sample.mask_file}"))
        new = read_index_png(path(workbench, child, f"masks/{sample.mask_file}"))
        assert (new == table[old]).all()
        assert sample.class_pixels == (int((new == 0).sum()), int((new == 1).sum()))


def test_another_split_leaves_content_and_files_as_they_are(
    workbench: Workbench, parent: Dataset
) -> None:
    split = SplitConfig(split_method="k_fold", num_folds=3, test_share=0.25)
    child = derived(workbench, parent, split=split)
    assert child.content_hash == parent.content_hash
    samples = datasets.samples(workbench.database, child.id)
    assert {sample.fold for sample in samples if sample.split != "test"} == {1, 2, 3}
    assert {sample.split for sample in samples} == {"train", "val", "test"}
    report = datasets.report(workbench.database, child.id)
    assert not any("holds exactly the same" in record["message"] for record in report["warnings"])


def test_groups_are_found_anew_and_kept_together(workbench: Workbench, parent: Dataset) -> None:
    child = derived(
        workbench,
        parent,
        groups=GroupPlan(by="pattern", pattern=r"(\d)\d?$"),
        split=SplitConfig(split_method="random", val_share=0.3, test_share=0.2),
    )
    by_group: dict[str, set[str]] = {}
    for sample in datasets.samples(workbench.database, child.id):
        assert sample.group is not None
        by_group.setdefault(sample.group, set()).add(sample.split)
    assert all(len(parts) == 1 for parts in by_group.values())


def test_samples_can_be_moved_to_training_and_nothing_else_moves(
    workbench: Workbench, parent: Dataset
) -> None:
    old = datasets.samples(workbench.database, parent.id)
    moved = next(sample.position for sample in old if sample.split == "test")
    child = derived(workbench, parent, to_train=(moved,))
    for before, after in zip(old, datasets.samples(workbench.database, child.id), strict=True):
        assert after.split == ("train" if before.position == moved else before.split)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"leave_out": range(12)}, BadData, "Every sample would be left out"),
        ({"leave_out": (12,)}, BadSetting, "no sample 12; the dataset has 12"),
        ({"to_train": range(12)}, BadData, "No validation samples would be left"),
        ({"classes": RENAMED[:3]}, BadSetting, "names 3 classes, the dataset has 4"),
        (
            {
                "classes": [
                    *RENAMED[:3],
                    ClassChange(index=3, name="b", color="#000000", role="background"),
                ]
            },
            BadSetting,
            "two backgrounds",
        ),
        (
            {
                "classes": [
                    ClassChange(index=i, name="b", color="#000000", role="background")
                    for i in range(4)
                ]
            },
            BadSetting,
            "No class is left",
        ),
    ],
)
def test_change_that_does_not_fit_is_refused_and_leaves_nothing(
    workbench: Workbench, parent: Dataset, change: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        derived(workbench, parent, **change)
    assert [each.id for each in datasets.all_newest_first(workbench.database)] == [parent.id]
    assert [each.name for each in workbench.files.path("datasets").iterdir()] == [parent.id]


def test_change_of_nothing_is_refused() -> None:
    with pytest.raises(BadSetting, match="Nothing is changed"):
        parse_change({})
    with pytest.raises(BadSetting, match="Give one of both"):
        parse_change({"to_train": [1], "split": {"split_method": "random"}})
    change = Change(leave_out=(1, 2), classes=RENAMED, groups=GroupPlan(by="folder"))
    assert parse_change(change.to_dict()) == change


def test_unknown_parent_and_missing_file_and_stop_leave_nothing(
    workbench: Workbench, parent: Dataset
) -> None:
    with pytest.raises(NotFound):
        derive(workbench, "none", Change(leave_out=(1,)), name="x", actor="bob")
    with pytest.raises(Stopped):
        derive(
            workbench,
            parent.id,
            Change(leave_out=(1,)),
            name="x",
            actor="bob",
            should_stop=lambda: True,
        )
    path(workbench, parent, "thumbs/000004.webp").unlink()
    with pytest.raises(BadData, match=r"thumbs/000004\.webp"):
        derived(workbench, parent, leave_out=(1,))
    assert [each.name for each in workbench.files.path("datasets").iterdir()] == [parent.id]


def test_version_of_a_version_and_deleting_the_first_keep_the_files(
    workbench: Workbench, parent: Dataset
) -> None:
    child = derived(workbench, parent, leave_out=(0,))
    grandchild = derived(workbench, child, leave_out=(0,))
    datasets.delete(workbench.database, parent.id, actor="ada")
    workbench.files.remove(f"datasets/{parent.id}")
    assert datasets.get(workbench.database, grandchild.id).parent_id == child.id
    for sample in datasets.samples(workbench.database, grandchild.id):
        assert path(workbench, grandchild, f"images/{sample.image_file}").stat().st_size
