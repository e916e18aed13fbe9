"""What a loss is, and how it is asked of several resolutions at once.

Shapes: N images, C logits per pixel, H height, W width; h, w those of a coarser level.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""`(logits_NCHW, masks_NHW, borders_NHW | None) -> scalar`; see `engine.training.losses`."""


def deep_loss(
    loss: Loss, levels: Sequence[Tensor], masks_NHW: Tensor, borders_NHW: Tensor | None
) -> Tensor:
    """The loss of all levels of a network with deep supervision (arXiv 1409.5185).

    The finest weighs 1, the next 1/2, then 1/4 …, divided by their sum. Masks and borders are
    brought to the size of a level by taking the pixel nearest to the middle of each of its cells,
    so that no class index arises that was not there.

    Args:
        levels: logits (N, C, h, w), finest first.
    """
    weights = [0.5**number for number in range(len(levels))]
    total = torch.zeros((), device=levels[0].device)
    for weight, logits_NChw in zip(weights, levels, strict=True):
        height, width = logits_NChw.shape[-2:]
        masks_Nhw = _nearest(masks_NHW, height, width)
        borders_Nhw = None if borders_NHW is None else _nearest(borders_NHW, height, width)
        total = total + weight / sum(weights) * loss(logits_NChw, masks_Nhw, borders_Nhw)
    return total


def _nearest(maps_NHW: Tensor, height: int, width: int) -> Tensor:
    # Not `interpolate`, which knows no integers but bytes.
    for axis, size in ((1, height), (2, width)):
        old_size = maps_NHW.shape[axis]
        if size != old_size:
            cells = torch.arange(size, device=maps_NHW.device)
            # The middle of cell i of n lies at (i + 1/2) · old_size / n.
            middles = (2 * cells + 1) * old_size // (2 * size)
            maps_NHW = maps_NHW.index_select(axis, middles)
    return maps_NHW
