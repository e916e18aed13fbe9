"""The queue as people see it: what waits, in which order, and that it stops when asked."""

import dataclasses
import time
from typing import get_args

import pytest

from engine.errors import NotFound, Refused
from engine.store import attempts, jobs
from engine.store.jobs import JobKind

DIED = {"type": "ProcessDied", "message": "Killed.", "facts": {}}


@pytest.fixture
def add(database):
    """`add("ann")`: the id of a queued training of this person."""
    return lambda actor="ann", kind="train": jobs.add(database, kind, {}, actor=actor)


@pytest.fixture
def claim(database):
    """`claim()`: the next job, at work."""
    return lambda *kinds: attempts.claim(database, kinds or get_args(JobKind), "cpu")


@pytest.fixture
def claimed(add, claim):
    """A running job."""
    add()
    return claim()


@pytest.fixture
def waiting(database):
    """`waiting()`: ids of the queued jobs in the order in which they would be started."""
    return lambda: [job.id for job in jobs.queue(database)]


@pytest.fixture
def clock(monkeypatch):
    """`clock(1000.0)`: from now on it is that time."""
    return lambda now: monkeypatch.setattr(time, "time", lambda: now)


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
        wish=None,
        progress=0.0,
        phase="queued",
        handle=None,
        error=None,
        result=None,
        priority=0,
        rank=job.created_at,
        slot=None,
        attempts=0,
        retries=0,
        queued_at=job.created_at,
        waited_seconds=0.0,
        ran_seconds=0.0,
        start_progress=0.0,
        incidents=[],
    )
    assert job.is_live
    assert not job.is_paused


@pytest.mark.parametrize("wish", ["stop", "pause"])
def test_queued_job_is_stopped_at_once_and_never_claimed(database, add, claim, clock, wish):
    clock(1000.0)
    job_id = add()
    clock(1007.5)
    jobs.request_stop(database, job_id, wish=wish, actor="ann")
    job = jobs.get(database, job_id)
    assert (job.status, job.phase, job.wish) == ("stopped", "stopped", wish)
    assert (job.started_at, job.ended_at, job.waited_seconds) == (None, 1007.5, 7.5)
    assert job.is_paused is (wish == "pause")
    assert claim() is None


def test_job_that_is_stopped_before_it_was_queued_has_not_waited(database, add, clock):
    clock(1000.0)
    job_id = add()
    clock(400.0)
    jobs.request_stop(database, job_id, actor="ann")
    assert jobs.get(database, job_id).waited_seconds == 0.0


@pytest.mark.parametrize("wish", ["stop", "pause"])
def test_running_job_is_asked_to_stop_and_goes_on_until_it_notices(database, claimed, wish):
    assert claimed.wish is None
    jobs.request_stop(database, claimed.id, wish=wish, actor="ann")
    assert jobs.get(database, claimed.id) == dataclasses.replace(claimed, wish=wish)
    assert not jobs.get(database, claimed.id).is_paused


def test_last_of_two_wishes_counts(database, claimed):
    jobs.request_stop(database, claimed.id, wish="pause", actor="ann")
    jobs.request_stop(database, claimed.id, wish="stop", actor="bob")
    attempts.finish(database, claimed, "stopped")
    job = jobs.get(database, claimed.id)
    assert (job.wish, job.is_paused) == ("stop", False)


def test_job_is_paused_when_it_ended_because_somebody_wished_so(database, claimed):
    jobs.request_stop(database, claimed.id, wish="pause", actor="ann")
    attempts.finish(database, claimed, "stopped")
    assert jobs.get(database, claimed.id).is_paused


def test_job_that_was_completed_before_it_could_pause_is_not_paused(database, claimed):
    jobs.request_stop(database, claimed.id, wish="pause", actor="ann")
    attempts.finish(database, claimed, "completed")
    assert not jobs.get(database, claimed.id).is_paused


@pytest.mark.parametrize("status", jobs.ENDED)
def test_job_that_has_ended_cannot_be_stopped(database, claimed, status):
    attempts.finish(database, claimed, status)
    before = jobs.get(database, claimed.id)
    with pytest.raises(Refused, match=f"already {status}; there is nothing to stop"):
        jobs.request_stop(database, claimed.id, actor="ann")
    assert jobs.get(database, claimed.id) == before


def test_jobs_are_listed_by_state_and_by_age(database, claimed, add):
    queued = [add(kind="import") for _ in range(3)]
    assert [job.id for job in jobs.with_status(database, "queued")] == queued
    assert [job.id for job in jobs.with_status(database, *jobs.LIVE)] == [claimed.id, *queued]
    assert [job.id for job in jobs.newest(database, "import", 2)] == queued[:0:-1]
    assert jobs.with_status(database, *jobs.ENDED) == []


def test_unknown_job_is_not_found(database):
    for ask in (
        lambda: jobs.get(database, "x"),
        lambda: jobs.request_stop(database, "x", actor="ann"),
        lambda: jobs.run_next(database, "x", actor="ann"),
        lambda: jobs.move(database, "x", earlier=True, actor="ann"),
    ):
        with pytest.raises(NotFound, match="no job “x”"):
            ask()


def test_old_jobs_of_a_kind_are_found_by_when_they_ended_and_forgotten(database, add, claim, clock):
    now = 1_800_000_000.0
    clock(now)
    old, other = add(kind="preflight"), add(kind="import")
    for kind in ("preflight", "import"):
        attempts.finish(database, claim(kind), "failed")
    clock(now + 100)
    recent = add(kind="preflight")
    attempts.finish(database, claim("preflight"), "completed")
    queued = add(kind="preflight")
    # At the very moment is not before it, and what has not ended is not old.
    assert jobs.ended_before(database, "preflight", now) == []
    assert jobs.ended_before(database, "preflight", now + 100) == [old]
    jobs.delete(database, old)
    jobs.delete(database, old)
    assert jobs.ended_before(database, "preflight", now + 100) == []
    with pytest.raises(NotFound):
        jobs.get(database, old)
    assert jobs.get(database, recent).status == "completed"
    assert jobs.get(database, queued).status == "queued"
    assert jobs.get(database, other).status == "failed"


def resume(database, job_id):
    with database.writing() as connection:
        jobs.resume_row(connection, job_id)


def test_resumed_job_is_queued_anew_and_keeps_what_befell_it(database, add, claim, clock):
    clock(1000.0)
    add()
    clock(1002.0)
    first = claim()
    attempts.give_back(database, first, DIED, is_retry=True)
    second = claim()
    attempts.set_progress(database, second, "training", 0.5)
    jobs.request_stop(database, second.id, wish="pause", actor="ann")
    clock(1010.0)
    attempts.finish(database, second, "failed", error=DIED | {"message": "Killed again."})
    clock(1100.0)
    resume(database, second.id)
    job = jobs.get(database, second.id)
    assert (job.status, job.phase, job.wish, job.error) == ("queued", "queued", None, None)
    assert (job.ended_at, job.queued_at, job.rank) == (None, 1100.0, 1100.0)
    # The person wants it anew: its retries are forgotten, the number of its attempts is not.
    assert (job.retries, job.attempts, job.progress) == (0, 2, 0.5)
    assert [(each["message"], each["attempt"]) for each in job.incidents] == [
        ("Killed.", 1),
        ("Killed again.", 2),
    ]
    # What it spent between its end and its resumption is no waiting.
    assert (job.waited_seconds, job.ran_seconds) == (2.0, 8.0)
    clock(1103.0)
    third = claim()
    assert (third.id, third.attempts, third.start_progress) == (job.id, 3, 0.5)
    assert third.waited_seconds == 5.0


def test_resumed_job_that_was_run_next_once_has_no_privilege_any_more(database, add, claim):
    job_id = add()
    jobs.run_next(database, job_id, actor="ann")
    attempts.finish(database, claim(), "stopped")
    resume(database, job_id)
    job = jobs.get(database, job_id)
    assert (job.priority, job.incidents) == (0, [])


@pytest.mark.parametrize("status", ["queued", "running"])
def test_live_job_cannot_be_resumed(database, add, claim, status):
    job_id = add()
    if status == "running":
        claim()
    before = jobs.get(database, job_id)
    with pytest.raises(Refused, match=f"It is {status} already; there is nothing to resume"):
        resume(database, job_id)
    assert jobs.get(database, job_id) == before


def test_unknown_job_cannot_be_resumed(database):
    with pytest.raises(NotFound, match="no job “x”"):
        resume(database, "x")


def test_job_that_is_to_run_next_is_before_all_others(database, add, claim, waiting):
    first, second = add("ann"), add("ann")
    theirs = [add("bob"), add("bob")]
    jobs.run_next(database, theirs[1], actor="ann")
    assert waiting() == [theirs[1], first, theirs[0], second]
    # The newest wish of this kind goes before an older one.
    jobs.run_next(database, second, actor="ann")
    assert waiting()[:2] == [second, theirs[1]]
    assert claim().id == second


def test_job_is_moved_among_its_owners(database, add, waiting):
    first, second, third = (add("ann") for _ in range(3))
    theirs = [add("bob") for _ in range(3)]
    jobs.move(database, third, earlier=True, actor="ann")
    assert waiting() == [first, theirs[0], third, theirs[1], second, theirs[2]]
    jobs.move(database, first, earlier=False, actor="ann")
    assert waiting() == [third, theirs[0], first, theirs[1], second, theirs[2]]


def test_first_cannot_be_moved_up_nor_the_last_down(database, add, waiting):
    first, second = add(), add()
    before = jobs.queue(database)
    jobs.move(database, first, earlier=True, actor="ann")
    jobs.move(database, second, earlier=False, actor="ann")
    assert jobs.queue(database) == before
    assert waiting() == [first, second]


def test_job_is_moved_past_one_that_was_to_run_next(database, add, waiting):
    first, second, third = (add() for _ in range(3))
    jobs.run_next(database, third, actor="ann")
    assert waiting() == [third, first, second]
    jobs.move(database, first, earlier=True, actor="ann")
    assert waiting() == [first, third, second]
    # And the privilege is the place's, not the job's: nobody else's order has changed.
    assert [job.priority for job in jobs.queue(database)] == [1, 0, 0]


def test_job_changes_places_with_the_nearest_of_its_kind(database, add, waiting):
    training, an_import, another = add(kind="train"), add(kind="import"), add(kind="train")
    jobs.move(database, another, earlier=True, actor="ann")
    in_order = waiting()
    assert in_order.index(another) < in_order.index(training)
    assert jobs.get(database, an_import).rank == jobs.get(database, an_import).created_at


@pytest.mark.parametrize("end", [None, "completed"])
def test_job_that_waits_no_more_cannot_be_moved(database, claimed, end):
    if end:
        attempts.finish(database, claimed, end)
    before = jobs.get(database, claimed.id)
    sentence = f"It is {before.status} and not waiting any more"
    with pytest.raises(Refused, match=sentence):
        jobs.move(database, claimed.id, earlier=True, actor="ann")
    with pytest.raises(Refused, match=sentence):
        jobs.run_next(database, claimed.id, actor="ann")
    assert jobs.get(database, claimed.id) == before


def test_jobs_that_were_queued_at_the_same_moment_are_moved_too(database, add, clock, waiting):
    clock(1000.0)
    for _ in range(3):
        add()
    first, second, third = waiting()
    jobs.move(database, third, earlier=True, actor="ann")
    assert waiting() == [first, third, second]


def test_queue_holds_what_waits_and_nothing_else(database, claimed, add, waiting):
    assert waiting() == []
    job_id, an_import, stopped = add(), add(kind="import"), add()
    jobs.request_stop(database, stopped, actor="ann")
    assert waiting() == [job_id, an_import]


def test_newest_ends_come_first_and_what_is_live_is_not_among_them(database, clock):
    ended = []
    for now in (100.0, 200.0, 300.0):
        clock(now)
        ended.append(jobs.add(database, "train", {}, actor="ann"))
        jobs.request_stop(database, ended[-1], actor="ann")
    jobs.add(database, "train", {}, actor="ann")
    assert [job.id for job in jobs.recently_ended(database, 2)] == [ended[2], ended[1]]


def test_queue_of_a_lane_is_ordered_by_what_happens_in_that_lane(database, clock):
    clock(100.0)
    for _ in range(2):
        jobs.add(database, "import", {}, actor="ann")
        attempts.claim(database, ["import"], "light")
    clock(101.0)
    first = jobs.add(database, "train", {}, actor="ann")
    clock(102.0)
    jobs.add(database, "train", {}, actor="bob")
    assert jobs.queue(database, ["train"])[0].id == first
    assert attempts.claim(database, ["train"], "cpu").id == first
