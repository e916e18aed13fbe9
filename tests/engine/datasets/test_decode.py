"""Which pixels come out of which file, and what is said of files that hold none."""

import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.datasets import decode
from engine.datasets.decode import count_pixels, decode_image, decode_mask, read_image
from engine.errors import BadData

Encode = Callable[..., bytes]

GREY = np.array([[0, 50, 100], [150, 200, 250]], np.uint8)
COLOR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def palette_image(palette: list[int]) -> Image.Image:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    image.putpalette(palette)
    return image


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_grey_and_colour_images_come_out_unchanged(encode: Encode, format: str) -> None:
    assert (decode_image(encode(GREY, format), "x") == GREY).all()
    assert (decode_image(encode(COLOR, format), "x") == COLOR).all()


def test_a_jpeg_comes_out_in_the_mode_it_has(encode: Encode) -> None:
    assert decode_image(encode(GREY, "JPEG"), "x").shape == (2, 3)
    assert decode_image(encode(COLOR, "JPEG"), "x").shape == (2, 3, 3)


def test_transparency_is_dropped(encode: Encode) -> None:
    alpha = np.array([[0, 128, 255]] * 2, np.uint8)
    with_alpha = np.dstack([COLOR, alpha])
    assert (decode_image(encode(with_alpha), "x") == COLOR).all()
    assert (decode_image(encode(np.dstack([GREY, alpha])), "x") == GREY).all()


def test_palette_images_become_their_colours(encode: Encode) -> None:
    colorful = encode(palette_image([1, 2, 3, 40, 50, 60, 7, 8, 9]), transparency=b"\0\x80\xff")
    expected = [[[1, 2, 3], [40, 50, 60]], [[7, 8, 9], [40, 50, 60]]]
    assert decode_image(colorful, "x").tolist() == expected
    grey = encode(palette_image([5, 5, 5, 6, 6, 6, 7, 7, 7]))
    assert decode_image(grey, "x").tolist() == [[5, 6], [7, 6]]


def test_two_level_and_cmyk_images_become_8_bit(encode: Encode) -> None:
    two_level = Image.fromarray(np.array([[True, False]]))
    assert decode_image(encode(two_level), "x").tolist() == [[255, 0]]
    white = Image.new("CMYK", (2, 1), (0, 0, 0, 0))
    assert decode_image(encode(white, "TIFF"), "x").tolist() == [[[255] * 3] * 2]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64, np.float16])
def test_deep_images_are_stretched_between_percentiles(dtype: type) -> None:
    # 0, 1, … 2000: the percentiles are 10 and 1990, so v becomes 255 (v - 10) / 1980.
    values = np.arange(2001).reshape(3, 667).astype(dtype)
    pixels = decode_image(tiff(values), "x").ravel()
    assert pixels[0] == pixels[10] == 0 and pixels[1990] == pixels[2000] == 255
    assert pixels[1000] == round(255 * 990 / 1980)
    assert (np.diff(pixels.astype(int)) >= 0).all()


def test_a_16_bit_png_is_stretched_and_a_deep_colour_tiff_read(encode: Encode) -> None:
    deep = Image.fromarray(np.array([[1000, 3000]], np.uint16))
    assert decode_image(encode(deep), "x").tolist() == [[0, 255]]
    planar = np.zeros((3, 4, 5), np.float32)
    planar[0] = 1
    pixels = decode_image(tiff(planar, photometric="rgb", planarconfig="separate"), "x")
    assert pixels.shape == (4, 5, 3)
    assert (pixels == [255, 0, 0]).all()


def test_constant_and_partly_undefined_images_decode() -> None:
    assert (decode_image(tiff(np.full((2, 2), 700, np.uint16)), "x") == 0).all()
    values = np.array([[0, 1, np.nan, np.inf]], np.float32)
    assert decode_image(tiff(values), "x").tolist() == [[0, 255, 0, 255]]
    with pytest.raises(BadData, match=r"“a\.tif” holds no finite"):
        decode_image(tiff(np.full((2, 2), np.nan, np.float32)), "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_pictures_come_out_upright(encode: Encode, orientation: int, format: str) -> None:
    # What the EXIF standard says the stored rows and columns are, by orientation.
    stored = {
        1: GREY,
        2: GREY[:, ::-1],
        3: GREY[::-1, ::-1],
        4: GREY[::-1],
        5: GREY.T,
        6: GREY.T[::-1],
        7: GREY[::-1, ::-1].T,
        8: GREY.T[:, ::-1],
    }[orientation]
    data = encode(np.ascontiguousarray(stored), format, exif=exif(orientation))
    assert (decode_image(data, "x") == GREY).all()
    assert (decode_mask(data, "x") == GREY).all()


def test_only_files_that_browsers_show_alike_are_kept(encode: Encode) -> None:
    deep = Image.fromarray(GREY.astype(np.uint16))
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())]
    suffixes = {
        "grey png": read_image(encode(GREY), "x"),
        "colour png": read_image(encode(COLOR), "x"),
        "jpeg": read_image(encode(COLOR, "JPEG"), "x"),
        "tiff": read_image(encode(GREY, "TIFF"), "x"),
        "alpha": read_image(encode(np.dstack([COLOR, GREY])), "x"),
        "transparent colour": read_image(encode(GREY, transparency=50), "x"),
        "palette": read_image(encode(palette_image([1, 2, 3] * 3)), "x"),
        "deep": read_image(encode(deep), "x"),
        "turned": read_image(encode(COLOR, "JPEG", exif=exif(6)), "x"),
        "animated": read_image(encode(frames[0], save_all=True, append_images=frames[1:]), "x"),
        "hidden tail": read_image(encode(GREY) + b"<script>", "x"),
        "hidden jpeg tail": read_image(encode(GREY, "JPEG") + b"PK\x03\x04", "x"),
    }
    kept = {name: found.browser_suffix for name, found in suffixes.items() if found.browser_suffix}
    assert kept == {"grey png": ".png", "colour png": ".png", "jpeg": ".jpg"}


def test_masks_keep_their_raw_values(encode: Encode) -> None:
    values = np.array([[0, 1], [2, 255]], np.uint8)
    alpha = np.full_like(values, 255)
    palette = Image.fromarray(values)
    palette.putpalette([n // 3 for n in range(768)])
    for image in (values, palette, np.dstack([values, alpha]), np.dstack([values] * 3)):
        mask = decode_mask(encode(image), "x")
        assert mask.dtype == np.uint8 and mask.tolist() == values.tolist()
    two_level = decode_mask(encode(Image.fromarray(np.array([[True, False]]))), "x")
    assert two_level.tolist() == [[1, 0]]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_deep_masks_keep_their_raw_values(dtype: type) -> None:
    values = np.array([[0, 1], [300, 65535]])
    mask = decode_mask(tiff(values.astype(dtype)), "x")
    assert mask.dtype == np.uint16 and mask.tolist() == values.tolist()


def test_colour_coded_masks_are_named(encode: Encode) -> None:
    with pytest.raises(BadData, match=r"“a\.png” is a colour-coded mask"):
        decode_mask(encode(COLOR), "a.png")
    with pytest.raises(BadData, match="colour-coded"):
        decode_mask(encode(Image.new("CMYK", (1, 1), (9, 99, 0, 0)), "TIFF"), "a.tif")


@pytest.mark.parametrize("value", [0.5, -1, 65536, np.nan, np.inf])
def test_values_that_are_no_classes_are_named(value: float) -> None:
    with pytest.raises(BadData, match=r"“a\.tif” holds values that are no class values"):
        decode_mask(tiff(np.array([[0, value]], np.float32)), "a.tif")


@pytest.mark.parametrize("read", [decode_image, decode_mask])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
def test_truncated_and_foreign_files_are_named(
    encode: Encode, read: Callable[[bytes, str], object], format: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    data = encode(noise, format)
    with pytest.raises(BadData, match=r"“a\.png” cannot be read as a picture \(.+\)"):
        read(data[: len(data) // 2], "a.png")
    with pytest.raises(BadData, match=r"“a\.png” is not a picture"):
        read(b"<html>hello</html>", "a.png")
    with pytest.raises(BadData, match=r"“a\.png” is empty \(0 bytes\)"):
        read(b"", "a.png")
    with pytest.raises(BadData, match="not a picture"):
        read(encode(noise, "GIF"), "a.png")


def test_a_stack_of_pages_is_named() -> None:
    stack = np.zeros((5, 4, 4), np.uint8)
    with pytest.raises(BadData, match=r"“a\.tif” is a TIFF with 5 pages"):
        decode_image(tiff(stack, photometric="minisblack"), "a.tif")
    with pytest.raises(BadData, match="with 5 pages"):
        decode_image(tiff(stack.astype(np.float64), photometric="minisblack"), "a.tif")


def test_bombs_are_refused_by_their_header(encode: Encode) -> None:
    data = bytearray(encode(GREY))
    for side in (9000, 60000):
        struct.pack_into(">LL", data, 16, side, side)
        struct.pack_into(">L", data, 29, zlib.crc32(data[12:29]))
        for read in (decode_image, decode_mask):
            with pytest.raises(BadData, match=r"“a\.png” has .* million pixels; at most 80"):
                read(bytes(data), "a.png")


def test_pixel_limit_holds_for_every_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_PIXELS", 5)
    for dtype in (np.uint8, np.float64):
        with pytest.raises(BadData, match="million pixels"):
            decode_image(tiff(GREY.astype(dtype)), "x")


def test_pixels_are_counted_from_the_header(encode: Encode) -> None:
    assert count_pixels(encode(GREY)[:60]) == 6
    assert count_pixels(b"") == 0
    assert count_pixels(tiff(GREY.astype(np.float64))) > 6 * 8


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "PNG 16", "TIFF 64"])
def test_whatever_is_broken_in_a_picture_ends_in_a_sentence(encode: Encode, format: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    good = {
        "PNG": lambda: encode(image, exif=exif(6)),
        "JPEG": lambda: encode(image, "JPEG", exif=exif(6)),
        "TIFF": lambda: encode(image, "TIFF"),
        "PNG 16": lambda: encode(Image.fromarray(image.astype(np.uint16))),
        "TIFF 64": lambda: tiff(image.astype(np.float64)),
    }[format]()
    chance = random.Random(0)
    for _ in range(600):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            # Headers break in more ways than pixels.
            end = chance.choice([len(data), min(len(data), 120)])
            data[chance.randrange(8, end)] = chance.randrange(256)
        for read in (read_image, decode_mask, lambda data, _: count_pixels(data)):
            try:
                read(bytes(data), "a.png")
            except BadData as error:
                assert "“a.png”" in str(error)
