"""Masks that lie beside their objects are told from those that fit."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from engine.datasets.quality.alignment import Alignment, measure_alignment

Pixels = NDArray[np.uint8]


def blobs(seed: int, height: int = 256, width: int = 256, num: int = 9) -> tuple[Pixels, Pixels]:
    """A noisy picture of bright and dark ellipses on uneven ground, and their mask."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    levels = 90 + 30 * np.sin(x / 60 + seed) + 20 * np.cos(y / 80)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(num):
        center_y, center_x = generator.uniform(0.1, 0.9, 2) * (height, width)
        radius_y, radius_x = generator.uniform(0.03, 0.09, 2) * min(height, width)
        inside = ((y - center_y) / radius_y) ** 2 + ((x - center_x) / radius_x) ** 2 <= 1
        levels[inside] = generator.choice([40, 150, 190])
        mask[inside] = 1
    noisy = np.clip(levels + generator.normal(0, 8, levels.shape), 0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(noisy).filter(ImageFilter.GaussianBlur(1))), mask


def moved(mask: Pixels, down: int, right: int) -> Pixels:
    """The mask moved without wrapping around."""
    height, width = mask.shape
    padded = np.pad(mask, ((abs(down),) * 2, (abs(right),) * 2))
    top, left = abs(down) - down, abs(right) - right
    return np.ascontiguousarray(padded[top : top + height, left : left + width])


def alignment_of(image: Pixels, mask: Pixels) -> Alignment:
    found = measure_alignment(Image.fromarray(image), np.ascontiguousarray(mask))
    assert found is not None
    return found


@pytest.mark.parametrize("shape", [(256, 256), (300, 200), (64, 80), (700, 900)])
def test_masks_that_fit_are_not_suspected(shape: tuple[int, int]) -> None:
    for seed in range(15):
        found = alignment_of(*blobs(seed, *shape))
        assert not found.is_shifted and not found.is_turned
        assert found.as_it_is > 6


@pytest.mark.parametrize(("down", "right"), [(10, 0), (0, -10), (-8, 7), (9, 9)])
def test_a_moved_mask_is_found_with_the_way_back(down: int, right: int) -> None:
    for seed in range(10):
        image, mask = blobs(seed)
        found = alignment_of(image, moved(mask, down, right))
        assert found.is_shifted
        assert abs(found.down_px + down) <= 3 and abs(found.right_px + right) <= 3


MOVES: dict[str, Callable[[Pixels], Pixels]] = {
    "left-right": lambda mask: mask[:, ::-1],
    "upside down": lambda mask: mask[::-1],
    "half a turn": lambda mask: mask[::-1, ::-1],
    "transposed": lambda mask: mask.T,
    "a quarter": lambda mask: np.rot90(mask),
    "a quarter back": lambda mask: np.rot90(mask, 3),
    "the other diagonal": lambda mask: mask[::-1, ::-1].T,
}


@pytest.mark.parametrize("move", MOVES)
def test_a_mirrored_or_turned_mask_is_found(move: str) -> None:
    for seed in range(10):
        image, mask = blobs(seed)
        found = alignment_of(image, MOVES[move](mask))
        assert found.is_turned and not found.is_shifted


def test_an_oblong_mask_can_only_be_mirrored() -> None:
    image, mask = blobs(1, 200, 320)
    assert alignment_of(image, mask[:, ::-1]).is_turned


def test_several_classes_are_compared_together() -> None:
    image, mask = blobs(2)
    # The halves of all objects, and of the ground, are classes of their own.
    classes = mask + 2 * (np.arange(256) < 128).astype(np.uint8)
    assert not alignment_of(image, classes).is_shifted
    assert alignment_of(image, moved(classes, 10, 0)).is_shifted
    ignored = np.where(classes == 3, 255, classes).astype(np.uint8)
    assert not alignment_of(image, ignored).is_shifted


def test_an_image_without_edges_raises_no_suspicion() -> None:
    generator = np.random.default_rng(0)
    _, mask = blobs(0)
    for _ in range(20):
        noise = generator.integers(0, 256, (256, 256), np.uint8)
        found = alignment_of(noise, mask)
        assert not found.is_shifted and not found.is_turned


def test_nothing_is_told_without_edges_or_from_tiny_pictures() -> None:
    image, mask = blobs(0)
    assert measure_alignment(Image.fromarray(image), np.zeros_like(mask)) is None
    assert measure_alignment(Image.fromarray(np.full_like(image, 7)), mask) is None
    assert measure_alignment(Image.fromarray(image[:12, :200]), mask[:12, :200]) is None
    assert measure_alignment(Image.fromarray(image[:1, :1]), mask[:1, :1]) is None
