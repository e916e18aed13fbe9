"""The schema and its migrations; opening, whatever is there already."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from engine import config
from engine.errors import BadSetting, Refused
from engine.events import EpochRecord
from engine.notes import Note
from engine.store import (
    attempts,
    datasets,
    drafts,
    epochs,
    jobs,
    machine_samples,
    runs,
    schema,
    scores,
    uploads,
    workers,
)
from engine.store.database import Database, open_database
from engine.store.datasets import ClassEntry, Sample
from engine.store.scores import SampleScore

SCHEMAS = Path(__file__).parent / "schemas"
MEASURED = {
    "val_class_iou": (0.8, None),
    "num_steps": 7,
    "data_wait_share": 0.125,
    "peak_memory_bytes": 5_000_000_000,
    "gpu_utilization": 0.5,
}
OLD_SCHEMAS = sorted(path.stem for path in SCHEMAS.glob("*.sql"))


def migrations():
    settings = Config()
    settings.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    return ScriptDirectory.from_config(settings)


def differences(database):
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, schema.metadata)


def write_old_database(tmp_path, revision):
    """A database as a version with this schema left it."""
    path = tmp_path / f"{revision}.db"
    connection = sqlite3.connect(path)
    connection.executescript((SCHEMAS / f"{revision}.sql").read_text())
    connection.close()
    return f"sqlite:///{path}"


def test_migrations_build_the_schema_the_code_knows(database):
    assert differences(database) == []


def test_schema_revision_is_the_newest_migration():
    assert migrations().get_current_head() == schema.SCHEMA_REVISION


def test_every_migration_has_a_database_that_was_written_before_the_next():
    assert sorted(each.revision for each in migrations().walk_revisions()) == OLD_SCHEMAS


@pytest.mark.parametrize("revision", OLD_SCHEMAS)
def test_old_database_has_a_row_in_every_table_it_knew(tmp_path, revision):
    database = Database(write_old_database(tmp_path, revision))
    with database.reading() as connection:
        for table in sa.inspect(connection).get_table_names():
            assert connection.scalar(sa.text(f"SELECT count(*) FROM {table}")), table
    database.close()


@pytest.mark.parametrize("revision", OLD_SCHEMAS)
def test_old_database_opens_with_every_row_in_its_place(tmp_path, revision):
    database = open_database(write_old_database(tmp_path, revision))
    assert differences(database) == []
    _assert_datasets_are_read_back(database, revision)
    _assert_runs_are_read_back(database, revision)
    _assert_scores_are_read_back(database)
    _assert_workers_and_what_they_wrote_are_read_back(database, revision)
    database.close()


def _assert_workers_and_what_they_wrote_are_read_back(database, revision):
    samples = machine_samples.newest(database)
    with database.reading() as connection:
        notices = connection.execute(schema.notices.select()).all()
    if revision < "0004":
        # A worker of an earlier version counts as gone.
        assert workers.get(database, "lab") is None
        assert samples == notices == []
        return
    assert workers.get(database, "lab") == workers.WorkerRecord(
        host="lab", pid=4242, stamp="boot-1:77", heartbeat_at=1735689790.5
    )
    assert samples == [
        machine_samples.MachineSample(
            host="lab",
            at=1735689790.0,
            cpu_share=0.5,
            memory_used_bytes=1000,
            memory_total_bytes=16_000_000_000,
            disk_free_bytes=5000,
            disk_total_bytes=6000,
            gpus=[{"name": "H100", "utilization": 0.9}],
        )
    ]
    assert notices == [("j0000002", 2, "webhook", 1735689720.0, 1, None, 1735689721.0, None)]


def _assert_datasets_are_read_back(database, revision):
    classes = (
        ClassEntry(index=0, name="background", color="#000000", background=True, source_value=0),
        ClassEntry(index=1, name="Zelle 细胞", color="#e69f00", background=False, source_value=255),
    )
    is_first = revision == "0001"
    assert datasets.get(database, "d0000001") == datasets.Dataset(
        id="d0000001",
        name="cells",
        actor="ann",
        created_at=1735689600.0,
        content_hash="ab" * 32,
        num_samples=3,
        num_channels=1,
        classes=classes,
        plan=None if is_first else {"version": 1},
        parent_id=None if is_first else "d0000000",
        change=None if is_first else [{"message": "{num} left out.", "facts": {"num": 1}}],
        tags=() if is_first else ("pilot",),
        notes="" if is_first else "From the lab",
    )
    assert datasets.report(database, "d0000001") == {
        "warnings": [{"message": "Only {num}.", "facts": {"num": 3}}],
        "pairs": 3,
    }
    samples = datasets.samples(database, "d0000001")
    assert [sample.position for sample in samples] == [0, 1, 2]
    # Datasets of the first schema get the split that their runs had by default.
    assert [sample.split for sample in samples] == ["test", "train", "val"]
    assert samples[1] == Sample(
        position=1,
        name="images/b “2”",
        image_file="000001.jpg",
        mask_file="000001.png",
        width=9,
        height=7,
        class_pixels=(60, 3),
        split="train",
        fold=None if is_first else 1,
        group=None if is_first else "sub-1",
        twins=None if is_first else 0,
        facts={} if is_first else {"brightness": 0.5},
    )
    if not is_first:
        _assert_drafts_and_uploads_are_read_back(database)


def _assert_drafts_and_uploads_are_read_back(database):
    draft = drafts.get(database, "f0000001")
    assert (draft.name, draft.source) == ("cells", "uploads/u0000001/cells.zip")
    assert (draft.plan, draft.job.id, draft.job.status) == ({"version": 1}, "j0000001", "failed")
    upload = uploads.get(database, "u0000001")
    assert (upload.file_name, upload.size_bytes) == ("cells.zip", 5_000_000_000)
    assert upload.digests == ("00ff",)


def _assert_runs_are_read_back(database, revision):
    is_measured = revision >= "0003"
    run = runs.get(database, "r0000001")
    assert run.config == config.with_changes(
        config.recipe("quick"), {"epochs": 2, "width": 4, "split_method": "random"}
    )
    assert (run.name, run.dataset_id, run.dataset_name) == ("first", "d0000001", "cells")
    assert (run.actor, run.created_at) == ("ann", 1735689700.0)
    assert (run.num_parameters, run.environment) == (1717, {"device": "CPU", "torch": "2.11"})
    assert run.reasons == ({"width": Note("{cores} cores.", {"cores": 2})} if is_measured else {})
    assert run.preflight == ({"seconds_per_step": 0.25, "notes": []} if is_measured else None)
    assert (run.num_epochs_done, run.best_epoch, run.best_val_dice) == (2, 1, 0.75)
    assert runs.split_of(database, run.id) == {"train": [0], "val": [2], "test": [1]}
    is_lasting = revision >= "0004"
    assert (run.tags, run.notes, run.archived, run.adjustments) == (
        (("night",), "From the lab", True, {"batch_size": 2, "accumulation": 2})
        if is_lasting
        else ((), "", False, {})
    )
    # Runs of older schemas were scored before their job ended.
    assert run.scored_at == 1735689720.0
    assert run.job == jobs.Job(
        id="j0000002",
        kind="train",
        payload={"run": "r0000001"},
        actor="ann",
        status="completed",
        created_at=1735689700.0,
        started_at=1735689701.0,
        ended_at=1735689720.0,
        heartbeat_at=1735689719.5,
        wish=None,
        progress=1.0,
        phase="completed",
        handle={"host": "lab", "pid": 4343, "process_started_at": 1735689701.5, "gpu": "0"},
        error=None,
        result={"best_epoch": 1},
        priority=2 if is_lasting else 0,
        rank=1735689700.0,
        slot="gpu0" if is_lasting else None,
        attempts=2 if is_lasting else 1,
        retries=1 if is_lasting else 0,
        queued_at=1735689700.0,
        waited_seconds=1.0,
        ran_seconds=19.0,
        start_progress=0.0,
        incidents=[
            {
                "type": "ProcessDied",
                "message": "Killed by {signal}.",
                "facts": {"signal": "SIGKILL"},
                "at": 1735689710.0,
                "attempt": 1,
            }
        ]
        if is_lasting
        else [],
    )
    failed = jobs.get(database, "j0000001")
    assert (failed.attempts, failed.waited_seconds, failed.ran_seconds) == (1, 1.0, 1.0)
    assert (failed.kind, failed.status, failed.result) == ("import", "failed", None)
    assert failed.error == {"type": "BadArchive", "message": "No {what}.", "facts": {"what": "zip"}}
    if is_measured:
        preflight = jobs.get(database, "j0000003")
        assert (preflight.kind, preflight.result) == ("preflight", {"rates": {"suggestion": 0.003}})
    assert epochs.of_run(database, "r0000001") == [
        EpochRecord(
            epoch=epoch,
            train_loss=train_loss,
            val_loss=0.6,
            val_dice=val_dice,
            val_iou=0.5,
            val_class_dice=(0.9, None),
            learning_rate=0.004,
            seconds=1.5,
            images_per_second=20.25,
            is_best=is_best,
            # Only the first epoch has them, as a run that is resumed by a newer version may.
            **(MEASURED if is_measured and epoch == 1 else {}),
        )
        for epoch, train_loss, val_dice, is_best in [(1, 0.7, 0.75, True), (2, 0.65, 0.5, False)]
    ]


@pytest.mark.parametrize("revision", [each for each in OLD_SCHEMAS if each < "0004"])
def test_live_jobs_of_an_older_version_are_in_a_state_that_can_be_worked_on(tmp_path, revision):
    url = write_old_database(tmp_path, revision)
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.execute(
        "UPDATE jobs SET status = 'running', stop_requested = 1 WHERE kind = 'train'"
    )
    connection.execute(
        "UPDATE jobs SET status = 'queued', started_at = NULL, ended_at = NULL "
        "WHERE kind = 'import'"
    )
    connection.commit()
    connection.close()
    database = open_database(url)
    running = jobs.get(database, "j0000002")
    # What an older version knew of its process does not tell it from others any more.
    assert (running.status, running.wish, running.attempts, running.handle) == (
        "running", "stop", 1, None,
    )  # fmt: skip
    assert attempts.finish(database, running, "stopped")
    queued = jobs.get(database, "j0000001")
    assert (queued.attempts, queued.waited_seconds, queued.ran_seconds) == (0, 0.0, 0.0)
    assert jobs.queue(database) == [queued]
    assert attempts.claim(database, ["import"], "light").id == queued.id
    database.close()


def _assert_scores_are_read_back(database):
    assert scores.of_run(database, "r0000001") == [
        SampleScore(position=1, split="test", tp=(50, 2), fp=(1, 10), fn=(10, 1)),
        SampleScore(position=2, split="val", tp=(0, 63), fp=(0, 0), fn=(0, 0)),
    ]
    histograms = scores.histograms_of(database, "r0000001", 1)
    assert histograms.shape == (2, 2, 256)
    assert histograms.sum() == 2 * 63
    assert histograms[1, 0, 200] == 3
    assert histograms[1, 1, 17] == 60


def test_database_of_a_newer_version_is_refused_and_left_as_it_is(url, database):
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Refused) as raised:
        open_database(url)
    assert "written by a newer version" in str(raised.value)
    assert f"(schema {schema.SCHEMA_REVISION})" in str(raised.value)
    assert "Update the workbench" in str(raised.value)
    with database.reading() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "9999"


_OPEN = """
import sys
from engine.store import jobs
from engine.store.database import open_database

print("ready", flush=True)
for url in sys.stdin:
    database = open_database(url.strip())
    jobs.add(database, "import", {}, actor="ann")
    database.close()
    print("done", flush=True)
"""


def test_processes_that_open_a_new_home_at_the_same_time_all_work(tmp_path, talk_to):
    children = talk_to(4, _OPEN)
    assert {child.stdout.readline() for child in children} == {"ready\n"}
    for number in range(10):
        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        for child in children:
            child.stdin.write(url + "\n")
            child.stdin.flush()
        assert [child.stdout.readline() for child in children] == ["done\n"] * len(children)
        database = open_database(url)
        assert len(jobs.with_status(database, "queued")) == len(children)
        database.close()


def test_new_database_that_another_process_is_just_writing_is_waited_for(tmp_path):
    path = tmp_path / "workbench.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE x (y)")
    release = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    release.start()
    database = open_database(f"sqlite:///{path}")
    release.join()
    assert jobs.with_status(database, "queued") == []
    database.close()
    other.close()


def test_foreign_keys_are_enforced(database, add_dataset, add_run):
    with pytest.raises(sa.exc.IntegrityError):
        add_run("no such dataset")
    assert jobs.with_status(database, "queued") == []
    run_id = add_run(add_dataset())
    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        connection.execute(
            schema.jobs.delete().where(schema.jobs.c.id == runs.get(database, run_id).job.id)
        )


def test_writer_that_fails_changes_nothing(database):
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        jobs.add_row(connection, "import", {}, "ann")
        raise ZeroDivisionError
    assert jobs.with_status(database, "queued") == []


def test_reader_sees_one_state_while_others_write(database):
    count = sa.select(sa.func.count()).select_from(schema.jobs)
    with database.reading() as connection:
        assert connection.scalar(count) == 0
        writer = threading.Thread(
            target=jobs.add, args=(database, "import", {}), kwargs={"actor": ""}
        )
        writer.start()
        writer.join()
        assert connection.scalar(count) == 0
    assert len(jobs.with_status(database, "queued")) == 1


@pytest.mark.parametrize("url", ["nonsense", "nosuchsql://lab/db"])
def test_url_of_no_database_is_refused_by_the_name_of_its_variable(url):
    with pytest.raises(BadSetting, match="WORKBENCH_DATABASE_URL cannot be used"):
        open_database(url)


def test_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "workbench.db"
    path.write_bytes(b"once upon a time " * 1000)
    with pytest.raises(Refused, match="not a database") as raised:
        open_database(f"sqlite:///{path}")
    assert str(path) in str(raised.value)
    assert path.read_bytes() == b"once upon a time " * 1000


def test_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Refused, match="cannot be opened"):
        open_database(f"sqlite:///{tmp_path / 'none' / 'workbench.db'}")
    assert os.listdir(tmp_path) == []
