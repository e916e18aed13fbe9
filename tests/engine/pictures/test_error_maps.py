import io
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from engine.pictures.error_maps import ERROR_COLORS, error_map, error_png

# Classes: 0 background, 1 and 2 foreground, 3 a second background.
TRUTH = np.array([[0, 0, 1, 1], [1, 2, 255, 255], [3, 0, 3, 2]], dtype=np.uint8)
PREDICTION = np.array([[0, 1, 1, 0], [2, 2, 1, 0], [3, 3, 2, 3]], dtype=np.uint8)


def test_every_way_to_be_right_or_wrong_has_its_code() -> None:
    codes = error_map(TRUTH, PREDICTION, background=frozenset({0, 3}))
    assert codes.dtype == np.uint8
    assert codes.tolist() == [[0, 2, 1, 3], [4, 1, 255, 255], [0, 0, 2, 3]]


def test_one_background_class_can_be_given_as_a_number() -> None:
    codes = error_map(TRUTH, PREDICTION, background=0)
    assert codes.tolist() == [[0, 2, 1, 3], [4, 1, 255, 255], [1, 2, 4, 4]]


def test_without_background_a_pixel_is_right_or_of_the_wrong_class() -> None:
    codes = error_map(TRUTH, PREDICTION, background=None)
    assert codes.tolist() == [[1, 4, 1, 4], [4, 1, 255, 255], [1, 4, 4, 4]]


def test_another_ignored_value_is_honoured() -> None:
    truth = np.array([[7, 1]], dtype=np.uint8)
    prediction = np.array([[1, 1]], dtype=np.uint8)
    assert error_map(truth, prediction, background=0, ignored=7).tolist() == [[255, 1]]


def test_different_shapes_are_refused_instead_of_broadcast() -> None:
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(1, 4\)"):
        error_map(TRUTH, PREDICTION[:1], background=0)


def test_the_png_shows_only_what_is_right_or_wrong_about_foreground() -> None:
    with Image.open(
        io.BytesIO(error_png(error_map(TRUTH, PREDICTION, frozenset({0, 3}))))
    ) as image:
        codes = np.array(image)
        rgba = np.array(image.convert("RGBA"))
    assert np.array_equal(codes, error_map(TRUTH, PREDICTION, frozenset({0, 3})))
    assert np.array_equal(rgba[..., 3] == 0, np.isin(codes, (0, 255)))
    for code, color in ERROR_COLORS.items():
        assert rgba[codes == code][0, :3].tolist() == list(bytes.fromhex(color[1:]))


# Severe colour-vision deficiencies in linear RGB: Machado, Oliveira and Fernandes, "A
# physiologically-based model for simulation of color vision deficiency", IEEE TVCG 2009.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("vision", VISIONS)
def test_the_colours_stay_apart_over_grey_images_for_every_kind_of_vision(vision: str) -> None:
    greys = _lab(np.repeat(np.arange(0, 256, 5)[:, None], 3, axis=1), vision)
    for grey in (40, 128, 215):
        seen = {
            code: _lab(0.6 * np.array([list(bytes.fromhex(color[1:]))]) + 0.4 * grey, vision)
            for code, color in ERROR_COLORS.items()
        }
        for one, other in itertools.combinations(seen, 2):
            assert np.linalg.norm(seen[one] - seen[other]) >= 22
        for lab in seen.values():
            assert np.linalg.norm(lab - greys, axis=1).min() >= 13


def _lab(srgb: NDArray[np.float64], vision: str) -> NDArray[np.float64]:
    """CIE L*a*b* (D65) of sRGB 0-255, shape (colours, 3), as the given vision sees it."""
    share = srgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
