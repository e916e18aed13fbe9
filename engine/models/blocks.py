"""What a U-Net is made of: blocks of convolutions, upsampling, attention gates, first weights.

Shapes: N images, C channels, H height, W width; h and w those of the level below.
"""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from engine.config import ModelConfig, is_unpadded

_NUM_GROUPS = 8


def conv_block(
    model: ModelConfig, in_channels: int, out_channels: int, *, is_deep: bool = False
) -> nn.Module:
    """The convolutions of one level, each followed by its normalisation, activation and dropout.

    Args:
        is_deep: one of the two deepest blocks, which “deepest_two” drops channels after.
    """
    drops_each = model.dropout_at == "every_convolution"
    body: list[nn.Module] = []
    for index in range(model.convs_per_level):
        if index:
            body += _ending(model, drops=drops_each)
        body += _convolution(model, out_channels if index else in_channels, out_channels)
    ending = _ending(model, drops=drops_each or is_deep)
    if model.residual:
        return Residual(in_channels, out_channels, nn.Sequential(*body), nn.Sequential(*ending))
    return nn.Sequential(*body, *ending)


class Residual(nn.Module):
    """Adds what goes into convolutions to what comes out (arXiv 1512.03385, figure 2).

    Where the channels differ, a 1×1 convolution adapts them; where convolutions are not padded,
    the input is cut to the middle.

    Args:
        body: the convolutions.
        ending: what follows the sum.
    """

    def __init__(
        self, in_channels: int, out_channels: int, body: nn.Sequential, ending: nn.Sequential
    ) -> None:
        super().__init__()
        self.body, self.ending = body, ending
        self.shortcut = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1)
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """The sum, activated."""
        y_NCHW = self.body(x_NCHW)
        sum_NCHW: Tensor = self.ending(y_NCHW + self.shortcut(middle(x_NCHW, y_NCHW)))
        return sum_NCHW


class AttentionGate(nn.Module):
    """Weighs what skips across by what comes from below (arXiv 1804.03999, equations 1 and 2).

    Both are brought to the lower level's resolution; one weight per pixel there, 0 to 1, is
    interpolated back.

    Shape:
        - skip: (N, skip_channels, H, W)
        - below: (N, below_channels, h, w), H = pool_size·h
        - output: as skip
    """

    def __init__(self, skip_channels: int, below_channels: int, pool_size: int) -> None:
        super().__init__()
        between = skip_channels // 2  # as the authors do
        self.skip = nn.Conv2d(skip_channels, between, pool_size, stride=pool_size, bias=False)
        self.below = nn.Conv2d(below_channels, between, 1)
        self.weight = nn.Conv2d(between, 1, 1)
        self.enlarge = nn.Upsample(scale_factor=pool_size, mode="bilinear", align_corners=False)

    def forward(self, skip_NCHW: Tensor, below_NChw: Tensor) -> Tensor:
        """The skip connection, weighed."""
        seen_NChw = (self.skip(skip_NCHW) + self.below(below_NChw)).relu_()
        weighed_NCHW: Tensor = skip_NCHW * self.enlarge(self.weight(seen_NChw).sigmoid())
        return weighed_NCHW


def upsampling(model: ModelConfig, in_channels: int, out_channels: int) -> nn.Module:
    """From one level to the next finer one."""
    factor = model.pool_size
    if model.upsampling == "transposed":
        learned = nn.ConvTranspose2d(in_channels, out_channels, factor, stride=factor)
        return nn.Sequential(learned, activation(model)) if model.activate_upsampling else learned
    align_corners = False if model.upsampling == "bilinear" else None
    enlarge = nn.Upsample(scale_factor=factor, mode=model.upsampling, align_corners=align_corners)
    # A 1×1 convolution and an interpolation can change places, and this order is cheaper by the
    # square of the factor. Checkpoints call the convolution “1”, as it once came second.
    narrow = nn.Conv2d(in_channels, out_channels, 1)
    return nn.Sequential(OrderedDict([("1", narrow), ("enlarge", enlarge)]))


def activation(model: ModelConfig) -> nn.Module:
    """The function after each convolution; in place where its gradient needs only its result."""
    if model.activation == "relu":
        return nn.ReLU(inplace=True)
    if model.activation == "leaky_relu":
        return nn.LeakyReLU(inplace=True)
    if model.activation == "elu":
        return nn.ELU()
    return nn.GELU() if model.activation == "gelu" else nn.SiLU()


def middle(x_NCHW: Tensor, like_NCHW: Tensor) -> Tensor:
    """The middle of a map, cut to the height and width of a smaller one."""
    height, width = like_NCHW.shape[-2:]
    top, left = (x_NCHW.shape[-2] - height) // 2, (x_NCHW.shape[-1] - width) // 2
    if not (top or left):
        return x_NCHW
    return x_NCHW[..., top : top + height, left : left + width]


@torch.no_grad()
def initialize_he(network: nn.Module) -> None:
    """Draw weights from a normal distribution of deviation √(2/N), N the incoming connections.

    As arXiv 1505.04597, section 3, after arXiv 1502.01852; biases are 0.
    """
    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            continue
        connections = layer.in_channels
        # With stride = kernel size, a transposed convolution's pixel has one incoming pixel.
        if isinstance(layer, nn.Conv2d):
            connections *= math.prod(layer.kernel_size)
        layer.weight.normal_(0, math.sqrt(2 / connections))
        if layer.bias is not None:
            layer.bias.zero_()


def _convolution(model: ModelConfig, in_channels: int, out_channels: int) -> list[nn.Module]:
    padding = 0 if is_unpadded(model) else model.kernel_size // 2
    layer = nn.Conv2d(in_channels, out_channels, model.kernel_size, padding=padding)
    return [layer, *_normalization(model, out_channels)]


def _normalization(model: ModelConfig, num_channels: int) -> list[nn.Module]:
    if model.normalization == "batch":
        return [nn.BatchNorm2d(num_channels)]
    if model.normalization == "group":
        groups = _NUM_GROUPS if num_channels % _NUM_GROUPS == 0 else 1
        return [nn.GroupNorm(groups, num_channels)]
    if model.normalization == "instance":
        return [nn.InstanceNorm2d(num_channels, affine=True)]
    return []


def _ending(model: ModelConfig, drops: bool) -> list[nn.Module]:
    dropout = [nn.Dropout2d(model.dropout)] if model.dropout and drops else []
    return [activation(model), *dropout]
