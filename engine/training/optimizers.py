"""The optimiser, and the learning rate over the training."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from engine.config import OptimizerConfig

WARMUP_SHARE = 0.05
"""Share of the training over which the cosine schedule rises from 0 to its peak."""

_SGD_MOMENTUM = 0.9


def make_optimizer(
    config: OptimizerConfig, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimiser these settings name, at its peak learning rate."""
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=_SGD_MOMENTUM, weight_decay=decay)
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)


def learning_rate_at(config: OptimizerConfig, progress: float) -> float:
    """The learning rate when a share of the training is done.

    Args:
        progress: 0 at the start, 1 at the end.

    The cosine is SGDR's without restarts (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5),
    after a linear warm-up.
    """
    if config.lr_schedule == "constant":
        return config.learning_rate
    if progress < WARMUP_SHARE:
        # Never quite 0: the first step should move the weights too.
        return config.learning_rate * max(progress / WARMUP_SHARE, 0.01)
    done = min((progress - WARMUP_SHARE) / (1 - WARMUP_SHARE), 1.0)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
