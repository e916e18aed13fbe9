"""Scores are integers, and come back as they went in."""

import time

import numpy as np
import pytest

from engine.store import runs, scores
from engine.store.scores import SampleScore

SCORES = [
    SampleScore(position=2, split="val", tp=(2**31, 5), fp=(0, 1), fn=(3, 0)),
    SampleScore(position=0, split="train", tp=(0, 0), fp=(0, 0), fn=(0, 0)),
    SampleScore(position=1, split="test", tp=(7, 8), fp=(9, 10), fn=(11, 12)),
]


@pytest.fixture
def histograms():
    bins = np.random.default_rng(0).integers(0, 2**32, (3, 2, 2, 256), dtype=np.int64)
    bins[0, 0, 0, 0], bins[0, 0, 0, 1] = 0, 2**32 - 1
    return bins


@pytest.fixture
def run_id(database, add_dataset, add_run, histograms):
    run_id = add_run(add_dataset())
    scores.add(database, run_id, SCORES, list(histograms))
    return run_id


def test_counts_are_read_back_by_position(database, run_id):
    assert scores.of_run(database, run_id) == sorted(SCORES, key=lambda score: score.position)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_counts_of_one_split_are_its_own(database, run_id, split):
    assert scores.of_run(database, run_id, split) == [s for s in SCORES if s.split == split]


def test_histograms_are_read_back_exactly(database, run_id, histograms):
    for score, bins in zip(SCORES, histograms, strict=True):
        stored = scores.histograms_of(database, run_id, score.position)
        assert stored.dtype == np.int64
        assert np.array_equal(stored, bins)


def test_run_without_scores_has_none(database, add_dataset, add_run):
    assert scores.of_run(database, add_run(add_dataset())) == []


def test_scores_of_one_run_are_not_another_ones(database, add_dataset, add_run, histograms):
    dataset_id = add_dataset()
    first, second = add_run(dataset_id), add_run(dataset_id)
    scores.add(database, first, SCORES[:1], list(histograms[:1]))
    scores.add(database, second, SCORES[1:], list(histograms[1:]))
    assert scores.of_run(database, first) == SCORES[:1]
    assert [score.position for score in scores.of_run(database, second)] == [0, 1]


def test_portion_is_recorded_as_a_whole_or_not_at_all(database, run_id, histograms):
    new = SampleScore(position=9, split="val", tp=(1, 1), fp=(0, 0), fn=(0, 0))
    with pytest.raises(Exception, match="UNIQUE"):
        scores.add(database, run_id, [new, SCORES[0]], list(histograms[:2]))
    assert {score.position for score in scores.of_run(database, run_id)} == {0, 1, 2}


def test_run_is_scored_since_its_newest_scores_and_no_other_is(
    database, add_dataset, add_run, histograms
):
    run_id, other = (add_run(add_dataset()) for _ in range(2))
    assert runs.get(database, run_id).scored_at is None
    before = time.time()
    scores.add(database, run_id, SCORES[:1], list(histograms[:1]))
    first = runs.get(database, run_id).scored_at
    assert before <= first <= time.time()
    scores.add(database, run_id, SCORES[1:], list(histograms[1:]))
    assert runs.get(database, run_id).scored_at >= first
    assert runs.get(database, other).scored_at is None


def test_forgotten_scores_can_be_recorded_anew(database, add_dataset, add_run, run_id, histograms):
    other = add_run(add_dataset())
    scores.add(database, other, SCORES, list(histograms))
    scores.clear(database, run_id)
    assert scores.of_run(database, run_id) == []
    assert runs.get(database, run_id).scored_at is None
    assert len(scores.of_run(database, other)) == 3
    assert runs.get(database, other).scored_at is not None
    scores.clear(database, run_id)
    scores.add(database, run_id, SCORES, list(histograms))
    assert len(scores.of_run(database, run_id)) == 3


def test_run_is_not_scored_by_a_portion_that_was_refused(database, run_id, histograms):
    scores.clear(database, run_id)
    with pytest.raises(Exception, match="UNIQUE"):
        scores.add(database, run_id, [SCORES[0], SCORES[0]], list(histograms[:2]))
    assert runs.get(database, run_id).scored_at is None
