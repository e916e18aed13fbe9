"""The Runs page: what is training, what was trained, and which to look at."""

import pandas as pd
import pytest

from engine.errors import Diverged
from engine.store import jobs
from tests.pages.support import MARKUP, MARKUP_SHOWN, links, title, words

DIVERGED = Diverged("The loss became {loss}.", loss="nan").to_record()


def table(page):
    (found,) = page.dataframe
    return found.value


def select(page, rows=(), cells=()):
    page.session_state[page.dataframe[0].key] = {
        "selection": {"rows": list(rows), "columns": [], "cells": [list(cell) for cell in cells]}
    }
    return page.run()


def test_without_a_run_the_page_leads_to_a_training(open_page):
    page = open_page("runs.py")
    assert not page.exception
    assert "No runs yet" in words(page)
    assert links(page).keys() == {"Start a training"}
    assert not page.dataframe
    assert not page.button


def test_every_status_has_its_word(open_page, dataset, make_runs, workbench):
    make_runs.ended(dataset, "failed", status="failed", error=DIVERGED)
    make_runs.ended(dataset, "stopped", status="stopped")
    make_runs.ended(dataset, "completed")
    make_runs.running(dataset, "running")
    make_runs.queued(dataset, "queued")
    page = open_page("runs.py")
    assert not page.exception
    assert list(table(page)["status"]) == [
        "◌ queued",
        "▶ running",
        "✓ completed",
        "■ stopped",
        "✕ failed",
    ]
    assert list(table(page)["name"]) == ["queued", "running", "completed", "stopped", "failed"]
    assert "No runs yet" not in words(page)


def test_runs_stand_newest_first(open_page, dataset, make_runs, clock):
    for number in range(3):
        make_runs.ended(dataset, f"Run {number}")
        clock.now += 60
    page = open_page("runs.py")
    assert not page.exception
    assert list(table(page)["name"]) == ["Run 2", "Run 1", "Run 0"]
    assert table(page)["created"].is_monotonic_decreasing
    assert not page.error


def test_running_row_says_how_far_it_is_and_how_long_it_takes(open_page, dataset, make_runs, clock):
    make_runs.running(dataset, progress=0.25, num_epochs=3, epochs=12)
    clock.now += 100
    page = open_page("runs.py")
    assert not page.exception
    (row,) = table(page).drop(columns="created").to_dict("records")
    assert row == {
        "status": "▶ running",
        "name": "Cells quick 1",
        "dataset": "Cells",
        "recipe": "quick",
        "progress": 0.25,
        "epochs": "3 / 12",
        "best_dice": pytest.approx(0.8),
        "remaining": "5 min 0 s",
        "elapsed": "1 min 40 s",
    }


def test_waiting_row_promises_no_time(open_page, dataset, make_runs, clock):
    make_runs.queued(dataset, recipe="tutorial", max_minutes=5.0)
    clock.now += 100
    page = open_page("runs.py")
    assert not page.exception
    (row,) = table(page).to_dict("records")
    assert (row["elapsed"], row["remaining"], row["epochs"]) == ("–", "–", "0")
    assert pd.isna(row["best_dice"])


def test_ended_row_keeps_its_run_time(open_page, dataset, make_runs, workbench, clock):
    run = make_runs.running(dataset, progress=0.5)
    clock.now += 42
    jobs.finish(workbench.database, run.job.id, "completed")
    clock.now += 1000
    page = open_page("runs.py")
    assert not page.exception
    (row,) = table(page).to_dict("records")
    assert (row["elapsed"], row["remaining"], row["progress"]) == ("42 s", "–", 1.0)
    assert "◌" not in row["status"]


def test_created_is_the_local_time(open_page, dataset, make_runs, clock, tokyo):
    clock.now = 1_767_225_600.0  # 2026-01-01 00:00 in Greenwich
    make_runs.ended(dataset)
    page = open_page("runs.py")
    assert not page.exception
    assert table(page)["created"][0] == pd.Timestamp("2026-01-01 09:00")


def test_clicked_cell_opens_its_run(open_page, dataset, make_runs):
    first = make_runs.ended(dataset, "First")
    make_runs.ended(dataset, "Second")
    page = select(open_page("runs.py"), cells=[(1, "name")])
    assert not page.exception
    assert title(page) == "First"
    assert page.query_params == {"run": first.id}


def test_two_ticked_rows_can_be_compared(open_page, dataset, make_runs):
    first, _second, third = (make_runs.ended(dataset, name) for name in ("A", "B", "C"))
    page = select(open_page("runs.py"), rows=[0, 2])
    assert "2 selected" in words(page)
    page.button(key="runs_compare").click().run()
    assert not page.exception
    assert title(page) == "Compare"
    assert page.query_params == {"runs": [third.id, first.id]}
    assert "B" not in words(page).splitlines()


@pytest.mark.parametrize("rows", [[], [0]])
def test_fewer_than_two_rows_cannot_be_compared(open_page, dataset, make_runs, rows):
    make_runs.ended(dataset)
    page = select(open_page("runs.py"), rows=rows)
    assert not page.exception
    assert page.button(key="runs_compare").disabled
    assert title(page) != "Compare"


def test_names_with_markup_are_shown_as_they_are(open_page, add_dataset, make_runs):
    make_runs.queued(add_dataset(MARKUP), MARKUP)
    page = open_page("runs.py")
    assert not page.exception
    assert (table(page)["name"][0], table(page)["dataset"][0]) == (MARKUP, MARKUP)
    assert MARKUP_SHOWN not in table(page).to_string()
