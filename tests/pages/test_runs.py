"""The Runs page: what is training, what was trained, and which to look at."""

import pandas as pd
import pytest

from engine.config import RECIPES
from engine.errors import Diverged
from engine.jobs.control import describe_run
from engine.store import attempts, runs
from tests.pages.support import MARKUP, MARKUP_SHOWN, as_read, links, title, words

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
        "◌ queued · 1",
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
    (row,) = table(page).drop(columns=["created", "tags"]).to_dict("records")
    assert row == {
        "status": "▶ running",
        "name": "Cells quick 1",
        "dataset": "Cells",
        "owner": "ada",
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
    attempts.finish(workbench.database, run.job, "completed")
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


def shown(page):
    return list(table(page)["name"]) if page.dataframe else []


@pytest.fixture
def several(dataset, make_runs, workbench):
    """Runs that differ in everything a person may look for, by name."""
    found = {
        "Alpha": make_runs.ended(dataset, "Alpha"),
        "Beta": make_runs.ended(dataset, "Beta", status="failed", error=DIVERGED),
        "Gamma": make_runs.ended(dataset, "Gamma", status="stopped"),
        "Old": make_runs.ended(dataset, "Old"),
    }
    describe_run(workbench, found["Alpha"].id, tags=["paper"], notes="the best", actor="ada")
    describe_run(workbench, found["Beta"].id, tags=["paper", "wide"], actor="ada")
    describe_run(workbench, found["Old"].id, archived=True, actor="ada")
    return found


def test_archived_runs_are_shown_only_when_asked_for(open_page, several):
    page = open_page("runs.py")
    assert not page.exception
    assert shown(page) == ["Gamma", "Beta", "Alpha"]
    page.toggle(key="runs_archived").set_value(True).run()
    assert shown(page) == ["Old", "Gamma", "Beta", "Alpha"]
    assert page.query_params == {"archived": ["True"]} or page.query_params == {"archived": "True"}
    page.toggle(key="runs_archived").set_value(False).run()
    assert "archived" not in page.query_params


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"find": "alp"}, ["Alpha"]),
        ({"find": "BEST the"}, ["Alpha"]),
        ({"find": "wide"}, ["Beta"]),
        ({"find": "old"}, []),
        ({"find": "old", "archived": "True"}, ["Old"]),
        ({"status": "failed"}, ["Beta"]),
        ({"status": ["failed", "stopped"]}, ["Gamma", "Beta"]),
        ({"tag": "paper"}, ["Beta", "Alpha"]),
        ({"tag": "paper", "status": "completed"}, ["Alpha"]),
        ({"tag": "no such", "status": "no such"}, ["Gamma", "Beta", "Alpha"]),
    ],
)
def test_what_is_looked_for_stands_in_the_address(open_page, several, query, expected):
    page = open_page("runs.py", **query)
    assert not page.exception
    assert shown(page) == expected
    assert ("No run is as you look for it." in words(page)) == (not expected)


def test_search_is_kept_in_the_address(open_page, several):
    page = open_page("runs.py")
    page.text_input(key="runs_find").set_value("beta").run()
    page.multiselect(key="runs_of_status").set_value(["failed"]).run()
    assert not page.exception
    assert shown(page) == ["Beta"]
    assert {key: page.query_params[key] for key in ("find", "status")} in (
        {"find": "beta", "status": "failed"},
        {"find": ["beta"], "status": ["failed"]},
    )
    page.text_input(key="runs_find").set_value("").run()
    assert "find" not in page.query_params


def test_owner_is_a_column_and_a_choice_only_where_there_are_several(
    open_page, dataset, make_runs, workbench
):
    make_runs.ended(dataset, "Hers")
    page = open_page("runs.py")
    assert not [each for each in page.multiselect if each.key == "runs_of_owner"]
    runs.add(
        workbench.database,
        name="His",
        dataset_id=dataset.id,
        config=RECIPES["quick"],
        split={"train": [0], "val": [1], "test": [2]},
        num_parameters=1,
        actor="bob",
    )
    page = open_page("runs.py", owner="bob")
    assert not page.exception
    assert shown(page) == ["His"]
    assert page.multiselect(key="runs_of_owner").options == ["ada", "bob"]


def statuses(workbench):
    return {run.name: run.status for run in runs.all_newest_first(workbench.database)}


def test_bulk_buttons_stand_there_once_something_is_ticked(open_page, several):
    page = open_page("runs.py")
    assert [button.key for button in page.button] == ["runs_compare"]
    page = select(page, rows=[0])
    assert {"runs_stop", "runs_pause", "runs_resume", "runs_archive", "runs_delete"} <= {
        button.key for button in page.button
    }


def test_bulk_wish_does_what_it_may_and_says_what_was_refused(
    open_page, dataset, make_runs, workbench
):
    make_runs.ended(dataset, "Ended")
    make_runs.running(dataset, "Running")
    make_runs.queued(dataset, "Queued")
    page = select(open_page("runs.py"), rows=[0, 1, 2])
    page.button(key="runs_stop").click().run()
    assert not page.exception
    assert statuses(workbench) == {"Ended": "completed", "Running": "running", "Queued": "stopped"}
    assert [as_read(toast.value) for toast in page.toast] == ["2 of 3 asked to stop."]
    (warning,) = page.warning
    assert as_read(warning.value) == (
        "Refused 1 of 3: - **Ended**: It has already completed; there is nothing to stop."
    )
    # It stays until it is put away; the toast is said once.
    page.run()
    assert page.warning
    assert not page.toast
    page.button(key="runs_outcome_away").click().run()
    assert not page.warning


def test_runs_are_paused_and_resumed_together(open_page, dataset, make_runs, workbench):
    first = make_runs.ended(dataset, "First", status="stopped")
    make_runs.keep_state(first)
    make_runs.ended(dataset, "Second", status="stopped")
    page = select(open_page("runs.py"), rows=[0, 1])
    page.button(key="runs_resume").click().run()
    assert not page.exception
    assert statuses(workbench) == {"First": "queued", "Second": "stopped"}
    assert "training state was removed" in page.warning[0].value
    page.button(key="runs_pause").click().run()
    assert statuses(workbench)["First"] == "stopped"
    # It had not begun again, so it is what it was before.
    assert list(table(page)["status"]) == ["■ stopped", "■ stopped"]


def test_runs_are_archived_and_brought_back_together(open_page, several, workbench):
    page = select(open_page("runs.py"), rows=[0, 1])
    page.button(key="runs_archive").click().run()
    assert not page.exception
    assert shown(page) == ["Alpha"]
    page = open_page("runs.py", archived="True")
    page = select(page, rows=[shown(page).index("Old")])
    page.button(key="runs_unarchive").click().run()
    assert not page.exception
    archived = {run.name for run in runs.all_newest_first(workbench.database) if run.archived}
    assert archived == {"Gamma", "Beta"}


def test_tags_are_added_to_those_that_are_there(open_page, several, workbench):
    page = select(open_page("runs.py"), rows=[0, 1])
    page.multiselect(key="runs_new_tags").set_value(["wide"]).run()
    page.button(key="runs_tag").click().run()
    assert not page.exception
    tags = {run.name: run.tags for run in runs.all_newest_first(workbench.database)}
    assert tags == {"Gamma": ("wide",), "Beta": ("paper", "wide"), "Alpha": ("paper",), "Old": ()}


def test_deletion_asks_first(open_page, several, workbench):
    page = select(open_page("runs.py"), rows=[0, 2])
    page.button(key="runs_delete").click().run()
    assert not page.exception
    assert len(statuses(workbench)) == 4
    assert "2 runs" in words(page)


def test_other_rows_than_those_that_were_ticked_are_never_meant(open_page, several, workbench):
    page = select(open_page("runs.py"), rows=[0])
    page.text_input(key="runs_find").set_value("alpha").run()
    assert not page.exception
    assert "runs_archive" not in [button.key for button in page.button]
    assert not any(run.archived for run in runs.all_newest_first(workbench.database)[1:])
