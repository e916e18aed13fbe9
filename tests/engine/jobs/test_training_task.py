"""A training job from its row to its scores, in this process."""

import shutil

import pytest

from engine.config import recipe, with_changes
from engine.errors import (
    BadSetting,
    Diverged,
    NotFound,
    OutOfMemory,
    ProcessDied,
    Refused,
    Stopped,
)
from engine.jobs import training_task
from engine.jobs.process import JobControl
from engine.jobs.queue import submit_training
from engine.jobs.training_task import run_evaluation, run_training
from engine.models.weights import load_weights
from engine.run_files import best_key, last_key
from engine.store import attempts, epochs, jobs, runs, scores
from engine.training import keeping
from engine.training.checkpoint import load_state
from engine.training.trainer import train

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
        job = attempts.claim(workbench.database, ["train"], "cpu:0")
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
    jobs.request_stop(workbench.database, job.id, actor="ann")
    assert run_training(workbench, job, control) == ("stopped", {"best_epoch": None})
    assert scores.of_run(workbench.database, run_id) == []
    assert workbench.files.path(last_key(f"runs/{run_id}")).exists()


def test_stop_while_the_images_are_prepared_ends_at_once(workbench, start):
    run_id, job, control = start()
    jobs.request_stop(workbench.database, job.id, actor="ann")
    with pytest.raises(Stopped):
        run_training(workbench, job, control)
    assert epochs.of_run(workbench.database, run_id) == []


def test_stop_while_images_are_scored_leaves_no_split_scored_in_part(workbench, start, monkeypatch):
    run_id, job, control = start()
    monkeypatch.setattr("engine.jobs.process._REPORT_SECONDS", 0.0)

    def stop_in_the_middle(phase, share):
        if phase == "evaluating" and share > 0.96:
            raise Stopped("The job was stopped.")

    monkeypatch.setattr(control, "progress", stop_in_the_middle)
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
    monkeypatch.setattr(attempts, "set_progress", lambda *call: seen.append(call[2:]))
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


@pytest.fixture
def again(workbench):
    """`again(job)`: the job's next attempt and its control, however the last one ended."""

    def again(job, status=None, error=None):
        database = workbench.database
        if status is not None:
            attempts.finish(database, job, status)
            runs.resume(database, job.payload["run"])
        else:
            attempts.give_back(database, job, error or DIED, is_retry=True)
        job = attempts.claim(database, ["train"], "cpu:0")
        return job, JobControl(workbench, job)

    return again


DIED = ProcessDied("The process ended.").to_record()
KILLED = OutOfMemory("The kernel killed the process.", log="…").to_record()


class Killed(BaseException):
    """Stands for SIGKILL."""


def kill_at_epoch(monkeypatch, epoch):
    """Die when so many epochs are recorded."""
    add = epochs.add

    def add_and_die(database, run_id, record):
        add(database, run_id, record)
        if record.epoch == epoch:
            raise Killed

    monkeypatch.setattr(epochs, "add", add_and_die)


def shown(records):
    return [(record.epoch, record.train_loss, record.is_best) for record in records]


def test_attempt_after_a_death_goes_on_and_no_epoch_is_missing_or_there_twice(
    workbench, start, again, monkeypatch
):
    whole_id, job, control = start({"epochs": 4})
    run_training(workbench, job, control)
    run_id, job, control = start({"epochs": 4})
    monkeypatch.setattr(keeping, "_COST_SHARE", 0.0)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_epoch(patch, 3)
        run_training(workbench, job, control)
    assert len(epochs.of_run(workbench.database, run_id)) == 3
    assert run_training(workbench, *again(job))[0] == "completed"
    found, whole = (epochs.of_run(workbench.database, each) for each in (run_id, whole_id))
    assert shown(found) == shown(whole)
    assert len(scores.of_run(workbench.database, run_id)) == 7


def test_records_that_were_lost_come_back_from_the_checkpoint(workbench, start, again, monkeypatch):
    run_id, job, control = start({"epochs": 3})
    run_training(workbench, job, control)
    before = epochs.of_run(workbench.database, run_id)
    epochs.restore(workbench.database, run_id, [])
    run_training(workbench, *again(job))
    assert shown(epochs.of_run(workbench.database, run_id)) == shown(before)


def test_run_whose_training_is_over_is_only_scored_again(workbench, start, again, monkeypatch):
    run_id, job, control = start()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(scores, "add", lambda *_: (_ for _ in ()).throw(Killed))
        run_training(workbench, job, control)
    monkeypatch.setattr("engine.training.trainer.prepare", None)
    assert run_training(workbench, *again(job))[0] == "completed"
    assert len(scores.of_run(workbench.database, run_id)) == 7


def test_run_of_epochs_without_a_state_is_not_trained_from_scratch(workbench, start, again):
    run_id, job, control = start()
    run_training(workbench, job, control)
    workbench.files.path(last_key(f"runs/{run_id}")).unlink()
    workbench.files.remove(f"runs/{run_id}/checkpoints/previous.pt")
    with pytest.raises(Refused, match=r"trained for 2 epochs.*last\.pt.*start_from"):
        run_training(workbench, *again(job, "failed"))
    assert len(epochs.of_run(workbench.database, run_id)) == 2


def ask(workbench, job, wish):
    jobs.request_stop(workbench.database, job.id, wish=wish, actor="ann")


@pytest.mark.parametrize(("wish", "num_scored"), [("stop", 7), ("pause", 0), ("leave", 0)])
def test_only_a_run_that_is_stopped_for_good_is_scored(
    workbench, start, monkeypatch, wish, num_scored
):
    run_id, job, control = start({"epochs": 1000})
    monkeypatch.setattr("engine.jobs.process._REPORT_SECONDS", 0.0)
    add = epochs.add

    def wish_after_two(database, run_id, record):
        add(database, run_id, record)
        if record.epoch == 2:
            control.leave() if wish == "leave" else ask(workbench, job, wish)

    monkeypatch.setattr(epochs, "add", wish_after_two)
    status, result = run_training(workbench, job, control)
    assert status == "stopped"
    assert result["best_epoch"] in (1, 2)
    assert len(scores.of_run(workbench.database, run_id)) == num_scored
    assert workbench.files.path(last_key(f"runs/{run_id}")).exists()


@pytest.mark.parametrize("wish", ["pause", "leave"])
def test_scoring_of_a_stopped_run_is_ended_by_another_wish(workbench, start, monkeypatch, wish):
    run_id, job, control = start({"epochs": 1000})
    wishes = ["stop"]
    monkeypatch.setattr(type(control), "wish", property(lambda self: wishes[-1]))
    monkeypatch.setattr(
        control, "should_stop", lambda: runs.get(workbench.database, run_id).num_epochs_done > 0
    )

    def second_wish(phase, share):
        if phase == "evaluating":
            wishes.append(wish)

    monkeypatch.setattr(control, "progress", second_wish)
    with pytest.raises(Stopped):
        run_training(workbench, job, control)
    assert len(scores.of_run(workbench.database, run_id)) < 7


def test_progress_of_a_resumed_run_goes_on_from_where_it_was(workbench, start, again, monkeypatch):
    _, job, control = start({"epochs": 8})
    monkeypatch.setattr("engine.jobs.process._REPORT_SECONDS", 0.0)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_epoch(patch, 4)
        run_training(workbench, job, control)
    seen = []
    monkeypatch.setattr(attempts, "set_progress", lambda *call: seen.append(call[3]))
    # As if every epoch had been saved: nothing of what was shown is lost.
    job, control = again(job)
    run_training(workbench, job, control)
    assert job.start_progress > 0.3
    assert min(seen) > 0.02
    assert seen[0] == job.start_progress


def test_new_best_weights_take_the_scores_of_the_old_ones_away(
    workbench, start, again, monkeypatch
):
    run_id, job, control = start({"epochs": 2})
    run_training(workbench, job, control)
    database = workbench.database
    seen = []
    add = epochs.add

    def note(database, run_id, record):
        add(database, run_id, record)
        seen.append((record.is_best, len(scores.of_run(database, run_id))))

    monkeypatch.setattr(epochs, "add", note)
    config = with_changes(runs.get(database, run_id).config, {"epochs": 30})
    attempts.finish(database, job, "completed")
    runs.resume(database, run_id, (config, 0.1))
    job = attempts.claim(database, ["train"], "cpu:0")
    run_training(workbench, job, JobControl(workbench, job))
    assert len(seen) == 28
    first_best = [is_best for is_best, _ in seen].index(True)
    assert {count for _, count in seen[:first_best]} <= {7}
    assert {count for _, count in seen[first_best:]} == {0}
    assert len(scores.of_run(database, run_id)) == 7


@pytest.fixture
def scarce(monkeypatch):
    """`scarce(fits)`: trainings run out of memory unless their settings fit."""

    def scarce(fits):
        tried = []

        def limited(config, data, context):
            tried.append((config.schedule.batch_size, config.optimizer.accumulation))
            if not fits(config):
                raise OutOfMemory("The memory ran out.")
            return train(config, data, context)

        monkeypatch.setattr(training_task, "train", limited)
        return tried

    return scarce


def test_batches_are_halved_until_they_fit_and_the_run_says_so(workbench, start, scarce, caplog):
    run_id, job, control = start({"batch_size": 4})
    tried = scarce(lambda config: config.schedule.batch_size == 1)
    assert run_training(workbench, job, control)[0] == "completed"
    assert tried == [(4, 1), (2, 2), (1, 4)]
    run = runs.get(workbench.database, run_id)
    assert run.adjustments == {"batch_size": 1, "accumulation": 4}
    assert run.config.schedule.batch_size == 4
    assert [each["type"] for each in run.job.incidents] == ["OutOfMemory"] * 2
    assert run.job.incidents[0]["attempt"] == 1
    assert "batches of 2 images in place of 4" in caplog.text


def test_memory_that_runs_out_later_costs_nothing_that_was_saved(workbench, start, monkeypatch):
    run_id, job, control = start({"batch_size": 4, "epochs": 4})
    add = epochs.add

    def add_and_run_out(database, run_id, record):
        add(database, run_id, record)
        if record.epoch == 2 and not runs.get(database, run_id).adjustments:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(epochs, "add", add_and_run_out)
    monkeypatch.setattr(keeping, "_COST_SHARE", 100.0)
    assert run_training(workbench, job, control)[0] == "completed"
    found = epochs.of_run(workbench.database, run_id)
    assert [record.epoch for record in found] == [1, 2, 3, 4]
    assert runs.get(workbench.database, run_id).adjustments["batch_size"] == 2


def test_run_that_fits_in_no_way_fails_with_what_was_tried_and_tries_no_more(
    workbench, start, scarce
):
    run_id, job, control = start({"batch_size": 4})
    tried = scarce(lambda config: False)
    with pytest.raises(OutOfMemory, match=r"tried in turn \(.*batch_size = 1.*precision = bf16"):
        run_training(workbench, job, control)
    assert len(tried) == 4
    assert runs.get(workbench.database, run_id).effective_config.schedule.batch_size == 1
    assert epochs.of_run(workbench.database, run_id) == []


def test_attempt_after_the_kernel_killed_one_begins_with_smaller_batches(
    workbench, start, again, scarce
):
    run_id, job, _ = start({"batch_size": 4})
    tried = scarce(lambda config: True)
    job, control = again(job, error=KILLED)
    run_training(workbench, job, control)
    assert tried == [(2, 2)]
    # What was relieved once is not relieved again, whatever kills the next attempt.
    job, control = again(job)
    run_training(workbench, job, control)
    job, control = again(job, "stopped")
    run_training(workbench, job, control)
    assert tried[1:] == [(2, 2)] * 2
    assert len(runs.get(workbench.database, run_id).job.incidents) == 3


def test_kernel_that_kills_the_smallest_portions_too_does_not_end_the_trying(
    workbench, start, again, scarce
):
    run_id, job, _ = start({"batch_size": 1, "precision": "bf16"})
    scarce(lambda config: True)
    job, control = again(job, error=KILLED)
    assert run_training(workbench, job, control)[0] == "completed"
    assert runs.get(workbench.database, run_id).adjustments == {}


def test_run_that_fails_before_its_first_step_tells_where_it_failed(workbench, start):
    run_id, job, control = start()
    dataset_id = runs.get(workbench.database, run_id).dataset_id
    shutil.rmtree(workbench.files.path(f"datasets/{dataset_id}"))
    with pytest.raises(NotFound, match=r"files of the dataset “.*” are gone"):
        run_training(workbench, job, control)
    environment = runs.get(workbench.database, run_id).environment
    assert environment["python"]
    assert "commit" in environment


@pytest.fixture
def scoring(workbench):
    """`scoring(run_id)`: a job that scores a run once more, and its control."""

    def scoring(run_id):
        jobs.add(workbench.database, "evaluate", {"run": run_id}, actor="ann")
        job = attempts.claim(workbench.database, ["evaluate"], "cpu:0")
        return job, JobControl(workbench, job)

    return scoring


def test_run_is_scored_again_with_the_same_result(workbench, start, scoring):
    run_id, job, control = start()
    run_training(workbench, job, control)
    before = scores.of_run(workbench.database, run_id)
    best_epoch = runs.get(workbench.database, run_id).best_epoch
    ending = run_evaluation(workbench, *scoring(run_id))
    assert ending == ("completed", {"best_epoch": best_epoch})
    assert scores.of_run(workbench.database, run_id) == before


def test_scoring_can_be_stopped(workbench, start, scoring):
    run_id, job, control = start()
    run_training(workbench, job, control)
    job, control = scoring(run_id)
    ask(workbench, job, "stop")
    with pytest.raises(Stopped):
        run_evaluation(workbench, job, control)


def test_run_without_weights_cannot_be_scored(workbench, start, scoring):
    run_id, _, _ = start()
    with pytest.raises(NotFound, match="no best weights"):
        run_evaluation(workbench, *scoring(run_id))


def test_gpu_that_is_not_there_is_told_before_anything_else(workbench, start, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    run_id, job, control = start({"device": "cuda"})
    with pytest.raises(BadSetting, match="Choose “auto” or “cpu”"):
        run_training(workbench, job, control)
    assert not workbench.files.path(f"runs/{run_id}").exists()
