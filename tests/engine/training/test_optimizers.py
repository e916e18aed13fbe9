"""The learning rate over a training."""

import pytest
import torch

from engine.config import OptimizerConfig
from engine.training.optimizers import learning_rate_at, make_optimizer


def test_constant_schedule_does_not_move():
    config = OptimizerConfig(learning_rate=0.1)
    assert [learning_rate_at(config, p) for p in (0, 0.5, 1)] == [0.1, 0.1, 0.1]


@pytest.mark.parametrize(
    ("progress", "expected"), [(0, 0.001), (0.025, 0.05), (0.05, 0.1), (0.525, 0.05), (1, 0.0)]
)
def test_cosine_schedule_warms_up_and_falls_to_zero(progress, expected):
    config = OptimizerConfig(learning_rate=0.1, lr_schedule="cosine")
    assert learning_rate_at(config, progress) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)],
)
def test_optimizer_is_the_one_named(name, kind):
    config = OptimizerConfig(optimizer=name, learning_rate=0.02, weight_decay=0.3)
    optimizer = make_optimizer(config, [torch.nn.Parameter(torch.zeros(1))])
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["lr"] == 0.02
    assert optimizer.param_groups[0]["weight_decay"] == 0.3
