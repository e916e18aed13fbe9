"""Colour PNGs of 16 bits, of which Pillow keeps only the upper 8.

Shapes: H height, W width in pixels.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Values = NDArray[np.generic]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BIT_DEPTH_OFFSET, _COLOR_TYPE_OFFSET = 24, 25
_RGB, _GREY_ALPHA, _RGBA = 2, 4, 6
_UPPER, _LOWER = "16B", "16L"
"""The ends of Pillow's names for samples whose first byte, or whose second, is the upper one."""


def bit_depth(data: bytes) -> int:
    """Bits of each sample of a PNG, as its header says; 0 when it is cut off before."""
    return data[_BIT_DEPTH_OFFSET] if len(data) > _BIT_DEPTH_OFFSET else 0


def is_deep_color(data: bytes) -> bool:
    """Whether it is a PNG of 16 bits with more than one channel, opacity included."""
    return (
        data.startswith(_SIGNATURE)
        and len(data) > _COLOR_TYPE_OFFSET
        and bit_depth(data) == 16
        and data[_COLOR_TYPE_OFFSET] in (_RGB, _GREY_ALPHA, _RGBA)
    )


def num_deep_channels(data: bytes) -> int:
    """Channels of a PNG that `is_deep_color`, without opacity."""
    return 1 if data[_COLOR_TYPE_OFFSET] == _GREY_ALPHA else 3


def deep_samples(data: bytes) -> tuple[Values, Values | None]:
    """All 16 bits of a PNG that `is_deep_color`, of one page.

    Pillow takes the upper byte of each sample; told that the bytes are the other way round, it
    takes the lower one.

    Returns:
        Numbers of 16 bits: grey (H, W) or colour (H, W, 3), and the opacity (H, W) or None.
    """
    color_type = data[_COLOR_TYPE_OFFSET]
    if color_type == _GREY_ALPHA:
        # Two samples are as many bytes as a pixel with four channels of 8 bits.
        parts = _unpacked(data, "RGBA")
        return _joined(parts[..., 0], parts[..., 1]), _joined(parts[..., 2], parts[..., 3])
    mode = "RGBA" if color_type == _RGBA else "RGB"
    samples = _joined(_unpacked(data, f"{mode};{_UPPER}"), _unpacked(data, f"{mode};{_LOWER}"))
    return samples[..., :3], samples[..., 3] if color_type == _RGBA else None


def _joined(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> NDArray[np.uint16]:
    samples = upper.astype(np.uint16)
    samples <<= 8
    samples |= lower
    return samples


def _unpacked(data: bytes, layout: str) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(data), formats=("PNG",))
    image.tile = [tile._replace(args=layout) for tile in image.tile]
    image.load()
    return np.asarray(image)
