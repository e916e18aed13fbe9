"""The optimiser that the settings name."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from engine.config import OptimizerConfig
from engine.training.optimizers import make_optimizer

CPU = torch.device("cpu")
NAMES = ("adam", "adamw", "sgd", "rmsprop")


def small_net() -> nn.Sequential:
    """3×3 and 1×1 convolutions with a normalisation, laid out as in training."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 2, 1)
    )
    return net.to(memory_format=torch.channels_last)


def train(net: nn.Module, optimizer: torch.optim.Optimizer, num_steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    for _step in range(num_steps):
        images = torch.rand(2, 3, 8, 8, generator=generator)
        images = images.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad(set_to_none=True)
        functional.mse_loss(net(images), torch.ones(2, 2, 8, 8)).backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("sgd", torch.optim.SGD),
        ("rmsprop", torch.optim.RMSprop),
    ],
)
def test_optimizer_is_the_one_named_with_its_settings(name, kind):
    config = OptimizerConfig(optimizer=name, learning_rate=0.02, momentum=0.7)
    optimizer = make_optimizer(config, small_net(), CPU)
    assert type(optimizer) is kind
    for group in optimizer.param_groups:
        assert group["lr"] == 0.02
        assert group.get("momentum", 0.7) == 0.7


@pytest.mark.parametrize("name", NAMES)
def test_step_equals_the_plain_one_in_the_layout_of_training(name):
    config = OptimizerConfig(optimizer=name, learning_rate=0.01, weight_decay=0.1)
    net, plain_net = small_net(), small_net()
    train(net, make_optimizer(config, net, CPU), 5)
    plain = {
        "adam": lambda groups: torch.optim.Adam(groups, lr=0.01, foreach=False),
        "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01, foreach=False),
        "sgd": lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9, foreach=False),
        "rmsprop": lambda groups: torch.optim.RMSprop(groups, lr=0.01, momentum=0.9, foreach=False),
    }[name]
    weights = [each for each in plain_net.parameters() if each.ndim == 4]
    others = [each for each in plain_net.parameters() if each.ndim == 1]
    train(
        plain_net,
        plain([{"params": weights, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]),
        5,
    )
    for mine, expected in zip(net.parameters(), plain_net.parameters(), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(net[0].weight, small_net()[0].weight), "nothing was learned"


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_pulls_at_filters_and_at_nothing_else(name):
    config = OptimizerConfig(optimizer=name, learning_rate=1e-3, weight_decay=0.5)
    net = small_net()
    nn.init.ones_(net[0].bias)
    before = copy.deepcopy(net.state_dict())
    optimizer = make_optimizer(config, net, CPU)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for key, value in net.named_parameters():
        if value.ndim == 4:
            assert value.abs().sum() < before[key].abs().sum(), key
        else:
            assert torch.equal(value, before[key]), key


def test_every_trainable_parameter_is_optimised_once_and_a_frozen_one_never():
    net = small_net()
    net[3].weight.requires_grad_(False)
    optimizer = make_optimizer(OptimizerConfig(weight_decay=0.1), net, CPU)
    listed = [each for group in optimizer.param_groups for each in group["params"]]
    expected = {id(each) for each in net.parameters()} - {id(net[3].weight)}
    assert {id(each) for each in listed} == expected
    assert len(listed) == len(expected)


def test_network_of_biases_alone_has_an_optimizer_too():
    module = nn.ParameterList([torch.zeros(3)])
    optimizer = make_optimizer(OptimizerConfig(weight_decay=0.1), module, CPU)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0]
