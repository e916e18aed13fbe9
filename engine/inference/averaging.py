"""Averaging what a network says of several views of the same windows.

Mirrored and turned views exchange pixels and lose nothing: a network that treats all directions
alike says the same with them as without. Rotations by other angles resample, bicubically on the
way there and linearly on the way back, so that probabilities still sum to 1. The paper
(arXiv 1505.04597, section 4) averages “over 7 rotated versions of the input data” and names no
angles; here they are k·360°/7. What turns into a window is what lies around it in the image,
mirrored beyond its border: windows are cut with a margin for it.

Shapes: N windows, C channels, K classes, H height, W width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, cos, pi, sin
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from engine.inference.tiles import Network

Averaging = Literal["none", "flips", "flips_turns", "seven_rotations"]

_ANGLES = tuple(2 * pi * turn / 7 for turn in range(7))
_REACH_PX = 2
"""Neighbours on each side that bicubic interpolation looks at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """Tiles as a network sees them."""

    height_px: int
    """Of a tile: of what the network predicts, without its surroundings."""
    width_px: int
    context_px: int
    """Surroundings on each side that the network takes."""
    fitting: Callable[[int], int]
    """The smallest side that the network can predict and that is no smaller than this one."""


def margin_px(averaging: Averaging, frame: Frame) -> int:
    """Surroundings on each side of a tile that `averaged` takes, the network's own included."""
    if averaging != "seven_rotations":
        return frame.context_px
    margin = frame.context_px
    for angle in _ANGLES[1:]:
        height, width = (side + 2 * frame.context_px for side in _turned_sides(frame, angle))
        down, across = _bounding_box(height, width, angle)
        widest = max(down - frame.height_px, across - frame.width_px)
        margin = max(margin, ceil(widest / 2) + _REACH_PX)
    return margin


def averaged(network: Network, averaging: Averaging, frame: Frame, batch: int) -> Network:
    """A network that gives the mean probabilities over the views.

    Args:
        network: from windows with `frame.context_px` around a tile to probabilities.
        frame: the tiles it will be called with.
        batch: windows that may go through the network at once; as many views go together as fit.

    Returns:
        From windows with `margin_px(averaging, frame)` around a tile to probabilities.
    """
    if averaging == "none":
        return network
    if averaging == "seven_rotations":
        return lambda windows_NCHW: _mean_of_rotations(network, windows_NCHW, frame)
    groups = [_FLIPS] if averaging == "flips" else [_FLIPS, _TURNED_FLIPS]
    return lambda windows_NCHW: _mean_of_flips(network, windows_NCHW, groups, batch)


@dataclass(frozen=True, slots=True)
class _Flip:
    """One of the eight ways to lay a square onto itself."""

    is_turned: bool
    """Rows become columns first."""
    sides: tuple[int, ...]
    """Dimensions that are then mirrored."""

    def apply(self, windows_NCHW: Tensor) -> Tensor:
        turned = windows_NCHW.transpose(2, 3) if self.is_turned else windows_NCHW
        return turned.flip(self.sides) if self.sides else turned

    def undo(self, probabilities_NKHW: Tensor) -> Tensor:
        flipped = probabilities_NKHW.flip(self.sides) if self.sides else probabilities_NKHW
        return flipped.transpose(2, 3) if self.is_turned else flipped


_SIDES = ((), (3,), (2,), (2, 3))
_FLIPS = tuple(_Flip(False, sides) for sides in _SIDES)
_TURNED_FLIPS = tuple(_Flip(True, sides) for sides in _SIDES)


def _mean_of_flips(
    network: Network, windows_NCHW: Tensor, groups: Sequence[Sequence[_Flip]], batch: int
) -> Tensor:
    """The views of a group have the same shape and go through the network together."""
    num_windows = len(windows_NCHW)
    at_once = max(1, batch // num_windows)
    sums_NKHW = torch.zeros((), device=windows_NCHW.device)
    for group in groups:
        for first in range(0, len(group), at_once):
            flips = group[first : first + at_once]
            views = torch.cat([flip.apply(windows_NCHW) for flip in flips])
            for flip, part in zip(flips, torch.split(network(views), num_windows), strict=True):
                sums_NKHW = sums_NKHW + flip.undo(part)
    return sums_NKHW / sum(map(len, groups))


def _mean_of_rotations(network: Network, windows_NCHW: Tensor, frame: Frame) -> Tensor:
    spare = (windows_NCHW.shape[2] - frame.height_px) // 2 - frame.context_px
    sums_NKHW = network(windows_NCHW[..., spare:-spare, spare:-spare])
    for angle in _ANGLES[1:]:
        height, width = (side + 2 * frame.context_px for side in _turned_sides(frame, angle))
        turned_NCHW = _rotated(windows_NCHW, angle, height, width, "bicubic")
        found_NKHW = network(turned_NCHW)
        sums_NKHW = sums_NKHW + _rotated(
            found_NKHW, -angle, frame.height_px, frame.width_px, "bilinear"
        )
    return sums_NKHW / len(_ANGLES)


def _turned_sides(frame: Frame, angle: float) -> tuple[int, int]:
    """Height and width of what must be predicted of a rotated image to rotate a tile back."""
    down, across = _bounding_box(frame.height_px, frame.width_px, angle)
    return frame.fitting(ceil(down) + _REACH_PX), frame.fitting(ceil(across) + _REACH_PX)


def _bounding_box(height_px: int, width_px: int, angle: float) -> tuple[float, float]:
    """Height and width of the smallest upright rectangle around a rotated one."""
    along, aslant = abs(cos(angle)), abs(sin(angle))
    return height_px * along + width_px * aslant, width_px * along + height_px * aslant


def _rotated(
    images_NCHW: Tensor, angle: float, height_px: int, width_px: int, interpolation: str
) -> Tensor:
    """The middle of images rotated around it, at a size of its own."""
    height, width = images_NCHW.shape[2:]
    y_H1 = torch.arange(height_px, device=images_NCHW.device).sub((height_px - 1) / 2)[:, None]
    x_1W = torch.arange(width_px, device=images_NCHW.device).sub((width_px - 1) / 2)[None]
    # `grid_sample` counts from the middle, in halves of the image.
    across_HW = (cos(angle) * x_1W - sin(angle) * y_H1) * (2 / width)
    down_HW = (sin(angle) * x_1W + cos(angle) * y_H1) * (2 / height)
    grid_NHW2 = torch.stack([across_HW, down_HW], dim=-1).expand(len(images_NCHW), -1, -1, -1)
    return functional.grid_sample(
        images_NCHW, grid_NHW2, interpolation, padding_mode="border", align_corners=False
    )
