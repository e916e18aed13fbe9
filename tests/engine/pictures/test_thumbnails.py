import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from engine.pictures.error_maps import FALSE_POSITIVE, TRUE_POSITIVE
from engine.pictures.thumbnails import overlay_thumbnail_webp, thumbnail_webp


def _decoded(file: bytes) -> NDArray[np.int64]:
    with Image.open(io.BytesIO(file)) as image:
        assert image.format == "WEBP"
        return np.array(image.convert("RGB"), dtype=np.int64)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((400, 800), (96, 192)),
        ((800, 400, 3), (192, 96)),
        ((60, 50), (60, 50)),
        ((1, 5000), (1, 192)),
    ],
)
def test_the_longest_side_fits_and_nothing_is_enlarged(
    shape: tuple[int, ...], expected: tuple[int, int]
) -> None:
    picture = _decoded(thumbnail_webp(np.full(shape, 90, dtype=np.uint8)))
    assert picture.shape == (*expected, 3)
    assert np.abs(picture - 90).max() <= 3


def test_errors_are_laid_over_and_the_rest_stays_as_it_is() -> None:
    image = np.full((128, 128), 100, dtype=np.uint8)
    codes = np.zeros((128, 128), dtype=np.uint8)
    codes[:, 64:] = TRUE_POSITIVE
    codes[:, :16] = 255
    picture = _decoded(overlay_thumbnail_webp(image, codes, longest_side_px=64, opacity=0.5))
    assert picture.shape == (64, 64, 3)
    assert np.abs(picture[32, 16] - 100).max() <= 4
    assert np.abs(picture[32, 2] - 100).max() <= 4
    # (100 + 0x00) / 2, (100 + 0xb1) / 2, (100 + 0x5c) / 2
    assert np.abs(picture[32, 48] - [50, 138, 96]).max() <= 6


def test_an_error_thinner_than_a_pixel_keeps_its_share_of_it() -> None:
    image = np.zeros((512, 512, 3), dtype=np.uint8)
    codes = np.zeros((512, 512), dtype=np.uint8)
    codes[::8] = FALSE_POSITIVE
    picture = _decoded(overlay_thumbnail_webp(image, codes, longest_side_px=64, opacity=1.0))
    # One row in eight of #f5b800 on black.
    assert np.abs(picture.mean(axis=(0, 1)) - np.array([0xF5, 0xB8, 0]) / 8).max() <= 3
