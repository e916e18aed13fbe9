"""Small WebP pictures for tables and galleries, rendered once and then only served."""

import io
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.pictures.error_maps import ERROR_COLORS
from engine.pictures.masks import index_png

THUMBNAIL_SIDE_PX = 192
"""Longest side of a thumbnail unless told otherwise."""

_QUALITY = 80
# A third of the time of Pillow's default (4) for some 20 % larger files.
_METHOD = 1


def thumbnail_webp(image: NDArray[np.uint8], longest_side_px: int = THUMBNAIL_SIDE_PX) -> bytes:
    """A small version of an image, as a WebP file.

    Args:
        image: shape (height, width) or (height, width, 3).
        longest_side_px: size to fit into; a smaller image is not enlarged.
    """
    return _webp(_shrunk(Image.fromarray(image), longest_side_px).convert("RGB"))


def mask_thumbnail_png(
    mask: NDArray[np.uint8],
    colors: Sequence[str],
    transparent: Collection[int],
    longest_side_px: int = THUMBNAIL_SIDE_PX,
) -> bytes:
    """A small version of a mask to lay over the image's thumbnail, as an index PNG.

    Args:
        mask: class indices, shape (height, width).
        colors: see `engine.pictures.masks.index_png`, as the argument after it.
    """
    height, width = mask.shape
    scale = min(1.0, longest_side_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
    return index_png(np.asarray(small), colors, transparent)


def overlay_thumbnail_webp(
    image: NDArray[np.uint8],
    error_codes: NDArray[np.uint8],
    longest_side_px: int = THUMBNAIL_SIDE_PX,
    opacity: float = 0.55,
) -> bytes:
    """A small version of an image with its error map laid over, as a WebP file.

    Args:
        image: shape (height, width) or (height, width, 3).
        error_codes: what `error_map` gives, shape (height, width).
        longest_side_px: size to fit into; a smaller image is not enlarged.
        opacity: of the error colours, 0 to 1.
    """
    paint = np.zeros((256, 4), dtype=np.uint8)
    for code, color in ERROR_COLORS.items():
        paint[code] = (*bytes.fromhex(color.removeprefix("#")), round(255 * opacity))
    # Both are shrunk before they are blended, so a thin error keeps its share of the pixel
    # instead of being sampled away.
    overlay = _shrunk(Image.fromarray(paint[error_codes]), longest_side_px)
    picture = _shrunk(Image.fromarray(image).convert("RGB"), longest_side_px)
    picture.paste(overlay, mask=overlay)
    return _webp(picture)


def _shrunk(image: Image.Image, longest_side_px: int) -> Image.Image:
    scale = min(1.0, longest_side_px / max(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _webp(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=_QUALITY, method=_METHOD)
    return file.getvalue()
