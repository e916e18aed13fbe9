"""What goes into a network and what comes out of it."""

import numpy as np
import pytest
import torch

from engine.config import ImageConfig
from engine.models.probabilities import class_probabilities, decide, normalize, to_input


def scaled(images, intensity, clip_share=0.0):
    return normalize(images, ImageConfig(intensity=intensity, clip_share=clip_share))


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 3, 20, 31, generator=generator) * torch.tensor([1.0, 0.3, 0.01]).view(
        3, 1, 1, 1
    )


def test_pixels_reach_the_network_as_shares_of_white():
    pixels = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    seen = to_input(pixels)
    assert seen.shape == (1, 3, 1, 1)
    torch.testing.assert_close(seen.flatten(), torch.tensor([0.0, 0.2, 1.0]))


def test_unit_changes_nothing(images):
    assert scaled(images, "unit") is images


def test_standardized_gives_each_image_mean_0_and_deviation_1(images):
    result = scaled(images, "standardized")
    torch.testing.assert_close(result.mean(dim=(1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(result.std(dim=(1, 2, 3), correction=0), torch.ones(3))


def test_min_max_stretches_each_image_to_the_whole_range(images):
    result = scaled(images, "min_max")
    assert result.amin(dim=(1, 2, 3)).tolist() == [0, 0, 0]
    torch.testing.assert_close(result.amax(dim=(1, 2, 3)), torch.ones(3))


@pytest.mark.parametrize("intensity", ["standardized", "min_max"])
def test_images_are_looked_at_one_by_one_and_their_channels_together(images, intensity):
    together = scaled(images, intensity)
    alone = torch.cat([scaled(image[None], intensity) for image in images])
    torch.testing.assert_close(together, alone)
    # A red image stays red: no channel is stretched by itself.
    red = images.clone()
    red[:, 1:] *= 0.5
    assert (scaled(red, intensity)[:, 0].mean() > scaled(red, intensity)[:, 1].mean() + 0.1).all()


@pytest.mark.parametrize("intensity", ["standardized", "min_max"])
@pytest.mark.parametrize("clip_share", [0.0, 0.1])
@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_image_of_one_value_becomes_0_beside_others_that_do_not(intensity, clip_share, value):
    images = torch.full((2, 1, 33, 17), value)
    images[1] = torch.linspace(0, 1, 33 * 17).view(33, 17)
    result = scaled(images, intensity, clip_share)
    assert not result[0].any()
    assert result[1].any() and result.isfinite().all()


def test_clipped_share_is_that_of_the_darkest_and_of_the_brightest_values():
    ramp = torch.arange(100).flip(0).view(1, 1, 10, 10) / 100
    result = scaled(ramp, "min_max", clip_share=0.1).flatten()
    # Ten values lie below 0.10 and ten above 0.89.
    expected = ((np.arange(100)[::-1] / 100).clip(0.10, 0.89) - 0.10) / 0.79
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-6)


def test_single_hot_pixel_does_not_darken_a_clipped_image():
    image = torch.linspace(0.2, 0.4, 400).view(1, 1, 20, 20).clone()
    image[..., 0, 0] = 1.0
    assert scaled(image, "min_max").median() < 0.2
    assert scaled(image, "min_max", clip_share=0.01).median() > 0.45


def test_imagenet_uses_the_means_of_photographs():
    means = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    assert not scaled(means.expand(1, 3, 4, 4), "imagenet").any()
    torch.testing.assert_close(
        scaled(torch.ones(1, 3, 1, 1), "imagenet").flatten(),
        torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225]),
    )
    grey = scaled(torch.full((1, 1, 2, 2), 0.449), "imagenet")
    torch.testing.assert_close(grey, torch.zeros(1, 1, 2, 2))


def test_one_logit_gives_two_classes_that_sum_to_1():
    probabilities = class_probabilities(torch.tensor([0.0, 2.0]).view(1, 1, 1, 2))
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(1, 1, 2))
    assert probabilities[0, 1, 0, 1].item() == pytest.approx(0.8808, abs=1e-4)


def test_threshold_decides_between_two_classes_and_the_likeliest_among_more():
    two = torch.tensor([[0.4, 0.3], [0.6, 0.7]]).view(1, 2, 1, 2)
    assert decide(two, 0.65).flatten().tolist() == [0, 1]
    three = torch.tensor([0.3, 0.3, 0.4]).view(1, 3, 1, 1)
    assert decide(three, 0.9).item() == 2
    assert decide(three, 0.9).dtype == torch.uint8
