"""The running average of a network's weights."""

import io
import math

import pytest
import torch
from torch import nn

from engine.training.averaging import AveragedWeights

DECAY = 0.9


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))
    return net.to(memory_format=torch.channels_last)


def move(net: nn.Module, seed: int) -> None:
    """Change weights and buffers as a step of training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += torch.randn(parameter.shape, generator=generator)
    net.train()
    net(torch.rand(2, 2, 8, 8, generator=generator))


def copied(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: each.clone() for name, each in net.state_dict().items()}


def parameters(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: each.detach().clone() for name, each in net.named_parameters()}


def test_average_is_the_one_of_the_formula_with_its_short_memory_at_first():
    net = small_net()
    averaged = AveragedWeights(net, DECAY)
    expected = parameters(net)
    for step in range(150):
        move(net, step)
        averaged.update(net)
        decay = min(DECAY, (1 + step) / (10 + step))
        for name, latest in parameters(net).items():
            expected[name] = decay * expected[name] + (1 - decay) * latest
    with averaged.applied(net):
        for name, each in net.named_parameters():
            torch.testing.assert_close(each.detach(), expected[name], rtol=1e-4, atol=1e-4)


def test_weights_that_do_not_move_are_their_own_average():
    net = small_net()
    averaged = AveragedWeights(net, DECAY)
    before = copied(net)
    for _step in range(5):
        averaged.update(net)
    with averaged.applied(net):
        for name, each in net.state_dict().items():
            assert torch.equal(each, before[name])


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_network_has_exactly_its_own_weights_again_and_can_still_learn(context):
    net = small_net()
    averaged = AveragedWeights(net, DECAY)
    move(net, 0)
    averaged.update(net)
    before, identities = copied(net), [id(each) for each in net.parameters()]
    with context(), averaged.applied(net):
        assert not torch.equal(net[0].weight, before["0.weight"])
        assert torch.equal(net[1].running_mean, before["1.running_mean"])
    assert all(torch.equal(each, before[name]) for name, each in net.state_dict().items())
    assert [id(each) for each in net.parameters()] == identities
    assert net[0].weight.is_contiguous(memory_format=torch.channels_last)
    net(torch.rand(2, 2, 8, 8)).sum().backward()
    assert net[0].weight.grad is not None
    averaged.update(net)


def test_own_weights_come_back_when_validation_fails():
    net = small_net()
    averaged = AveragedWeights(net, DECAY)
    move(net, 0)
    before = copied(net)
    with pytest.raises(KeyError), averaged.applied(net):
        raise KeyError
    assert all(torch.equal(each, before[name]) for name, each in net.state_dict().items())


def test_average_goes_on_where_it_was_after_a_stay_on_disk():
    net, other = small_net(), small_net()
    whole, first = AveragedWeights(net, DECAY), AveragedWeights(other, DECAY)
    for step in range(6):
        move(net, step)
        whole.update(net)
    for step in range(3):
        move(other, step)
        first.update(other)
    file = io.BytesIO()
    torch.save(first.state(), file)
    file.seek(0)
    second = AveragedWeights(other, DECAY)
    second.restore(torch.load(file, weights_only=True))
    for step in range(3, 6):
        move(other, step)
        second.update(other)
    with whole.applied(net), second.applied(other):
        for mine, expected in zip(other.parameters(), net.parameters(), strict=True):
            assert torch.equal(mine, expected)


def test_average_follows_no_gradient_and_leaves_the_networks_alone():
    net = small_net()
    averaged = AveragedWeights(net, DECAY)
    move(net, 0)
    before = copied(net)
    averaged.update(net)
    assert all(torch.equal(each, before[name]) for name, each in net.state_dict().items())
    averages = averaged.state()["averages"]
    assert not any(each.requires_grad for each in averages.values())
    assert all(math.isfinite(each.sum()) for each in averages.values())
