"""What decoding may raise: `BadData`, whatever the libraries underneath do on a damaged file."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from engine.errors import BadData

MAX_PIXELS = 80_000_000
"""Pixels of one page. Below the size at which Pillow warns of a decompression bomb."""
MAX_PAGE_BYTES = 16 * MAX_PIXELS
"""Bytes of one page with all its channels."""

# What the decoders raise on damaged files; a test mutates pictures to hold this list complete.
DECODER_ERRORS = (
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
"""Everything that Pillow and tifffile are known to raise."""


@contextmanager
def decoder_errors(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into BadData that names the file."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large(name, None) from None
    except UnidentifiedImageError:
        raise BadData(
            "“{name}” is not a picture: its content is no PNG, JPEG, TIFF, BMP, GIF or WebP. "
            "Replace the file, or leave it out.",
            name=name,
        ) from None
    except DECODER_ERRORS as error:
        raise BadData(
            "“{name}” cannot be read as a picture ({reason}). The file is damaged or of a kind "
            "that is not understood: save it again as PNG, or leave it out.",
            name=name,
            reason=str(error) or type(error).__name__,
        ) from error


def check_not_empty(data: bytes, name: str) -> None:
    """Refuse a file without content.

    Raises:
        BadData: it is empty.
    """
    if not data:
        raise BadData("“{name}” is empty (0 bytes). Replace the file, or leave it out.", name=name)


def check_size(width: int, height: int, name: str) -> None:
    """Refuse a picture that is too large to decode.

    Raises:
        BadData: it has more than `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise too_large(name, width * height)


def checked_page(page: int | None, num_pages: int, name: str) -> int:
    """The page to read, counted from 0.

    Raises:
        BadData: there are several and none was chosen, or there is no such page.
    """
    if page is None and num_pages > 1:
        raise BadData(
            "“{name}” holds {num_pages} pages; one picture was expected. Save each page as a "
            "picture of its own.",
            name=name,
            num_pages=num_pages,
        )
    chosen = page or 0
    if not 0 <= chosen < num_pages:
        raise BadData(
            "“{name}” has no page {page}; it holds {num_pages}. Image and mask need the same "
            "number of pages.",
            name=name,
            page=chosen + 1,
            num_pages=num_pages,
        )
    return chosen


def too_large(name: str, num_pixels: int | None) -> BadData:
    """The error for a picture with more than `MAX_PIXELS`."""
    return BadData(
        "“{name}” has {megapixels} million pixels; at most {limit:.0f} million are accepted. Cut "
        "the picture into tiles.",
        name=name,
        megapixels="too many" if num_pixels is None else f"{num_pixels / 1e6:.0f}",
        limit=MAX_PIXELS / 1e6,
    )
