"""What a U-Net costs, by walking through its layers with numbers in place of images.

The walk follows `engine.models.unet` and `engine.models.blocks` layer by layer.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from engine.config import ModelConfig, is_unpadded

_INDEX_BYTES = 8
"""Max pooling remembers where each maximum was, as int64."""
_IN_PLACE = ("relu", "leaky_relu")
"""Activations whose gradient needs their result alone."""


@dataclass
class UNetCosts:
    """Sums over the layers of a U-Net, for one square image."""

    parameters: int = 0
    flops: int = 0
    """Two for each multiplication with its addition; convolutions alone."""
    kept_values: int = 0
    """Values that the backward pass needs."""
    kept_index_bytes: int = 0
    live_values: int = 0
    """Values in memory at the most while predicting."""


def level_widths(model: ModelConfig) -> list[int]:
    """Channels of each level, finest first: 64, 128, 256, 512 for the tutorial's network."""
    return [model.width * 2**level for level in range(model.num_levels)]


def lost_px(model: ModelConfig) -> int:
    """Pixels that the output lacks on each side without padding: 92 in arXiv 1505.04597."""
    if not is_unpadded(model):
        return 0
    by_block = model.convs_per_level * (model.kernel_size - 1) // 2
    # A pixel of a level is as wide as pool_size^level of the image; only the deepest has one block.
    widths_px: list[int] = [model.pool_size**level for level in range(model.num_levels)]
    return by_block * (2 * sum(widths_px[:-1]) + widths_px[-1])


def unet_costs(
    model: ModelConfig,
    in_channels: int,
    out_channels: int,
    size_px: int,
    deep_supervision: bool = False,
) -> UNetCosts:
    """Walk through the network with an image of that width and height."""
    return _Walk(model).through(in_channels, out_channels, size_px, deep_supervision)


def receptive_field_px(model: ModelConfig) -> int:
    """Width of the part of the image that the convolutions of one output pixel look at.

    Where a pixel lies among those that are pooled together matters; this is the widest of all.
    Group and instance normalisation also know the mean of the whole image.
    """
    period = model.pool_size ** (model.num_levels - 1)
    return max(_field_of(model, pixel) for pixel in range(period))


class _Walk:
    def __init__(self, model: ModelConfig) -> None:
        self.model, self.costs = model, UNetCosts()
        self.shrinkage_px = model.kernel_size - 1 if is_unpadded(model) else 0
        self.is_in_place = model.activation in _IN_PLACE
        self.skips: list[int] = []
        """Values of the maps that wait to be joined."""
        # What goes in and out of a convolution, and with a shortcut its sum with both.
        self._copies_of_block = 3 if model.residual else 2

    def through(
        self, in_channels: int, out_channels: int, size_px: int, deep_supervision: bool
    ) -> UNetCosts:
        model, costs = self.model, self.costs
        widths, side = level_widths(model), self._padded(size_px)
        self._keep(in_channels, side)
        for level, (before, width) in enumerate(
            zip([in_channels, *widths[:-1]], widths, strict=True)
        ):
            if level:
                side //= model.pool_size
                self._keep(before, side)
                costs.kept_index_bytes += _INDEX_BYTES * before * side**2
            self._note_live(before * side**2 + self._copies_of_block * width * side**2)
            side = self._block(before, width, side, is_deep=level >= model.num_levels - 2)
            self.skips.append(width * side**2)
        self.skips.pop()
        for level, (width, below) in reversed(list(enumerate(pairwise(widths)))):
            side = self._merge(width, below, side)
            if deep_supervision and 0 < level < model.num_levels - 1:
                self._convolution(width, out_channels, 1, side)
        self._convolution(widths[0], out_channels, 1, side)
        return costs

    def _padded(self, size_px: int) -> int:
        if lost_px(self.model):
            return size_px
        stride: int = self.model.pool_size ** (self.model.num_levels - 1)
        return max(2 * stride, math.ceil(size_px / stride) * stride)

    def _block(self, in_channels: int, out_channels: int, side: int, is_deep: bool) -> int:
        """Returns the side of what comes out."""
        model = self.model
        for index in range(model.convs_per_level):
            side -= self.shrinkage_px
            before = out_channels if index else in_channels
            self._convolution(before, out_channels, model.kernel_size, side)
            self._keep(out_channels, side)
            if model.normalization != "none":
                self.costs.parameters += 2 * out_channels
                self._keep(out_channels, side)
            is_last = index == model.convs_per_level - 1
            drops = model.dropout_at == "every_convolution" or (is_last and is_deep)
            # The next layer keeps what it is given. Unless that is the activation's result, which
            # the activation keeps, if it works in place, the activation keeps a map of its own.
            if not self.is_in_place or (model.dropout and drops):
                self._keep(out_channels, side)
        if model.residual and in_channels != out_channels:
            self._convolution(in_channels, out_channels, 1, side)
        return side

    def _merge(self, width: int, below: int, side: int) -> int:
        """From one level up to the next finer one; returns its side."""
        model = self.model
        coarse, side = side, side * model.pool_size
        is_learned = model.upsampling == "transposed"
        taps = model.pool_size**2 if is_learned else 1
        self._convolution(below, width, 1, coarse, taps)
        if is_learned and model.activate_upsampling:
            self._keep(width, side)
        if model.attention:
            self._gate(width, below, coarse, side)
        self._keep(2 * width, side)
        values, joined = width * side**2, 2 * width * side**2
        self._note_live(below * coarse**2 + values + joined)
        self.skips.pop()
        self._note_live(below * coarse**2 + joined + self._copies_of_block * values)
        return self._block(2 * width, width, side, is_deep=False)

    def _gate(self, width: int, below: int, coarse: int, side: int) -> None:
        between = width // 2
        pool_size = self.model.pool_size
        self.costs.parameters -= between  # one of its convolutions has no bias
        self._convolution(width, between, pool_size, coarse)
        self._convolution(below, between, 1, coarse)
        self._convolution(between, 1, 1, coarse)
        self._keep(between + 1, coarse)
        self._keep(1, side)

    def _convolution(
        self, in_channels: int, out_channels: int, kernel_size: int, side: int, taps: int = 1
    ) -> None:
        """Count a convolution.

        Args:
            side: of what comes out; of a transposed one, of what goes in.
            taps: pixels that a transposed one makes of one pixel.
        """
        products = in_channels * out_channels * kernel_size**2 * taps
        self.costs.parameters += products + out_channels
        self.costs.flops += 2 * products * side**2

    def _note_live(self, values: int) -> None:
        """Take note of what is in memory beside the skip connections."""
        self.costs.live_values = max(self.costs.live_values, sum(self.skips) + values)

    def _keep(self, num_channels: int, side: int) -> None:
        self.costs.kept_values += num_channels * side**2


def _field_of(model: ModelConfig, pixel: int) -> int:
    """Width of what one pixel of the output looks at, by following it back to the image."""
    pool_size, num_poolings = model.pool_size, model.num_levels - 1
    reach = model.convs_per_level * (model.kernel_size // 2)
    first, last = pixel - reach, pixel + reach
    for _level in range(num_poolings):
        if model.upsampling == "bilinear" or model.attention:
            # Pixel i lies at (i + 1/2)/p - 1/2 of the coarser map, between two of its pixels.
            first = (2 * first + 1 - pool_size) // (2 * pool_size)
            last = -(-(2 * last + 1 - pool_size) // (2 * pool_size))
        else:
            first, last = first // pool_size, last // pool_size
        first, last = first - reach, last + reach
    for _level in range(num_poolings):
        first, last = first * pool_size - reach, (last + 1) * pool_size - 1 + reach
    return last - first + 1
