"""Whatever the stems, the depth and the order: a layout made by a rule is read as it was made."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.datasets.pairing import Pair, by_patterns, natural_key, propose, suggest_patterns
from engine.datasets.pairing.search import without_zeros
from engine.datasets.pairing.words import IMAGE_WORDS, MASK_WORDS, MODIFIERS, SPLIT_WORDS, tokens_of
from engine.errors import BadData

KNOWN = IMAGE_WORDS | MASK_WORDS | MODIFIERS | set(SPLIT_WORDS)
FOLDERS = [
    ("images", "masks"), ("image", "label"), ("JPEGImages", "SegmentationClass"),
    ("imgs", "annot"), ("image", "groundTruth"), ("Bilder", "Masken"), ("原图", "标签"),
    ("raw", "seg"), ("input", "ground_truth"), ("Original", "manual1"), ("photos", "GT"),
]  # fmt: skip
AFFIXES = [
    ("", "", "", "_mask"), ("", "", "", "_label"), ("", "", "mask_", ""), ("img_", "", "mask_", ""),
    ("", "_image", "", "_gt"), ("", "", "", "_1stHO"), ("im_", "", "seg_", ""),
    ("", "", "", "-seg"), ("img_", "", "", "_mask"), ("", " image", "", " annotation"),
]  # fmt: skip
"""What image and mask have before and behind the stem."""
SUFFIXES = [
    (".png", ".png"),
    (".jpg", ".png"),
    (".tif", ".tif"),
    (".JPG", ".gif"),
    (".bmp", ".bmp"),
]
SPLITS = [
    ("train", "val", "test"),
    ("training", "validation", "testing"),
    ("Train", "Valid", "Test"),
]


@dataclass(frozen=True)
class Layout:
    """Names made by a rule, and what they mean."""

    pairs: dict[str, tuple[tuple[str, ...], str | None]]
    """Masks and split of each image."""
    strays: tuple[str, ...]
    """An image and a mask without partner, or none."""
    others: tuple[str, ...] = ("README.md", "lists/all.csv", "data.json")

    @property
    def names(self) -> list[str]:
        masks = [mask for found, _ in self.pairs.values() for mask in found]
        return [*self.pairs, *masks, *self.strays, *self.others]


def means_nothing(stem: str) -> bool:
    words = tokens_of(stem)
    return bool(words) and KNOWN.isdisjoint(words) and stem == stem.strip(" .")


letters = st.characters(codec="utf-8", categories=("Lu", "Ll", "Lo"))
stem = st.one_of(
    st.text("ab01289_- ().", min_size=1, max_size=8),
    st.builds("{}{}".format, st.text(letters, max_size=4), st.integers(0, 999)),
    st.builds(lambda a, b: f"case_{a}_slice{b:03}", st.integers(0, 30), st.integers(0, 30)),
    st.text(letters, min_size=1, max_size=6),
).filter(means_nothing)  # fmt: skip
# `a-1` and `a_1` as two samples are told apart where that is possible, but not promised.
stems = st.lists(stem, min_size=3, max_size=12, unique_by=tokens_of)
folder = st.text("abcxyz789", min_size=1, max_size=4).filter(means_nothing)
above = st.lists(folder, max_size=2).map(lambda parts: "".join(part + "/" for part in parts))


@st.composite
def parallel_folders(draw: st.DrawFn) -> Layout:
    """`deep/images/sub/1.jpg` and `deep/masks/sub/1_mask.png`."""
    images, masks = draw(st.sampled_from(FOLDERS))
    before, after, mask_before, mask_after = draw(st.sampled_from([("", "", "", ""), *AFFIXES]))
    image_suffix, mask_suffix = draw(st.sampled_from(SUFFIXES))
    top, below = draw(above), draw(above)
    *paired, lonely, orphan = draw(stems)
    # Without zeros before numbers these would be a pair, if an unlikely one.
    assume(without_zeros(tokens_of(lonely)) != without_zeros(tokens_of(orphan)))
    image_of = lambda one: f"{top}{images}/{below}{before}{one}{after}{image_suffix}"  # noqa: E731
    mask_of = lambda one: f"{top}{masks}/{below}{mask_before}{one}{mask_after}{mask_suffix}"  # noqa: E731
    return Layout(
        {image_of(one): ((mask_of(one),), None) for one in paired},
        (image_of(lonely), mask_of(orphan)) if len(paired) > 1 else (),
    )


@st.composite
def marked_files(draw: st.DrawFn) -> Layout:
    """`1.png` and `1_mask.png` in one folder, or in those of several subjects."""
    before, after, mask_before, mask_after = draw(st.sampled_from(AFFIXES))
    image_suffix, mask_suffix = draw(st.sampled_from(SUFFIXES))
    top = draw(above)
    subjects = draw(st.lists(folder, unique_by=str.casefold, min_size=1, max_size=3))
    pairs = {
        f"{top}{subject}/{before}{one}{after}{image_suffix}": (
            (f"{top}{subject}/{mask_before}{one}{mask_after}{mask_suffix}",),
            None,
        )
        for subject in subjects
        for one in draw(stems)
    }
    return Layout(pairs, ())


@st.composite
def same_stem_other_format(draw: st.DrawFn) -> Layout:
    """`1.jpg` and `1.png`."""
    top = draw(above)
    return Layout({f"{top}{one}.jpg": ((f"{top}{one}.png",), None) for one in draw(stems)}, ())


@st.composite
def instances_in_a_folder_per_sample(draw: st.DrawFn) -> Layout:
    """`sample/images/sample.png` and `sample/masks/…` with a file for each object."""
    top = draw(above)
    names = iter(draw(st.permutations(range(1000, 1200))))
    pairs = {}
    for one in draw(stems):
        num = draw(st.integers(2, 4))
        objects = (f"{top}{one}/masks/{next(names):x}f{next(names)}.png" for _ in range(num))
        masks = sorted(objects, key=natural_key)
        pairs[f"{top}{one}/images/{one}.png"] = (tuple(masks), None)
    return Layout(pairs, ())


@st.composite
def split_folders(draw: st.DrawFn) -> Layout:
    """`train/images/1.png`, `images/train/1.png`, `train_images/1.png`, `images_train/1.png`."""
    splits = draw(st.sampled_from(SPLITS))
    images, masks = draw(st.sampled_from(FOLDERS[:4]))
    forms: list[Callable[[str, str], str]] = [
        lambda split, kind: f"{split}/{kind}",
        lambda split, kind: f"{kind}/{split}",
        lambda split, kind: f"{split}_{kind}",
        lambda split, kind: f"{kind}_{split}",
    ]
    form = draw(st.sampled_from(forms))
    top = draw(above)
    # The same names may occur in every part.
    pairs = {
        f"{top}{form(split, images)}/{one}.png": ((f"{top}{form(split, masks)}/{one}.png",), kept)
        for split, kept in zip(splits, ("train", "val", "test"), strict=True)
        for one in draw(stems)
    }
    return Layout(pairs, ())


@st.composite
def subject_trees(draw: st.DrawFn) -> Layout:
    """`patient/images/1.png` and `patient/masks/1.png`, with the same names in each patient."""
    images, masks = draw(st.sampled_from(FOLDERS))
    top = draw(above)
    ones = draw(stems)
    subjects = draw(st.lists(folder, unique_by=str.casefold, min_size=2, max_size=4))
    pairs = {
        f"{top}{subject}/{images}/{one}.png": ((f"{top}{subject}/{masks}/{one}.png",), None)
        for subject in subjects
        for one in ones
    }
    return Layout(pairs, ())


LAYOUTS = {
    "parallel folders": parallel_folders(),
    "marked files": marked_files(),
    "same stem": same_stem_other_format(),
    "instances": instances_in_a_folder_per_sample(),
    "splits": split_folders(),
    "subjects": subject_trees(),
}


def meaning(pairs: tuple[Pair, ...]) -> dict[str, tuple[tuple[str, ...], str | None]]:
    return {pair.image: (pair.masks, pair.split) for pair in pairs}


@pytest.mark.parametrize("kind", LAYOUTS)
@given(data=st.data(), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=60 * 5)
def test_layout_made_by_a_rule_is_read_as_it_was_made(
    kind: str, data: st.DataObject, seed: int
) -> None:
    layout = data.draw(LAYOUTS[kind])
    names = layout.names
    random.Random(seed).shuffle(names)
    found = propose(names)
    best = found.proposals[0]
    assert meaning(best.pairs) == layout.pairs
    assert not set(best.unmatched) & {pair.image for pair in best.pairs}
    assert set(layout.strays[:1]) <= set(best.unmatched)
    assert set(found.ignored) == set(layout.others)
    assert propose(sorted(names)) == found


@pytest.mark.parametrize("kind", LAYOUTS)
@given(data=st.data())
@settings(deadline=None, max_examples=30 * 5)
def test_suggested_patterns_give_the_pairs_of_their_proposal(
    kind: str, data: st.DataObject
) -> None:
    names = data.draw(LAYOUTS[kind]).names
    for proposal in propose(names).proposals:
        patterns = suggest_patterns(proposal)
        if patterns is not None:
            assert by_patterns(names, *patterns).pairs == proposal.pairs


PIECES = [
    *("images", "masks", "label", "mask", "img", "train", "test", "gt", "seg", "fov", "overlay"),
    *("color", "a", "b", "x", "y", "1", "01", "2", "10", "_", "-", "."),
]
name = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6)
path = st.lists(name.map("".join), min_size=1, max_size=4).map("/".join)
paths = st.lists(
    st.builds("{}{}".format, path, st.sampled_from([".png", ".jpg", ".tif", ".txt"])), unique=True
)


@given(paths, st.randoms())
@settings(deadline=None, max_examples=400 * 5)
def test_no_file_is_lost_or_used_twice_whatever_the_names(
    names: list[str], shuffler: random.Random
) -> None:
    try:
        found = propose(names)
    except BadData:
        return
    shuffler.shuffle(names)
    assert propose(names) == found
    assert len({proposal.key for proposal in found.proposals}) == len(found.proposals)
    for proposal in found.proposals:
        assert proposal.pairs
        assert 0 < proposal.confidence <= 1
        used = [name for pair in proposal.pairs for name in (pair.image, *pair.masks)]
        assert len(set(used)) == len(used), "within a proposal, a picture is in one pair"
        unsure = {name for one in proposal.ambiguous for name in (one.image, *one.candidates)}
        assert not set(proposal.unmatched) & {*used, *unsure}
        assert not {pair.image for pair in proposal.pairs} & unsure
        samples = [pair.sample for pair in proposal.pairs]
        assert len({sample.casefold() for sample in samples}) == len(samples)
        assert samples == sorted(samples, key=natural_key)
        masks = {name for other in found.proposals for pair in other.pairs for name in pair.masks}
        assert {*used, *unsure, *proposal.unmatched, *found.ignored} | masks >= set(names)


@given(st.lists(st.text("ab019/._-")))
def test_natural_order_is_an_order(names: list[str]) -> None:
    in_order = sorted(names, key=natural_key)
    assert sorted(in_order[::-1], key=natural_key) == in_order


@given(st.sets(st.integers(0, 10**30), min_size=1))
def test_natural_order_is_that_of_numbers(numbers: set[int]) -> None:
    names = [f"a/s{number}.png" for number in numbers]
    assert sorted(names, key=natural_key) == [f"a/s{number}.png" for number in sorted(numbers)]
