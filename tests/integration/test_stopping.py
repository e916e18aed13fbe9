"""Stopping: a queued run at once, a running one with everything it has."""

from engine.store import scores
from tests.integration.support import ENDLESS, TINY


def test_running_run_is_stopped_and_keeps_its_model_and_scores_and_the_next_one_runs(live_home):
    home = live_home
    home.start_worker()
    running, queued, last = (home.train(changes) for changes in (ENDLESS, ENDLESS, TINY))
    home.wait_for_epoch(running, 2)

    assert home.result("stop", queued, "--json") == {
        "run": queued, "status": "stopped", "wish": "stop",
    }  # fmt: skip
    assert home.run(queued).job.started_at is None

    assert home.result("stop", running, "--json")["run"] == running
    run = home.wait_for_end(running)
    assert (run.status, run.job.error) == ("stopped", None)
    assert run.num_epochs_done >= 2
    checkpoints = home.path / "runs" / running / "checkpoints"
    names = {path.name for path in checkpoints.iterdir()}
    assert names - {"previous.pt"} == {"best.safetensors", "last.pt"}
    assert {score.split for score in scores.of_run(home.database, running)} == {
        "train", "val", "test",
    }  # fmt: skip
    shown = home.result("show", running, "--json")
    assert shown["status"] == "stopped"
    assert shown["best_epoch"] == run.best_epoch
    assert set(shown["scores"]) == {"train", "val", "test"}

    assert home.wait_for_end(last).status == "completed"
    assert home.run(queued).status == "stopped"
    assert not (home.path / "runs" / queued).exists()
