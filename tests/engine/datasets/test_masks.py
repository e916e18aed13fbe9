"""What mask values mean, by rules that a person can follow."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw

from engine.datasets.decode import RawMask, decode_mask
from engine.datasets.masks import (
    Learned,
    MaskReader,
    MaskStatistics,
    learn_masks,
    plan_as,
    survey_mask,
    suspicions,
)
from engine.datasets.masks.rules import MAX_CLASSES
from engine.datasets.plan import ClassRule, MaskPlan
from engine.errors import BadData

RNG = np.random.default_rng(0)
WHITE, RED, GREEN, BLUE = (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)


def raw(values: Any, **options: Any) -> RawMask:
    array = np.asarray(values)
    if array.dtype.kind == "i":
        array = array.astype(np.uint16 if array.max() > 255 else np.uint8)
    known = {"is_color": array.dtype == np.uint32, "palette": None, "lossy": False}
    return RawMask(values=array, **known | options)


def gathered(*masks: RawMask | np.ndarray | bytes) -> MaskStatistics:
    statistics = MaskStatistics()
    for number, mask in enumerate(masks):
        if isinstance(mask, bytes):
            mask = decode_mask(mask, "x")
        elif not isinstance(mask, RawMask):
            mask = raw(mask)
        statistics.add(f"{number}.png", survey_mask(mask))
    return statistics


def learned(*masks: RawMask | np.ndarray | bytes) -> Learned:
    return learn_masks(gathered(*masks))


def picture(array: np.ndarray, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, format, **options)
    return file.getvalue()


def blocks(values: Sequence[int], size: int = 8, dtype: type = np.uint8) -> np.ndarray:
    """Squares of the values side by side, twice, so that each value is two pieces."""
    row = np.repeat(np.array([*values, *values], dtype), size)
    return np.tile(row, (size, 1))


def discs(num: int, fills: Sequence[Any], mode: str = "L", size: int = 128) -> np.ndarray:
    """Separate discs on black, filled in turn."""
    image = Image.new(mode, (size, size))
    draw = ImageDraw.Draw(image)
    for number in range(num):
        y, x = divmod(number, 6)
        corner = (20 * x + 3, 20 * y + 3)
        draw.ellipse((*corner, corner[0] + 14, corner[1] + 14), fill=fills[number % len(fills)])
    return np.array(image)


def blurred(mask: np.ndarray) -> np.ndarray:
    """As scaling leaves it."""
    image = Image.fromarray(mask)
    small = image.resize((image.width * 3 // 4, image.height * 3 // 4), Image.Resampling.BILINEAR)
    return np.array(small)


def table(found: Learned | MaskPlan) -> list[tuple[str, str, tuple[int, ...]]]:
    plan = found.plan if isinstance(found, Learned) else found
    return [(rule.name, rule.role, rule.values) for rule in plan.classes]


def said(found: Learned) -> str:
    return " ".join(str(note) for note in found.notes)


def doubted(found: Learned | MaskPlan, *masks: RawMask | np.ndarray | bytes) -> str:
    plan = found.plan if isinstance(found, Learned) else found
    return " ".join(map(str, suspicions(gathered(*masks), plan)))


def with_roles(plan: MaskPlan, *roles: str) -> MaskPlan:
    """The plan after a person gave its rules other roles."""
    rules = [
        rule.model_copy(update={"role": role})
        for rule, role in zip(plan.classes, roles, strict=True)
    ]
    return plan.model_copy(update={"classes": tuple(rules)})


BINARY = [("background", "background", (0,)), ("foreground", "class", (1,))]


@pytest.mark.parametrize("value", [1, 7, 255, 65535])
def test_zero_and_any_other_value_are_background_and_foreground(value: int) -> None:
    found = learned(raw([[0, value]]), raw([[0, 0]]))
    assert table(found) == [
        ("background", "background", (0,)),
        ("foreground", "class", (value,)),
    ]
    assert found.plan.meaning == "values" and not found.plan.nearest


def test_more_values_are_classes_in_ascending_order_with_the_background_first() -> None:
    found = learned(blocks([3, 0, 1]))
    assert table(found) == [
        ("background", "background", (0,)),
        ("class 1", "class", (1,)),
        ("class 3", "class", (3,)),
    ]
    assert found.notes == ()


def test_without_zero_no_class_is_background_and_the_borders_owner_is_suggested() -> None:
    framed = np.full((20, 20), 2)
    framed[5:15, 5:15] = blocks([1, 3], size=10)[:, 5:15]
    found = learned(framed)
    assert [name for name, _, _ in table(found)] == ["class 1", "class 2", "class 3"]
    assert all(role == "class" for _, role, _ in table(found))
    assert found.notes == ()
    assert "“class 2” (value 2) covers 100 % of the masks' borders" in doubted(found, framed)
    assert doubted(with_roles(found.plan, "class", "background", "class"), framed) == ""
    assert [role for _, role, _ in table(learned(raw([[5, 255]])))] == ["class", "class"]


def test_255_beside_small_values_does_not_count() -> None:
    found = learned(blocks([0, 1, 63, 255]))
    assert table(found)[2:] == [("class 63", "class", (63,)), ("ignored", "ignore", (255,))]
    assert "The value 255 was taken as “does not count”: its pixels (25.0 %)" in said(found)


@pytest.mark.parametrize("values", [(0, 127, 255), (0, 64, 255), (0, 1, 254), (0, 85, 170, 255)])
def test_255_beside_large_values_is_a_class(values: tuple[int, ...]) -> None:
    found = learned(blocks(values))
    assert [rule[2] for rule in table(found)] == [(value,) for value in values]
    assert "does not count" not in said(found) and not found.plan.nearest


def test_masks_of_0_and_1_among_masks_of_0_and_255_mean_the_same() -> None:
    found = learned(blocks([0, 1]), blocks([0, 255]))
    assert table(found)[1] == ("foreground", "class", (1, 255))
    assert "none with both" in said(found)
    void = learned(blocks([0, 1, 255]), blocks([0, 1]))
    assert table(void)[1:] == [("foreground", "class", (1,)), ("ignored", "ignore", (255,))]


@pytest.mark.parametrize("value", [0, 255])
def test_a_single_value_leaves_nothing_to_learn(value: int) -> None:
    with pytest.raises(BadData, match=rf"Every mask holds only the value {value}\b"):
        learned(np.full((4, 4), value, np.uint8), np.full((5, 4), value, np.uint8))
    with pytest.raises(BadData, match="only the value #ff0000"):
        learned(picture(np.full((4, 4, 3), RED, np.uint8)))
    with pytest.raises(BadData, match="no mask"):
        learned()


def test_empty_masks_are_negatives_and_counted() -> None:
    empty = np.zeros((8, 16), np.uint8)
    found = learned(empty, blocks([0, 255]), empty)
    assert found.notes == ()
    masks = (empty, blocks([0, 255]), empty)
    assert "2 of 3 masks hold nothing but background" in doubted(found, *masks)
    assert doubted(found, blocks([0, 255])) == ""


def test_a_foreground_that_owns_area_and_border_looks_inverted() -> None:
    inverted = np.full((40, 40), 255, np.uint8)
    inverted[10:20, 10:30] = 0
    found = learned(inverted)
    assert "look inverted: the class “foreground” covers 88 %" in doubted(found, inverted)
    assert "100 % of the borders" in doubted(found, inverted)
    assert found.notes == ()
    # Nothing is swapped without being asked, and once it is, nothing is inverted.
    assert table(found)[1] == ("foreground", "class", (255,))
    assert doubted(with_roles(found.plan, "class", "background"), inverted) == ""
    soft = [blurred(255 - discs(num, [255])) for num in (9, 20, 30)]
    cut = learned(*soft)
    assert cut.plan.meaning == "threshold" and "look inverted" in doubted(cut, *soft)
    assert doubted(with_roles(cut.plan, "class", "background"), *soft) == ""


def test_a_large_foreground_within_a_dark_border_is_not_inverted() -> None:
    large = np.zeros((40, 40), np.uint8)
    large[3:37, 3:37] = 255
    assert doubted(learned(large), large) == "" and learned(large).notes == ()


def areas(*squares: int, size: int = 96) -> np.ndarray:
    """A square of each value in its own place, on 0."""
    mask = np.zeros((size, size), np.uint8)
    for place, value in enumerate(squares):
        mask[8 + 24 * place : 26 + 24 * place, 8:40] = value
    return mask


def strewn(mask: np.ndarray, *strays: int, times: int = 1) -> np.ndarray:
    """With single pixels of other values."""
    mask = mask.copy()
    for place in range(times * len(strays)):
        row = 2 + 7 * place % (len(mask) - 6)
        mask[row, 3 * (place % 8) - 24] = strays[place % len(strays)]
    return mask


@pytest.mark.parametrize("size", [64, 96, 512])
@pytest.mark.parametrize(
    "strewn_masks",
    [
        lambda mask: [strewn(mask, 7), mask, mask, mask],
        lambda mask: [strewn(mask, 1), strewn(mask, 2), mask, mask],
        lambda mask: [strewn(mask, 1)] * 4,
        lambda mask: [strewn(mask, 1, 2, 3, times=2)] * 4,
    ],
    ids=["one", "two", "one in each", "some in each"],
)
def test_stray_pixels_do_not_turn_the_foreground_into_void(strewn_masks: Any, size: int) -> None:
    mask = areas(255, size=size)
    masks = strewn_masks(mask)
    found = learned(*masks)
    assert "does not count" not in said(found) and "the same" not in said(found)
    assert all(role != "ignore" for _, role, _ in table(found))
    read = MaskReader(found.plan).read([raw(masks[0])], "x")
    assert (read.coded == (masks[0] == 255)).all()


def test_stray_pixels_beside_classes_and_void_are_no_class() -> None:
    masks = [strewn(areas(1, 2, 255), 7), areas(1, 2, 255), areas(1, 2)]
    found = learned(*masks)
    assert [rule[2] for rule in table(found)] == [(0,), (1,), (2,), (255,)]
    assert table(found)[-1][1] == "ignore" and found.plan.nearest
    assert "“0.png”" in said(found) and "on 1 pixels" in said(found)
    # Where nothing but single pixels is marked, they are what was marked.
    dots = strewn(np.zeros((96, 96), np.uint8), 1, 2, times=3)
    assert [rule[2] for rule in table(learned(dots, dots))] == [(0,), (1,), (2,)]


def test_background_and_void_are_no_strays_however_few_their_pixels() -> None:
    full = np.full((96, 96), 255, np.uint8)
    full[5, 5] = 0
    assert table(learned(full, full)) == [
        ("background", "background", (0,)),
        ("foreground", "class", (255,)),
    ]
    tiny = np.zeros((1024, 1024), np.uint8)
    tiny[100:112, 100:112] = 255
    tiny[101:111, 101:111] = 1
    found = learned(tiny, tiny)
    assert table(found) == [*BINARY, ("ignored", "ignore", (255,))] and not found.plan.nearest


def test_255_much_larger_than_all_small_classes_is_a_class_unless_it_is_unlabelled_ground() -> None:
    large = areas(255, 255, 255)
    large[80:84, 80:84] = 1
    assert [rule[1:] for rule in table(learned(large, large))] == [
        ("background", (0,)),
        ("class", (1,)),
        ("class", (255,)),
    ]
    scribbles = np.full((96, 96), 255, np.uint8)
    scribbles[10:14, 10:60], scribbles[50:54, 10:60] = 0, 1
    assert table(learned(scribbles, scribbles))[-1] == ("ignored", "ignore", (255,))


@pytest.mark.parametrize(("size", "width"), [(96, 1), (512, 4)])
def test_a_thin_border_of_255_around_objects_does_not_count(size: int, width: int) -> None:
    mask = np.zeros((size, size), np.uint8)
    mask[20:60, 20:60] = 255
    mask[20 + width : 60 - width, 20 + width : 60 - width] = 1
    found = learned(mask, mask.T, np.zeros_like(mask))
    assert table(found) == [*BINARY, ("ignored", "ignore", (255,))]
    assert "the same" not in said(found)


def test_two_spellings_of_the_foreground_may_meet_in_a_mask_in_twenty() -> None:
    apart = [areas(1), areas(255)] * 20
    assert "none with both" in said(learned(*apart))
    nearly = learned(*apart, areas(1, 255))
    assert table(nearly)[1] == ("foreground", "class", (1, 255))
    assert "only 1 with both" in said(nearly)
    often = learned(*apart, *[areas(1, 255)] * 4)
    assert table(often)[-1] == ("ignored", "ignore", (255,))


def test_a_mask_that_is_an_image_does_not_shape_the_classes_and_is_named() -> None:
    masks = [areas(255) for _ in range(7)]
    for image in (picture(photo()), photo()[..., 0]):
        found = learned(*masks, image)
        assert found.plan == learned(*masks).plan and found.plan.meaning == "values"
        assert "1 of 8 masks look like an image instead of a mask, above all “7.png”" in said(found)
        with pytest.raises(BadData, match=r"“7\.png”"):
            MaskReader(found.plan).read(
                [decode_mask(image, "x") if isinstance(image, bytes) else raw(image)], "7.png"
            )
    statistics = gathered(picture(photo()), *masks)
    assert MaskStatistics.from_dict(json.loads(json.dumps(statistics.to_dict()))) == statistics
    assert learn_masks(statistics).plan == learned(*masks).plan
    assert "like an image" not in said(learned(*masks))


def test_shares_from_0_to_1_are_told_in_their_own_scale() -> None:
    file = io.BytesIO()
    shares = blurred(discs(20, [255])).astype(np.float32) / 255
    tifffile.imwrite(file, shares)
    found = learned(file.getvalue(), file.getvalue())
    assert found.plan.threshold == 128
    assert "Nearly all pixels are 0 or 1," in said(found)
    assert "Values from 0.5 on were taken as foreground" in said(found)
    assert "Values from 128 on" not in said(found)


@pytest.mark.parametrize("top", [255, 237])
def test_soft_masks_are_cut_half_way_between_their_levels(top: int) -> None:
    soft = [blurred(discs(num, [top])) for num in (9, 20, 30)]
    found = learned(*soft)
    assert found.plan.meaning == "threshold" and found.plan.threshold == (top + 1) // 2
    assert table(found) == BINARY
    assert f"Nearly all pixels are 0 or {top}" in said(found)
    assert f"Values from {(top + 1) // 2} on were taken as foreground" in said(found)


def test_lossy_masks_are_cut_and_exact_ones_among_them_too() -> None:
    jpeg = [picture(discs(num, [255]), "JPEG", quality=60) for num in (9, 20)]
    found = learned(*jpeg, discs(12, [255]))
    assert found.plan.meaning == "threshold" and abs(found.plan.threshold - 128) < 4


def test_soft_masks_may_lack_a_level_of_the_foreground() -> None:
    heat = np.zeros((100, 100), np.uint8)
    heat[40:60, 40:60] = np.linspace(10, 200, 400).reshape(20, 20)
    found = learned(heat)
    assert found.plan.threshold == 100 and "only 0 is frequent" in said(found)


def test_a_third_level_in_few_soft_masks_is_named_and_stays_below_the_threshold() -> None:
    soft = [blurred(discs(20, [255])) for _ in range(5)]
    found = learned(*soft, blurred(discs(20, [255, 127, 127])))
    assert found.plan.meaning == "threshold" and found.plan.threshold == 128
    assert "“5.png” holds a third level: 127" in said(found)


def test_lossy_levels_are_snapped_to_the_nearest() -> None:
    jpeg = [picture(discs(num, [128, 255]), "JPEG", quality=90) for num in (20, 29, 30)]
    found = learned(*jpeg)
    assert found.plan.meaning == "values" and found.plan.nearest
    names = [name for name, _, _ in table(found)]
    assert names[0] == "background" and len(names) == 3
    assert abs(table(found)[1][2][0] - 128) < 4 and table(found)[2][2][0] > 250
    assert "count as the nearest class" in said(found)


def test_stray_pixels_are_snapped_and_two_spellings_of_a_level_are_one() -> None:
    # As a hand-made set has it: 127 in most masks, 128 in one, which also has some stray pixels.
    spelled = discs(30, [128, 255], size=256)
    spelled[0, 0], spelled[9, 200:203] = 130, 233
    found = learned(*[discs(num, [127, 255], size=256) for num in (20, 30, 24)], spelled)
    assert [rule[2] for rule in table(found)] == [(0,), (127, 128), (255,)]
    assert found.plan.nearest
    assert "The value 127 is 128 in other masks" in said(found)
    assert "hold 2 values besides 0, 127, 255, on 4 pixels" in said(found)
    together = learned(blocks([0, 127, 128, 255]))
    assert [rule[2] for rule in table(together)] == [(0,), (127,), (128,), (255,)]


def test_classes_blurred_by_jpeg_are_refused() -> None:
    with pytest.raises(BadData, match=r"different values up to \d+, and lossy compression"):
        learned(picture(blocks([0, 10, 20, 30]), "JPEG"))


def test_class_numbers_beyond_63_are_classes_where_they_fill_areas() -> None:
    masks = [blocks(RNG.permutation(150)[:30].tolist(), size=4) for _ in range(20)]
    found = learned(*masks, blocks(range(150)[:60], size=4))
    assert len(found.plan.classes) > 100 and not found.plan.nearest
    assert len({rule.color for rule in found.plan.classes}) == len(found.plan.classes)
    void = learned(*masks, blocks([*range(60), 255], size=4))
    assert table(void)[-1] == ("ignored", "ignore", (255,))


def photo(size: int = 96) -> np.ndarray:
    """Smooth shapes under noise, in colour."""
    rows, columns = np.mgrid[:size, :size] / size
    waves = [128 + 90 * np.sin(6 * rows + k) * np.cos(5 * columns - k) for k in range(3)]
    return np.clip(np.dstack(waves) + RNG.normal(0, 8, (size, size, 3)), 0, 255).astype(np.uint8)


def test_images_are_not_taken_for_masks() -> None:
    depth = np.tile(np.linspace(0, 255, 128).astype(np.uint8), (128, 1))
    bright = photo()
    bright[:60] = 255
    dark = np.clip(RNG.normal(20, 6, (64, 64)), 0, 63).astype(np.uint8)
    for masks in (
        [picture(photo())],
        [picture(photo(), "JPEG")],
        [picture(bright, "JPEG")],
        [photo()[..., 0]],
        [picture(photo()[..., 0], "JPEG")],
        [depth],
        [dark],
        [np.clip(RNG.normal(900, 200, (64, 64)), 0, 4000).astype(np.uint16)],
    ):
        with pytest.raises(BadData, match="run into each other as in an image"):
            learned(*masks)


def test_numbered_objects_are_one_class() -> None:
    counted = [discs(num, range(1, num + 1)) for num in (5, 2, 1, 6)]
    found = learned(*counted)
    assert found.plan.meaning == "instances" and table(found) == BINARY
    assert "up to 6 in one mask" in said(found)
    # Cut from a larger picture, numbers have gaps.
    numbers = (RNG.permutation(400)[:30] + 1).tolist()
    cut = learned(discs(12, numbers[:12], mode="I").astype(np.uint16), discs(1, [9]))
    assert cut.plan.meaning == "instances"
    many = learned(discs(36, range(1, 37)))
    assert many.plan.meaning == "instances"


def test_classes_in_several_pieces_or_everywhere_alike_number_no_objects() -> None:
    structures = learned(*[discs(num, [1, 2, 3, 4]) for num in (9, 20, 30)])
    assert structures.plan.meaning == "values" and len(structures.plan.classes) == 5
    cups = learned(*[discs(2, [1, 2]) for _ in range(6)])
    assert cups.plan.meaning == "values" and "objects" not in said(cups)


def test_too_few_masks_to_tell_objects_from_classes_are_classes_with_a_note() -> None:
    found = learned(discs(2, [1, 2]))
    assert [name for name, _, _ in table(found)] == ["background", "class 1", "class 2"]
    assert "choose “instances”" in said(found)


def test_objects_in_random_colours_are_one_class() -> None:
    def colors(num: int) -> list[tuple[int, ...]]:
        return [tuple(color) for color in RNG.integers(40, 256, (num, 3)).tolist()]

    found = learned(*[picture(discs(12, colors(12), mode="RGB")) for _ in range(4)])
    assert found.plan.meaning == "instances" and table(found) == BINARY
    assert "colours tell objects apart" in said(found)
    same = colors(5)
    classes = learned(*[picture(discs(num, same, mode="RGB")) for num in (5, 8, 12, 20)])
    assert classes.plan.meaning == "colors" and len(classes.plan.classes) == 6


def test_void_around_numbered_objects_still_does_not_count() -> None:
    masks = [discs(num, range(1, num + 1)) for num in (4, 2, 6)]
    for mask in masks:
        mask[:2] = 255
    found = learned(*masks)
    assert table(found) == [
        ("background", "background", (0,)),
        ("foreground", "class", (1, 2, 3, 4, 5, 6)),
        ("ignored", "ignore", (255,)),
    ]


def with_palette(values: np.ndarray, palette: Sequence[int], format: str = "PNG") -> bytes:
    image = Image.fromarray(values.astype(np.uint8))
    image.putpalette([channel for color in palette for channel in color.to_bytes(3, "big")])
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def test_indices_of_one_palette_are_classes_in_the_palettes_colours() -> None:
    voc = [0] * 256
    voc[1], voc[15], voc[255] = 0x800000, 0xC08080, 0xE0E0C0
    found = learned(with_palette(blocks([0, 1, 15, 255]), voc), with_palette(blocks([0, 15]), voc))
    assert [(rule.name, rule.color, rule.role) for rule in found.plan.classes] == [
        ("background", "#000000", "background"),
        ("class 1", "#800000", "class"),
        ("class 15", "#c08080", "class"),
        ("ignored", "#808080", "ignore"),
    ]
    assert found.plan.meaning == "values"
    alike = [n * 0x010101 for n in range(256)]
    grey = learned(with_palette(blocks([0, 1, 2]), alike))
    assert [rule.color for rule in grey.plan.classes] == ["#000000", "#E69F00", "#56B4E9"]


def test_colours_count_where_palettes_differ() -> None:
    one = with_palette(blocks([0, 1, 2]), [0x000000, 0xFF0000, 0x00FF00])
    other = with_palette(blocks([0, 1, 2]), [0x00FF00, 0x000000, 0xFF0000])
    found = learned(one, other)
    assert found.plan.meaning == "colors"
    assert [rule[2] for rule in table(found)] == [(0x000000,), (0x00FF00,), (0xFF0000,)]
    assert "the same index has several colours" in said(found)
    assert "palettes" not in said(learned(one, one))


def test_black_and_white_palettes_among_grey_masks_are_read_by_colour() -> None:
    indexed = with_palette(blocks([0, 1]), [0x000000, 0xFFFFFF])
    found = learned(indexed, blocks([0, 255]))
    assert found.plan.meaning == "colors"
    assert table(found)[1] == ("foreground", "class", (0xFFFFFF,))
    numbered = with_palette(blocks([0, 1, 2]), [0x000000, 0x800000, 0x008000])
    assert learned(numbered, blocks([0, 1, 2])).plan.meaning == "values"


def test_few_exact_colours_are_classes_and_black_is_background() -> None:
    found = learned(picture(discs(20, [RED, GREEN], mode="RGB")))
    assert [(r.name, r.color, r.role, r.values) for r in found.plan.classes] == [
        ("background", "#000000", "background", (0,)),
        ("class #00ff00", "#00ff00", "class", (0x00FF00,)),
        ("class #ff0000", "#ff0000", "class", (0xFF0000,)),
    ]
    assert found.plan.meaning == "colors" and not found.plan.nearest
    binary = learned(picture(discs(9, [RED], mode="RGB")), np.zeros((9, 9), np.uint8))
    assert table(binary)[1] == ("foreground", "class", (0xFF0000,))


def test_blurred_edges_between_colours_are_snapped() -> None:
    fills = [RED, GREEN, BLUE, WHITE]
    found = learned(*[picture(blurred(discs(30, fills, mode="RGB"))) for _ in range(3)])
    assert [rule[2] for rule in table(found)] == [
        (0,), (0x0000FF,), (0x00FF00,), (0xFF0000,), (0xFFFFFF,),
    ]  # fmt: skip
    assert found.plan.nearest and "count as the nearest class" in said(found)
    large = discs(30, fills, mode="RGB").repeat(4, axis=0).repeat(4, axis=1)
    jpeg = learned(*[picture(large, "JPEG", quality=85)] * 2)
    assert jpeg.plan.nearest and len(jpeg.plan.classes) == 5


def test_the_voc_void_colour_does_not_count() -> None:
    found = learned(picture(discs(20, [RED, (0xE0, 0xE0, 0xC0)], mode="RGB")))
    assert table(found)[1:] == [
        ("foreground", "class", (0xFF0000,)),
        ("ignored", "ignore", (0xE0E0C0,)),
    ]


def test_classes_that_are_quantised_edges_are_named() -> None:
    mask = np.full((64, 64), 8)
    mask[10:50, 10:50] = 2
    mask[10, 10:50], mask[49, 10:50] = 3, 4
    found = learned(np.kron(mask, np.ones((1, 1), int)), np.full((500, 64), 8))
    assert len(found.plan.classes) == 4
    assert "“class 3”, “class 4” cover" in said(found)


def test_colours_and_deep_values_are_not_mixed() -> None:
    with pytest.raises(BadData, match=r"others values up to 300"):
        learned(picture(discs(9, [RED], mode="RGB")), raw([[0, 300]]))


def test_more_classes_than_a_stored_mask_can_hold_are_refused() -> None:
    grid = [tuple(c) for c in RNG.permutation(16**3)[:300, None] // [256, 16, 1] % 16 * 16]
    colors = np.array(grid, np.uint8)
    stripes = np.repeat(np.vstack([colors, colors])[None], 4, axis=0).repeat(4, axis=1)
    with pytest.raises(BadData, match="Expected a few values"):
        learned(picture(stripes))
    assert MAX_CLASSES == 250


def test_statistics_survive_json_and_stay_bounded() -> None:
    statistics = gathered(
        *[RNG.integers(0, 60000, (64, 64), np.uint16) for _ in range(8)],
        blocks([0, 1]),
        with_palette(blocks([0, 1, 2]), [0, 0xFF0000, 0x00FF00]),
        picture(photo()),
    )
    text = json.dumps(statistics.to_dict())
    assert MaskStatistics.from_dict(json.loads(text)) == statistics
    assert len(text) < 2_000_000
    assert len(statistics.greys) <= 2048 and len(statistics.colors) <= 2048
    assert statistics.num_files == 11


def test_another_reading_gives_a_plan_to_start_from() -> None:
    statistics = gathered(blocks([0, 127, 255]), blocks([0, 255]))
    threshold = plan_as(statistics, "threshold")
    assert (threshold.meaning, threshold.threshold, table(threshold)) == ("threshold", 128, BINARY)
    assert table(plan_as(statistics, "instances")) == BINARY
    assert [r[2] for r in table(plan_as(statistics, "values"))] == [(0,), (127,), (255,)]
    colors = plan_as(statistics, "colors")
    assert colors.meaning == "colors" and table(colors)[1][2] == (0x7F7F7F,)
    with pytest.raises(BadData, match="no two values that could be read as “values”"):
        plan_as(gathered(picture(discs(9, [RED, GREEN], mode="RGB"))), "values")


def test_what_is_learned_is_a_valid_plan_with_json_facts() -> None:
    for found in (learned(blocks([0, 1, 255])), learned(blurred(discs(20, [255])))):
        assert MaskPlan.model_validate(found.plan.model_dump(mode="json")) == found.plan
        assert all(isinstance(rule, ClassRule) for rule in found.plan.classes)
        json.dumps([note.to_record() for note in found.notes])
