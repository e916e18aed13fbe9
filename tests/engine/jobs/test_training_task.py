"""A training job from its row to its scores, in this process."""

import pytest

from engine.config import recipe, with_changes
from engine.errors import BadSetting, Diverged, Stopped
from engine.jobs.process import JobControl
from engine.jobs.queue import submit_training
from engine.jobs.training_task import run_training
from engine.models.weights import load_weights
from engine.store import epochs, jobs, runs, scores
from engine.training.checkpoint import best_key, last_key, load_state

TINY = {
    "width": 4,
    "num_levels": 2,
    "image_size_px": 16,
    "epochs": 2,
    "precision": "fp32",
    "device": "cpu",
}


@pytest.fixture
def start(workbench, add_dataset):
    """`start(changes)`: a claimed training job, its run and its control."""

    def start(changes=None, num_classes=2):
        config = with_changes(recipe("quick"), TINY | (changes or {}))
        dataset_id = add_dataset([(33, 47)] * 7, num_classes)
        run_id = submit_training(workbench, dataset_id, config, actor="ann")
        job = jobs.claim(workbench.database, "train")
        return run_id, job, JobControl(workbench, job)

    return start


@pytest.mark.parametrize("num_classes", [2, 3])
def test_completed_training_has_epochs_scores_and_checkpoints(workbench, start, num_classes):
    run_id, job, control = start(num_classes=num_classes)
    ending = run_training(workbench, job, control)
    run = runs.get(workbench.database, run_id)
    assert ending == ("completed", {"best_epoch": run.best_epoch})
    assert [record.epoch for record in epochs.of_run(workbench.database, run_id)] == [1, 2]
    assert run.environment["device"] == "CPU"
    assert run.environment["precision"] == "float32"
    split = runs.split_of(workbench.database, run_id)
    for name, positions in split.items():
        stored = scores.of_run(workbench.database, run_id, name)
        assert [score.position for score in stored] == positions
        assert all(len(score.tp) == num_classes for score in stored)
    files = workbench.files
    _, info = load_weights(files.path(best_key(f"runs/{run_id}")), "cpu")
    assert (info.epoch, info.config, info.num_classes) == (run.best_epoch, run.config, num_classes)
    assert load_state(files.path(last_key(f"runs/{run_id}")))["standing"]["epoch"] == 2


def test_scores_are_of_the_network_that_was_counted_by_its_parameters(workbench, start):
    run_id, job, control = start()
    run_training(workbench, job, control)
    path = workbench.files.path(best_key(f"runs/{run_id}"))
    model, _ = load_weights(path, "cpu")
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == runs.get(workbench.database, run_id).num_parameters


def test_training_without_test_samples_completes(workbench, start):
    run_id, job, control = start({"split_method": "random", "test_share": 0})
    assert run_training(workbench, job, control)[0] == "completed"
    assert scores.of_run(workbench.database, run_id, "test") == []
    assert scores.of_run(workbench.database, run_id, "val") != []


def test_training_stopped_before_its_first_epoch_has_no_scores_but_its_state(
    workbench, start, monkeypatch
):
    run_id, job, control = start()
    monkeypatch.setattr(control, "progress_or_stop", control.progress)
    control.request_stop()
    assert run_training(workbench, job, control) == ("stopped", {"best_epoch": None})
    assert scores.of_run(workbench.database, run_id) == []
    assert workbench.files.path(last_key(f"runs/{run_id}")).exists()


def test_stop_while_the_images_are_prepared_ends_at_once(workbench, start):
    run_id, job, control = start()
    control.request_stop()
    with pytest.raises(Stopped):
        run_training(workbench, job, control)
    assert epochs.of_run(workbench.database, run_id) == []


def test_stop_while_images_are_scored_leaves_no_split_scored_in_part(workbench, start, monkeypatch):
    run_id, job, control = start()
    monkeypatch.setattr("engine.jobs.process._REPORT_SECONDS", 0.0)

    def stop_in_the_middle(phase, share):
        if phase == "evaluating" and share > 0.96:
            raise Stopped("The job was stopped.")

    monkeypatch.setattr(control, "progress_or_stop", stop_in_the_middle)
    with pytest.raises(Stopped):
        run_training(workbench, job, control)
    split = runs.split_of(workbench.database, run_id)
    found = scores.of_run(workbench.database, run_id)
    for name in runs.SPLIT_NAMES:
        assert sum(score.split == name for score in found) in (0, len(split[name]))
    assert len(found) < 7


def test_training_stopped_later_is_scored_with_the_best_it_has(workbench, start, monkeypatch):
    run_id, job, control = start({"epochs": 1000})
    monkeypatch.setattr(
        control, "should_stop", lambda: len(epochs.of_run(workbench.database, run_id)) >= 2
    )
    status, result = run_training(workbench, job, control)
    assert status == "stopped"
    assert result["best_epoch"] in (1, 2)
    assert len(scores.of_run(workbench.database, run_id)) == 7


def test_phases_are_reported_in_order_and_progress_only_rises(workbench, start, monkeypatch):
    seen = []
    monkeypatch.setattr(jobs, "set_progress", lambda *call: seen.append(call[2:]))
    monkeypatch.setattr("engine.jobs.process._REPORT_SECONDS", 0.0)
    _, job, control = start()
    run_training(workbench, job, control)
    phases = list(dict.fromkeys(phase for phase, _ in seen))
    assert phases == ["preparing", "measuring", "training", "evaluating"]
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_diverged_training_keeps_the_epochs_it_had(workbench, start):
    run_id, job, control = start(
        {"optimizer": "sgd", "learning_rate": 10, "weight_decay": 1, "epochs": 200,
         "normalization": "none", "lr_schedule": "constant"}
    )  # fmt: skip
    with pytest.raises(Diverged):
        run_training(workbench, job, control)
    assert len(epochs.of_run(workbench.database, run_id)) < 200
    assert scores.of_run(workbench.database, run_id) == []


def test_gpu_that_is_not_there_is_told_before_anything_else(workbench, start, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    run_id, job, control = start({"device": "cuda"})
    with pytest.raises(BadSetting, match="Choose “auto” or “cpu”"):
        run_training(workbench, job, control)
    assert not workbench.files.path(f"runs/{run_id}").exists()
