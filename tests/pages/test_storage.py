"""The Storage page: what takes how much, and removals that say what will be gone before it is."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.config import recipe, with_changes
from engine.jobs.logs import log_key
from engine.jobs.queue import submit_training
from engine.jobs.storage import cache_name, has_training_state, survey
from engine.store import attempts, jobs, runs
from engine.store.datasets import Dataset
from engine.store.runs import Run
from engine.workbench import Workbench
from pages.common import storage_removals
from tests.pages.support import ACTOR, MARKUP, MARKUP_SHOWN, figures, title, words

CONFIG = with_changes(recipe("quick"), {"image_size_px": 64})
MB = 10**6


@dataclass
class MakeRuns:
    """Writes runs with files as large as those of a training, but empty."""

    workbench: Workbench

    def live(self, dataset: Dataset, name: str = "cells 1") -> Run:
        """A run at work."""
        run_id = submit_training(self.workbench, dataset.id, CONFIG, name=name, actor=ACTOR)
        assert attempts.claim(self.workbench.database, ("train",), "cpu")
        run = runs.get(self.workbench.database, run_id)
        for key, size in {
            f"runs/{run_id}/checkpoints/best.safetensors": 31 * MB,
            f"runs/{run_id}/checkpoints/last.pt": 93 * MB,
            f"runs/{run_id}/checkpoints/previous.pt": 93 * MB,
            f"runs/{run_id}/thumbs/000000.webp": 2 * MB,
            log_key(run.job.id): 1 * MB,
            f"datasets/{dataset.id}/cache/{cache_name(CONFIG)}/masks.npy": 40 * MB,
        }.items():
            path = self.path(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:
                file.truncate(size)
        return run

    def ended(self, dataset: Dataset, name: str = "cells 1", wish: jobs.Wish | None = None) -> Run:
        """A run that has ended."""
        run = self.live(dataset, name)
        if wish:
            jobs.request_stop(self.workbench.database, run.job.id, wish=wish, actor=ACTOR)
        status: jobs.JobStatus = "stopped" if wish else "completed"
        assert attempts.finish(self.workbench.database, run.job, status)
        return runs.get(self.workbench.database, run.id)

    def path(self, key: str) -> Path:
        """Where a file lies."""
        return self.workbench.files.path(key)


@pytest.fixture
def make(workbench) -> MakeRuns:
    return MakeRuns(workbench)


def tables(page):
    """The tables of the page: runs, and datasets."""
    return [found.value for found in page.dataframe]


def choose(page, *rows: int, table: int = 0):
    page.session_state[page.dataframe[table].key] = {
        "selection": {"rows": list(rows), "columns": [], "cells": []}
    }
    return page.run()


def press(page, key: str):
    return page.button(key=f"storage_{key}").click().run()


def agree(page, key: str):
    """Asks and answers in one run: this test's browser has no dialogs of its own."""
    page.button(key=f"storage_{key}").click()
    return page.button(key="storage_remove").click().run()


def test_empty_workbench_says_so_and_offers_no_removal(open_page):
    page = open_page("storage.py")
    assert not page.exception
    assert title(page) == "Storage"
    assert "Nothing is stored yet" in words(page)
    assert not page.dataframe and not page.button


def test_every_run_has_a_row_with_its_sizes(open_page, dataset, make):
    make.ended(dataset)
    make.ended(dataset, "half way", wish="pause")
    make.live(dataset, MARKUP)
    page = open_page("storage.py")
    assert not page.exception
    rows = tables(page)[0].to_dict("records")
    assert [row["name"] for row in rows] == [MARKUP, "half way", "cells 1"]
    assert [row["status"] for row in rows] == ["▶ running", "‖ paused", "✓ completed"]
    ended = rows[2]
    assert (ended["weights"], ended["state"], ended["pictures"], ended["log"]) == (
        31 * MB, 186 * MB, 2 * MB, 1 * MB,
    )  # fmt: skip
    assert ended["total"] == 220 * MB
    assert (ended["expires"] - ended["used"]).days == 30
    assert [str(row["expires"]) for row in rows[:2]] == ["NaT", "NaT"], "they are kept"


def test_parts_of_the_bar_are_the_kinds_with_their_sizes(open_page, dataset, make):
    make.ended(dataset)
    page = open_page("storage.py")
    names = [trace["name"] for trace in figures(page)["storage_kinds"]["data"]]
    assert {"Best weights 31 MB", "Training states 186 MB", "Prepared images 40 MB"} <= set(names)
    assert not [name for name in names if name.startswith("Uploads")], "there are none"
    (bar,) = page.get("progress")
    assert "free** of" in bar.proto.text


def test_removal_of_states_says_what_goes_and_takes_only_that(open_page, workbench, dataset, make):
    done, live = make.ended(dataset), make.live(dataset, "busy")
    page = open_page("storage.py")
    assert page.button(key="storage_states").disabled
    page = press(choose(page, 0, 1), "states")
    assert "The training states of **1 runs**, **186 MB**, are removed: cells 1." in words(page)
    assert "Their best weights, scores, pictures and logs stay." in words(page)
    assert "Left as they are: 1 (no training state, or not ended)." in words(page)
    assert has_training_state(workbench, done.id), "it asks first"
    page = agree(page, "states")
    assert not page.exception
    assert not has_training_state(workbench, done.id)
    assert has_training_state(workbench, live.id)
    assert make.path(f"runs/{done.id}/checkpoints/best.safetensors").exists()
    assert [toast.value for toast in page.toast] == ["186 MB became free."]
    assert not page.warning


def test_deleted_runs_are_gone_with_their_files_and_others_stay(
    open_page, workbench, dataset, make
):
    first, second = make.ended(dataset, MARKUP), make.ended(dataset, "kept")
    page = press(choose(open_page("storage.py"), 1), "delete")
    shown = "\n".join(element.value for element in page.markdown)
    assert "**1 runs** are deleted" in shown and MARKUP_SHOWN in shown
    assert "This cannot be undone." in shown and "Their datasets stay" in shown
    assert len(runs.all_newest_first(workbench.database)) == 2, "it asks first"
    page = agree(page, "delete")
    assert not page.exception
    assert [run.id for run in runs.all_newest_first(workbench.database)] == [second.id]
    assert not make.path(f"runs/{first.id}").exists()
    assert make.path(f"runs/{second.id}/checkpoints/last.pt").exists()
    assert make.path(f"datasets/{dataset.id}/images").exists()
    assert list(tables(page)[0]["name"]) == ["kept"]


def test_live_runs_are_never_offered_for_removal(open_page, workbench, dataset, make):
    make.live(dataset)
    page = choose(open_page("storage.py"), 0)
    for key in ("states", "logs", "delete"):
        page = press(page, key)
        assert "Left as they are: 1" in words(page)
        assert "storage_remove" not in {button.key for button in page.button}
    assert len(runs.all_newest_first(workbench.database)) == 1


def test_run_resumed_while_the_question_stands_is_refused_and_said(
    open_page, workbench, dataset, make, monkeypatch
):
    other, resumed = make.ended(dataset, "other"), make.ended(dataset, "resumed")
    remove = storage_removals.remove_training_state

    def remove_too_late(opened: Workbench, run_id: str, *, actor: str) -> int:
        if run_id == resumed.id:
            runs.resume(workbench.database, run_id)
        return remove(opened, run_id, actor=actor)

    monkeypatch.setattr(storage_removals, "remove_training_state", remove_too_late)
    page = agree(press(choose(open_page("storage.py"), 0, 1), "states"), "states")
    assert not page.exception
    assert "“resumed” is queued and needs its training state" in words(page)
    assert has_training_state(workbench, resumed.id)
    assert not has_training_state(workbench, other.id)
    assert [toast.value for toast in page.toast] == ["186 MB became free."]
    assert "needs its training state" not in words(page.run()), "it is said once"


def test_logs_go_and_the_run_stays(open_page, dataset, make):
    run = make.ended(dataset)
    page = press(choose(open_page("storage.py"), 0), "logs")
    assert "The logs of **1 runs**, **1.0 MB**, are removed" in words(page)
    page = agree(page, "logs")
    assert not make.path(log_key(run.job.id)).exists()
    assert tables(page)[0]["total"].to_list() == [219 * MB]


def test_prepared_images_go_where_no_training_needs_them(open_page, add_dataset, make):
    idle, busy = add_dataset("idle"), add_dataset("busy", num_samples=9)
    make.ended(idle)
    make.live(busy)
    page = open_page("storage.py")
    rows = {row["name"]: row for row in tables(page)[1].to_dict("records")}
    assert (rows["idle"]["cache"], rows["idle"]["sizes"]) == (40 * MB, "64 px")
    assert rows["busy"]["sizes"] == "64 px (in use)"
    page = press(choose(page, 0, 1, table=1), "caches")
    assert "The prepared images of **1 datasets**, **40 MB**, are removed." in words(page)
    assert "Those at 1 sizes stay, because a training or a trial needs them." in words(page)
    page = agree(page, "caches")
    assert not make.path(f"datasets/{idle.id}/cache/64").exists()
    assert make.path(f"datasets/{idle.id}/images").exists()
    assert make.path(f"datasets/{busy.id}/cache/64/masks.npy").exists()


def test_page_says_what_goes_by_itself_and_when(open_page, workbench, dataset, make, monkeypatch):
    make.ended(dataset)
    text = words(open_page("storage.py"))
    assert "removed 30 days after the end of their run" in text
    assert "Nothing goes within the next 7 days." in text
    now = time.time()
    monkeypatch.setattr("pages.common.storage_views.time.time", lambda: now + 25 * 86_400)
    text = words(open_page("storage.py"))
    assert "go: the training states of 1 runs (186 MB), prepared images at 1 sizes (40 MB)." in text


def test_keeping_for_ever_is_said(open_page, dataset, make, monkeypatch):
    monkeypatch.setenv("WORKBENCH_KEEP_STATES_DAYS", "0")
    make.ended(dataset)
    page = open_page("storage.py")
    assert "Nothing is removed by itself" in words(page)
    assert str(tables(page)[0]["expires"][0]) in ("NaT", "None")


def test_rows_mean_the_same_runs_when_others_come_and_go(open_page, dataset, make):
    make.ended(dataset, "first")
    page = open_page("storage.py")
    before = page.dataframe[0].key
    make.ended(dataset, "second")
    assert page.run().dataframe[0].key != before, "a selection by number is not carried over"


def test_many_names_are_cut_short(make, dataset, workbench):
    for number in range(8):
        make.ended(dataset, f"run {number}")
    removal = storage_removals.deletion(survey(workbench).runs)
    assert "run 7, run 6, run 5, run 4, run 3, run 2 and 2 more" in removal.sentences[0]
    assert len(removal.steps) == 8
