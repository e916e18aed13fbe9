"""The worker, with processes that exist only on paper."""

import dataclasses
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from engine.config import recipe
from engine.errors import WorkbenchError
from engine.jobs import slots as slots_module
from engine.jobs import worker as worker_module
from engine.jobs.daemon import stamp_of
from engine.jobs.executors.base import Exit
from engine.jobs.executors.local import LocalExecutor
from engine.jobs.logs import REASON_LINES, log_key
from engine.jobs.queue import submit_training
from engine.jobs.slots import Slot, free_slots
from engine.jobs.worker import Worker
from engine.store import attempts, jobs, runs, workers

HOST = platform.node()
KILLED = Exit(-signal.SIGKILL)


def slots(training=1, trial=1, light=1):
    """So many slots of each lane."""
    counts = {"training": training, "trial": trial, "light": light}
    return [
        Slot(name=f"{lane} {number}", lane=lane, gpu=None, threads=1)
        for lane, count in counts.items()
        for number in range(count)
    ]


@dataclass
class PaperExecutor:
    """Processes as a dictionary: number → how it ended, or None while it runs."""

    slots: list = field(default_factory=slots)
    processes: dict = field(default_factory=dict)
    submitted: list = field(default_factory=list)
    stopped: list = field(default_factory=list)
    frozen: set = field(default_factory=set)
    most_running: int = 0

    def free_slots(self, running):
        return free_slots(self.slots, running)

    def submit(self, job, slot, running):
        assert (job.status, job.slot) == ("running", slot.name)
        assert job.id in [other.id for other in running]
        pid = len(self.processes) + 1
        self.processes[pid] = None
        self.submitted.append(job.id)
        self.most_running = max(self.most_running, len(running))
        return {"host": HOST, "pid": pid, "stamp": f"boot:{pid}", "gpu": None}

    def poll(self, handle):
        return self.processes[handle["pid"]]

    def is_frozen(self, handle):
        return handle["pid"] in self.frozen

    def stop(self, handle, *, at_once=False):
        assert at_once, "the worker asks no process to hand over"
        self.stopped.append(handle["pid"])
        self.processes[handle["pid"]] = KILLED

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
def get(workbench):
    return lambda job_id: jobs.get(workbench.database, job_id)


@pytest.fixture
def status(get):
    return lambda job_id: get(job_id).status


@pytest.fixture
def finish(workbench):
    """`finish(job_id, "completed")`: what its process writes at its end."""

    def finish(job_id, status, **options):
        job = jobs.get(workbench.database, job_id)
        assert attempts.finish(workbench.database, job, status, **options)

    return finish


@pytest.fixture
def run_in_this_thread(monkeypatch):
    """`Worker.run` polls quickly, and the signals it takes over are given back."""
    monkeypatch.setattr(worker_module, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(worker_module, "_TROUBLE_WAIT_SECONDS", 0.005)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def with_settings(workbench, **changes):
    return dataclasses.replace(
        workbench, settings=dataclasses.replace(workbench.settings, **changes)
    )


def turns(worker, count, before=lambda: None):
    """So many turns of a worker whose own heart beats before each."""
    for _ in range(count):
        before()
        worker._num_beats += 1
        worker.turn()


def sentence(error):
    return str(WorkbenchError(error["message"], **error["facts"]))


def trouble(*_args, **_options):
    raise sa.exc.OperationalError("UPDATE", {}, Exception("database is locked"))


def test_queued_job_is_claimed_and_gets_a_process(worker, executor, get, add_job):
    job_id = add_job()
    assert worker.turn()
    job = get(job_id)
    assert (job.status, job.slot, job.attempts) == ("running", "training 0", 1)
    assert job.handle == {"host": HOST, "pid": 1, "stamp": "boot:1", "gpu": None}
    assert executor.submitted == [job_id]
    assert job.incidents == []


def test_worker_without_work_is_idle(worker):
    assert not worker.turn()


def test_no_more_jobs_run_than_there_are_slots(worker, executor, add_job, status):
    executor.slots = slots(training=2)
    trainings = [add_job(kind) for kind in ("train", "evaluate", "train", "evaluate", "train")]
    light = [add_job(kind) for kind in ("import", "inspect")]
    trials = [add_job("preflight") for _ in range(2)]
    for _ in range(3):
        worker.turn()
    assert [status(job_id) for job_id in trainings] == ["running"] * 2 + ["queued"] * 3
    assert [status(job_id) for job_id in light] == ["running", "queued"]
    assert [status(job_id) for job_id in trials] == ["running", "queued"]


def test_next_job_starts_in_the_turn_in_which_one_ends(worker, executor, finish, add_job, status):
    first, second = add_job(), add_job()
    worker.turn()
    finish(first, "completed")
    executor.processes[1] = Exit(0)
    worker.turn()
    assert (status(first), status(second)) == ("completed", "running")


def test_many_jobs_go_on_until_they_end_whoever_dies(
    worker, executor, workbench, finish, add_job, get
):
    executor.slots = slots(training=3, light=2)
    expected = [add_job("train" if number % 3 else "import") for number in range(36)]
    deadline = time.monotonic() + 60
    while worker.turn():
        assert time.monotonic() < deadline
        for job in jobs.with_status(workbench.database, "running"):
            dies = expected.index(job.id) % 4 == 0 and job.attempts < 3
            if not dies:
                finish(job.id, "completed")
            executor.processes[job.handle["pid"]] = KILLED if dies else Exit(0)
    ended = [get(job_id) for job_id in expected]
    assert Counter((job.kind, job.status) for job in ended) == {
        ("train", "completed"): 24,
        ("import", "completed"): 9,
        ("import", "failed"): 3,
    }
    assert Counter(executor.submitted) == {job.id: job.attempts for job in ended}
    assert {job.attempts for job in ended} == {1, 3}
    assert executor.most_running <= 6


def test_training_whose_process_died_is_started_again(worker, executor, workbench, add_job, get):
    job_id, later = add_job(), add_job()
    worker.turn()
    attempts.set_progress(workbench.database, get(job_id), "training", 0.5)
    executor.processes[1] = KILLED
    assert worker.turn()
    job = get(job_id)
    assert (job.status, job.attempts, job.retries, job.handle["pid"]) == ("running", 2, 1, 2)
    assert (job.error, job.ended_at, job.start_progress) == (None, None, 0.5)
    assert executor.submitted == [job_id, job_id]
    assert get(later).status == "queued"
    (incident,) = job.incidents
    assert (incident["type"], incident["attempt"]) == ("ProcessDied", 1)
    assert "killed by SIGKILL" in sentence(incident)
    assert incident["facts"]["log"].splitlines()[-1] == f"line {REASON_LINES - 1}"


def test_scoring_whose_process_died_is_started_again(worker, executor, add_job, get):
    job_id = add_job("evaluate")
    worker.turn()
    executor.processes[1] = Exit(None)
    worker.turn()
    assert (get(job_id).status, get(job_id).attempts) == ("running", 2)


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_training_that_dies_again_and_again_has_failed_in_the_end(
    workbench, executor, add_job, get, retries
):
    worker = Worker(with_settings(workbench, retries=retries), executor, None)
    job_id = add_job()
    for pid in range(1, retries + 2):
        assert worker.turn()
        assert get(job_id).status == "running"
        executor.processes[pid] = Exit(-signal.SIGSEGV)
    assert not worker.turn()
    job = get(job_id)
    assert (job.status, job.attempts, job.retries) == ("failed", retries + 1, retries)
    assert "killed by SIGSEGV." in sentence(job.error)
    assert [incident["attempt"] for incident in job.incidents] == list(range(1, retries + 1))
    assert executor.submitted == [job_id] * (retries + 1)


def test_handing_over_in_good_order_uses_up_no_retry(worker, executor, workbench, add_job, get):
    job_id = add_job()
    worker.turn()
    for pid in range(1, 8):
        attempts.give_back(workbench.database, get(job_id), {"type": "X"}, is_retry=False)
        executor.processes[pid] = Exit(0)
        worker.turn()
    job = get(job_id)
    assert (job.status, job.attempts, job.retries) == ("running", 8, 0)


@pytest.mark.parametrize("kind", ["train", "evaluate", "import", "preflight"])
@pytest.mark.parametrize("wish", ["stop", "pause"])
def test_death_of_what_was_to_end_is_its_end(worker, executor, workbench, add_job, get, kind, wish):
    job_id = add_job(kind)
    worker.turn()
    jobs.request_stop(workbench.database, job_id, wish=wish, actor="ann")
    executor.processes[1] = KILLED
    assert not worker.turn()
    job = get(job_id)
    assert (job.status, job.is_paused, job.error) == ("stopped", wish == "pause", None)
    # That it ended otherwise than it should is told all the same.
    assert [incident["type"] for incident in job.incidents] == ["ProcessDied"]
    assert executor.submitted == [job_id]


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (-signal.SIGKILL, "killed by SIGKILL."),
        (-signal.SIGSEGV, "killed by SIGSEGV."),
        (-40, "killed by signal 40."),
        (1, "exit status 1."),
        (0, "exit status 0."),
        (None, "it disappeared while no worker watched it"),
    ],
)
@pytest.mark.parametrize("kind", ["import", "inspect", "derive", "preflight"])
def test_job_that_somebody_waits_for_has_failed_at_once_with_cause_and_log(
    worker, executor, add_job, get, kind, code, cause
):
    job_id = add_job(kind)
    worker.turn()
    executor.processes[1] = Exit(code)
    assert not worker.turn()
    job = get(job_id)
    assert (job.status, job.attempts, job.retries) == ("failed", 1, 0)
    assert job.ended_at is not None
    assert job.error["type"] == "ProcessDied"
    assert f"ended without a result: {cause}" in sentence(job.error)
    assert job.error["facts"]["log"].splitlines()[-1] == f"line {REASON_LINES - 1}"


def test_job_that_the_kernel_killed_for_want_of_memory_says_so(worker, executor, add_job, get):
    training, an_import = add_job(), add_job("import")
    worker.turn()
    for pid in (1, 2):
        executor.processes[pid] = Exit(-signal.SIGKILL, out_of_memory=True)
    worker.turn()
    assert (get(training).status, get(training).retries) == ("running", 1)
    for error in (get(training).incidents[0], get(an_import).error):
        assert error["type"] == "OutOfMemory"
        assert "The memory of the machine ran out" in sentence(error)
        assert "batch_size" in sentence(error)
        assert error["facts"]["log"].startswith("line 0")


def test_job_that_ended_itself_stays_as_it_ended(worker, executor, finish, add_job, get):
    job_id = add_job()
    worker.turn()
    finish(job_id, "stopped", result={"best_epoch": 1})
    executor.processes[1] = Exit(1)
    worker.turn()
    job = get(job_id)
    assert (job.status, job.error, job.result) == ("stopped", None, {"best_epoch": 1})
    assert job.incidents == []


def test_job_that_is_given_back_while_the_worker_looks_is_not_ended_for_it(
    worker, executor, workbench, add_job, get, monkeypatch
):
    job_id = add_job()
    worker.turn()

    def give_back_and_end(handle):
        if handle["pid"] == 1:
            attempts.give_back(workbench.database, get(job_id), {"type": "X"}, is_retry=False)
            return Exit(0)
        return None

    monkeypatch.setattr(executor, "poll", give_back_and_end)
    worker.turn()
    job = get(job_id)
    assert (job.status, job.attempts, job.retries, job.error) == ("running", 2, 0, None)
    assert [incident["type"] for incident in job.incidents] == ["X"]


@pytest.mark.parametrize("wish", [None, "stop"])
def test_attempt_that_another_machine_began_while_the_worker_looks_is_left_to_it(
    worker, executor, workbench, add_job, get, monkeypatch, wish
):
    job_id = add_job()
    worker.turn()
    theirs = {"host": "elsewhere", "pid": 1, "stamp": "boot:1", "gpu": None}

    def hand_over(handle):
        database = workbench.database
        attempts.give_back(database, get(job_id), {"type": "X"}, is_retry=False)
        attempts.set_handle(database, attempts.claim(database, ["train"], "cpu"), theirs)
        if wish:
            jobs.request_stop(database, job_id, wish=wish, actor="ann")
        return Exit(0)

    monkeypatch.setattr(executor, "poll", hand_over)
    worker.turn()
    job = get(job_id)
    assert (job.status, job.attempts, job.handle, job.retries) == ("running", 2, theirs, 0)
    assert [incident["type"] for incident in job.incidents] == ["X"]


def test_worker_takes_over_the_jobs_of_an_earlier_one(worker, workbench, add_job, get, status):
    living, dead = add_job(), add_job("import")
    worker.turn()
    later_executor = PaperExecutor(processes={1: None, 2: None})
    later = Worker(workbench, later_executor, None)
    later.turn()
    assert (status(living), status(dead)) == ("running", "running")
    assert later_executor.submitted == []
    later_executor.processes[get(dead).handle["pid"]] = Exit(None)
    later.turn()
    assert (status(living), status(dead)) == ("running", "failed")


def test_local_processes_of_an_earlier_worker_are_watched_too(workbench, add_job, get, status):
    job_id = add_job("import")
    job = attempts.claim(workbench.database, ["import"], "light")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    handle = {"host": HOST, "pid": process.pid, "stamp": stamp_of(process.pid), "gpu": None}
    attempts.set_handle(workbench.database, job, handle)
    with workbench.files.writing(log_key(job_id)) as path:
        path.write_text("Epoch 3\nout of luck\n")
    worker = Worker(workbench, LocalExecutor(workbench), None)
    worker.turn()
    assert status(job_id) == "running"
    process.kill()
    process.communicate()
    worker.turn()
    assert status(job_id) == "failed"
    assert get(job_id).error["facts"]["log"] == "Epoch 3\nout of luck"


@pytest.fixture
def elsewhere(workbench, add_job):
    """A training of another machine."""
    add_job()
    job = attempts.claim(workbench.database, ["train"], "cpu")
    handle = {"host": "elsewhere", "pid": 1, "stamp": "boot:1", "gpu": None}
    attempts.set_handle(workbench.database, job, handle)
    return jobs.get(workbench.database, job.id)


def test_jobs_of_other_machines_are_left_to_their_workers(worker, workbench, executor, elsewhere):
    turns(worker, 20, lambda: attempts.beat(workbench.database, elsewhere))
    job = jobs.get(workbench.database, elsewhere.id)
    assert (job.status, job.attempts) == ("running", 1)
    assert executor.submitted == executor.stopped == []


def test_training_of_a_machine_that_fell_silent_goes_on_here(
    worker, workbench, executor, elsewhere
):
    turns(worker, worker_module._BEATS_OF_SILENCE)
    assert jobs.get(workbench.database, elsewhere.id) == elsewhere
    turns(worker, 2)
    job = jobs.get(workbench.database, elsewhere.id)
    assert (job.status, job.attempts, job.retries, job.handle["host"]) == ("running", 2, 1, HOST)
    assert "it disappeared while no worker watched it" in sentence(job.incidents[0])
    # The process of the other machine is nothing that could be killed from here.
    assert executor.stopped == []


def test_training_that_shows_no_sign_of_life_is_killed_and_started_again(
    worker, executor, workbench, add_job, get
):
    job_id = add_job()
    worker.turn()
    attempts.set_progress(workbench.database, get(job_id), "scoring", 0.5)
    turns(worker, worker_module._BEATS_OF_SILENCE)
    assert executor.stopped == []
    turns(worker, 2)
    job = get(job_id)
    assert executor.stopped == [1]
    assert (job.status, job.attempts, job.retries, job.handle["pid"]) == ("running", 2, 1, 2)
    assert "no sign of life any more while its phase was “scoring”" in sentence(job.incidents[0])
    # The next attempt has its own time.
    turns(worker, worker_module._BEATS_OF_SILENCE - 1)
    assert executor.stopped == [1]


def test_import_that_shows_no_sign_of_life_is_killed_and_has_failed(worker, executor, add_job, get):
    job_id = add_job("import")
    worker.turn()
    turns(worker, 10)
    assert executor.stopped == [1]
    assert (get(job_id).status, get(job_id).attempts) == ("failed", 1)


def test_sign_of_life_is_a_heartbeat_that_moves_whatever_the_clock_says(
    worker, executor, workbench, add_job, get, monkeypatch
):
    job_id = add_job()
    worker.turn()
    now = [time.time()]

    def beat_while_the_clock_runs_back():
        now[0] -= 1000.0
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: now[0])
            assert attempts.beat(workbench.database, get(job_id))

    turns(worker, 20, beat_while_the_clock_runs_back)
    assert executor.stopped == []
    assert get(job_id).attempts == 1


def test_time_without_a_beat_of_the_workers_own_is_no_silence(worker, executor, add_job, get):
    # The worker could not write either: whatever time goes by, the database may be to blame.
    job_id = add_job()
    for _ in range(50):
        worker.turn()
    assert executor.stopped == []
    assert get(job_id).attempts == 1


def test_worker_that_could_not_write_blames_no_process(
    workbench, executor, add_job, get, run_in_this_thread, monkeypatch
):
    job_id = add_job()
    tried, beat = [], workers.beat

    def beat_when_unlocked(database, host):
        tried.append(get(job_id).status)
        if 3 <= len(tried) < 30:
            assert tried[-1] == "running"
            trouble()
        # Once it is unlocked, the process too can write again, if not at the same moment.
        if 32 <= len(tried) < 50:
            attempts.beat(database, get(job_id))
        elif len(tried) == 50:
            attempts.finish(database, get(job_id), "completed")
        beat(database, host)

    monkeypatch.setattr(workers, "beat", beat_when_unlocked)
    silent_soon = with_settings(workbench, silence_seconds=0.02)
    Worker(silent_soon, executor, idle_seconds=0.0).run()
    assert len(tried) >= 50
    assert executor.stopped == []
    assert executor.submitted == [job_id]
    assert get(job_id).status == "completed"


def test_job_that_hangs_for_ever_is_ended_by_a_worker_that_beats(
    workbench, executor, add_job, get, run_in_this_thread
):
    job_id = add_job()
    silent_soon = with_settings(workbench, silence_seconds=0.02)
    Worker(silent_soon, executor, idle_seconds=0.0).run()
    job = get(job_id)
    assert (job.status, job.retries) == ("failed", workbench.settings.retries)
    assert "no sign of life" in sentence(job.error)
    assert executor.stopped == [1, 2, 3, 4]


@pytest.mark.parametrize(("kind", "expected"), [("train", "running"), ("import", "failed")])
def test_job_that_never_got_a_process_is_ended_or_started_after_a_while(
    worker, workbench, executor, add_job, get, kind, expected
):
    job_id = add_job(kind)
    attempts.claim(workbench.database, [kind], "training 0")
    turns(worker, worker_module._BEATS_OF_SILENCE)
    assert (get(job_id).attempts, executor.submitted) == (1, [])
    turns(worker, 2)
    assert get(job_id).status == expected
    assert executor.submitted == ([job_id] if expected == "running" else [])
    assert executor.stopped == []


def test_job_that_cannot_be_started_waits_and_nothing_is_tried_for_a_while(
    worker, executor, add_job, get, status, monkeypatch
):
    job_ids = [add_job(), add_job("import")]
    tried = []

    def refuse(job, slot, running):
        tried.append(job.id)
        raise OSError(12, "Cannot allocate memory")

    with monkeypatch.context() as refusing:
        refusing.setattr(executor, "submit", refuse)
        turns(worker, 5)
    assert len(tried) <= len(job_ids)
    for job_id in job_ids:
        job = get(job_id)
        assert (job.status, job.attempts, job.retries, job.incidents) == ("queued", 0, 0, [])
    monkeypatch.setattr(worker_module, "START_WAIT_SECONDS", 0.0)
    worker._start_at = 0.0
    worker.turn()
    assert [status(job_id) for job_id in job_ids] == ["running"] * 2


def test_nothing_is_started_on_a_full_disk_and_everything_when_there_is_room(
    worker, executor, add_job, status, monkeypatch, caplog
):
    job_ids = [add_job(), add_job("import")]
    with monkeypatch.context() as full:
        full.setattr(slots_module, "LEAST_FREE_BYTES", 2**63)
        turns(worker, 3)
        assert [status(job_id) for job_id in job_ids] == ["queued"] * 2
        assert caplog.text.count("nothing is started until there is more room") == 1
    worker.turn()
    assert [status(job_id) for job_id in job_ids] == ["running"] * 2
    assert "jobs start again" in caplog.text


def test_job_whose_place_could_not_be_written_down_is_not_started_twice(
    worker, executor, workbench, add_job, get, monkeypatch
):
    job_id = add_job()
    with monkeypatch.context() as locked:
        locked.setattr(attempts, "set_handle", trouble)
        with pytest.raises(sa.exc.OperationalError):
            worker.turn()
    # Its process writes it down itself.
    handle = {"host": HOST, "pid": 1, "stamp": "boot:1", "gpu": None}
    attempts.set_handle(workbench.database, get(job_id), handle)
    worker.turn()
    assert executor.submitted == [job_id]
    assert (get(job_id).status, get(job_id).attempts) == ("running", 1)


@pytest.mark.parametrize("error", [trouble, "disk full"])
def test_worker_bears_a_database_or_a_disk_that_is_in_trouble(
    workbench, add_job, get, run_in_this_thread, error, caplog
):
    job_id = add_job()
    troubles = []

    class Troubled(PaperExecutor):
        def free_slots(self, running):
            if len(troubles) < 5:
                troubles.append(1)
                if error is trouble:
                    trouble()
                raise OSError(28, "No space left on device")
            return super().free_slots(running)

        def poll(self, handle):
            attempts.finish(workbench.database, get(job_id), "completed")
            return Exit(0)

    Worker(workbench, Troubled(), idle_seconds=0.0).run()
    assert len(troubles) == 5
    assert get(job_id).status == "completed"
    assert caplog.text.count("A round of the worker failed") == 5


@pytest.mark.parametrize("is_frozen", [True, False])
def test_process_that_is_frozen_is_killed_when_it_may_hold_the_database(
    workbench, executor, add_job, elsewhere, get, run_in_this_thread, monkeypatch, is_frozen
):
    job_id, own = add_job(), Worker(workbench, executor, idle_seconds=None)
    executor.slots = slots()
    own.turn()
    executor.frozen = {get(job_id).handle["pid"]} if is_frozen else set()
    tried, beat = [], workers.beat

    def beat_while_nobody_holds_the_lock(database, host):
        tried.append(1)
        if executor.stopped or len(tried) > 20:
            signal.raise_signal(signal.SIGTERM)
            return beat(database, host)
        trouble()

    monkeypatch.setattr(workers, "beat", beat_while_nobody_holds_the_lock)
    Worker(with_settings(workbench, silence_seconds=0.02), executor, idle_seconds=None).run()
    # One that only waits is not to blame, nor can one of another machine be killed from here.
    assert executor.stopped == ([1] if is_frozen else [])
    assert len(tried) == (2 if is_frozen else 21)
    assert get(elsewhere.id) == elsewhere
    assert get(job_id).attempts == (2 if is_frozen else 1)


def test_upload_of_an_import_that_died_stays_for_another_try(worker, executor, workbench, add_job):
    add_job("import")
    with workbench.files.writing("uploads/x/a.zip") as path:
        path.write_bytes(b"zip")
    worker.turn()
    executor.processes[1] = KILLED
    worker.turn()
    assert workbench.files.path("uploads/x/a.zip").read_bytes() == b"zip"


def test_worker_leaves_when_idle_and_says_so(workbench, executor, run_in_this_thread):
    Worker(workbench, executor, idle_seconds=0.05).run()
    assert workers.get(workbench.database, HOST) is None


def test_worker_is_known_while_it_works(workbench, executor, run_in_this_thread):
    seen = []

    class Looking(PaperExecutor):
        def free_slots(self, running):
            seen.append(workers.get(workbench.database, HOST))
            return []

    Worker(workbench, Looking(), idle_seconds=0.05).run()
    assert {(record.pid, record.stamp) for record in seen} == {(os.getpid(), stamp_of(os.getpid()))}


def test_worker_does_not_leave_while_a_job_is_open(workbench, add_job, run_in_this_thread):
    job_id = add_job()
    turns = []

    class Full(PaperExecutor):
        def free_slots(self, running):
            turns.append(jobs.get(workbench.database, job_id).status)
            if len(turns) == 40:
                jobs.request_stop(workbench.database, job_id, actor="ann")
            return []

    Worker(workbench, Full(), idle_seconds=0.0).run()
    assert turns[:40] == ["queued"] * 40


def test_second_worker_of_a_home_leaves_at_once(workbench, executor, run_in_this_thread):
    second = Worker(workbench, executor, idle_seconds=None)
    left = []

    class First(PaperExecutor):
        def free_slots(self, running):
            if not left:
                second.run()
                left.append(workers.get(workbench.database, HOST) is not None)
            return []

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


def test_state_that_a_killed_training_left_half_written_goes_and_its_checkpoint_stays(
    worker, executor, workbench, add_job
):
    add_job()
    worker.turn()
    with workbench.files.writing("runs/r/checkpoints/last.pt") as path:
        path.write_bytes(b"whole")
    code = (
        "import os, pathlib; from engine.files import Files\n"
        f"files = Files(pathlib.Path({str(workbench.files.root)!r}))\n"
        "with files.writing('runs/r/checkpoints/last.pt') as path:\n"
        "    path.write_bytes(b'half'); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    folder = workbench.files.path("runs/r/checkpoints")
    assert len(list(folder.iterdir())) == 2
    executor.processes[1] = KILLED
    worker.turn()
    assert [path.name for path in folder.iterdir()] == ["last.pt"]
    assert (folder / "last.pt").read_bytes() == b"whole"


def test_run_whose_process_died_goes_on_as_the_same_run(worker, executor, workbench, add_dataset):
    run_id = submit_training(workbench, add_dataset(), recipe("quick"), actor="ann")
    worker.turn()
    executor.processes[1] = KILLED
    worker.turn()
    run = runs.get(workbench.database, run_id)
    assert (run.status, run.job.attempts) == ("running", 2)
    assert len(runs.all_newest_first(workbench.database)) == 1


def test_what_runs_beside_the_worker_ends_with_it(workbench, executor, run_in_this_thread):
    before = {thread.name for thread in threading.enumerate()}
    seen = set()

    class Looking(PaperExecutor):
        def free_slots(self, running):
            seen.update(thread.name for thread in threading.enumerate())
            return []

    Worker(workbench, Looking(), idle_seconds=0.05).run()
    assert "monitor" in seen
    assert {thread.name for thread in threading.enumerate()} <= before


def test_worker_ends_when_its_home_is_gone(workbench, executor, run_in_this_thread, monkeypatch):
    gone = workbench.settings.home / "gone"
    worker = Worker(workbench, executor, idle_seconds=None)
    worker.workbench = with_settings(workbench, home=gone)
    worker.run()
    assert executor.submitted == []
