"""Notices: each end of a training is told once by each channel, and none is forgotten."""

import json
import time

import pytest

from engine.store import attempts, jobs, notices, runs, schema
from engine.store.notices import TOLD_WITHIN_SECONDS

WEBHOOK = ("webhook",)
BOTH = ("webhook", "mail")

TAKE_ALL = """
import json, sys
from engine.store import notices
from engine.store.database import open_database

database = open_database(sys.stdin.readline().strip())
print("ready", flush=True)
sys.stdin.readline()
taken = []
while notice := notices.take_due(database, ["webhook"], hold_seconds=60):
    taken.append(notice.job_id)
print(json.dumps(taken))
"""


@pytest.fixture
def live_run(database, add_dataset, add_run):
    """`live_run()`: the id of a new run whose training is running, with its job."""
    dataset_id = add_dataset()

    def start():
        run_id = add_run(dataset_id)
        job = attempts.claim(database, ["train"], "cpu 0")
        assert job.payload == {"run": run_id}
        return run_id, job

    return start


@pytest.fixture
def watched(database, live_run):
    """A webhook that is set up already: it has seen a live run."""
    run_id, job = live_run()
    notices.queue(database, WEBHOOK)
    return run_id, job


def take(database, channels=WEBHOOK, hold_seconds=60.0):
    return notices.take_due(database, channels, hold_seconds=hold_seconds)


def rows(database):
    with database.reading() as connection:
        return connection.execute(schema.notices.select()).all()


def set_ended_at(database, job_id, moment):
    table = schema.jobs
    with database.writing() as connection:
        connection.execute(table.update().where(table.c.id == job_id).values(ended_at=moment))


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_end_that_is_told_is_due_at_once_and_only_once(database, watched, status):
    run_id, job = watched
    assert take(database) is None
    attempts.finish(database, job, status)
    notices.queue(database, WEBHOOK)
    notices.queue(database, WEBHOOK)
    notice = take(database)
    assert (notice.run_id, notice.job_id, notice.attempt) == (run_id, job.id, 1)
    assert (notice.channel, notice.tries) == ("webhook", 1)
    assert take(database) is None
    notices.mark_sent(database, notice)
    notices.queue(database, WEBHOOK)
    assert take(database) is None


def test_stopping_is_not_told_as_people_stop(database, watched):
    attempts.finish(database, watched[1], "stopped")
    notices.queue(database, WEBHOOK)
    assert take(database) is None


def test_other_jobs_than_trainings_are_not_told(database, watched):
    jobs.add(database, "evaluate", {"run": watched[0]}, actor="ann")
    job = attempts.claim(database, ["evaluate"], "cpu 0")
    attempts.finish(database, job, "completed")
    notices.queue(database, WEBHOOK)
    assert take(database) is None


def test_channel_that_is_switched_on_tells_nothing_of_before(database, live_run):
    old = [live_run()[1] for _ in range(3)]
    for job in old:
        attempts.finish(database, job, "completed")
    _run_id, live = live_run()
    notices.queue(database, WEBHOOK)
    assert take(database) is None
    attempts.finish(database, live, "completed")
    notices.queue(database, WEBHOOK)
    assert take(database).job_id == live.id
    assert take(database) is None


def test_second_channel_begins_on_its_own(database, watched):
    attempts.finish(database, watched[1], "completed")
    notices.queue(database, BOTH)
    assert take(database, BOTH).channel == "webhook"
    assert take(database, BOTH) is None


def test_training_that_ended_while_no_worker_lived_is_told_within_a_day(database, live_run):
    (_, early), (_, late) = live_run(), live_run()
    notices.queue(database, WEBHOOK)
    for job in (early, late):
        attempts.finish(database, job, "completed")
    set_ended_at(database, early.id, time.time() - TOLD_WITHIN_SECONDS - 60)
    set_ended_at(database, late.id, time.time() - TOLD_WITHIN_SECONDS + 60)
    notices.queue(database, WEBHOOK)
    assert take(database).job_id == late.id
    assert take(database) is None


def test_end_after_resuming_is_told_anew(database, watched):
    run_id, job = watched
    attempts.finish(database, job, "failed", error={"message": "no", "facts": {}})
    notices.queue(database, WEBHOOK)
    notices.mark_sent(database, take(database))
    runs.resume(database, run_id)
    notices.queue(database, WEBHOOK)
    assert take(database) is None
    attempts.finish(database, attempts.claim(database, ["train"], "cpu 0"), "completed")
    notices.queue(database, WEBHOOK)
    assert take(database).attempt == 2


def test_what_is_not_true_any_more_is_not_told(database, watched):
    run_id, job = watched
    attempts.finish(database, job, "failed", error={"message": "no", "facts": {}})
    notices.queue(database, WEBHOOK)
    runs.resume(database, run_id)
    assert take(database) is None
    attempts.finish(database, attempts.claim(database, ["train"], "cpu 0"), "completed")
    notices.queue(database, WEBHOOK)
    assert take(database).attempt == 2
    assert take(database) is None


def test_attempt_that_is_started_again_by_itself_is_not_told(database, watched):
    attempts.give_back(database, watched[1], {"message": "died", "facts": {}}, is_retry=True)
    notices.queue(database, WEBHOOK)
    assert take(database) is None


def test_failure_is_tried_again_when_it_is_time_and_not_before(database, watched):
    attempts.finish(database, watched[1], "completed")
    notices.queue(database, WEBHOOK)
    first = take(database)
    notices.mark_failed(database, first, "no answer", wait_seconds=60)
    assert take(database) is None
    assert rows(database)[-1].next_try_at == pytest.approx(time.time() + 60, abs=5)
    notices.mark_failed(database, first, "no answer", wait_seconds=0)
    second = take(database)
    assert second.tries == 2
    notices.mark_failed(database, second, "never", wait_seconds=None)
    assert take(database) is None
    (kept,) = [row for row in rows(database) if row.attempt == 1]
    assert (kept.error, kept.sent_at, kept.tries) == ("never", None, 2)


def test_notice_of_a_worker_that_died_is_due_again_and_the_dead_decides_nothing(database, watched):
    attempts.finish(database, watched[1], "completed")
    notices.queue(database, WEBHOOK)
    dead = take(database, hold_seconds=0.0)
    assert take(database, hold_seconds=60.0).tries == 2
    notices.mark_sent(database, dead)
    (row,) = [row for row in rows(database) if row.attempt == 1]
    assert row.sent_at is None


def test_deleted_run_takes_its_notices_along(database, watched):
    run_id, job = watched
    attempts.finish(database, job, "completed")
    notices.queue(database, WEBHOOK)
    notice = take(database)
    runs.delete(database, run_id)
    notices.mark_sent(database, notice)
    assert rows(database) == []
    assert take(database) is None


def test_of_two_processes_only_one_is_given_each_notice(database, url, live_run, talk_to):
    live = [live_run()[1] for _ in range(30)]
    notices.queue(database, WEBHOOK)
    for job in live:
        attempts.finish(database, job, "completed")
    notices.queue(database, WEBHOOK)
    children = talk_to(2, TAKE_ALL)
    for child in children:
        child.stdin.write(url + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    taken = [job_id for child in children for job_id in json.loads(child.stdout.readline())]
    assert sorted(taken) == sorted(job.id for job in live)


def test_worker_that_was_overtaken_notes_nothing_twice(database, watched, monkeypatch):
    attempts.finish(database, watched[1], "completed")
    with database.reading() as connection:
        stale = notices._missing(connection, "webhook")
    notices.queue(database, WEBHOOK)
    before = rows(database)
    monkeypatch.setattr(notices, "_missing", lambda *_: stale)
    notices.queue(database, WEBHOOK)
    assert rows(database) == before
    assert stale
