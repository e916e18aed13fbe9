"""Attempts: every job is claimed once, ends once, and only its newest attempt has a say."""

import dataclasses
import itertools
import threading
import time
from collections import Counter

import pytest

from engine.store import attempts, jobs
from engine.store.database import open_database

DIED = {"type": "ProcessDied", "message": "Killed by {signal}.", "facts": {"signal": "SIGKILL"}}
TRAINING = ("train", "evaluate")


@pytest.fixture
def add(database):
    """`add("ann")`: the id of a queued training of this person."""
    return lambda actor="ann", kind="train": jobs.add(database, kind, {}, actor=actor)


@pytest.fixture
def claim(database):
    """`claim()`: the next training, at work."""
    return lambda *kinds, slot="cpu": attempts.claim(database, kinds or TRAINING, slot)


@pytest.fixture
def claimed(add, claim):
    """A running job."""
    add()
    return claim()


@pytest.fixture
def clock(monkeypatch):
    """`clock(1000.0)`: from now on it is that time."""
    return lambda now: monkeypatch.setattr(time, "time", lambda: now)


@pytest.fixture
def superseded(database, claimed, claim):
    """An attempt that was given up; the next one is at work."""
    attempts.give_back(database, claimed, DIED, is_retry=True)
    assert claim().attempts == 2
    return claimed


def test_jobs_of_one_person_are_claimed_oldest_first_and_by_kind(add, claim):
    trainings = [add(kind=kind) for kind in ("train", "evaluate", "train")]
    an_import = add(kind="import")
    assert [claim().id for _ in range(3)] == trainings
    assert claim() is None
    assert claim("inspect", "import").id == an_import


def test_claimed_job_is_running_since_now_in_its_slot(database, add, claim, clock):
    clock(1000.0)
    job_id = add()
    queued = jobs.get(database, job_id)
    clock(1004.5)
    job = claim(slot="gpu0.2")
    assert job == dataclasses.replace(
        queued,
        status="running",
        phase="starting",
        slot="gpu0.2",
        started_at=1004.5,
        heartbeat_at=1004.5,
        attempts=1,
        waited_seconds=4.5,
    )
    assert jobs.get(database, job_id) == job


def test_one_job_of_somebody_else_is_next_however_many_wait_before_it(add, claim):
    many = [add("ann") for _ in range(100)]
    theirs = add("bob")
    assert claim().id == many[0]
    assert claim().id == theirs
    assert claim().id == many[1]


def test_one_job_of_somebody_else_is_next_also_when_nothing_runs(database, add, claim):
    many = [add("ann") for _ in range(100)]
    for expected in many[:3]:
        job = claim()
        assert job.id == expected
        attempts.finish(database, job, "completed")
    theirs = add("bob")
    job = claim()
    assert job.id == theirs
    attempts.finish(database, job, "completed")
    assert claim().id == many[3]


def test_whoever_has_most_at_work_waits_for_the_others(database, add, claim):
    for _ in range(3):
        add("ann")
        claim()
    ann, bob = add("ann"), add("bob")
    first = claim()
    attempts.finish(database, first, "completed")
    another = add("bob")
    # Bob was served last, and still has less at work.
    assert [first.id, claim().id, claim().id] == [bob, another, ann]


def test_jobs_of_other_kinds_count_not_in_a_slots_turn(add, claim):
    for _ in range(3):
        add("ann", "import")
        claim("import")
    ann, bob = add("ann"), add("bob")
    assert [claim().id, claim().id] == [ann, bob]


def test_three_owners_take_turns(database, add, claim):
    for actor, count in [("ann", 5), ("bob", 2), ("cleo", 3)]:
        for _ in range(count):
            add(actor)
    order = []
    while (job := claim()) is not None:
        order.append(job.actor[0])
        attempts.finish(database, job, "completed")
    assert "".join(order) == "abcabcacaa"


def test_higher_priority_is_claimed_first_and_equals_by_rank(database, add, claim):
    first, second, third = (add() for _ in range(3))
    theirs = add("bob")
    jobs.run_next(database, third, actor="ann")
    jobs.move(database, second, earlier=True, actor="ann")
    assert [claim().id for _ in range(4)] == [third, theirs, second, first]


_CLAIM_ALL = """
import sys, threading
from engine.store import attempts
from engine.store.database import open_database

database = open_database(sys.stdin.readline().strip())
print("ready", flush=True)
sys.stdin.readline()
found = []

def work():
    while (job := attempts.claim(database, ["train"], "cpu")) is not None:
        assert attempts.finish(database, job, "completed")
        found.append(job.id)

threads = [threading.Thread(target=work) for _ in range(50)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*found, flush=True)
"""


def test_two_hundred_threads_of_four_processes_get_each_of_a_thousand_jobs_once(
    database, url, talk_to
):
    with database.writing() as connection:
        expected = [
            jobs.add_row(connection, "train", {}, f"person {number % 7}") for number in range(1000)
        ]
    children = talk_to(4, _CLAIM_ALL)
    for child in children:
        child.stdin.write(url + "\n")
        child.stdin.flush()
    assert {child.stdout.readline() for child in children} == {"ready\n"}
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    claimed = [child.stdout.readline().split() for child in children]
    assert Counter(itertools.chain(*claimed)) == Counter(expected)
    assert jobs.with_status(database, *jobs.LIVE) == []


def test_job_that_another_worker_took_meanwhile_is_not_given_twice(database, add, monkeypatch):
    # On PostgreSQL, writers do not exclude each other: somebody is faster between look and claim.
    first, second = add(), add()
    begin = attempts._begin

    def begin_late(connection, job_id, slot):
        if job_id == first:
            assert begin(connection, first, "gpu of somebody else")
        return begin(connection, job_id, slot)

    monkeypatch.setattr(attempts, "_begin", begin_late)
    job = attempts.claim(database, ["train"], "cpu")
    assert (job.id, job.slot) == (second, "cpu")
    taken = jobs.get(database, first)
    assert (taken.slot, taken.attempts) == ("gpu of somebody else", 1)


def test_first_end_of_a_job_is_the_one_that_counts(database, claimed):
    assert attempts.finish(database, claimed, "completed", result={"best_epoch": 3})
    assert not attempts.finish(database, claimed, "failed", error={"type": "ProcessDied"})
    assert not attempts.give_back(database, claimed, DIED, is_retry=True)
    job = jobs.get(database, claimed.id)
    assert (job.status, job.phase, job.progress) == ("completed", "completed", 1.0)
    assert (job.result, job.error, job.incidents) == ({"best_epoch": 3}, None, [])
    assert not job.is_live


def test_of_many_that_end_a_job_at_once_exactly_one_does(database, claimed):
    barrier = threading.Barrier(6)
    outcomes = []

    def end(give_back):
        barrier.wait()
        if give_back:
            outcomes.append(attempts.give_back(database, claimed, DIED, is_retry=True))
        else:
            outcomes.append(attempts.finish(database, claimed, "failed"))

    threads = [threading.Thread(target=end, args=(number % 2,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 5 + [True]


def test_job_that_never_ran_cannot_be_ended(database, add):
    job = jobs.get(database, add())
    assert not attempts.finish(database, job, "completed")
    assert not attempts.give_back(database, job, DIED, is_retry=False)
    assert jobs.get(database, job.id) == job


def test_failed_job_keeps_how_far_it_came(database, claimed):
    attempts.set_progress(database, claimed, "training", 0.4)
    attempts.finish(database, claimed, "failed", error={"type": "Diverged"})
    job = jobs.get(database, claimed.id)
    assert (job.progress, job.phase, job.error) == (0.4, "failed", {"type": "Diverged"})


def test_attempt_that_was_given_up_changes_nothing(database, superseded):
    before = jobs.get(database, superseded.id)
    assert not attempts.beat(database, superseded)
    attempts.set_progress(database, superseded, "dreaming", 0.9)
    attempts.set_handle(database, superseded, {"pid": 1})
    attempts.add_incident(database, superseded, DIED)
    assert not attempts.finish(database, superseded, "completed", result={"best_epoch": 1})
    assert not attempts.give_back(database, superseded, DIED, is_retry=True)
    assert jobs.get(database, superseded.id) == before
    assert (before.status, before.attempts, len(before.incidents)) == ("running", 2, 1)


def test_attempt_whose_job_is_back_in_the_queue_changes_nothing(database, claimed):
    attempts.give_back(database, claimed, DIED, is_retry=True)
    before = jobs.get(database, claimed.id)
    assert not attempts.beat(database, claimed)
    attempts.set_progress(database, claimed, "dreaming", 0.9)
    attempts.set_handle(database, claimed, {"pid": 1})
    assert not attempts.finish(database, claimed, "failed")
    assert jobs.get(database, claimed.id) == before
    assert before.status == "queued"


def test_attempt_that_has_ended_changes_nothing(database, claimed):
    attempts.finish(database, claimed, "completed")
    before = jobs.get(database, claimed.id)
    assert not attempts.beat(database, claimed)
    attempts.set_progress(database, claimed, "training", 0.5)
    attempts.add_incident(database, claimed, DIED)
    assert jobs.get(database, claimed.id) == before


def test_newest_attempt_has_its_say(database, superseded):
    job = jobs.get(database, superseded.id)
    assert attempts.beat(database, job)
    assert attempts.finish(database, job, "completed")


def test_beat_moves_the_heartbeat_and_nothing_else(database, add, claim, clock):
    clock(1000.0)
    add()
    job = claim()
    clock(1003.0)
    assert attempts.beat(database, job)
    assert jobs.get(database, job.id) == dataclasses.replace(job, heartbeat_at=1003.0)


def test_handle_outlives_whoever_wrote_it(database, claimed):
    handle = {"host": "lab", "pid": 17, "stamp": "boot:5", "gpu": None}
    attempts.set_handle(database, claimed, handle)
    assert jobs.get(database, claimed.id).handle == handle


def test_job_that_is_given_back_keeps_its_place(database, add, claim):
    first, *others = (add() for _ in range(3))
    theirs = add("bob")
    job = claim()
    attempts.give_back(database, job, DIED, is_retry=True)
    # Ann had her turn just now; among her own jobs it is the first still.
    assert [claim().id for _ in range(4)] == [theirs, first, *others]


def test_job_that_is_given_back_although_somebody_wished_it_to_stop_is_stopped(database, claimed):
    jobs.request_stop(database, claimed.id, wish="pause", actor="ann")
    assert attempts.give_back(database, claimed, DIED, is_retry=False)
    job = jobs.get(database, claimed.id)
    assert (job.status, job.is_paused) == ("stopped", True)
    assert job.ended_at is not None
    assert len(job.incidents) == 1
    assert jobs.queue(database) == []


def test_training_that_begins_with_less_than_it_had_counts_its_pace_from_there(database, claimed):
    attempts.set_progress(database, claimed, "training", 0.5)
    attempts.give_back(database, claimed, DIED, is_retry=True)
    again = attempts.claim(database, ["train"], "cpu")
    assert again.start_progress == 0.5
    for progress, begun in ((0.3, 0.3), (0.6, 0.3)):
        attempts.set_progress(database, again, "training", progress)
        assert jobs.get(database, again.id).start_progress == begun


def test_job_that_is_given_back_waits_without_a_process(database, claimed, clock):
    attempts.set_handle(database, claimed, {"pid": 1})
    attempts.set_progress(database, claimed, "training", 0.25)
    now = time.time() + 5
    clock(now)
    assert attempts.give_back(database, claimed, DIED, is_retry=True)
    job = jobs.get(database, claimed.id)
    assert (job.status, job.phase, job.handle, job.queued_at) == ("queued", "queued", None, now)
    assert (job.error, job.ended_at) == (None, None)
    # How far it came, where it ran and which attempt it was are still known.
    assert (job.progress, job.slot, job.attempts, job.rank) == (0.25, "cpu", 1, claimed.rank)


@pytest.mark.parametrize(("is_retry", "retries"), [(True, 2), (False, 0)])
def test_retries_are_counted_only_when_told(database, add, claim, is_retry, retries):
    add()
    for _ in range(2):
        assert attempts.give_back(database, claim(), DIED, is_retry=is_retry)
    job = claim()
    assert (job.retries, job.attempts) == (retries, 3)


def test_incidents_gather_with_their_attempt_and_time(database, add, claim, clock):
    add()
    clock(1000.0)
    attempts.add_incident(database, claim(), {"type": "OutOfMemory"})
    clock(1001.0)
    attempts.give_back(database, jobs.with_status(database, "running")[0], DIED, is_retry=True)
    clock(1002.0)
    attempts.give_back(database, claim(), DIED, is_retry=False)
    assert jobs.queue(database)[0].incidents == [
        {"type": "OutOfMemory", "at": 1000.0, "attempt": 1},
        DIED | {"at": 1001.0, "attempt": 1},
        DIED | {"at": 1002.0, "attempt": 2},
    ]


def test_incident_of_an_attempt_that_goes_on_lets_it_go_on(database, claimed):
    attempts.add_incident(database, claimed, DIED)
    job = jobs.get(database, claimed.id)
    assert dataclasses.replace(job, incidents=[]) == claimed
    assert len(job.incidents) == 1


def test_time_in_the_queue_and_at_work_are_kept_apart_over_all_attempts(
    database, add, claim, clock
):
    clock(1000.0)
    add()
    clock(1010.0)
    first = claim()
    clock(1013.0)
    attempts.give_back(database, first, DIED, is_retry=True)
    job = jobs.get(database, first.id)
    assert (job.waited_seconds, job.ran_seconds) == (10.0, 3.0)
    clock(1033.0)
    second = claim()
    assert (second.waited_seconds, second.ran_seconds) == (30.0, 3.0)
    clock(1034.0)
    attempts.finish(database, second, "completed")
    job = jobs.get(database, first.id)
    assert (job.waited_seconds, job.ran_seconds) == (30.0, 4.0)


@pytest.mark.parametrize("end", ["finish", "give_back"])
def test_no_time_is_negative_when_the_clock_is_set_back(database, add, claim, clock, end):
    clock(5000.0)
    add()
    clock(4000.0)
    job = claim()
    assert job.waited_seconds == 0.0
    clock(3000.0)
    if end == "finish":
        assert attempts.finish(database, job, "completed")
    else:
        assert attempts.give_back(database, job, DIED, is_retry=True)
    job = jobs.get(database, job.id)
    assert (job.waited_seconds, job.ran_seconds) == (0.0, 0.0)


def test_queue_goes_on_when_the_clock_is_set_back(database, add, claim, clock):
    clock(5000.0)
    first, second = add(), add("bob")
    claim()
    clock(1000.0)
    later = add("bob")
    order = [claim().id, claim().id]
    assert sorted(order) == sorted([second, later])
    assert claim() is None
    assert jobs.get(database, first).status == "running"


def test_next_attempt_begins_where_the_last_one_came_to(database, add, claim):
    add()
    first = claim()
    assert first.start_progress == 0.0
    attempts.set_progress(database, first, "training", 0.75)
    attempts.give_back(database, first, DIED, is_retry=True)
    second = claim()
    assert (second.start_progress, second.progress, second.phase) == (0.75, 0.75, "starting")


def test_writes_of_another_process_are_seen(url, database, claimed):
    other = open_database(url)
    jobs.request_stop(other, claimed.id, wish="pause", actor="bob")
    other.close()
    assert jobs.get(database, claimed.id).wish == "pause"
