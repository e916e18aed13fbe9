"""Processes on this machine: slots, GPUs, sessions, ends."""

import dataclasses
import os
import platform
import signal
import subprocess
import sys
import time

import psutil
import pytest

from engine.jobs.daemon import stamp_of
from engine.jobs.executors import local
from engine.jobs.executors.base import Exit
from engine.jobs.executors.local import LocalExecutor, visible_gpus
from engine.jobs.slots import machine_slots
from engine.store import attempts, drafts, jobs

WAIT_SECONDS = 30


@pytest.fixture
def executor(workbench, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return LocalExecutor(workbench)


@pytest.fixture
def claim(workbench):
    def claim(kind="train", slot="cpu"):
        jobs.add(workbench.database, kind, {}, actor="ann")
        return attempts.claim(workbench.database, [kind], slot)

    return claim


@pytest.fixture
def say(tmp_path, monkeypatch):
    """`say(command)`: jobs run this shell command instead of Python."""

    def say(command):
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\n{command}\n")
        script.chmod(0o755)
        monkeypatch.setattr(local.sys, "executable", str(script))

    return say


def wait_for_end(executor, handle):
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        ended = executor.poll(handle)
        if ended is not None:
            return ended
        time.sleep(0.01)
    raise AssertionError("The process did not end.")


def slots(executor, lane="training"):
    return [slot for slot in executor.slots if slot.lane == lane]


def test_job_on_another_machine_takes_no_slot_of_this_one(executor, claim):
    job = claim()
    elsewhere = {"host": "elsewhere", "pid": 1, "stamp": "x", "gpu": None}
    running = [dataclasses.replace(job, handle=elsewhere)]
    assert executor.free_slots(running) == list(executor.slots)
    here = [dataclasses.replace(job, handle=elsewhere | {"host": platform.node()})]
    assert [slot.name for slot in executor.free_slots(here)] == ["trial", "light", "light.2"]
    # One that has no process yet may be here.
    assert executor.free_slots([job]) == executor.free_slots(here)


def test_slots_are_those_of_the_settings_and_the_gpus(workbench, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-1f")
    settings = dataclasses.replace(workbench.settings, gpu_jobs=2, light_jobs=1)
    monkeypatch.setattr(local, "usable_cores", lambda: 12)
    executor = LocalExecutor(dataclasses.replace(workbench, settings=settings))
    assert executor.slots == machine_slots(settings, ["2", "GPU-1f"], 12)


def test_jobs_see_the_gpu_of_their_slot_and_no_other(workbench, monkeypatch, claim, say):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-1f")
    say('echo "$CUDA_VISIBLE_DEVICES"')
    executor = LocalExecutor(workbench)
    for slot, expected in zip(slots(executor), ("2", "GPU-1f"), strict=True):
        job = claim(slot=slot.name)
        handle = executor.submit(job, slot, [])
        assert handle["gpu"] == expected
        assert wait_for_end(executor, handle) == Exit(0)
        assert executor.log_tail(job.id, 1) == expected


def test_trial_is_where_no_training_is(workbench, monkeypatch, claim, say):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    say('echo "$CUDA_VISIBLE_DEVICES"')
    executor = LocalExecutor(workbench)
    first, second = slots(executor)
    job = claim(slot=first.name)
    handle = executor.submit(job, first, [])
    wait_for_end(executor, handle)
    running = [dataclasses.replace(job, handle=handle)]
    (trial,) = slots(executor, "trial")
    tried = claim("preflight", slot=trial.name)
    handle = executor.submit(tried, trial, [*running, tried])
    assert handle["gpu"] == "1"
    wait_for_end(executor, handle)
    assert executor.log_tail(tried.id, 1) == "1"
    # And no training starts there meanwhile.
    free = executor.free_slots([dataclasses.replace(tried, handle=handle)])
    assert first in free and second not in free


def test_light_job_sees_no_gpu(workbench, monkeypatch, claim, say):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    say('echo "gpu=$CUDA_VISIBLE_DEVICES"')
    executor = LocalExecutor(workbench)
    job = claim("import")
    handle = executor.submit(job, slots(executor, "light")[0], [])
    wait_for_end(executor, handle)
    assert handle["gpu"] is None
    assert executor.log_tail(job.id, 1) == "gpu="


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, "6"), ("", "6"), ("2", "2"), ("64", "6"), ("6,3", "6")],
)
def test_job_computes_with_the_threads_of_its_slot_or_with_fewer_when_told(
    workbench, monkeypatch, claim, say, given, expected
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(local, "usable_cores", lambda: 6)
    if given is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    say('echo "$OMP_NUM_THREADS"')
    executor = LocalExecutor(workbench)
    for slot, threads in [(slots(executor)[0], expected), (slots(executor, "light")[0], "1")]:
        job = claim("train" if slot.lane == "training" else "import")
        wait_for_end(executor, executor.submit(job, slot, []))
        assert executor.log_tail(job.id, 1) == threads


@pytest.mark.parametrize(("given", "expected"), [(None, "PASSIVE"), ("active", "active")])
def test_threads_that_wait_for_each_other_sleep_unless_told_otherwise(
    executor, monkeypatch, claim, say, given, expected
):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    say('echo "$OMP_WAIT_POLICY $PYTHONUNBUFFERED"')
    job = claim()
    wait_for_end(executor, executor.submit(job, slots(executor)[0], []))
    assert executor.log_tail(job.id, 1) == f"{expected} 1"


def test_process_is_told_its_job_and_attempt(executor, workbench, claim, say):
    say('echo "$@"')
    first = claim()
    attempts.give_back(workbench.database, first, {"type": "ProcessDied"}, is_retry=True)
    job = attempts.claim(workbench.database, ["train"], "cpu")
    wait_for_end(executor, executor.submit(job, slots(executor)[0], []))
    assert executor.log_tail(job.id, 1) == f"-m engine.jobs.process {job.id} 2"


def test_log_of_the_next_attempt_follows_the_one_before(executor, claim, say):
    say('echo "attempt $4"')
    job = claim()
    for attempt in (1, 2):
        again = dataclasses.replace(job, attempts=attempt)
        wait_for_end(executor, executor.submit(again, slots(executor)[0], []))
    assert executor.log_tail(job.id, 9) == "attempt 1\nattempt 2"


@pytest.mark.parametrize(
    ("variable", "expected"), [("", []), ("0", ["0"]), (" 0, 3 ,", ["0", "3"]), (",", [])]
)
def test_gpus_that_this_process_may_use_are_the_ones_it_was_given(variable, expected):
    assert visible_gpus(variable) == expected


def test_without_a_driver_there_is_no_gpu(monkeypatch):
    def refuse():
        raise local.pynvml.NVMLError(local.pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(local.pynvml, "nvmlInit", refuse)
    assert visible_gpus(None) == []


def test_process_has_a_session_of_its_own_and_the_home_in_its_environment(
    workbench, executor, claim, say
):
    say("echo $WORKBENCH_HOME $WORKBENCH_DATABASE_URL; echo to stderr >&2; exec sleep 60")
    job = claim()
    handle = executor.submit(job, slots(executor)[0], [])
    assert os.getsid(handle["pid"]) == handle["pid"]
    assert executor.poll(handle) is None
    deadline = time.monotonic() + WAIT_SECONDS
    while "stderr" not in executor.log_tail(job.id, 2) and time.monotonic() < deadline:
        time.sleep(0.01)
    settings = workbench.settings
    assert executor.log_tail(job.id, 2) == f"{settings.home} {settings.database_url}\nto stderr"
    executor.stop(handle)
    assert wait_for_end(executor, handle) == Exit(-signal.SIGTERM)


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("kill -9 $$", -9)])
def test_end_of_a_child_is_known_exactly(executor, claim, say, command, code):
    say(command)
    handle = executor.submit(claim(), slots(executor)[0], [])
    assert wait_for_end(executor, handle) == Exit(code)
    assert executor.poll(handle) == Exit(code)
    executor.stop(handle)


def test_process_that_ended_before_it_was_looked_at_has_ended(executor, claim, say, monkeypatch):
    say("exit 5")
    monkeypatch.setattr(local, "stamp_of", lambda _: None)
    handle = executor.submit(claim(), slots(executor)[0], [])
    assert wait_for_end(executor, handle) == Exit(5)


def test_end_of_another_ones_child_is_noticed(executor):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    handle = {"pid": process.pid, "stamp": stamp_of(process.pid), "gpu": None}
    assert executor.poll(handle) is None
    # The same number before a reboot was another process; it is not ended in its place.
    before = handle | {"stamp": "another boot:1"}
    assert executor.poll(before) == Exit(None)
    executor.stop(before, at_once=True)
    assert executor.poll(handle) is None
    process.kill()
    process.communicate()
    assert executor.poll(handle) == Exit(None)
    executor.stop(handle)


def test_process_that_does_not_want_to_end_is_ended_with_its_children(executor, claim, say):
    say("trap '' TERM; sleep 60 & echo $!; wait; wait")
    job = claim()
    handle = executor.submit(job, slots(executor)[0], [])
    deadline = time.monotonic() + WAIT_SECONDS
    while not executor.log_tail(job.id, 1) and time.monotonic() < deadline:
        time.sleep(0.01)
    child = psutil.Process(int(executor.log_tail(job.id, 1)))
    executor.stop(handle, at_once=True)
    assert wait_for_end(executor, handle) == Exit(-signal.SIGKILL)
    _, alive = psutil.wait_procs([child], timeout=WAIT_SECONDS)
    assert alive == []


def test_process_that_ends_while_it_is_being_stopped_has_ended(executor, monkeypatch):
    monkeypatch.setattr(local, "process_lives", lambda *_: True)
    executor.stop({"pid": 2**22 + 1, "stamp": "boot:1", "gpu": None})


def test_process_that_was_frozen_is_told_from_one_that_works_and_can_be_ended(executor, claim, say):
    say("exec sleep 60")
    handle = executor.submit(claim(), slots(executor)[0], [])
    assert not executor.is_frozen(handle)
    os.kill(handle["pid"], signal.SIGSTOP)
    deadline = time.monotonic() + WAIT_SECONDS
    while not executor.is_frozen(handle):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert executor.poll(handle) is None
    assert not executor.is_frozen(handle | {"stamp": "another boot:1"})
    executor.stop(handle, at_once=True)
    assert wait_for_end(executor, handle) == Exit(-signal.SIGKILL)
    assert not executor.is_frozen(handle)


@pytest.mark.parametrize(
    ("command", "kills_later", "expected"),
    [
        ("kill -9 $$", 8, Exit(-signal.SIGKILL, out_of_memory=True)),
        ("kill -9 $$", 7, Exit(-signal.SIGKILL)),
        # Who ends by itself was not killed, whomever the kernel killed meanwhile.
        ("exit 1", 8, Exit(1)),
        ("kill -15 $$", 8, Exit(-signal.SIGTERM)),
    ],
)
def test_kill_is_the_kernels_when_it_has_killed_since_for_want_of_memory(
    executor, claim, say, monkeypatch, command, kills_later, expected
):
    monkeypatch.setattr(local, "oom_kills", lambda: 7)
    say(command)
    handle = executor.submit(claim(), slots(executor)[0], [])
    assert handle["oom_kills"] == 7
    monkeypatch.setattr(local, "oom_kills", lambda: kills_later)
    assert wait_for_end(executor, handle) == expected


def test_kill_that_an_earlier_worker_would_have_seen_is_recognised(executor, monkeypatch):
    monkeypatch.setattr(local, "oom_kills", lambda: 8)
    gone = {"pid": 2**22 + 1, "stamp": "boot:1", "gpu": None}
    assert executor.poll(gone | {"oom_kills": 7}) == Exit(None, out_of_memory=True)
    assert executor.poll(gone | {"oom_kills": 8}) == Exit(None)


def test_import_runs_in_a_process_of_its_own_and_tells_why_it_failed(workbench, executor, claim):
    with workbench.files.writing("uploads/x/cells.zip") as path:
        path.write_bytes(b"this is not a zip")
    job_id = drafts.add(
        workbench.database,
        draft_id="f0000001",
        name="cells",
        source="uploads/x/cells.zip",
        kind="import",
        actor="ann",
    )
    job = attempts.claim(workbench.database, ["import"], "light")
    assert job is not None and job.id == job_id
    handle = executor.submit(job, slots(executor, "light")[0], [])
    assert wait_for_end(executor, handle) == Exit(0)
    job = jobs.get(workbench.database, job.id)
    assert (job.status, job.error["type"]) == ("failed", "BadArchive")
    # It recorded itself: a worker that dies right after the start does not lose it.
    assert job.handle == {
        name: handle[name] for name in ("host", "pid", "stamp", "gpu", "oom_kills")
    }
    # The upload stays, for another try.
    assert workbench.files.path("uploads/x/cells.zip").exists()
    assert "Traceback" not in executor.log_tail(job.id, 100)
