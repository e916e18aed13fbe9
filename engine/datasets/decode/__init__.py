"""Pixels from the bytes of a PNG, JPEG, TIFF, BMP, GIF or WebP.

Shapes: H height, W width in pixels.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from engine.datasets.decode.deep_png import (
    bit_depth,
    deep_samples,
    is_deep_color,
    num_deep_channels,
)
from engine.datasets.decode.errors import (
    DECODER_ERRORS,
    check_not_empty,
    check_size,
    checked_page,
    decoder_errors,
)
from engine.datasets.decode.pixels import RawMask, mask_of_samples, to_8_bit
from engine.datasets.decode.tiff import TiffPicture, TiffValues, is_tiff
from engine.datasets.decode.turns import turned
from engine.errors import BadData

__all__ = [
    "DecodedImage",
    "PictureHeader",
    "RawMask",
    "count_pixels",
    "decode_image",
    "decode_mask",
    "image_turns",
    "read_header",
    "read_image",
]

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
_LOSSY_WEBP = b"VP8 "
_NUM_CHANNELS = {"1": 1, "L": 1, "LA": 1, "La": 1, "I": 1, "F": 1}
"""By Pillow's mode; every other mode is of colour."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureHeader:
    """What a file says of itself before its pixels are decoded."""

    width: int
    height: int
    """Size in pixels, as stored."""
    num_pages: int
    """1, or how many pages, frames or slices of this size it holds."""
    num_channels: int
    """1 for grey, 3 for colour, or what a TIFF has; opacity is no channel."""
    mode: str
    """Pillow's name for the kind of pixel, or NumPy's where Pillow has none."""
    format: str
    """`PNG`, `JPEG`, `TIFF`, `BMP`, `GIF` or `WEBP`."""
    orientation: int
    """EXIF orientation, 1 to 8; 1 is upright."""

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height once it is turned upright."""
        if self.orientation >= 5:
            return self.height, self.width
        return self.width, self.height


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image as 8-bit pixels."""

    pixels: NDArray[np.uint8]
    """(H, W) for grey, (H, W, 3) for colour."""
    browser_suffix: str | None
    """`.png` or `.jpg` when the file holds exactly these pixels in a form that browsers show."""
    num_channels: int
    """Of the file: 1 for grey, 3 for colour, or what a TIFF has; opacity is no channel."""


def read_header(data: bytes, name: str) -> PictureHeader:
    """Size, pages and kind of a picture; no pixel is decoded.

    Raises:
        BadData: it is no picture, is damaged, or has more than `MAX_PIXELS`.
    """
    with decoder_errors(name):
        check_not_empty(data, name)
        if is_tiff(data):
            with TiffPicture(data, name) as tiff:
                return _tiff_header(data, tiff)
        with _opened(data, name) as image:
            return PictureHeader(
                width=image.width,
                height=image.height,
                num_pages=_num_pages(image),
                num_channels=_num_channels(image, data),
                mode=image.mode,
                # A JPEG with a second picture behind the first is that first picture here.
                format="JPEG" if image.format == "MPO" else str(image.format),
                orientation=_orientation(image, data) or 1,
            )


def image_turns(image: PictureHeader, mask: PictureHeader) -> bool:
    """Whether an image must be turned upright to fit its mask, which is upright itself.

    Some programs draw masks over the image as viewers show it, others over the pixels as they are
    stored and lose the EXIF tag. The mask's size tells: the image stays as stored when only so its
    sides fit better; when both fit alike, as with a square image, it is turned.
    """

    def misfit(size: tuple[int, int]) -> int:
        return sum(abs(one - other) for one, other in zip(size, mask.upright_size, strict=True))

    return misfit(image.upright_size) <= misfit((image.width, image.height))


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


def read_image(
    data: bytes,
    name: str,
    page: int | None = None,
    channels: tuple[int, ...] = (),
    upright: bool = True,
) -> DecodedImage:
    """As `decode_image`, and whether the file may be kept as it is.

    Args:
        page: which of several, from 0; each is stretched by itself.
        channels: of images with two, or more than three channels: the one, or the three for red,
            green and blue, from 0. By default the first three; a third that is missing is black.
        upright: whether to turn it as its EXIF tag says.

    Raises:
        BadData: as `decode_image`, or there is no such page or channel.
    """
    with decoder_errors(name):
        check_not_empty(data, name)
        if is_tiff(data):
            with TiffPicture(data, name) as tiff:
                return _tiff_image(tiff, name, page, channels, upright)
        with _opened(data, name) as image:
            chosen = checked_page(page, _num_pages(image), name)
            orientation = _orientation(image, data)
            if _is_deep(image, data):
                samples = to_8_bit(deep_samples(data)[0], name)
                pixels = turned(samples, orientation or 1) if upright else samples
                return DecodedImage(np.ascontiguousarray(pixels), None, num_deep_channels(data))
            _load(image, chosen)
            suffix = _browser_suffix(image, data) if orientation == 1 else None
            num_channels = _num_channels(image, data)
            # Pillow would warn when it drops a palette's transparency.
            image.info.pop("transparency", None)
            shown = turned(image, orientation or 1) if upright else image
            return DecodedImage(_image_pixels(shown, name), suffix, num_channels)


def decode_mask(data: bytes, name: str, page: int | None = None) -> RawMask:
    """Decode a mask, upright, to its raw values; palette masks give their indices.

    Args:
        data: the file's bytes.
        name: what messages call it.
        page: which of several, from 0.

    Raises:
        BadData: it is unreadable, has several pages and none is chosen, more than `MAX_PIXELS`,
            or values that are negative, fractions above 1, or above 65535.
    """
    with decoder_errors(name):
        check_not_empty(data, name)
        if is_tiff(data):
            with TiffPicture(data, name) as tiff:
                picture = tiff.picture(page, upright=True)
                if picture is not None:
                    return _mask_of_picture(picture, name, lossy=tiff.is_lossy)
                found = tiff.values(page, tuple(range(tiff.num_channels)), upright=True)
                return mask_of_samples(found.values, found.alpha, name, lossy=tiff.is_lossy)
        with _opened(data, name) as image:
            chosen = checked_page(page, _num_pages(image), name)
            orientation = _orientation(image, data) or 1
            if _is_deep(image, data):
                samples, alpha = deep_samples(data)
                samples = turned(samples, orientation)
                alpha = None if alpha is None else turned(alpha, orientation)
                return mask_of_samples(samples, alpha, name, lossy=False)
            _load(image, chosen)
            return _mask_of_picture(turned(image, orientation), name, lossy=_is_lossy(image, data))


def count_pixels(data: bytes) -> int:
    """Width × height as the file's header claims; its bytes when there is no readable header."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return image.width * image.height
    except DECODER_ERRORS:
        return len(data)


def _opened(data: bytes, name: str) -> Image.Image:
    """A picture whose size is checked, and whose pixels are not decoded yet."""
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    check_size(image.width, image.height, name)
    return image


def _load(image: Image.Image, page: int) -> None:
    if page:
        image.seek(page)
    image.load()


def _num_pages(image: Image.Image) -> int:
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _orientation(image: Image.Image, data: bytes) -> int | None:
    """The EXIF orientation, 1 for upright; None when the EXIF data is damaged."""
    try:
        if image.format == "PNG" and b"eXIf" not in data:
            # A PNG's own getexif decodes the pixels to find what may come after them.
            exif = Image.Image.getexif(image)
        else:
            exif = image.getexif()
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except DECODER_ERRORS:
        return None


def _browser_suffix(image: Image.Image, data: bytes) -> str | None:
    """Whether a browser shows the file as it is, and nothing is hidden behind its end."""
    if image.mode not in ("L", "RGB") or "transparency" in image.info:
        return None
    if image.format == "JPEG" and data.endswith(_JPEG_END):
        return ".jpg"
    whole_png = image.format == "PNG" and data.endswith(_PNG_END)
    if whole_png and bit_depth(data) == 8 and _num_pages(image) == 1:
        return ".png"
    return None


def _is_lossy(image: Image.Image, data: bytes) -> bool:
    return image.format in ("JPEG", "MPO") or (image.format == "WEBP" and _LOSSY_WEBP in data)


def _is_deep(image: Image.Image, data: bytes) -> bool:
    # An animation's frames are laid over each other in 8 bits.
    return is_deep_color(data) and _num_pages(image) == 1


def _num_channels(image: Image.Image, data: bytes) -> int:
    if is_deep_color(data):
        return num_deep_channels(data)
    if image.mode in ("P", "PA"):
        return 1 if _has_grey_palette(image) else 3
    return 1 if image.mode.startswith("I;") else _NUM_CHANNELS.get(image.mode, 3)


def _image_pixels(image: Image.Image, name: str) -> NDArray[np.uint8]:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return to_8_bit(np.asarray(image), name)
    if image.mode in ("LA", "La"):
        image = image.getchannel(0)
    elif image.mode == "1" or (image.mode == "P" and _has_grey_palette(image)):
        image = image.convert("L")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return np.asarray(image)


def _has_grey_palette(image: Image.Image) -> bool:
    if image.palette is None:
        return False
    # Pillow's getpalette would decode the pixels, and a header is asked this as well.
    entries = np.frombuffer(bytes(image.palette.palette), dtype=np.uint8)
    layout = image.palette.rawmode or image.palette.mode
    if layout == "RGB;L":
        entries = entries.reshape(3, -1).T
    else:
        entries = entries.reshape(-1, 4 if layout in ("BGRX", "RGBA") else 3)[:, :3]
    return bool((entries == entries[:, :1]).all())


def _mask_of_picture(image: Image.Image, name: str, *, lossy: bool) -> RawMask:
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB") or (), dtype=np.int64).reshape(-1, 3)
        indices = np.array(image if image.mode == "P" else image.getchannel(0), dtype=np.uint8)
        return RawMask(
            values=indices,
            is_color=False,
            palette=tuple(int(color) for color in palette @ (0x10000, 0x100, 1)),
            lossy=lossy,
        )
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        values = np.asarray(image)
        colors = values[..., 0] if values.shape[-1] == 2 else values[..., :3]
        return mask_of_samples(colors, values[..., -1], name, lossy=lossy)
    if image.mode not in ("1", "L", "I", "F", "RGB") and not image.mode.startswith("I;"):
        image = image.convert("RGB")
    return mask_of_samples(np.asarray(image), None, name, lossy=lossy)


def _tiff_header(data: bytes, tiff: TiffPicture) -> PictureHeader:
    mode, num_channels = tiff.mode, tiff.num_channels
    picture = tiff.unread_picture()
    if picture is not None:
        mode, num_channels = picture.mode, _num_channels(picture, data)
    return PictureHeader(
        width=tiff.width,
        height=tiff.height,
        num_pages=tiff.num_pages,
        num_channels=num_channels,
        mode=mode,
        format="TIFF",
        orientation=tiff.orientation,
    )


def _tiff_image(
    tiff: TiffPicture, name: str, page: int | None, channels: tuple[int, ...], upright: bool
) -> DecodedImage:
    picture = tiff.picture(page, upright)
    if picture is not None:
        num_channels = _num_channels(picture, b"")
        picture.info.pop("transparency", None)
        return DecodedImage(_image_pixels(picture, name), None, num_channels)
    chosen = _chosen_channels(tiff.num_channels, channels, name)
    found: TiffValues = tiff.values(page, chosen, upright)
    pixels = to_8_bit(found.values, name)
    if pixels.ndim == 3 and pixels.shape[-1] == 2:
        pixels = np.dstack([pixels, np.zeros_like(pixels[..., :1])])
    return DecodedImage(pixels, None, tiff.num_channels)


def _chosen_channels(num_channels: int, channels: tuple[int, ...], name: str) -> tuple[int, ...]:
    if num_channels in (1, 3) or not channels:
        return tuple(range(min(3, num_channels)))
    if not all(0 <= channel < num_channels for channel in channels):
        raise BadData(
            "“{name}” has {num} channels, counted from 0, but channel {channel} is to be kept. "
            "Choose others.",
            name=name,
            num=num_channels,
            channel=max(channels),
        )
    return channels
