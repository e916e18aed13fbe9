"""Workers: who is there, and leaving without leaving work behind."""

import time

from engine.store import jobs, workers


def test_worker_is_known_from_its_arrival_to_its_leaving(database):
    assert workers.get(database, "lab") is None
    before = time.time()
    workers.announce(database, "lab", 17, 123.5)
    record = workers.get(database, "lab")
    assert (record.host, record.pid, record.process_started_at) == ("lab", 17, 123.5)
    assert before <= record.heartbeat_at <= time.time()
    workers.leave(database, "lab")
    assert workers.get(database, "lab") is None


def test_new_worker_takes_the_place_of_the_old_one_on_its_host_only(database):
    workers.announce(database, "lab", 17, 1.0)
    workers.announce(database, "other", 18, 1.0)
    workers.announce(database, "lab", 19, 2.0)
    assert workers.get(database, "lab").pid == 19
    assert workers.get(database, "other").pid == 18


def test_heartbeat_moves_on(database):
    workers.announce(database, "lab", 17, 1.0)
    first = workers.get(database, "lab").heartbeat_at
    workers.beat(database, "lab")
    assert workers.get(database, "lab").heartbeat_at > first


def test_worker_leaves_as_idle_only_when_no_job_is_open(database):
    workers.announce(database, "lab", 17, 1.0)
    job_id = jobs.add(database, "train", {}, actor="")
    assert not workers.leave_if_idle(database, "lab")
    jobs.claim(database, "train")
    assert not workers.leave_if_idle(database, "lab")
    assert workers.get(database, "lab") is not None
    jobs.finish(database, job_id, "completed")
    assert workers.leave_if_idle(database, "lab")
    assert workers.get(database, "lab") is None
