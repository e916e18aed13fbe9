"""Runs and their epoch records."""

import dataclasses

import numpy as np
import pytest

from engine.config import recipe, with_changes
from engine.errors import NotFound, Refused
from engine.events import EpochRecord
from engine.notes import Note
from engine.store import attempts, epochs, jobs, notices, runs, scores
from engine.store.scores import SampleScore

RECORD = EpochRecord(
    epoch=1,
    train_loss=0.1 + 0.2,
    val_loss=1e-12,
    val_dice=0.5,
    val_iou=1 / 3,
    val_class_dice=(1.0, None, 0.25),
    learning_rate=4e-3,
    seconds=12.5,
    images_per_second=99.9,
    is_best=False,
)
MEASURED = dataclasses.replace(
    RECORD,
    val_class_iou=(1.0, None, 1 / 7),
    num_steps=30,
    data_wait_share=0.1 + 0.2,
    # More than fits 32 bits.
    peak_memory_bytes=80 * 2**30,
    gpu_utilization=2 / 3,
)


@pytest.fixture
def run_id(add_dataset, add_run):
    return add_run(add_dataset())


def test_new_run_is_queued_with_its_own_copy_of_everything(database, add_dataset, add_run):
    config = with_changes(recipe("tutorial"), {"epochs": 3, "max_minutes": 0.5})
    split = {"train": [0, 5, 2], "val": [1], "test": []}
    dataset_id = add_dataset("cells")
    run = runs.get(database, add_run(dataset_id, "first", config=config, split=split))
    assert run.config == config
    assert runs.split_of(database, run.id) == split
    assert (run.dataset_id, run.dataset_name) == (dataset_id, "cells")
    assert (run.name, run.actor, run.num_parameters) == ("first", "ann", 1234)
    assert (run.status, run.job.kind, run.job.payload) == ("queued", "train", {"run": run.id})
    assert (run.environment, run.num_epochs_done, run.best_epoch, run.best_val_dice) == (
        None, 0, None, None,
    )  # fmt: skip
    assert (run.adjustments, run.scored_at, run.tags, run.notes, run.archived) == (
        {}, None, (), "", False,
    )  # fmt: skip
    assert run.effective_config == config


def test_status_of_a_run_is_the_status_of_its_job(database, run_id):
    job = attempts.claim(database, ["train"], "cpu")
    assert job.payload == {"run": run_id}
    assert runs.get(database, run_id).status == "running"
    attempts.finish(database, job, "failed", error={"type": "Diverged"})
    run = runs.get(database, run_id)
    assert (run.status, run.job.error) == ("failed", {"type": "Diverged"})


def test_environment_is_known_once_the_run_has_started(database, run_id):
    runs.set_environment(database, run_id, {"device": "CPU", "cuda": None})
    assert runs.get(database, run_id).environment == {"device": "CPU", "cuda": None}


def test_what_was_measured_beforehand_is_known_once_it_was(database, add_dataset, add_run):
    first, second = (add_run(add_dataset()) for _ in range(2))
    assert runs.get(database, first).preflight is None
    runs.set_preflight(database, first, {"seconds_per_step": 1 / 3, "notes": []})
    assert runs.get(database, first).preflight == {"seconds_per_step": 1 / 3, "notes": []}
    assert runs.get(database, second).preflight is None


def test_reasons_are_kept_as_templates_and_facts(database, add_dataset, add_run):
    reasons = {
        "width": Note("{cores} cores.", {"cores": 2}),
        "epochs": Note("Because “{names}”.", {"names": ["细胞"]}),
    }
    dataset_id = add_dataset()
    run_id = add_run(dataset_id, reasons=reasons)
    assert runs.get(database, run_id).reasons == reasons
    assert runs.get(database, add_run(dataset_id)).reasons == {}


def test_run_is_found_by_id_or_by_its_name_newest_first(database, add_dataset, add_run):
    dataset_id = add_dataset()
    old, new = add_run(dataset_id, "mine"), add_run(dataset_id, "mine")
    assert runs.find(database, old).id == old
    assert runs.find(database, "mine").id == new
    assert [run.id for run in runs.all_newest_first(database)] == [new, old]


def test_id_goes_before_a_name_that_looks_like_it(database, add_dataset, add_run):
    dataset_id = add_dataset()
    wanted = add_run(dataset_id, "mine")
    add_run(dataset_id, wanted)
    assert runs.find(database, wanted).name == "mine"


def test_unknown_run_is_not_found(database):
    for search in (runs.get, runs.find, runs.split_of, runs.resume):
        with pytest.raises(NotFound, match="“none”"):
            search(database, "none")


def test_runs_of_a_dataset_are_its_own(database, add_dataset, add_run):
    first, second = add_dataset(), add_dataset()
    mine = [add_run(first), add_run(first)]
    add_run(second)
    assert [run.id for run in runs.of_dataset(database, first)] == mine[::-1]


def test_epoch_records_are_read_back_to_the_last_bit_and_in_order(database, run_id):
    records = [
        dataclasses.replace(record, epoch=epoch)
        for epoch, record in enumerate([RECORD, MEASURED, RECORD], start=1)
    ]
    for record in reversed(records):
        epochs.add(database, run_id, record)
    assert epochs.of_run(database, run_id) == records
    assert runs.get(database, run_id).num_epochs_done == 3


def test_epoch_that_is_recorded_twice_is_what_was_recorded_last(database, run_id):
    epochs.add(database, run_id, RECORD)
    later = dataclasses.replace(RECORD, val_dice=0.125)
    epochs.add(database, run_id, later)
    assert epochs.of_run(database, run_id) == [later]


def test_resumed_run_that_is_cancelled_while_it_waits_is_as_it_had_ended(database, run_id):
    end(database, "completed")
    before = runs.get(database, run_id)
    longer = with_changes(before.config, {"epochs": 99})
    runs.resume(database, run_id, (longer, 0.25))
    jobs.cancel(database, before.job.id, actor="ann")
    after = runs.get(database, run_id)
    assert after.config == before.config
    assert (after.status, after.job.ended_at) == ("completed", before.job.ended_at)
    assert (after.job.progress, after.job.wish) == (before.job.progress, before.job.wish)
    assert (after.job.payload, after.job.incidents) == (before.job.payload, [])
    # Once it has begun there is no way back.
    runs.resume(database, run_id, (longer, 0.25))
    job = attempts.claim(database, ["train"], "cpu")
    assert job.payload == before.job.payload
    attempts.give_back(database, job, {"type": "X", "message": "", "facts": {}}, is_retry=False)
    jobs.cancel(database, job.id, actor="ann")
    assert runs.get(database, run_id).status == "stopped"
    assert runs.get(database, run_id).config == longer


def test_best_epoch_is_the_latest_that_became_best(database, add_dataset, add_run):
    dataset_id = add_dataset()
    first, second = add_run(dataset_id), add_run(dataset_id)
    # Epoch 4 equals epoch 2 in Dice, but its loss was lower: the trainer said so, not the Dice.
    for epoch, val_dice, is_best in [
        (1, 0.2, True), (2, 0.6, True), (3, 0.5, False), (4, 0.6, True), (5, 0.6, False),
    ]:  # fmt: skip
        epochs.add(
            database,
            first,
            dataclasses.replace(RECORD, epoch=epoch, val_dice=val_dice, is_best=is_best),
        )
    epochs.add(database, second, dataclasses.replace(RECORD, is_best=True, val_dice=0.9))
    run = runs.get(database, first)
    assert (run.best_epoch, run.best_val_dice, run.num_epochs_done) == (4, 0.6, 5)
    assert [run.best_epoch for run in runs.all_newest_first(database)] == [1, 4]


def test_settings_that_memory_asked_for_lie_over_the_runs_own(database, add_dataset, add_run):
    config = with_changes(recipe("quick"), {"batch_size": 8})
    run_id, other = (add_run(add_dataset(), config=config) for _ in range(2))
    runs.set_adjustments(database, run_id, {"batch_size": 4, "accumulation": 2})
    run = runs.get(database, run_id)
    assert run.adjustments == {"batch_size": 4, "accumulation": 2}
    assert run.effective_config == with_changes(config, {"batch_size": 4, "accumulation": 2})
    assert run.config == config
    # The newest say is the whole one.
    runs.set_adjustments(database, run_id, {"precision": "bf16"})
    assert runs.get(database, run_id).adjustments == {"precision": "bf16"}
    assert runs.get(database, other).adjustments == {}


def test_run_is_renamed_tagged_noted_and_put_away(database, add_dataset, add_run):
    run_id, other = (add_run(add_dataset()) for _ in range(2))
    runs.describe(database, run_id, name="细胞", tags=["a", "b c"], notes="x\ny", archived=True)
    run = runs.get(database, run_id)
    assert (run.name, run.tags, run.notes, run.archived) == ("细胞", ("a", "b c"), "x\ny", True)
    untouched = runs.get(database, other)
    assert (untouched.name, untouched.tags, untouched.archived) == ("first", (), False)


def test_what_nobody_speaks_of_stays_as_it_is(database, run_id):
    runs.describe(database, run_id, name="n", tags=["t"], notes="x", archived=True)
    before = runs.get(database, run_id)
    runs.describe(database, run_id)
    assert runs.get(database, run_id) == before
    runs.describe(database, run_id, tags=[])
    assert runs.get(database, run_id) == dataclasses.replace(before, tags=())
    runs.describe(database, run_id, notes="", archived=False)
    after = runs.get(database, run_id)
    assert (after.name, after.tags, after.notes, after.archived) == ("n", (), "", False)


def end(database, status="stopped", error=None):
    job = attempts.claim(database, ["train"], "cpu")
    assert attempts.finish(database, job, status, error=error)
    return job


def test_resumed_run_waits_again_with_all_it_has(database, run_id):
    epochs.add(database, run_id, RECORD)
    runs.set_environment(database, run_id, {"device": "CPU"})
    end(database, "failed", {"type": "Diverged", "message": "No.", "facts": {}})
    before = runs.get(database, run_id)
    runs.resume(database, run_id)
    run = runs.get(database, run_id)
    assert (run.status, run.job.id, run.job.error) == ("queued", before.job.id, None)
    assert [incident["type"] for incident in run.job.incidents] == ["Diverged"]
    assert dataclasses.replace(run, job=before.job) == before
    assert epochs.of_run(database, run_id) == [RECORD]


def test_resumed_run_can_be_given_more_to_do(database, run_id):
    config = runs.get(database, run_id).config
    end(database, "completed")
    longer = with_changes(config, {"epochs": config.schedule.epochs + 5})
    runs.resume(database, run_id, (longer, 0.25))
    run = runs.get(database, run_id)
    assert (run.config, run.job.progress) == (longer, 0.25)


@pytest.mark.parametrize("status", ["queued", "running"])
def test_run_that_has_not_ended_is_not_resumed_and_keeps_its_plan(database, run_id, status):
    if status == "running":
        attempts.claim(database, ["train"], "cpu")
    before = runs.get(database, run_id)
    longer = with_changes(before.config, {"epochs": 99})
    with pytest.raises(Refused, match=f"It is {status} already"):
        runs.resume(database, run_id, (longer, 0.25))
    assert runs.get(database, run_id) == before


def test_deleted_run_is_forgotten_with_all_that_hangs_on_it(database, add_dataset, add_run):
    dataset_id = add_dataset()
    gone = add_run(dataset_id)
    notices.queue(database, ["webhook"])
    epochs.add(database, gone, RECORD)
    score = SampleScore(position=0, split="val", tp=(1,), fp=(0,), fn=(0,))
    scores.add(database, gone, [score], [np.zeros((1, 2, 256), np.int64)])
    job = end(database, "completed")
    notices.queue(database, ["webhook"])
    kept = add_run(dataset_id)
    epochs.add(database, kept, RECORD)
    runs.delete(database, gone)
    runs.delete(database, gone)
    with pytest.raises(NotFound):
        runs.get(database, gone)
    with pytest.raises(NotFound):
        jobs.get(database, job.id)
    assert epochs.of_run(database, gone) == scores.of_run(database, gone) == []
    assert notices.take_due(database, ["webhook"], hold_seconds=60) is None
    assert epochs.of_run(database, kept) == [RECORD]
    assert [run.id for run in runs.of_dataset(database, dataset_id)] == [kept]


@pytest.mark.parametrize("status", ["queued", "running"])
def test_run_that_has_not_ended_is_not_deleted(database, run_id, status):
    if status == "running":
        attempts.claim(database, ["train"], "cpu")
    with pytest.raises(Refused, match=f"It is {status}. Stop it first"):
        runs.delete(database, run_id)
    assert runs.get(database, run_id).status == status


def numbered(*numbers, loss=0.5):
    return [dataclasses.replace(MEASURED, epoch=number, train_loss=loss) for number in numbers]


def test_epochs_that_a_training_will_do_again_are_forgotten(database, add_dataset, add_run):
    run_id, other = (add_run(add_dataset()) for _ in range(2))
    for each in (run_id, other):
        for record in numbered(1, 2, 3):
            epochs.add(database, each, record)
    epochs.restore(database, run_id, numbered(1, 2))
    assert epochs.of_run(database, run_id) == numbered(1, 2)
    assert epochs.of_run(database, other) == numbered(1, 2, 3)


def test_epochs_that_were_lost_are_added_and_those_that_are_there_stay(database, run_id):
    epochs.add(database, run_id, RECORD)
    epochs.restore(database, run_id, numbered(1, 2, 3))
    assert epochs.of_run(database, run_id) == [RECORD, *numbered(2, 3)]
    epochs.restore(database, run_id, numbered(1, 2, 3, loss=0.1))
    assert epochs.of_run(database, run_id) == [RECORD, *numbered(2, 3)]


def test_training_that_begins_anew_begins_without_epochs(database, run_id):
    epochs.restore(database, run_id, [])
    assert epochs.of_run(database, run_id) == []
    for record in numbered(1, 2):
        epochs.add(database, run_id, record)
    epochs.restore(database, run_id, [])
    assert epochs.of_run(database, run_id) == []


def test_run_whose_epochs_were_never_best_has_no_best_epoch(database, run_id):
    epochs.add(database, run_id, RECORD)
    run = runs.get(database, run_id)
    assert (run.num_epochs_done, run.best_epoch, run.best_val_dice) == (1, None, None)
