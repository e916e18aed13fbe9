"""Trying settings before a training: what is queued, what is shown while it runs and after."""

import pytest

from engine.config import RECIPES
from engine.errors import BadData
from engine.jobs.queue import WANTS, submit_preflight
from engine.store import attempts, jobs
from pages.common import links
from pages.common.texts import phase_word
from pages.common.train import trials
from tests.pages.support import ACTOR, figures, metrics, words

SPEED = {
    "device": "cpu",
    "precision": "bfloat16",
    "compiled": False,
    "seconds_per_step": 0.5,
    "images_per_second": 8.0,
    "steps_per_epoch": 2,
    "seconds_per_epoch": 90.0,
    "total_seconds": 7500.0,
    "memory_bytes": 300_000_000,
    "free_bytes": 4_000_000_000,
    "fits": True,
}
RATES = {"rates": [1e-5, 1e-4, 1e-3, 1e-2], "losses": [0.7, 0.6, 0.4, 2.0], "suggestion": 5.123e-4}


@pytest.fixture
def tried(workbench, dataset):
    """Writes a trial of the recipe quick that has ended; returns the job's id."""

    def tried(result=None, status="completed", error=None, dataset_id=None, want=None):
        job_id = submit_preflight(
            workbench,
            dataset_id or dataset.id,
            RECIPES["quick"],
            want or list(result),
            actor=ACTOR,
        )
        job = attempts.claim(workbench.database, ["preflight"], "trial")
        attempts.finish(workbench.database, job, status, result=result, error=error)
        return job_id

    return tried


def buttons(page):
    return {button.key: button for button in page.button}


def html_of(page):
    return "".join(each.proto.body for each in page.get("html"))


def test_every_trial_that_the_queue_knows_has_a_button_and_a_word_for_what_it_does():
    assert tuple(trials.titles()) == WANTS
    assert trials.titles().keys() == trials.meanings().keys()
    assert not [name for name in WANTS if phase_word(name) == name]


def test_nothing_is_tried_until_a_button_is_pressed(open_page, dataset, workbench):
    page = open_page("train.py", recipe="quick")
    assert not page.exception
    assert {f"train_try_{name}" for name in WANTS} <= buttons(page).keys()
    assert jobs.newest(workbench.database, "preflight", 10) == []
    assert not page.progress


def test_trial_is_queued_with_the_settings_on_the_page_and_kept_in_the_address(
    open_page, dataset, workbench
):
    page = open_page("train.py", recipe="tutorial")
    page.get_by_key("train_tutorial_batch_size_4").set_value(2).run()
    page.button(key="train_try_speed").click().run()
    assert not page.exception
    (job,) = jobs.newest(workbench.database, "preflight", 10)
    assert (job.payload["dataset"], job.payload["want"]) == (dataset.id, ["speed"])
    assert job.payload["config"]["schedule"]["batch_size"] == 2
    assert job.actor == "test@example.com"
    assert page.query_params["trial"] == job.id
    assert [bar.text for bar in page.progress] == ["Speed and memory: Waiting for a free slot"]
    assert page.button(key="train_try_speed").disabled
    assert not page.button(key="train_try_pictures").disabled


def test_running_trial_can_be_stopped(open_page, dataset, workbench):
    job_id = submit_preflight(workbench, dataset.id, RECIPES["quick"], ["overfit"], actor=ACTOR)
    page = open_page("train.py", recipe="quick", trial=job_id)
    page.button(key=f"train_stop_{job_id}").click().run()
    assert not page.exception
    assert jobs.get(workbench.database, job_id).status == "stopped"
    assert "It was stopped." in words(page)
    assert not page.progress


def test_speed_says_how_long_it_will_take_and_whether_it_fits(open_page, tried):
    page = open_page("train.py", recipe="quick", trial=tried({"speed": SPEED}))
    assert not page.exception
    found = metrics(page)
    assert (found["Whole training"], found["An epoch"]) == ("2 h 5 min", "1 min 30 s")
    assert found["Images per second"] == "8"
    assert "CPU in bfloat16 · 0.5 s per step · 4.0 GB of memory free" in words(page)
    assert "want of memory" not in words(page)
    assert "with settings that have been changed since" not in words(page)


def test_trial_whose_memory_does_not_suffice_warns(open_page, tried):
    page = open_page("train.py", recipe="quick", trial=tried({"speed": SPEED | {"fits": False}}))
    assert not page.exception
    assert "This may end for want of memory." in words(page)


def test_result_with_other_settings_says_so(open_page, tried):
    page = open_page("train.py", recipe="tutorial", trial=tried({"speed": SPEED}))
    assert not page.exception
    assert "with settings that have been changed since" in words(page)


def test_suggested_rate_is_put_into_the_form_by_a_button(open_page, tried):
    page = open_page("train.py", recipe="quick", trial=tried({"rates": RATES}))
    assert not page.exception
    assert "Suggested: **0.00051**" in words(page)
    assert "train_rate_curve" in figures(page)
    page.button(key="train_use_rate").click().run()
    assert not page.exception
    assert page.get_by_key("train_quick_learning_rate_0.004").value == 0.00051
    assert "Changed from the recipe: Learning rate" in words(page)
    assert page.button(key="train_use_rate").disabled


def test_without_a_suggestion_there_is_nothing_to_use(open_page, tried):
    page = open_page(
        "train.py", recipe="quick", trial=tried({"rates": RATES | {"suggestion": None}})
    )
    assert not page.exception
    assert "none can be suggested" in words(page)
    assert "train_use_rate" not in buttons(page)


def test_overfit_with_too_few_steps_is_told_from_one_that_failed(open_page, tried):
    result = {"overfit": {"losses": [0.7, 0.69], "passed": None}}
    page = open_page("train.py", recipe="quick", trial=tried(result))
    assert not page.exception
    assert "Only 2 steps fit into the time of the trial" in words(page)
    assert "hardly fell" not in words(page)


@pytest.mark.parametrize("passed", [True, False])
def test_overfit_says_whether_the_network_can_learn(open_page, tried, passed):
    result = {"overfit": {"losses": [0.7, 0.2, 0.1], "passed": passed}}
    page = open_page("train.py", recipe="quick", trial=tried(result))
    assert not page.exception
    assert ("learned the batch by heart" in words(page)) == passed
    assert ("hardly fell" in words(page)) != passed
    assert [line["name"] for line in figures(page)["train_overfit"]["data"]] == ["loss"]


def test_pictures_stand_in_rows_original_first(open_page, tried):
    files = [["000000.webp", "000000.a.webp"], ["000001.webp", "000001.a.webp"]]
    weights = ["000000.weight.webp", "000001.weight.webp"]
    job_id = tried({"pictures": {"files": files, "weights": weights}})
    page = open_page("train.py", recipe="quick", trial=job_id)
    assert not page.exception
    shown = html_of(page)
    order = [*files[0], weights[0], *files[1], weights[1]]
    places = [shown.index(f"/api/media/preflights/{job_id}/pictures/{name}") for name in order]
    assert places == sorted(places)
    assert shown.count("<img") == 6
    assert "weights in the loss" in shown


def test_pictures_without_weights_have_no_place_for_them(open_page, tried):
    job_id = tried({"pictures": {"files": [["000000.webp", "000000.a.webp"]], "weights": []}})
    page = open_page("train.py", recipe="quick", trial=job_id)
    assert not page.exception
    assert html_of(page).count("<img") == 2
    assert "weights in the loss" not in html_of(page)


def test_failed_trial_says_why(open_page, tried):
    error = BadData("The mask “{name}” cannot be read.", name="a_b").to_record()
    page = open_page(
        "train.py", recipe="quick", trial=tried(want=["speed"], status="failed", error=error)
    )
    assert not page.exception
    assert "The mask “a_b” cannot be read." in words(page)
    assert "Whole training" not in metrics(page)
    assert not page.button(key="train_try_speed").disabled


def test_newest_trial_of_each_kind_is_shown(open_page, tried):
    old = tried({"speed": SPEED | {"total_seconds": 60}})
    other, new = tried({"rates": RATES}), tried({"speed": SPEED})
    page = open_page("train.py", recipe="quick", trial=[old, other, new])
    assert not page.exception
    assert metrics(page)["Whole training"] == "2 h 5 min"
    assert "train_rate_curve" in figures(page)


def test_trials_of_other_datasets_and_unknown_jobs_are_left_out(
    open_page, add_dataset, dataset, tried, make_runs
):
    other = add_dataset("Other")
    job_id = tried({"speed": SPEED}, dataset_id=other.id)
    run = make_runs.ended(dataset)
    page = open_page(
        "train.py", recipe="quick", dataset=dataset.id, trial=[job_id, "gone", "", run.job.id]
    )
    assert not page.exception
    assert "Whole training" not in metrics(page)
    assert not page.error


def test_only_so_many_trials_stay_in_the_address(monkeypatch):
    class Address(dict):
        def get_all(self, name):
            return list(self.get(name, []))

    address = Address()
    monkeypatch.setattr("streamlit.query_params", address)
    for number in range(20):
        links.remember_trial(str(number))
    assert address["trial"] == [str(number) for number in range(12, 20)]
    assert links.asked_trials()[0] == "19"
