"""The optimiser of a training."""

import torch
from torch import nn

from engine.config import OptimizerConfig

_FUSED_ON = frozenset({"cpu", "cuda"})
"""Devices on which one kernel makes the whole step of SGD, Adam and AdamW."""


def make_optimizer(
    config: OptimizerConfig, model: nn.Module, device: torch.device
) -> torch.optim.Optimizer:
    """The optimiser these settings name, at its peak learning rate.

    Weight decay pulls at filters only, not at biases and at the scales and shifts of
    normalisations: these have few values, which overfit nothing, and a scale that is pulled to
    zero only makes the next layer's filters grow.

    Args:
        model: on the device. Its gradients must come from `backward`, which gives them the memory
            layout of their weights: fused steps rely on it without a check.
    """
    groups = _groups(model, config.weight_decay)
    rate, fused = config.learning_rate, device.type in _FUSED_ON
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, fused=fused)
    if config.optimizer == "rmsprop":
        # It has no fused step; on a GPU torch takes all weights at once by itself.
        return torch.optim.RMSprop(groups, lr=rate, momentum=config.momentum)
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=rate, fused=fused)
    return torch.optim.AdamW(groups, lr=rate, fused=fused)


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """The parameters with decay and, where there are any, those without."""
    trainable = [each for each in model.parameters() if each.requires_grad]
    filters = [each for each in trainable if each.ndim > 1]
    others = [each for each in trainable if each.ndim <= 1]
    groups: list[dict[str, object]] = [
        {"params": filters, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
