"""Random changes to training images, in batch, on the training device.

Shapes: N images, C channels, H height, W width. Images and masks share one geometry; a quarter
turn needs H = W, which resized training images have.
"""

import torch
from torch import Tensor

from engine.config import AugmentConfig


def augment(
    images_NCHW: Tensor, masks_NHW: Tensor, config: AugmentConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Change a batch at random.

    Args:
        images_NCHW: float, 0 to 1.
        masks_NHW: class indices; moved with the images, values untouched.
        generator: a CPU generator; the same state gives the same changes on every device.

    Returns:
        Images and masks of the same shapes; images clipped to 0…1 again.
    """
    if config.flips:
        for axis in (-1, -2):
            chosen = _coins(len(images_NCHW), generator).to(images_NCHW.device)
            images_NCHW = _where(chosen, images_NCHW.flip(axis), images_NCHW)
            masks_NHW = _where(chosen, masks_NHW.flip(axis), masks_NHW)
    if config.rotate_90:
        # Two coins: half a turn and a quarter turn give all four directions equally often.
        for num_quarters in (2, 1):
            chosen = _coins(len(images_NCHW), generator).to(images_NCHW.device)
            images_NCHW = _where(chosen, images_NCHW.rot90(num_quarters, (-2, -1)), images_NCHW)
            masks_NHW = _where(chosen, masks_NHW.rot90(num_quarters, (-2, -1)), masks_NHW)
    if config.brightness_contrast:
        images_NCHW = _brightness_contrast(images_NCHW, config.brightness_contrast, generator)
    return images_NCHW, masks_NHW


def _brightness_contrast(images_NCHW: Tensor, limit: float, generator: torch.Generator) -> Tensor:
    draws = torch.rand(2, len(images_NCHW), 1, 1, 1, generator=generator) * 2 - 1
    brightness, contrast = (1 + limit * draws).to(images_NCHW.device)
    mean = images_NCHW.mean(dim=(1, 2, 3), keepdim=True)
    changed: Tensor = ((images_NCHW - mean) * contrast + mean) * brightness
    return changed.clamp(0, 1)


def _coins(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) < 0.5


def _where(chosen_N: Tensor, changed: Tensor, unchanged: Tensor) -> Tensor:
    return torch.where(chosen_N.view(-1, *[1] * (changed.ndim - 1)), changed, unchanged)
