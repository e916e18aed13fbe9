"""What decoded numbers become: an image's 8 bits, or a mask's values.

Shapes: H height, W width in pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import BadData

PERCENTILES = (0.5, 99.5)
"""Darkest and brightest percent of a deep image's pixels that may be clipped to fit 8 bits."""
MAX_TINT = 24
"""In a lossy file: channels that differ by at most this are one grey whose colour was blurred."""
MIN_ALPHA_SHARE = 0.9
"""An opacity that is a mask has at most two values on at least this share of the pixels."""

Pixels = NDArray[np.uint8]
Values = NDArray[np.generic]
MaskValues = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32]

_SAMPLED_PIXELS = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class RawMask:
    """A mask's values as its file has them."""

    values: MaskValues
    """(H, W): grey values or palette indices in 8 or 16 bits, or 0xRRGGBB in 32 bits."""
    is_color: bool
    """Whether the values are 0xRRGGBB."""
    palette: tuple[int, ...] | None
    """0xRRGGBB by index, where the values are indices."""
    lossy: bool
    """Whether the compression has changed values, as JPEG's does."""
    is_soft: bool = False
    """Whether the file holds shares from 0 to 1, which are counted here from 0 to 255."""


def to_8_bit(values: Values, name: str) -> Pixels:
    """Stretch values of any type between two percentiles to 0…255; 8-bit ones stay as they are.

    Args:
        values: (H, W) or (H, W, channels).
        name: what messages call the file.

    Raises:
        BadData: no value is finite.
    """
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype.kind not in "uifb":
        raise TypeError(f"pixels of the type {values.dtype}")
    step = max(1, int((values.size / _SAMPLED_PIXELS) ** 0.5))
    sampled = values[::step, ::step].astype(np.float64)
    sampled = sampled[np.isfinite(sampled)]
    if not sampled.size:
        raise BadData(
            "“{name}” holds no finite pixel values (all are NaN or infinite). Replace the file, "
            "or leave it out.",
            name=name,
        )
    low, high = np.percentile(sampled, PERCENTILES)
    if high <= low:
        low, high = sampled.min(), sampled.max()
    scale = 255 / (high - low) if high > low else 0.0
    # Plain floats, because NumPy's 64-bit ones would double the array.
    stretched = np.clip(values.astype(np.float32), float(low), float(high))
    stretched = (stretched - float(low)) * float(scale)
    return np.rint(np.nan_to_num(stretched, nan=0.0)).astype(np.uint8)


def mask_of_samples(values: Values, alpha: Values | None, name: str, *, lossy: bool) -> RawMask:
    """A mask from its decoded numbers.

    Equal channels are grey. The opacity is ignored, unless it is the mask: where the colour is
    the same everywhere and the opacity is not.

    Args:
        values: (H, W) or (H, W, channels).
        alpha: (H, W), the opacity.
        name: what messages call the file.

    Raises:
        BadData: the values are negative, fractions above 1, or above 65535, or the number of
            channels is neither 1 nor 3.
    """
    if alpha is not None and _is_the_mask(values, alpha):
        values = alpha
    if values.ndim == 2:
        return RawMask(
            values=_whole(values, name),
            is_color=False,
            palette=None,
            lossy=lossy,
            is_soft=_are_soft(values),
        )
    if values.shape[-1] == 4:
        # A fourth channel that is not said to be opacity is no colour either.
        values = values[..., :3]
    if values.shape[-1] != 3:
        raise BadData(
            "The mask “{name}” has {num} channels. Expected one value for each pixel, or red, "
            "green and blue. Save one channel as the mask.",
            name=name,
            num=values.shape[-1],
        )
    if _is_grey(values, MAX_TINT if lossy else 0):
        green = values[..., 1]
        return RawMask(values=_whole(green, name), is_color=False, palette=None, lossy=lossy)
    return RawMask(values=_packed(_whole(values, name)), is_color=True, palette=None, lossy=lossy)


def _is_the_mask(values: Values, alpha: Values) -> bool:
    counts = np.sort(np.unique(alpha, return_counts=True)[1])
    if len(counts) < 2 or counts[-2:].sum() < MIN_ALPHA_SHARE * alpha.size:
        return False
    return bool((values == values[:1, :1]).all())


def _is_grey(values: Values, max_tint: int) -> bool:
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    if not max_tint:
        return bool((red == green).all()) and bool((green == blue).all())
    spread = values.max(axis=-1).astype(np.int64) - values.min(axis=-1)
    return bool((spread <= max_tint).all())


def _packed(colors: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint32]:
    """0xRRGGBB, shape (H, W), of red, green and blue in 8 bits, or in 16 of which 8 are kept."""
    shift = 8 if colors.max() > 255 else 0
    packed = np.zeros(colors.shape[:2], dtype=np.uint32)
    for channel in range(3):
        packed <<= 8
        packed |= colors[..., channel] >> shift
    return packed


def _whole(values: Values, name: str) -> NDArray[np.uint8] | NDArray[np.uint16]:
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values, dtype=np.uint8)
    if values.dtype == np.uint16:
        return np.ascontiguousarray(values, dtype=np.uint16)
    if _are_soft(values):
        return np.rint(values.astype(np.float32) * 255).astype(np.uint8)
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.uint16)
    if values.dtype.kind not in "uif" or (whole != values).any():
        raise BadData(
            "“{name}” holds values that are no class values: fractions, negative numbers, or "
            "numbers above 65535. Expected one whole number per class from 0 to 65535, or soft "
            "values from 0 to 1.",
            name=name,
        )
    return whole


def _are_soft(values: Values) -> bool:
    """Whether they are floats between 0 and 1 and not just these two."""
    if values.dtype.kind != "f":
        return False
    low, high = values.min(), values.max()
    return bool(low >= 0 and high <= 1 and ((values != 0) & (values != 1)).any())
