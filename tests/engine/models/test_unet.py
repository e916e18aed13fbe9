"""The network: the tutorial's exact size, any image size, and the torch-free arithmetic."""

import itertools

import pytest
import torch

from engine.config import ModelConfig, recipe
from engine.models.arithmetic import level_widths, num_outputs, num_parameters
from engine.models.unet import UNet


def parameters_of(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_tutorial_network_has_the_tutorials_parameters():
    assert parameters_of(UNet(recipe("tutorial").model, 3, 1)) == 7_697_345
    assert level_widths(recipe("tutorial").model) == [64, 128, 256, 512]


def test_two_classes_need_one_logit_and_more_one_each():
    assert [num_outputs(n) for n in (2, 3, 7)] == [1, 3, 7]


@pytest.mark.parametrize(
    ("normalization", "upsampling", "num_levels", "width"),
    list(
        itertools.product(["none", "batch", "group"], ["transposed", "bilinear"], [2, 3], [8, 12])
    ),
)
def test_arithmetic_counts_what_the_network_has(normalization, upsampling, num_levels, width):
    config = ModelConfig(
        normalization=normalization, upsampling=upsampling, num_levels=num_levels, width=width
    )
    assert parameters_of(UNet(config, 3, 4)) == num_parameters(config, 3, 4)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (37, 50), (64, 65)])
def test_output_has_the_size_of_any_input(size):
    model = UNet(ModelConfig(width=4), 1, 2).eval()
    assert model(torch.rand(1, 1, *size)).shape == (1, 2, *size)


def test_padding_repeats_the_border_and_is_cut_off_again():
    torch.manual_seed(0)
    model = UNet(ModelConfig(width=4), 1, 1).eval()
    image = torch.rand(1, 1, 14, 13)
    by_hand = torch.nn.functional.pad(image, (0, 3, 0, 2), mode="replicate")
    assert torch.equal(model(image), model(by_hand)[..., :14, :13])
