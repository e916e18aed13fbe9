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

from engine.datasets.decode import (
    PictureHeader,
    count_pixels,
    decode_image,
    decode_mask,
    image_turns,
    read_header,
    read_image,
)
from engine.datasets.decode import errors as decode_errors
from engine.datasets.decode.deep_png import deep_samples, is_deep_color
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


def animated(encode: Encode, image: np.ndarray, format: str) -> bytes:
    frames = [Image.fromarray(image), Image.fromarray(255 - image)]
    return encode(frames[0], format, save_all=True, append_images=frames[1:])


def palette_image(palette: list[int]) -> Image.Image:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    image.putpalette(palette)
    return image


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "GIF", "WEBP"])
def test_grey_and_colour_images_come_out_unchanged(encode: Encode, format: str) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    grey = decode_image(encode(GREY, format, **options), "x")
    # WebP has no grey.
    assert (grey == (np.dstack([GREY] * 3) if format == "WEBP" else GREY)).all()
    assert (decode_image(encode(COLOR, format, **options), "x") == COLOR).all()


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


def deep_png(samples: np.ndarray, color_type: int) -> bytes:
    """A PNG of 16 bits with rows filtered by what is left of a pixel, and by what is above it."""
    height, width, num_channels = samples.shape
    rows = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    filtered = []
    for number, row in enumerate(rows):
        left = np.concatenate([np.zeros(2 * num_channels, np.uint8), row[: -2 * num_channels]])
        before = left if number % 2 == 0 else rows[number - 1]
        filtered.append(bytes([1 + number % 2]) + (row - before).tobytes())

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"".join(filtered)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(("color_type", "num_colors"), [(2, 3), (4, 1), (6, 3)])
def test_colour_pngs_of_16_bits_keep_all_of_them(color_type: int, num_colors: int) -> None:
    num_channels = {2: 3, 4: 2, 6: 4}[color_type]
    samples = np.random.default_rng(0).integers(0, 1 << 16, (6, 7, num_channels))
    data = deep_png(samples, color_type)
    assert is_deep_color(data) and not is_deep_color(data[:24])
    colors, alpha = deep_samples(data)
    assert (colors.reshape(6, 7, -1) == samples[..., :num_colors]).all()
    assert (alpha is None) == (color_type == 2)
    assert alpha is None or (alpha == samples[..., -1]).all()
    assert read_header(data, "x").num_channels == num_colors
    # A range that lies within one step of the upper byte is stretched, as in other deep images.
    dark = np.zeros((1, 201, num_channels), int)
    dark[0, :, :num_colors] = 512 + np.arange(201)[:, None]
    image = read_image(deep_png(dark, color_type), "x")
    assert image.pixels.shape == ((1, 201, 3) if num_colors == 3 else (1, 201))
    assert image.browser_suffix is None and image.num_channels == num_colors
    assert len(np.unique(image.pixels)) > 190


def test_deep_colour_masks_keep_their_values_and_colours() -> None:
    grey = np.repeat(np.array([[[0], [3], [700]]]), 3, axis=2)
    mask = decode_mask(deep_png(grey, 2), "x")
    assert not mask.is_color and mask.values.tolist() == [[0, 3, 700]]
    colors = np.array([[[0, 0, 0, 0xFFFF], [0xFFFF, 0x8080, 0x0101, 0xFFFF]]])
    mask = decode_mask(deep_png(colors, 6), "x")
    assert mask.is_color and mask.values.tolist() == [[0, 0xFF8001]]
    opaque = np.zeros((1, 2, 2), int)
    opaque[0, 1, 1] = 9
    assert decode_mask(deep_png(opaque, 4), "x").values.tolist() == [[0, 9]]


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
    assert (decode_mask(data, "x").values == GREY).all()
    as_stored = read_image(data, "x", upright=False)
    assert (as_stored.pixels == stored).all()
    assert as_stored.browser_suffix is None or orientation == 1
    header = read_header(data, "x")
    assert (header.height, header.width) == stored.shape
    assert header.orientation == orientation
    assert header.upright_size == (3, 2)


def header(width: int, height: int, orientation: int = 1) -> PictureHeader:
    return PictureHeader(
        width=width,
        height=height,
        num_pages=1,
        num_channels=3,
        mode="RGB",
        format="JPEG",
        orientation=orientation,
    )


def test_an_image_is_turned_where_its_mask_fits_it_upright() -> None:
    image = header(1600, 1200, 6)
    assert image_turns(image, header(1200, 1600))
    assert image_turns(image, header(1200, 1599))
    assert image_turns(image, header(1600, 1200, 6))
    assert not image_turns(image, header(1600, 1200))
    assert not image_turns(image, header(1600, 1199))
    assert image_turns(header(512, 512, 8), header(512, 512))
    assert image_turns(header(1600, 1200, 3), header(1600, 1200))


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
        "animated": read_image(
            encode(frames[0], save_all=True, append_images=frames[1:]), "x", page=0
        ),
        "hidden tail": read_image(encode(GREY) + b"<script>", "x"),
        "hidden jpeg tail": read_image(encode(GREY, "JPEG") + b"PK\x03\x04", "x"),
        "webp": read_image(encode(COLOR, "WEBP", lossless=True), "x"),
        "gif": read_image(encode(GREY, "GIF"), "x"),
        "bmp": read_image(encode(COLOR, "BMP"), "x"),
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
        assert mask.values.dtype == np.uint8 and mask.values.tolist() == values.tolist()
        assert not mask.is_color and not mask.lossy
        assert (mask.palette is not None) == (image is palette)
    two_level = decode_mask(encode(Image.fromarray(np.array([[True, False]]))), "x")
    assert two_level.values.tolist() == [[1, 0]]


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette_masks_give_their_indices_and_their_colours(encode: Encode, format: str) -> None:
    mask = decode_mask(encode(palette_image([0, 0, 0, 128, 0, 0, 1, 2, 255]), format), "x")
    assert mask.values.tolist() == [[0, 1], [2, 1]] and not mask.is_color
    assert mask.palette is not None and mask.palette[:3] == (0x000000, 0x800000, 0x0102FF)


def test_colour_masks_give_packed_colours(encode: Encode) -> None:
    colors = np.array([[[0, 0, 0], [255, 128, 1]]], np.uint8)
    for data in (encode(colors), encode(colors, "TIFF"), tiff(colors.astype(np.uint16))):
        mask = decode_mask(data, "x")
        assert mask.is_color and mask.values.dtype == np.uint32 and mask.palette is None
        assert mask.values.tolist() == [[0, 0xFF8001]]
    deep = decode_mask(tiff(colors.astype(np.uint16) * 257), "x")
    assert deep.values.tolist() == [[0, 0xFF8001]]
    assert decode_mask(encode(Image.new("CMYK", (1, 1), (9, 99, 0, 0)), "TIFF"), "x").is_color


def test_the_opacity_is_the_mask_only_where_the_colour_is_constant(encode: Encode) -> None:
    alpha = np.array([[0, 255, 255]] * 2, np.uint8)
    white = np.full((2, 3, 3), 255, np.uint8)
    assert decode_mask(encode(np.dstack([white, alpha])), "x").values.tolist() == alpha.tolist()
    black = np.zeros_like(GREY)
    assert decode_mask(encode(np.dstack([black, alpha])), "x").values.tolist() == alpha.tolist()
    assert decode_mask(encode(np.dstack([GREY, alpha])), "x").values.tolist() == GREY.tolist()
    opaque = np.full_like(alpha, 255)
    assert decode_mask(encode(np.dstack([white, opaque])), "x").values.tolist() == [[255] * 3] * 2


def test_lossy_masks_are_told_and_their_blurred_greys_are_grey(encode: Encode) -> None:
    grey = np.kron(np.array([[0, 255], [255, 0]], np.uint8), np.ones((16, 16), np.uint8))
    tinted = np.dstack([grey, np.where(grey, grey - 9, grey), grey])
    for format in ("JPEG", "WEBP"):
        mask = decode_mask(encode(tinted, format), "x")
        assert mask.lossy and not mask.is_color
        assert abs(mask.values.astype(int) - grey).max() < 20
    exact = decode_mask(encode(tinted, "WEBP", lossless=True), "x")
    assert not exact.lossy and exact.is_color


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_deep_masks_keep_their_raw_values(dtype: type) -> None:
    values = np.array([[0, 1], [300, 65535]])
    mask = decode_mask(tiff(values.astype(dtype)), "x")
    assert mask.values.dtype == np.uint16 and mask.values.tolist() == values.tolist()


def test_soft_masks_between_0_and_1_are_scaled_and_hard_ones_are_not() -> None:
    soft = decode_mask(tiff(np.array([[0, 0.5, 1]], np.float32)), "x")
    assert soft.values.dtype == np.uint8 and soft.values.tolist() == [[0, 128, 255]]
    assert decode_mask(tiff(np.array([[0, 1, 1]], np.float32)), "x").values.tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("value", [1.5, -1, -0.5, 65536, np.nan, np.inf])
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
        read(encode(noise, "PPM"), "a.png")


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_one_frame_of_an_animation_is_read(encode: Encode, format: str) -> None:
    levels = [np.full((8, 8, 3), level, np.uint8) for level in (0, 100, 200)]
    frames = [Image.fromarray(level) for level in levels]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert read_header(data, "x").num_pages == 3
    for page, level in enumerate(levels):
        pixels = read_image(data, "x", page=page).pixels
        assert (pixels == (level if pixels.ndim == 3 else level[..., 0])).all()
    assert (decode_mask(data, "x", page=2).values == 200).all()
    for read in (decode_image, decode_mask):
        with pytest.raises(BadData, match=r"“a\.gif” holds 3 pages; one picture"):
            read(data, "a.gif")
    with pytest.raises(BadData, match=r"“a\.gif” has no page 4; it holds 3"):
        read_image(data, "a.gif", page=3)


def test_headers_tell_the_kind_without_decoding(encode: Encode) -> None:
    def kind(data: bytes) -> tuple[str, str, int]:
        found = read_header(data, "x")
        assert (found.width, found.height, found.num_pages) == (3, 2, 1)
        return found.format, found.mode, found.num_channels

    alpha = np.full((2, 3), 9, np.uint8)
    assert kind(encode(GREY)) == ("PNG", "L", 1)
    assert kind(encode(np.dstack([COLOR, alpha]))) == ("PNG", "RGBA", 3)
    assert kind(encode(np.dstack([GREY, alpha]))) == ("PNG", "LA", 1)
    assert kind(encode(GREY.astype(np.uint16))) == ("PNG", "I;16", 1)
    assert kind(encode(COLOR, "JPEG")) == ("JPEG", "RGB", 3)
    assert kind(encode(COLOR, "WEBP")) == ("WEBP", "RGB", 3)
    assert kind(encode(COLOR, "BMP")) == ("BMP", "RGB", 3)
    assert kind(encode(COLOR, "GIF")) == ("GIF", "P", 3)
    assert kind(encode(GREY, "TIFF")) == ("TIFF", "L", 1)
    # The pixels may be missing: nobody looks at them.
    png = encode(np.zeros((500, 400), np.uint8), compress_level=0)
    assert read_header(png[:200], "x").width == 400
    with pytest.raises(BadData, match="not a picture"):
        read_header(b"hello", "a.png")
    with pytest.raises(BadData, match="is empty"):
        read_header(b"", "a.png")


def test_grey_palettes_count_as_one_channel(encode: Encode) -> None:
    for format in ("PNG", "GIF", "TIFF"):
        grey = encode(palette_image([5, 5, 5, 6, 6, 6, 7, 7, 7]), format)
        assert read_header(grey, "x").num_channels == read_image(grey, "x").num_channels == 1
        colorful = encode(palette_image([5, 5, 5, 6, 6, 6, 7, 7, 8]), format)
        assert (
            read_header(colorful, "x").num_channels == read_image(colorful, "x").num_channels == 3
        )


def test_bombs_are_refused_by_their_header(encode: Encode) -> None:
    data = bytearray(encode(GREY))
    for side in (9000, 60000):
        struct.pack_into(">LL", data, 16, side, side)
        struct.pack_into(">L", data, 29, zlib.crc32(data[12:29]))
        for read in (decode_image, decode_mask, read_header):
            with pytest.raises(BadData, match=r"“a\.png” has .* million pixels; at most 80"):
                read(bytes(data), "a.png")


def test_pixel_limit_holds_for_every_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_errors, "MAX_PIXELS", 5)
    for dtype in (np.uint8, np.float64):
        with pytest.raises(BadData, match="million pixels"):
            decode_image(tiff(GREY.astype(dtype)), "x")


def test_pixels_are_counted_from_the_header(encode: Encode) -> None:
    assert count_pixels(encode(GREY)[:60]) == 6
    assert count_pixels(encode(GREY, "WEBP")) == count_pixels(encode(GREY, "GIF")) == 6
    assert count_pixels(b"") == 0
    assert count_pixels(tiff(GREY.astype(np.float64))) > 6 * 8


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "format", ["PNG", "JPEG", "TIFF", "PNG 16", "PNG 48", "TIFF 64", "BMP", "GIF", "WEBP"]
)
def test_whatever_is_broken_in_a_picture_ends_in_a_sentence(encode: Encode, format: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    good = {
        "PNG": lambda: encode(image, exif=exif(6)),
        "JPEG": lambda: encode(image, "JPEG", exif=exif(6)),
        "TIFF": lambda: encode(image, "TIFF"),
        "PNG 16": lambda: encode(Image.fromarray(image.astype(np.uint16))),
        "PNG 48": lambda: deep_png(image.reshape(8, 8, 4).astype(int) * 257, 6),
        "TIFF 64": lambda: tiff(image.astype(np.float64)),
        "BMP": lambda: encode(image, "BMP"),
        "GIF": lambda: animated(encode, image, "GIF"),
        "WEBP": lambda: animated(encode, image, "WEBP"),
    }[format]()
    chance = random.Random(0)
    reads = (
        read_header,
        read_image,
        lambda data, name: read_image(data, name, page=1),
        decode_mask,
        lambda data, _: count_pixels(data),
    )
    for _ in range(200):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            # Headers break in more ways than pixels.
            end = chance.choice([len(data), min(len(data), 120)])
            data[chance.randrange(8, end)] = chance.randrange(256)
        for read in reads:
            try:
                read(bytes(data), "a.png")
            except BadData as error:
                assert "“a.png”" in str(error)
