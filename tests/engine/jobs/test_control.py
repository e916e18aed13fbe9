"""Wishes about runs and jobs that are there."""

import numpy as np
import pytest

from engine.config import recipe, with_changes
from engine.errors import BadInput, BadSetting, NotFound, ProcessDied, Refused
from engine.events import EpochRecord
from engine.files import Files
from engine.jobs import control
from engine.jobs.control import (
    cancel_job,
    delete_run,
    describe_run,
    last_scoring,
    move_job,
    resume_run,
    run_next,
    score_run,
    stop_job,
    stop_run,
)
from engine.jobs.logs import log_key
from engine.jobs.queue import submit_training
from engine.store import attempts, epochs, jobs, runs, scores
from engine.store.scores import SampleScore

CONFIG = with_changes(recipe("quick"), {"width": 4, "num_levels": 2, "image_size_px": 16})
DIED = ProcessDied("It ended: {cause}.", cause="killed").to_record()


@pytest.fixture
def add_run(workbench, add_dataset):
    """`add_run(status, num_epochs=3)`: a run in this state with the files it would have."""
    dataset_id = add_dataset()

    def add_run(status="completed", num_epochs=3, name=None, has_state=True, **changes):
        config = with_changes(CONFIG, {"epochs": 10} | changes)
        run_id = submit_training(workbench, dataset_id, config, name=name, actor="ann")
        if status == "queued":
            return run_id
        job = attempts.claim(workbench.database, ["train"], "cpu")
        assert job is not None and job.payload["run"] == run_id
        for number in range(1, num_epochs + 1):
            epochs.add(workbench.database, run_id, record(number))
        for file_name in ["best.safetensors"] + ["last.pt"] * has_state if num_epochs else []:
            write(workbench, f"runs/{run_id}/checkpoints/{file_name}")
        if status == "paused":
            stop_run(workbench, run_id, wish="pause", actor="ann")
        if status != "running":
            ended = "stopped" if status == "paused" else status
            error = DIED if status == "failed" else None
            attempts.finish(workbench.database, job, ended, error=error)
        return run_id

    return add_run


def record(epoch):
    return EpochRecord(
        epoch=epoch, train_loss=1, val_loss=1, val_dice=0.5, val_iou=0.5, val_class_dice=(0.5, 0.5),
        learning_rate=1e-3, seconds=1, images_per_second=1, is_best=True,
    )  # fmt: skip


def write(workbench, key):
    with workbench.files.writing(key) as path:
        path.write_bytes(b"content")


def run_of(workbench, run_id):
    return runs.get(workbench.database, run_id)


@pytest.fixture
def asked(monkeypatch):
    """How often it was made sure of a worker."""
    found = []
    monkeypatch.setattr(control, "ensure_worker", found.append)
    return found


@pytest.mark.parametrize("wish", ["stop", "pause"])
def test_queued_run_is_stopped_at_once_and_an_ended_one_not_again(workbench, add_run, wish):
    run_id = add_run("queued")
    stop_run(workbench, run_id, wish=wish, actor="bob")
    job = run_of(workbench, run_id).job
    assert (job.status, job.is_paused) == ("stopped", wish == "pause")
    with pytest.raises(Refused, match="already stopped"):
        stop_run(workbench, run_id, actor="bob")
    with pytest.raises(NotFound):
        stop_run(workbench, "none", actor="bob")


def test_running_run_is_asked_and_a_worker_made_sure_of(workbench, add_run, asked):
    run_id = add_run("running")
    stop_run(workbench, run_id, actor="bob")
    assert (run_of(workbench, run_id).status, run_of(workbench, run_id).job.wish) == (
        "running",
        "stop",
    )
    # A run whose process died unseen would otherwise be “stopping” for ever.
    assert asked == [workbench]
    # Who waits for the scoring may do without it after all.
    stop_run(workbench, run_id, wish="pause", actor="bob")
    assert run_of(workbench, run_id).job.wish == "pause"


@pytest.mark.parametrize("status", ["paused", "stopped", "failed"])
def test_ended_run_goes_on_with_its_own_plan(workbench, add_run, asked, status):
    run_id = add_run(status)
    asked.clear()
    resume_run(workbench, run_id, actor="bob")
    run = run_of(workbench, run_id)
    assert (run.status, run.job.wish, run.job.error) == ("queued", None, None)
    assert run.config.schedule.epochs == 10
    assert run.num_epochs_done == 3
    assert asked == [workbench]
    assert [each["type"] for each in run.job.incidents] == ["ProcessDied"] * (status == "failed")


def test_run_that_ended_before_its_first_epoch_begins_again_without_a_state(workbench, add_run):
    run_id = add_run("failed", num_epochs=0)
    resume_run(workbench, run_id, actor="bob")
    assert run_of(workbench, run_id).status == "queued"


@pytest.mark.parametrize(
    ("status", "total"), [("completed", 3 + 5), ("stopped", 10 + 5), ("failed", 10 + 5)]
)
def test_more_epochs_come_after_those_of_a_completed_run_and_after_the_plan_of_another(
    workbench, add_run, status, total
):
    run_id = add_run(status)
    resume_run(workbench, run_id, more=5, actor="bob")
    run = run_of(workbench, run_id)
    assert (run.status, run.config.schedule.epochs) == ("queued", total)
    assert run.config == with_changes(CONFIG, {"epochs": total})


def test_more_minutes_prolong_a_time_budget(workbench, add_run):
    run_id = add_run("completed", max_minutes=5)
    resume_run(workbench, run_id, more=2.5, actor="bob")
    schedule = run_of(workbench, run_id).config.schedule
    assert (schedule.max_minutes, schedule.epochs) == (7.5, 10)


@pytest.mark.parametrize("more", [-1, 0.5, float("nan"), float("inf")])
def test_more_that_is_no_number_of_epochs_is_refused(workbench, add_run, more):
    run_id = add_run("completed")
    with pytest.raises(BadInput, match="Give a whole number"):
        resume_run(workbench, run_id, more=more, actor="bob")
    assert run_of(workbench, run_id).status == "completed"


def test_more_than_a_plan_can_have_is_refused(workbench, add_run):
    run_id = add_run("completed")
    with pytest.raises(BadSetting, match=r"\(epochs\)"):
        resume_run(workbench, run_id, more=10**6, actor="bob")
    timed = add_run("completed", max_minutes=5)
    with pytest.raises(BadInput, match="-1 more minutes"):
        resume_run(workbench, timed, more=-1, actor="bob")
    assert run_of(workbench, timed).config.schedule.max_minutes == 5


def test_completed_run_is_not_trained_further_by_accident(workbench, add_run):
    run_id = add_run("completed", name="mine")
    with pytest.raises(Refused, match="Say how many more epochs"):
        resume_run(workbench, run_id, actor="bob")
    assert run_of(workbench, run_id).status == "completed"


@pytest.mark.parametrize("status", ["queued", "running"])
def test_live_run_is_not_resumed(workbench, add_run, asked, status):
    run_id = add_run(status)
    with pytest.raises(Refused, match=f"is {status} already; there is nothing to resume"):
        resume_run(workbench, run_id, more=1, actor="bob")
    assert run_of(workbench, run_id).config.schedule.epochs == 10
    assert asked == []


def test_run_without_its_training_state_is_not_begun_again_unawares(workbench, add_run):
    run_id = add_run("stopped", has_state=False)
    with pytest.raises(Refused, match=r"training state was removed.*start_from"):
        resume_run(workbench, run_id, actor="bob")
    assert (run_of(workbench, run_id).status, run_of(workbench, run_id).num_epochs_done) == (
        "stopped",
        3,
    )


def test_scoring_is_a_job_of_its_own_and_only_one_at_a_time(workbench, add_run, asked):
    run_id = add_run("stopped")
    assert last_scoring(workbench, run_id) is None
    job_id = score_run(workbench, run_id, actor="bob")
    job = jobs.get(workbench.database, job_id)
    assert (job.kind, job.payload, job.actor) == ("evaluate", {"run": run_id}, "bob")
    assert asked == [workbench]
    for wish in (score_run, resume_run, delete_run):
        with pytest.raises(Refused, match="are being scored"):
            wish(workbench, run_id, actor="bob")
    assert last_scoring(workbench, run_id).id == job_id
    cancel_job(workbench, job_id, actor="bob")
    again = score_run(workbench, run_id, actor="bob")
    assert last_scoring(workbench, run_id).id == again
    assert run_of(workbench, run_id).status == "stopped"


@pytest.mark.parametrize(
    ("status", "num_epochs", "reason"),
    [
        ("running", 3, "is running. Its images can be scored when it has ended"),
        ("stopped", 0, "has no best weights"),
    ],
)
def test_run_that_cannot_be_scored_says_why(workbench, add_run, status, num_epochs, reason):
    run_id = add_run(status, num_epochs)
    with pytest.raises(Refused, match=reason):
        score_run(workbench, run_id, actor="bob")
    assert jobs.newest(workbench.database, "evaluate", 9) == []


def test_run_whose_best_weights_are_gone_is_not_scored(workbench, add_run):
    run_id = add_run()
    workbench.files.remove(f"runs/{run_id}/checkpoints/best.safetensors")
    with pytest.raises(Refused, match="has no best weights"):
        score_run(workbench, run_id, actor="bob")


def test_run_is_described_in_part_or_whole(workbench, add_run):
    run_id = add_run(name="old")
    describe_run(workbench, run_id, tags=[" a ", "b", "a", " ", "x" * 50], actor="bob")
    run = run_of(workbench, run_id)
    assert (run.name, run.tags, run.notes) == ("old", ("a", "b", "x" * 40), "")
    describe_run(workbench, run_id, name=" new ", notes="n", archived=True, actor="bob")
    run = run_of(workbench, run_id)
    assert (run.name, run.tags, run.notes, run.archived) == ("new", ("a", "b", "x" * 40), "n", True)
    describe_run(workbench, run_id, archived=False, actor="bob")
    assert not run_of(workbench, run_id).archived


@pytest.mark.parametrize(("name", "reason"), [("  ", "empty"), ("x" * 201, "201 characters")])
def test_run_keeps_its_name_when_the_new_one_cannot_be_used(workbench, add_run, name, reason):
    run_id = add_run(name="old")
    with pytest.raises(BadInput, match=reason):
        describe_run(workbench, run_id, name=name, notes="lost", actor="bob")
    assert (run_of(workbench, run_id).name, run_of(workbench, run_id).notes) == ("old", "")
    with pytest.raises(NotFound):
        describe_run(workbench, "none", name="new", actor="bob")


def test_run_at_work_is_not_put_out_of_sight(workbench, add_run):
    run_id = add_run("running")
    with pytest.raises(Refused, match="can be archived when it has ended"):
        describe_run(workbench, run_id, archived=True, actor="bob")
    assert not run_of(workbench, run_id).archived


def test_deleted_run_leaves_nothing(workbench, add_run):
    run_id, other = add_run(), add_run()
    empty = np.zeros((2, 2, 256), dtype=np.int64)
    score = SampleScore(position=0, split="test", tp=(1, 1), fp=(0, 0), fn=(0, 0))
    scores.add(workbench.database, run_id, [score], [empty])
    scoring = score_run(workbench, run_id, actor="bob")
    stop_job(workbench, scoring, actor="bob")
    job_id = run_of(workbench, run_id).job.id
    for each in (job_id, scoring):
        write(workbench, log_key(each))
    delete_run(workbench, run_id, actor="bob")
    with pytest.raises(NotFound):
        run_of(workbench, run_id)
    for each in (job_id, scoring):
        with pytest.raises(NotFound):
            jobs.get(workbench.database, each)
        assert not workbench.files.path(log_key(each)).exists()
    assert not workbench.files.path(f"runs/{run_id}").exists()
    assert scores.of_run(workbench.database, run_id) == []
    assert workbench.files.path(f"runs/{other}/checkpoints/last.pt").exists()
    with pytest.raises(NotFound):
        delete_run(workbench, run_id, actor="bob")


@pytest.mark.parametrize("status", ["queued", "running"])
def test_live_run_is_not_deleted(workbench, add_run, status):
    run_id = add_run(status)
    write(workbench, f"runs/{run_id}/file")
    with pytest.raises(Refused, match="Stop it first"):
        delete_run(workbench, run_id, actor="bob")
    assert workbench.files.path(f"runs/{run_id}/file").exists()
    assert run_of(workbench, run_id).status == status


def test_run_that_another_one_is_about_to_start_from_is_not_deleted(workbench, add_run):
    first = add_run(name="first")
    second = add_run("queued", name="second", start_from=first)
    with pytest.raises(Refused, match="“second” starts from “first” and is queued"):
        delete_run(workbench, first, actor="bob")
    stop_run(workbench, second, actor="bob")
    delete_run(workbench, first, actor="bob")
    # What has started from it keeps what it learnt, and says where it came from.
    assert run_of(workbench, second).config.model.start_from == first


def test_deletion_that_is_killed_half_way_leaves_no_half_run(workbench, add_run, monkeypatch):
    run_id = add_run()

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Files, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            delete_run(workbench, run_id, actor="bob")
    # The rows are gone: files without a row are swept.
    with pytest.raises(NotFound):
        run_of(workbench, run_id)
    assert workbench.files.path(f"runs/{run_id}").exists()


def test_files_that_cannot_be_removed_do_not_bring_the_run_back(workbench, add_run, monkeypatch):
    run_id = add_run()

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(Files, "remove", refuse)
    delete_run(workbench, run_id, actor="bob")
    assert runs.all_newest_first(workbench.database) == []


def test_only_what_waits_is_cancelled(workbench, add_run):
    running, waiting = (
        run_of(workbench, add_run(status)).job.id for status in ("running", "queued")
    )
    cancel_job(workbench, waiting, actor="bob")
    assert jobs.get(workbench.database, waiting).status == "stopped"
    with pytest.raises(Refused, match="It is running and not waiting any more"):
        cancel_job(workbench, running, actor="bob")
    with pytest.raises(Refused, match="It is stopped and not waiting any more"):
        cancel_job(workbench, waiting, actor="bob")
    assert jobs.get(workbench.database, running).wish is None


def test_waiting_jobs_change_their_order(workbench, add_run, asked):
    first, second, third = (run_of(workbench, add_run("queued")).job.id for _ in range(3))

    def order():
        return [job.id for job in jobs.queue(workbench.database)]

    run_next(workbench, third, actor="bob")
    assert order() == [third, first, second]
    move_job(workbench, third, earlier=False, actor="bob")
    assert order() == [first, third, second]
    move_job(workbench, second, earlier=True, actor="bob")
    assert order() == [first, second, third]
    assert asked == [workbench] * 3
    stop_job(workbench, first, actor="bob")
    for wish in (lambda: run_next(workbench, first, actor="bob"),
                 lambda: move_job(workbench, first, earlier=True, actor="bob")):  # fmt: skip
        with pytest.raises(Refused, match="stopped and not waiting any more"):
            wish()
