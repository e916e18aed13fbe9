"""A job's process: it reports, it listens, and it ends with a reason."""

import logging
import os
import signal

import psutil
import pytest

from engine.errors import Diverged, WorkbenchError
from engine.jobs import process
from engine.jobs.process import JobControl
from engine.store import jobs


@pytest.fixture
def job(workbench):
    jobs.add(workbench.database, "train", {"run": "r"}, actor="ann")
    return jobs.claim(workbench.database, "train")


@pytest.fixture
def control(workbench, job):
    return JobControl(workbench, job)


@pytest.fixture
def execute(workbench, job, monkeypatch):
    """`execute(task)`: run a task as the job's process would, and return the job afterwards."""
    before = signal.getsignal(signal.SIGTERM)

    def execute(task):
        monkeypatch.setattr(process, "_task", lambda _: task)
        assert process.main(job.id) == 0
        return jobs.get(workbench.database, job.id)

    yield execute
    signal.signal(signal.SIGTERM, before)


def test_result_of_a_task_is_the_jobs(execute):
    job = execute(lambda home, job, control: ("completed", {"best_epoch": 2}))
    assert (job.status, job.result, job.error) == ("completed", {"best_epoch": 2}, None)
    assert job.handle["pid"] == os.getpid()
    assert job.handle["process_started_at"] == psutil.Process().create_time()


def test_handle_from_the_worker_keeps_what_only_the_worker_knows(workbench, job, execute):
    jobs.set_handle(workbench.database, job.id, {"gpu": "3", "pid": 1})
    handle = execute(lambda home, job, control: ("completed", None)).handle
    assert (handle["gpu"], handle["pid"]) == ("3", os.getpid())


def test_expected_error_is_the_jobs_reason(execute, caplog):
    def task(home, job, control):
        raise Diverged("The loss is {value}.", value="nan")

    job = execute(task)
    assert job.status == "failed"
    assert job.error == {
        "type": "Diverged",
        "message": "The loss is {value}.",
        "facts": {"value": "nan"},
    }
    assert "The loss is nan." in caplog.text
    assert "Traceback" not in caplog.text


def test_unexpected_error_is_told_too_and_its_traceback_logged(execute, caplog):
    def task(home, job, control):
        return {}["missing {brace}"]

    job = execute(task)
    assert (job.status, job.error["type"]) == ("failed", "JobFailed")
    sentence = str(WorkbenchError(job.error["message"], **job.error["facts"]))
    assert "KeyError: 'missing {brace}'" in sentence
    assert "please report it" in sentence
    assert "Traceback" in caplog.text


def test_termination_asks_the_task_to_stop(execute):
    def task(home, job, control):
        assert not control.should_stop()
        signal.raise_signal(signal.SIGTERM)
        assert control.should_stop()
        return "stopped", None

    assert execute(task).status == "stopped"


def test_stop_in_the_database_reaches_the_task(workbench, job, control, monkeypatch):
    monkeypatch.setattr(process, "_REPORT_SECONDS", 0.0)
    assert not control.should_stop()
    jobs.request_stop(workbench.database, job.id, actor="ann")
    assert control.should_stop()


def test_database_is_asked_at_most_twice_a_second(workbench, job, control, monkeypatch):
    asked = []
    monkeypatch.setattr(jobs, "stop_requested", lambda *_: asked.append(1))
    for _ in range(1000):
        control.should_stop()
    assert len(asked) <= 3


def test_progress_is_written_when_the_phase_changes_and_else_seldom(workbench, job, monkeypatch):
    written = []
    monkeypatch.setattr(jobs, "set_progress", lambda *call: written.append(call[2:]))
    control = JobControl(workbench, job)
    for share in (0.0, 0.1, 0.2):
        control.progress("preparing", share)
    control.progress("training", 0.3)
    control.progress("training", 0.4)
    assert written == [("preparing", 0.0), ("training", 0.3)]


def test_progress_is_seen_by_everybody(workbench, job, control):
    control.progress("training", 0.25)
    seen = jobs.get(workbench.database, job.id)
    assert (seen.phase, seen.progress) == ("training", 0.25)


def test_only_trainings_load_the_training(workbench):
    logging.getLogger(__name__)
    jobs.add(workbench.database, "import", {}, actor="ann")
    task = process._task(jobs.claim(workbench.database, "import"))
    assert task.__module__ == "engine.jobs.import_task"
