"""The numbers that settings are fitted to: counted by hand, and from the right samples."""

import math

import pytest

from engine.datasets.profile import profile_of
from engine.store.datasets import ClassEntry, Dataset, Sample

SPLIT = {"train": [0, 1, 3], "val": [2], "test": [4]}


def dataset(num_classes=3):
    return Dataset(
        id="d0000001",
        name="cells",
        actor="ann",
        created_at=0.0,
        content_hash="0" * 64,
        num_samples=5,
        num_channels=3,
        classes=tuple(
            ClassEntry(index=k, name=f"c{k}", color="#000000", background=k == 0, source_value=k)
            for k in range(num_classes)
        ),
        plan=None,
        parent_id=None,
        change=None,
        tags=(),
        notes="",
    )


def samples(*rows):
    """Samples of (width, height, class pixels, facts)."""
    return [
        Sample(
            position=position,
            name=f"s{position}",
            image_file="",
            mask_file="",
            width=width,
            height=height,
            class_pixels=pixels,
            split="train",
            facts=facts,
        )
        for position, (width, height, pixels, facts) in enumerate(rows)
    ]


SAMPLES = samples(
    (10, 10, (50, 30, 20), {"num_objects": 2}),
    (10, 40, (400, 0, 0), {"num_objects": 0}),
    (2, 8, (0, 16, 0), {"num_objects": 1}),
    (30, 30, (750, 150, 0), {"num_objects": 6}),
    (100, 100, (0, 0, 10_000), {"num_objects": 1}),
)


def test_profile_counts_classes_and_objects_of_training_samples_and_sizes_of_all():
    profile = profile_of(dataset(), SAMPLES, SPLIT)
    assert (profile.num_train, profile.num_val, profile.num_test) == (3, 1, 1)
    assert (profile.num_channels, profile.num_classes) == (3, 3)
    assert profile.class_names == ("c0", "c1", "c2")
    assert profile.background == (True, False, False)
    assert profile.class_share == (1200 / 1400, 180 / 1400, 20 / 1400)
    assert profile.foreground_share == pytest.approx(200 / 1400)
    assert profile.rarest == 2
    assert profile.sides_px == (4, 20, 100)
    # 50 px in 2 objects and 150 px in 6 are √25 and √25; the empty sample has no say.
    assert profile.object_px == 5


def test_object_is_the_middle_one_of_the_samples_that_have_any():
    rows = [
        (10, 10, (0, pixels), {"num_objects": num}) for pixels, num in [(1, 1), (8, 2), (81, 1)]
    ]
    profile = profile_of(dataset(2), samples(*rows), {"train": [0, 1, 2], "val": [], "test": []})
    assert profile.object_px == 2


def test_objects_that_were_numbered_are_counted_as_numbered():
    touching = samples((10, 10, (0, 100), {"num_objects": 1, "num_instances": 4}))
    split = {"train": [0], "val": [], "test": []}
    assert profile_of(dataset(2), touching, split).object_px == 5
    unnumbered = samples((10, 10, (0, 100), {"num_objects": 1, "num_instances": None}))
    assert profile_of(dataset(2), unnumbered, split).object_px == 10


@pytest.mark.parametrize("facts", [{}, {"brightness": 0.5}, {"num_objects": 0}])
def test_object_of_unknown_size_is_none(facts):
    row = (10, 10, (40, 60), facts)
    profile = profile_of(dataset(2), samples(row), {"train": [0], "val": [], "test": []})
    assert profile.object_px is None


def test_samples_whose_pixels_are_all_ignored_have_no_shares():
    row = (10, 10, (0, 0), {})
    profile = profile_of(dataset(2), samples(row), {"train": [0], "val": [], "test": []})
    assert profile.class_share == (0, 0)
    assert not any(math.isnan(value) for value in profile.sides_px)
