"""Sampling: every sample in every pass, foreground by its quota, every validation pixel once."""

import io
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.config import ImageConfig, ModelConfig, ScheduleConfig, TrainConfig
from engine.datasets.arrays import Arrays
from engine.training import sampling
from engine.training.sampling import TrainingSampler, val_places
from engine.training.windows import HostWindows, WindowPlace

BACKGROUND = frozenset({0})


def arrays_of(masks: Sequence[NDArray[np.uint8]]) -> Arrays:
    pixels = np.concatenate([mask.ravel() for mask in masks])
    return Arrays(
        images=pixels,
        masks=pixels,
        heights_N=np.array([len(mask) for mask in masks]),
        widths_N=np.array([mask.shape[1] for mask in masks]),
        num_channels=1,
    )


def blank(*sizes: tuple[int, int]) -> list[NDArray[np.uint8]]:
    return [np.zeros(size, np.uint8) for size in sizes]


def config_of(
    view: str = "patches", batch_size: int = 4, seed: int = 0, **images: object
) -> TrainConfig:
    return TrainConfig(
        images=ImageConfig(view=view, image_size_px=16, **images),
        model=ModelConfig(num_levels=2, width=4),
        schedule=ScheduleConfig(batch_size=batch_size, seed=seed),
    )


def flat(batches: list[list[WindowPlace]]) -> list[WindowPlace]:
    return [place for batch in batches for place in batch]


@pytest.mark.parametrize("view", ["resized", "patches"])
@pytest.mark.parametrize("passes", [1, 3])
def test_every_training_sample_is_drawn_once_in_each_pass(view: str, passes: int) -> None:
    arrays = arrays_of(blank(*[(16, 16)] * 30))
    train = [3, 4, 5, 11, 29, 0, 8]
    sampler = TrainingSampler(arrays, train, BACKGROUND, config_of(view, passes_per_epoch=passes))
    orders = []
    for _epoch in range(2):
        batches = sampler.epoch()
        sizes = [len(batch) for batch in batches]
        assert set(sizes[:-1]) <= {4} and 1 <= sizes[-1] <= 4
        positions = [place.position for place in flat(batches)]
        for start in range(0, len(positions), len(train)):
            assert sorted(positions[start : start + len(train)]) == sorted(train)
        assert len(positions) == passes * len(train)
        orders.append(positions)
    assert orders[0] != orders[1]


def test_patches_lie_anywhere_inside_and_around_what_is_smaller() -> None:
    arrays = arrays_of(blank((20, 40), (10, 16), (16, 16)))
    sampler = TrainingSampler(arrays, [0, 1, 2], BACKGROUND, config_of(passes_per_epoch=1000))
    places = flat(sampler.epoch())
    tops = [Counter(place.top for place in places if place.position == p) for p in range(3)]
    lefts = [Counter(place.left for place in places if place.position == p) for p in range(3)]
    assert sorted(tops[0]) == list(range(5)) and sorted(lefts[0]) == list(range(25))
    assert sorted(tops[1]) == list(range(-6, 1)) and sorted(lefts[1]) == [0]
    assert sorted(tops[2]) == [0] and sorted(lefts[2]) == [0]
    # Uniform: 1000 draws over five places; six standard deviations.
    assert all(abs(num - 200) < 6 * np.sqrt(1000 * 0.2 * 0.8) for num in tops[0].values())
    assert all(place.counted is None for place in places)


def test_a_resized_sample_is_one_window_whatever_its_foreground() -> None:
    arrays = arrays_of([np.eye(16, dtype=np.uint8)] * 3)
    sampler = TrainingSampler(
        arrays, [0, 1, 2], BACKGROUND, config_of("resized", foreground_share=1.0)
    )
    assert {(place.top, place.left) for place in flat(sampler.epoch())} == {(0, 0)}


def test_unpadded_networks_train_on_windows_of_their_output() -> None:
    config = TrainConfig(
        images=ImageConfig(view="patches", image_size_px=20),
        model=ModelConfig(num_levels=2, width=4, padding="none"),
    )
    # 20 − 4 = 16, halved 8, − 4 = 4, doubled 8, − 4 = 4.
    arrays = arrays_of(blank((4, 6)))
    places = [flat(TrainingSampler(arrays, [0], BACKGROUND, config).epoch())[0]]
    assert places[0].top == 0 and 0 <= places[0].left <= 2


def dotted(row: int, column: int, value: int = 1) -> NDArray[np.uint8]:
    mask = np.zeros((200, 200), np.uint8)
    mask[row, column] = value
    return mask


def shows_foreground(arrays: Arrays, places: list[WindowPlace]) -> list[bool]:
    cut = HostWindows(arrays, torch.device("cpu")).cut(places, 16, 0)
    return [bool(((mask != 0) & (mask != 255)).any()) for mask in cut.masks_NHW]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.33, 0.5, 1.0])
def test_foreground_windows_are_a_share_by_quota_and_not_by_luck(share: float) -> None:
    rng = np.random.default_rng(0)
    arrays = arrays_of([dotted(*rng.integers(0, 200, 2).tolist()) for _ in range(60)])
    sampler = TrainingSampler(arrays, range(60), BACKGROUND, config_of(foreground_share=share))
    for _epoch in range(3):
        places = flat(sampler.epoch())
        shown = sum(shows_foreground(arrays, places))
        # One pixel of 40,000 is met by luck in under one window of a hundred.
        assert round(share * 60) <= shown <= round(share * 60) + 4
        assert all(0 <= place.top <= 184 and 0 <= place.left <= 184 for place in places)


def test_foreground_windows_are_centred_on_a_pixel_unless_at_the_edge() -> None:
    arrays = arrays_of([dotted(100, 60), dotted(199, 3)])
    sampler = TrainingSampler(arrays, [0, 1], BACKGROUND, config_of(foreground_share=1.0))
    corners = {place.position: (place.top, place.left) for place in flat(sampler.epoch())}
    assert corners == {0: (92, 52), 1: (184, 0)}


def test_every_class_that_occurs_has_its_turn_however_rare() -> None:
    common = np.zeros((200, 200), np.uint8)
    common[20:180, 20:180] = 1
    common[100, 100], common[0, 0] = 2, 255
    both, only_common = common.copy(), common.copy()
    both[150, 50] = 3
    only_common[only_common == 2] = 1
    arrays = arrays_of([both, only_common])
    sampler = TrainingSampler(
        arrays, [0, 1], BACKGROUND, config_of(foreground_share=1.0, passes_per_epoch=300)
    )
    centres = Counter(
        (place.position, arrays.mask(place.position)[place.top + 8, place.left + 8].item())
        for place in flat(sampler.epoch())
    )
    # The second sample has one class only; the first then shows the two others in turn.
    assert centres[1, 1] == 300 and centres[0, 1] <= 2
    assert abs(centres[0, 2] - centres[0, 3]) <= 2
    assert centres[0, 0] == centres[0, 255] == 0


def test_samples_without_foreground_are_shown_too_and_others_make_up_for_them() -> None:
    masks = [dotted(100, 100) if number % 2 else blank((200, 200))[0] for number in range(40)]
    masks[0][:] = 255
    arrays = arrays_of(masks)
    sampler = TrainingSampler(arrays, range(40), BACKGROUND, config_of(foreground_share=0.4))
    places = flat(sampler.epoch())
    assert {place.position for place in places} == set(range(40))
    shown = sum(shows_foreground(arrays, places))
    assert 14 <= shown <= 18


def test_candidates_are_bounded_and_reach_over_the_whole_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampling, "_CANDIDATES_OF_ALL_SAMPLES", 40)
    mask = np.ones((200, 200), np.uint8)
    sampler = TrainingSampler(
        arrays_of([mask, mask]), [0, 1], BACKGROUND,
        config_of(foreground_share=1.0, passes_per_epoch=200),
    )  # fmt: skip
    corners = {place.top for place in flat(sampler.epoch()) if place.position == 0}
    assert 10 <= len(corners) <= 20
    assert min(corners) < 60 and max(corners) > 130


def test_the_seed_decides_and_a_resumed_training_goes_on_alike() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.integers(0, 3, (60, 70), np.uint8) for _ in range(9)]
    arrays = arrays_of(masks)

    def make(seed: int = 0) -> TrainingSampler:
        config = config_of(seed=seed, foreground_share=0.5, passes_per_epoch=2)
        return TrainingSampler(arrays, range(9), BACKGROUND, config)

    whole = make()
    epochs = [whole.epoch() for _ in range(4)]
    assert make().epoch() == epochs[0] and make(1).epoch() != epochs[0]
    begun = make()
    begun.epoch(), begun.epoch()
    stored = io.BytesIO()
    torch.save(begun.state(), stored)
    begun.epoch()
    stored.seek(0)
    resumed = make()
    resumed.restore(torch.load(stored, weights_only=True))
    assert [resumed.epoch(), resumed.epoch()] == epochs[2:]


@pytest.mark.parametrize(
    "size", [(16, 16), (17, 16), (31, 33), (48, 32), (5, 40), (1, 1), (15, 100), (3, 7)]
)
@pytest.mark.parametrize("margin_px", [0, 6])
def test_every_pixel_of_a_validation_sample_counts_exactly_once(
    size: tuple[int, int], margin_px: int
) -> None:
    height, width = size
    truth = np.random.default_rng(0).integers(0, 3, size, np.uint8)
    arrays = arrays_of([np.zeros((20, 20), np.uint8), truth])
    places = val_places(arrays, [1], 16)
    cut = HostWindows(arrays, torch.device("cpu")).cut(places, 16, margin_px)
    middle = slice(margin_px, margin_px + 16)
    counted = np.zeros(size, int)
    found = np.full(size, 255)
    for place, mask in zip(places, cut.masks_NHW[:, middle, middle].numpy(), strict=True):
        assert place.position == 1
        rows, columns = np.nonzero(mask != 255)
        assert len(rows)
        counted[rows + place.top, columns + place.left] += 1
        found[rows + place.top, columns + place.left] = mask[rows, columns]
    assert (counted == 1).all() and (found == truth).all()
    assert len(places) == -(-height // 16) * -(-width // 16)


def test_validation_shows_mirrored_pixels_only_of_samples_smaller_than_a_window() -> None:
    arrays = arrays_of(blank((40, 50), (10, 40), (16, 16)))
    places = val_places(arrays, [2, 0, 1], 16)
    assert [place.position for place in places] == [2] + [0] * 12 + [1] * 3
    assert places[0] == WindowPlace(2, 0, 0)
    for place in places[:13]:
        assert 0 <= place.top <= arrays.heights_N[place.position] - 16
        assert 0 <= place.left <= arrays.widths_N[place.position] - 16
    assert {place.top for place in places[13:]} == {-3}
