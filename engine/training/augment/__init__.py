"""Random changes to training images, in batch, on the training device.

What is random is drawn per image from one generator on the CPU: its state is all that a resumed
training needs, and the same seed changes images in the same way on every device.
"""

from dataclasses import replace

import torch

from engine.config import AugmentConfig
from engine.training.augment.batch import Batch
from engine.training.augment.geometry import change_geometry, margin_px
from engine.training.augment.intensity import change_intensity

__all__ = ["Batch", "augment", "margin_px"]


def augment(batch: Batch, config: AugmentConfig, size_px: int, generator: torch.Generator) -> Batch:
    """Change a batch at random.

    Args:
        batch: images, masks and borders of one height and width, at least `size_px`; what is
            beyond is real surroundings for what is turned, shrunk or shifted (see `margin_px`).
        size_px: width and height of the result, which is the middle of the changed images.
        generator: on the CPU.

    Returns:
        Images within 0…1, masks with no value they did not have but, with `border` “ignore”, 255.
    """
    moved = change_geometry(batch, config, size_px, generator)
    images_NCHW = change_intensity(moved.images_NCHW, config, generator)
    return replace(moved, images_NCHW=images_NCHW)
