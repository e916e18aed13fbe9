"""The score rules against numbers computed by hand."""

from dataclasses import dataclass

import pytest

from engine.scores.counts import Counts
from engine.scores.rules import dice, image_dice, image_iou, iou, pool, summarize


@dataclass(frozen=True)
class Row:
    index: int
    background: bool


BINARY = (Row(0, True), Row(1, False))
THREE = (Row(0, True), Row(1, False), Row(2, False))


@pytest.mark.parametrize(
    ("tp", "fp", "fn", "expected_dice", "expected_iou"),
    [
        (3, 0, 0, 1.0, 1.0),
        (0, 2, 5, 0.0, 0.0),
        (4, 2, 2, 8 / 12, 4 / 8),
        (1, 0, 3, 2 / 5, 1 / 4),
        (0, 0, 0, None, None),
    ],
)
def test_dice_and_iou_equal_hand_computed_values(tp, fp, fn, expected_dice, expected_iou):
    assert dice(tp, fp, fn) == expected_dice
    assert iou(tp, fp, fn) == expected_iou


def test_background_is_never_averaged_in():
    # Background perfect (90 pixels), foreground half found.
    counts = Counts(tp=(90, 4), fp=(2, 2), fn=(2, 2))
    assert image_dice(counts, BINARY) == 8 / 12
    assert image_iou(counts, BINARY) == 4 / 8


def test_image_without_foreground_in_truth_and_prediction_scores_one():
    assert image_dice(Counts(tp=(100, 0), fp=(0, 0), fn=(0, 0)), BINARY) == 1.0


def test_false_alarm_on_an_empty_image_scores_zero():
    assert image_dice(Counts(tp=(99, 0), fp=(0, 1), fn=(1, 0)), BINARY) == 0.0


def test_class_absent_from_truth_and_prediction_does_not_count():
    counts = Counts(tp=(50, 5, 0), fp=(0, 5, 0), fn=(5, 0, 0))
    # Class 1: 10 / 15. Class 2 does not occur, so it neither helps nor hurts.
    assert image_dice(counts, THREE) == 10 / 15


def test_class_predicted_where_it_is_not_counts_as_zero():
    counts = Counts(tp=(50, 5, 0), fp=(0, 0, 3), fn=(3, 0, 0))
    assert image_dice(counts, THREE) == (1.0 + 0.0) / 2


def test_pooled_dice_sums_counts_before_it_divides():
    big = Counts(tp=(0, 90), fp=(0, 5), fn=(5, 5))
    small = Counts(tp=(95, 0), fp=(5, 0), fn=(0, 5))
    summary = summarize([big, small], BINARY)
    assert summary.mean_image_dice == pytest.approx((180 / 190 + 0.0) / 2)
    assert summary.pooled_dice == pytest.approx(180 / 195)
    assert pool([big, small]).fn == (5, 10)


def test_class_summary_averages_over_the_images_that_show_the_class():
    shows_it = Counts(tp=(10, 4), fp=(1, 1), fn=(1, 1))
    does_not = Counts(tp=(16, 0), fp=(0, 0), fn=(0, 0))
    summary = summarize([shows_it, does_not], BINARY)
    assert summary.by_class[1].dice == 8 / 10
    assert summary.by_class[1].num_images == 1
    assert summary.by_class[0].dice == pytest.approx((20 / 22 + 1) / 2)
    assert summary.num_images == 2


def test_class_that_occurs_nowhere_has_no_score():
    summary = summarize([Counts(tp=(4, 0), fp=(0, 0), fn=(0, 0))], BINARY)
    assert summary.by_class[1].dice is None
    assert summary.by_class[1].pooled_dice is None


def test_no_images_have_no_summary():
    assert summarize([], BINARY) is None
