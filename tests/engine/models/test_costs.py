"""What is said of a network without building it, against the network."""

import pytest
import torch
from torch import nn

from benchmarks.networks import forward_flops, kept_for_backward, live_while_predicting
from engine.config import ModelConfig, output_size, recipe, with_changes
from engine.models.arithmetic import describe, num_outputs
from engine.models.registry import build_model
from engine.models.unet import UNet
from engine.models.unet_costs import level_widths, lost_px, receptive_field_px, unet_costs

GRID = [
    {},
    {"num_levels": 3, "kernel_size": 5, "convs_per_level": 3},
    {"pool_size": 3, "num_levels": 3, "upsampling": "bilinear"},
    {"normalization": "batch", "activation": "leaky_relu", "upsampling": "nearest"},
    {"normalization": "group", "activation": "gelu", "residual": True},
    {"normalization": "instance", "activation": "elu", "attention": True},
    {"dropout": 0.5, "activate_upsampling": True, "convs_per_level": 1},
    {"dropout": 0.5, "dropout_at": "every_convolution", "activation": "silu", "residual": True},
    {"padding": "none", "num_levels": 3, "normalization": "batch", "attention": True},
    {"padding": "none", "num_levels": 3, "residual": True, "activate_upsampling": True},
]
IDS = [",".join(f"{name}={value}" for name, value in each.items()) or "plain" for each in GRID]


def network_and_costs(settings, deep_supervision=False):
    model = ModelConfig(width=8, **settings)
    size = 92 if model.padding == "none" else 90
    assert output_size(model, size)
    network = UNet(model, 3, 2, deep_supervision).to("meta")
    costs = unet_costs(model, 3, 2, size, deep_supervision)
    return network, costs, torch.empty(1, 3, size, size, device="meta")


@pytest.mark.parametrize("settings", GRID, ids=IDS)
def test_operations_are_those_torch_counts(settings):
    network, costs, images = network_and_costs(settings)
    assert costs.flops == forward_flops(network, images)


@pytest.mark.parametrize("settings", GRID, ids=IDS)
def test_what_is_kept_for_the_way_back_is_what_torch_saves(settings):
    network, costs, images = network_and_costs(settings)
    kept_values, index_bytes = kept_for_backward(network, images)
    assert costs.kept_values == pytest.approx(kept_values, rel=0.02)
    assert costs.kept_index_bytes == index_bytes


@pytest.mark.parametrize("settings", GRID, ids=IDS)
def test_memory_while_predicting_is_estimated_within_a_quarter(settings):
    network, costs, images = network_and_costs(settings)
    live = live_while_predicting(network.eval(), images)
    assert costs.live_values == pytest.approx(live, rel=0.25)


def test_heads_of_deep_supervision_count():
    network, costs, images = network_and_costs({}, deep_supervision=True)
    plain = network_and_costs({})[1]
    assert costs.parameters == sum(each.numel() for each in network.parameters())
    assert costs.parameters > plain.parameters and costs.flops > plain.flops
    assert costs.flops == forward_flops(Levels(network), images)


class Levels(nn.Module):
    """A network whose forward pass includes the side heads."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network.levels(images)


FIELDS = [
    {"num_levels": 2},
    {"num_levels": 3},
    {"num_levels": 3, "padding": "none"},
    {"num_levels": 2, "kernel_size": 5, "convs_per_level": 1},
    {"num_levels": 3, "pool_size": 3, "convs_per_level": 1},
    {"num_levels": 3, "upsampling": "bilinear"},
    {"num_levels": 3, "upsampling": "nearest", "residual": True},
    {"num_levels": 3, "attention": True},
    {"num_levels": 2, "pool_size": 3, "upsampling": "bilinear"},
]


@pytest.mark.parametrize("settings", FIELDS, ids=lambda each: ",".join(map(str, each.values())))
def test_receptive_field_is_where_the_gradient_reaches(settings):
    model = ModelConfig(width=4, **settings)
    network = UNet(model, 1, 1).double()
    # All weights positive, so that nothing cancels, and small, so that no gate is wide open.
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.03)
    # Its gradient goes to the largest pixel only; that of the mean to all that are looked at.
    network.pool = nn.AvgPool2d(model.pool_size)
    stride = model.pool_size ** (model.num_levels - 1)
    size = stride * 24
    while output_size(model, size) is None:
        size += 1
    images = torch.ones(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    logits = network(images)
    widths = []
    for pixel in range(stride):
        middle = logits.shape[-1] // 2 + pixel
        (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], images, retain_graph=True)
        reached = gradient[0, 0].abs().sum(dim=0).nonzero().flatten()
        assert reached[0] > 0 and reached[-1] < size - 1, "the image is too small"
        widths.append(int(reached[-1] - reached[0]) + 1)
    assert receptive_field_px(model) == max(widths)


def test_tutorial_takes_a_third_of_220_gigaflop_forward():
    facts = describe(recipe("tutorial"), 3, 2)
    assert facts.num_parameters == 7_697_345
    # Forward and backward 220.3: the first convolution needs no gradient of the image.
    first_backward = 2 * 3 * 64 * 9 * 256**2
    assert 3 * facts.forward_flops - first_backward == pytest.approx(220.3e9, rel=0.001)
    assert level_widths(recipe("tutorial").model) == [64, 128, 256, 512]


def test_papers_network_loses_92_pixels_on_each_side():
    assert lost_px(recipe("paper").model) == (572 - 388) // 2
    assert lost_px(recipe("tf_unet").model) == (300 - 260) // 2
    assert lost_px(recipe("tutorial").model) == 0


def test_training_takes_what_weights_optimiser_and_batch_take():
    config = with_changes(recipe("quick"), {"optimizer": "adamw", "ema_decay": 0})
    facts = describe(config, 3, 2)
    fixed = facts.training_bytes(0, 4)
    # Weight, gradient and two moments in single precision.
    assert fixed == 4 * 4 * facts.num_parameters
    assert facts.training_bytes(2, 4) - fixed == 2 * (facts.training_bytes(1, 4) - fixed)
    assert facts.training_bytes(8, 2) < facts.training_bytes(8, 4)
    assert facts.inference_bytes(8, 4) < facts.training_bytes(8, 4)
    averaged = describe(with_changes(config, {"ema_decay": 0.9}), 3, 2)
    assert averaged.training_bytes(0, 4) == 5 * 4 * facts.num_parameters
    plain = describe(with_changes(config, {"optimizer": "sgd", "momentum": 0}), 3, 2)
    assert plain.training_bytes(0, 4) == 2 * 4 * facts.num_parameters


def test_larger_images_cost_by_their_area_and_small_ones_what_padding_makes_of_them():
    small, large = (
        describe(with_changes(recipe("quick"), {"image_size_px": size}), 3, 2)
        for size in (128, 256)
    )
    assert large.forward_flops == 4 * small.forward_flops
    assert large.num_parameters == small.num_parameters
    odd, even = (
        describe(with_changes(recipe("quick"), {"image_size_px": size}), 3, 2)
        for size in (121, 128)
    )
    assert odd.forward_flops == even.forward_flops
    assert odd.logits == 121**2


def test_description_fits_the_network_of_every_recipe():
    for name in ("auto", "quick", "tutorial", "tf_unet"):
        facts = describe(recipe(name), 3, 4)
        built = sum(each.numel() for each in build_model(recipe(name), 3, 4).parameters())
        assert facts.num_parameters == built
        assert facts.receptive_field_px < recipe(name).images.image_size_px


def test_two_classes_need_one_logit_and_more_one_each():
    assert [num_outputs(n) for n in (2, 3, 7)] == [1, 3, 7]
