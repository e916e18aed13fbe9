"""Grey values: each change within its range, against NumPy and SciPy."""

import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from engine.config import AugmentConfig
from engine.training.augment.intensity import change_intensity

NUM = 256


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def copies(image_CHW):
    return image_CHW.expand(NUM, *image_CHW.shape)


def changed(image_CHW, seed=0, **changes):
    return change_intensity(copies(image_CHW), AugmentConfig(**changes), seeded(seed))


def test_brightness_multiplies_an_image_by_up_to_its_share_more_or_less():
    image = torch.rand(3, 8, 8, generator=seeded(1)) * 0.5 + 0.1
    ratios = changed(image, brightness=0.3) / image
    torch.testing.assert_close(ratios.amin(dim=(1, 2, 3)), ratios.amax(dim=(1, 2, 3)))
    assert 0.7 - 1e-4 < ratios.min() < 0.72
    assert 1.28 < ratios.max() < 1.3 + 1e-4


def test_contrast_stretches_around_the_mean_which_stays():
    image = torch.rand(3, 8, 8, generator=seeded(1)) * 0.3 + 0.35
    result = changed(image, contrast=0.4)
    torch.testing.assert_close(result.mean(dim=(1, 2, 3)), image.mean().expand(NUM))
    stretched = result.std(dim=(1, 2, 3)) / image.std()
    assert 0.6 - 1e-3 < stretched.min() < 0.63
    assert 1.37 < stretched.max() < 1.4 + 1e-3


def test_gamma_raises_grey_values_to_a_power_and_keeps_black_and_white():
    image = torch.tensor([0.0, 0.25, 0.5, 1.0]).view(1, 2, 2)
    result = changed(image, gamma=0.5).flatten(1)
    exponents = result[:, 2].log() / torch.tensor(0.5).log()
    torch.testing.assert_close(result[:, 1], 0.25**exponents)
    assert (result[:, 0] == 0).all()
    assert (result[:, 3] == 1).all()
    assert 0.5 - 1e-4 < exponents.min() < 0.53
    assert 1.47 < exponents.max() < 1.5 + 1e-4


def test_noise_has_every_deviation_up_to_its_own_and_no_pattern():
    image = torch.full((2, 32, 32), 0.5)
    added = changed(image, noise=0.1) - 0.5
    deviations = added.std(dim=(1, 2, 3))
    assert deviations.min() < 0.005
    assert 0.095 < deviations.max() < 0.105
    assert added.mean().abs() < 0.001
    first, second = added[:, 0].flatten(), added[:, 1].flatten()
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 0.02
    assert torch.corrcoef(torch.stack([added[0].flatten(), added[1].flatten()]))[0, 1].abs() < 0.1


def test_blur_is_that_of_scipy_up_to_its_width():
    dot = torch.zeros(1, 41, 41)
    dot[0, 20, 20] = 1
    result = changed(dot, blur_px=2.0)
    torch.testing.assert_close(result.sum(dim=(1, 2, 3)), torch.ones(NUM))
    # A Gaussian's middle is 1 / (2πσ²) where σ is not small: that tells how wide each one is.
    middles = result[:, 0, 20, 20]
    sigmas = (1 / (2 * np.pi * middles)).sqrt()
    widest = int(sigmas.argmax())
    assert 1.9 < sigmas[widest] < 2.03
    assert middles.max() == pytest.approx(1, abs=1e-3)
    image = torch.rand(1, 41, 41, generator=seeded(1))
    expected = ndimage.gaussian_filter(
        image[0].double().numpy(), float(sigmas[widest]), mode="mirror", radius=6
    )
    found = changed(image, blur_px=2.0)[widest, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_blur_of_an_image_smaller_than_the_filter_stays_finite_and_keeps_an_even_grey():
    result = changed(torch.full((1, 4, 3), 0.25), blur_px=10.0)
    torch.testing.assert_close(result, torch.full((NUM, 1, 4, 3), 0.25))


def test_channels_are_exchanged_whole_in_every_order():
    image = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1).expand(3, 4, 4)
    result = changed(image, channel_shuffle=True)
    assert (result == result[..., :1, :1]).all()
    orders = {tuple(round(v, 4) for v in each) for each in result[:, :, 0, 0].tolist()}
    assert orders == set(itertools.permutations((0.1, 0.2, 0.3)))


def test_cutout_covers_one_rectangle_no_longer_than_its_share():
    image = torch.ones(2, 50, 50)
    covered = changed(image, cutout=0.4) != 1
    assert torch.equal(covered[:, 0], covered[:, 1])
    longest = 0
    for each in covered[:, 0].numpy():
        rows, columns = each.any(axis=1), each.any(axis=0)
        assert np.array_equal(each, rows[:, None] & columns)  # a rectangle, and only one
        for line in (rows, columns):
            assert np.abs(np.diff(line.astype(int))).sum() <= 2
            longest = max(longest, int(line.sum()))
    assert 18 <= longest <= 20
    assert changed(image, cutout=0.4)[covered].unique().tolist() == [0.5]


def test_changes_of_any_strength_stay_within_black_and_white():
    image = torch.rand(3, 16, 16, generator=seeded(1))
    result = changed(
        image, brightness=0.9, contrast=0.9, gamma=0.9, noise=0.5, blur_px=2, cutout=0.9
    )
    assert result.isfinite().all()
    assert result.min() >= 0
    assert result.max() <= 1


def test_without_any_change_nothing_is_drawn():
    generator = seeded()
    state = generator.get_state()
    images = torch.rand(2, 1, 4, 4)
    assert change_intensity(images, AugmentConfig(flips="both"), generator) is images
    assert torch.equal(generator.get_state(), state)
