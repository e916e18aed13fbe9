"""Changes of grey values, and what is laid over an image.

Shapes: N images, C channels, H height, W width.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from engine.config import AugmentConfig
from engine.training.augment.batch import to_device

_NUM_DRAWS = 9
"""Random numbers for each image; as many whatever is on, so that settings do not shift others."""

_CUTOUT_GREY = 0.5

_BLUR_REACH = 3.0
"""Standard deviations after which the Gaussian of a blur is cut off."""


def change_intensity(
    images_NCHW: Tensor, config: AugmentConfig, generator: torch.Generator
) -> Tensor:
    """Change grey values at random, in the order in which a camera would: light, optics, sensor.

    Args:
        images_NCHW: float, 0 to 1; not written to.
        generator: on the CPU; untouched where no change of grey values is on.

    Returns:
        Images within 0…1.
    """
    strengths = (
        config.brightness, config.contrast, config.gamma, config.noise, config.blur_px,
        config.cutout,
    )  # fmt: skip
    if not (any(strengths) or config.channel_shuffle):
        return images_NCHW
    draws = torch.rand(_NUM_DRAWS, len(images_NCHW), generator=generator)
    draws = to_device(draws, images_NCHW.device)[..., None, None, None]
    brightness, contrast, gamma = 2 * draws[:3] - 1
    noise, blur = draws[3:5]
    if config.brightness or config.contrast:
        images_NCHW = _brightened(
            images_NCHW, 1 + config.brightness * brightness, 1 + config.contrast * contrast
        )
    if config.gamma:
        images_NCHW = images_NCHW.pow(1 + config.gamma * gamma)
    if config.channel_shuffle:
        images_NCHW = _shuffled(images_NCHW, generator)
    if config.blur_px:
        images_NCHW = _blurred(images_NCHW, config.blur_px * blur, config.blur_px)
    if config.noise:
        images_NCHW = _noisy(images_NCHW, config.noise * noise, generator)
    if config.cutout:
        images_NCHW = _covered(images_NCHW, draws[5:], config.cutout)
    return images_NCHW


def _brightened(images_NCHW: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """((image - mean) · contrast + mean) · brightness, each for one image."""
    mean = images_NCHW.mean(dim=(1, 2, 3), keepdim=True)
    raised = mean * (1 - contrast) * brightness
    return torch.addcmul(raised, images_NCHW, contrast * brightness).clamp_(0, 1)


def _shuffled(images_NCHW: Tensor, generator: torch.Generator) -> Tensor:
    num_images, num_channels = images_NCHW.shape[:2]
    order_NC = torch.rand(num_images, num_channels, generator=generator).argsort(dim=1)
    order = to_device(order_NC, images_NCHW.device)[..., None, None]
    return images_NCHW.gather(1, order.expand_as(images_NCHW))


def _blurred(images_NCHW: Tensor, sigma_px: Tensor, most_px: float) -> Tensor:
    """Gaussian blur, rows then columns; the border is mirrored.

    Args:
        sigma_px: of each image, (N, 1, 1, 1), up to `most_px`, which decides the filter's size.
    """
    for axis in (-1, -2):
        # A mirror image reaches no further than the image does.
        radius = min(math.ceil(_BLUR_REACH * most_px), images_NCHW.shape[axis] - 1)
        offsets = torch.arange(-radius, radius + 1, device=images_NCHW.device)
        # A blur of 0 px is none: all the weight is in the middle.
        weights = torch.exp(-0.5 * (offsets / sigma_px.clamp(min=1e-3)) ** 2)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        margins = (radius, radius, 0, 0) if axis == -1 else (0, 0, radius, radius)
        padded = functional.pad(images_NCHW, margins, mode="reflect")
        size = images_NCHW.shape[axis]
        images_NCHW = padded.narrow(axis, 0, size) * weights[..., :1]
        for index in range(1, 2 * radius + 1):
            images_NCHW.addcmul_(padded.narrow(axis, index, size), weights[..., index : index + 1])
    return images_NCHW


def _noisy(images_NCHW: Tensor, deviation: Tensor, generator: torch.Generator) -> Tensor:
    """With normal noise on every pixel and channel.

    It is made where the images are, from a seed that the CPU draws: numbers by the million take
    longer to bring to a GPU than a training step takes.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    local = torch.Generator(images_NCHW.device).manual_seed(seed)
    noise = torch.empty_like(images_NCHW).normal_(generator=local)
    return torch.addcmul(images_NCHW, noise, deviation).clamp_(0, 1)


def _covered(images_NCHW: Tensor, draws: Tensor, most: float) -> Tensor:
    """With a grey rectangle somewhere in each image.

    Args:
        draws: (4, N, 1, 1, 1), 0 to 1: the rectangle's middle and its sides.
        most: longest side, as a share of the image's.
    """
    middle_y, middle_x, height, width = draws
    down, right = (
        (torch.arange(side, device=images_NCHW.device) + 0.5) / side
        for side in images_NCHW.shape[-2:]
    )
    is_row = (down[:, None] - middle_y).abs() < height * most / 2
    is_column = (right - middle_x).abs() < width * most / 2
    return images_NCHW.masked_fill(is_row & is_column, _CUTOUT_GREY)
