"""Colours of classes on screen, and how far apart two colours are.

A colour is 0xRRGGBB as a number and `#rrggbb` as text.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

BACKGROUND_COLOR = "#000000"
CLASS_COLORS = (
    # The seven of Okabe and Ito (https://jfly.uni-koeln.de/color/), in their order; then, one by
    # one, the colour farthest from all before, for normal, protanopic and deuteranopic eyes.
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#0000FF",
    "#D2FFA5", "#781E00", "#6969FF", "#691E5A", "#3C1EA5", "#782D3C", "#A5B469", "#B4E1B4",
    "#6996FF", "#96E1FF", "#C33C3C", "#003C87", "#D2E169", "#2D3CE1", "#3C5AC3", "#785A87",
    "#B42D00", "#F0A5C3", "#FF694B", "#FFFF2D", "#2DC387", "#00695A", "#FFFF78", "#780F1E",
)  # fmt: skip
"""Colours of the first foreground classes, in order; distinct also for colour-blind readers."""
MAX_COLORS = 256
"""How many `class_color` tells apart."""
MIN_DISTANCE_OF_OWN = 40
"""Masks' own colours serve as class colours when every two are this far apart; a palette that
runs from black to white in small steps is none."""

_IGNORED_COLOR = "#808080"
_GRID_LEVELS = np.arange(8) * 34 + 8


def class_color(position: int) -> str:
    """Colour of the foreground class at a position, from 0; all below `MAX_COLORS` differ."""
    if position < len(CLASS_COLORS):
        return CLASS_COLORS[position]
    return _more_colors()[(position - len(CLASS_COLORS)) % len(_more_colors())]


def color_text(color: int) -> str:
    """`#rrggbb` of 0xRRGGBB."""
    return f"#{color:06x}"


def channels_of(colors: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int32]:
    """Red, green and blue of each colour, shape (number, 3)."""
    packed = np.asarray(colors, dtype=np.int64)
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=-1).astype(np.int32)


def distances(
    colors: Sequence[int] | NDArray[np.integer], others: Sequence[int] | NDArray[np.integer]
) -> NDArray[np.float32]:
    """Euclidean distance in RGB of each colour to each other one, shape (colours, others)."""
    difference = channels_of(colors)[:, np.newaxis] - channels_of(others)[np.newaxis]
    apart: NDArray[np.float32] = np.sqrt((difference**2).sum(axis=-1)).astype(np.float32)
    return apart


def are_distinct(colors: Sequence[int]) -> bool:
    """Whether every two can be told apart on screen."""
    apart = distances(colors, colors)
    np.fill_diagonal(apart, np.inf)
    return bool(apart.min(initial=np.inf) >= MIN_DISTANCE_OF_OWN)


@cache
def _more_colors() -> tuple[str, ...]:
    """Beyond `CLASS_COLORS`: one by one, the colour of a grid farthest from all before."""
    levels = _GRID_LEVELS
    red, green, blue = (axis.ravel() for axis in np.meshgrid(levels, levels, levels))
    grid = (red << 16) + (green << 8) + blue
    taken = [int(text[1:], 16) for text in (BACKGROUND_COLOR, _IGNORED_COLOR, *CLASS_COLORS)]
    nearest = distances(grid, taken).min(axis=1)
    found = []
    for _ in range(MAX_COLORS - len(CLASS_COLORS)):
        farthest = int(nearest.argmax())
        found.append(color_text(int(grid[farthest])).upper())
        nearest = np.minimum(nearest, distances(grid, [int(grid[farthest])])[:, 0])
    return tuple(found)
