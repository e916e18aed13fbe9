"""Pictures of what a network will be shown: an image under its mask, and weights as heat."""

import io
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from engine.scores.counts import IGNORED_INDEX

_OPACITY = 0.4
_QUALITY = 85
_IGNORED_COLOR = "#808080"
_HEAT = np.array(
    # Viridis (van der Walt & Smith 2015), at five places.
    [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)],
    np.float32,
)  # fmt: skip


def overlay_webp(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    colors: Sequence[str],
    transparent: Collection[int],
) -> bytes:
    """An image with its mask laid over, as a WebP file.

    Args:
        image: shape (height, width, 1 or 3).
        mask: class indices, 255 = ignored, shape (height, width).
        colors: of each class, as `#rrggbb`.
        transparent: classes that are not drawn, such as the background.
    """
    rgb = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    table = np.zeros((256, 3), np.float32)
    opacity = np.zeros((256, 1), np.float32)
    for index, color in [*enumerate(colors), (IGNORED_INDEX, _IGNORED_COLOR)]:
        table[index] = ImageColor.getrgb(color)[:3]
        opacity[index] = 0.0 if index in transparent else _OPACITY
    mixed = rgb * (1 - opacity[mask]) + table[mask] * opacity[mask]
    return _webp(mixed.round().astype(np.uint8))


def heat_webp(values: NDArray[np.float32]) -> bytes:
    """Values as a heat map from dark (the least) to light (the most), as a WebP file.

    Args:
        values: shape (height, width), finite.
    """
    span = float(np.ptp(values))
    shares = (values - values.min()) / span if span else np.zeros_like(values)
    places = shares * (len(_HEAT) - 1)
    low = np.minimum(places.astype(np.int64), len(_HEAT) - 2)
    rest = (places - low)[..., np.newaxis]
    mixed = _HEAT[low] * (1 - rest) + _HEAT[low + 1] * rest
    return _webp(mixed.round().astype(np.uint8))


def _webp(rgb: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "WEBP", quality=_QUALITY, method=1)
    return buffer.getvalue()
