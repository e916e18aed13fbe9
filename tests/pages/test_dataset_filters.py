"""Which samples pass the filters of the data set page."""

import pytest

from engine.store.datasets import Sample
from pages.common.dataset_filters import Filters, matching, size_counts


def sample(position, *, width=8, height=6, pixels=(40, 8), split="train"):
    return Sample(
        position=position,
        name=f"images/{position}",
        image_file=f"{position:06d}.png",
        mask_file=f"{position:06d}.png",
        width=width,
        height=height,
        class_pixels=pixels,
        split=split,
    )


SAMPLES = [
    sample(0),
    sample(1, pixels=(48, 0), split="val"),
    sample(2, width=6, height=8, split="test"),
    sample(3, pixels=(0, 48), split="test"),
]
NAMES = ["left/Cell 01", "right/cell 01", "left/cell 02", "left/Zelle_Ö"]


def found(**filters):
    return matching(SAMPLES, NAMES, Filters(**filters))


def test_without_filters_every_sample_is_shown():
    assert found() == [0, 1, 2, 3]
    assert not Filters().are_set


@pytest.mark.parametrize(
    "filters, positions",
    [
        ({"class_index": 1}, [0, 2, 3]),
        ({"class_index": 0}, [0, 1, 2]),
        ({"size": "6x8"}, [2]),
        ({"size": "9x9"}, []),
        ({"split": "test"}, [2, 3]),
        ({"positions": (3, 1)}, [1, 3]),
        ({"positions": ()}, []),
        ({"text": "CELL"}, [0, 1, 2]),
        ({"text": "01 left"}, [0]),
        ({"text": "zelle_ö"}, [3]),
        ({"text": "   "}, [0, 1, 2, 3]),
    ],
)
def test_each_filter_keeps_what_it_asks_for_and_nothing_else(filters, positions):
    assert found(**filters) == positions
    assert Filters(**filters).are_set


def test_filters_are_all_asked_at_once():
    assert found(split="test", class_index=1, text="left", size="8x6") == [3]
    assert found(split="val", class_index=1) == []


def test_sizes_are_told_apart_by_width_and_height_the_most_frequent_first():
    assert list(size_counts(SAMPLES).items()) == [("8x6", 3), ("6x8", 1)]
