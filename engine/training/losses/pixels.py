"""What all losses need to know of logits and masks.

Shapes: N images, C logits per pixel, H height, W width.
"""

import torch
from torch import Tensor

from engine.scores.counts import IGNORED_INDEX


def upcast(logits_NCHW: Tensor) -> Tensor:
    """Logits in float32 or better: sums over pixels need more digits than half precision has."""
    return logits_NCHW.to(torch.promote_types(logits_NCHW.dtype, torch.float32))


def looked_at(masks_NHW: Tensor) -> Tensor:
    """Which pixels are not ignored; bool, shape (N, H, W)."""
    return masks_NHW != IGNORED_INDEX


def probabilities_and_targets(logits_NCHW: Tensor, masks_NHW: Tensor) -> tuple[Tensor, Tensor]:
    """Probability of each class, and whether a pixel is of it; both of shape (N, C, H, W).

    With one logit per pixel the only class is class 1. Ignored pixels are of no class.
    """
    num_logits = logits_NCHW.shape[1]
    if num_logits == 1:
        return logits_NCHW.sigmoid(), (masks_NHW == 1).unsqueeze(1)
    indices_1C11 = torch.arange(num_logits, device=masks_NHW.device).view(1, -1, 1, 1)
    return logits_NCHW.softmax(dim=1), masks_NHW.unsqueeze(1) == indices_1C11
