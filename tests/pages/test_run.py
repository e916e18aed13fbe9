"""The page of one run: watch it learn, then look at every image."""

from dataclasses import replace

import numpy as np
import pytest

from engine.errors import Diverged, OutOfMemory, ProcessDied
from engine.jobs.logs import log_key
from engine.notes import Note
from engine.store import attempts, epochs, jobs, runs, scores
from tests.pages.support import (
    MARKUP,
    MARKUP_SHOWN,
    SCORED,
    as_read,
    components,
    epoch_record,
    figures,
    links,
    metrics,
    title,
    viewer_panes,
    words,
)

DIVERGED = Diverged(
    "The loss became {loss} in epoch {epoch}; lower the learning rate.",
    loss="nan",
    epoch=2,
    log="step 7\nstep 8",
).to_record()


@pytest.fixture
def dataset(add_dataset):
    """As many pictures as have scores."""
    return add_dataset(num_samples=len(SCORED))


def image_table(page, run):
    return page.get_by_key(image_table_key(page, run)).value


def image_table_key(page, run):
    return next(
        table.key
        for table in page.dataframe
        if (table.key or "").startswith(f"run_images_{run.id}_")
    )


def write_log(workbench, run, text):
    with workbench.files.writing(log_key(run.job.id)) as path:
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("query", [{}, {"run": ""}, {"run": "deadbeef"}])
def test_unknown_run_is_a_sentence_and_a_way_back(open_page, query):
    page = open_page("run.py", **query)
    assert not page.exception
    (warning,) = page.warning
    assert warning.value.startswith("There is no run “")
    assert links(page).keys() == {"All runs"}
    assert not page.metric
    assert not page.button


def test_id_with_markup_in_the_address_is_shown_literally(open_page):
    page = open_page("run.py", run=MARKUP)
    assert not page.exception
    assert MARKUP_SHOWN in page.warning[0].value
    assert MARKUP not in page.warning[0].value


def test_head_says_what_the_run_is(open_page, dataset, make_runs):
    run = make_runs.queued(dataset, recipe="tutorial")
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert title(page) == "Cells tutorial 1"
    assert (
        "recipe tutorial · 7,697,475 parameters · 2 training / 1 validation / 1 test · id " + run.id
    ) in words(page)
    assert links(page)["Cells"] == f"dataset?dataset={dataset.id}"
    assert not page.error


def test_queued_run_waits_and_promises_nothing(open_page, dataset, make_runs):
    page = open_page("run.py", run=make_runs.queued(dataset).id)
    assert not page.exception
    assert "queued" in words(page)
    assert [(bar.value, bar.text) for bar in page.progress] == [(0, "Waiting for a free slot")]
    assert metrics(page) == {
        "Best validation Dice": "–",
        "Best epoch": "–",
        "Epochs": "0 / 30",
        "Run time": "–",
        "Queue time": "0 s",
        "Time left": "–",
    }
    assert "The curves begin when the first epoch has ended." in words(page)
    assert not page.get("plotly_chart")


def test_running_run_shows_progress_best_dice_and_time_left(open_page, dataset, make_runs, clock):
    run = make_runs.running(dataset, progress=0.25, num_epochs=3, epochs=12)
    clock.now += 100
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert "running" in words(page)
    assert [(bar.value, bar.text) for bar in page.progress] == [(25, "Training")]
    assert metrics(page) == {
        "Best validation Dice": "0.800",
        "Best epoch": "3",
        "Epochs": "3 / 12",
        "Run time": "1 min 40 s",
        "Queue time": "0 s",
        "Time left": "5 min 0 s",
    }
    assert not page.error


def test_curves_of_a_running_run_reach_to_its_planned_end(open_page, dataset, make_runs):
    run = make_runs.running(dataset, num_epochs=2, epochs=12)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    losses, dices = figures(page)["run_loss"], figures(page)["run_dice"]
    assert [(line["name"], line["y"]) for line in losses["data"]] == [
        ("training", [1.0, 0.5]),
        ("validation", [1.5, 0.75]),
    ]
    assert [line["name"] for line in dices["data"]] == [
        "mean image Dice",
        "background",
        "class 1",
        "class 2",
    ]
    assert losses["layout"]["xaxis"]["range"][1] > 12
    assert "Epoch 2: 12.0 images/s, 2.5 s, learning rate 0.004." in words(page)
    assert "The curves begin" not in words(page)


def test_curves_of_an_ended_run_end_with_it(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, status="stopped", num_epochs=2, epochs=12)
    page = open_page("run.py", run=run.id, view="curves")
    assert not page.exception
    assert figures(page)["run_loss"]["layout"]["xaxis"]["range"][1] < 3


def test_failed_run_shows_reason_and_log(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, status="failed", num_epochs=1, error=DIVERGED)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert "failed" in words(page)
    assert [alert.value for alert in page.error] == [
        r"The loss became nan in epoch 2; lower the learning rate\."
    ]
    assert [code.value for code in page.code] == ["step 7\nstep 8"]
    assert metrics(page)["Best epoch"] == "1"
    assert "Time left" not in metrics(page)
    assert not page.progress


@pytest.mark.parametrize("status", ["stopped", "failed"])
def test_run_that_ended_before_its_first_epoch_says_so(open_page, dataset, make_runs, status):
    run = make_runs.ended(dataset, status=status, num_epochs=0)
    page = open_page("run.py", run=run.id, view="images")
    assert not page.exception
    assert "This run has no scores: it ended before its first epoch did." in words(page)
    assert not page.dataframe
    assert not page.progress


def test_run_that_failed_after_its_first_epoch_does_not_claim_the_contrary(
    open_page, dataset, make_runs
):
    run = make_runs.ended(dataset, status="failed", num_epochs=1, error=DIVERGED)
    page = open_page("run.py", run=run.id, view="images")
    assert not page.exception
    assert "This run has no scores" in words(page)
    assert "it ended before its first epoch did" not in words(page)


def test_curves_of_a_run_without_epochs_promise_nothing(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, status="stopped", num_epochs=0)
    page = open_page("run.py", run=run.id, view="curves")
    assert not page.exception
    assert "The curves begin when" not in words(page)


def test_run_stopped_while_waiting_has_no_run_time(open_page, dataset, make_runs, workbench):
    run = make_runs.queued(dataset)
    jobs.request_stop(workbench.database, run.job.id, actor="ada")
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert "stopped" in words(page)
    assert metrics(page)["Run time"] == "–"
    assert not page.error
    assert not page.progress


def test_completed_run_shows_scores_computed_by_hand(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, scored=SCORED)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert metrics(page) == {
        "Mean image Dice, test": "0.642",  # (0.667 + 0.617) / 2
        "Dice of background": "0.993",  # (1112/1122 + 1120/1126) / 2
        "Dice of class 1": "0.783",  # (20/30 + 18/20) / 2
        "Dice of class 2": "0.333",  # 2/6, in the one image that has it
        "Epochs": "2 / 30",
        "Run time": "0 s",
        "Queue time": "0 s",
    }
    assert "Time left" not in metrics(page)
    assert not page.progress


def test_scores_of_each_split_stand_apart(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, scored=SCORED)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    summary = page.dataframe[1].value.set_index("label").loc[["test", "validation", "training"]]
    assert list(summary["images"]) == [2, 1, 1]
    assert list(summary["mean_image_dice"]) == pytest.approx([0.641667, 1.0, 0.0], abs=1e-6)
    # Counts first: class 1 is 38/50, class 2 is 2/6.
    assert list(summary["pooled_dice"]) == pytest.approx([0.546667, 1.0, 0.0], abs=1e-6)
    # (10/20 + (9/11 + 1/5) / 2) / 2
    assert list(summary["mean_image_iou"]) == pytest.approx([0.504545, 1.0, 0.0], abs=1e-6)
    assert summary["class_2"].isna().tolist() == [False, True, True]
    assert len(page.dataframe[1].value) == 3


def test_images_stand_worst_first_without_those_it_was_trained_on(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, scored=SCORED)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert page.get_by_key("run_splits").value == ["test", "val"]
    images = image_table(page, run)
    assert list(images["sample"]) == ["001", "000", "002"]
    assert list(images["split"]) == ["test", "test", "validation"]
    assert list(images["dice"]) == pytest.approx([0.616667, 0.666667, 1.0], abs=1e-6)
    assert images["class_2"].isna().tolist() == [False, True, True]
    assert images["thumb"][0].startswith(f"/api/media/runs/{run.id}/thumbs/000001.webp?v=")
    (pane,) = viewer_panes(page)
    assert (pane["title"], pane["note"]) == ("001", "test · Dice 0.617")
    assert [layer["title"] for layer in pane["layers"]] == [
        "Image",
        "Truth",
        "Prediction",
        "Errors",
    ]
    assert "003" not in list(images["sample"])


def test_splits_can_be_switched_and_are_kept_in_the_address(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, scored=SCORED)
    page = open_page("run.py", run=run.id)
    page.get_by_key("run_splits").set_value(["train", "val"]).run()
    assert not page.exception
    assert list(image_table(page, run)["sample"]) == ["003", "002"]
    assert page.query_params == {"run": run.id, "split": ["train", "val"]}
    assert viewer_panes(page)[0]["title"] == "003"
    page.get_by_key("run_splits").set_value(["test", "val"]).run()
    assert not page.exception
    assert page.query_params == {"run": run.id}


def test_without_a_chosen_split_every_image_is_shown(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, scored=SCORED)
    page = open_page("run.py", run=run.id)
    page.get_by_key("run_splits").set_value([]).run()
    assert not page.exception
    assert list(image_table(page, run)["sample"]) == ["003", "001", "000", "002"]
    assert "split" not in page.query_params


@pytest.mark.parametrize(
    "splits, expected",
    [("train", ["003"]), (["val", "test"], ["001", "000", "002"]), ("x", ["001", "000", "002"])],
)
def test_splits_in_the_address_are_shown(open_page, dataset, make_runs, splits, expected):
    run = make_runs.ended(dataset, scored=SCORED)
    page = open_page("run.py", run=run.id, split=splits)
    assert not page.exception
    assert list(image_table(page, run)["sample"]) == expected
    assert not page.warning


def test_image_in_the_address_is_shown(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, scored=SCORED)
    page = open_page("run.py", run=run.id, image="2")
    assert not page.exception
    assert viewer_panes(page)[0]["note"] == "validation · Dice 1.000"
    assert viewer_panes(page)[0]["title"] != "001"


def test_selected_row_is_shown_and_kept_in_the_address(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, scored=SCORED)
    page = open_page("run.py", run=run.id)
    page.session_state[image_table_key(page, run)] = {
        "selection": {"rows": [1], "columns": [], "cells": []}
    }
    page.run()
    assert not page.exception
    assert viewer_panes(page)[0]["title"] == "000"
    assert page.query_params == {"run": run.id, "image": "0"}


def test_settings_view_lists_every_setting_with_its_meaning(
    open_page, dataset, make_runs, workbench
):
    run = make_runs.ended(dataset, epochs=12, flips="none")
    runs.set_environment(workbench.database, run.id, {"torch": "2.11", "gpu": None})
    page = open_page("run.py", run=run.id, view="settings")
    assert not page.exception
    settings = page.dataframe[0].value.set_index("key")
    assert settings.loc["schedule.epochs", ["setting", "value"]].tolist() == ["Epochs", "12"]
    assert settings.loc["augment.flips", "value"] == "none"
    assert settings.loc["augment.rotate_90", "value"] == "yes"
    assert settings.loc["schedule.max_minutes", "value"] == "–"
    assert settings.loc["optimizer.learning_rate", "value"] == "0.004"
    assert all(settings["meaning"])
    assert not any(settings["why"])
    assert page.dataframe[1].value.to_dict("list") == {
        "What": ["torch", "gpu"],
        "Value": ["2.11", "–"],
    }
    assert not page.get("plotly_chart")


def test_settings_view_says_why_they_were_chosen(open_page, dataset, make_runs):
    reasons = {"epochs": Note("{num} training samples.", {"num": 5})}
    run = make_runs.queued(dataset, reasons=reasons)
    page = open_page("run.py", run=run.id, view="settings")
    assert not page.exception
    settings = page.dataframe[0].value.set_index("key")
    assert settings.loc["schedule.epochs", "why"] == "5 training samples."
    assert settings.loc["schedule.batch_size", "why"] == ""


def test_curves_show_what_was_measured_and_nothing_that_was_not(
    open_page, dataset, make_runs, workbench
):
    run = make_runs.running(dataset, num_epochs=2)
    record = replace(
        epoch_record(3, len(dataset.classes)),
        val_class_iou=(0.98, 0.7, None),
        data_wait_share=0.02,
        peak_memory_bytes=900_000_000,
    )
    epochs.add(workbench.database, run.id, record)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    found = figures(page)
    assert found.keys() == {
        "run_loss", "run_dice", "run_iou", "run_rate", "run_pace", "run_wait", "run_memory",
    }  # fmt: skip
    assert found["run_memory"]["data"][0]["y"] == [None, None, 0.9]
    assert found["run_wait"]["layout"]["yaxis"]["tickformat"] == ".0%"
    assert [line["name"] for line in found["run_iou"]["data"]] == ["mean image IoU"]


def test_curves_of_an_old_run_have_no_empty_plots(open_page, dataset, make_runs):
    run = make_runs.running(dataset, num_epochs=2)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert figures(page).keys() == {"run_loss", "run_dice", "run_iou", "run_rate", "run_pace"}


SPEED = {"total_seconds": 750.0, "device": "cpu", "precision": "bfloat16"}


def test_head_holds_what_was_expected_against_what_it_took(
    open_page, dataset, make_runs, workbench
):
    run = make_runs.running(dataset, num_epochs=2)
    runs.set_preflight(workbench.database, run.id, {"speed": SPEED, "environment": {}})
    expected = "Measured before the start: about 12 min 30 s on CPU in bfloat16"
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert expected in words(page)
    assert "the epochs took" not in words(page)
    make_runs.end(run)
    page.run()
    assert not page.exception
    assert expected + " · the epochs took 5 s" in words(page)


def test_head_of_a_run_that_was_not_measured_promises_nothing(open_page, dataset, make_runs):
    page = open_page("run.py", run=make_runs.ended(dataset).id)
    assert not page.exception
    assert "Measured before the start" not in words(page)


def test_settings_of_a_run_that_never_started_have_no_environment(open_page, dataset, make_runs):
    page = open_page("run.py", run=make_runs.queued(dataset).id, view="settings")
    assert not page.exception
    assert len(page.dataframe) == 1
    assert "Environment" not in words(page)


def test_log_view_shows_the_end_of_the_log(open_page, dataset, make_runs, workbench):
    run = make_runs.running(dataset)
    write_log(workbench, run, "\n".join(f"line {number}" for number in range(1000)))
    page = open_page("run.py", run=run.id, view="log")
    assert not page.exception
    lines = page.code[0].value.splitlines()
    assert (lines[0], lines[-1]) == ("line 800", "line 999")
    assert "Nothing yet." not in page.code[0].value


def test_empty_log_says_so(open_page, dataset, make_runs):
    page = open_page("run.py", run=make_runs.queued(dataset).id, view="log")
    assert not page.exception
    assert [code.value for code in page.code] == ["Nothing yet."]
    assert not page.error


def test_chosen_view_is_kept_in_the_address(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, scored=SCORED)
    page = open_page("run.py", run=run.id)
    page.get_by_key("run_view_ended").set_value("log").run()
    assert not page.exception
    assert page.query_params == {"run": run.id, "view": "log"}
    assert not components(page, "workbench_viewer")
    page.get_by_key("run_view_ended").set_value("images").run()
    assert not page.exception
    assert page.query_params == {"run": run.id}


def test_page_turns_to_the_images_when_the_run_ends(open_page, dataset, make_runs):
    run = make_runs.running(dataset, num_epochs=1)
    page = open_page("run.py", run=run.id)
    assert page.get("plotly_chart")
    make_runs.end(run, scored=SCORED)
    page.run()
    assert not page.exception
    assert list(image_table(page, run)["sample"]) == ["001", "000", "002"]
    assert not page.get("plotly_chart")


def test_stop_button_asks_a_running_job_to_stop_once(open_page, dataset, make_runs, workbench):
    run = make_runs.running(dataset, num_epochs=1)
    page = open_page("run.py", run=run.id)
    assert page.button(key="run_stop").label == "Stop"
    page.button(key="run_stop").click().run()
    assert not page.exception
    job = jobs.get(workbench.database, run.job.id)
    assert (job.status, job.wish) == ("running", "stop")
    assert page.button(key="run_stop").label == "Stopping…"
    assert page.button(key="run_stop").disabled
    assert not page.toast


def test_stop_button_ends_a_waiting_run_at_once(open_page, dataset, make_runs, workbench):
    run = make_runs.queued(dataset)
    page = open_page("run.py", run=run.id)
    page.button(key="run_stop").click().run()
    assert not page.exception
    assert jobs.get(workbench.database, run.job.id).status == "stopped"
    assert "run_stop" not in [button.key for button in page.button]


def test_stopping_a_run_that_has_just_ended_is_a_remark(open_page, dataset, make_runs, workbench):
    run = make_runs.running(dataset)
    page = open_page("run.py", run=run.id)
    attempts.finish(workbench.database, run.job, "completed")
    page.button(key="run_stop").click().run()
    assert not page.exception
    assert [as_read(toast.value) for toast in page.toast] == [
        "It has already completed; there is nothing to stop."
    ]
    assert jobs.get(workbench.database, run.job.id).status == "completed"
    assert "run_stop" not in [button.key for button in page.button]


def test_compare_button_leads_to_a_comparison_with_this_run(open_page, dataset, make_runs):
    run = make_runs.ended(dataset)
    make_runs.ended(dataset)
    page = open_page("run.py", run=run.id)
    page.button(key="run_compare").click().run()
    assert not page.exception
    assert title(page) == "Compare"
    assert page.multiselect(key="compare_runs").value == [run.id]
    assert not page.dataframe


def test_names_with_markup_are_shown_literally(open_page, add_dataset, make_runs):
    run = make_runs.queued(add_dataset(MARKUP), MARKUP)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert title(page) == MARKUP_SHOWN
    assert links(page).keys() == {MARKUP_SHOWN}
    assert MARKUP not in "".join(text.value for text in page.markdown)


def test_reason_with_markup_is_shown_literally(open_page, dataset, make_runs):
    error = Diverged("Refused: {name}", name=MARKUP).to_record()
    run = make_runs.ended(dataset, status="failed", error=error)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert [alert.value for alert in page.error] == [rf"Refused\: {MARKUP_SHOWN}"]
    assert not page.code


KILLED = ProcessDied("It ended: {cause}. Start it again.", cause="killed by SIGKILL").to_record()
NO_MEMORY = OutOfMemory("There was not enough of it.").to_record()


def keys(page):
    return {button.key for button in page.button}


def test_buttons_are_those_that_the_state_allows(open_page, dataset, make_runs, workbench):
    always = {"run_clone", "run_compare", "run_rename"}
    ended = always | {"run_archive", "run_delete"}
    run = make_runs.running(dataset, num_epochs=1)
    make_runs.keep_state(run)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert keys(page) == always | {"run_pause", "run_stop"}
    make_runs.end(run, "failed", error=KILLED)
    page.run()
    assert keys(page) == ended | {"run_resume", "run_train_more", "run_score"}
    unscored = make_runs.ended(dataset)
    assert keys(open_page("run.py", run=unscored.id)) == ended | {"run_train_more", "run_score"}
    scored = make_runs.ended(dataset, scored=SCORED)
    assert keys(open_page("run.py", run=scored.id)) == ended | {"run_train_more"}
    never_began = make_runs.ended(dataset, status="stopped", num_epochs=0)
    assert keys(open_page("run.py", run=never_began.id)) == ended | {"run_resume"}


def test_pause_asks_once_and_a_paused_run_says_so_and_can_be_resumed(
    open_page, dataset, make_runs, workbench
):
    run = make_runs.running(dataset, num_epochs=1)
    make_runs.keep_state(run)
    page = open_page("run.py", run=run.id)
    page.button(key="run_pause").click().run()
    assert not page.exception
    assert page.button(key="run_pause").label == "Pausing…"
    assert page.button(key="run_pause").disabled and page.button(key="run_stop").disabled
    make_runs.end(run, "stopped")
    page.run()
    assert "paused" in words(page)
    page.button(key="run_resume").click().run()
    assert not page.exception
    assert runs.get(workbench.database, run.id).status == "queued"
    assert "run_pause" in keys(page)


def test_who_waits_for_the_scoring_may_do_without_it(open_page, dataset, make_runs, workbench):
    run = make_runs.running(dataset, num_epochs=1)
    page = open_page("run.py", run=run.id)
    page.button(key="run_stop").click().run()
    assert page.button(key="run_stop").disabled
    page.button(key="run_pause").click().run()
    assert runs.get(workbench.database, run.id).job.wish == "pause"


def test_run_without_its_training_state_cannot_be_gone_on_with(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, status="stopped")
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert page.button(key="run_resume").disabled
    assert "training state was removed" in page.button(key="run_resume").help
    make_runs.keep_state(run)
    page.run()
    assert not page.button(key="run_resume").disabled


def test_completed_run_is_trained_for_more_epochs(open_page, dataset, make_runs, workbench):
    run = make_runs.ended(dataset, epochs=2)
    make_runs.keep_state(run)
    page = open_page("run.py", run=run.id)
    page.number_input(key="run_more_number").set_value(3).run()
    assert "2 of 2 epochs are done; it is then to have 5." in words(page)
    page.button(key="run_train_more").click().run()
    assert not page.exception
    run = runs.get(workbench.database, run.id)
    assert (run.status, run.config.schedule.epochs) == ("queued", 5)
    assert metrics(page)["Epochs"] == "2 / 5"


def test_time_budget_is_prolonged_in_minutes(open_page, dataset, make_runs, workbench):
    run = make_runs.ended(dataset, max_minutes=5)
    make_runs.keep_state(run)
    page = open_page("run.py", run=run.id)
    assert page.number_input(key="run_more_number").label == "More minutes"
    page.button(key="run_train_more").click().run()
    assert not page.exception
    assert runs.get(workbench.database, run.id).config.schedule.max_minutes == 15


def test_images_can_be_scored_afterwards_and_appear_when_they_are(
    open_page, dataset, make_runs, workbench
):
    run = make_runs.ended(dataset, status="stopped")
    make_runs.keep_best(run)
    page = open_page("run.py", run=run.id, view="images")
    assert "“Score images” does it now" in words(page)
    page.button(key="run_score").click().run()
    assert not page.exception
    assert "run_score" not in keys(page)
    assert [bar.text for bar in page.progress] == ["Scoring: Waiting for a free slot"]
    assert "The images appear here when they are scored." in words(page)
    job = attempts.claim(workbench.database, ["evaluate"], "cpu")
    attempts.set_progress(workbench.database, job, "evaluating", 0.5)
    page.run()
    assert [(bar.value, bar.text) for bar in page.progress] == [
        (50, "Scoring: Scoring every image")
    ]
    scores.add(workbench.database, run.id, SCORED, [np.zeros((3, 2, 256), dtype=np.int64)] * 4)
    attempts.finish(workbench.database, job, "completed")
    page.run()
    assert not page.exception
    assert list(image_table(page, run)["sample"]) == ["001", "000", "002"]
    assert not page.progress


def test_scoring_can_be_cancelled_and_one_that_failed_says_why(
    open_page, dataset, make_runs, workbench
):
    run = make_runs.ended(dataset)
    make_runs.keep_best(run)
    page = open_page("run.py", run=run.id, view="images")
    page.button(key="run_score").click().run()
    page.button(key="run_cancel_scoring").click().run()
    assert not page.exception
    assert "run_score" in keys(page)
    page.button(key="run_score").click().run()
    job = attempts.claim(workbench.database, ["evaluate"], "cpu")
    attempts.finish(workbench.database, job, "failed", error=KILLED)
    page.run()
    assert [as_read(error.value) for error in page.error] == [
        "It ended: killed by SIGKILL. Start it again."
    ]
    assert "failed" not in words(page).splitlines()


def test_scores_are_read_anew_when_a_run_is_scored_anew(open_page, dataset, make_runs, workbench):
    run = make_runs.ended(dataset, scored=SCORED)
    page = open_page("run.py", run=run.id)
    assert metrics(page)["Mean image Dice, test"] == "0.642"
    scores.clear(workbench.database, run.id)
    better = [replace(each, fp=(0, 0, 0), fn=(0, 0, 0)) for each in SCORED]
    scores.add(workbench.database, run.id, better, [np.zeros((3, 2, 256), dtype=np.int64)] * 4)
    page.run()
    assert not page.exception
    assert metrics(page)["Mean image Dice, test"] == "1.000"


def test_run_that_is_trained_further_keeps_its_images_in_sight(
    open_page, dataset, make_runs, workbench
):
    run = make_runs.ended(dataset, scored=SCORED)
    runs.resume(workbench.database, run.id)
    page = open_page("run.py", run=run.id, view="images")
    assert not page.exception
    assert list(image_table(page, run)["sample"]) == ["001", "000", "002"]
    assert "As it was before it was trained further" in words(page)
    assert "Best validation Dice" in metrics(page)
    job = attempts.claim(workbench.database, ["train"], "cpu")
    attempts.set_progress(workbench.database, job, "evaluating", 0.96)
    page.run()
    # What it is scored with now comes one split after another.
    assert "Every image is scored when the training has ended." in words(page)
    assert not page.dataframe


def test_run_says_what_befell_it_and_that_it_goes_on(
    open_page, dataset, make_runs, workbench, clock
):
    run = make_runs.running(dataset, num_epochs=2)
    clock.now += 100
    attempts.give_back(workbench.database, run.job, KILLED, is_retry=True)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    assert "the process of attempt 1 ended without a result: killed by SIGKILL." in words(page)
    assert "It waits to go on by itself from what it had saved; 2 epochs are done." in words(page)
    assert "Started again by itself 1 of at most 3 times." in words(page)
    clock.now += 50
    attempts.claim(workbench.database, ["train"], "cpu")
    clock.now += 7
    page.run()
    assert "It goes on by itself from what it had saved" in words(page)
    assert (metrics(page)["Run time"], metrics(page)["Queue time"]) == ("1 min 47 s", "50 s")


def test_run_says_what_was_changed_when_memory_ran_out(open_page, dataset, make_runs, workbench):
    run = make_runs.running(dataset, batch_size=8)
    attempts.add_incident(workbench.database, run.job, NO_MEMORY)
    runs.set_adjustments(workbench.database, run.id, {"batch_size": 4, "accumulation": 2})
    page = open_page("run.py", run=run.id, view="settings")
    assert not page.exception
    assert "memory ran out in attempt 1." in words(page)
    assert (
        "Memory ran out, so it is trained with other settings: batch size 8 → 4, accumulated "
        "batches 1 → 2."
    ) in words(page)
    settings = page.dataframe[0].value.set_index("key")
    assert settings.loc["schedule.batch_size", "why"] == "It was 8 until memory ran out."


def test_run_to_which_nothing_happened_tells_no_story(open_page, dataset, make_runs):
    page = open_page("run.py", run=make_runs.running(dataset, num_epochs=1).id)
    assert not page.exception
    assert "by itself" not in words(page)
    assert "Memory" not in words(page)


def test_many_incidents_are_folded_and_none_is_left_out(open_page, dataset, make_runs, workbench):
    run = make_runs.running(dataset)
    for _number in range(7):
        attempts.add_incident(workbench.database, run.job, KILLED)
    page = open_page("run.py", run=run.id)
    assert not page.exception
    (told,) = [each for each in page.expander if "What befell it" in each.label]
    assert told.caption[0].value.count("SIGKILL") == 6
    assert words(page).count("SIGKILL") > 6, "the latest stands in sight"
    # Nothing was started again by itself here.
    assert "It goes on by itself" not in words(page)


def test_name_tags_and_notes_are_changed_where_the_menu_leads(
    open_page, dataset, make_runs, workbench
):
    run = make_runs.ended(dataset, "Before")
    page = open_page("run.py", run=run.id)
    page.button(key="run_rename").click().run()
    assert not page.exception
    assert page.query_params["view"] in ("about", ["about"])
    page.text_input(key=f"run_rename_{run.id}").set_value("After")
    page.text_area(key=f"run_notes_{run.id}").set_value("Worth a look.")
    next(each for each in page.button if each.label == "Save").click().run()
    assert not page.exception
    found = runs.get(workbench.database, run.id)
    assert (found.name, found.notes) == ("After", "Worth a look.")
    assert title(page) == "After"
    assert "Worth a look." in words(page)


def test_empty_name_is_refused_in_words(open_page, dataset, make_runs, workbench):
    run = make_runs.ended(dataset, "Before")
    page = open_page("run.py", run=run.id, view="about")
    page.text_input(key=f"run_rename_{run.id}").set_value(" ")
    next(each for each in page.button if each.label == "Save").click().run()
    assert "The name of the run is empty" in page.error[0].value
    assert runs.get(workbench.database, run.id).name == "Before"


def test_run_is_archived_and_brought_back(open_page, dataset, make_runs, workbench):
    run = make_runs.ended(dataset)
    page = open_page("run.py", run=run.id)
    page.button(key="run_archive").click().run()
    assert not page.exception
    assert runs.get(workbench.database, run.id).archived
    assert "archived" in words(page)
    page.button(key="run_archive").click().run()
    assert not runs.get(workbench.database, run.id).archived


def test_deletion_asks_first(open_page, dataset, make_runs, workbench):
    run = make_runs.ended(dataset)
    page = open_page("run.py", run=run.id)
    page.button(key="run_delete").click().run()
    assert not page.exception
    assert runs.get(workbench.database, run.id)
    assert "is removed for good" in words(page)


def test_clone_begins_a_run_with_these_settings(open_page, dataset, make_runs):
    run = make_runs.ended(dataset, recipe="tutorial", width=8)
    page = open_page("run.py", run=run.id)
    page.button(key="run_clone").click().run()
    assert not page.exception
    assert title(page) == "Train"
    asked = {name: page.query_params[name] for name in ("clone", "dataset", "recipe")}
    wanted = {"clone": run.id, "dataset": dataset.id, "recipe": "tutorial"}
    assert asked in (wanted, {name: [value] for name, value in wanted.items()})


def test_log_shows_only_lines_that_hold_what_is_looked_for(
    open_page, dataset, make_runs, workbench
):
    run = make_runs.running(dataset)
    write_log(workbench, run, "".join(f"step {n}\nEpoch {n}: loss\n" for n in range(1000)))
    page = open_page("run.py", run=run.id, view="log")
    page.text_input(key="run_log_search").set_value("epoch").run()
    assert not page.exception
    assert "1,000 lines contain it; these are the last 200." in words(page)
    lines = page.code[0].value.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("Epoch 800: loss", "Epoch 999: loss", 200)
    page.text_input(key="run_log_search").set_value("no such").run()
    assert "0 lines contain it." in words(page)
    assert not page.code


def test_log_of_a_scoring_stands_beside_that_of_the_training(
    open_page, dataset, make_runs, workbench
):
    run = make_runs.ended(dataset)
    make_runs.keep_best(run)
    write_log(workbench, run, "trained")
    page = open_page("run.py", run=run.id, view="log")
    page.button(key="run_score").click().run()
    (job,) = jobs.newest(workbench.database, "evaluate", 2)
    with workbench.files.writing(log_key(job.id)) as path:
        path.write_text("scored")
    assert [code.value for code in page.code] == ["trained"]
    page.get_by_key("run_log_of").set_value("scoring").run()
    assert not page.exception
    assert [code.value for code in page.code] == ["scored"]


def test_run_that_was_deleted_meanwhile_is_a_sentence(open_page, dataset, make_runs, workbench):
    run = make_runs.ended(dataset)
    page = open_page("run.py", run=run.id)
    runs.delete(workbench.database, run.id)
    page.button(key="run_archive").click().run()
    assert not page.exception
    assert "There is no run" in page.warning[0].value
