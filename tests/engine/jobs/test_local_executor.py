"""Processes on this machine: slots, GPUs, sessions, ends."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from engine.jobs.executors import local
from engine.jobs.executors.base import Exit
from engine.jobs.executors.local import LocalExecutor, visible_gpus
from engine.store import drafts, jobs

WAIT_SECONDS = 30


@pytest.fixture
def executor(workbench, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return LocalExecutor(workbench)


@pytest.fixture
def claim(workbench):
    def claim(kind="train", payload=None):
        jobs.add(workbench.database, kind, payload or {}, actor="ann")
        return jobs.claim(workbench.database, kind)

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


def test_job_on_another_machine_takes_no_slot_of_this_one(executor, claim):
    elsewhere = {"host": "elsewhere", "pid": 1, "process_started_at": 1.0, "gpu": "0"}
    assert executor.free_slots("train", [dataclasses.replace(claim(), handle=elsewhere)]) == 1
    assert executor.free_slots("train", [claim()]) == 0


@pytest.mark.parametrize("kind", ["import", "inspect", "derive", "preflight"])
def test_one_training_and_one_job_of_each_other_kind_run_where_there_is_no_gpu(
    executor, claim, kind
):
    assert executor.free_slots("train", []) == 1
    assert executor.free_slots(kind, []) == 1
    running = [claim("train")]
    assert executor.free_slots("train", running) == 0
    assert executor.free_slots(kind, running) == 1
    running = [claim(kind)]
    assert executor.free_slots("train", running) == 1
    assert executor.free_slots(kind, running) == 0


def test_every_gpu_has_one_training_and_none_two(workbench, monkeypatch, claim, say):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-1f")
    say('echo "$CUDA_VISIBLE_DEVICES"')
    executor = LocalExecutor(workbench)
    assert executor.free_slots("train", []) == 2
    running = []
    for expected in ("2", "GPU-1f"):
        job = claim()
        handle = executor.submit(job, running)
        assert handle["gpu"] == expected
        assert wait_for_end(executor, handle) == Exit(0)
        assert executor.log_tail(job.id, 1) == expected
        running.append(dataclasses.replace(job, handle=handle))
    assert executor.free_slots("train", running) == 0
    # The first GPU is free again once its job is not running any more.
    handle = executor.submit(claim(), running[1:])
    assert handle["gpu"] == "2"
    wait_for_end(executor, handle)


@pytest.fixture
def on_gpus(workbench, monkeypatch, claim, say):
    """`on_gpus("0,1")`: an executor, and how to start a job of a kind beside running ones."""
    say("true")

    def on_gpus(visible):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        executor = LocalExecutor(workbench)

        def start(kind, running):
            job = claim(kind)
            handle = executor.submit(job, running)
            wait_for_end(executor, handle)
            return dataclasses.replace(job, handle=handle)

        return executor, start

    return on_gpus


def test_preflight_gets_the_first_free_gpu_or_shares_the_first_of_all(on_gpus):
    executor, start = on_gpus("0,1")
    running = []
    for kind, expected in [("train", "0"), ("preflight", "1")]:
        running.append(start(kind, running))
        assert running[-1].handle["gpu"] == expected
    trainings = [running[0], start("train", [running[0]])]
    # Trainings never end sooner because somebody tries settings, so it does not wait for them.
    assert executor.free_slots("preflight", trainings) == 1
    shared = start("preflight", trainings)
    assert shared.handle["gpu"] == "0"
    assert executor.free_slots("preflight", [*trainings, shared]) == 0


def test_training_waits_for_the_preflight_on_its_gpu_and_only_for_that(on_gpus):
    executor, start = on_gpus("0")
    assert executor.free_slots("train", []) == 1
    assert executor.free_slots("train", [start("preflight", [])]) == 0
    executor, start = on_gpus("0,1")
    preflight = start("preflight", [])
    assert executor.free_slots("train", [preflight]) == 1
    assert start("train", [preflight]).handle["gpu"] == "1"


def test_job_that_has_no_process_yet_counts_as_being_on_a_gpu(on_gpus, claim):
    executor, _start = on_gpus("0,1")
    assert executor.free_slots("train", [claim("preflight")]) == 1
    assert executor.free_slots("train", [claim("preflight"), claim("train")]) == 0
    assert executor.free_slots("train", [claim("import")]) == 2


def test_light_job_sees_no_gpu(workbench, monkeypatch, claim, say):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    say('echo "gpu=$CUDA_VISIBLE_DEVICES"')
    executor = LocalExecutor(workbench)
    job = claim("import")
    handle = executor.submit(job, [])
    wait_for_end(executor, handle)
    assert handle["gpu"] is None
    assert executor.log_tail(job.id, 1) == "gpu="


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
    handle = executor.submit(job, [])
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
    handle = executor.submit(claim(), [])
    assert wait_for_end(executor, handle) == Exit(code)
    assert executor.poll(handle) == Exit(code)
    executor.stop(handle)


def test_end_of_another_ones_child_is_noticed(executor):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    handle = {
        "pid": process.pid,
        "process_started_at": psutil.Process(process.pid).create_time(),
        "gpu": None,
    }
    assert executor.poll(handle) is None
    process.kill()
    process.communicate()
    assert executor.poll(handle) == Exit(None)


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
    job = jobs.claim(workbench.database, "import")
    assert job is not None and job.id == job_id
    handle = executor.submit(job, [])
    assert wait_for_end(executor, handle) == Exit(0)
    job = jobs.get(workbench.database, job.id)
    assert (job.status, job.error["type"]) == ("failed", "BadArchive")
    # It recorded itself: a worker that dies right after the start does not lose it.
    assert job.handle == handle
    # The upload stays, for another try.
    assert workbench.files.path("uploads/x/cells.zip").exists()
    assert "Traceback" not in executor.log_tail(job.id, 100)
