"""What a pairing gives, as tables, CSV and sentences."""

import csv
import io

import pytest

from engine.datasets.decode import PictureHeader
from engine.datasets.pairing import Ambiguous, Pair, Proposal
from engine.datasets.preview import SizeMismatch
from engine.notes import Note
from pages.common.review import pairs
from pages.common.review.samples import NUM_SHOWN, positions


def pair(number, *, masks=("m.png",), split=None):
    return Pair(f"a/{number}", f"a/{number}.jpg", masks, split)


def proposal(**changes):
    values = {
        "key": "k",
        "title": Note("masks in {folder}", {"folder": "b_*"}),
        "reason": Note("The names are equal."),
        "confidence": 0.9,
        "pairs": (pair(1),),
        "unmatched": (),
        "ambiguous": (),
        "doubts": (),
    }
    return Proposal(**values | changes)


def mismatch(image_size, mask_size, *, is_close=True, name="m.png"):
    return SizeMismatch(
        pair=pair(1, masks=(name,)), image_size=image_size, mask_size=mask_size, is_close=is_close
    )


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


def test_confidence_falls_from_word_to_word():
    words = [pairs.confidence_words(share) for share in (1.0, 0.8, 0.79, 0.5, 0.49, 0.0)]
    assert words == [
        "sure, 100 %", "sure, 80 %", "likely, 79 %", "likely, 50 %", "doubtful, 49 %",
        "doubtful, 0 %",
    ]  # fmt: skip


def test_title_of_a_proposal_says_what_how_many_and_how_sure_and_formats_nothing():
    title = pairs.proposal_title(proposal(pairs=tuple(map(pair, range(1200)))))
    assert title == r"masks in b\_\* · 1,200 pairs · sure, 90 %"


def test_caption_of_a_proposal_holds_its_doubts():
    one = proposal(doubts=(Note("It looks inverted."),))
    assert pairs.proposal_caption(one, one) == r"The names are equal\. It looks inverted\."


def test_caption_of_another_proposal_repeats_nothing():
    one = proposal(doubts=(Note("There are {num} others.", {"num": 2}),))
    other = proposal(key="o", doubts=(*one.doubts, Note("It looks inverted.")))
    assert pairs.proposal_caption(other, one) == r"It looks inverted\."
    assert pairs.proposal_caption(other, None) == ""


def test_table_shows_the_first_pairs_only_and_a_split_only_where_there_is_one():
    found = [pair(number) for number in range(pairs.TABLE_ROWS + 50)]
    table = pairs.pair_table(found)
    assert len(table) == pairs.TABLE_ROWS
    assert list(table.columns) == ["image", "masks"]
    assert table["image"][0] == "0.jpg"
    with_split = pairs.pair_table([pair(1, split="test"), pair(2)])
    assert list(with_split["split"]) == ["test", ""]


def test_table_tells_how_many_instance_masks_an_image_has():
    table = pairs.pair_table([pair(1, masks=("m/1.png", "m/2.png", "m/3.png"))])
    assert list(table["masks"]) == ["3 masks, the first 1.png"]


def test_csv_has_every_pair_and_a_line_for_each_mask():
    found = [pair(1, masks=("x, y.png", 'q".png'), split="val"), *map(pair, range(2, 500))]
    rows = rows_of(pairs.pairs_csv(found))
    assert rows[0] == ["image", "mask", "split"]
    assert rows[1:3] == [["a/1.jpg", "x, y.png", "val"], ["a/1.jpg", 'q".png', "val"]]
    assert len(rows) == 1 + 2 + 498


def test_csv_of_what_is_left_out_says_why_and_names_the_candidates():
    text = pairs.left_out_csv(
        proposal(unmatched=("u.png",), ambiguous=(Ambiguous("i.png", ("m1.png", "m2.png")),))
    )
    assert rows_of(text)[1:] == [
        ["u.png", "unmatched", ""],
        ["i.png", "ambiguous", "m1.png | m2.png"],
    ]


def test_folders_are_those_that_hold_pictures_themselves():
    names = ["b/10/x.PNG", "b/9/x.png", "b/9/y.jpg", "b/readme.txt", "top.tif"]
    assert pairs.folders(names) == {"": 1, "b/9": 2, "b/10": 1}


def test_mismatches_of_the_same_sizes_are_told_once():
    groups = pairs.size_groups(
        [
            mismatch((10, 10), (5, 5), is_close=False),
            *[mismatch((1600, 1199), (1600, 1200), name=f"{n}.png") for n in range(3)],
        ]
    )
    assert [(group.num_pairs, group.is_close) for group in groups] == [(3, True), (1, False)]
    words = pairs.mismatch_words(groups)
    assert words == (
        "3 masks are 1600×1200 px, their images 1600×1199 px, such as “0.png”. "
        "1 more differs in another way."
    )
    assert "10×10" not in words


@pytest.mark.parametrize(
    "choice, words",
    [
        ("crop", "Cut to what image and mask share: 3. Left out, as they differ by too much: 1."),
        ("resize", "Masks brought to the size of their image: 4."),
        ("skip", "Left out: 4."),
    ],
)
def test_effect_of_each_choice_counts_the_samples(choice, words):
    close = [mismatch((1600, 1199), (1600, 1200))] * 3
    groups = pairs.size_groups([*close, mismatch((10, 10), (5, 5), is_close=False)])
    assert pairs.mismatch_effect(groups, choice).startswith(words)


def header(width, height, *, channels=3, orientation=1):
    return PictureHeader(
        width=width,
        height=height,
        num_pages=1,
        num_channels=channels,
        mode="RGB",
        format="PNG",
        orientation=orientation,
    )


def test_only_images_with_a_choice_of_channels_are_counted():
    found = [pair(number) for number in range(4)]
    headers = {"a/0.jpg": header(4, 4, channels=5), "a/1.jpg": header(4, 4, channels=1)}
    headers["a/2.jpg"] = header(4, 4, channels=5)
    assert pairs.channel_counts(found, headers) == {5: 2}


def test_sizes_are_those_of_upright_images():
    headers = {"a/0.jpg": header(4, 9), "a/1.jpg": header(9, 4, orientation=6)}
    assert pairs.image_sizes([pair(0), pair(1), pair(2)], headers) == {"4×9": 2}


@pytest.mark.parametrize("num", [0, 1, 2, 5, 6, 7, 1000])
def test_samples_shown_are_first_last_and_spread(num):
    shown = positions(num, 0)
    assert len(shown) == min(num, NUM_SHOWN)
    assert len(set(shown)) == len(shown)
    assert all(0 <= position < num for position in shown)
    if num > 1:
        assert shown[0] == 0 and shown[-1] == num - 1


def test_each_draw_shows_others_and_the_same_draw_the_same():
    draws = [tuple(positions(1000, draw)) for draw in range(5)]
    assert len(set(draws)) == 5
    assert tuple(positions(1000, 3)) == draws[3]
    assert all(list(draw) == sorted(set(draw)) for draw in draws)
