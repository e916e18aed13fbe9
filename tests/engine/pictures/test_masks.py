import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.errors import BadData
from engine.pictures.masks import index_png, read_index_png
from engine.scores.counts import IGNORED_INDEX

COLORS = ["#000000", "#ff8000", "#0102fe"]
MASK = np.array([[0, 1, 2], [255, 2, 0]], dtype=np.uint8)


def test_a_mask_comes_back_from_its_png_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(index_png(MASK, COLORS, transparent=(0,)))
    read = read_index_png(path)
    assert read.dtype == np.uint8
    assert read.tolist() == MASK.tolist()


def test_a_browser_sees_the_class_colours_and_looks_through_background_and_ignored() -> None:
    with Image.open(io.BytesIO(index_png(MASK, COLORS, transparent=(0,)))) as image:
        assert image.mode == "P"
        rgba = np.array(image.convert("RGBA"))
    assert rgba.tolist() == [
        [[0, 0, 0, 0], [255, 128, 0, 255], [1, 2, 254, 255]],
        [[128, 128, 128, 0], [1, 2, 254, 255], [0, 0, 0, 0]],
    ]


def test_a_class_that_is_not_listed_as_transparent_is_not() -> None:
    with Image.open(io.BytesIO(index_png(MASK, COLORS, transparent=()))) as image:
        alpha = np.array(image.convert("RGBA"))[..., 3]
    assert alpha.tolist() == [[255, 255, 255], [0, 255, 255]]


def test_a_mask_that_is_a_view_keeps_its_orientation(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(index_png(MASK.T[::-1], COLORS, transparent=(0,)))
    assert read_index_png(path).tolist() == [[2, 0], [1, 2], [0, 255]]


def test_all_255_classes_fit(tmp_path: Path) -> None:
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = tmp_path / "mask.png"
    path.write_bytes(index_png(mask, [f"#{index:02x}0000" for index in range(255)], ()))
    assert np.array_equal(read_index_png(path), mask)
    assert mask[-1, -1] == IGNORED_INDEX


def test_a_grey_png_is_refused_because_its_values_are_not_indices(tmp_path: Path) -> None:
    path = tmp_path / "000007.png"
    Image.fromarray(MASK).save(path)
    with pytest.raises(BadData, match=r"000007\.png.*mode L"):
        read_index_png(path)


@pytest.mark.parametrize("kept_bytes", [0, 40, 700, -24])
def test_a_truncated_file_is_reported_by_name_without_its_folder(
    tmp_path: Path, kept_bytes: int
) -> None:
    path = tmp_path / "000007.png"
    path.write_bytes(index_png(MASK, COLORS, transparent=(0,))[:kept_bytes])
    with pytest.raises(BadData, match=r"000007\.png is missing or damaged") as caught:
        read_index_png(path)
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_file_is_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"000001\.png is missing or damaged"):
        read_index_png(tmp_path / "000001.png")
