"""How far a job is, and when it will be done."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import RECIPES, with_changes
from engine.store.jobs import Job
from engine.store.runs import Run
from pages.common.progress import elapsed_seconds, epochs_text, expected_seconds, remaining_seconds

JOB = Job(
    id="job",
    kind="train",
    payload={},
    actor="ada",
    status="running",
    created_at=900.0,
    started_at=1000.0,
    heartbeat_at=None,
    ended_at=None,
    wish=None,
    progress=0.25,
    phase="training",
    handle=None,
    error=None,
    result=None,
    priority=0,
    rank=900.0,
    slot="cpu",
    attempts=1,
    retries=0,
    queued_at=900.0,
    waited_seconds=100.0,
    ran_seconds=0.0,
    start_progress=0.0,
    incidents=[],
)
RUN = Run(
    id="run",
    name="Run",
    dataset_id="data",
    dataset_name="Cells",
    actor="ada",
    created_at=900.0,
    config=RECIPES["quick"],
    num_parameters=1,
    environment=None,
    reasons={},
    preflight=None,
    adjustments={},
    scored_at=None,
    tags=(),
    notes="",
    archived=False,
    job=JOB,
    num_epochs_done=7,
    best_epoch=None,
    best_val_dice=None,
)


def job_with(**values):
    return replace(JOB, **values)


def test_time_counts_from_the_start_and_not_from_the_queue():
    assert elapsed_seconds(JOB, now=1100.0) == 100.0


def test_time_of_earlier_attempts_counts_and_that_between_them_does_not():
    assert elapsed_seconds(job_with(attempts=2, ran_seconds=40.0), now=1100.0) == 140.0
    waiting = job_with(status="queued", attempts=1, ran_seconds=40.0, queued_at=1050.0)
    assert elapsed_seconds(waiting, now=1100.0) == 40.0


def test_time_stands_still_when_the_job_has_ended():
    ended = job_with(status="failed", ended_at=1060.0, ran_seconds=60.0)
    assert elapsed_seconds(ended, now=9999.0) == 60.0


def test_job_that_never_started_has_no_time():
    waiting = job_with(status="queued", started_at=None, attempts=0)
    stopped = job_with(status="stopped", started_at=None, ended_at=950.0, attempts=0)
    assert elapsed_seconds(waiting, now=1100.0) is None
    assert elapsed_seconds(stopped, now=1100.0) is None
    assert remaining_seconds(waiting, now=1100.0) is None


def test_time_left_follows_from_the_pace_so_far():
    assert remaining_seconds(JOB, now=1100.0) == 300.0


def test_time_left_follows_from_the_pace_of_this_attempt():
    # Half was done before: a quarter in 100 s, so the last quarter takes as long.
    resumed = job_with(progress=0.75, start_progress=0.5, attempts=2, ran_seconds=5000.0)
    assert remaining_seconds(resumed, now=1100.0) == 100.0
    # At first it trains again what its death has lost.
    assert remaining_seconds(replace(resumed, progress=0.45), now=1100.0) is None


def test_scoring_has_a_time_left_of_its_own():
    scoring = job_with(kind="evaluate", phase="evaluating", progress=0.5)
    assert remaining_seconds(scoring, now=1100.0) == 100.0
    assert remaining_seconds(job_with(phase="evaluating", progress=0.96), now=1100.0) is None


@pytest.mark.parametrize("progress", [0.0, 0.009])
def test_without_a_pace_there_is_no_time_left(progress):
    assert remaining_seconds(job_with(progress=progress), now=1100.0) is None


@pytest.mark.parametrize("status", ["completed", "stopped", "failed"])
def test_ended_job_has_no_time_left(status):
    assert remaining_seconds(job_with(status=status, ended_at=1100.0), now=1100.0) is None


@given(st.floats(0.03, 1.0), st.floats(-1e3, 1e6))
def test_time_left_is_never_negative_though_the_clock_be_set_back(progress, elapsed):
    left = remaining_seconds(job_with(progress=progress), now=1000.0 + elapsed)
    assert left is not None and left >= 0


def test_epochs_are_counted_of_those_planned():
    assert epochs_text(RUN) == "7 / 30"


def test_epochs_of_a_time_budget_have_no_known_end():
    timed = replace(RUN, config=with_changes(RECIPES["quick"], {"max_minutes": 5.0}))
    assert epochs_text(timed) == "7"


def test_expected_time_is_that_of_the_preflight():
    assert expected_seconds(RUN) is None
    assert expected_seconds(replace(RUN, preflight={"environment": {}})) is None
    measured = replace(RUN, preflight={"speed": {"total_seconds": 90}})
    assert expected_seconds(measured) == 90.0
