"""Runs and their epoch records."""

import dataclasses

import pytest

from engine.config import recipe, with_changes
from engine.errors import NotFound
from engine.events import EpochRecord
from engine.notes import Note
from engine.store import epochs, jobs, runs

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


def test_status_of_a_run_is_the_status_of_its_job(database, run_id):
    job = jobs.claim(database, "train")
    assert job.payload == {"run": run_id}
    assert runs.get(database, run_id).status == "running"
    jobs.finish(database, job.id, "failed", error={"type": "Diverged"})
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
    for search in (runs.get, runs.find, runs.split_of):
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


def test_epoch_is_recorded_once(database, run_id):
    epochs.add(database, run_id, RECORD)
    with pytest.raises(Exception, match="UNIQUE"):
        epochs.add(database, run_id, RECORD)


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


def test_run_whose_epochs_were_never_best_has_no_best_epoch(database, run_id):
    epochs.add(database, run_id, RECORD)
    run = runs.get(database, run_id)
    assert (run.num_epochs_done, run.best_epoch, run.best_val_dice) == (1, None, None)
