"""Workers: who is there, and leaving without leaving work behind."""

import time

import pytest

from engine.store import attempts, jobs, notices, workers


def test_worker_is_known_from_its_arrival_to_its_leaving(database):
    assert workers.get(database, "lab") is None
    before = time.time()
    workers.announce(database, "lab", 17, "boot:123")
    record = workers.get(database, "lab")
    assert (record.host, record.pid, record.stamp) == ("lab", 17, "boot:123")
    assert before <= record.heartbeat_at <= time.time()
    workers.leave(database, "lab")
    assert workers.get(database, "lab") is None


def test_new_worker_takes_the_place_of_the_old_one_on_its_host_only(database):
    workers.announce(database, "lab", 17, "boot:1")
    workers.announce(database, "other", 18, "boot:1")
    workers.announce(database, "lab", 19, "boot:2")
    assert workers.get(database, "lab").pid == 19
    assert workers.get(database, "other").pid == 18


def test_heartbeat_moves_on(database):
    workers.announce(database, "lab", 17, "boot:1")
    first = workers.get(database, "lab").heartbeat_at
    workers.beat(database, "lab")
    assert workers.get(database, "lab").heartbeat_at > first


def test_worker_leaves_as_idle_only_when_no_job_is_open(database):
    workers.announce(database, "lab", 17, "boot:1")
    jobs.add(database, "train", {}, actor="")
    assert not workers.leave_if_idle(database, "lab")
    job = attempts.claim(database, ["train"], "cpu")
    assert not workers.leave_if_idle(database, "lab")
    attempts.give_back(database, job, {"type": "ProcessDied"}, is_retry=True)
    assert not workers.leave_if_idle(database, "lab")
    assert workers.get(database, "lab") is not None
    attempts.finish(database, attempts.claim(database, ["train"], "cpu"), "completed")
    assert workers.leave_if_idle(database, "lab")
    assert workers.get(database, "lab") is None


@pytest.mark.parametrize("is_told", [True, False])
def test_worker_stays_to_tell_of_a_run_but_not_for_ever(
    database, add_dataset, add_run, monkeypatch, is_told
):
    workers.announce(database, "lab", 17, "boot:1")
    add_run(add_dataset())
    notices.queue(database, ["webhook"])
    attempts.finish(database, attempts.claim(database, ["train"], "cpu"), "completed")
    notices.queue(database, ["webhook"])
    assert not workers.leave_if_idle(database, "lab")
    assert workers.get(database, "lab") is not None
    if is_told:
        notice = notices.take_due(database, ["webhook"], hold_seconds=60)
        assert not workers.leave_if_idle(database, "lab")
        notices.mark_sent(database, notice)
    else:
        later = time.time() + workers.NOTICE_SECONDS + 1
        monkeypatch.setattr(time, "time", lambda: later)
    assert workers.leave_if_idle(database, "lab")
    assert workers.get(database, "lab") is None


def test_leaving_worker_takes_no_other_along(database):
    workers.announce(database, "lab", 17, "boot:1")
    workers.announce(database, "other", 18, "boot:1")
    assert workers.leave_if_idle(database, "lab")
    assert workers.get(database, "other").pid == 18
