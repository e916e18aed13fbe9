"""What one step of a training sees.

Shapes: N images, C channels, H height, W width.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Images and their truth, on one device."""

    images_NCHW: Tensor
    """Float, 0 to 1."""
    masks_NHW: Tensor
    """Class indices, of any integer type; 255 = ignored."""
    borders_NHW: Tensor | None = None
    """Float, 0 to 1: the exponential of the border weight map. None: the loss has no such term."""

    def first(self, count: int) -> Self:
        """The first images of the batch."""
        borders = self.borders_NHW
        return replace(
            self,
            images_NCHW=self.images_NCHW[:count],
            masks_NHW=self.masks_NHW[:count],
            borders_NHW=None if borders is None else borders[:count],
        )


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A copy of numbers drawn on the CPU; neither side waits for the other."""
    if device.type == "cpu":
        return values
    # A copy that is not pinned would hold the CPU until the device has done all it was given.
    return values.pin_memory().to(device, non_blocking=True)
