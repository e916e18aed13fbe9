"""Which names are read as pairs, and how the samples are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.pairing import Pair, natural_key, pair
from engine.errors import BadData


def table(*names: str) -> dict[str, tuple[str, str]]:
    """The pairs found among names: `{sample: (image, mask)}`."""
    return {found.sample: (found.image, found.mask) for found in pair(names).pairs}


LAYOUTS = {
    "parallel folders": ("images/1.png", "masks/1.png"),
    "deep": ("membrane/train/image/1.png", "membrane/train/label/1.png"),
    "folder above": ("image/train/a/1.png", "label/train/a/1.png"),
    "other suffix": ("JPEGImages/1.jpg", "SegmentationClass/1.png"),
    "upper case": ("Images/A.PNG", "Masks/a.TIF"),
    "two words": ("input/1.png", "ground_truth/1.png"),
    "compound folder": ("train_images/1.png", "train_masks/1.png"),
    "camel case": ("trainImages/1.png", "trainMasks/1.png"),
    "added word": ("val/1.png", "valannot/1.png"),
    "train and annotation": ("train/1.png", "trainannot/1.png"),
    "x and y": ("x/1.png", "y/1.png"),
    "folder and file word": ("images/1.png", "masks/1_mask.png"),
    "file words": ("img/1_image.png", "gt/1_gt.png"),
    "suffix": ("a/1.png", "a/1_mask.png"),
    "manual": ("21.tif", "21_manual1.png"),
    "prefix": ("1.png", "mask_1.png"),
    "both marked": ("1_image.png", "1_mask.png"),
    "both prefixed": ("img_1.png", "mask_1.png"),
    "glued": ("img2d.tif", "mask2d.tif"),
    "glued behind": ("001img.png", "001Mask.png"),
    "bare": ("p1/image.png", "p1/mask.png"),
    "other folder": ("here/1.png", "there/1_seg.png"),
    "same stem": ("Imgs/a.jpg", "Imgs/a.png"),
    "same stem tiff": ("a.tif", "a.png"),
}


@pytest.mark.parametrize("names", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_in_common_use_are_understood(names: tuple[str, str]) -> None:
    found = pair(names)
    assert found.pairs == (Pair(names[0].rpartition(".")[0], names[0], names[1]),)
    assert found.unmatched == found.ambiguous == found.ignored == ()
    assert pair(names[::-1]) == found


def test_samples_are_in_natural_order_and_1_is_not_10() -> None:
    numbers = [0, 1, 2, 9, 10, 11, 100]
    names = [f"{folder}/{number}.png" for folder in ("label", "image") for number in numbers]
    found = table(*names)
    assert list(found) == [f"image/{n}" for n in (0, 1, 2, 9, 10, 11, 100)]
    assert all(found[f"image/{n}"] == (f"image/{n}.png", f"label/{n}.png") for n in numbers)


def test_an_ending_that_all_names_of_a_folder_share_is_learned() -> None:
    names = [f"images/fine_3_{n}_fram.jpg" for n in (1, 10, 11)]
    names += [f"masks/fine_3_{n}_foreground.jpg" for n in (1, 10, 11)]
    assert table(*names) == {
        f"images/fine_3_{n}_fram": (
            f"images/fine_3_{n}_fram.jpg",
            f"masks/fine_3_{n}_foreground.jpg",
        )
        for n in (1, 10, 11)
    }
    assert "Check that they belong together" in pair(names).rule
    assert "Check" not in pair(["images/1.png", "images/2.png", "masks/1.png", "masks/2.png"]).rule


def test_numbers_in_shared_beginnings_are_never_ignored() -> None:
    names = [f"images/p1_{n}.png" for n in (3, 4)] + [f"masks/p2_{n}.png" for n in (3, 4)]
    with pytest.raises(BadData, match="None of the 4 pictures"):
        pair(names)


def test_a_sample_is_called_by_its_path_inside_the_archive() -> None:
    names = [f"set/{part}/{kind}/1.png" for part in "ab" for kind in ("images", "masks")]
    assert list(table(*names)) == ["set/a/images/1", "set/b/images/1"]


def test_masks_elsewhere_belong_to_the_nearest_image() -> None:
    names = ["a/scans_1/1.png", "b/scans_2/1.png", "a/drawn_1/1_mask.png", "b/drawn_2/1_mask.png"]
    assert [found.mask[0] == found.image[0] for found in pair(names).pairs] == [True, True]


def test_samples_stay_unique_where_only_the_suffix_differs() -> None:
    names = ["a/1.x.png", "a/1.x_mask.png", "a/1.jpg", "a/1_mask.jpg", "a/1.X.tif", "a/2.png"]
    samples = list(table(*names, "a/2_mask.png"))
    assert "a/2" in samples
    assert len({sample.casefold() for sample in samples}) == len(samples)


def test_an_image_with_two_masks_is_listed_and_left_out() -> None:
    found = pair(["image/1.png", "image/2.png", "mask/1.png", "label/1.png", "label/2.png"])
    assert [taken.sample for taken in found.pairs] == ["image/2"]
    assert found.ambiguous == ("image/1.png",)
    assert found.unmatched == ()


def test_two_images_of_one_mask_are_listed_and_left_out() -> None:
    found = pair(["images/1.png", "images/1.jpg", "masks/1.png", "images/2.png", "masks/2.png"])
    assert [taken.sample for taken in found.pairs] == ["images/2"]
    assert found.ambiguous == ("images/1.jpg", "images/1.png")


def test_pictures_without_a_partner_and_other_files_are_listed() -> None:
    found = pair(["images/1.png", "masks/1.png", "images/2.png", "masks/3.png", "README.md"])
    assert found.unmatched == ("images/2.png", "masks/3.png")
    assert found.ignored == ("README.md",)
    assert found.rule.endswith(".")


def test_the_reading_with_most_pairs_wins() -> None:
    names = [f"data/{n}{word}.png" for n in range(3) for word in ("", "_mask")]
    assert len(pair([*names, "images/x.png", "masks/x.png"]).pairs) == 3


@pytest.mark.parametrize(
    ("names", "facts"),
    [
        (["a/1.png", "b/2.png"], {"num_pictures": 2, "num_masks": 0, "folders": "a, b"}),
        (["masks/1.png", "masks/2.png"], {"num_masks": 2, "num_images": 0}),
        (["images/1.png", "2.png"], {"num_masks": 0, "num_images": 2}),
        (["images/1.png", "mask/1.png", "label/1.png"], {"num_ambiguous": 1}),
    ],
)
def test_without_pairs_the_message_says_what_was_found(names: list[str], facts: dict) -> None:
    with pytest.raises(BadData, match="Expected: a folder “images”") as caught:
        pair(names)
    assert facts.items() <= caught.value.facts.items()


def test_without_pictures_the_message_names_another_file() -> None:
    with pytest.raises(BadData, match=r"no pictures among the 2 files, such as “a\.npy”"):
        pair(["b.txt", "a.npy"])


@given(st.sets(st.integers(0, 10**30), min_size=1, max_size=30), st.randoms())
def test_every_number_is_paired_with_itself(numbers: set[int], random: object) -> None:
    names = [f"t/image/s{n}.jpg" for n in numbers] + [f"t/label/s{n}_mask.png" for n in numbers]
    random.shuffle(names)  # type: ignore[attr-defined]
    found = pair(names)
    assert [taken.sample for taken in found.pairs] == [f"t/image/s{n}" for n in sorted(numbers)]
    assert all(taken.mask == f"t/label/{taken.image[8:-4]}_mask.png" for taken in found.pairs)


@given(st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1), max_size=12))
def test_no_file_is_lost_or_used_twice_whatever_its_name(stems: list[str]) -> None:
    names = sorted({f"{folder}/{stem}.png" for stem in stems for folder in ("images", "gt")})
    try:
        found = pair(names)
    except BadData:
        return
    used = [name for taken in found.pairs for name in (taken.image, taken.mask)]
    assert len(set(used)) == len(used)
    assert not set(used) & {*found.unmatched, *found.ambiguous}
    assert len({taken.sample for taken in found.pairs}) == len(found.pairs)


@given(st.lists(st.text("ab019/._-")))
def test_natural_order_is_an_order(names: list[str]) -> None:
    in_order = sorted(names, key=natural_key)
    assert sorted(in_order[::-1], key=natural_key) == in_order
