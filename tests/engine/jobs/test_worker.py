"""The worker, with processes that exist only on paper."""

import platform
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import psutil
import pytest

from engine.config import recipe
from engine.errors import WorkbenchError
from engine.jobs import worker as worker_module
from engine.jobs.executors.base import Exit
from engine.jobs.executors.local import LocalExecutor
from engine.jobs.logs import log_key
from engine.jobs.queue import submit_training
from engine.jobs.worker import Worker
from engine.store import jobs, runs, workers

HOST = platform.node()


@dataclass
class PaperExecutor:
    """Processes as a dictionary: number → how it ended, or None while it runs."""

    slots: dict = field(default_factory=lambda: {"import": 1, "train": 1})
    processes: dict = field(default_factory=dict)
    submitted: list = field(default_factory=list)
    most_running: int = 0

    def free_slots(self, kind, running):
        return self.slots.get(kind, 0) - sum(job.kind == kind for job in running)

    def submit(self, job, running):
        assert job.status == "running"
        pid = len(self.processes) + 1
        self.processes[pid] = None
        self.submitted.append(job.id)
        self.most_running = max(self.most_running, len(running))
        return {"host": HOST, "pid": pid, "process_started_at": float(pid), "gpu": None}

    def poll(self, handle):
        return self.processes[handle["pid"]]

    def stop(self, handle):
        raise AssertionError("the worker does not stop processes")

    def log_tail(self, job_id, num_lines):
        return "\n".join(f"line {number}" for number in range(num_lines))


@pytest.fixture
def executor():
    return PaperExecutor()


@pytest.fixture
def worker(workbench, executor):
    return Worker(workbench, executor, idle_seconds=None)


@pytest.fixture
def add_job(workbench):
    def add(kind="train"):
        return jobs.add(workbench.database, kind, {"source": "uploads/x/a.zip"}, actor="ann")

    return add


@pytest.fixture
def status(workbench):
    return lambda job_id: jobs.get(workbench.database, job_id).status


@pytest.fixture
def run_in_this_thread(monkeypatch):
    """`Worker.run` polls quickly, and the signals it takes over are given back."""
    monkeypatch.setattr(worker_module, "POLL_SECONDS", 0.005)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_queued_job_is_claimed_and_gets_a_process(worker, executor, workbench, add_job):
    job_id = add_job()
    assert worker.turn()
    job = jobs.get(workbench.database, job_id)
    assert job.status == "running"
    assert job.handle == {"host": HOST, "pid": 1, "process_started_at": 1.0, "gpu": None}
    assert executor.submitted == [job_id]


def test_worker_without_work_is_idle(worker):
    assert not worker.turn()


def test_no_more_jobs_run_than_there_are_slots(worker, executor, add_job, status):
    executor.slots = {"import": 1, "train": 2}
    trainings = [add_job() for _ in range(5)]
    imports = [add_job("import") for _ in range(2)]
    for _ in range(3):
        worker.turn()
    assert [status(job_id) for job_id in trainings] == ["running"] * 2 + ["queued"] * 3
    assert [status(job_id) for job_id in imports] == ["running", "queued"]


def test_next_job_starts_in_the_turn_in_which_one_ends(
    worker, executor, workbench, add_job, status
):
    first, second = add_job(), add_job()
    worker.turn()
    jobs.finish(workbench.database, first, "completed")
    executor.processes[1] = Exit(0)
    worker.turn()
    assert (status(first), status(second)) == ("completed", "running")


def test_many_jobs_are_each_executed_exactly_once_and_all_end(
    worker, executor, workbench, add_job, status
):
    executor.slots = {"import": 1, "train": 3}
    expected = [add_job("train" if number % 3 else "import") for number in range(24)]
    deadline = time.monotonic() + 30
    while worker.turn():
        assert time.monotonic() < deadline
        for job in jobs.with_status(workbench.database, "running"):
            if job.handle["pid"] % 4:
                jobs.finish(workbench.database, job.id, "completed")
            executor.processes[job.handle["pid"]] = Exit(0 if job.handle["pid"] % 4 else -9)
    assert sorted(executor.submitted) == sorted(expected)
    ends = [status(job_id) for job_id in expected]
    assert (ends.count("completed"), ends.count("failed")) == (18, 6)
    assert executor.most_running <= 4


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (-signal.SIGKILL, "killed by SIGKILL, as happens when memory runs out"),
        (-signal.SIGSEGV, "killed by SIGSEGV."),
        (-40, "killed by signal 40."),
        (1, "exit status 1."),
        (0, "exit status 0."),
        (None, "it disappeared while no worker watched it"),
    ],
)
def test_job_whose_process_died_has_failed_with_cause_and_log(
    worker, executor, workbench, add_job, code, cause
):
    job_id = add_job()
    worker.turn()
    executor.processes[1] = Exit(code)
    assert not worker.turn()
    job = jobs.get(workbench.database, job_id)
    assert job.status == "failed"
    assert job.ended_at is not None
    assert job.error["type"] == "ProcessDied"
    sentence = str(WorkbenchError(job.error["message"], **job.error["facts"]))
    assert f"ended without a result: {cause}" in sentence
    assert job.error["facts"]["log"].splitlines()[-1] == f"line {worker_module.REASON_LINES - 1}"


def test_job_that_ended_itself_stays_as_it_ended(worker, executor, workbench, add_job):
    job_id = add_job()
    worker.turn()
    jobs.finish(workbench.database, job_id, "stopped", result={"best_epoch": 1})
    executor.processes[1] = Exit(1)
    worker.turn()
    job = jobs.get(workbench.database, job_id)
    assert (job.status, job.error, job.result) == ("stopped", None, {"best_epoch": 1})


def test_worker_takes_over_the_jobs_of_an_earlier_one(worker, executor, workbench, add_job, status):
    living, dead = add_job(), add_job("import")
    worker.turn()
    later_executor = PaperExecutor(processes={1: None, 2: None})
    later = Worker(workbench, later_executor, None)
    later.turn()
    assert (status(living), status(dead)) == ("running", "running")
    assert later_executor.submitted == []
    pid = jobs.get(workbench.database, dead).handle["pid"]
    later_executor.processes[pid] = Exit(None)
    later.turn()
    assert (status(living), status(dead)) == ("running", "failed")


def test_local_processes_of_an_earlier_worker_are_watched_too(workbench, add_job, status):
    job_id = add_job()
    jobs.claim(workbench.database, "train")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started_at = psutil.Process(process.pid).create_time()
    handle = {"host": HOST, "pid": process.pid, "process_started_at": started_at, "gpu": None}
    jobs.set_handle(workbench.database, job_id, handle)
    with workbench.files.writing(log_key(job_id)) as path:
        path.write_text("Epoch 3\nout of luck\n")
    worker = Worker(workbench, LocalExecutor(workbench), None)
    worker.turn()
    assert status(job_id) == "running"
    process.kill()
    process.communicate()
    worker.turn()
    job = jobs.get(workbench.database, job_id)
    assert job.status == "failed"
    assert job.error["facts"]["log"] == "Epoch 3\nout of luck"


def test_jobs_of_other_machines_are_left_to_their_workers(worker, workbench, add_job, status):
    job_id = add_job()
    jobs.claim(workbench.database, "train")
    handle = {"host": "elsewhere", "pid": 1, "process_started_at": 1.0, "gpu": None}
    jobs.set_handle(workbench.database, job_id, handle)
    worker.turn()
    assert status(job_id) == "running"


def test_job_of_a_machine_that_fell_silent_has_failed(
    worker, workbench, add_job, status, monkeypatch
):
    job_id = add_job()
    jobs.claim(workbench.database, "train")
    handle = {"host": "elsewhere", "pid": 1, "process_started_at": 1.0, "gpu": None}
    jobs.set_handle(workbench.database, job_id, handle)
    monkeypatch.setattr(worker_module, "SILENCE_SECONDS", -1.0)
    worker.turn()
    assert status(job_id) == "failed"


def test_job_that_never_got_a_process_is_lost_after_a_while(
    worker, workbench, add_job, status, monkeypatch
):
    job_id = add_job()
    jobs.claim(workbench.database, "train")
    worker.turn()
    assert status(job_id) == "running"
    monkeypatch.setattr(worker_module, "HANDLE_WAIT_SECONDS", -1.0)
    worker.turn()
    assert status(job_id) == "failed"


def test_job_that_cannot_be_started_has_failed_and_the_worker_goes_on(
    worker, executor, workbench, add_job, status, monkeypatch
):
    job_id = add_job()
    submit = executor.submit

    def refuse(job, running):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(executor, "submit", refuse)
    worker.turn()
    job = jobs.get(workbench.database, job_id)
    assert (job.status, job.error["type"]) == ("failed", "ProcessDied")
    assert "No space left on device" in job.error["facts"]["reason"]
    monkeypatch.setattr(executor, "submit", submit)
    another = add_job()
    worker.turn()
    assert status(another) == "running"


def test_upload_of_an_import_that_died_stays_for_another_try(worker, executor, workbench, add_job):
    add_job("import")
    with workbench.files.writing("uploads/x/a.zip") as path:
        path.write_bytes(b"zip")
    worker.turn()
    executor.processes[1] = Exit(-9)
    worker.turn()
    assert workbench.files.path("uploads/x/a.zip").read_bytes() == b"zip"


def test_worker_leaves_when_idle_and_says_so(workbench, executor, run_in_this_thread):
    Worker(workbench, executor, idle_seconds=0.05).run()
    assert workers.get(workbench.database, HOST) is None


def test_worker_is_known_while_it_works(workbench, executor, run_in_this_thread):
    seen = []

    class Looking(PaperExecutor):
        def free_slots(self, kind, running):
            seen.append(workers.get(workbench.database, HOST))
            return 0

    Worker(workbench, Looking(), idle_seconds=0.05).run()
    assert {record.pid for record in seen} == {psutil.Process().pid}


def test_worker_does_not_leave_while_a_job_is_open(workbench, add_job, run_in_this_thread):
    job_id = add_job()
    turns = []

    class Full(PaperExecutor):
        def free_slots(self, kind, running):
            turns.append(jobs.get(workbench.database, job_id).status)
            if len(turns) == 40:
                jobs.request_stop(workbench.database, job_id, actor="ann")
            return 0

    Worker(workbench, Full(), idle_seconds=0.0).run()
    assert turns[:40] == ["queued"] * 40


def test_second_worker_of_a_home_leaves_at_once(workbench, executor, run_in_this_thread):
    second = Worker(workbench, executor, idle_seconds=None)
    left = []

    class First(PaperExecutor):
        def free_slots(self, kind, running):
            if not left:
                second.run()
                left.append(workers.get(workbench.database, HOST) is not None)
            return 0

    Worker(workbench, First(), idle_seconds=0.05).run()
    assert left == [True]


def test_terminated_worker_leaves_its_jobs_running(
    workbench, executor, add_job, status, run_in_this_thread
):
    job_id = add_job()
    worker = Worker(workbench, executor, idle_seconds=None)

    def terminate():
        deadline = time.monotonic() + 20
        while status(job_id) != "running" and time.monotonic() < deadline:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)

    thread = threading.Thread(target=terminate)
    thread.start()
    worker.run()
    thread.join()
    assert status(job_id) == "running"
    assert workers.get(workbench.database, HOST) is None


def test_worker_sweeps_what_a_dead_import_left(workbench, executor, run_in_this_thread):
    code = (
        "import os, pathlib; from engine.files import Files\n"
        f"files = Files(pathlib.Path({str(workbench.files.root)!r}))\n"
        "with files.staging('datasets/x'): os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(list(workbench.files.path("datasets").iterdir())) == 1
    Worker(workbench, executor, idle_seconds=0.0).run()
    assert list(workbench.files.path("datasets").iterdir()) == []


def test_run_whose_process_died_is_failed_too(worker, executor, workbench, add_dataset):
    run_id = submit_training(workbench, add_dataset(), recipe("quick"), actor="ann")
    worker.turn()
    executor.processes[1] = Exit(-9)
    worker.turn()
    assert runs.get(workbench.database, run_id).status == "failed"
