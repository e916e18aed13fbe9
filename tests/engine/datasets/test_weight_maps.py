"""Weight maps against the paper's formula, pixel by pixel."""

import numpy as np
import pytest
from scipy import ndimage

from engine.datasets.weight_maps import border_map
from engine.scores.counts import IGNORED_INDEX

BACKGROUND = frozenset({0})


def objects_of(mask, background):
    """Pixels of each object, found by flooding from pixel to pixel."""
    waiting = {
        (y, x) for y, x in np.ndindex(mask.shape) if mask[y, x] not in {*background, IGNORED_INDEX}
    }
    found = []
    while waiting:
        edge = [waiting.pop()]
        pixels = list(edge)
        while edge:
            y, x = edge.pop()
            for place in [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if place in waiting and mask[place] == mask[y, x]:
                    waiting.remove(place)
                    edge.append(place)
                    pixels.append(place)
        found.append(np.array(pixels))
    return found


def formula(mask, background, sigma_px):
    """Equation 2 of the paper, by comparing every pixel with every other."""
    objects = objects_of(mask, background)
    result = np.zeros(mask.shape, np.uint8)
    for place in np.ndindex(mask.shape):
        if mask[place] in background and len(objects) > 1:
            distances = sorted(np.hypot(*(each - place).T).min() for each in objects)
            together = distances[0] + distances[1]
            result[place] = round(255 * np.exp(-(together**2) / (2 * sigma_px**2)))
    return result


def blobs(seed, shape=(22, 26), classes=(1,), share=0.06):
    rng = np.random.default_rng(seed)
    seeds = (rng.random(shape) < share) * rng.choice(classes, shape)
    return ndimage.grey_dilation(seeds, size=(2, 3)).astype(np.uint8)


@pytest.mark.parametrize("sigma_px", [0.5, 1.5, 5.0, 30.0])
@pytest.mark.parametrize("share", [0.006, 0.06])
def test_border_map_is_the_papers_formula(sigma_px, share):
    mask = blobs(0, share=share)
    expected = formula(mask, BACKGROUND, sigma_px)
    assert np.array_equal(border_map(mask, BACKGROUND, sigma_px), expected)
    assert len(objects_of(mask, BACKGROUND)) > 1


def test_two_ways_to_the_distances_agree(monkeypatch):
    """A wide σ on many objects goes another way than a narrow one; each is tried on all."""
    mask = blobs(1, share=0.08)
    expected = formula(mask, BACKGROUND, 4.0)
    for cost in (1e9, 0.0):
        monkeypatch.setattr("engine.datasets.weight_maps._COST_OF_WHOLE", cost)
        assert np.array_equal(border_map(mask, BACKGROUND, 4.0), expected)
    assert expected.any()


def test_each_foreground_class_has_objects_of_its_own():
    mask = blobs(2, classes=(1, 2, 4))
    mask[6:9, 10:18] = IGNORED_INDEX
    mask[16:, :8] = 3
    background = frozenset({0, 3})
    assert np.array_equal(border_map(mask, background, 3.0), formula(mask, background, 3.0))


def test_gap_of_one_pixel_between_two_walls_has_the_hand_computed_weight():
    mask = np.array([[1, 0, 1, 1, 1, 1, 1]] * 3, np.uint8)
    # d1 = d2 = 1: exp(-(1 + 1)² / (2 · 5²)) = exp(-0.08) = 0.92312, times 255.
    assert border_map(mask, BACKGROUND, 5.0).tolist() == [[0, 235, 0, 0, 0, 0, 0]] * 3


def test_parts_that_touch_at_a_corner_are_one_object():
    mask = np.zeros((6, 6), np.uint8)
    mask[0, 0] = mask[1, 1] = 1
    assert not border_map(mask, BACKGROUND, 5.0).any()
    mask[1, 1] = 2
    assert border_map(mask, BACKGROUND, 5.0).any()


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((5, 5)),
        np.eye(5),
        np.ones((5, 5)),
        np.full((5, 5), IGNORED_INDEX),
        [[1, IGNORED_INDEX, 1]],
        [[IGNORED_INDEX, 0, 1]],
        [[0]],
    ],
    ids=["empty", "one object", "full", "all ignored", "no background", "ignored", "one pixel"],
)
def test_without_a_gap_between_two_objects_there_is_no_border(mask):
    assert not border_map(np.array(mask, np.uint8), BACKGROUND, 5.0).any()


def test_dataset_whose_classes_are_all_foreground_has_no_borders():
    mask = blobs(3, classes=(1, 2))
    assert not border_map(mask, frozenset(), 5.0).any()


def test_border_is_nowhere_inside_objects_nor_on_ignored_pixels():
    mask = blobs(4)
    mask[::7] = IGNORED_INDEX
    border = border_map(mask, BACKGROUND, 5.0)
    assert border[mask == 0].any()
    assert not border[mask != 0].any()


def test_turning_a_mask_turns_its_border():
    mask = blobs(5)
    turned = border_map(np.rot90(mask).copy(), BACKGROUND, 5.0)
    assert np.array_equal(turned, np.rot90(border_map(mask, BACKGROUND, 5.0)))
