"""Previews: a person's pairs as the network is shown them, first unchanged, then changed."""

import numpy as np
import pytest

from engine.config import recipe, with_changes
from engine.training.previews import augmented_pairs

SETTINGS = {"image_size_px": 32, "width": 4, "num_levels": 2}
UNCHANGING = {"flips": "none", "rotate_90": False, "brightness": 0.0, "contrast": 0.0}


def config(**changes):
    return with_changes(recipe("quick"), SETTINGS | changes)


def pair(height=32, width=32, channels=3, seed=0):
    """An image whose channels are its mask and noise; one small object of class 2."""
    rng = np.random.default_rng(seed)
    mask = (rng.random((height, width)) < 0.3).astype(np.uint8)
    mask[height // 4 : height // 4 + 3, width - 6 : width - 3] = 2
    image = rng.integers(1, 255, (height, width, channels), np.uint8)
    image[..., 0] = mask * 100 + 20
    border = rng.integers(0, 255, (height, width), np.uint8)
    return image, mask, border


def test_the_first_is_the_pair_itself_and_the_others_are_changed_each_in_its_way():
    image, mask, _ = pair()
    (shown,) = augmented_pairs([(image, mask, None)], config(rotation_degrees=30), 3, seed=0)
    assert len(shown) == 4
    assert np.array_equal(shown[0].image_HWC, image)
    assert np.array_equal(shown[0].mask_HW, mask)
    assert len({each.image_HWC.tobytes() for each in shown}) == 4
    assert {each.image_HWC.shape for each in shown} == {(32, 32, 3)}
    assert {each.image_HWC.dtype for each in shown} == {np.dtype(np.uint8)}


def test_without_augmentation_every_variant_is_the_pair():
    image, mask, border = pair()
    (shown,) = augmented_pairs([(image, mask, border)], config(**UNCHANGING), 2, seed=0)
    assert all(np.array_equal(each.image_HWC, image) for each in shown)
    assert all(np.array_equal(each.mask_HW, mask) for each in shown)


def test_masks_and_weights_are_changed_with_their_image():
    image, mask, _ = pair()
    border = (mask * 50).astype(np.uint8)
    turned = config(**UNCHANGING | {"rotate_90": True}, border_weight=10.0)
    (shown,) = augmented_pairs([(image, mask, border)], turned, 4, seed=0)
    assert any(not np.array_equal(each.mask_HW, mask) for each in shown)
    for each in shown:
        assert np.array_equal(each.image_HWC[..., 0], each.mask_HW * 100 + 20)
        expected = 1 + 10 * (each.mask_HW * (50 / 255))
        np.testing.assert_allclose(each.weights_HW, expected, rtol=1e-5)


def test_weights_are_those_of_the_paper_and_0_where_nothing_is_compared():
    image, mask, border = pair()
    mask[:4] = 255
    settings = config(**UNCHANGING, border_weight=10.0)
    (shown,) = augmented_pairs([(image, mask, border)], settings, 0, 0, [0.5, 2.0, 3.0])
    of_class = np.array([0.5, 2.0, 3.0])[np.where(mask == 255, 0, mask)]
    expected = np.where(mask == 255, 0, of_class + 10 * (border / 255))
    np.testing.assert_allclose(shown[0].weights_HW, expected, rtol=1e-5)
    (shown,) = augmented_pairs([(image, mask, None)], settings, 1, 0)
    assert [each.weights_HW for each in shown] == [None, None]


@pytest.mark.parametrize("seed", range(5))
def test_a_patch_is_a_piece_of_the_image_at_its_own_size_with_what_is_rare(seed):
    image, mask, _ = pair(90, 120)
    settings = config(view="patches", rotation_degrees=30)
    (shown,) = augmented_pairs([(image, mask, None)], settings, 2, seed)
    assert shown[0].image_HWC.shape == (32, 32, 3)
    assert (shown[0].mask_HW == 2).any()
    windows = np.lib.stride_tricks.sliding_window_view(image[..., 1], (32, 32))
    assert (windows == shown[0].image_HWC[..., 1]).all(axis=(2, 3)).sum() == 1


def test_a_patch_larger_than_its_image_shows_the_mirror_image_and_no_black():
    image, mask, _ = pair(20, 24)
    settings = config(view="patches", rotation_degrees=30, shift=0.2)
    (shown,) = augmented_pairs([(image, mask, None)], settings, 3, seed=0)
    assert all(each.image_HWC.shape == (32, 32, 3) for each in shown)
    assert all(each.image_HWC.min() > 0 for each in shown)
    assert not any((each.mask_HW == 255).any() for each in shown)


def test_without_padding_the_margin_is_seen_and_not_compared():
    settings = config(image_size_px=44, padding="none")
    image, mask, border = pair(28, 28)
    (shown,) = augmented_pairs([(image, mask, border)], settings, 2, seed=0)
    middle = slice(8, 36)
    assert np.array_equal(shown[0].image_HWC[middle, middle], image)
    assert np.array_equal(shown[0].mask_HW[middle, middle], mask)
    for each in shown:
        outside = np.ones((44, 44), bool)
        outside[middle, middle] = False
        assert (each.mask_HW[outside] == 255).all()
        assert not (each.mask_HW[middle, middle] == 255).any()
        assert each.image_HWC[outside].min() > 0
        assert (each.weights_HW[outside] == 0).all()


def test_a_seed_decides_and_a_sample_without_any_truth_is_shown_too():
    samples = [pair(seed=1), pair(seed=2)]
    samples[1][1][:] = 255
    settings = config(noise=0.1, rotation_degrees=20)
    first, second, other = (augmented_pairs(samples, settings, 1, seed) for seed in (3, 3, 4))
    assert [len(each) for each in first] == [2, 2]
    for one, two, three in zip(first, second, other, strict=True):
        assert np.array_equal(one[1].image_HWC, two[1].image_HWC)
        assert not np.array_equal(one[1].image_HWC, three[1].image_HWC)
    assert set(np.unique(first[1][1].mask_HW)) == {255}


def test_grey_images_stay_grey():
    image, mask, _ = pair(channels=1)
    (shown,) = augmented_pairs([(image, mask, None)], config(channel_shuffle=True), 1, seed=0)
    assert [each.image_HWC.shape for each in shown] == [(32, 32, 1)] * 2
