"""Losses that judge each pixel by itself: cross-entropy, and what turns it to the hard pixels.

Both are means over the pixels that are not ignored: Σ w · loss / number of pixels. Weights of 1
change nothing. This is not what torch's `weight=` does, which divides by Σ w: there a batch of
background alone would count as much as one full of a rare class, and the border weight would take
from the inside of objects what it gives to the gaps.

Shapes: N images, C logits per pixel (1 with two classes, else K), H height, W width.
"""

import torch
from torch import Tensor
from torch.nn import functional

from engine.scores.counts import IGNORED_INDEX
from engine.training.losses.pixels import looked_at, upcast


def cross_entropy(
    logits_NCHW: Tensor, masks_NHW: Tensor, weights_NHW: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy; 0 when all pixels are ignored.

    With one logit per pixel it is the binary cross-entropy of class 1 (`BCEWithLogitsLoss`).

    Shape:
        - logits_NCHW: float (N, C, H, W)
        - masks_NHW: any integer (N, H, W)
        - weights_NHW: float (N, H, W), at least 0; None is 1 everywhere
    """
    return _mean(_entropies(logits_NCHW, masks_NHW), masks_NHW, weights_NHW)


def focal_loss(
    logits_NCHW: Tensor, masks_NHW: Tensor, gamma: float, weights_NHW: Tensor | None = None
) -> Tensor:
    """Mean of (1 - p)^γ · cross-entropy, p the probability of the true class (arXiv 1708.02002).

    γ = 0 is cross-entropy. The paper's α are weights of the classes.

    Shape:
        - logits_NCHW: float (N, C, H, W)
        - masks_NHW: any integer (N, H, W)
        - weights_NHW: float (N, H, W), at least 0; None is 1 everywhere
    """
    entropies_NHW = _entropies(logits_NCHW, masks_NHW)
    # 1 - p, without the digits that this subtraction loses near p = 1. There, for γ < 1, the
    # power has an infinite slope, which the tiniest of numbers keeps away.
    doubts_NHW = -torch.expm1(-entropies_NHW)
    doubts_NHW = doubts_NHW.clamp(min=torch.finfo(doubts_NHW.dtype).tiny)
    return _mean(doubts_NHW**gamma * entropies_NHW, masks_NHW, weights_NHW)


def _entropies(logits_NCHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """Cross-entropy of each pixel, shape (N, H, W); meaningless where pixels are ignored."""
    logits_NCHW = upcast(logits_NCHW)
    if logits_NCHW.shape[1] == 1:
        logits_NHW = logits_NCHW[:, 0]
        targets_NHW = (masks_NHW == 1).to(logits_NHW.dtype)
        return functional.binary_cross_entropy_with_logits(
            logits_NHW, targets_NHW, reduction="none"
        )
    # Reduced by torch, it would add up in no fixed order on a GPU.
    return functional.cross_entropy(
        logits_NCHW, masks_NHW.long(), ignore_index=IGNORED_INDEX, reduction="none"
    )


def _mean(values_NHW: Tensor, masks_NHW: Tensor, weights_NHW: Tensor | None) -> Tensor:
    looked_at_NHW = looked_at(masks_NHW)
    if weights_NHW is not None:
        values_NHW = values_NHW * weights_NHW
    return (values_NHW * looked_at_NHW).sum() / looked_at_NHW.sum().clamp(min=1)
