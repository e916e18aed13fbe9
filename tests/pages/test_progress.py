"""How far a run is, and when it will be done."""

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
    stop_requested=False,
    progress=0.25,
    phase="training",
    handle=None,
    error=None,
    result=None,
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
    job=JOB,
    num_epochs_done=7,
    best_epoch=None,
    best_val_dice=None,
)


def run_with(**job_values):
    return replace(RUN, job=replace(JOB, **job_values))


def test_time_counts_from_the_start_and_not_from_the_queue():
    assert elapsed_seconds(RUN, now=1100.0) == 100.0


def test_time_stands_still_when_the_run_has_ended():
    assert elapsed_seconds(run_with(status="failed", ended_at=1060.0), now=9999.0) == 60.0


def test_run_that_never_started_has_no_time():
    waiting = run_with(status="queued", started_at=None)
    stopped = run_with(status="stopped", started_at=None, ended_at=950.0)
    assert elapsed_seconds(waiting, now=1100.0) is None
    assert elapsed_seconds(stopped, now=1100.0) is None
    assert remaining_seconds(waiting, now=1100.0) is None


def test_time_left_follows_from_the_pace_so_far():
    assert remaining_seconds(RUN, now=1100.0) == 300.0


@pytest.mark.parametrize("progress", [0.0, 0.009])
def test_without_a_pace_there_is_no_time_left(progress):
    assert remaining_seconds(run_with(progress=progress), now=1100.0) is None


@pytest.mark.parametrize("status", ["completed", "stopped", "failed"])
def test_ended_run_has_no_time_left(status):
    assert remaining_seconds(run_with(status=status, ended_at=1100.0), now=1100.0) is None


@given(st.floats(0.03, 1.0), st.floats(0, 1e6))
def test_time_left_is_never_negative(progress, elapsed):
    left = remaining_seconds(run_with(progress=progress), now=1000.0 + elapsed)
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
