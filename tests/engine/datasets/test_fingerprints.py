"""Copies are found whatever was done to them; what only resembles is left alone."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from engine.datasets.quality.fingerprints import find_twins, fingerprint, likeness, pixel_hash

Pixels = NDArray[np.uint8]


def scene(seed: int, height: int = 96, width: int = 128, channels: int = 0) -> Pixels:
    """A picture as cameras give them: coarse and fine structure, and noise."""
    generator = np.random.default_rng(seed)
    total = np.zeros((height, width))
    for size in (3, 6, 12, 24):
        coarse = Image.fromarray(generator.normal(0, 1, (size, size)).astype(np.float32))
        fine = coarse.resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(fine) / size**0.5
    total += generator.normal(0, 0.05, total.shape)
    grey = np.clip(120 + 60 * total, 0, 255).astype(np.uint8)
    return np.dstack([grey, grey // 2, 255 - grey]) if channels else grey


def print_of(pixels: Pixels) -> str:
    pixels = np.ascontiguousarray(pixels)
    return fingerprint(pixels, Image.fromarray(pixels).convert("L"))


def as_jpeg(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def resized(pixels: Pixels, factor: float) -> Pixels:
    height, width = pixels.shape[:2]
    size = (round(width * factor), round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size))


CHANGES = {
    "nothing": lambda pixels: pixels.copy(),
    "JPEG 75": lambda pixels: as_jpeg(pixels, 75),
    "JPEG 40": lambda pixels: as_jpeg(pixels, 40),
    "half the size": lambda pixels: resized(pixels, 0.5),
    "larger": lambda pixels: resized(pixels, 1.7),
    "brighter": lambda pixels: np.clip(pixels * 1.1 + 5, 0, 255).astype(np.uint8),
    "noise": lambda pixels: np.clip(
        pixels + np.random.default_rng(0).normal(0, 4, pixels.shape), 0, 255
    ).astype(np.uint8),
    "left-right": lambda pixels: pixels[:, ::-1],
    "upside down": lambda pixels: pixels[::-1],
    "half a turn": lambda pixels: pixels[::-1, ::-1],
    "a quarter": lambda pixels: np.rot90(pixels),
    "a quarter back": lambda pixels: np.rot90(pixels, 3),
    "transposed": lambda pixels: np.swapaxes(pixels, 0, 1),
    "transposed, half a turn": lambda pixels: np.swapaxes(pixels, 0, 1)[::-1, ::-1],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("channels", [0, 3])
def test_a_changed_copy_is_found_among_other_images(change: str, channels: int) -> None:
    others = [print_of(scene(seed, channels=channels)) for seed in range(20)]
    copy = print_of(CHANGES[change](scene(7, channels=channels)))
    assert find_twins([*others, copy]) == [[7, 20]]


def test_different_images_are_no_twins() -> None:
    assert find_twins([print_of(scene(seed)) for seed in range(60)]) == []
    assert find_twins([print_of(scene(0))]) == []
    assert find_twins([]) == []


def test_the_same_grey_levels_in_another_shape_are_no_copy() -> None:
    pixels = scene(1, 64, 128)
    assert pixel_hash(print_of(pixels)) != pixel_hash(print_of(pixels.reshape(128, 64)))
    stretched = np.asarray(Image.fromarray(pixels).resize((128, 128)))
    assert find_twins([print_of(pixels), print_of(stretched)]) == []


def test_exact_copies_share_the_pixel_hash_and_near_ones_do_not() -> None:
    pixels = scene(1)
    assert pixel_hash(print_of(pixels)) == pixel_hash(print_of(pixels.copy()))
    assert pixel_hash(print_of(pixels)) != pixel_hash(print_of(as_jpeg(pixels, 90)))


def test_images_without_content_are_twins_only_when_they_are_equal() -> None:
    black, dark = np.zeros((40, 50), np.uint8), np.full((40, 50), 1, np.uint8)
    small = np.zeros((20, 25), np.uint8)
    prints = [print_of(each) for each in (black, dark, small, black)]
    assert find_twins(prints) == [[0, 3]]


def frame_of_a_fixed_camera(generator: np.random.Generator) -> Pixels:
    """Always the same bright disc and shading; spots lie elsewhere each time."""
    y, x = np.mgrid[:128, :128]
    radius = np.hypot(y - 64, x - 64)
    pixels = np.where(radius < 60, 160 - radius, 10.0)
    for _ in range(6):
        center = generator.uniform(25, 103, 2)
        near = np.hypot(y - center[0], x - center[1]) < generator.uniform(3, 9)
        pixels = np.where(near, 230, pixels)
    return np.clip(pixels + generator.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)


def test_what_all_images_have_in_common_makes_no_twins() -> None:
    generator = np.random.default_rng(0)
    frames = [frame_of_a_fixed_camera(generator) for _ in range(40)]
    prints = [print_of(frame) for frame in frames]
    assert find_twins(prints) == []
    assert find_twins([*prints, print_of(as_jpeg(frames[3], 90))]) == [[3, 40]]


def drifting(num: int, step_px: int = 1) -> list[Pixels]:
    """Frames of a camera that moves slowly over a large scene."""
    large = scene(0, 256, 256 + num * step_px)
    return [resized(large[:, start * step_px :][:, :256], 0.5) for start in range(num)]


def test_a_chain_of_near_copies_is_one_cluster_beside_others() -> None:
    prints = [print_of(frame) for frame in drifting(8)]
    others = [print_of(scene(seed)) for seed in range(100, 110)]
    assert find_twins([*others, *prints]) == [list(range(10, 18))]


def test_a_sequence_that_is_the_whole_dataset_falls_apart() -> None:
    prints = [print_of(frame) for frame in drifting(40)]
    others = [print_of(scene(seed)) for seed in range(100, 120)]
    assert find_twins([*others, *prints]) == [list(range(20, 60))]
    assert max(map(len, find_twins(prints)), default=0) <= 32


def test_even_then_exact_copies_stay_together() -> None:
    one = print_of(scene(0))
    assert find_twins([one] * 5) == [[0, 1, 2, 3, 4]]


def test_neighbours_in_a_video_are_alike_and_in_a_collection_they_are_not() -> None:
    video = [print_of(frame) for frame in drifting(40, step_px=8)]
    assert likeness(video, 1) > 0.8
    assert likeness(video, 20) < 0.3
    assert abs(likeness([print_of(scene(seed)) for seed in range(40)], 1)) < 0.2
    assert likeness(video[:1], 1) == 0


def test_thousands_of_images_are_compared_without_missing_one() -> None:
    generator = np.random.default_rng(0)

    def print_of_look(number: int, look: NDArray[np.float64]) -> str:
        scaled = np.round(127 * look / np.abs(look).max()).astype(np.int8)
        return f"{number:032x}00" + scaled.tobytes().hex()

    looks = generator.normal(0, 1, (3000, 143))
    copies = looks[:100] + generator.normal(0, 0.1, (100, 143))
    prints = [print_of_look(n, look) for n, look in enumerate([*looks, *copies])]
    assert find_twins(prints) == [[n, 3000 + n] for n in range(100)]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=15))
def test_clusters_are_exactly_the_equal_images(seeds: list[int]) -> None:
    prints = [print_of(scene(seed, 32, 32)) for seed in range(6)]
    expected = {seed: seeds.count(seed) for seed in seeds if seeds.count(seed) > 1}
    found = find_twins([prints[seed] for seed in seeds])
    assert {seeds[cluster[0]]: len(cluster) for cluster in found} == expected
    assert all(len({seeds[p] for p in cluster}) == 1 for cluster in found)
