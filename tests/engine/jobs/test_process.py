"""A job's process: it reports, it listens, and it ends with a reason."""

import os
import platform
import signal
import threading
import time

import pytest
import sqlalchemy as sa

from engine.errors import Diverged, Stopped, WorkbenchError
from engine.jobs import process
from engine.jobs.daemon import stamp_of
from engine.jobs.logs import log_key
from engine.jobs.process import JobControl
from engine.store import attempts, jobs
from engine.store.database import DatabaseTrouble

WAIT_SECONDS = 30


@pytest.fixture
def job(workbench):
    jobs.add(workbench.database, "train", {"run": "r"}, actor="ann")
    return attempts.claim(workbench.database, ["train"], "cpu")


@pytest.fixture
def control(workbench, job):
    return JobControl(workbench, job)


@pytest.fixture
def execute(workbench, job, monkeypatch):
    """`execute(task)`: run a task as the job's process would, and return the job afterwards."""
    before = signal.getsignal(signal.SIGTERM)

    def execute(task):
        monkeypatch.setattr(process, "_task", lambda _: task)
        assert process.main(job.id, job.attempts) == 0
        return jobs.get(workbench.database, job.id)

    yield execute
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def at_once(monkeypatch):
    """A wish is looked for, and progress written, whenever a task comes by."""
    monkeypatch.setattr(process, "_REPORT_SECONDS", 0.0)


def trouble(*_args, **_options):
    raise sa.exc.OperationalError("UPDATE", {}, Exception("database is locked"))


def wait_until(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.005)


def test_result_of_a_task_is_the_jobs(execute):
    job = execute(lambda home, job, control: ("completed", {"best_epoch": 2}))
    assert (job.status, job.result, job.error) == ("completed", {"best_epoch": 2}, None)
    assert job.handle["pid"] == os.getpid()
    assert job.handle["stamp"] == stamp_of(os.getpid())
    assert job.handle["host"] == platform.node()


def test_handle_from_the_worker_keeps_what_only_the_worker_knows(workbench, job, execute):
    attempts.set_handle(workbench.database, job, {"gpu": "3", "pid": 1, "oom_kills": 7})
    handle = execute(lambda home, job, control: ("completed", None)).handle
    assert (handle["gpu"], handle["oom_kills"], handle["pid"]) == ("3", 7, os.getpid())


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


@pytest.mark.parametrize("how", ["returns", "raises"])
def test_terminated_process_gives_its_job_back_in_good_order(execute, how):
    def task(home, job, control):
        assert not control.should_stop()
        assert control.wish is None
        signal.raise_signal(signal.SIGTERM)
        assert control.should_stop()
        assert control.wish == "leave"
        control.progress("saving", 0.5)
        if how == "raises":
            raise Stopped("Enough.")
        return "stopped", {"best_epoch": 1}

    job = execute(task)
    assert (job.status, job.phase, job.handle, job.progress) == ("queued", "queued", None, 0.5)
    # Nobody wished its end and nothing went wrong: it counts as no retry, and is no error.
    assert (job.retries, job.wish, job.error, job.result) == (0, None, None, None)
    (incident,) = job.incidents
    assert (incident["type"], incident["attempt"]) == ("ProcessDied", 1)
    assert "told to end (SIGTERM)" in incident["message"]


def test_task_that_is_done_when_its_process_is_terminated_is_done(execute):
    def task(home, job, control):
        signal.raise_signal(signal.SIGTERM)
        return "completed", {"best_epoch": 4}

    job = execute(task)
    assert (job.status, job.result, job.incidents) == ("completed", {"best_epoch": 4}, [])


def test_task_that_fails_while_its_process_is_terminated_has_failed(execute):
    def task(home, job, control):
        signal.raise_signal(signal.SIGTERM)
        raise Diverged("The loss is {value}.", value="nan")

    job = execute(task)
    assert (job.status, job.error["type"], job.incidents) == ("failed", "Diverged", [])


@pytest.mark.parametrize("wish", ["stop", "pause"])
@pytest.mark.parametrize("first", ["person", "signal"])
def test_run_that_a_person_wished_to_end_ends_without_delay_when_it_is_terminated(
    execute, workbench, at_once, wish, first
):
    def task(home, job, control):
        if first == "signal":
            signal.raise_signal(signal.SIGTERM)
            assert control.should_stop()
        jobs.request_stop(workbench.database, job.id, wish=wish, actor="ann")
        if first == "person":
            signal.raise_signal(signal.SIGTERM)
        assert control.should_stop()
        # Who stopped it would have had its images scored: for that there is no time.
        assert control.wish == ("pause" if wish == "pause" else "leave")
        return "stopped", None

    job = execute(task)
    assert (job.status, job.is_paused) == ("stopped", wish == "pause")
    assert len(job.incidents) == (0 if wish == "pause" else 1)


def test_task_that_was_stopped_ends_as_stopped(execute, workbench, at_once):
    def task(home, job, control):
        control.progress_or_stop("reading", 0.1)
        jobs.request_stop(workbench.database, job.id, actor="ann")
        control.progress_or_stop("reading", 0.2)
        pytest.fail("went on")

    job = execute(task)
    assert (job.status, job.error, job.progress) == ("stopped", None, 0.2)


@pytest.mark.parametrize("wish", ["stop", "pause"])
def test_wish_in_the_database_reaches_the_task(workbench, job, control, at_once, wish):
    assert not control.should_stop()
    assert control.wish is None
    jobs.request_stop(workbench.database, job.id, wish=wish, actor="ann")
    assert control.should_stop()
    assert control.wish == wish


@pytest.mark.parametrize("attempt", [0, 2])
def test_process_of_another_attempt_touches_nothing(workbench, job, monkeypatch, attempt):
    monkeypatch.setattr(process, "_task", lambda _: pytest.fail("began"))
    before = jobs.get(workbench.database, job.id)
    assert process.main(job.id, attempt) == 0
    assert jobs.get(workbench.database, job.id) == before


@pytest.mark.parametrize("status", ["queued", "stopped"])
def test_process_whose_job_does_not_run_any_more_touches_nothing(
    workbench, job, monkeypatch, status
):
    if status == "queued":
        attempts.give_back(workbench.database, job, {"type": "ProcessDied"}, is_retry=True)
    else:
        attempts.finish(workbench.database, job, "stopped")
    monkeypatch.setattr(process, "_task", lambda _: pytest.fail("began"))
    before = jobs.get(workbench.database, job.id)
    assert process.main(job.id, job.attempts) == 0
    assert jobs.get(workbench.database, job.id) == before


def test_process_that_was_taken_for_dead_ends_before_it_writes_anything(
    execute, workbench, monkeypatch
):
    monkeypatch.setattr(process, "_BEAT_SECONDS", 0.005)
    ended, codes = threading.Event(), []
    monkeypatch.setattr(os, "_exit", lambda code: (codes.append(code), ended.set()))
    successor = []

    def task(home, job, control):
        attempts.give_back(workbench.database, job, {"type": "ProcessDied"}, is_retry=True)
        successor.append(attempts.claim(workbench.database, ["train"], "cpu"))
        assert ended.wait(WAIT_SECONDS)
        return "completed", {"best_epoch": 1}

    # Here it could not end and went on; still, nothing of it is written.
    job = execute(task)
    assert (job.status, job.attempts, job.result, job.handle) == ("running", 2, None, None)
    assert job.heartbeat_at == successor[0].heartbeat_at
    assert set(codes) == {1}


@pytest.fixture
def beats(monkeypatch):
    """The heartbeats that are written, as they are written."""
    monkeypatch.setattr(process, "_BEAT_SECONDS", 0.005)
    beat, written = attempts.beat, []

    def count(database, job):
        written.append(time.monotonic())
        return beat(database, job)

    monkeypatch.setattr(attempts, "beat", count)
    return written


def test_task_that_hangs_does_not_look_alive_until_it_goes_on(execute, workbench, beats):
    hang_seconds = workbench.settings.hang_seconds

    def task(home, job, control):
        wait_until(lambda: len(beats) > 2)
        control.stepped_at = time.monotonic() - hang_seconds - 1
        time.sleep(0.1)  # one that was on its way arrives
        seen = len(beats)
        time.sleep(0.2)
        assert len(beats) == seen
        control.progress("training", 0.5)
        wait_until(lambda: len(beats) > seen)
        control.stepped_at = time.monotonic() - hang_seconds - 1
        seen = len(beats)
        control.should_stop()
        wait_until(lambda: len(beats) > seen)
        return "completed", None

    assert execute(task).status == "completed"


def test_sign_of_life_is_given_often_enough_for_the_silence_that_is_set(
    execute, workbench, monkeypatch, beats
):
    monkeypatch.setattr(process, "_BEAT_SECONDS", 3600.0)
    monkeypatch.setenv("WORKBENCH_SILENCE_SECONDS", "0.1")

    def task(home, job, control):
        wait_until(lambda: len(beats) > 2)
        return "completed", None

    assert execute(task).status == "completed"


def test_nobody_beats_when_the_task_has_ended(execute, beats):
    def task(home, job, control):
        wait_until(lambda: beats)
        return "completed", None

    execute(task)
    seen = len(beats)
    time.sleep(0.05)
    assert len(beats) == seen


def test_database_that_is_locked_for_a_while_disturbs_no_task(execute, monkeypatch, at_once):
    monkeypatch.setattr(process, "_BEAT_SECONDS", 0.005)
    troubles = []

    def task(home, job, control):
        with monkeypatch.context() as locked:
            for module, name in [
                (attempts, "beat"), (attempts, "set_progress"), (jobs, "get"),
            ]:  # fmt: skip
                locked.setattr(module, name, lambda *_: troubles.append(1) or trouble())
            control.progress("training", 0.1)
            assert not control.should_stop()
            seen = len(troubles)
            wait_until(lambda: len(troubles) > seen)
        control.progress("training", 0.2)
        return "stopped", None

    job = execute(task)
    assert (job.status, job.progress) == ("stopped", 0.2)


def test_process_that_cannot_use_the_database_leaves_its_end_to_the_worker(workbench, job, execute):
    with pytest.raises(DatabaseTrouble):
        execute(trouble)
    now = jobs.get(workbench.database, job.id)
    # Neither failed nor completed: the worker will see that the process is gone.
    assert (now.status, now.error) == ("running", None)


def test_database_is_asked_at_most_twice_a_second(workbench, job, control, monkeypatch):
    asked = []
    monkeypatch.setattr(jobs, "get", lambda *_: asked.append(1) or job)
    for _ in range(1000):
        control.should_stop()
    assert len(asked) <= 3


def test_progress_is_written_when_the_phase_changes_and_else_seldom(workbench, job, monkeypatch):
    written = []
    monkeypatch.setattr(attempts, "set_progress", lambda *call: written.append(call[2:]))
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


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        ("inspect", "engine.jobs.import_task"),
        ("import", "engine.jobs.import_task"),
        ("derive", "engine.jobs.import_task"),
        ("preflight", "engine.jobs.preflight_task"),
        ("train", "engine.jobs.training_task"),
        ("evaluate", "engine.jobs.training_task"),
    ],
)
def test_each_kind_of_job_has_its_task(workbench, kind, module):
    job_id = jobs.add(workbench.database, kind, {}, actor="ann")
    assert process._task(jobs.get(workbench.database, job_id)).__module__ == module


@pytest.mark.parametrize(("kind", "is_told"), [("train", True), ("inspect", False)])
def test_training_that_fails_with_a_sentence_keeps_the_last_lines_of_its_log(
    workbench, monkeypatch, kind, is_told
):
    def fail(home, job, control):
        raise Diverged("The loss is no number.")

    jobs.add(workbench.database, kind, {}, actor="ann")
    job = attempts.claim(workbench.database, [kind], "cpu")
    path = workbench.files.path(log_key(job.id))
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(f"Epoch {number}" for number in range(1, 41)))
    monkeypatch.setattr(process, "_task", lambda _: fail)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert process.main(job.id, job.attempts) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    facts = jobs.get(workbench.database, job.id).error["facts"]
    assert facts.get("log", "").splitlines()[-1:] == (["Epoch 40"] if is_told else [])
