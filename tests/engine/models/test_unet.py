"""The U-Net: the sizes of its three sources, any setting, and checkpoints of version 1."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from engine.config import ModelConfig, output_size, recipe
from engine.config.sizes import nearest_sizes
from engine.models.arithmetic import num_parameters
from engine.models.blocks import AttentionGate, Residual
from engine.models.registry import build_model
from engine.models.unet import UNet


def parameters_of(model):
    return sum(parameter.numel() for parameter in model.parameters())


def conv(in_channels, out_channels, kernel_size=3):
    """Weights and biases of a convolution."""
    return in_channels * out_channels * kernel_size**2 + out_channels


def test_tutorial_network_has_the_tutorials_parameters():
    assert parameters_of(build_model(recipe("tutorial"), 3, 2)) == 7_697_345


def test_papers_network_has_the_parameters_of_its_figure():
    # arXiv 1505.04597, figure 1. Its head has two outputs; ours has one logit for two classes.
    down = (
        conv(1, 64) + conv(64, 64)
        + conv(64, 128) + conv(128, 128)
        + conv(128, 256) + conv(256, 256)
        + conv(256, 512) + conv(512, 512)
        + conv(512, 1024) + conv(1024, 1024)
    )  # fmt: skip
    up = sum(
        conv(2 * width, width, 2) + conv(2 * width, width) + conv(width, width)
        for width in (512, 256, 128, 64)
    )
    assert (down, up) == (18_842_048, 12_188_480)
    assert down + up + conv(64, 1, 1) == 31_030_593
    assert parameters_of(build_model(recipe("paper"), 1, 2)) == 31_030_593
    assert parameters_of(UNet(recipe("paper").model, 1, 2)) == down + up + conv(64, 2, 1)


def test_papers_network_makes_388_pixels_of_572():
    model = recipe("paper").model.model_copy(update={"width": 4})
    network = UNet(model, 1, 1).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 1, 572, 572)).shape == (1, 1, 388, 388)
    assert network.context_px == 92


def test_tf_unets_network_has_its_parameters():
    # `Unet(channels=1, n_class=2, layers=3, features_root=16, filter_size=3, pool_size=2)`, with
    # two outputs there and one logit here.
    down = conv(1, 16) + conv(16, 16) + conv(16, 32) + conv(32, 32) + conv(32, 64) + conv(64, 64)
    up = sum(conv(2 * w, w, 2) + conv(2 * w, w) + conv(w, w) for w in (32, 16))
    assert down + up + conv(16, 1, 1) == 116_753
    assert parameters_of(build_model(recipe("tf_unet"), 1, 2)) == 116_753
    assert parameters_of(UNet(recipe("tf_unet").model, 1, 2)) == 116_770


MODELS = st.builds(
    ModelConfig,
    num_levels=st.integers(2, 4),
    width=st.sampled_from([4, 6, 8]),
    convs_per_level=st.integers(1, 3),
    kernel_size=st.sampled_from([1, 3, 5]),
    pool_size=st.integers(2, 3),
    padding=st.sampled_from(["same", "none"]),
    normalization=st.sampled_from(["none", "batch", "group", "instance"]),
    activation=st.sampled_from(["relu", "leaky_relu", "elu", "gelu", "silu"]),
    dropout=st.sampled_from([0.0, 0.3]),
    dropout_at=st.sampled_from(["deepest_two", "every_convolution"]),
    upsampling=st.sampled_from(["transposed", "bilinear", "nearest"]),
    activate_upsampling=st.booleans(),
    residual=st.booleans(),
    attention=st.booleans(),
    initialization=st.sampled_from(["torch", "he"]),
)


@settings(max_examples=40, deadline=None)
@given(MODELS, st.integers(1, 4), st.integers(1, 3), st.integers(1, 80))
def test_any_settings_give_a_network_that_learns(model, in_channels, out_channels, size):
    if model.padding == "none":
        size = next(iter(nearest_sizes(model, size)), None)
    assume(size is not None and size <= 320)
    # A single pixel has no deviation; with padding there are two at every level.
    assume(model.normalization != "instance" or model.padding == "same" or size > 60)
    torch.manual_seed(0)
    network = UNet(model, in_channels, out_channels)
    logits = network(torch.rand(2, in_channels, size, size))
    after = output_size(model, size)
    assert logits.shape == (2, out_channels, after, after)
    assert after == size - 2 * network.context_px
    assert parameters_of(network) == num_parameters(model, in_channels, out_channels)
    logits.square().mean().backward()
    assert [name for name, each in network.named_parameters() if each.grad is None] == []
    assert all(each.grad.isfinite().all() for each in network.parameters())


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (37, 50), (64, 65)])
@pytest.mark.parametrize("normalization", ["none", "batch", "group", "instance"])
def test_with_padding_the_output_has_the_size_of_any_input(size, normalization):
    network = UNet(ModelConfig(width=4, normalization=normalization), 1, 2).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 1, *size)).shape == (1, 2, *size)


def test_padding_repeats_the_border_and_is_cut_off_again():
    torch.manual_seed(0)
    network = UNet(ModelConfig(width=4), 1, 1).eval()
    image = torch.rand(1, 1, 14, 13)
    by_hand = functional.pad(image, (0, 3, 0, 2), mode="replicate")
    assert torch.equal(network(image), network(by_hand)[..., :14, :13])


def test_without_padding_an_output_pixel_is_the_same_in_a_larger_image():
    torch.manual_seed(0)
    network = UNet(ModelConfig(num_levels=3, width=4, padding="none"), 1, 1).eval()
    large = torch.rand(1, 1, 68, 68)
    small = large[..., 8:60, 8:60]
    whole, part = network(large), network(small)
    assert part.shape[-1] == 52 - 2 * network.context_px
    torch.testing.assert_close(part, whole[..., 8:-8, 8:-8])


def test_interpolation_and_narrowing_can_change_places():
    model = ModelConfig(num_levels=2, width=4, upsampling="bilinear")
    torch.manual_seed(0)
    up, below = UNet(model, 1, 1).up[0], torch.rand(1, 8, 5, 6)
    other_order = up[0](functional.interpolate(below, scale_factor=2, mode="bilinear"))
    torch.testing.assert_close(up(below), other_order)


def test_deep_supervision_adds_a_head_to_each_coarser_level_but_the_deepest():
    config = recipe("quick")
    network = build_model(config, 3, 2)
    deep = config.model_copy(
        update={"loss": config.loss.model_copy(update={"deep_supervision": True})}
    )
    supervised = build_model(deep, 3, 2)
    images = torch.rand(2, 3, 40, 61)
    levels = supervised.eval().levels(images)
    assert [tuple(each.shape[-2:]) for each in levels] == [(40, 61), (20, 31), (10, 16)]
    assert torch.equal(levels[0], supervised(images))
    only = network.eval().levels(images)
    assert len(only) == 1 and torch.equal(only[0], network(images))
    # Widths 16, 32, 64, 128: heads at 32 and 64 channels, with a bias each.
    assert parameters_of(supervised) - parameters_of(network) == 32 + 64 + 2


def test_he_weights_have_the_papers_deviation():
    model = ModelConfig(num_levels=2, width=64, initialization="he")
    torch.manual_seed(0)
    network = UNet(model, 3, 1)
    # “For a 3x3 convolution and 64 feature channels in the previous layer N = 9 · 64 = 576.”
    assert network.down[0][2].weight.std().item() == pytest.approx(math.sqrt(2 / 576), rel=0.02)
    # Each pixel of a transposed convolution with its stride has one pixel of 128 channels before.
    assert network.up[0].weight.std().item() == pytest.approx(math.sqrt(2 / 128), rel=0.02)
    assert not any(each.bias.any() for each in network.modules() if isinstance(each, nn.Conv2d))


def test_dropout_ends_the_contracting_path_or_follows_each_convolution():
    deepest = UNet(ModelConfig(width=4, dropout=0.5), 1, 1)
    assert dropouts_in(deepest.down) == [0, 0, 1, 1] and dropouts_in(deepest.merge) == [0, 0, 0]
    each = UNet(ModelConfig(width=4, dropout=0.5, dropout_at="every_convolution"), 1, 1)
    assert dropouts_in(each.down) == [2, 2, 2, 2] and dropouts_in(each.merge) == [2, 2, 2]
    assert dropouts_in(UNet(ModelConfig(width=4), 1, 1).down) == [0, 0, 0, 0]


def dropouts_in(blocks):
    return [sum(isinstance(each, nn.Dropout2d) for each in block.modules()) for block in blocks]


def test_residual_block_without_convolutions_passes_its_input_on():
    block = UNet(ModelConfig(width=4, residual=True), 4, 1).down[0]
    assert isinstance(block, Residual) and isinstance(block.shortcut, nn.Identity)
    for layer in block.body:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
    x = torch.rand(1, 4, 6, 6)
    assert torch.equal(block(x), x)


def test_attention_gate_weighs_pixels_and_not_channels():
    torch.manual_seed(0)
    gate = AttentionGate(6, 12, 2)
    skip, below = torch.rand(2, 6, 8, 8) + 0.1, torch.rand(2, 12, 4, 4)
    weights = gate(skip, below) / skip
    assert ((weights > 0) & (weights < 1)).all()
    torch.testing.assert_close(weights, weights[:, :1].expand_as(weights))
    nn.init.constant_(gate.weight.weight, 0.0)
    nn.init.constant_(gate.weight.bias, 100.0)
    torch.testing.assert_close(gate(skip, below), skip)


def test_network_compiles_to_what_it_computes():
    model = ModelConfig(num_levels=3, width=4, normalization="batch", attention=True)
    network = UNet(model, 1, 1).eval()
    images = torch.rand(2, 1, 18, 21)
    # “eager” traces without compiling; a break of the graph is an error.
    compiled = torch.compile(network.levels, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images)[0], network(images))
