"""What the samples of a dataset add up to: sums, groups, bins, tables."""

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.common import dataset_numbers
from pages.common.dataset_numbers import histogram
from tests.pages.test_dataset_filters import SAMPLES, sample


def test_parts_hold_their_own_pixels_and_images_and_the_whole_comes_last(dataset):
    two = replace(dataset, classes=dataset.classes[:2])
    parts = dataset_numbers.parts_of(two, SAMPLES)
    assert list(parts) == ["train", "val", "test", "all"]
    assert [part.num_samples for part in parts.values()] == [1, 1, 2, 4]
    assert parts["test"].class_pixels == (40, 56)
    assert parts["test"].class_share == pytest.approx((40 / 96, 56 / 96))
    assert parts["all"].class_pixels == (128, 64)
    assert parts["all"].images_showing == (3, 3)
    assert parts["val"].images_showing == (1, 0)


def test_part_without_samples_is_not_there(dataset):
    two = replace(dataset, classes=dataset.classes[:2])
    assert list(dataset_numbers.parts_of(two, SAMPLES[:1])) == ["train", "all"]


def test_share_of_a_part_whose_pixels_are_all_ignored_is_nothing(dataset):
    two = replace(dataset, classes=dataset.classes[:2])
    parts = dataset_numbers.parts_of(two, [sample(0, pixels=(0, 0))])
    assert parts["all"].class_share == (0.0, 0.0)


def test_groups_come_largest_first_with_the_parts_they_are_in():
    grouped = [
        replace(sample(0), group="b"),
        replace(sample(1, split="test"), group="a"),
        replace(sample(2), group="a"),
        sample(3),
    ]
    groups = dataset_numbers.groups_of(grouped)
    assert [(g.name, g.positions, g.splits) for g in groups] == [
        ("a", (1, 2), ("train", "test")),
        ("b", (0,), ("train",)),
    ]


def test_folds_are_counted_and_test_samples_are_in_none():
    folds = [replace(sample(n), fold=fold) for n, fold in enumerate([2, 1, 2, None])]
    assert dataset_numbers.fold_sizes(folds) == {1: 1, 2: 2}
    assert dataset_numbers.fold_sizes(SAMPLES) == {}


@pytest.mark.parametrize(
    "facts, num",
    [
        ({}, None),
        ({"num_objects": 3}, 3),
        ({"num_objects": 3, "num_instances": None}, 3),
        ({"num_objects": 3, "num_instances": 5}, 5),
    ],
)
def test_objects_that_were_numbered_go_before_connected_parts(facts, num):
    assert dataset_numbers.num_objects(replace(sample(0), facts=facts)) == num


def test_mean_size_of_objects_counts_the_foreground_only(dataset):
    found = replace(sample(0, pixels=(400, 30, 12)), facts={"num_objects": 6})
    assert dataset_numbers.mean_object_px(found, dataset.classes) == 7
    assert dataset_numbers.mean_object_px(sample(0, pixels=(4, 3, 1)), dataset.classes) is None


def test_whole_numbers_of_a_narrow_range_have_a_bin_each():
    left, right, counts = histogram([3, 1, 1, 5])
    assert counts == [2, 0, 1, 0, 1]
    assert [(a + b) / 2 for a, b in zip(left, right, strict=True)] == [1, 2, 3, 4, 5]


VALUES = st.one_of(st.just(0.0), st.floats(1e-3, 1e6))


@given(st.lists(VALUES, min_size=1, max_size=200), st.booleans())
def test_every_value_is_in_one_bin(values, logarithmic):
    left, right, counts = histogram(values, logarithmic=logarithmic)
    assert sum(counts) == len(values)
    assert left[0] <= min(values) and right[-1] >= max(values)
    assert all(a < b for a, b in zip(left, right, strict=True))
    assert len(counts) <= 30


def test_csv_holds_what_is_stored_and_only_the_samples_asked_for(dataset):
    two = replace(dataset, classes=dataset.classes[:2])
    measured = replace(SAMPLES[2], facts={"num_objects": 4, "brightness": 0.5}, group='a,"b"')
    text = dataset_numbers.samples_csv(two, [SAMPLES[1], measured], {2: ["leaks", "dark_images"]})
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["sample"], first["split"], first["findings"]) == ("images/1", "val", "")
    assert (first["num_objects"], first["group"]) == ("", "")
    assert (second["position"], second["width"], second["height"]) == ("2", "6", "8")
    assert (second["num_objects"], second["brightness"]) == ("4", "0.5")
    assert (second["group"], second["findings"]) == ('a,"b"', "leaks dark_images")
    assert second["pixels:class 1"] == "8"
    assert "images/0" not in text


def test_sizes_are_said_in_one_number_when_they_agree():
    assert dataset_numbers.sizes_words(SAMPLES[:2]) == "All images have 8×6 pixels."
    assert dataset_numbers.sizes_words(SAMPLES) == "Widths from 6 to 8, heights from 6 to 8 pixels."


RULES = [
    {"name": "background", "color": "#000000", "role": "background", "values": [0]},
    {"name": "cell", "color": "#e69f00", "role": "class", "values": [1]},
    {"name": "cell", "color": "#e69f00", "role": "class", "values": [7]},
]


@pytest.mark.parametrize(
    "masks, expected",
    [
        ({"meaning": "values", "classes": RULES}, ["0", "1, 7"]),
        ({"meaning": "colors", "classes": RULES}, ["#000000", "#000001, #000007"]),
        ({"meaning": "threshold", "threshold": 40, "classes": RULES[:2]}, ["< 40", "≥ 40"]),
        (None, ["0", "1"]),
    ],
)
def test_value_of_a_class_is_told_as_the_import_read_it(dataset, masks, expected):
    read = replace(dataset, plan=masks and {"version": 1, "masks": masks})
    classes = [replace(entry, source_value=n) for n, entry in enumerate(dataset.classes[:2])]
    assert [dataset_numbers.value_word(read, entry) for entry in classes] == expected
