"""Pairing by a typed rule."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.pairing import by_patterns, folder_patterns, propose, suggest_patterns
from engine.datasets.pairing.patterns import Pattern
from engine.errors import BadSetting


def table(names: list[str], image: str, mask: str) -> dict[str, tuple[str, ...]]:
    return {pair.image: pair.masks for pair in by_patterns(names, image, mask).pairs}


@pytest.mark.parametrize(
    ("pattern", "path", "id"),
    [
        ("{id}.png", "1.png", ("1",)),
        ("{id}.png", "deep/er/1.png", ("deep/er/1",)),
        ("images/{id}.png", "images/a/1.png", ("a/1",)),
        ("images/{id}.png", "more/images/1.png", None),
        ("**/images/{id}.png", "more/and/images/1.png", ("1",)),
        ("**/images/{id}.png", "images/1.png", ("1",)),
        ("**/images/{id}.png", "myimages/1.png", None),
        ("*/{id}.png", "a/1.png", ("1",)),
        ("*/{id}.png", "1.png", None),
        ("a/*_{id}.png", "a/x_y_1.png", ("y_1",)),
        ("{id}_*.png", "a_1_x.png", ("a_1",)),
        ("{id}_mask*.png", "a_1_mask.png", ("a_1",)),
        ("{id}_mask*.png", "x_mask_y/1_mask_2.png", ("x_mask_y/1",)),
        ("{id}.*", "1.ome.tif", ("1.ome",)),
        ("{id}/images/{id}.png", "p/q/images/1.png", ("p/q", "1")),
        ("{ID}.PNG", "Ab.png", ("ab",)),
        (" ./images\\{id}.png ", "images/1.png", ("1",)),
        ("{id}.png", ".png", None),
        ("{id}a(1)+.png", "xa(1)+.png", ("x",)),
        ("{id}ab*abc.png", "1ab/2ababc.png", ("1ab/2",)),
    ],
)
def test_pattern_finds_the_id(pattern: str, path: str, id: tuple[str, ...] | None) -> None:
    assert Pattern(pattern).match(path) == id


@given(
    st.lists(st.sampled_from(["{id}", "*", "**", "**/", "a", "b", "/", "_"]), max_size=8),
    st.lists(st.sampled_from("ab/_"), max_size=10).map("".join),
)
def test_pattern_fits_what_a_regular_expression_fits(pieces: list[str], path: str) -> None:
    text = "".join(pieces)
    try:
        pattern = Pattern(text)
    except BadSetting:
        return
    meaning = {"{id}": ".+", "*": "[^/]*", "**/": "(?:.*/)?", "**": ".*"}
    parts = re.split(r"(\{id\}|\*\*/|\*\*|\*)", text.strip("/"))
    expected = "".join(meaning.get(part, re.escape(part)) for part in parts)
    assert (pattern.match(path) is not None) == (re.fullmatch(expected, path) is not None)


def test_no_pattern_is_slow() -> None:
    pattern = Pattern("{id}" + "a*" * 9 + "b")
    assert pattern.match("a" * 900) is None


def test_numbers_are_paired_with_themselves() -> None:
    names = [
        f"{kind}/s{n}{end}" for n in (1, 10, 100) for kind, end in (("x", ".jpg"), ("y", "_m.png"))
    ]
    assert table(names, "x/s{id}.jpg", "y/s{id}_m.png") == {
        f"x/s{n}.jpg": (f"y/s{n}_m.png",) for n in (1, 10, 100)
    }


def test_masks_of_one_id_are_instances_in_natural_order() -> None:
    names = ["i/1.png", "i/2.png", *(f"m/1/{n}.png" for n in (10, 9, 1)), "m/2/1.png"]
    assert table(names, "i/{id}.png", "m/{id}/*.png") == {
        "i/1.png": ("m/1/1.png", "m/1/9.png", "m/1/10.png"),
        "i/2.png": ("m/2/1.png",),
    }


def test_several_images_of_one_id_are_ambiguous() -> None:
    found = by_patterns(
        ["i/1.png", "i/1.jpg", "m/1.png", "i/2.png", "m/2.png"], "i/{id}.*", "m/{id}.*"
    )
    assert [pair.sample for pair in found.pairs] == ["i/2"]
    assert {one.image for one in found.ambiguous} == {"i/1.jpg", "i/1.png"}
    assert found.confidence == pytest.approx(1 / 3, abs=1e-4)


def test_a_mask_is_no_image_even_where_both_patterns_fit_it() -> None:
    names = ["1.png", "1_mask.png", "2.png", "2_mask.png"]
    found = by_patterns(names, "{id}.png", "{id}_mask.png")
    assert len(found.pairs) == 2
    assert found.confidence == 1
    assert table(["1.jpg", "1.png"], "{id}.*", "{id}.png") == {"1.jpg": ("1.png",)}


def test_what_the_patterns_leave_is_listed_and_splits_are_kept() -> None:
    names = [f"{s}/{k}/1.png" for s in ("train", "test") for k in ("a", "b")] + ["x.png", "x.txt"]
    found = by_patterns(names, "{id}/a/{id}.png", "{id}/b/{id}.png")
    assert {pair.split for pair in found.pairs} == {"train", "test"}
    assert found.unmatched == ("x.png",)
    assert found.key == "patterns"


def test_patterns_that_fit_nothing_give_an_empty_proposal() -> None:
    found = by_patterns(["a/1.png"], "x/{id}.png", "y/{id}.png")
    assert found.pairs == () and found.confidence == 0
    assert found.unmatched == ("a/1.png",)


@pytest.mark.parametrize(
    ("image", "mask", "says"),
    [
        ("", "m/{id}.png", "has no {id}"),
        ("i/*.png", "m/{id}.png", "“i/\\*.png” has no {id}"),
        ("i/{id}.png", "m/{name}.png", "{name}, which means nothing"),
        ("i/{id}.png", "I/{ID}.PNG", "are the same"),
        ("{id}/i/{id}.png", "{id}/m/*.png", "{id} 2 times and .* 1 times"),
        ("{id}{id}.png", "m/{id}.png", "two {id} touch"),
        ("*a" * 11 + "{id}", "m/{id}.png", "12 wildcards; at most 10"),
    ],
)
def test_patterns_that_cannot_be_used_are_refused_with_a_remedy(
    image: str, mask: str, says: str
) -> None:
    with pytest.raises(BadSetting, match=says):
        by_patterns(["i/1.png", "m/1.png"], image, mask)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (("images", "masks", "", ""), ["images/1.jpg", "masks/1.png"]),
        (("a/images/", "/a/masks", "_im", "_gt"), ["a/images/1_im.jpg", "a/masks/1_gt.png"]),
        (("", "", "", "_mask"), ["1.jpg", "1_mask.png"]),
        (("", "masks", "", ""), ["1.jpg", "masks/1.png"]),
        (("images", "masks", "", ""), ["images/p/1.jpg", "masks/p/1.png"]),
    ],
)
def test_folders_and_endings_make_patterns(choice: tuple[str, ...], names: list[str]) -> None:
    assert table(names, *folder_patterns(*choice)) == {names[0]: (names[1],)}


def test_the_same_folder_without_endings_is_refused() -> None:
    with pytest.raises(BadSetting, match="the same"):
        by_patterns(["a/1.jpg", "a/1.png"], *folder_patterns("a", "a"))


def test_names_that_look_like_patterns_get_none() -> None:
    names = [f"{kind}/{n}{{id}}.png" for n in (1, 2) for kind in ("images", "masks")]
    assert suggest_patterns(propose(names).proposals[0]) is None


def test_suggested_patterns_read_as_a_person_would_write_them() -> None:
    names = [
        f"set/{s}/{k}"
        for s in ("p1", "p2")
        for n in (1, 2)
        for k in (f"img/{n}.jpg", f"gt/{n}_gt.png")
    ]
    assert suggest_patterns(propose(names).proposals[0]) == (
        "set/{id}/img/{id}.jpg",
        "set/{id}/gt/{id}_gt.png",
    )
