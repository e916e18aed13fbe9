"""The page of one run: watch it learn, then look at every image."""

from dataclasses import replace

import pytest

from engine.errors import Diverged
from engine.jobs.logs import log_key
from engine.notes import Note
from engine.store import epochs, jobs, runs
from tests.pages.support import (
    MARKUP,
    MARKUP_SHOWN,
    SCORED,
    as_read,
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
    assert images["thumb"][0] == f"/api/media/runs/{run.id}/thumbs/000001.webp"
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
    assert (lines[0], lines[-1]) == ("line 600", "line 999")
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
    assert not page.get("bidi_component")
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
    assert (job.status, job.stop_requested) == ("running", True)
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
    jobs.finish(workbench.database, run.job.id, "completed")
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
