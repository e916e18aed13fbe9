"""Pages and channels of a TIFF: stacks, hyperstacks of ImageJ and OME, many channels, any depth.

A page is decoded alone, never the whole stack. Three readers share the work. Plain and deflated
pages are read through tifffile. Pillow knows the other compressions and the kinds of colour; but
what Pillow would cut to 8 bits or to three channels is unpacked by it as bytes; see `_unpacked`.

Shapes: H height, W width in pixels.
"""

import io
import logging
import struct
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from engine.datasets.decode.errors import MAX_PAGE_BYTES, check_size, checked_page, too_large
from engine.datasets.decode.turns import turned, unturned
from engine.errors import BadData

MAX_PAGES = 100_000
"""Pages of one file, each channel of its own counted."""

Values = NDArray[np.generic]

# What they say of damaged files is said by BadData; without a handler it would go to stderr.
for _library in ("tifffile", "PIL"):
    logging.getLogger(_library).addHandler(logging.NullHandler())

_STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_ORIENTATION_TAG = 274
_ALPHA_KINDS = (1, 2)
_PLAIN = (1, 8, 32946)
"""Compressions that tifffile reads by itself: none, and the two numbers of deflate."""
_PACKED = (5, 32773, 34925, 50000)
"""Compressions that only Pillow reads, in any layout: LZW, PackBits, LZMA, ZSTD."""
_JPEG = (6, 7)
_MODES = {("uint8", 1): "L", ("uint8", 3): "RGB", ("uint16", 1): "I;16", ("float32", 1): "F"}
"""Pillow's names, by NumPy's type and the number of channels."""
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB = 0, 1, 2
_NO_PREDICTOR, _DIFFERENCES = 1, 2
_CONTIGUOUS_SAMPLES = 1
_WHOLE_BYTES = (8, 16, 32, 64)
_SMALL_SHARE = 0.25
"""Pages of at most this share of the largest page's pixels are previews or levels of a pyramid."""


@dataclass(frozen=True, slots=True)
class TiffValues:
    """One page as numbers, upright unless it was asked for as stored."""

    values: Values
    """(H, W) for one channel, else (H, W, channels); any type."""
    alpha: Values | None
    """(H, W)."""


def is_tiff(data: bytes) -> bool:
    """Whether the bytes start as a TIFF does."""
    return data.startswith(_STARTS)


class TiffPicture:
    """A TIFF whose directories are read, and its pixels not yet. A context manager.

    Its pages are those of the largest size. Axes called channel or sample are channels, all other
    axes (depth, time, …) are pages. Alpha is no channel.

    Args:
        data: the file's bytes.
        name: what messages call it.

    Raises:
        BadData: it holds pages of several sizes, too many, or too large ones. Damaged files raise
            any of `DECODER_ERRORS`, here and in the methods.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name = data, name
        # _multifile=False: the pages of an OME file are its own, whatever other files it names.
        self._tiff = tifffile.TiffFile(io.BytesIO(data), _multifile=False)
        self._series = _largest_series(self._tiff, name)
        page = self._series.keyframe
        self._page = page
        self.width, self.height = int(page.imagewidth), int(page.imagelength)
        self._check_size()
        tag = page.tags.get(_ORIENTATION_TAG)
        self.orientation = int(tag.value) if tag is not None else 1
        self._depth = int(page.imagedepth)
        self._frames = self._frame_numbers()
        self._alpha = _alpha_sample(page)
        self._samples = [n for n in range(int(page.samplesperpixel)) if n != self._alpha]
        self._offset = self._series.dataoffset
        self.num_pages = self._frames.shape[0] * self._depth
        self.num_channels = self._frames.shape[1] * len(self._samples)
        self.mode = _MODES.get((str(page.dtype), self.num_channels), str(page.dtype))
        self.is_lossy = page.compression in _JPEG

    def __enter__(self) -> "TiffPicture":
        return self

    def __exit__(self, *_: object) -> None:
        self._tiff.close()

    def picture(self, page: int | None, upright: bool) -> Image.Image | None:
        """A page that Pillow must translate, as palette or CMYK, or None where `values` reads it.

        Raises:
            BadData: there is no such page.
        """
        if not self._needs_translation():
            return None
        chosen = checked_page(page, self.num_pages, self._name)
        image = self._by_pillow(int(self._frames[chosen, 0]))
        return turned(image, self.orientation) if upright else image

    def unread_picture(self) -> Image.Image | None:
        """The first page for its kind of pixel alone, where `picture` gives pages."""
        if not self._needs_translation():
            return None
        return Image.open(io.BytesIO(self._data), formats=("TIFF",))

    def values(self, page: int | None, channels: tuple[int, ...], upright: bool) -> TiffValues:
        """The chosen channels of a page.

        Raises:
            BadData: there is no such page.
        """
        chosen, depth = divmod(checked_page(page, self.num_pages, self._name), self._depth)
        num_samples = len(self._samples)
        frames: dict[int, Values] = {}
        planes = []
        for channel in channels:
            number = int(self._frames[chosen, channel // num_samples])
            if number not in frames:
                frames[number] = self._frame(number, depth)
            frame = frames[number]
            sample = self._samples[channel % num_samples]
            planes.append(frame if frame.ndim == 2 else frame[..., sample])
        alpha = frame[..., self._alpha] if self._alpha is not None and frame.ndim == 3 else None
        values = planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)
        if not upright:
            return TiffValues(values, alpha)
        return TiffValues(
            turned(values, self.orientation),
            None if alpha is None else turned(alpha, self.orientation),
        )

    def _check_size(self) -> None:
        page = self._page
        check_size(self.width, self.height, self._name)
        num_values = self.width * self.height * int(page.imagedepth) * int(page.samplesperpixel)
        if num_values * max(1, int(page.bitspersample) // 8) > MAX_PAGE_BYTES:
            raise too_large(self._name, num_values)

    def _frame_numbers(self) -> NDArray[np.int64]:
        """Numbers of the stored frames, shape (pages, channels of their own)."""
        axes, shape = self._series.get_axes(squeeze=False), self._series.get_shape(squeeze=False)
        lead = list(zip(axes, shape, strict=True))
        # What a frame holds ends the list, whatever its axes are called: metadata may call the
        # samples of a pixel channels.
        frame_size, num_within = prod(self._page.shape), 1
        while lead and num_within < frame_size:
            num_within *= lead.pop()[1]
        num_frames = prod(size for _, size in lead)
        if not 0 < num_frames <= MAX_PAGES:
            raise BadData(
                "“{name}” holds {num} pages; at most {limit} are accepted. Divide the file.",
                name=self._name,
                num=num_frames,
                limit=MAX_PAGES,
            )
        numbers = np.arange(num_frames).reshape([size for _, size in lead])
        page_axes = [n for n, (axis, _) in enumerate(lead) if axis != "C"]
        channel_axes = [n for n, (axis, _) in enumerate(lead) if axis == "C"]
        num_channels = prod(lead[n][1] for n in channel_axes)
        return numbers.transpose(page_axes + channel_axes).reshape(-1, num_channels)

    def _frame(self, number: int, depth: int) -> Values:
        """One stored frame, (H, W) or (H, W, samples), as it is stored."""
        page, keyframe = None, self._page
        if self._offset is not None:
            assert keyframe.dtype is not None
            values: Values = np.frombuffer(
                self._data,
                keyframe.dtype.newbyteorder(self._tiff.byteorder),
                count=prod(keyframe.shape),
                offset=self._offset + number * keyframe.nbytes,
            ).reshape(keyframe.shape)
        else:
            page = self._series.pages[number]
            if page is None:
                raise ValueError(f"page {number + 1} is missing")
            if _needs_unpacking(keyframe):
                return _unpacked(self._data, self._tiff.byteorder, keyframe, page)
            if not _is_plain(keyframe) and self._depth == 1 and self._pillow_opens_it():
                return np.asarray(self._by_pillow(number))
            values = page.asarray()
        axes = keyframe.axes
        if self._depth > 1:
            values = np.take(values, depth, axis=axes.index("Z"))
            axes = axes.replace("Z", "")
        if axes not in ("YX", "YXS", "SYX"):
            raise ValueError(f"its axes are {keyframe.axes}")
        return np.moveaxis(values, 0, -1) if axes == "SYX" else values

    def _needs_translation(self) -> bool:
        if self._frames.shape[1] > 1 or self._depth > 1:
            return False
        if _is_plain(self._page) or _needs_unpacking(self._page):
            return False
        return self._pillow_opens_it()

    def _pillow_opens_it(self) -> bool:
        try:
            with Image.open(io.BytesIO(self._data), formats=("TIFF",)):
                return True
        except UnidentifiedImageError:
            return False

    def _by_pillow(self, number: int) -> Image.Image:
        """A frame as Pillow decodes it, as it is stored."""
        page = self._series.pages[number]
        if page is None:
            raise ValueError(f"page {number + 1} is missing")
        image = Image.open(io.BytesIO(self._data), formats=("TIFF",))
        image.seek(page.index)
        check_size(image.width, image.height, self._name)
        image.load()
        # Pillow turns TIFFs, and no others, while it loads them.
        return unturned(image, self.orientation)


def _largest_series(tiff: tifffile.TiffFile, name: str) -> tifffile.TiffPageSeries:
    """The pages of the largest size; much smaller ones are left out."""
    if not tiff.series:
        raise ValueError("it holds no page")

    def num_pixels(series: tifffile.TiffPageSeries) -> int:
        return int(series.keyframe.imagewidth * series.keyframe.imagelength)

    largest = max(tiff.series, key=num_pixels)
    for series in tiff.series:
        if series is largest or series.keyframe.is_reduced:
            continue
        if num_pixels(series) > _SMALL_SHARE * num_pixels(largest):
            raise BadData(
                "“{name}” is a TIFF whose pages differ in size or kind ({first} and {second}). "
                "Save each page as a picture of its own.",
                name=name,
                first=_described(largest),
                second=_described(series),
            )
    return largest


def _described(series: tifffile.TiffPageSeries) -> str:
    page = series.keyframe
    return f"{page.imagewidth}×{page.imagelength}×{page.samplesperpixel} {page.dtype}"


def _alpha_sample(page: tifffile.TiffPage) -> int | None:
    """Which of a pixel's samples is its opacity."""
    extra = tuple(page.extrasamples)
    num_samples = int(page.samplesperpixel)
    for position, kind in enumerate(extra):
        if kind in _ALPHA_KINDS and num_samples > 1:
            return num_samples - len(extra) + position
    return 3 if page.photometric == _RGB and num_samples == 4 and not extra else None


def _is_plain(page: tifffile.TiffPage) -> bool:
    """Whether tifffile reads it by itself, and its numbers need no translation."""
    return (
        page.compression in _PLAIN
        and page.dtype is not None
        and page.bitspersample in _WHOLE_BYTES
        and page.predictor in (_NO_PREDICTOR, _DIFFERENCES)
        and page.fillorder == 1
        and _is_untranslated(page)
    )


def _needs_unpacking(page: tifffile.TiffPage) -> bool:
    """Whether it is packed as only Pillow can unpack, but of a kind that Pillow would cut."""
    num_colors = page.samplesperpixel - (_alpha_sample(page) is not None)
    return (
        page.compression in _PACKED
        and page.dtype is not None
        and page.bitspersample in _WHOLE_BYTES
        and page.predictor in (_NO_PREDICTOR, _DIFFERENCES)
        and page.planarconfig == _CONTIGUOUS_SAMPLES
        and page.imagedepth == 1
        and _is_untranslated(page)
        and not (page.bitspersample == 8 and num_colors in (1, 3))
    )


def _is_untranslated(page: tifffile.TiffPage) -> bool:
    if page.photometric == _MIN_IS_WHITE:
        return bool(page.bitspersample > 8)
    return page.photometric in (_MIN_IS_BLACK, _RGB)


def _unpacked(
    data: bytes,
    byteorder: Literal[">", "<"],
    keyframe: tifffile.TiffPage,
    page: tifffile.TiffPage | tifffile.TiffFrame,
) -> Values:
    """A frame, (H, W) or (H, W, samples), of a kind that Pillow does not know.

    The bytes of a row are packed alike whatever they mean, so Pillow is given the same strips or
    tiles as an 8-bit grey picture that is as many times wider as a pixel has bytes.
    """
    assert keyframe.dtype is not None
    num_samples, dtype = int(keyframe.samplesperpixel), keyframe.dtype.newbyteorder(byteorder)
    pixel_bytes = num_samples * dtype.itemsize
    width, height = int(keyframe.imagewidth), int(keyframe.imagelength)
    segments = [
        data[offset : offset + num_bytes]
        for offset, num_bytes in zip(page.dataoffsets, page.databytecounts, strict=True)
    ]
    tags = {256: width * pixel_bytes, 257: height, 258: 8, 259: int(keyframe.compression)}
    tags |= {262: _MIN_IS_BLACK, 277: 1}
    if keyframe.is_tiled:
        tags |= {322: int(keyframe.tilewidth) * pixel_bytes, 323: int(keyframe.tilelength)}
    else:
        tags[278] = int(keyframe.rowsperstrip)
    file = io.BytesIO(_tiff_of_segments(segments, tags, is_tiled=keyframe.is_tiled))
    with Image.open(file, formats=("TIFF",)) as grey:
        values = np.asarray(grey).view(dtype).reshape(height, width, num_samples)
    if keyframe.predictor == _DIFFERENCES:
        native = values.astype(dtype.newbyteorder("="))
        # Differences are of the bits taken as whole numbers, and wrap around.
        whole = native.view(f"u{dtype.itemsize}")
        values = np.cumsum(whole, axis=1, dtype=whole.dtype).view(native.dtype)
    return values[..., 0] if num_samples == 1 else values


def _tiff_of_segments(segments: list[bytes], tags: dict[int, int], *, is_tiled: bool) -> bytes:
    """A little-endian TIFF of one page with these tags and these packed strips or tiles."""
    start = 8
    offsets = start + np.cumsum([0, *map(len, segments)])
    entries = {tag: struct.pack("<I", value) for tag, value in tags.items()}
    entries[324 if is_tiled else 273] = offsets[:-1].astype("<u4").tobytes()
    entries[325 if is_tiled else 279] = np.diff(offsets).astype("<u4").tobytes()
    num_bytes = int(offsets[-1])
    directory, arrays = struct.pack("<H", len(entries)), b""
    arrays_at = num_bytes + 2 + 12 * len(entries) + 4
    for tag, content in sorted(entries.items()):
        count = len(content) // 4
        if count > 1:
            arrays += content
            content = struct.pack("<I", arrays_at + len(arrays) - len(content))
        directory += struct.pack("<HHI", tag, 4, count) + content
    header = b"II*\0" + struct.pack("<I", num_bytes)
    return b"".join([header, *segments, directory, b"\0\0\0\0", arrays])
