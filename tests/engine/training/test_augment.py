"""Augmentation as a whole: seeds decide, images are independent, nothing happens unasked."""

import pytest
import torch

from engine.config import AUGMENT_PRESETS, AugmentConfig
from engine.training.augment import Batch, augment, margin_px

SIZE = 32

EACH = {
    "flips": AugmentConfig(flips="both"),
    "rotate_90": AugmentConfig(rotate_90=True),
    "rotation": AugmentConfig(rotation_degrees=30),
    "scale": AugmentConfig(scale=0.5),
    "shift": AugmentConfig(shift=0.3),
    "shear": AugmentConfig(shear_degrees=20),
    "crop": AugmentConfig(crop=0.5),
    "elastic grid": AugmentConfig(elastic="grid", elastic_px=2),
    "elastic dense": AugmentConfig(elastic="dense", elastic_px=2, elastic_smoothing_px=4),
    "brightness": AugmentConfig(brightness=0.9),
    "contrast": AugmentConfig(contrast=0.9),
    "gamma": AugmentConfig(gamma=0.9),
    "noise": AugmentConfig(noise=0.5),
    "blur": AugmentConfig(blur_px=3),
    "channel_shuffle": AugmentConfig(channel_shuffle=True),
    "cutout": AugmentConfig(cutout=0.9),
    "strong": AUGMENT_PRESETS["strong"],
    "strong, ignored border": AUGMENT_PRESETS["strong"].model_copy(update={"border": "ignore"}),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(count=4, size=SIZE, channels=3):
    generator = seeded(1)
    return Batch(
        torch.rand(count, channels, size, size, generator=generator),
        torch.randint(0, 5, (count, size, size), generator=generator),
        torch.rand(count, size, size, generator=generator),
    )


def parts(batch):
    return batch.images_NCHW, batch.masks_NHW, batch.borders_NHW


def same(first, second):
    return [torch.equal(a, b) for a, b in zip(parts(first), parts(second), strict=True)]


@pytest.mark.parametrize("config", EACH.values(), ids=EACH)
def test_every_change_keeps_shapes_ranges_and_the_batch_it_was_given(config):
    given = batch()
    before = [each.clone() for each in parts(given)]
    changed = augment(given, config, SIZE, seeded())
    assert [each.shape for each in parts(changed)] == [each.shape for each in before]
    assert [each.dtype for each in parts(changed)] == [each.dtype for each in before]
    for values in (changed.images_NCHW, changed.borders_NHW):
        assert values.min() >= 0
        assert values.max() <= 1
    allowed = {0, 1, 2, 3, 4} | ({255} if config.border == "ignore" else set())
    assert set(changed.masks_NHW.unique().tolist()) <= allowed
    assert not torch.equal(changed.images_NCHW, given.images_NCHW)
    assert all(map(torch.equal, parts(given), before))


@pytest.mark.parametrize("config", EACH.values(), ids=EACH)
def test_a_seed_decides_and_another_seed_decides_otherwise(config):
    first, second, other = (augment(batch(), config, SIZE, seeded(seed)) for seed in (7, 7, 8))
    assert all(same(first, second))
    assert not torch.equal(first.images_NCHW, other.images_NCHW)


@pytest.mark.parametrize("config", EACH.values(), ids=EACH)
def test_the_generators_state_is_all_that_going_on_needs(config):
    generator = seeded()
    augment(batch(), config, SIZE, generator)
    state = generator.get_state()
    expected = augment(batch(), config, SIZE, generator)
    resumed = torch.Generator()
    resumed.set_state(state)
    assert all(same(augment(batch(), config, SIZE, resumed), expected))
    assert not torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("config", EACH.values(), ids=EACH)
def test_an_image_is_changed_without_regard_to_its_neighbours(config):
    given = batch()
    strangers = batch()
    for values, others in zip(parts(given), parts(strangers), strict=True):
        others[0] = values[0]
        others[1:] = others[1:].flip(-1)
    alone, among = (augment(each, config, SIZE, seeded()) for each in (given, strangers))
    first_images = [each.images_NCHW[0] for each in (alone, among)]
    torch.testing.assert_close(*first_images)
    assert torch.equal(alone.masks_NHW[0], among.masks_NHW[0])
    assert not torch.equal(alone.images_NCHW[1], among.images_NCHW[1])


@pytest.mark.parametrize("config", EACH.values(), ids=EACH)
def test_every_image_of_a_batch_gets_a_change_of_its_own(config):
    given = batch(1)
    copies = Batch(*(each.expand(32, *each.shape[1:]) for each in parts(given)))
    changed = augment(copies, config, SIZE, seeded()).images_NCHW
    assert len(changed.flatten(1).unique(dim=0)) >= 3


def test_nothing_changes_unasked():
    given, generator = batch(), seeded()
    state = generator.get_state()
    assert augment(given, AugmentConfig(), SIZE, generator) is not None
    assert all(same(augment(given, AugmentConfig(), SIZE, generator), given))
    assert torch.equal(generator.get_state(), state)


def test_of_a_larger_batch_the_middle_comes_back():
    given = batch(size=SIZE + 10)
    changed = augment(given, AugmentConfig(), SIZE, seeded())
    assert torch.equal(changed.images_NCHW, given.images_NCHW[..., 5:-5, 5:-5])
    assert torch.equal(changed.masks_NHW, given.masks_NHW[..., 5:-5, 5:-5])
    assert torch.equal(changed.borders_NHW, given.borders_NHW[..., 5:-5, 5:-5])


def test_grey_values_do_not_change_the_truth_nor_what_geometry_draws():
    geometry = {"flips": "both", "rotation_degrees": 30, "elastic": "grid"}
    light = {"brightness": 0.5, "gamma": 0.5, "noise": 0.2, "blur_px": 1, "cutout": 0.5}
    plain = augment(batch(), AugmentConfig(**geometry), SIZE, seeded())
    lit = augment(batch(), AugmentConfig(**geometry, **light), SIZE, seeded())
    assert torch.equal(lit.masks_NHW, plain.masks_NHW)
    assert torch.equal(lit.borders_NHW, plain.borders_NHW)
    assert not torch.equal(lit.images_NCHW, plain.images_NCHW)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_masks_of_any_integer_type_keep_it_and_their_ignored_pixels(dtype):
    given = batch()
    masks = torch.where(given.masks_NHW == 4, 255, given.masks_NHW).to(dtype)
    config = AugmentConfig(rotation_degrees=40, flips="both")
    changed = augment(Batch(given.images_NCHW, masks), config, SIZE, seeded())
    assert changed.masks_NHW.dtype == dtype
    assert set(changed.masks_NHW.unique().tolist()) == {0, 1, 2, 3, 255}
    assert changed.borders_NHW is None


def test_no_surroundings_are_cut_for_what_needs_none():
    config = AugmentConfig(flips="both", rotate_90=True, crop=0.5, noise=0.1, blur_px=2)
    assert margin_px(config, 256) == 0
    assert margin_px(AugmentConfig(), 256) == 0


def test_surroundings_reach_as_far_as_the_changes_do():
    assert margin_px(AugmentConfig(shift=0.1), 200) == 20
    assert margin_px(AugmentConfig(scale=0.2), 200) == 20
    # The corner of a square turned by 45 degrees is at √2 times its half side.
    assert margin_px(AugmentConfig(rotation_degrees=45), 200) == 42
    assert margin_px(AugmentConfig(rotation_degrees=180), 200) == 42
    assert margin_px(AugmentConfig(elastic="grid", elastic_px=10), 200) == 20


def test_surroundings_are_never_more_than_a_quarter_of_the_size():
    config = AugmentConfig(rotation_degrees=90, scale=0.9, shift=0.5, shear_degrees=45)
    assert margin_px(config, 256) == 64


@pytest.mark.parametrize(
    "changes",
    [{"shift": 0.1}, {"scale": 0.3}, {"rotation_degrees": 20}, {"shear_degrees": 10}],
    ids=str,
)
def test_within_its_surroundings_no_image_meets_the_border(changes):
    config = AugmentConfig(**changes, border="ignore")
    margin = margin_px(config, 64)
    masks = torch.zeros(64, 64 + 2 * margin, 64 + 2 * margin, dtype=torch.long)
    given = Batch(torch.rand(64, 1, *masks.shape[1:], generator=seeded()), masks)
    assert not (augment(given, config, 64, seeded()).masks_NHW == 255).any()
    middle = slice(margin, -margin)
    tight = Batch(given.images_NCHW[..., middle, middle], masks[..., middle, middle])
    assert (augment(tight, config, 64, seeded()).masks_NHW == 255).any()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("config", EACH.values(), ids=EACH)
def test_a_gpu_changes_images_as_the_cpu_does_and_nobody_waits_for_it(config):
    given = batch()
    on_gpu = Batch(*(each.cuda() for each in parts(given)))
    augment(on_gpu, config, SIZE, seeded())  # the first use of a kernel may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        changed = augment(on_gpu, config, SIZE, seeded())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = augment(given, config, SIZE, seeded())
    agreeing = (changed.masks_NHW.cpu() == expected.masks_NHW).float().mean()
    assert agreeing > 0.99
    if not config.noise:
        difference = (changed.images_NCHW.cpu() - expected.images_NCHW).abs()
        assert difference.mean() < 1e-2
