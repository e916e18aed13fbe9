"""What is minimised.

Shapes: N images, C logits per pixel (1 with two classes, else K), K classes, H height, W width.
Masks hold class indices 0…K-1, or 255 for pixels that no loss looks at.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from engine.config import LossConfig
from engine.scores.counts import IGNORED_INDEX

Loss = Callable[[Tensor, Tensor], Tensor]

_DICE_SMOOTHING = 1.0
"""Keeps soft Dice defined, and its gradient small, when a class has no pixels in a batch."""


def make_loss(config: LossConfig) -> Loss:
    """The loss these settings name: `(logits_NCHW, masks_NHW) -> scalar`."""
    if config.loss == "cross_entropy":
        return cross_entropy
    return lambda logits_NCHW, masks_NHW: (
        cross_entropy(logits_NCHW, masks_NHW) + soft_dice_loss(logits_NCHW, masks_NHW)
    )


def cross_entropy(logits_NCHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """Mean cross-entropy over the pixels that are not ignored; 0 when all are.

    With one logit per pixel it is the binary cross-entropy of class 1 (`BCEWithLogitsLoss`).

    Shape:
        - logits_NCHW: float (N, C, H, W)
        - masks_NHW: int64 (N, H, W)
    """
    valid_NHW = masks_NHW != IGNORED_INDEX
    if logits_NCHW.shape[1] == 1:
        target = (masks_NHW == 1).to(logits_NCHW.dtype)
        per_pixel = functional.binary_cross_entropy_with_logits(
            logits_NCHW[:, 0], target, reduction="none"
        )
    else:
        per_pixel = functional.cross_entropy(
            logits_NCHW, masks_NHW, ignore_index=IGNORED_INDEX, reduction="none"
        )
    return (per_pixel * valid_NHW).sum() / valid_NHW.sum().clamp(min=1)


def soft_dice_loss(logits_NCHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """1 - soft Dice over the whole batch (Milletari et al. 2016, arXiv 1606.04797), class mean.

    With one logit per pixel only class 1 counts; else all classes do, background included.

    Shape:
        - logits_NCHW: float (N, C, H, W)
        - masks_NHW: int64 (N, H, W)
    """
    valid_N1HW = (masks_NHW != IGNORED_INDEX).unsqueeze(1)
    if logits_NCHW.shape[1] == 1:
        probabilities = logits_NCHW.sigmoid()
        targets = (masks_NHW == 1).unsqueeze(1)
    else:
        probabilities = logits_NCHW.softmax(dim=1)
        indices_1C11 = torch.arange(logits_NCHW.shape[1], device=masks_NHW.device).view(1, -1, 1, 1)
        targets = masks_NHW.unsqueeze(1) == indices_1C11
    probabilities = probabilities * valid_N1HW
    over_batch = (0, 2, 3)
    intersection = (probabilities * targets).sum(over_batch)
    total = probabilities.sum(over_batch) + targets.sum(over_batch)
    return 1 - ((2 * intersection + _DICE_SMOOTHING) / (total + _DICE_SMOOTHING)).mean()
