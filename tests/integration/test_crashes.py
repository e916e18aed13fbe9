"""Whatever is killed, a run goes on or ends in a truthful state, and nothing of it is lost."""

import json
import os
import signal
import urllib.request

import pytest

from engine.errors import WorkbenchError
from engine.jobs.control import resume_run, stop_run
from engine.jobs.daemon import process_lives
from engine.store import epochs, jobs, scores, workers
from tests.integration.faulty import add_fault
from tests.integration.support import LASTING, TINY, wait_until

NUM_EPOCHS = LASTING["epochs"]


def reason(error):
    return str(WorkbenchError(error["message"], **error["facts"]))


def kill_process_of(run, number=signal.SIGKILL):
    os.kill(run.job.handle["pid"], number)


def kill(worker):
    worker.kill()
    worker.wait(10)


def curve(home, run_id):
    return [(each.train_loss, each.val_loss) for each in epochs.of_run(home.database, run_id)]


def test_run_that_is_killed_in_a_step_goes_on_and_its_curves_are_those_of_one_that_was_not(
    live_home,
):
    worker = live_home.start_worker()
    run_id = live_home.train(LASTING)
    kill_process_of(live_home.wait_for_epoch(run_id, 5))
    run = live_home.assert_whole(run_id, NUM_EPOCHS)
    assert (run.job.attempts, run.job.retries) == (2, 1)
    [incident] = run.job.incidents
    assert (incident["type"], incident["attempt"]) == ("ProcessDied", 1)
    assert "killed by SIGKILL" in reason(incident)
    assert "Epoch 1: training loss" in incident["facts"]["log"]
    assert worker.poll() is None
    undisturbed = live_home.train_alike(run_id)
    assert live_home.assert_whole(undisturbed, NUM_EPOCHS).job.attempts == 1
    assert curve(live_home, run_id) == curve(live_home, undisturbed)
    assert scores.of_run(live_home.database, run_id) == scores.of_run(
        live_home.database, undisturbed
    )


@pytest.mark.parametrize("point", ["sync", "before rename", "after rename"])
@pytest.mark.parametrize("file", ["*last.pt*", "*best.safetensors*"])
def test_run_that_is_killed_while_a_checkpoint_is_written_goes_on(live_home, point, file):
    fault = add_fault(live_home, at=point, name=f"*/checkpoints/{file}", do="SIGKILL")
    fault.disarm()
    live_home.start_worker()
    run_id = live_home.train(LASTING)
    live_home.wait_for_epoch(run_id, 2)
    fault.arm()
    # The best epoch may be among the first ones: then its file is not written again.
    run = live_home.assert_whole(run_id, NUM_EPOCHS)
    assert run.job.attempts == (2 if fault.has_happened else 1)
    assert fault.has_happened or "best" in file
    folder = live_home.path / "runs" / run_id / "checkpoints"
    names = {path.name for path in folder.iterdir()}
    assert names == {"best.safetensors", "last.pt", "previous.pt"}


def test_run_that_is_killed_while_it_is_scored_is_scored_wholly(live_home):
    fault = add_fault(live_home, at="after rename", name="*/predictions/*", do="SIGKILL")
    live_home.start_worker()
    run_id = live_home.train(TINY)
    run = live_home.assert_whole(run_id, TINY["epochs"])
    assert fault.has_happened
    assert run.job.attempts == 2


def test_run_that_dies_again_and_again_has_failed_with_every_cause(live_home):
    add_fault(live_home, at="sync", name="*/checkpoints/*", do="SIGKILL", once=False)
    live_home.environment["WORKBENCH_RETRIES"] = "2"
    live_home.start_worker()
    run = live_home.wait_for_end(live_home.train(TINY))
    assert (run.status, run.job.attempts, run.job.error["type"]) == ("failed", 3, "ProcessDied")
    assert [incident["attempt"] for incident in run.job.incidents] == [1, 2]
    shown = live_home.command("show", run.id)
    assert "failed" in shown.stdout
    assert "killed by SIGKILL" in shown.stdout
    # A person can wish it once more, and it is given as many attempts again.
    live_home.environment.pop("FAULTS")
    live_home.restart_worker()
    resume_run(live_home.workbench, run.id, actor="test")
    run = live_home.assert_whole(run.id, TINY["epochs"])
    assert (run.job.attempts, run.job.retries) == (4, 0)
    assert [incident["attempt"] for incident in run.job.incidents] == [1, 2, 3]


def test_run_outlives_its_worker_and_a_second_worker_takes_it_over(live_home):
    first = live_home.start_worker()
    run_id = live_home.train(LASTING)
    before = live_home.wait_for_epoch(run_id)
    kill(first)
    second = live_home.start_worker()
    run = live_home.assert_whole(run_id, NUM_EPOCHS)
    assert run.job.attempts == 1
    assert run.job.handle == before.job.handle
    assert second.poll() is None
    assert live_home.worker_log.read_text().count("Starting job") == 1


def test_run_that_died_with_its_worker_is_taken_up_by_the_next(live_home):
    worker = live_home.start_worker()
    run_id = live_home.train(LASTING)
    run = live_home.wait_for_epoch(run_id)
    kill(worker)
    kill_process_of(run)
    assert live_home.run(run_id).status == "running"
    live_home.start_worker()
    run = live_home.assert_whole(run_id, NUM_EPOCHS)
    assert run.job.attempts == 2
    assert "it disappeared while no worker watched it" in reason(run.job.incidents[0])


def test_server_worker_and_run_are_killed_and_the_server_is_started_again(live_home, start_server):
    environment = live_home.environment | {"WORKBENCH_WORKER": "local"}
    server = start_server(environment=environment)
    run_id = live_home.train(LASTING)
    run = live_home.wait_for_epoch(run_id)
    record = workers.get(live_home.database, os.uname().nodename)
    server.kill()
    os.kill(record.pid, signal.SIGKILL)
    kill_process_of(run)
    again = start_server(environment=environment)
    run = live_home.assert_whole(run_id, NUM_EPOCHS)
    assert run.job.attempts == 2
    with urllib.request.urlopen(f"{again.address}/api/health", timeout=10) as answer:
        assert json.load(answer) == {"status": "ok"}
    again.kill()


def test_worker_that_is_told_to_end_leaves_the_run_to_itself(live_home):
    worker = live_home.start_worker()
    run_id = live_home.train(LASTING)
    live_home.wait_for_epoch(run_id)
    worker.terminate()
    assert worker.wait(10) == 0
    assert live_home.run(run_id).status == "running"
    live_home.assert_whole(run_id, NUM_EPOCHS)


def test_run_that_is_told_to_end_hands_over_and_loses_not_one_step(live_home):
    live_home.start_worker()
    run_id = live_home.train(LASTING)
    kill_process_of(live_home.wait_for_epoch(run_id, 3), signal.SIGTERM)
    run = live_home.assert_whole(run_id, NUM_EPOCHS)
    # It is not held against the run that the machine was shut down.
    assert (run.job.attempts, run.job.retries) == (2, 0)
    assert "told to end (SIGTERM)" in reason(run.job.incidents[0])
    undisturbed = live_home.train_alike(run_id)
    live_home.assert_whole(undisturbed, NUM_EPOCHS)
    assert curve(live_home, run_id) == curve(live_home, undisturbed)


def test_server_that_is_told_to_end_leaves_the_run_to_itself(live_home, start_server):
    environment = live_home.environment | {"WORKBENCH_WORKER": "local"}
    server = start_server(environment=environment)
    run_id = live_home.train(LASTING)
    live_home.wait_for_epoch(run_id)
    server.process.terminate()
    server.process.wait(20)
    assert live_home.assert_whole(run_id, NUM_EPOCHS).job.attempts == 1


def test_run_that_hangs_is_ended_and_goes_on(live_home):
    live_home.environment["WORKBENCH_SILENCE_SECONDS"] = "3"
    live_home.start_worker()
    run_id = live_home.train(LASTING)
    before = live_home.wait_for_epoch(run_id, 3)
    kill_process_of(before, signal.SIGSTOP)
    wait_until(lambda: live_home.run(run_id).job.incidents, "the hang to be noticed", 30)
    run = live_home.assert_whole(run_id, NUM_EPOCHS)
    assert "showed no sign of life any more" in reason(run.job.incidents[0])
    assert not process_lives(before.job.handle["pid"], before.job.handle["stamp"])


def test_run_that_is_asked_to_pause_and_dies_is_paused_and_can_go_on(live_home):
    worker = live_home.start_worker()
    run_id = live_home.train(LASTING)
    run = live_home.wait_for_epoch(run_id, 3)
    kill(worker)
    kill_process_of(run)
    stop_run(live_home.workbench, run_id, wish="pause", actor="test")
    live_home.start_worker()
    run = live_home.wait_for_end(run_id)
    assert (run.status, run.job.is_paused, run.job.error) == ("stopped", True, None)
    assert len(run.job.incidents) == 1
    resume_run(live_home.workbench, run_id, actor="test")
    assert live_home.assert_whole(run_id, NUM_EPOCHS).job.wish is None


def test_asking_a_dead_run_to_stop_brings_its_end_to_light(make_home, tmp_path):
    home = make_home(tmp_path / "home", "local")
    run_id = home.train(LASTING)
    run = home.wait_for_epoch(run_id)
    record = workers.get(home.database, os.uname().nodename)
    os.kill(record.pid, signal.SIGKILL)
    wait_until(lambda: not process_lives(record.pid, record.stamp), "its death")
    kill_process_of(run)
    assert home.command("stop", run_id).returncode == 0
    assert home.wait_for_end(run_id).status == "stopped"
    assert jobs.with_status(home.database, *jobs.LIVE) == []
