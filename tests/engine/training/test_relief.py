"""What is changed when memory ran out: a step stays a step, and there is an end to it."""

from itertools import pairwise

import pytest

from engine.config import recipe, with_changes
from engine.training.relief import relief

HALVES = ["bf16", "fp16"]
WITHOUT_PATCHES = with_changes(recipe("tutorial"), {"batch_size": 1, "precision": "bf16"})
PATCHES = {"batch_size": 1, "precision": "bf16", "view": "patches"}


def reliefs(config, halves=HALVES, num_windows=10_000):
    """All of them, one after the other: what changes, what is said, and the settings then."""
    found = []
    while (each := relief(config, halves, num_windows)) is not None:
        changes, note = each
        config = with_changes(config, changes)
        found.append((changes, str(note), config))
        assert len(found) < 50, "it does not end"
    return found


@pytest.mark.parametrize(
    ("batch_size", "accumulation", "batches"),
    [
        (64, 1, [32, 16, 8, 4, 2, 1]),
        (12, 2, [6, 3, 1]),
        (10, 1, [5, 2, 1]),
        (7, 1, [1]),
        (1, 3, []),
    ],
)
def test_batches_are_halved_and_a_step_stays_as_large_as_it_was(batch_size, accumulation, batches):
    changes = {"batch_size": batch_size, "accumulation": accumulation, "precision": "bf16"}
    found = reliefs(with_changes(recipe("tutorial"), changes))
    assert [each["batch_size"] for each, _, _ in found] == batches
    for each, _, _ in found:
        assert each["batch_size"] * each["accumulation"] == batch_size * accumulation
        assert set(each) == {"batch_size", "accumulation"}


def test_batch_that_no_epoch_fills_is_halved_from_what_one_has():
    config = with_changes(recipe("tutorial"), {"batch_size": 64})
    changes, _note = relief(config, HALVES, num_windows=7)
    assert changes == {"batch_size": 2, "accumulation": 32}


def test_number_of_accumulated_batches_stays_within_its_bounds():
    largest = {"batch_size": 512, "accumulation": 256, "precision": "bf16"}
    last = reliefs(with_changes(recipe("tutorial"), largest))[-1][2]
    assert (last.schedule.batch_size, last.optimizer.accumulation) == (1, 256)


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_half_the_precision_comes_when_batches_are_as_small_as_can_be(precision):
    config = with_changes(recipe("tutorial"), {"batch_size": 2, "precision": precision})
    assert [each for each, _, _ in reliefs(config)] == [
        {"batch_size": 1, "accumulation": 2},
        {"precision": "bf16"},
    ]
    assert {"precision": "fp16"} in [each for each, _, _ in reliefs(config, ["fp16"])]
    assert len(reliefs(config, [])) == 1


def test_nothing_is_left_for_resized_images_in_half_precision_one_by_one():
    assert relief(WITHOUT_PATCHES, HALVES, 100) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size_px": 512},
        {"image_size_px": 300, "num_levels": 6},
        {"image_size_px": 572, "num_levels": 5, "padding": "none"},
        {"image_size_px": 2048, "architecture": "encoder_unet", "encoder": "resnet18"},
    ],
)
def test_patches_are_halved_to_sizes_that_the_network_takes_down_to_64_px(changes):
    config = with_changes(recipe("quick"), PATCHES | changes)
    sizes = [
        config.images.image_size_px,
        *(each["image_size_px"] for each, _, _ in reliefs(config)),
    ]
    assert len(sizes) > 1
    assert all(after <= before / 2 for before, after in pairwise(sizes))
    assert min(sizes) >= 64


def test_small_patches_are_left_alone():
    assert reliefs(with_changes(recipe("quick"), PATCHES | {"image_size_px": 127})) == []


def test_what_is_done_is_said_with_its_numbers():
    config = with_changes(recipe("quick"), {"batch_size": 64, "view": "patches"})
    sentences = [sentence for _, sentence, _ in reliefs(config)]
    assert "32 images in place of 64; 2 of them make a step" in sentences[0]
    assert any("bf16" in sentence for sentence in sentences)
    assert any("px" in sentence for sentence in sentences)
