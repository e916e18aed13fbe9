"""Masks as index PNGs: the pixel value is the class index, the palette its colour.

One file serves two readers. A browser lays it over the image as it is, because background and
ignored pixels are transparent; a program reads the class indices back unchanged.
"""

import io
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.errors import BadData
from engine.scores.counts import IGNORED_INDEX

_UNUSED_COLOR = (128, 128, 128)


def index_png(
    mask: NDArray[np.uint8], colors: Sequence[str], transparent: Collection[int]
) -> bytes:
    """Encode a mask as a palette PNG that a browser can lay over the image.

    Args:
        mask: class indices, shape (height, width); `IGNORED_INDEX` where a pixel does not count.
        colors: `#rrggbb` by class index.
        transparent: indices to see the image through, such as the background's. Ignored pixels
            are always transparent.

    Returns:
        A PNG file of mode P. Its values are those of `mask`.
    """
    palette = [_rgb(color) for color in colors]
    # All 256 entries are written even for two classes: a value without a palette entry, which
    # IGNORED_INDEX would be, makes a PNG invalid.
    palette += [_UNUSED_COLOR] * (256 - len(palette))
    opacity = bytearray(b"\xff" * 256)
    for index in (*transparent, IGNORED_INDEX):
        opacity[index] = 0
    image = Image.fromarray(mask)
    image.putpalette(bytes(channel for color in palette for channel in color))
    file = io.BytesIO()
    # Half the time of the default level, for files that are small anyhow.
    image.save(file, "PNG", transparency=bytes(opacity), compress_level=3)
    return file.getvalue()


def read_index_png(path: Path) -> NDArray[np.uint8]:
    """The class indices of an index PNG, shape (height, width).

    Raises:
        BadData: the file is missing, damaged, or not a palette image.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.mode != "P":
                raise BadData(
                    "The mask {file} has the pixel mode {mode}; a palette PNG (mode P) was "
                    "expected. Import the dataset again.",
                    file=path.name,
                    mode=image.mode,
                )
            return np.array(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        # Pillow answers a damaged PNG with any of these.
        raise BadData(
            "The mask {file} is missing or damaged; a readable PNG was expected. Restore the "
            "file, or import the dataset again.",
            file=path.name,
        ) from error


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
