"""Numbers, times and names as they are shown."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.common import formats
from tests.pages.support import as_read

SPECIAL = "\\`*_{}[]()<>#+-.!|~$:"
"""What markdown, Streamlit's colours, its icons and its formulas are written with."""

MUCH_MARKDOWN = st.text(st.sampled_from(SPECIAL + "ax1 \n") | st.characters())


@given(MUCH_MARKDOWN)
def test_no_special_character_stays_unescaped(text):
    unescaped = re.sub(r"\\[!-/:-@\[-`{-~]", "", formats.plain(text))
    assert not set(SPECIAL) & set(unescaped)


@given(MUCH_MARKDOWN)
def test_escaped_text_reads_as_it_was_written(text):
    assert as_read(formats.plain(text)) == " ".join(text.replace("\u2060", "").split())


@pytest.mark.parametrize("text", ["", "cells", "Zellen 3, größer", "细胞"])
def test_text_without_markdown_stays_as_it_is(text):
    assert formats.plain(text) == text


def test_entities_are_shown_literally():
    assert not re.search(r"(?<!\\)&\w", formats.plain("&lt;b&gt; &amp;"))


@pytest.mark.parametrize("text", ["a\n===", "a\n\n    b"])
def test_lines_make_no_heading_and_no_block_of_code(text):
    assert "\n" not in formats.plain(text)


@pytest.mark.parametrize(
    "value, shown", [(None, "–"), (0.0, "0.000"), (0.8984, "0.898"), (0.9996, "1.000")]
)
def test_score_has_three_digits(value, shown):
    assert formats.score(value) == shown


@pytest.mark.parametrize(
    "seconds, shown",
    [
        (None, "–"),
        (0, "0 s"),
        (7.4, "7 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (100 * 3600, "100 h 0 min"),
    ],
)
def test_duration_is_rounded_before_it_is_divided(seconds, shown):
    assert formats.duration(seconds) == shown


@given(st.floats(0, 1e7))
def test_duration_never_shows_sixty(seconds):
    numbers = [int(word) for word in formats.duration(seconds).split() if word.isdigit()]
    assert all(number < 60 for number in numbers[1:])
    assert "60 s" not in formats.duration(seconds)


@pytest.mark.parametrize("number, shown", [(0, "0"), (999, "999"), (7_697_345, "7,697,345")])
def test_count_is_grouped(number, shown):
    assert formats.count(number) == shown


@pytest.mark.parametrize(
    "counts, shown",
    [
        ({"24×24": 8}, "24×24 px"),
        ({"1000×20": 1, "24×24": 8}, "24×24 … 1000×20 px"),
        ({"9×9": 1, "10×9": 1, "10×10": 1}, "9×9 … 10×10 px"),
    ],
)
def test_sizes_are_ordered_as_numbers(counts, shown):
    assert formats.sizes(counts) == shown


def test_moment_is_local_time_to_the_minute(tokyo):
    assert formats.moment(1_767_225_659.9) == "2026-01-01 09:00"


@pytest.mark.parametrize(
    "paths, shown",
    [
        (["a/images/1", "a/images/2"], ["1", "2"]),
        (["a/x/1", "a/y/1"], ["x/1", "y/1"]),
        (["1", "a/1"], ["1", "a/1"]),
        (["images/1"], ["1"]),
        ([], []),
    ],
)
def test_folders_that_all_samples_share_are_not_shown(paths, shown):
    assert formats.without_shared_folders(paths) == shown
