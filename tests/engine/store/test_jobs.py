"""The queue: every job is claimed once, ends once, and stops when asked."""

import threading
import time

import pytest

from engine.errors import NotFound, Refused
from engine.store import jobs


@pytest.fixture
def claimed(database):
    """A running job."""
    jobs.add(database, "train", {"run": "r"}, actor="ann")
    return jobs.claim(database, "train")


def test_new_job_is_queued_with_what_it_needs(database):
    before = time.time()
    job_id = jobs.add(database, "import", {"source": "uploads/a.zip", "name": "é"}, actor="ann")
    job = jobs.get(database, job_id)
    assert before <= job.created_at <= time.time()
    assert job == jobs.Job(
        id=job_id,
        kind="import",
        payload={"source": "uploads/a.zip", "name": "é"},
        actor="ann",
        status="queued",
        created_at=job.created_at,
        started_at=None,
        ended_at=None,
        heartbeat_at=None,
        stop_requested=False,
        progress=0.0,
        phase="queued",
        handle=None,
        error=None,
        result=None,
    )
    assert job.is_live


def test_jobs_are_claimed_oldest_first_and_by_kind(database):
    trainings = [jobs.add(database, "train", {}, actor="") for _ in range(3)]
    an_import = jobs.add(database, "import", {}, actor="")
    assert [jobs.claim(database, "train").id for _ in range(3)] == trainings
    assert jobs.claim(database, "train") is None
    assert jobs.claim(database, "import").id == an_import


def test_claimed_job_is_running_since_now(database):
    jobs.add(database, "train", {}, actor="")
    before = time.time()
    job = jobs.claim(database, "train")
    assert job.status == "running"
    assert before <= job.started_at <= time.time()
    assert jobs.get(database, job.id) == job


_CLAIM_ALL = """
import sys
from engine.store import jobs
from engine.store.database import open_database

database = open_database(sys.stdin.readline().strip())
print("ready", flush=True)
sys.stdin.readline()
found = []
while (job := jobs.claim(database, "train")) is not None:
    found.append(job.id)
print(*found, flush=True)
"""


def test_processes_that_race_for_jobs_get_each_exactly_once(database, url, talk_to):
    expected = [jobs.add(database, "train", {}, actor="") for _ in range(60)]
    children = talk_to(4, _CLAIM_ALL)
    for child in children:
        child.stdin.write(url + "\n")
        child.stdin.flush()
    assert {child.stdout.readline() for child in children} == {"ready\n"}
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    claimed = [child.stdout.readline().split() for child in children]
    assert sorted(job_id for each in claimed for job_id in each) == sorted(expected)
    assert len(jobs.with_status(database, "running")) == 60


def test_first_end_of_a_job_is_the_one_that_counts(database, claimed):
    assert jobs.finish(database, claimed.id, "completed", result={"best_epoch": 3})
    assert not jobs.finish(database, claimed.id, "failed", error={"type": "ProcessDied"})
    job = jobs.get(database, claimed.id)
    assert (job.status, job.phase, job.progress) == ("completed", "completed", 1.0)
    assert (job.result, job.error) == ({"best_epoch": 3}, None)
    assert not job.is_live


def test_of_two_that_end_a_job_at_once_exactly_one_does(database, claimed):
    barrier = threading.Barrier(4)
    outcomes = []

    def end():
        barrier.wait()
        outcomes.append(jobs.finish(database, claimed.id, "failed"))

    threads = [threading.Thread(target=end) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, False, False, True]


def test_job_that_never_ran_cannot_be_ended(database):
    job_id = jobs.add(database, "train", {}, actor="")
    assert not jobs.finish(database, job_id, "completed")
    assert jobs.get(database, job_id).status == "queued"


def test_failed_job_keeps_how_far_it_came(database, claimed):
    jobs.set_progress(database, claimed.id, "training", 0.4)
    jobs.finish(database, claimed.id, "failed", error={"type": "Diverged"})
    job = jobs.get(database, claimed.id)
    assert (job.progress, job.error) == (0.4, {"type": "Diverged"})


def test_queued_job_is_stopped_at_once_and_never_claimed(database):
    job_id = jobs.add(database, "train", {}, actor="")
    jobs.request_stop(database, job_id, actor="ann")
    job = jobs.get(database, job_id)
    assert (job.status, job.stop_requested, job.started_at) == ("stopped", True, None)
    assert job.ended_at is not None
    assert jobs.claim(database, "train") is None


def test_running_job_is_asked_to_stop_and_goes_on_until_it_notices(database, claimed):
    assert not jobs.stop_requested(database, claimed.id)
    jobs.request_stop(database, claimed.id, actor="ann")
    assert jobs.stop_requested(database, claimed.id)
    assert jobs.get(database, claimed.id).status == "running"
    jobs.request_stop(database, claimed.id, actor="ann")


@pytest.mark.parametrize("status", jobs.ENDED)
def test_job_that_has_ended_cannot_be_stopped(database, claimed, status):
    jobs.finish(database, claimed.id, status)
    with pytest.raises(Refused, match=f"already {status}; there is nothing to stop"):
        jobs.request_stop(database, claimed.id, actor="ann")
    assert not jobs.get(database, claimed.id).stop_requested


def test_progress_of_a_job_that_has_ended_stays_as_it_was(database, claimed):
    jobs.finish(database, claimed.id, "completed")
    jobs.set_progress(database, claimed.id, "training", 0.5)
    job = jobs.get(database, claimed.id)
    assert (job.phase, job.progress) == ("completed", 1.0)


def test_handle_outlives_whoever_wrote_it(database, claimed):
    handle = {"host": "lab", "pid": 17, "process_started_at": 1.5, "gpu": None}
    jobs.set_handle(database, claimed.id, handle)
    assert jobs.get(database, claimed.id).handle == handle


def test_jobs_are_listed_by_state_and_by_age(database, claimed):
    queued = [jobs.add(database, "import", {}, actor="") for _ in range(3)]
    assert [job.id for job in jobs.with_status(database, "queued")] == queued
    assert [job.id for job in jobs.with_status(database, *jobs.LIVE)] == [claimed.id, *queued]
    assert [job.id for job in jobs.newest(database, "import", 2)] == queued[:0:-1]
    assert jobs.with_status(database, *jobs.ENDED) == []


def test_unknown_job_is_not_found(database):
    with pytest.raises(NotFound, match="no job “x”"):
        jobs.get(database, "x")
    with pytest.raises(NotFound, match="no job “x”"):
        jobs.request_stop(database, "x", actor="ann")


def test_old_jobs_of_a_kind_are_found_by_when_they_ended_and_forgotten(database, monkeypatch):
    now = 1_800_000_000.0
    monkeypatch.setattr(jobs.time, "time", lambda: now)
    old, recent = (jobs.add(database, "preflight", {}, actor="") for _ in range(2))
    other = jobs.add(database, "import", {}, actor="")
    queued = jobs.add(database, "preflight", {}, actor="")
    for kind, job_id in [("preflight", old), ("import", other)]:
        assert jobs.claim(database, kind).id == job_id
        jobs.finish(database, job_id, "failed")
    now += 100
    assert jobs.claim(database, "preflight").id == recent
    jobs.finish(database, recent, "completed")
    # At the very moment is not before it, and what has not ended is not old.
    assert jobs.ended_before(database, "preflight", now - 100) == []
    assert jobs.ended_before(database, "preflight", now) == [old]
    jobs.delete(database, old)
    jobs.delete(database, old)
    assert jobs.ended_before(database, "preflight", now) == []
    with pytest.raises(NotFound):
        jobs.get(database, old)
    assert jobs.get(database, recent).status == "completed"
    assert jobs.get(database, queued).status == "queued"
