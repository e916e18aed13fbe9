"""Masks as class indices: every pixel by its plan, whatever the file's kind."""

from typing import Any

import numpy as np
import pytest

from engine.datasets.decode import RawMask
from engine.datasets.masks import (
    CLASS_COLORS,
    MaskReader,
    class_color,
    class_entries,
    count_classes,
    count_values,
    survey,
    survey_mask,
)
from engine.datasets.masks.colors import MAX_COLORS, distances
from engine.datasets.plan import ClassRule, MaskPlan, Role
from engine.errors import BadData, BadSetting

RNG = np.random.default_rng(0)


def raw(values: Any, dtype: type = np.uint8, **options: Any) -> RawMask:
    known = {"is_color": dtype == np.uint32, "palette": None, "lossy": False}
    return RawMask(values=np.array(values, dtype), **known | options)


def rule(name: str, *values: int, role: Role = "class", color: str = "#123456") -> ClassRule:
    return ClassRule(name=name, color=color, role=role, values=values)


def plan(*rules: ClassRule, **options: Any) -> MaskPlan:
    return MaskPlan(classes=rules, **options)


BACKGROUND = rule("background", 0, role="background")
OBJECTS = (BACKGROUND, rule("foreground", 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_values_become_indices_merged_and_ignored_as_the_plan_says(dtype: type) -> None:
    reader = MaskReader(
        plan(BACKGROUND, rule("cell", 4, 9), rule("void", 200, role="ignore"), rule("rest", 7))
    )
    mask = raw([[0, 0, 9], [9, 7, 200], [4, 4, 0]], dtype)
    found = reader.read([mask], "x")
    assert found.coded.dtype == np.uint8
    assert found.coded.tolist() == [[0, 0, 1], [1, 2, 255], [1, 1, 0]]
    assert (found.num_instances, found.num_snapped) == (None, 0)
    assert count_classes(found.coded, 3) == (3, 4, 1)
    assert mask.values.tolist() == [[0, 0, 9], [9, 7, 200], [4, 4, 0]]


def test_rules_of_one_name_are_one_class() -> None:
    merged = plan(
        BACKGROUND, rule("a", 1), rule("b", 2), rule("a", 3), rule("out", 4, role="ignore")
    )
    entries = class_entries(merged)
    assert [(e.index, e.name, e.background, e.source_value) for e in entries] == [
        (0, "background", True, 0),
        (1, "a", False, 1),
        (2, "b", False, 2),
    ]
    coded = MaskReader(merged).read([raw([[0, 1, 2, 3, 4]])], "x").coded
    assert coded.tolist() == [[0, 1, 2, 1, 255]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_value_without_a_class_is_an_error_unless_it_may_snap(dtype: type) -> None:
    rules = (BACKGROUND, rule("half", 100), rule("full", 250))
    mask = raw([[0, 3, 60, 251, 100]], dtype)
    with pytest.raises(BadData, match=r"“a\.png” holds the value 3, and 3 pixels in all"):
        MaskReader(plan(*rules)).read([mask], "a.png")
    found = MaskReader(plan(*rules, nearest=True)).read([mask], "a.png")
    assert found.coded.tolist() == [[0, 0, 1, 2, 1]] and found.num_snapped == 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_threshold_divides_and_counts_what_lies_between(dtype: type) -> None:
    reader = MaskReader(plan(*OBJECTS, meaning="threshold", threshold=100))
    found = reader.read([raw([[0, 99, 100, 255]], dtype)], "x")
    assert found.coded.tolist() == [[0, 0, 1, 1]] and found.num_snapped == 2
    assert reader.read([raw([[0, 255]], dtype)], "x").num_snapped == 0
    flipped = plan(rule("cell", 0), rule("ground", 1, role="background"), meaning="threshold")
    assert MaskReader(flipped).read([raw([[0, 255]], dtype)], "x").coded.tolist() == [[0, 1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_numbered_objects_are_one_class_and_counted(dtype: type) -> None:
    found = MaskReader(plan(*OBJECTS, meaning="instances")).read(
        [raw([[0, 3, 3, 9, 8]], dtype)], "x"
    )
    assert found.coded.tolist() == [[0, 1, 1, 1, 1]] and found.num_instances == 3


def test_files_of_one_image_are_laid_over_each_other() -> None:
    reader = MaskReader(plan(BACKGROUND, rule("cell", 255)))
    masks = [raw([[255, 0, 0]]), raw([[0, 0, 255]]), raw([[0, 0, 0]])]
    found = reader.read(masks, "x")
    assert found.coded.tolist() == [[1, 0, 1]] and found.num_instances == 2
    assert masks[0].values.tolist() == [[255, 0, 0]]
    with pytest.raises(BadData, match=r"differ in size: “a\.png” has 3×1 pixels"):
        reader.read([masks[0], raw([[0, 0]])], "a.png")
    without = MaskReader(plan(rule("a", 0), rule("b", 255)))
    with pytest.raises(BadData, match="no class is background"):
        without.read(masks, "a.png")


def naive(colors: np.ndarray, listed: list[int]) -> np.ndarray:
    return distances(colors.ravel(), listed).argmin(axis=1).reshape(colors.shape)


@pytest.mark.parametrize(
    "listed", [[0, 0xFF0000, 0x00FF00, 0x808080], [0x010101, 0x020202, 0xFFFFFF]], ids=str
)
def test_colours_snap_to_the_nearest(listed: list[int]) -> None:
    rules = [rule(f"{color:06x}", color) for color in listed]
    reader = MaskReader(plan(*rules, meaning="colors", nearest=True))
    colors = RNG.integers(0, 1 << 24, (60, 50), np.uint32)
    colors[:46] = RNG.choice(np.array(listed, np.uint32), (46, 50))
    found = reader.read([raw(colors, np.uint32)], "x")
    expected = naive(colors, listed)
    assert (found.coded[:46] == expected[:46]).all()
    assert found.num_snapped == int((~np.isin(colors, listed)).sum())
    wrong = found.coded != expected
    gap = np.sort(distances(colors.ravel(), listed), axis=1)
    # Only where two colours are nearly as near, for the table has cells of 8×8×8 colours.
    assert ((gap[:, 1] - gap[:, 0]).reshape(colors.shape)[wrong] < 14).all()
    assert wrong.mean() < 0.05


def test_colours_without_a_class_are_named_unless_they_may_snap() -> None:
    reader = MaskReader(plan(BACKGROUND, rule("red", 0xFF0000), meaning="colors"))
    with pytest.raises(BadData, match=r"“a\.png” holds the value #ff0001, and 1 pixels"):
        reader.read([raw([[0, 0xFF0000, 0xFF0001]], np.uint32)], "a.png")


def test_grey_and_palette_masks_are_read_as_colours_among_colours() -> None:
    reader = MaskReader(plan(BACKGROUND, rule("white", 0xFFFFFF), meaning="colors"))
    assert reader.read([raw([[0, 255]])], "x").coded.tolist() == [[0, 1]]
    indexed = raw([[0, 1]], palette=(0xFFFFFF, 0x000000))
    assert reader.read([indexed], "x").coded.tolist() == [[1, 0]]
    with pytest.raises(BadData, match=r"“a\.png” holds values up to 300, but colours"):
        reader.read([raw([[0, 300]], np.uint16)], "a.png")
    values = MaskReader(plan(*OBJECTS))
    with pytest.raises(BadData, match=r"“a\.png” holds colours, but one grey value"):
        values.read([raw([[0, 1]], np.uint32)], "a.png")


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape)


def test_a_mask_that_is_an_image_is_refused_under_every_plan_that_snaps() -> None:
    black_and_white = (BACKGROUND, rule("white", 255))
    image = raw(noise(64, 64))
    for options in ({"nearest": True}, {"meaning": "threshold"}, {"meaning": "instances"}):
        reader = MaskReader(plan(*black_and_white, **options))
        with pytest.raises(BadData, match=r"“a\.png” looks like an image instead of a mask"):
            reader.read([image], "a.png")
        assert reader.read([raw([[0, 255]])], "b.png").coded.tolist() == [[0, 1]]
    colors = MaskReader(plan(BACKGROUND, rule("red", 0xFF0000), meaning="colors", nearest=True))
    photo = noise(64, 64) << 16 | noise(64, 64) << 8 | noise(64, 64)
    with pytest.raises(BadData, match=r"“a\.png” looks like an image instead of a mask"):
        colors.read([raw(photo, np.uint32)], "a.png")


def test_soft_lossy_and_third_level_masks_are_no_images() -> None:
    ramp = np.tile(np.concatenate([np.zeros(50), np.linspace(0, 255, 20), np.full(50, 255)]), 9)
    ringing = np.clip(np.repeat([0, 255], 2000) + RNG.integers(-6, 7, 4000), 0, 255)
    third = np.repeat([0, 128, 255], 500)
    nearest = MaskReader(plan(BACKGROUND, rule("white", 255), nearest=True))
    threshold = MaskReader(plan(*OBJECTS, meaning="threshold"))
    for values in (ramp, ringing):
        mask = raw(values.reshape(10, -1).astype(np.uint8))
        expected = (mask.values >= 128).astype(np.uint8)
        assert (nearest.read([mask], "x").coded == expected).all()
        assert (threshold.read([mask], "x").coded == expected).all()
    assert threshold.read([raw(third.reshape(10, -1))], "x").coded.sum() == 1000
    numbers = raw(np.kron(np.arange(100).reshape(10, 10), np.ones((5, 5), int)))
    found = MaskReader(plan(*OBJECTS, meaning="instances")).read([numbers], "x")
    assert found.num_instances == 99


def test_more_classes_than_indices_are_refused() -> None:
    rules = [rule(f"class {n}", n) for n in range(251)]
    assert MaskReader(plan(*rules[:250]))
    with pytest.raises(BadSetting, match="251 classes; at most 250"):
        MaskReader(plan(*rules))


@pytest.mark.parametrize("pixels_at_once", [1, 7, 1000])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_surveys_do_not_depend_on_portions(
    monkeypatch: pytest.MonkeyPatch, dtype: type, pixels_at_once: int
) -> None:
    values = np.kron(RNG.integers(0, 5, (6, 7)), np.ones((3, 2), int))
    values[::5, 3] = 200
    whole = survey_mask(raw(values, dtype))
    monkeypatch.setattr(survey, "_PIXELS_AT_ONCE", pixels_at_once)
    found = survey_mask(raw(values, dtype))
    for name in ("values", "num_pixels", "num_solid", "num_border"):
        assert (getattr(found, name) == getattr(whole, name)).all(), name
    by_value = dict(zip(found.values.tolist(), found.num_pixels.tolist(), strict=True))
    assert by_value == {int(v): int((values == v).sum()) for v in np.unique(values)}
    if dtype != np.uint32:
        assert count_values(values.astype(dtype)) == dict(sorted(by_value.items()))
        reader = MaskReader(plan(*[rule(str(v), int(v)) for v in np.unique(values)]))
        coded = reader.read([raw(values, dtype)], "x").coded
        assert (np.unique(values)[coded] == values).all()


def test_solid_and_border_pixels_are_counted() -> None:
    values = np.zeros((5, 6), np.uint8)
    values[1:4, 1:4] = 9
    values[0, 5] = 7
    found = survey_mask(raw(values))
    rows = list(zip(found.values, found.num_pixels, found.num_solid, found.num_border, strict=True))
    # Of 3×3 pixels, 2×2 have equal neighbours to the right, below and between.
    assert rows[1] == (9, 9, 4, 0) and rows[2] == (7, 1, 0, 1)
    assert rows[0][3] == 2 * 6 + 2 * 3 - 1
    for dtype in (np.uint16, np.uint32):
        assert (survey_mask(raw(values, dtype)).num_solid == found.num_solid).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_masks_of_one_row_or_column_are_surveyed(shape: tuple[int, int]) -> None:
    for dtype in (np.uint8, np.uint16, np.uint32):
        found = survey_mask(raw(np.full(shape, 3), dtype))
        assert found.values.tolist() == [3]
        assert found.num_border.tolist() == [shape[0] * shape[1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_objects_are_told_by_their_pieces(dtype: type) -> None:
    def square(values: np.ndarray, value: int, top: int, left: int) -> None:
        values[top : top + 4, left : left + 4] = value

    single = np.zeros((20, 20), int)
    for value, (top, left) in enumerate([(0, 0), (0, 8), (8, 0)], start=1):
        square(single, value, top, left)
    signs = survey_mask(raw(single, dtype)).objects
    assert signs is not None and signs.are_single and signs.num_values == 3
    assert signs.are_contiguous == (dtype != np.uint32)
    scattered = single.copy()
    square(scattered, 1, 14, 14)
    signs = survey_mask(raw(scattered, dtype)).objects
    assert signs is not None and not signs.are_single
    corner = single.copy()
    square(corner, 1, 4, 4)
    touching = survey_mask(raw(corner, dtype)).objects
    assert touching is not None and touching.are_single
    assert survey_mask(raw(single > 0, dtype)).objects is None


def test_class_colours_are_distinct_and_none_is_black_or_grey() -> None:
    colors = [class_color(position) for position in range(MAX_COLORS)]
    assert colors[: len(CLASS_COLORS)] == list(CLASS_COLORS)
    assert len(set(colors)) == MAX_COLORS
    assert not {"#000000", "#808080"} & set(colors)
    packed = [int(color[1:], 16) for color in colors]
    apart = distances(packed, packed)
    np.fill_diagonal(apart, np.inf)
    assert apart[len(CLASS_COLORS) :].min() >= 25
