"""The Queue page: what runs, what waits in which order, what has ended and why."""

import pytest

from engine.errors import ProcessDied
from engine.jobs.control import cancel_job
from engine.jobs.imports import submit_toy
from engine.jobs.queue import submit_preflight
from engine.settings import Settings
from engine.store import attempts, jobs, runs
from engine.store.datasets import Dataset
from engine.store.machine_samples import MachineSample
from engine.store.machine_samples import add as add_sample
from pages.common.queue_rows import expected_waits, slot_word
from tests.pages.support import ACTOR, as_read, links, title, words
from tests.pages.test_progress import JOB, job_with

KILLED = ProcessDied("It ended: {cause}.", cause="killed by SIGKILL").to_record()


def waiting_of(page):
    (found,) = [each.value for each in page.dataframe if "place" in each.value]
    return found


def ended_of(page):
    (found,) = [each.value for each in page.dataframe if "reason" in each.value]
    return found


def tick(page, *rows):
    (table,) = [each for each in page.dataframe if "place" in each.value]
    page.session_state[table.key] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return page.run()


@pytest.fixture
def three(dataset, make_runs):
    """Three runs that wait, in this order."""
    return [make_runs.queued(dataset, name) for name in ("First", "Second", "Third")]


def order(workbench):
    names = {run.job.id: run.name for run in runs.all_newest_first(workbench.database)}
    return [names[job.id] for job in jobs.queue(workbench.database)]


def test_empty_queue_leads_to_a_training(open_page):
    page = open_page("queue.py")
    assert not page.exception
    assert title(page) == "Queue"
    assert "Nothing runs and nothing waits" in words(page)
    assert "Start a training" in links(page)
    assert not page.dataframe


def test_what_runs_says_where_whose_and_how_far(open_page, dataset, make_runs, workbench, clock):
    run = make_runs.running(dataset, "Mine", progress=0.25, num_epochs=1)
    attempts.set_handle(workbench.database, run.job, {"host": "lab1", "gpu": None})
    clock.now += 100
    page = open_page("queue.py")
    assert not page.exception
    assert links(page)["Mine"] == f"run?run={run.id}"
    assert "training · processor of lab1 · ada · run time 1 min 40 s" in words(page)
    assert [(bar.value, bar.text) for bar in page.progress] == [(25, "Training, 5 min 0 s left")]
    assert "Nothing waits." in words(page)
    assert "attempt" not in words(page)


def test_running_job_is_asked_to_stop_once(open_page, dataset, make_runs, workbench):
    run = make_runs.running(dataset)
    page = open_page("queue.py")
    page.button(key=f"queue_stop_{run.job.id}").click().run()
    assert not page.exception
    assert jobs.get(workbench.database, run.job.id).wish == "stop"
    assert page.button(key=f"queue_stop_{run.job.id}").disabled


def test_what_waits_stands_in_the_order_in_which_it_will_be_started(
    open_page, dataset: Dataset, workbench, three, make_runs
):
    runs.add(
        workbench.database, name="Of another", dataset_id=dataset.id, config=three[0].config,
        split={"train": [0], "val": [1], "test": [2]}, num_parameters=1, actor="bob",
    )  # fmt: skip
    submit_preflight(workbench, dataset.id, three[0].config, ["speed"], actor=ACTOR)
    submit_toy(workbench, "Toy", actor=ACTOR)
    page = open_page("queue.py")
    assert not page.exception
    table = waiting_of(page)
    training = table[table["kind"] == "training"]
    assert list(training["subject"]) == order_of_kind(workbench, "train")
    assert list(training["place"]) == [1, 2, 3, 4]
    # Other kinds do not wait for trainings: they have slots of their own.
    others = table[table["kind"] != "training"].set_index("subject")
    assert (others.loc["Toy", "kind"], others.loc["Toy", "place"]) == ("import", 1)
    assert (others.loc["Cells", "kind"], others.loc["Cells", "place"]) == ("trial", 1)


def order_of_kind(workbench, kind):
    names = {run.job.id: run.name for run in runs.all_newest_first(workbench.database)}
    return [names[job.id] for job in jobs.queue(workbench.database) if job.kind == kind]


def test_ticked_job_goes_first_and_stays_ticked(open_page, workbench, three):
    page = tick(open_page("queue.py"), 2)
    page.button(key="queue_next").click().run()
    assert not page.exception
    assert order(workbench) == ["Third", "First", "Second"]
    page.button(key="queue_later").click().run()
    assert order(workbench) == ["First", "Third", "Second"]
    page.button(key="queue_later").click().run()
    assert order(workbench) == ["First", "Second", "Third"]
    page.button(key="queue_earlier").click().run()
    assert order(workbench) == ["First", "Third", "Second"]
    assert "Refused" not in words(page)


def test_several_keep_their_order_when_they_go_first(open_page, workbench, three):
    page = tick(open_page("queue.py"), 1, 2)
    page.button(key="queue_next").click().run()
    assert not page.exception
    assert order(workbench) == ["Second", "Third", "First"]


def test_cancelled_jobs_leave_the_queue_and_are_told_among_the_ended(open_page, workbench, three):
    page = tick(open_page("queue.py"), 0, 1)
    page.button(key="queue_cancel").click().run()
    assert not page.exception
    assert order(workbench) == ["Third"]
    assert list(waiting_of(page)["subject"]) == ["Third"]
    assert set(ended_of(page)["reason"]) == {"Cancelled before it began."}
    assert [as_read(toast.value) for toast in page.toast] == ["2 of 2 cancelled."]


def test_without_a_ticked_job_nothing_can_be_moved(open_page, three):
    page = open_page("queue.py")
    assert not page.exception
    for name in ("next", "earlier", "later", "cancel"):
        assert page.button(key=f"queue_{name}").disabled


def test_who_comes_too_late_is_told_so(open_page, workbench, three):
    page = tick(open_page("queue.py"), 0, 1)
    cancel_job(workbench, three[0].job.id, actor="bob")
    page.button(key="queue_cancel").click().run()
    assert not page.exception
    assert order(workbench) == ["Third"]
    (warning,) = [each for each in page.warning if "Refused" in each.value]
    assert as_read(warning.value) == (
        "Refused 1 of 2: - **First**: It is stopped and not waiting any more."
    )


def test_ended_jobs_say_how_and_why(open_page, dataset, make_runs, workbench, clock):
    make_runs.ended(dataset, "Good")
    clock.now += 10
    make_runs.ended(dataset, "Killed", status="failed", error=KILLED)
    clock.now += 10
    run = make_runs.running(dataset, "Paused")
    jobs.request_stop(workbench.database, run.job.id, wish="pause", actor="bob")
    clock.now += 10
    make_runs.end(run, "stopped")
    page = open_page("queue.py")
    assert not page.exception
    assert ended_of(page)[["status", "subject", "ran", "reason"]].to_dict("split")["data"] == [
        ["‖ paused", "Paused", "10 s", "Paused by a person."],
        ["✕ failed", "Killed", "0 s", "It ended: killed by SIGKILL."],
        ["✓ completed", "Good", "0 s", ""],
    ]
    assert "Nothing runs and nothing waits" in words(page)


def test_job_that_waits_again_says_why(open_page, dataset, make_runs, workbench):
    run = make_runs.running(dataset, "Again")
    attempts.give_back(workbench.database, run.job, KILLED, is_retry=True)
    page = open_page("queue.py")
    assert not page.exception
    assert "killed by SIGKILL" in waiting_of(page)["why"][0]


def test_external_worker_that_is_not_there_is_missed_with_the_command(open_page, three):
    page = open_page("queue.py")
    (warning,) = page.warning
    assert "none was ever seen" in warning.value
    assert "python -m engine worker" in warning.value


def test_worker_of_another_machine_counts_while_it_shows_itself(open_page, workbench, clock, three):
    sample = MachineSample(
        host="lab2", at=clock.now, cpu_share=0.5, memory_used_bytes=1, memory_total_bytes=2,
        disk_free_bytes=1, disk_total_bytes=2, gpus=[],
    )  # fmt: skip
    add_sample(workbench.database, sample)
    page = open_page("queue.py")
    assert not page.exception
    assert not page.warning
    assert "A worker lives on lab2." in words(page)


def test_local_worker_is_promised_and_not_missed(open_page, workbench, monkeypatch):
    monkeypatch.setenv("WORKBENCH_WORKER", "local")
    assert Settings.from_environment({"WORKBENCH_WORKER": "local"}).worker == "local"
    page = open_page("queue.py")
    assert not page.exception
    assert "No worker is needed; one is started with the next job." in words(page)
    assert not page.warning


@pytest.mark.parametrize(
    ("slot", "word"),
    [
        ("cpu", "processor"),
        ("cpu.2", "processor, place 2"),
        ("gpu1", "GPU 1"),
        ("gpu0.2", "GPU 0, place 2"),
        ("trial", "for trials"),
        ("gpuMIG-1", "gpuMIG-1"),
        (None, "–"),
    ],
)
def test_slot_has_its_word(slot, word):
    assert slot_word(slot) == word


def test_start_is_expected_only_where_all_before_it_say_when_they_end():
    waiting = [job_with(id=name, status="queued", attempts=0) for name in ("a", "b", "c")]
    soon = job_with(id="soon", progress=0.5)
    assert expected_waits([JOB, soon], waiting, 1100.0) == {"a": 100.0, "b": 300.0}
    untold = job_with(id="untold", phase="preparing")
    assert expected_waits([JOB, untold], waiting, 1100.0) == {}
    assert expected_waits([], waiting, 1100.0) == {}
    # A slot of another kind is none for a training.
    trial = job_with(id="trial", kind="preflight", phase="speed", progress=0.5)
    assert expected_waits([trial], waiting, 1100.0) == {}
