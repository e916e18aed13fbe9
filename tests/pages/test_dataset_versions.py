"""Corrections of a dataset: names, promises, and the split that is left."""

from dataclasses import replace

import pytest

from engine.datasets.importer import MAX_NAME_CHARS, check_name
from engine.datasets.versions import Change, ClassChange
from pages.common import dataset_versions
from pages.common.dataset_findings import swapped
from tests.pages.support import MARKUP, MARKUP_SHOWN, as_read
from tests.pages.test_dataset_filters import NAMES, SAMPLES


@pytest.mark.parametrize(
    "name, expected",
    [
        ("cells", "cells v2"),
        ("cells v2", "cells v3"),
        ("cells v9", "cells v10"),
        ("v2", "v2 v2"),
        ("cells v", "cells v v2"),
        ("cellsv2", "cellsv2 v2"),
    ],
)
def test_next_version_counts_on(name, expected):
    assert dataset_versions.next_name(name) == expected


@pytest.mark.parametrize("name", ["x" * MAX_NAME_CHARS, "x" * (MAX_NAME_CHARS - 4) + " v99"])
def test_next_name_of_a_long_name_can_be_used(name):
    named = dataset_versions.next_name(name)
    check_name(named)
    assert named != name


def test_samples_left_out_are_counted_and_named(dataset):
    change = Change(leave_out=(3, 1))
    (sentence,) = dataset_versions.promises(change, dataset, SAMPLES, NAMES)
    assert as_read(sentence) == "**2 of 4 samples** are left out: right/cell 01, left/Zelle_Ö."
    assert dataset_versions.split_after(change, SAMPLES) == ["train", "test"]


def test_of_many_samples_the_first_are_named(dataset):
    change = Change(leave_out=tuple(range(9)))
    names = [f"n{number}" for number in range(9)]
    (sentence,) = dataset_versions.promises(change, dataset, SAMPLES, names)
    assert sentence.endswith("n0, n1, n2, n3, n4, n5 and 3 more.")


def test_copies_that_are_in_training_already_are_not_said_to_go_there(dataset):
    change = Change(to_train=(0, 2))
    (sentence,) = dataset_versions.promises(change, dataset, SAMPLES, NAMES)
    assert "**1 samples** go to training" in sentence
    assert "left/cell 02" in as_read(sentence)
    assert "Cell 01" not in sentence
    assert dataset_versions.split_after(change, SAMPLES) == ["train", "val", "train", "test"]


def test_every_change_of_a_class_is_said_and_nothing_else(dataset):
    def rule(index, **changes):
        entry = dataset.classes[index]
        role = "background" if entry.background else "class"
        values = {"index": index, "name": entry.name, "color": entry.color, "role": role}
        return ClassChange(**values | changes)

    def promised(*rules):
        change = Change(classes=rules)
        return [
            as_read(each) for each in dataset_versions.promises(change, dataset, SAMPLES, NAMES)
        ]

    assert promised(rule(0), rule(1, name=MARKUP), rule(2)) == [
        as_read(f"The class **class 1** becomes **{MARKUP_SHOWN}**.")
    ]
    assert promised(rule(0), rule(1), rule(2, name="class 1")) == [
        "The class **class 2** is merged into **class 1**."
    ]
    assert promised(rule(0), rule(1), rule(2, role="ignore")) == [
        "Pixels of the class **class 2** no longer count."
    ]
    assert promised(rule(0), rule(1, color="#123456"), rule(2)) == [
        "The class **class 1** gets another colour."
    ]
    assert promised(rule(0, role="class", name="rest"), rule(1, role="background"), rule(2)) == [
        "The background becomes the class **rest**.",
        "**class 1** becomes the background.",
    ]


def test_swap_exchanges_what_is_seen_and_counted_and_is_its_own_inverse(add_dataset):
    binary = add_dataset(rectangles=False)
    change = swapped(binary)
    first, second = change.classes
    assert (first.role, second.role) == ("class", "background")
    assert (first.name, second.name) == ("foreground", "background")
    assert (first.color, second.color) == (binary.classes[1].color, binary.classes[0].color)


def test_swap_keeps_names_that_say_what_is_there(add_dataset):
    binary = add_dataset(rectangles=False)
    named = replace(
        binary,
        classes=tuple(
            replace(entry, name=name)
            for entry, name in zip(binary.classes, ("membrane", "cell"), strict=True)
        ),
    )
    assert [rule.name for rule in swapped(named).classes] == ["membrane", "cell"]
    assert [rule.role for rule in swapped(named).classes] == ["class", "background"]


def test_three_classes_cannot_be_swapped(dataset):
    assert swapped(dataset) is None
