"""What is proposed, how surely, with which doubts, and what is said when nothing pairs."""

import json

import pytest

from engine.datasets.archive.entry_names import is_junk
from engine.datasets.pairing import Pair, Proposal, choose, is_picture, propose
from engine.datasets.plan import PairingPlan
from engine.errors import BadData, BadSetting

NUMBERS = (0, 1, 2, 9, 10, 11, 100)


def names_of(*folders: str) -> list[str]:
    """The same files in every folder; a suffix may be given as `folder:.jpg`."""
    split = [folder.partition(":") for folder in folders]
    return [f"{name}/{n}{suffix or '.png'}" for name, _, suffix in split for n in NUMBERS]


def proposed(names: list[str], key: str) -> Proposal:
    return next(proposal for proposal in propose(names).proposals if proposal.key == key)


def doubts(proposal: Proposal) -> str:
    return " ".join(map(str, proposal.doubts))


def test_samples_are_in_natural_order_and_1_is_not_10() -> None:
    best = propose(names_of("label", "image")).proposals[0]
    assert best.pairs == tuple(
        Pair(f"image/{n}", f"image/{n}.png", (f"label/{n}.png",), None) for n in NUMBERS
    )


def test_samples_stay_unique_where_only_the_suffix_differs() -> None:
    names = ["a/1.png", "a/1_mask.png", "b/1.png", "b/1_mask.png", "a/2.JPG", "a/2_mask.png"]
    names += ["a/2.x.png", "a/2.x_mask.png", "a/3.tif", "a/3_mask.tif", "a/3_gt.tif"]
    for proposal in propose(names).proposals:
        samples = [pair.sample.casefold() for pair in proposal.pairs]
        assert len(set(samples)) == len(samples)


def test_pictures_without_a_partner_and_other_files_are_listed() -> None:
    found = propose(["images/1.png", "masks/1.png", "images/2.png", "masks/3.png", "a.txt", "b/x"])
    assert found.proposals[0].unmatched == ("images/2.png", "masks/3.png")
    assert found.ignored == ("a.txt", "b/x")
    assert len(found.proposals) == 1


def test_masks_of_another_set_are_not_listed_as_unmatched() -> None:
    names = names_of("images", "labels", "roi")
    assert all(not proposal.unmatched for proposal in propose(names).proposals)


def test_hidden_files_beside_pictures_are_no_pictures() -> None:
    names = names_of("images", "masks")
    junk = ["masks/._1.png", "__MACOSX/masks/1.png", ".thumbs/1.png"]
    found = propose([*names, *junk])
    assert found.proposals == propose(names).proposals
    assert set(found.ignored) == set(junk)


@pytest.mark.parametrize("name", [".x/1.png", "a/._1.png", "__macosx/1.png", "Thumbs.db/1.PNG"])
def test_what_archives_skip_is_no_picture(name: str) -> None:
    assert is_junk(name)
    assert not is_picture(name)
    assert is_picture("x/1.PNG")
    assert not is_picture("x/1.png.txt")


def test_an_image_with_the_same_mask_in_two_formats_is_left_to_the_person() -> None:
    names = [*names_of("images", "masks"), "masks/1.tif"]
    best = propose(names).proposals[0]
    assert [(one.image, set(one.candidates)) for one in best.ambiguous] == [
        ("images/1.png", {"masks/1.png", "masks/1.tif"})
    ]
    assert "images/1" not in {pair.sample for pair in best.pairs}
    assert best.unmatched == ()


def test_two_images_of_one_mask_are_left_to_the_person() -> None:
    names = [*names_of("images", "masks"), "images/1.jpg"]
    best = propose(names).proposals[0]
    assert {one.image for one in best.ambiguous} == {"images/1.jpg", "images/1.png"}
    assert {one.candidates for one in best.ambiguous} == {("masks/1.png",)}
    assert len(best.pairs) == len(NUMBERS) - 1


def test_masks_elsewhere_belong_to_the_nearest_image() -> None:
    names = ["a/scans_1/1.png", "b/scans_2/1.png", "a/drawn_1/1_mask.png", "b/drawn_2/1_mask.png"]
    pairs = propose(names).proposals[0].pairs
    assert [pair.masks[0][0] == pair.image[0] for pair in pairs] == [True, True]


def test_a_word_in_a_name_is_just_a_word_where_it_leads_to_no_image() -> None:
    stems = ["gtExoIsl_13", "label_free_2", "Lh05-04"]
    names = [f"photo/{s}.jpg" for s in stems] + [f"annot/{s}.png" for s in stems]
    assert len(propose(names).proposals[0].pairs) == 3


def test_two_subjects_are_not_image_and_mask() -> None:
    with pytest.raises(BadData):
        propose(["p1/1.png", "p1/2.png", "p2/1.png", "p2/2.png"])
    with pytest.raises(BadData):
        propose(["train/1.png", "train/2.png", "test/1.png", "test/2.png"])


def test_numbers_in_shared_beginnings_and_endings_are_never_ignored() -> None:
    for image, mask in (("p1_{}", "p2_{}"), ("{}_p1", "{}_p2")):
        names = [f"images/{image.format(n)}.png" for n in (3, 4)]
        names += [f"masks/{mask.format(n)}.png" for n in (3, 4)]
        with pytest.raises(BadData, match=r"No picture could be paired with a mask\. Pictures: 4;"):
            propose(names)


def test_the_reading_with_most_pairs_wins() -> None:
    names = [f"data/{n}{word}.png" for n in range(3) for word in ("", "_mask")]
    assert len(propose([*names, "images/x.png", "masks/x.png"]).proposals[0].pairs) == 3


def test_a_zip_of_two_layouts_gives_both() -> None:
    names = [f"marked/{n}{word}.png" for n in range(2) for word in ("", "_mask")]
    names += [f"twins/{n}.{suffix}" for n in range(20, 30) for suffix in ("jpg", "png")]
    found = propose(names).proposals
    assert [len(proposal.pairs) for proposal in found] == [10, 2]


def test_splits_are_kept_where_folders_divide_the_pairs_only() -> None:
    names = names_of("test/images", "test/masks")
    assert {pair.split for pair in propose(names).proposals[0].pairs} == {None}
    names += names_of("more/images", "more/masks")
    pairs = propose(names).proposals[0].pairs
    assert {pair.split for pair in pairs if pair.image.startswith("test")} == {"test"}
    assert {pair.split for pair in pairs if pair.image.startswith("more")} == {None}


def test_a_test_folder_without_masks_is_left_out_with_a_word() -> None:
    names = names_of("train/images", "train/masks", "test/images")
    best = propose(names).proposals[0]
    assert len(best.unmatched) == len(NUMBERS)
    assert "folders that say test" in doubts(best)
    assert (
        best.confidence == propose(names_of("train/images", "train/masks")).proposals[0].confidence
    )


def test_words_for_splits_within_longer_words_say_nothing() -> None:
    names = names_of("trainval/images", "trainval/masks", "tests/images", "tests/masks")
    names += names_of("train_val/images", "train_val/masks", "latest/images", "latest/masks")
    assert {pair.split for pair in propose(names).proposals[0].pairs} == {None}


@pytest.mark.parametrize(
    ("folders", "key", "says"),
    [
        (("images", "manual1", "mask"), "mask", "may only show the field of view"),
        (("images", "gt", "fov"), "fov", "field of view or region of interest"),
        (("images", "labels", "roi"), "roi", "field of view or region of interest"),
        (("images", "masks", "masks_inv"), "masks-inv", "inverted"),
        (("images", "masks", "overlays"), "overlays", "overlay"),
        (("images", "masks", "SegmentationClassViz"), "segmentation-class-viz", "overlay"),
        (("images", "masks", "masks_color"), "masks-color", "colours"),
        (("images", "labels", "predictions"), "predictions", "what a program found"),
        (("image", "annot", "segm"), "segm", "result of a segmentation"),
        (("image", "masks", "mask_edges"), "mask-edges", "outlines"),
    ],
)
def test_what_is_hardly_the_target_comes_last_and_says_why(
    folders: tuple[str, ...], key: str, says: str
) -> None:
    found = propose(names_of(*folders)).proposals
    assert found[-1].key == key
    assert says in doubts(found[-1])
    assert found[0].doubts == ()
    assert found[-1].confidence < 0.8 * found[0].confidence


def test_a_field_of_view_that_is_alone_is_not_taken_in_silence() -> None:
    best = propose(names_of("images", "fov")).proposals[0]
    assert best.confidence < 0.5
    assert "field of view" in doubts(best)
    assert propose(names_of("images", "mask")).proposals[0].doubts == ()


def test_equal_rivals_say_that_a_person_has_to_choose() -> None:
    found = propose(names_of("images", "labels_cells", "labels_nuclei")).proposals
    assert [proposal.key for proposal in found] == ["labels-cells", "labels-nuclei"]
    assert all("Choose the set to learn" in doubts(proposal) for proposal in found)
    assert found[0].confidence == found[1].confidence < 0.9


@pytest.mark.parametrize("num", [2, 3])
def test_one_of_several_sets_is_taken_and_the_doubt_says_so(num: int) -> None:
    folders = [f"masks/{name}" for name in ("kidney", "liver", "spleen")[:num]]
    found = propose(names_of("images", *folders)).proposals
    assert len(found) == num
    for proposal in found:
        assert f"other sets of masks, too ({num - 1})" in doubts(proposal)
        assert "sets cannot be combined yet" in doubts(proposal)
        assert all(len(pair.masks) == 1 for pair in proposal.pairs)


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        (("A", "B"), ("“B” of the images “A”", "Folders “A” and “B”")),
        (("701_StillsRaw", "Labeled Ok"), ("“Labeled Ok” of", "“701_StillsRaw” and “Labeled Ok”")),
        (("Tr/T1", "Tr/T2", "Tr/Seg"), ("“Seg/….png” of the images “T1/….png”", "called “Seg”")),
        (("Images", "Masks/Left Lung", "Masks/Right"), ("“Masks/Left Lung/….png”", "“Masks”")),
    ],
)
def test_folders_are_called_as_they_are_written(
    folders: tuple[str, ...], says: tuple[str, str]
) -> None:
    found = propose(names_of(*folders)).proposals
    shown = [(str(proposal.title), str(proposal.reason)) for proposal in found]
    assert any(says[0] in title and says[1] in reason for title, reason in shown)
    assert not any("#" in text for both in shown for text in both)


def test_images_of_two_kinds_are_two_proposals() -> None:
    found = propose(names_of("t1", "t2", "seg")).proposals
    assert [pair.image for proposal in found for pair in proposal.pairs[:1]] == [
        "t1/0.png",
        "t2/0.png",
    ]
    assert all("several kinds" in doubts(proposal) for proposal in found)
    assert all("images of the others count as without a partner" in doubts(one) for one in found)


def test_without_any_word_the_guess_is_given_both_ways_round() -> None:
    found = propose(names_of("a", "b")).proposals
    assert [(one.pairs[0].image, one.pairs[0].masks) for one in found] == [
        ("a/0.png", ("b/0.png",)),
        ("b/0.png", ("a/0.png",)),
    ]
    assert found[1].confidence < found[0].confidence < 0.5
    assert all("which is the image" in doubts(one) for one in found)


@pytest.mark.parametrize(
    ("names", "image"),
    [
        (names_of("xyz:.png", "abc:.jpg"), "abc/0.jpg"),
        (names_of("zzz:.tif", "abc:.gif"), "zzz/0.tif"),
        (names_of("zzz:.bmp", "abc:.png"), "zzz/0.bmp"),
        (names_of("photos", "drawn"), "photos/0.png"),
        ([f"d/{n}{end}.png" for n in NUMBERS for end in ("", "_drawn")], "d/0.png"),
    ],
)
def test_formats_and_words_tell_which_is_the_image(names: list[str], image: str) -> None:
    assert propose(names).proposals[0].pairs[0].image == image


def test_a_jpeg_and_a_png_of_one_name_leave_no_doubt() -> None:
    found = propose([f"x/{n}.{suffix}" for n in NUMBERS for suffix in ("png", "JPG")]).proposals
    assert len(found) == 1
    assert found[0].doubts == ()
    assert found[0].pairs[0].image == "x/0.JPG"


def test_confidence_grows_with_coverage_and_sureness() -> None:
    everything = propose(names_of("images", "masks")).proposals[0].confidence
    a_gap = propose([*names_of("images", "masks"), "images/x.png"]).proposals[0].confidence
    worse_names = propose(
        [f"images/{n}.png" for n in (1, 2, 3)] + [f"masks/{n:03}.png" for n in (1, 2, 3)]
    )
    assert 0 < a_gap < everything < 1
    assert worse_names.proposals[0].confidence < everything
    assert "zeros" in doubts(worse_names.proposals[0])


def test_what_all_names_of_a_folder_share_is_learned_and_said() -> None:
    names = [f"images/fine_3_{n}_fram.jpg" for n in (1, 10, 11)]
    names += [f"masks/fine_3_{n}_foreground.jpg" for n in (1, 10, 11)]
    best = propose(names).proposals[0]
    assert [pair.masks[0] for pair in best.pairs] == names[3:]
    assert "Check that they belong together" in doubts(best)


def test_a_stray_mask_does_not_become_an_instance() -> None:
    best = propose([*names_of("images", "masks"), "masks/1_x.png", "masks/2_7.png"]).proposals[0]
    assert best.unmatched == ("masks/1_x.png", "masks/2_7.png")
    assert all(len(pair.masks) == 1 for pair in best.pairs)


def test_notes_can_be_stored_and_say_names() -> None:
    for proposal in propose(names_of("images", "annot_cells", "annot_rgb", "mask")).proposals:
        for note in (proposal.title, proposal.reason, *proposal.doubts):
            assert "{" not in str(note)
            assert type(note).from_record(json.loads(json.dumps(note.to_record()))) == note


def test_keys_are_short_and_the_same_in_any_order() -> None:
    names = names_of("images", "masks_" + "very_long_name_" * 30, "masks_" + "very_long_name_" * 31)
    keys = {proposal.key for proposal in propose(names).proposals}
    assert len(keys) == 2
    assert max(map(len, keys)) < 120
    assert keys == {proposal.key for proposal in propose(names[::-1]).proposals}


@pytest.mark.parametrize(
    ("names", "facts"),
    [
        (["a/1.png", "b/2.png"], {"num_pictures": 2, "num_masks": 0, "folders": "a, b"}),
        (["masks/1.png", "masks/2.png"], {"num_masks": 2, "num_images": 0}),
        (["images/1.png", "2.png"], {"num_masks": 0, "num_images": 2, "folders": "(top), images"}),
    ],
)
def test_without_pairs_the_message_says_what_was_found(
    names: list[str], facts: dict[str, object]
) -> None:
    with pytest.raises(BadData, match="Expected: a folder “images”") as caught:
        propose(names)
    assert facts.items() <= caught.value.facts.items()


def test_without_pictures_the_message_names_another_file() -> None:
    with pytest.raises(BadData, match=r"no pictures among the files \(2\), such as “a\.npy”"):
        propose(["b.txt", "a.npy"])
    with pytest.raises(BadData, match="no pictures"):
        propose([])


def test_a_plan_chooses_a_proposal_or_patterns_or_the_likeliest() -> None:
    names = names_of("images", "labels", "roi")
    assert choose(names, PairingPlan()) == propose(names).proposals[0]
    assert choose(names, PairingPlan(proposal="roi")) == proposed(names, "roi")
    typed = PairingPlan(image_pattern="images/{id}.png", mask_pattern="roi/{id}.png")
    assert choose(names, typed).pairs == proposed(names, "roi").pairs
    with pytest.raises(BadSetting, match=r"no pairing “fov”.*There are: labels, roi"):
        choose(names, PairingPlan(proposal="fov"))
