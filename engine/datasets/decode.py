"""Pixels from the bytes of a PNG, JPEG or TIFF.

Shapes: H height, W width in pixels.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from engine.errors import BadData

MAX_PIXELS = 80_000_000
"""Pixels of one picture. Below the size at which Pillow warns of a decompression bomb."""
PERCENTILES = (0.5, 99.5)
"""Darkest and brightest percent of a deep image's pixels that may be clipped to fit 8 bits."""

Mask = NDArray[np.uint8] | NDArray[np.uint16]

_FORMATS = ("PNG", "JPEG", "TIFF")
_MASK_MODES = frozenset({"1", "L", "P", "I", "F", "RGB", "RGBA"})
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture upright, by its EXIF orientation."""
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
_TIFF_STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_PNG_BIT_DEPTH_OFFSET = 24
_SAMPLED_PIXELS = 1_000_000
# What the decoders raise on damaged files; a test mutates pictures to hold this list complete.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    AssertionError,
    MemoryError,
    Warning,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image as 8-bit pixels."""

    pixels: NDArray[np.uint8]
    """(H, W) for grey, (H, W, 3) for colour."""
    browser_suffix: str | None
    """`.png` or `.jpg` when the file holds exactly these pixels in a form that browsers show."""


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode an image: upright, without transparency, in 8 bits; (H, W) or (H, W, 3).

    Deep images (16 bits, float) are stretched between two percentiles of their own values.

    Args:
        data: the file's bytes.
        name: what messages call it.

    Raises:
        BadData: it is unreadable, has several pages, or more than `MAX_PIXELS`.
    """
    return read_image(data, name).pixels


def read_image(data: bytes, name: str) -> DecodedImage:
    """As `decode_image`, and whether the file may be kept as it is."""
    with _decoder_errors(name):
        if _needs_tifffile(data):
            return DecodedImage(_to_8_bit(_read_tiff(data, name), name), None)
        image = _open(data, name)
        suffix = _browser_suffix(image, data)
        # Pillow would warn when it drops a palette's transparency.
        image.info.pop("transparency", None)
        return DecodedImage(_image_pixels(_upright(image), name), suffix)


def decode_mask(data: bytes, name: str) -> Mask:
    """Decode a mask to its raw values, shape (H, W); palette masks give their indices.

    Args:
        data: the file's bytes.
        name: what messages call it.

    Raises:
        BadData: it is unreadable, has several pages or more than `MAX_PIXELS`, or its values are
            colours, fractions, negative, or above 65535.
    """
    with _decoder_errors(name):
        if _needs_tifffile(data):
            return _mask_values(_read_tiff(data, name), name)
        image = _upright(_open(data, name))
        if image.mode in ("LA", "La", "PA"):
            image = image.getchannel(0)
        elif image.mode not in _MASK_MODES and not image.mode.startswith("I;"):
            image = image.convert("RGB")
        return _mask_values(np.asarray(image), name)


def count_pixels(data: bytes) -> int:
    """Width × height as the file's header claims; its bytes when there is no readable header."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return image.width * image.height
    except _DECODER_ERRORS:
        return len(data)


@contextmanager
def _decoder_errors(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into BadData that names the file."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(name, None) from None
    except UnidentifiedImageError:
        raise BadData(
            "“{name}” is not a picture: its content is no PNG, JPEG or TIFF. Replace the file, "
            "or leave it out.",
            name=name,
        ) from None
    except _DECODER_ERRORS as error:
        raise BadData(
            "“{name}” cannot be read as a picture ({reason}). The file is damaged or of a kind "
            "that is not understood: save it again as PNG, or leave it out.",
            name=name,
            reason=str(error) or type(error).__name__,
        ) from error


def _open(data: bytes, name: str) -> Image.Image:
    """The decoded picture, with its size checked before its pixels are read."""
    if not data:
        raise BadData("“{name}” is empty (0 bytes). Replace the file, or leave it out.", name=name)
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, image.width * image.height)
    if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
        raise _several_pages(name, getattr(image, "n_frames", 0))
    image.load()
    return image


def _orientation(image: Image.Image) -> int | None:
    """The EXIF orientation, 1 for upright; None when the EXIF data is damaged."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DECODER_ERRORS:
        return None


def _upright(image: Image.Image) -> Image.Image:
    turn = _TURNS.get(_orientation(image) or 1)
    return image if turn is None else image.transpose(turn)


def _browser_suffix(image: Image.Image, data: bytes) -> str | None:
    """Whether a browser shows the file as it is, and nothing is hidden behind its end."""
    if image.mode not in ("L", "RGB") or "transparency" in image.info:
        return None
    if _orientation(image) != 1:
        return None
    if image.format == "JPEG" and data.endswith(_JPEG_END):
        return ".jpg"
    whole_png = image.format == "PNG" and data.endswith(_PNG_END)
    if whole_png and data[_PNG_BIT_DEPTH_OFFSET] == 8 and getattr(image, "n_frames", 1) == 1:
        return ".png"
    return None


def _image_pixels(image: Image.Image, name: str) -> NDArray[np.uint8]:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _to_8_bit(np.asarray(image), name)
    if image.mode in ("LA", "La"):
        image = image.getchannel(0)
    elif image.mode == "1" or (image.mode == "P" and _has_grey_palette(image)):
        image = image.convert("L")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return np.asarray(image)


def _has_grey_palette(image: Image.Image) -> bool:
    palette = np.array(image.getpalette("RGB") or (), dtype=np.uint8).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def _needs_tifffile(data: bytes) -> bool:
    """Whether this is a TIFF of a pixel type that Pillow cannot tell."""
    if not data.startswith(_TIFF_STARTS):
        return False
    try:
        with Image.open(io.BytesIO(data), formats=("TIFF",)):
            return False
    except UnidentifiedImageError:
        return True


def _read_tiff(data: bytes, name: str) -> NDArray[np.generic]:
    """The only page of a TIFF, shape (H, W) or (H, W, channels)."""
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        if page.imagewidth * page.imagelength > MAX_PIXELS:
            raise _too_large(name, page.imagewidth * page.imagelength)
        if len(tiff.pages) > 1 or page.imagedepth > 1:
            raise _several_pages(name, max(len(tiff.pages), page.imagedepth))
        pixels = page.asarray()
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    elif page.axes not in ("YX", "YXS"):
        raise BadData(
            "“{name}” is a TIFF with the axes {axes}; expected one picture of rows and columns. "
            "Save it again as PNG.",
            name=name,
            axes=page.axes,
        )
    return np.asarray(pixels)


def _to_8_bit(values: NDArray[np.generic], name: str) -> NDArray[np.uint8]:
    """Stretch values of any type between two percentiles to 0…255."""
    if values.ndim == 3:
        values = values[..., :3] if values.shape[-1] >= 3 else values[..., 0]
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


def _mask_values(values: NDArray[np.generic], name: str) -> Mask:
    if values.ndim == 3:
        colors = values[..., :3]
        if values.shape[-1] >= 3 and (colors != colors[..., :1]).any():
            raise BadData(
                "“{name}” is a colour-coded mask, which is not understood yet. Expected one grey "
                "value per class, such as 0 for background and 1, 2, … for the classes. Convert "
                "the colours to class values.",
                name=name,
            )
        values = values[..., 0]
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype in (np.uint8, np.uint16):
        return np.ascontiguousarray(values)
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.uint16)
    if values.dtype.kind not in "uifb" or (whole != values).any():
        raise BadData(
            "“{name}” holds values that are no class values: fractions, negative numbers, or "
            "numbers above 65535. Expected one whole number per class from 0 to 65535.",
            name=name,
        )
    return whole


def _too_large(name: str, num_pixels: int | None) -> BadData:
    return BadData(
        "“{name}” has {megapixels} million pixels; at most {limit:.0f} million are accepted. Cut "
        "the picture into tiles.",
        name=name,
        megapixels="too many" if num_pixels is None else f"{num_pixels / 1e6:.0f}",
        limit=MAX_PIXELS / 1e6,
    )


def _several_pages(name: str, num_pages: int) -> BadData:
    return BadData(
        "“{name}” is a TIFF with {num_pages} pages, which is not understood yet. Save each page "
        "as a picture of its own.",
        name=name,
        num_pages=num_pages,
    )
