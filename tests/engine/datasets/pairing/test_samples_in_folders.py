"""Folders that are a part of the sample's name, on one side only, or with fixed names in each."""

from dataclasses import dataclass

import pytest

from engine.datasets.pairing import Proposal, by_patterns, propose, suggest_patterns
from engine.errors import BadData

SAMPLES = [(f"patient{p}", f"slice_{s}") for p in (0, 1, 2, 10) for s in (0, 1, 10)]
LETTERS = [(letter, str(number)) for letter in "ABCD" for number in (0, 1)]


@dataclass(frozen=True)
class Flat:
    """Images and masks of which one side has the folder in its file names."""

    image: str
    """`{0}` is the folder, `{1}` the file."""
    mask: str
    samples: list[tuple[str, str]]
    others: tuple[str, ...] = ()
    """Files without a partner."""

    @property
    def pairs(self) -> dict[str, tuple[str, ...]]:
        return {self.image.format(*one): (self.mask.format(*one),) for one in self.samples}

    @property
    def names(self) -> list[str]:
        return [*self.pairs, *(mask for masks in self.pairs.values() for mask in masks)]


FLAT = {
    "flat masks": Flat("images/{0}/{1}.png", "masks/{0}_{1}.png", SAMPLES),
    "flat images": Flat("images/{0}_{1}.png", "masks/{0}/{1}.png", SAMPLES),
    "numbers only in folders": Flat("images/{0}/{1}.jpg", "masks/{0}_{1}.png", LETTERS),
    "numbers only in masks": Flat("images/{0}_{1}.jpg", "masks/{0}/{1}.png", LETTERS),
    "with a word": Flat("images/{0}/{1}.png", "masks/{0}_{1}_mask.png", SAMPLES),
    "folders of kinds within": Flat("d/{0}/images/{1}.png", "d/masks/{0}_{1}.png", SAMPLES),
    "a folder of masks for each": Flat("images/{0}_{1}.png", "{0}_masks/{1}.png", SAMPLES),
    "no mask folder": Flat("set/{0}/{1}.png", "set/{0}_{1}_mask.png", SAMPLES),
    "an image in a folder": Flat("images/{0}{1}/image.png", "masks/{0}{1}.png", LETTERS),
    "a mask without image": Flat(
        "images/{0}/{1}.jpg", "masks/{0}_{1}.png", LETTERS, ("masks/A_7.png",)
    ),
    "an image above": Flat("images/{0}/{1}.jpg", "masks/{0}_{1}.png", LETTERS, ("images/0.jpg",)),
}


@pytest.mark.parametrize("name", FLAT)
def test_a_folder_on_one_side_is_a_part_of_the_name_on_the_other(name: str) -> None:
    made = FLAT[name]
    names = [*made.names, *made.others]
    found = propose(names)
    best = found.proposals[0]
    assert taken(best) == made.pairs
    assert best.unmatched == made.others
    assert best.ambiguous == ()
    assert len(found.proposals) == 1, "no reading across folders is offered"
    assert propose(names[::-1]) == found
    patterns = suggest_patterns(best)
    if patterns is not None:
        assert by_patterns(names, *patterns).pairs == best.pairs


def test_flat_masks_in_a_folder_for_each_class_are_sets() -> None:
    names = [f"images/{p}/{s}.png" for p, s in SAMPLES]
    names += [f"masks/{kind}/{p}_{s}.png" for kind in ("kidney", "liver") for p, s in SAMPLES]
    found = propose(names).proposals
    assert [(one.key, len(one.pairs)) for one in found] == [
        ("masks@kidney", len(SAMPLES)),
        ("masks@liver", len(SAMPLES)),
    ]


def test_a_name_that_is_equal_where_it_lies_is_surer_than_folders_and_name() -> None:
    names = ["images/A_0.png", "images/A/0.png", "masks/A_0.png", "masks/A/0.png"]
    assert taken(propose(names).proposals[0]) == {
        "images/A_0.png": ("masks/A_0.png",),
        "images/A/0.png": ("masks/A/0.png",),
    }


CASES = [f"S{number:02}" for number in range(8)]
BRATS = [f"BraTS20_Training_{number:03}" for number in range(4)]


@dataclass(frozen=True)
class Fixed:
    """Folders with the same file names, of which one is the mask."""

    folders: list[str]
    images: tuple[str, ...]
    """`{}` is the folder; each is the image of a proposal."""
    mask: str
    is_guess: bool = False

    @property
    def names(self) -> list[str]:
        files = (*self.images, self.mask)
        return [f"{folder}/{file.format(folder)}" for folder in self.folders for file in files]


FIXED = {
    "a mask word": Fixed(CASES, ("T1.png",), "lesion_mask.png"),
    "two kinds of image": Fixed(CASES, ("FLAIR.png", "T1.png"), "lesion_mask.png"),
    "a mask folder": Fixed(CASES, ("FLAIR.png", "T1.png"), "masks/lesion.png"),
    "BraTS": Fixed(BRATS, tuple(f"{{}}_{k}.png" for k in ("flair", "t1", "t1ce")), "{}_seg.png"),
    "no mask word": Fixed(CASES, ("T1.png",), "lesion.png", is_guess=True),
    "two folders": Fixed(["ann", "bob"], ("T1.png",), "lesion.png", is_guess=True),
    "photographs": Fixed(CASES, ("photo.png",), "drawn.png", is_guess=True),
    "kinds but no mask word": Fixed(CASES, ("flair.png", "t2.png"), "tumour.png", is_guess=True),
}


@pytest.mark.parametrize("name", FIXED)
def test_file_names_that_recur_in_every_folder_are_image_and_mask(name: str) -> None:
    made = FIXED[name]
    found = propose(made.names).proposals
    best = found[: len(made.images)]
    for image in made.images:
        pairs = {
            f"{folder}/{image.format(folder)}": (f"{folder}/{made.mask.format(folder)}",)
            for folder in made.folders
        }
        assert pairs in [taken(proposal) for proposal in best]
    if made.is_guess:
        assert all("which is the image" in str(one.doubts[0]) for one in best)
        assert all(one.confidence < 0.75 for one in best)
    else:
        assert len(found) == len(made.images)
    assert all(one.confidence < best[0].confidence for one in found[len(made.images) :])


def test_a_sample_that_lacks_a_fixed_name_does_not_hinder_the_others() -> None:
    names = [name for name in FIXED["a mask word"].names if name != "S03/lesion_mask.png"]
    best = propose(names).proposals[0]
    assert len(best.pairs) == len(CASES) - 1
    assert best.unmatched == ("S03/T1.png",)


@pytest.mark.parametrize(
    "files",
    [
        ("1.png", "2.png", "3.png"),
        ("slice1.png", "slice2.png", "overview_mask.png"),
        ("a.png", "b.png"),
        ("t1.png", "t2.png", "flair.png"),
    ],
)
def test_samples_and_kinds_of_image_are_not_image_and_mask(files: tuple[str, ...]) -> None:
    with pytest.raises(BadData):
        propose([f"{folder}/{file}" for folder in CASES for file in files])


def taken(proposal: Proposal) -> dict[str, tuple[str, ...]]:
    return {pair.image: pair.masks for pair in proposal.pairs}
