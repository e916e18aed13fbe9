"""Pages, channels and depths of TIFFs, and that one page is read without the others."""

import io
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.datasets.decode import decode_image, decode_mask, read_header, read_image
from engine.errors import BadData

Encode = Callable[..., bytes]

RNG = np.random.default_rng(0)
PAGES = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)
STACK_AXES = {"photometric": "minisblack"}


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib", "predictor": True},
        {"metadata": None},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"ome": True, "metadata": {"axes": "ZYX"}},
        {"volumetric": True},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"tile": (16, 16)},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_page_of_a_stack_is_read_by_its_number(dtype: type, options: dict[str, Any]) -> None:
    data = tiff(PAGES.astype(dtype), **STACK_AXES, **options)
    header = read_header(data, "x")
    assert (header.num_pages, header.num_channels) == (4, 1)
    assert (header.width, header.height) == (6, 5)
    for page in range(4):
        mask = decode_mask(data, "x", page=page)
        assert mask.values.dtype == dtype and (mask.values == PAGES[page]).all()
        image = read_image(data, "x", page=page)
        assert image.pixels.shape == (5, 6) and image.num_channels == 1
        if dtype == np.uint8:
            assert (image.pixels == PAGES[page]).all()
    with pytest.raises(BadData, match=r"“a\.tif” holds 4 pages"):
        decode_image(data, "a.tif")
    with pytest.raises(BadData, match=r"“a\.tif” has no page 5; it holds 4"):
        decode_mask(data, "a.tif", page=4)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_deflate", "group4"])
def test_pages_that_pillow_wrote_are_read(encode: Encode, compression: str) -> None:
    kind = "1" if compression == "group4" else "L"
    frames = [Image.fromarray((page % 2) * np.uint8(255)).convert(kind) for page in PAGES]
    data = encode(
        frames[0], "TIFF", save_all=True, append_images=frames[1:], compression=compression
    )
    assert read_header(data, "x").num_pages == 4
    expected = (PAGES[2] % 2) * (1 if kind == "1" else 255)
    assert (decode_mask(data, "x", page=2).values == expected).all()
    assert (read_image(data, "x", page=2).pixels == (PAGES[2] % 2) * 255).all()


def test_axes_called_channel_are_channels_and_all_others_pages() -> None:
    values = RNG.integers(0, 60000, (2, 3, 4, 5, 6), np.uint16)
    for options in ({"imagej": True}, {"ome": True, **STACK_AXES}):
        data = tiff(values, metadata={"axes": "TZCYX"}, **options)
        header = read_header(data, "x")
        assert (header.num_pages, header.num_channels) == (6, 4)
        found = read_image(data, "x", page=5, channels=(2,)).pixels
        alone = decode_image(tiff(values[1, 2, 2]), "x")
        assert (found == alone).all()
        # Three channels are stretched together.
        first = read_image(data, "x", page=3).pixels
        together = tiff(np.moveaxis(values[1, 0, :3], 0, -1), photometric="rgb")
        assert (first == decode_image(together, "x")).all()
    channels_first = tiff(
        values[0].swapaxes(0, 1), ome=True, metadata={"axes": "CZYX"}, **STACK_AXES
    )
    assert read_header(channels_first, "x").num_pages == 3
    found = read_image(channels_first, "x", page=2, channels=(1,)).pixels
    assert (found == decode_image(tiff(values[0, 2, 1]), "x")).all()


@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("num_channels", [2, 4, 5, 8])
def test_channels_are_chosen(num_channels: int, planarconfig: str) -> None:
    values = RNG.integers(0, 256, (5, 6, num_channels), np.uint8)
    stored = values if planarconfig == "contig" else np.moveaxis(values, -1, 0)
    data = tiff(stored, planarconfig=planarconfig, **STACK_AXES)
    header = read_header(data, "x")
    assert (header.num_channels, header.num_pages) == (num_channels, 1)
    by_default = read_image(data, "x")
    assert by_default.num_channels == num_channels and by_default.browser_suffix is None
    expected = values[..., :3]
    if num_channels == 2:
        expected = np.dstack([values, np.zeros((5, 6), np.uint8)])
    assert (by_default.pixels == expected).all()
    last = num_channels - 1
    assert (read_image(data, "x", channels=(last,)).pixels == values[..., last]).all()
    turned = read_image(data, "x", channels=(last, 0, 1)).pixels
    assert (turned == values[..., [last, 0, 1]]).all()
    with pytest.raises(BadData, match=rf"“a\.tif” has {num_channels} channels"):
        read_image(data, "a.tif", channels=(num_channels,))


def test_chosen_channels_leave_grey_and_colour_images_alone(encode: Encode) -> None:
    color = RNG.integers(0, 256, (5, 6, 3), np.uint8)
    for data in (tiff(color, photometric="rgb"), encode(color)):
        assert (read_image(data, "x", channels=(4,)).pixels == color).all()
    grey = tiff(color[..., 0])
    assert (read_image(grey, "x", channels=(4,)).pixels == color[..., 0]).all()


def test_opacity_is_no_channel() -> None:
    values = RNG.integers(0, 256, (5, 6, 4), np.uint8)
    with_alpha = tiff(values, photometric="rgb", extrasamples=["unassalpha"])
    found = read_image(with_alpha, "x")
    assert found.num_channels == 3 and (found.pixels == values[..., :3]).all()
    grey = tiff(values[..., :2], extrasamples=["unassalpha"], **STACK_AXES)
    found = read_image(grey, "x")
    assert found.num_channels == 1 and (found.pixels == values[..., 0]).all()
    infrared = tiff(values, photometric="rgb", extrasamples=["unspecified"])
    assert read_header(infrared, "x").num_channels == 4
    assert (read_image(infrared, "x", channels=(3,)).pixels == values[..., 3]).all()


def test_a_mask_of_many_channels_is_named() -> None:
    data = tiff(np.zeros((5, 6, 5), np.uint8), planarconfig="contig", **STACK_AXES)
    with pytest.raises(BadData, match=r"The mask “a\.tif” has 5 channels"):
        decode_mask(data, "a.tif")


def test_each_page_of_a_deep_stack_is_stretched_alone() -> None:
    dim = np.linspace(0, 100, 30).reshape(5, 6)
    data = tiff(np.stack([dim, dim * 500]).astype(np.uint16), **STACK_AXES)
    for page in (0, 1):
        pixels = read_image(data, "x", page=page).pixels
        assert (pixels.min(), pixels.max()) == (0, 255)


def lzw(values: np.ndarray, *, differences: bool = False) -> bytes:
    """An LZW file of deep samples (height, width, samples), as OpenCV writes it."""
    height, width, samples = values.shape
    whole = values.view(f"u{values.itemsize}")
    if differences:
        whole = np.diff(whole, axis=1, prepend=np.zeros_like(whole[:, :1]))
    # Pillow packs 8-bit grey only, but the bytes of a row are packed alike whatever they mean.
    file = io.BytesIO()
    rows = np.ascontiguousarray(whole).view(np.uint8).reshape(height, -1)
    Image.fromarray(rows).save(file, "TIFF", compression="tiff_lzw", strip_size=1 << 30)
    file.seek(0)
    with tifffile.TiffFile(file) as packed:
        page = packed.pages.first
        start, num_bytes = page.dataoffsets[0], page.databytecounts[0]
        assert len(page.dataoffsets) == 1
    strip = file.getvalue()[start : start + num_bytes]
    bits = struct.pack("<8H", *[8 * values.itemsize] * samples, *[0] * (8 - samples))
    kinds = struct.pack(
        "<8H", *[3 if values.dtype.kind == "f" else 1] * samples, *[0] * (8 - samples)
    )
    header = b"II*\0" + struct.pack("<I", 40 + num_bytes)
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, samples, 8 if samples > 2 else 8 * values.itemsize),
        (259, 3, 1, 5),
        (262, 3, 1, 2 if samples == 3 else 1),
        (273, 4, 1, 40),
        (277, 3, 1, samples),
        (278, 4, 1, height),
        (279, 4, 1, num_bytes),
        (317, 3, 1, 2 if differences else 1),
        (339, 3, samples, 24 if samples > 2 else (3 if values.dtype.kind == "f" else 1)),
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return header + bits + kinds + strip + struct.pack("<H", len(entries)) + directory + b"\0\0\0\0"


@pytest.mark.parametrize("samples", [1, 3, 5])
@pytest.mark.parametrize("differences", [False, True])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_packed_deep_samples_lose_no_bits(dtype: type, differences: bool, samples: int) -> None:
    values = RNG.integers(0, 900, (20, 30, samples)).astype(dtype)
    data = lzw(values, differences=differences)
    plain = tiff(values[..., 0] if samples == 1 else values, planarconfig="contig", **STACK_AXES)
    assert read_header(data, "x").num_channels == samples
    assert (decode_image(data, "x") == decode_image(plain, "x")).all()


def test_pages_of_several_sizes_are_named_but_previews_left_out() -> None:
    def two(first: np.ndarray, second: np.ndarray) -> bytes:
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as writer:
            writer.write(first, photometric="minisblack")
            writer.write(second, photometric="minisblack")
        return file.getvalue()

    large = RNG.integers(0, 256, (40, 40), np.uint8)
    preview = two(np.zeros((10, 10), np.uint8), large)
    assert (decode_image(preview, "x") == large).all()
    with pytest.raises(BadData, match=r"“a\.tif” is a TIFF whose pages differ"):
        decode_image(two(large, large[:30]), "a.tif")
    with pytest.raises(BadData, match="differ"):
        read_header(two(large, large.astype(np.uint16)), "a.tif")


def test_reading_a_page_does_not_read_the_stack() -> None:
    stack = np.zeros((60, 256, 256), np.uint16)
    stack[7, 0, :5] = range(5)
    for options in ({}, {"compression": "zlib"}):
        data = tiff(stack, **STACK_AXES, **options)
        read_header(data, "x")
        tracemalloc.start()
        try:
            assert decode_mask(data, "x", page=7).values[0, 4] == 4
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # tifffile keeps no copy of the bytes; a page has 131,072.
        assert peak < 12 * stack[0].nbytes + len(data)
        assert peak < stack.nbytes + len(data)


def test_an_ome_file_that_names_others_gives_only_its_own_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("other.ome.tif", np.full((5, 6), 77, np.uint8), ome=True)
    planes = "".join(
        f'<TiffData FirstZ="{z}" IFD="{ifd}" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:{name}</UUID></TiffData>'
        for z, ifd, name in [
            (0, 0, "this.ome.tif"),
            (1, 1, "this.ome.tif"),
            (2, 0, "other.ome.tif"),
        ]
    )
    description = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        'UUID="urn:uuid:this.ome.tif"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYZCT" Type="uint8" SizeX="6" SizeY="5" SizeC="1" SizeZ="3" SizeT="1">'
        f"{planes}</Pixels></Image></OME>"
    )
    data = tiff(PAGES[:2], description=description, metadata=None, **STACK_AXES)
    with tifffile.TiffFile(io.BytesIO(data)) as crafted:
        assert crafted.is_ome
    assert read_header(data, "x").num_pages == 2
    for page in (0, 1):
        assert (decode_mask(data, "x", page=page).values == PAGES[page]).all()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "kind", ["stack", "imagej", "ome", "channels", "planar", "packed", "tiles"]
)
def test_whatever_is_broken_in_a_tiff_ends_in_a_sentence(encode: Encode, kind: str) -> None:
    grey = RNG.integers(0, 256, (16, 16), np.uint8)
    many = RNG.integers(0, 256, (16, 16, 5), np.uint8)
    good = {
        "stack": lambda: tiff(np.stack([grey] * 5), **STACK_AXES),
        "imagej": lambda: tiff(
            np.zeros((2, 3, 2, 8, 9), np.uint16), imagej=True, metadata={"axes": "TZCYX"}
        ),
        "ome": lambda: tiff(
            np.zeros((2, 2, 8, 9), np.uint16), ome=True, metadata={"axes": "ZCYX"}, **STACK_AXES
        ),
        "channels": lambda: tiff(many, planarconfig="contig", compression="zlib", **STACK_AXES),
        "planar": lambda: tiff(np.moveaxis(many, -1, 0), planarconfig="separate", **STACK_AXES),
        "packed": lambda: lzw(many.astype(np.uint16)),
        "tiles": lambda: tiff(np.kron(grey, np.ones((2, 2))).astype(np.uint16), tile=(16, 16)),
    }[kind]()
    chance = random.Random(0)
    for _ in range(150):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            end = chance.choice([len(data), min(len(data), 300)])
            data[chance.randrange(8, end)] = chance.randrange(256)
        for page in (None, 1):
            for read in (read_header, read_image, decode_mask):
                try:
                    if read is read_header:
                        read(bytes(data), "a.tif")
                    else:
                        read(bytes(data), "a.tif", page=page)
                except BadData as error:
                    assert "“a.tif”" in str(error)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planes_that_metadata_calls_channels_are_counted_once(compression: str | None) -> None:
    planes = RNG.integers(0, 256, (3, 4, 9, 8), np.uint8)
    options: dict[str, Any] = {"photometric": "minisblack", "planarconfig": "separate"}
    options["compression"] = compression
    flat = tiff(planes[0], metadata={"axes": "CYX"}, **options)
    header = read_header(flat, "x")
    assert (header.num_pages, header.num_channels) == (1, 4)
    found = read_image(flat, "x", channels=(3, 1, 0)).pixels
    assert (found == np.moveaxis(planes[0, [3, 1, 0]], 0, -1)).all()
    deep = tiff(planes, metadata={"axes": "ZCYX"}, **options)
    header = read_header(deep, "x")
    assert (header.num_pages, header.num_channels) == (3, 4)
    for page in range(3):
        found = read_image(deep, "x", page=page, channels=(2,)).pixels
        assert (found == planes[page, 2]).all()
