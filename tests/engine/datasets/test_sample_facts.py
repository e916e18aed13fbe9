"""What is measured of a sample."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from engine.datasets.quality.facts import SampleFacts, measure, object_sizes
from engine.datasets.quality.fingerprints import pixel_hash
from engine.store.datasets import ClassEntry

Pixels = NDArray[np.uint8]


def classes(num: int, background: int | None = 0) -> list[ClassEntry]:
    return [
        ClassEntry(
            index=index,
            name=f"class {index}",
            color="#000000",
            background=index == background,
            source_value=index,
        )
        for index in range(num)
    ]


def noise(height: int = 40, width: int = 50) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)


def mask_of(rows: str) -> Pixels:
    return np.array([[int(cell) for cell in row] for row in rows.split()], np.uint8)


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_objects_are_what_a_labelling_finds(mask: NDArray[np.bool_]) -> None:
    labels, num = ndimage.label(mask, structure=np.ones((3, 3)))
    sizes = object_sizes(mask)
    assert len(sizes) == num
    assert sorted(sizes) == sorted(np.bincount(labels.ravel())[1:])


def test_objects_of_a_large_mask_are_counted_at_full_size() -> None:
    mask = np.zeros((2500, 2500), np.bool_)
    mask[10:2000, 10:2000] = True
    mask[2400, 2400] = True
    assert object_sizes(mask).tolist() == [1990 * 1990, 1]


def test_objects_touch_at_corners_and_not_around_the_edge() -> None:
    coded = mask_of("10000 01001 00000 10000 10000")
    facts = measure(noise(5, 5), coded, classes(2))
    assert (facts.num_objects, facts.smallest_object_px, facts.num_specks) == (3, 1, 3)


def test_classes_that_touch_are_one_object_and_ignored_pixels_are_none() -> None:
    coded = np.array([[1, 2, 0, 255, 255]] * 3, np.uint8)
    facts = measure(noise(3, 5), coded, classes(3))
    assert (facts.num_objects, facts.smallest_object_px, facts.num_specks) == (1, 6, 0)


def test_empty_masks_have_no_objects() -> None:
    facts = measure(noise(), np.zeros((40, 50), np.uint8), classes(2), num_instances=0)
    assert (facts.num_objects, facts.smallest_object_px, facts.num_specks) == (0, None, 0)
    assert facts.num_instances == 0
    assert facts.border_share == 0
    assert facts.alignment is None


def test_the_border_share_is_of_the_border_pixels_that_count() -> None:
    coded = mask_of("1100 0000 0000 0000")
    coded[3] = 255
    # Rows and columns: 4 + 0 ignored + 3 + 3 pixels count, 2 + 1 of them are foreground.
    assert measure(noise(4, 4), coded, classes(2)).border_share == pytest.approx(0.3)
    all_ignored = np.full((4, 4), 255, np.uint8)
    assert measure(noise(4, 4), all_ignored, classes(2)).border_share is None


def test_grey_levels_are_shares_of_white() -> None:
    image = np.zeros((10, 10), np.uint8)
    image[:5] = 255
    facts = measure(image, np.zeros((10, 10), np.uint8), classes(2))
    assert (facts.brightness, facts.contrast) == (0.5, 0.5)
    assert (facts.black_share, facts.white_share) == (0.5, 0.5)
    assert (facts.darkest, facts.brightest) == (0, 1)
    assert not facts.is_constant


def test_a_few_bright_pixels_do_not_make_a_dark_image_bright() -> None:
    image = np.full((100, 100), 5, np.uint8)
    image[0, :5] = 255
    facts = measure(image, np.zeros((100, 100), np.uint8), classes(2))
    assert facts.brightest == pytest.approx(5 / 255, abs=1e-4)
    assert facts.white_share == pytest.approx(0.0005)


def test_constant_means_every_pixel_of_every_channel() -> None:
    empty = np.zeros((8, 8), np.uint8)
    color = np.full((8, 8, 3), (10, 200, 30), np.uint8)
    assert measure(color, empty, classes(2)).is_constant
    color[3, 3] = (11, 200, 30)
    assert not measure(color, empty, classes(2)).is_constant


@pytest.mark.parametrize("levels", [(0, 255), (90, 30), (0, 1)])
def test_an_image_that_is_its_mask_is_recognised(levels: tuple[int, int]) -> None:
    coded = np.zeros((60, 60), np.uint8)
    coded[10:40, 20:50] = 1
    image = np.array(levels, np.uint8)[coded]
    assert measure(image, coded, classes(2)).is_copy_of_mask == (levels != (0, 1))


def test_a_picture_of_bright_objects_is_no_copy_of_its_mask() -> None:
    generator = np.random.default_rng(0)
    coded = np.zeros((60, 60), np.uint8)
    coded[10:40, 20:50] = 1
    image = np.clip(60 + 120.0 * coded + generator.normal(0, 10, coded.shape), 0, 255)
    assert not measure(image.astype(np.uint8), coded, classes(2)).is_copy_of_mask
    assert not measure(np.full((60, 60), 9, np.uint8), coded, classes(2)).is_copy_of_mask


def test_hashes_tell_masks_and_images_apart() -> None:
    coded = np.zeros((40, 50), np.uint8)
    other = coded.copy()
    other[3, 3] = 1
    first, second = (measure(noise(), mask, classes(2)) for mask in (coded, other))
    assert first.mask_hash != second.mask_hash
    assert first.fingerprint == second.fingerprint
    third = measure(noise() ^ 1, coded, classes(2))
    assert third.mask_hash == first.mask_hash
    assert pixel_hash(third.fingerprint) != pixel_hash(first.fingerprint)


def test_facts_survive_json() -> None:
    coded = np.zeros((80, 80), np.uint8)
    coded[20:50, 30:60] = 1
    image = (noise(80, 80) // 4 + 100 * coded).astype(np.uint8)
    facts = measure(image, coded, classes(2), num_instances=3)
    assert facts.alignment is not None and facts.num_instances == 3
    assert SampleFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts
    without = measure(image, np.zeros_like(coded), classes(2))
    assert SampleFacts.from_dict(json.loads(json.dumps(without.to_dict()))) == without


def test_facts_of_another_version_are_none() -> None:
    facts = measure(noise(), np.zeros((40, 50), np.uint8), classes(2)).to_dict()
    assert SampleFacts.from_dict({}) is None
    assert SampleFacts.from_dict(facts | {"unknown": 1}) is None
    facts.pop("contrast")
    assert SampleFacts.from_dict(facts) is None


@given(
    st.sampled_from([(), (3,)]),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 2**31),
)
def test_every_size_can_be_measured(
    channels: tuple[int, ...], shape: tuple[int, int], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (*shape, *channels), np.uint8)
    coded = generator.choice(np.array([0, 1, 2, 255], np.uint8), shape)
    facts = measure(image, coded, classes(3))
    assert 0 <= facts.brightness <= 1
    assert 0 <= facts.darkest <= facts.brightest <= 1
    json.dumps(facts.to_dict(), allow_nan=False)
