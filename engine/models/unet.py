"""The U-Net (Ronneberger, Fischer, Brox 2015, arXiv 1505.04597), with padded convolutions.

Shapes: N images, C channels, H height, W width, L levels.
"""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.config import ModelConfig
from engine.models.arithmetic import level_widths

_NUM_GROUPS = 8


class UNet(nn.Module):
    """Contracting and expanding path with skip concatenation and a 1×1 head.

    Any image size goes in: sizes that 2^(L-1) does not divide are padded by repeating the border,
    and the padding is cut off again, so that the output has the input's size.

    Args:
        config: levels, width, normalisation, upsampling.
        in_channels: channels of the images.
        out_channels: logits per pixel.

    Shape:
        - input: float (N, in_channels, H, W)
        - output: float (N, out_channels, H, W), logits
    """

    def __init__(self, config: ModelConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        widths = level_widths(config)
        self.stride = 2 ** (config.num_levels - 1)
        self.down = nn.ModuleList(
            _block(config, before, width)
            for before, width in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(
            _upsampling(config, below, width) for width, below in reversed(list(pairwise(widths)))
        )
        self.merge = nn.ModuleList(
            _block(config, 2 * width, width) for width in reversed(widths[:-1])
        )
        self.head = nn.Conv2d(widths[0], out_channels, 1)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Logits for a batch of images."""
        height, width = images_NCHW.shape[-2:]
        x = _pad_to_multiple(images_NCHW, self.stride)
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([skips.pop(), up(x)], dim=1))
        return cast(Tensor, self.head(x)[..., :height, :width])


def _pad_to_multiple(images_NCHW: Tensor, stride: int) -> Tensor:
    height, width = images_NCHW.shape[-2:]
    bottom, right = -height % stride, -width % stride
    if not (bottom or right):
        return images_NCHW
    return functional.pad(images_NCHW, (0, right, 0, bottom), mode="replicate")


def _block(config: ModelConfig, in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        *_normalization(config, out_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
        *_normalization(config, out_channels),
        nn.ReLU(inplace=True),
    )


def _normalization(config: ModelConfig, num_channels: int) -> list[nn.Module]:
    if config.normalization == "batch":
        return [nn.BatchNorm2d(num_channels)]
    if config.normalization == "group":
        groups = _NUM_GROUPS if num_channels % _NUM_GROUPS == 0 else 1
        return [nn.GroupNorm(groups, num_channels)]
    return []


def _upsampling(config: ModelConfig, in_channels: int, out_channels: int) -> nn.Module:
    if config.upsampling == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        nn.Conv2d(in_channels, out_channels, 1),
    )
