"""What mask values mean, by rules that a person can follow."""

import numpy as np
import pytest

from engine.datasets import masks
from engine.datasets.masks import (
    CLASS_COLORS,
    ValueMap,
    count_classes,
    count_values,
    learn_classes,
    majority_warnings,
)
from engine.datasets.report import render_warning
from engine.errors import BadData
from engine.pictures.masks import IGNORED_INDEX


def learned(*values: int) -> list[tuple[int, str, bool, int]]:
    found = learn_classes(dict.fromkeys(values, 10))
    return [(c.index, c.name, c.background, c.source_value) for c in found.classes]


@pytest.mark.parametrize("value", [1, 7, 255, 65535])
def test_zero_and_any_other_value_are_background_and_foreground(value: int) -> None:
    assert learned(0, value) == [(0, "background", True, 0), (1, "foreground", False, value)]


def test_more_values_are_classes_in_ascending_order() -> None:
    assert learned(3, 0, 1) == [
        (0, "background", True, 0),
        (1, "class 1", False, 1),
        (2, "class 3", False, 3),
    ]


def test_without_zero_no_class_is_background() -> None:
    assert learned(1, 2) == [(0, "class 1", False, 1), (1, "class 2", False, 2)]
    assert learned(5, 255) == [(0, "class 5", False, 5), (1, "class 255", False, 255)]


def test_255_beside_small_values_does_not_count() -> None:
    found = learn_classes({0: 50, 1: 30, 63: 10, 255: 10})
    assert [entry.name for entry in found.classes] == ["background", "class 1", "class 63"]
    assert found.value_map.stored_by_source == {0: 0, 1: 1, 63: 2, 255: IGNORED_INDEX}
    assert "(10.0 %)" in render_warning(found.warnings[0])


def test_255_beside_large_values_is_a_class() -> None:
    assert [row[1] for row in learned(0, 127, 255)] == ["background", "class 127", "class 255"]
    assert [row[1] for row in learned(0, 64, 255)] == ["background", "class 64", "class 255"]
    assert [row[1] for row in learned(0, 1, 254)] == ["background", "class 1", "class 254"]
    assert [row[1] for row in learned(0, 1, 255, 300)][-1] == "class 300"


def test_a_single_value_leaves_nothing_to_learn() -> None:
    with pytest.raises(BadData, match="Every mask holds only the value 0"):
        learn_classes({0: 100, 3: 0})


def test_33_values_are_refused_and_32_are_not() -> None:
    assert len(learn_classes(dict.fromkeys(range(1, 33), 1)).classes) == 32
    with pytest.raises(BadData, match=r"33 different values, most of them in “a\.png”"):
        learn_classes(dict.fromkeys(range(33), 1), "a.png")


def test_colours_are_distinct_and_the_background_is_black() -> None:
    colors = [entry.color for entry in learn_classes(dict.fromkeys(range(32), 1)).classes]
    assert colors[0] == "#000000"
    assert len(set(colors)) == 32
    assert len(set(CLASS_COLORS)) == 32
    assert not {"#000000", "#808080"} & set(CLASS_COLORS)


@pytest.mark.parametrize("pixels_at_once", [1, 7, 1000])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_counts_and_codes_do_not_depend_on_portions(
    monkeypatch: pytest.MonkeyPatch, dtype: type, pixels_at_once: int
) -> None:
    monkeypatch.setattr(masks, "_PIXELS_AT_ONCE", pixels_at_once)
    mask = np.array([[0, 0, 9], [9, 9, 200], [4, 4, 4], [4, 0, 0]], dtype)
    assert count_values(mask) == {0: 4, 4: 4, 9: 3, 200: 1}
    coded = ValueMap({0: 0, 4: 1, 9: 2, 200: IGNORED_INDEX}).apply(mask, "x")
    assert coded.tolist() == [[0, 0, 2], [2, 2, 255], [1, 1, 1], [1, 0, 0]]
    assert count_classes(coded, 3) == (4, 4, 3)


def test_a_value_that_was_not_learned_is_noticed() -> None:
    with pytest.raises(BadData, match=r"“a\.png” changed"):
        ValueMap({0: 0}).apply(np.array([[0, 1]], np.uint8), "a.png")


def test_a_foreground_in_the_majority_is_remarked_with_the_score_it_gives_away() -> None:
    classes = learn_classes({0: 1, 255: 1}).classes
    (warning,) = majority_warnings(classes, [0.22, 0.78])
    # 2 · 0.78 / 1.78 = 0.876
    assert "covers 78 % of the pixels" in render_warning(warning)
    assert "Dice 0.876" in render_warning(warning)
    assert majority_warnings(classes, [0.5, 0.5]) == []
    assert majority_warnings(learn_classes({0: 1, 1: 1, 2: 1}).classes, [0.1, 0.8, 0.1]) == []
