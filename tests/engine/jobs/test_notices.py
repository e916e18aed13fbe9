"""The notifier: every end is told, whatever the servers outside and the database do meanwhile."""

import logging
import socket
import threading
import time
from dataclasses import replace

import pytest

from engine import messages
from engine.config import recipe
from engine.events import EpochRecord
from engine.jobs import notices as jobs_notices
from engine.jobs.notices import WAITS_SECONDS, Notifier, to_json, to_mail
from engine.store import attempts, epochs, notices, runs, schema
from engine.store.database import DatabaseTrouble
from tests.engine.receivers import mail_server, webhook

OUT_OF_MEMORY = {"type": "OutOfMemory", "message": "{gib} GiB are too few.", "facts": {"gib": 8}}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def at_once(monkeypatch):
    """Nothing waits long: neither between rounds nor between tries."""
    monkeypatch.setattr(jobs_notices, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(jobs_notices, "WAITS_SECONDS", (0.0,) * len(WAITS_SECONDS))


@pytest.fixture
def start(workbench, add_dataset):
    """`start(name)`: a running run and the attempt at its job."""
    dataset_id = add_dataset()

    def start(name="cells", actor="ann@mail.example"):
        run_id = runs.add(
            workbench.database,
            name=name,
            dataset_id=dataset_id,
            config=recipe("quick"),
            split={"train": [0], "val": [1], "test": [2]},
            num_parameters=1,
            actor=actor,
        )
        return run_id, attempts.claim(workbench.database, ["train"], "cpu 0")

    return start


def configured(workbench, **values):
    fields = {"url": "https://lab.example/bench"} | values
    return replace(workbench, settings=replace(workbench.settings, **fields))


def with_mail(workbench, server, **values):
    fields = {"smtp_url": f"smtp://localhost:{server.port}", "mail_from": "lab@mail.example"}
    return configured(workbench, **(fields | values))


def add_epoch(workbench, run_id):
    record = EpochRecord(
        epoch=1, train_loss=1.0, val_loss=1.0, val_dice=0.8712, val_iou=0.5, val_class_dice=(0.5,),
        learning_rate=0.1, seconds=1.0, images_per_second=1.0, is_best=True,
    )  # fmt: skip
    epochs.add(workbench.database, run_id, record)


def wait_until(is_so):
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def row_of(workbench, job):
    """What is noted of the end of a job's first attempt; None while nothing is."""
    table = schema.notices
    query = table.select().where(table.c.job_id == job.id, table.c.attempt == 1)
    with workbench.database.reading() as connection:
        return connection.execute(query).one_or_none()


def is_watching(workbench):
    """Whether a channel has been seen, so that what ends from now on is told."""
    with workbench.database.reading() as connection:
        return connection.execute(schema.notices.select()).first() is not None


def is_sent(workbench, job):
    row = row_of(workbench, job)
    return row is not None and row.sent_at is not None


def test_webhook_that_fails_twice_is_told_in_the_end_and_once(workbench, start, at_once):
    run_id, job = start()
    with webhook([500, 500, 200]) as server:
        bench = configured(workbench, webhook_url=server.url)
        with Notifier(bench):
            wait_until(lambda: is_watching(workbench))
            add_epoch(workbench, run_id)
            attempts.finish(workbench.database, job, "completed")
            wait_until(lambda: is_sent(workbench, job))
            # A new end is told, and nothing of the old one with it.
            second = start("other")[1]
            attempts.finish(workbench.database, second, "failed", error=OUT_OF_MEMORY)
            wait_until(lambda: len(server.requests) >= 4)
    bodies = [body for _, body in server.requests]
    assert [body["name"] for body in bodies] == ["cells"] * 3 + ["other"]
    row = row_of(workbench, job)
    assert (row.tries, row.error, row.next_try_at) == (3, None, None)
    run = runs.get(workbench.database, run_id)
    assert bodies[0] == {
        "event": "run.ended",
        "run": run_id,
        "name": "cells",
        "dataset": "odd sizes",
        "status": "completed",
        "owner": "ann@mail.example",
        "reason": None,
        "best_val_dice": 0.8712,
        "epochs": 1,
        "run_seconds": run.job.ran_seconds,
        "queue_seconds": run.job.waited_seconds,
        "url": f"https://lab.example/bench/run?run={run_id}",
    }
    assert bodies[3]["reason"] == "8 GiB are too few."
    assert (bodies[3]["status"], bodies[3]["best_val_dice"]) == ("failed", None)


def test_end_while_no_worker_lives_is_told_by_the_next_one(workbench, start):
    _run_id, job = start()
    with webhook() as server:
        bench = configured(workbench, webhook_url=server.url)
        Notifier(bench).turn()
        attempts.finish(workbench.database, job, "completed")
        assert server.requests == []
        Notifier(bench).turn()
        Notifier(bench).turn()
    assert len(server.requests) == 1


def test_channel_that_is_switched_on_sends_no_flood(workbench, start):
    for _ in range(3):
        attempts.finish(workbench.database, start()[1], "completed")
    with webhook() as server:
        Notifier(configured(workbench, webhook_url=server.url)).turn()
        assert server.requests == []


def test_tries_are_spread_over_more_than_an_hour_and_then_given_up(workbench, start, monkeypatch):
    assert len(WAITS_SECONDS) == 7
    assert (WAITS_SECONDS[0], WAITS_SECONDS[-1]) == (10.0, 3600.0)
    assert sorted(set(WAITS_SECONDS)) == list(WAITS_SECONDS)
    _run_id, job = start()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = configured(workbench, webhook_url=f"http://127.0.0.1:{free.getsockname()[1]}/")
        notifier = Notifier(dead)
        notifier.turn()
        attempts.finish(workbench.database, job, "completed")
        notifier.turn()
        row = row_of(workbench, job)
        assert row.tries == 1
        assert row.next_try_at == pytest.approx(time.time() + 10, abs=3)
        assert "cannot be reached" in row.error
        notifier.turn()
        assert row_of(workbench, job).tries == 1
        monkeypatch.setattr(jobs_notices, "WAITS_SECONDS", (0.0,) * len(WAITS_SECONDS))
        table = schema.notices
        with workbench.database.writing() as connection:
            connection.execute(table.update().values(next_try_at=0.0).where(table.c.tries == 1))
        notifier.turn()
    row = row_of(workbench, job)
    assert (row.tries, row.next_try_at, row.sent_at) == (8, None, None)
    assert "cannot be reached" in row.error


def test_dead_webhook_keeps_no_mail_back(workbench, start):
    _run_id, job = start()
    with mail_server() as server, webhook([500] * 9) as hook:
        bench = with_mail(workbench, server, webhook_url=hook.url)
        Notifier(bench).turn()
        attempts.finish(workbench.database, job, "completed")
        Notifier(bench).turn()
    assert len(server.mails) == 1
    assert len(hook.requests) == 1


def test_mail_goes_to_the_owner_and_to_whom_the_settings_name(workbench, start):
    run_id, job = start(name="a\nBcc: eve@mail.example")
    with mail_server() as server:
        bench = with_mail(workbench, server, mail_to=("bob@mail.example", "ann@mail.example"))
        Notifier(bench).turn()
        add_epoch(workbench, run_id)
        attempts.finish(workbench.database, job, "completed")
        Notifier(bench).turn()
    assert server.envelopes == [("lab@mail.example", ["ann@mail.example", "bob@mail.example"])]
    (mail,) = server.mails
    assert mail["Subject"] == "“a Bcc: eve@mail.example” is completed: Dice 0.87"
    assert mail["Bcc"] is None
    assert f"https://lab.example/bench/run?run={run_id}" in mail.get_content()
    assert row_of(workbench, job).error is None


def test_mail_that_nobody_can_get_is_not_tried_for_ever(workbench, start):
    _run_id, job = start(actor="local")
    with mail_server() as server:
        bench = with_mail(workbench, server)
        Notifier(bench).turn()
        attempts.finish(workbench.database, job, "completed")
        Notifier(bench).turn()
        row = row_of(workbench, job)
        assert (row.tries, row.next_try_at, row.sent_at) == (1, None, None)
        assert "Nobody can be written to: the owner's name “local”" in row.error
        assert server.mails == []


def test_recipient_whom_the_server_refuses_is_noted_and_the_others_get_one_mail(workbench, start):
    _run_id, job = start()
    with mail_server(refused={"bob@mail.example"}) as server:
        bench = with_mail(workbench, server, mail_to=("bob@mail.example",))
        Notifier(bench).turn()
        attempts.finish(workbench.database, job, "completed")
        Notifier(bench).turn()
        Notifier(bench).turn()
        row = row_of(workbench, job)
        assert row.sent_at is not None
        assert "bob@mail.example" in row.error
        assert len(server.mails) == 1


def test_texts_say_how_it_ended_and_leave_out_what_is_unknown(workbench, start):
    run_id, job = start()
    attempts.finish(workbench.database, job, "failed", error=OUT_OF_MEMORY)
    run = runs.get(workbench.database, run_id)
    subject, text = to_mail(run, "")
    assert subject == "“cells” has failed"
    assert "8 GiB are too few." in text
    assert "Dice" not in text and "http" not in text
    assert to_json(run, "")["url"] is None


def test_without_a_channel_nothing_is_read_written_or_started(workbench, start, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the database was touched")

    monkeypatch.setattr(notices, "queue", refuse)
    monkeypatch.setattr(notices, "take_due", refuse)
    before = threading.active_count()
    with Notifier(workbench):
        assert threading.active_count() == before


def test_trouble_of_the_database_is_survived_and_logged_once(
    workbench, start, at_once, monkeypatch, caplog
):
    _run_id, job = start()
    queue, rounds = notices.queue, []

    def broken(*args):
        rounds.append(1)
        if len(rounds) <= 4:
            raise DatabaseTrouble("SELECT 1", {}, Exception("database is locked"))
        queue(*args)

    monkeypatch.setattr(notices, "queue", broken)
    caplog.set_level(logging.ERROR)
    with webhook() as server, Notifier(configured(workbench, webhook_url=server.url)):
        wait_until(lambda: is_watching(workbench))
        attempts.finish(workbench.database, job, "completed")
        wait_until(lambda: is_sent(workbench, job))
    assert len([record for record in caplog.records if record.name == jobs_notices.__name__]) == 1
    assert len(server.requests) == 1


def test_leaving_does_not_wait_for_a_slow_server(workbench, start, at_once, monkeypatch):
    monkeypatch.setattr(jobs_notices, "_LEAVE_SECONDS", 0.05)
    _run_id, job = start()
    answered = threading.Event()
    monkeypatch.setattr(messages, "post_json", lambda *_: answered.wait(10))
    with Notifier(configured(workbench, webhook_url="http://lab.example")) as notifier:
        wait_until(lambda: is_watching(workbench))
        attempts.finish(workbench.database, job, "completed")
        wait_until(lambda: (row := row_of(workbench, job)) is not None and row.tries == 1)
    assert notifier._thread.is_alive()
    # It is held, so that another worker tries later what this one may not have done.
    assert row_of(workbench, job).next_try_at > time.time() + 60
    answered.set()
    notifier._thread.join(10)
    assert not notifier._thread.is_alive()
