"""The loop: it learns, it is reproducible, it stops, it tells when it diverges."""

import dataclasses
import time

import numpy as np
import pytest
import torch

from engine.config import recipe, with_changes
from engine.errors import Diverged
from engine.events import EpochDone
from engine.files import Files
from engine.models.compute import Compute
from engine.models.weights import load_weights
from engine.store.datasets import ClassEntry
from engine.training.checkpoint import best_key, last_key, load_state
from engine.training.trainer import TrainingContext, TrainingData, train

SIZE = 32
TINY = {
    "width": 4,
    "num_levels": 2,
    "image_size_px": SIZE,
    "epochs": 3,
    "batch_size": 4,
    "learning_rate": 0.01,
    "precision": "fp32",
}


@pytest.fixture
def data():
    """Bright squares on a dark ground: learnable in seconds."""
    rng = np.random.default_rng(0)
    masks = np.zeros((10, SIZE, SIZE), np.uint8)
    for mask in masks:
        top, left = rng.integers(2, 14, 2)
        mask[top : top + 14, left : left + 14] = 1
    images = (60 + 120 * masks + rng.integers(0, 40, masks.shape)).astype(np.uint8)[..., None]
    classes = [
        ClassEntry(index=i, name=str(i), color="#000000", background=i == 0, source_value=i)
        for i in range(2)
    ]
    return TrainingData(
        images_NHWC=images, masks_NHW=masks, train=range(7), val=range(7, 10), classes=classes
    )


@pytest.fixture
def run_training(data, tmp_path):
    def run(changes=None, should_stop=lambda: False, data=data, folder="runs/a"):
        config = with_changes(recipe("quick"), TINY | (changes or {}))
        events = []
        context = TrainingContext(
            compute=Compute(torch.device("cpu"), torch.float32),
            files=Files(tmp_path),
            run_folder=folder,
            emit=events.append,
            should_stop=should_stop,
        )
        result = train(config, data, context)
        records = [event.record for event in events if isinstance(event, EpochDone)]
        return result, records, context.files

    return run


def test_network_learns_bright_squares(run_training):
    result, records, _ = run_training({"epochs": 20, "normalization": "group"})
    assert result.num_epochs == 20
    assert records[-1].train_loss < records[0].train_loss * 0.7
    assert records[-1].val_dice > 0.9
    assert not result.stopped


def test_same_seed_gives_the_same_curve_to_the_bit(run_training):
    first = [record.train_loss for record in run_training()[1]]
    again = [record.train_loss for record in run_training(folder="runs/b")[1]]
    other = [record.train_loss for record in run_training({"seed": 1}, folder="runs/c")[1]]
    assert first == again
    assert first != other


def test_best_checkpoint_is_the_epoch_with_the_highest_dice(run_training):
    result, records, files = run_training({"epochs": 6})
    best = [record for record in records if record.is_best][-1]
    assert best.val_dice == max(record.val_dice for record in records)
    _, info = load_weights(files.path(best_key("runs/a")), torch.device("cpu"))
    assert (info.epoch, info.val_dice) == (best.epoch, best.val_dice)
    assert result.best_epoch == best.epoch


def test_last_checkpoint_holds_the_whole_state(run_training):
    _, records, files = run_training()
    state = load_state(files.path(last_key("runs/a")))
    assert state["epoch"] == len(records)
    assert set(state) >= {"model", "optimizer", "generator", "config"}


def test_stop_ends_after_the_current_step_and_keeps_the_state(run_training):
    asked = []

    def stop_at_third_question():
        asked.append(1)
        return len(asked) >= 3

    result, records, files = run_training({"epochs": 50}, stop_at_third_question)
    # Seven samples in batches of four are two steps an epoch: the third step is in epoch 2.
    assert result.stopped
    assert len(records) == 1
    assert len(asked) == 3
    assert load_state(files.path(last_key("runs/a")))["epoch"] == 1


def test_time_budget_replaces_the_number_of_epochs(run_training):
    started_at = time.monotonic()
    _, records, _ = run_training({"max_minutes": 2 / 60, "epochs": 1})
    assert len(records) > 1
    assert 2 <= time.monotonic() - started_at < 20
    assert records[-1].learning_rate < max(record.learning_rate for record in records)


def test_diverging_loss_ends_with_a_sentence_that_says_what_to_do(run_training):
    with pytest.raises(Diverged, match="Try a tenth of it"):
        # A decay of 1 at a rate of 10 multiplies every weight by -9 at each step.
        run_training({"optimizer": "sgd", "learning_rate": 10, "weight_decay": 1, "epochs": 60})


def test_validation_counts_every_image(run_training, data):
    # Five images in batches of four leave a last batch of one: dropping it would drop its image.
    def first_loss(val):
        part = dataclasses.replace(data, train=range(5), val=val)
        _, records, _ = run_training({"epochs": 1, "loss": "cross_entropy"}, data=part)
        return records[0].val_loss

    each = [first_loss([position]) for position in range(5, 10)]
    assert first_loss(range(5, 10)) == pytest.approx(sum(each) / 5, rel=1e-5)
    assert len(set(each)) == 5


def test_several_classes_and_ignored_pixels_train(run_training, data):
    masks = data.masks_NHW.copy()
    masks[:, :4] = 2
    masks[:, -2:] = 255
    classes = [
        ClassEntry(index=i, name=str(i), color="#000000", background=i == 0, source_value=i)
        for i in range(3)
    ]
    _, records, _ = run_training(data=dataclasses.replace(data, masks_NHW=masks, classes=classes))
    assert len(records[-1].val_class_dice) == 3
    assert np.isfinite(records[-1].val_loss)
