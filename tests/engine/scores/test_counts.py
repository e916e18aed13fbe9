"""Counting pixels, against hand-counted masks and brute force."""

import numpy as np
import pytest

from engine.scores.counts import IGNORED_INDEX, count, probability_histograms


def test_counts_of_a_hand_counted_mask():
    truth = np.array([[0, 0, 1], [1, 2, 2]], dtype=np.uint8)
    prediction = np.array([[0, 1, 1], [0, 2, 1]], dtype=np.uint8)
    counts = count(truth, prediction, 3)
    assert counts.tp == (1, 1, 1)
    assert counts.fp == (1, 2, 0)
    assert counts.fn == (1, 1, 1)


def test_ignored_pixels_are_left_out():
    truth = np.array([[0, IGNORED_INDEX], [1, IGNORED_INDEX]], dtype=np.uint8)
    prediction = np.array([[1, 1], [1, 0]], dtype=np.uint8)
    counts = count(truth, prediction, 2)
    assert (counts.tp, counts.fp, counts.fn) == ((0, 1), (0, 1), (1, 0))


def test_all_pixels_ignored_gives_zero_counts():
    truth = np.full((2, 2), IGNORED_INDEX, dtype=np.uint8)
    counts = count(truth, np.zeros((2, 2), dtype=np.uint8), 2)
    assert (counts.tp, counts.fp, counts.fn) == ((0, 0), (0, 0), (0, 0))


@pytest.mark.parametrize("shape", [(2, 3), (3, 2)])
def test_masks_of_different_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="Truth is"):
        count(np.zeros((2, 2), dtype=np.uint8), np.zeros(shape, dtype=np.uint8), 2)


def test_values_that_are_no_class_are_refused():
    with pytest.raises(ValueError, match="no index of 2 classes"):
        count(np.zeros((1, 1), np.uint8), np.full((1, 1), 2, np.uint8), 2)
    with pytest.raises(ValueError, match="no index of 2 classes"):
        count(np.full((1, 1), 3, np.uint8), np.zeros((1, 1), np.uint8), 2)


def test_histograms_give_the_counts_at_any_threshold():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (40, 40)).astype(np.uint8)
    truth[:5] = IGNORED_INDEX
    foreground = rng.random((40, 40), dtype=np.float32)
    histograms = probability_histograms(truth, np.stack([1 - foreground, foreground]))
    for bin_index in (1, 64, 128, 200):
        prediction = (foreground >= bin_index / 256).astype(np.uint8)
        expected = count(truth, prediction, 2)
        assert histograms[1, 0, bin_index:].sum() == expected.tp[1]
        assert histograms[1, 1, bin_index:].sum() == expected.fp[1]


def test_probability_one_falls_into_the_last_bin():
    truth = np.ones((1, 1), dtype=np.uint8)
    histograms = probability_histograms(truth, np.array([[[0.0]], [[1.0]]], dtype=np.float32))
    assert histograms[1, 0, 255] == 1
    assert histograms[0, 1, 0] == 1
    assert histograms.sum() == 2
