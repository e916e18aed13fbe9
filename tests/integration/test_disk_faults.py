"""Disks that are full or cannot be written, databases that are locked or have lost something."""

import os
import shutil
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine.errors import WorkbenchError
from engine.jobs.control import resume_run
from engine.jobs.logs import log_key
from engine.store import epochs
from tests.integration.faulty import add_fault
from tests.integration.support import LASTING, TINY, LiveHome, wait_until

NUM_EPOCHS = LASTING["epochs"]
LOCKED_SECONDS = 31


def reason(run):
    return str(WorkbenchError(run.job.error["message"], **run.job.error["facts"]))


def mount(path: Path, *options: str) -> None:
    said = subprocess.run(["mount", *options, str(path)], capture_output=True, text=True)
    if said.returncode:
        pytest.skip(f"nothing can be mounted here: {said.stderr.strip()}")


@pytest.fixture
def home_on_small_disk(tmp_path: Path) -> Iterator[LiveHome]:
    """A home on a file system of its own, with 48 MiB."""
    path = tmp_path / "home"
    path.mkdir()
    try:
        mount(path, "-t", "tmpfs", "-o", "size=48m", "tmpfs")
    except FileNotFoundError:
        pytest.skip("there is no command to mount with")
    home = LiveHome(path, "external")
    yield home
    home.close()
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.parametrize("name", ["*/checkpoints/.last.pt*", "*/predictions/*"])
def test_run_that_meets_a_full_disk_says_so_and_goes_on_when_there_is_room(live_home, name):
    fault = add_fault(live_home, at="sync", name=name, do="full", once=False)
    live_home.start_worker()
    run = live_home.wait_for_end(live_home.train(LASTING))
    assert (run.status, run.job.error["type"]) == ("failed", "DiskFull")
    assert "disk" in reason(run)
    log = live_home.workbench.files.path(log_key(run.job.id)).read_text()
    assert "Traceback" not in log
    assert not list(live_home.path.glob("runs/*/*/.*.tmp"))
    fault.disarm()
    resume_run(live_home.workbench, run.id, actor="test")
    live_home.assert_whole(run.id, NUM_EPOCHS)


def test_disk_that_fills_up_under_everything_stops_nothing_for_good(home_on_small_disk):
    home = home_on_small_disk
    worker = home.start_worker()
    run_id = home.train(LASTING)
    home.wait_for_epoch(run_id, 3)
    filler = home.path / "filler"
    with open(filler, "wb") as file, suppress(OSError):
        while True:
            os.write(file.fileno(), b"\0" * 65536)
    with open(filler, "ab") as file, suppress(OSError):
        while True:
            os.write(file.fileno(), b"\0" * 64)
    time.sleep(4)
    assert worker.poll() is None
    assert home.run(run_id).id == run_id
    filler.unlink()
    run = home.wait_for_end(run_id)
    if run.status == "failed":
        assert run.job.error["type"] in ("DiskFull", "ProcessDied")
        resume_run(home.workbench, run_id, actor="test")
    home.assert_whole(run_id, NUM_EPOCHS)
    assert worker.poll() is None


def test_log_that_cannot_be_written_does_not_end_the_run(live_home):
    run_id = live_home.train(TINY)
    log = live_home.workbench.files.path(log_key(live_home.run(run_id).job.id))
    log.parent.mkdir(parents=True, exist_ok=True)
    log.symlink_to("/dev/full")
    live_home.start_worker()
    assert live_home.assert_whole(run_id, TINY["epochs"]).job.attempts == 1


def test_database_that_is_full_for_a_moment_costs_no_epoch(live_home):
    fault = add_fault(live_home, at="database", do="full")
    fault.disarm()
    live_home.start_worker()
    run_id = live_home.train(LASTING)
    live_home.wait_for_epoch(run_id, 3)
    fault.arm()
    run = live_home.assert_whole(run_id, NUM_EPOCHS)
    assert fault.has_happened
    assert run.job.retries <= 1


def test_database_that_stays_full_fails_the_run_with_its_log_and_it_can_go_on(live_home):
    fault = add_fault(live_home, at="database", do="full", once=False)
    fault.disarm()
    worker = live_home.start_worker()
    run_id = live_home.train(LASTING)
    live_home.wait_for_epoch(run_id, 3)
    fault.arm()
    run = live_home.wait_for_end(run_id)
    assert (run.status, run.job.error["type"]) == ("failed", "ProcessDied")
    assert "database or disk is full" in run.job.error["facts"]["log"]
    assert worker.poll() is None
    fault.disarm()
    resume_run(live_home.workbench, run_id, actor="test")
    live_home.assert_whole(run_id, NUM_EPOCHS)


def test_database_that_is_locked_for_half_a_minute_is_waited_for(live_home, start_server):
    server = start_server(environment=live_home.environment)
    worker = live_home.start_worker()
    run_id = live_home.train(LASTING | {"epochs": 400})
    live_home.wait_for_epoch(run_id, 3)
    other = sqlite3.connect(live_home.path / "workbench.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    unlock_at = time.monotonic() + LOCKED_SECONDS
    while time.monotonic() < unlock_at:
        with urllib.request.urlopen(f"{server.address}/api/health", timeout=5) as answer:
            assert answer.status == 200
        assert live_home.run(run_id).status == "running"
        time.sleep(1)
    other.execute("COMMIT")
    other.close()
    run = live_home.assert_whole(run_id, 400)
    assert (run.job.attempts, run.job.incidents) == (1, [])
    assert worker.poll() is None
    server.kill()


def test_records_that_the_database_lost_come_back_from_the_checkpoint(live_home):
    run_id = live_home.train(LASTING)
    connection = sqlite3.connect(live_home.path / "workbench.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    # A reader that stays keeps the log from being written back and taken away at the end.
    worker = live_home.start_worker()
    run = live_home.wait_for_epoch(run_id, 20)
    worker.kill()
    worker.wait(10)
    os.kill(run.job.handle["pid"], 9)
    wait_until(lambda: live_home.run_processes() == [], "its process to end")
    live_home.workbench.close()
    for ending in ("-wal", "-shm"):
        live_home.path.joinpath(f"workbench.db{ending}").unlink(missing_ok=True)
    before = live_home.run(run_id)
    assert before.num_epochs_done < 20
    live_home.start_worker()
    live_home.wait_for_epoch(run_id)
    log = live_home.workbench.files.path(log_key(before.job.id)).read_text()
    live_home.assert_whole(run_id, NUM_EPOCHS)
    assert log.count("Epoch 1:") == 1


def test_home_that_is_read_only_for_a_while_is_written_again(home_on_small_disk):
    home = home_on_small_disk
    worker = home.start_worker()
    run_id = home.train(LASTING)
    home.wait_for_epoch(run_id, 3)
    # Whoever has a file open for writing keeps a file system from becoming read-only.
    if subprocess.run(
        ["mount", "-o", "remount,ro", str(home.path)], capture_output=True
    ).returncode:
        folder = home.path / "runs" / run_id / "checkpoints"
        mount(folder, "-t", "tmpfs", "-o", "ro", "tmpfs")
    else:
        folder = home.path
    time.sleep(3)
    assert worker.poll() is None
    if folder == home.path:
        mount(folder, "-o", "remount,rw")
    else:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    run = home.wait_for_end(run_id)
    if run.status == "failed":
        assert "Traceback" not in reason(run)
        resume_run(home.workbench, run_id, actor="test")
    home.assert_whole(run_id, NUM_EPOCHS)
    assert worker.poll() is None


@pytest.mark.parametrize("when", ["before", "while"])
def test_run_whose_dataset_is_taken_away_says_what_is_missing(live_home, when):
    if when == "while":
        live_home.start_worker()
    run_id = live_home.train(LASTING)
    if when == "while":
        live_home.wait_for_epoch(run_id, 3)
    shutil.rmtree(live_home.path / "datasets" / live_home.run(run_id).dataset_id)
    if when == "before":
        live_home.start_worker()
    run = live_home.wait_for_end(run_id)
    assert run.status == "failed"
    assert run.job.error["type"] in ("NotFound", "BadData")
    log = live_home.workbench.files.path(log_key(run.job.id)).read_text()
    assert "Traceback" not in log
    recorded = [record.epoch for record in epochs.of_run(live_home.database, run_id)]
    assert recorded == list(range(1, (NUM_EPOCHS if when == "while" else 0) + 1))
