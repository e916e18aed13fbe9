"""The U-Net (Ronneberger, Fischer, Brox 2015, arXiv 1505.04597), with all settings of its kind.

Shapes: N images, C channels, H height, W width, h and w those of the level below, L levels.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from engine.config import ModelConfig
from engine.models.blocks import AttentionGate, conv_block, initialize_he, middle, upsampling
from engine.models.network import SegmentationNet, pad_to_multiple
from engine.models.unet_costs import level_widths, lost_px


class UNet(SegmentationNet):
    """Contracting and expanding path with skip concatenation and a 1×1 head.

    With padding any image size goes in: sizes that pool_size^(L-1) does not divide are padded by
    repeating the border, and the padding is cut off again, so that the output has the input's
    size. Without, the output is smaller, and only the sizes of `engine.config.output_size` go in.

    Args:
        model: its settings.
        in_channels: channels of the images.
        out_channels: logits per pixel.
        deep_supervision: whether the coarser levels of the expanding path have heads too.
    """

    def __init__(
        self,
        model: ModelConfig,
        in_channels: int,
        out_channels: int,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        widths = level_widths(model)
        upwards = list(reversed(list(pairwise(widths))))
        self.pool_size, self.stride = model.pool_size, model.pool_size ** (model.num_levels - 1)
        self.context_px = lost_px(model)
        self.is_unpadded = self.context_px > 0
        self.down = nn.ModuleList(
            conv_block(model, before, width, is_deep=level >= model.num_levels - 2)
            for level, (before, width) in enumerate(
                zip([in_channels, *widths[:-1]], widths, strict=True)
            )
        )
        self.pool = nn.MaxPool2d(model.pool_size)
        self.up = nn.ModuleList(upsampling(model, below, width) for width, below in upwards)
        self.merge = nn.ModuleList(conv_block(model, 2 * width, width) for width, _ in upwards)
        self.gates = (
            nn.ModuleList(AttentionGate(width, below, model.pool_size) for width, below in upwards)
            if model.attention
            else None
        )
        self.head = nn.Conv2d(widths[0], out_channels, 1)
        self.side_heads = nn.ModuleList(
            nn.Conv2d(width, out_channels, 1) for width, _ in upwards[:-1] if deep_supervision
        )
        if model.initialization == "he":
            initialize_he(self)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Logits for a batch of images."""
        logits_NCHW: Tensor = self.head(self._expanding(images_NCHW)[-1])
        return self._cut(logits_NCHW, images_NCHW)

    def levels(self, images_NCHW: Tensor) -> list[Tensor]:
        """Logits of the finest level and, with deep supervision, of all but the deepest."""
        features = self._expanding(images_NCHW)
        heads = [*self.side_heads, self.head]
        logits = [head(x) for head, x in zip(heads, features, strict=True)]
        return [self._cut(each, images_NCHW, level) for level, each in enumerate(reversed(logits))]

    def _expanding(self, images_NCHW: Tensor) -> list[Tensor]:
        """What the expanding path makes of the levels that have a head, the coarsest first."""
        x = images_NCHW if self.is_unpadded else pad_to_multiple(images_NCHW, self.stride)
        skips = []
        for level, block in enumerate(self.down):
            x = block(self._pooled(x) if level else x)
            skips.append(x)
        skips.pop()
        features: list[Tensor] = []
        for index, (up, merge) in enumerate(zip(self.up, self.merge, strict=True)):
            x = merge(self._joined(index, skips.pop(), up(x), x))
            # Only those that a head asks for, so that predicting needs little memory.
            features = [*features, x][-1 - len(self.side_heads) :]
        return features

    def _joined(
        self, index: int, skip_NCHW: Tensor, above_NCHW: Tensor, below_NChw: Tensor
    ) -> Tensor:
        """What skips across, weighed where there are gates, beside what comes from below."""
        skip_NCHW = middle(skip_NCHW, above_NCHW)
        if self.gates is not None:
            skip_NCHW = self.gates[index](skip_NCHW, below_NChw)
        return torch.cat([skip_NCHW, above_NCHW], dim=1)

    def _pooled(self, x_NCHW: Tensor) -> Tensor:
        height, width = x_NCHW.shape[-2:]
        assert height % self.pool_size == width % self.pool_size == 0, "see engine.config.sizes"
        pooled_NCHW: Tensor = self.pool(x_NCHW)
        return pooled_NCHW

    def _cut(self, logits_NCHW: Tensor, images_NCHW: Tensor, level: int = 0) -> Tensor:
        """Without what padding has added."""
        if self.is_unpadded:
            return logits_NCHW
        factor = self.pool_size**level
        height, width = (-(-side // factor) for side in images_NCHW.shape[-2:])
        return logits_NCHW[..., :height, :width]
