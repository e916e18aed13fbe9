"""Whatever is killed, no run is lost and none is “running” for ever."""

import os
import signal

from engine.errors import WorkbenchError
from engine.jobs.daemon import process_lives
from engine.store import scores, workers
from tests.integration.support import ENDLESS, FOR_SECONDS, wait_until


def reason(run):
    return str(WorkbenchError(run.job.error["message"], **run.job.error["facts"]))


def kill_process_of(run):
    os.kill(run.job.handle["pid"], signal.SIGKILL)


def kill(worker):
    worker.kill()
    worker.wait(10)


def test_run_whose_process_is_killed_has_failed_with_reason_and_log(live_home):
    worker = live_home.start_worker()
    run_id = live_home.train(ENDLESS)
    kill_process_of(live_home.wait_for_epoch(run_id))
    run = live_home.wait_for_end(run_id)
    assert run.status == "failed"
    assert run.job.error["type"] == "ProcessDied"
    assert "killed by SIGKILL, as happens when memory runs out" in reason(run)
    assert "Epoch 1: training loss" in run.job.error["facts"]["log"]
    assert worker.poll() is None
    shown = live_home.command("show", run_id)
    assert "failed" in shown.stdout
    assert "killed by SIGKILL" in shown.stdout
    assert "Epoch 1: training loss" in shown.stdout


def test_run_outlives_its_worker_and_a_second_worker_takes_it_over(live_home):
    first = live_home.start_worker()
    run_id = live_home.train(FOR_SECONDS)
    before = live_home.wait_for_epoch(run_id)
    kill(first)
    second = live_home.start_worker()
    run = live_home.wait_for_end(run_id)
    assert (run.status, run.job.error) == ("completed", None)
    assert run.num_epochs_done > before.num_epochs_done
    assert run.job.handle == before.job.handle
    assert scores.of_run(live_home.database, run_id, "test")
    assert second.poll() is None
    assert live_home.worker_log.read_text().count("Starting job") == 1


def test_run_that_died_with_its_worker_is_failed_by_the_next(live_home):
    worker = live_home.start_worker()
    run_id = live_home.train(ENDLESS)
    run = live_home.wait_for_epoch(run_id)
    kill(worker)
    kill_process_of(run)
    assert live_home.run(run_id).status == "running"
    live_home.start_worker()
    run = live_home.wait_for_end(run_id)
    assert run.status == "failed"
    assert "it disappeared while no worker watched it" in reason(run)
    assert "Epoch 1: training loss" in run.job.error["facts"]["log"]


def test_worker_that_is_told_to_end_leaves_the_run_to_itself(live_home):
    worker = live_home.start_worker()
    run_id = live_home.train(FOR_SECONDS)
    live_home.wait_for_epoch(run_id)
    worker.terminate()
    assert worker.wait(10) == 0
    assert live_home.run(run_id).status == "running"
    assert live_home.wait_for_end(run_id).status == "completed"


def test_asking_a_dead_run_to_stop_brings_its_end_to_light(make_home, tmp_path):
    home = make_home(tmp_path / "home", "local")
    run_id = home.train(ENDLESS)
    run = home.wait_for_epoch(run_id)
    record = workers.get(home.database, os.uname().nodename)
    os.kill(record.pid, signal.SIGKILL)
    wait_until(lambda: not process_lives(record.pid, record.process_started_at), "its death")
    kill_process_of(run)
    assert home.command("stop", run_id).returncode == 0
    assert home.wait_for_end(run_id).status == "failed"
