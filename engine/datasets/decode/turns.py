"""Turning pictures upright by their EXIF orientation, 1 to 8.

Shapes: H height, W width in pixels.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = TypeVar("Picture", Image.Image, NDArray[np.generic])

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture upright."""
_INVERSE = {6: 8, 8: 6}
"""Orientations whose turn is undone by another's; each other turn undoes itself."""


def turned(picture: Picture, orientation: int) -> Picture:
    """A stored picture upright: a Pillow image, or an array of shape (H, W) or (H, W, any)."""
    turn = _TURNS.get(orientation)
    if turn is None:
        return picture
    if isinstance(picture, Image.Image):
        return picture.transpose(turn)
    if orientation >= 5:
        picture = picture.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    return picture


def unturned(image: Image.Image, orientation: int) -> Image.Image:
    """An upright picture as it was stored."""
    return turned(image, _INVERSE.get(orientation, orientation))
