"""The loop: it learns, it is reproducible, it stops, it tells when it diverges."""

import dataclasses
import time
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn

from engine.config import recipe, with_changes
from engine.errors import Diverged
from engine.events import BatchValidated, EpochDone, Started, StepDone
from engine.models.registry import build_model
from engine.models.weights import load_weights
from engine.run_files import best_key, last_key
from engine.scores.counts import count
from engine.scores.rules import image_dice
from engine.training.checkpoint import load_state
from engine.training.data import TrainingData
from engine.training.sampling import TrainingSampler
from tests.engine.training.conftest import (
    SIZE,
    TINY,
    arrays_from,
    class_table,
    squares,
    stop_after,
)


def test_network_learns_bright_squares(run_training):
    trained = run_training({"epochs": 20, "normalization": "group"})
    assert trained.result.num_epochs == 20
    assert trained.losses()[-1] < trained.losses()[0] * 0.7
    assert trained.records[-1].val_dice > 0.9
    assert not trained.result.stopped


def test_same_seed_gives_the_same_curve_to_the_bit(run_training):
    first = run_training().losses()
    again = run_training(folder="runs/b").losses()
    other = run_training({"seed": 1}, folder="runs/c").losses()
    assert first == again
    assert first != other


def test_best_checkpoint_is_the_epoch_with_the_highest_dice(run_training):
    trained = run_training({"epochs": 6})
    best = [record for record in trained.records if record.is_best][-1]
    assert best.val_dice == max(record.val_dice for record in trained.records)
    _, info = load_weights(trained.files.path(best_key("runs/a")), torch.device("cpu"))
    assert (info.epoch, info.val_dice) == (best.epoch, best.val_dice)
    assert trained.result.best_epoch == best.epoch


def test_stop_ends_after_the_current_step_and_keeps_the_state(run_training):
    # Seven samples in batches of four are two steps an epoch: the third step is in epoch 2.
    trained = run_training({"epochs": 50}, stop_after(3))
    assert trained.result.stopped
    assert len(trained.records) == 1
    assert len([event for event in trained.events if isinstance(event, StepDone)]) == 3
    state = load_state(trained.files.path(last_key("runs/a")))
    assert state["standing"]["epoch"] == 1
    assert state["standing"]["num_images"] == 4


def test_accumulated_batches_make_the_step_of_a_large_one(run_training):
    plain = {"normalization": "none", "augment": "none", "loss": "cross_entropy", "epochs": 2}
    large = run_training({**plain, "batch_size": 6}, folder="runs/large")
    small = run_training({**plain, "batch_size": 2, "accumulation": 3}, folder="runs/small")
    assert small.losses() == pytest.approx(large.losses(), rel=1e-5)
    assert small.records[0].num_steps == large.records[0].num_steps == 2
    alone = run_training({**plain, "batch_size": 2}, folder="runs/alone")
    assert alone.losses() != pytest.approx(large.losses(), rel=1e-3)


def test_time_budget_replaces_the_number_of_epochs(run_training):
    started_at = time.monotonic()
    trained = run_training({"max_minutes": 2 / 60, "epochs": 1})
    assert len(trained.records) > 1
    assert 2 <= time.monotonic() - started_at < 20
    rates = [record.learning_rate for record in trained.records]
    assert rates[-1] < max(rates)


def test_validation_that_no_longer_improves_ends_the_training(run_training):
    # Without a step that changes anything, the second epoch cannot be better than the first.
    still = {"optimizer": "sgd", "learning_rate": 1e-30, "epochs": 40, "normalization": "none"}
    assert run_training({**still, "early_stop_epochs": 3}).result.num_epochs == 4
    assert run_training({**still, "epochs": 6}, folder="runs/b").result.num_epochs == 6


def test_budget_that_measuring_used_up_still_leaves_an_epoch(run_training):
    trained = run_training({"max_minutes": 1e-6})
    assert trained.result.num_epochs == 1
    assert trained.files.path(best_key("runs/a")).exists()


def test_diverging_loss_ends_with_a_sentence_that_says_what_to_do(run_training):
    with pytest.raises(Diverged, match="Try a tenth of the learning rate") as raised:
        # A decay of 1 at a rate of 10 multiplies every weight by -9 at each step.
        run_training({"optimizer": "sgd", "learning_rate": 10, "weight_decay": 1, "epochs": 60})
    assert raised.value.facts["rate"] > 1
    assert raised.value.facts["precision"] == "fp32"


def test_validation_counts_every_image(run_training, data):
    # Five images in batches of four leave a last batch of one: dropping it would drop its image.
    def first_loss(val):
        part = dataclasses.replace(data, train=range(5), val=val)
        changes, folder = {"epochs": 1, "loss": "cross_entropy"}, f"runs/{val}"
        trained = run_training(changes, data=part, folder=folder)
        return trained.records[0].val_loss

    each = [first_loss([position]) for position in range(5, 10)]
    assert first_loss(range(5, 10)) == pytest.approx(sum(each) / 5, rel=1e-5)
    assert len(set(each)) == 5


def test_patches_validate_whole_images_pixel_by_pixel(run_training):
    """A network that sees one pixel at a time scores the same in patches as in one piece."""
    images, masks = squares(6, 40)
    data = dataclasses.replace(_data(images, masks), train=range(4), val=range(4, 6))
    pointwise = {"kernel_size": 1, "upsampling": "nearest", "normalization": "none"}
    patches = {"epochs": 1, "augment": "none", "view": "patches", "image_size_px": 16}
    trained = run_training({**pointwise, **patches}, data=data)
    model, _ = load_weights(trained.files.path(best_key("runs/a")), torch.device("cpu"))
    with torch.inference_mode():
        pixels = torch.from_numpy(images[4:]).permute(0, 3, 1, 2).float() / 255
        # Pooling looks at four pixels, whose places are the same in both.
        found = (model(pixels)[:, 0].sigmoid() >= 0.5).numpy()
    counts = [count(t, f.astype(np.uint8), 2) for t, f in zip(masks[4:], found, strict=True)]
    whole = np.mean([image_dice(each, data.classes) for each in counts])
    assert trained.records[0].val_dice == pytest.approx(whole, abs=1e-6)


def _data(images, masks, num_classes=2):
    arrays, classes = arrays_from(images, masks), class_table(num_classes)
    return TrainingData(arrays=arrays, train=range(7), val=range(7, 10), classes=classes)


def test_several_classes_and_ignored_pixels_train(run_training):
    images, masks = squares()
    masks[:, :4] = 2
    masks[:, -2:] = 255
    data = _data(images, masks, 3)
    record = run_training(data=data).records[-1]
    assert len(record.val_class_dice) == len(record.val_class_iou) == 3
    assert np.isfinite(record.val_loss)


def test_class_without_a_pixel_has_no_score_and_does_no_harm(run_training):
    images, masks = squares()
    data = _data(images, masks, 3)
    record = run_training({"class_weighting": "balanced"}, data=data).records[-1]
    assert np.isfinite(record.train_loss)
    assert record.val_class_dice[1] is not None


def test_dataset_smaller_than_a_batch_trains_on_what_there_is(run_training, data):
    small = dataclasses.replace(data, train=range(2), val=range(7, 8))
    trained = run_training({"batch_size": 64, "epochs": 2}, data=small)
    assert [record.num_steps for record in trained.records] == [1, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"padding": "none", "image_size_px": 44, "num_levels": 3},
        {"view": "patches", "image_size_px": 16, "foreground_share": 0.5, "passes_per_epoch": 2},
        {"view": "patches", "padding": "none", "image_size_px": 44, "border_weight": 10.0},
        {"deep_supervision": True, "num_levels": 3},
        {"attention": True, "residual": True, "intensity": "standardized"},
        {"optimizer": "rmsprop", "loss": "tversky", "lr_schedule": "one_cycle"},
        {"loss": "focal", "class_weighting": "balanced", "lr_schedule": "exponential"},
        {"loss": "lovasz", "optimizer": "sgd", "lr_schedule": "step"},
        {"precision": "bf16"},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_techniques_train_together(run_training, data, changes):
    images, masks = squares()
    borders = np.full(masks.shape, 7, np.uint8)
    data = dataclasses.replace(data, arrays=arrays_from(images, masks, borders))
    trained = run_training({**changes, "augment": "strong"}, data=data)
    assert all(np.isfinite(trained.losses()))
    assert len(trained.records) == 3


def test_measuring_beforehand_leaves_the_training_as_it_was(run_training):
    """`precision` auto measures on copies; where it ends in fp32 the curve is that of fp32."""
    exact = run_training({"dropout": 0.3})
    measured = run_training({"dropout": 0.3, "precision": "auto"}, folder="runs/b")
    if measured.events[0].facts["speed"]["precision"] != "float32":
        pytest.skip("this machine computes faster in bfloat16")
    assert measured.losses() == exact.losses()


def test_training_says_beforehand_what_it_will_cost(run_training):
    started = run_training().events[0]
    assert isinstance(started, Started)
    speed = started.facts["speed"]
    assert speed["steps_per_epoch"] == 2
    assert speed["total_seconds"] == pytest.approx(6 * speed["seconds_per_step"])
    assert speed["fits"] and 0 < speed["memory_bytes"] < speed["free_bytes"]
    assert started.facts["environment"]["precision"] == "float32"
    assert not started.notes


def test_training_starts_from_the_weights_of_another_run(run_training):
    taught = run_training({"epochs": 12, "normalization": "group"})
    best = taught.files.path(best_key("runs/a"))
    still = {
        "normalization": "group",
        "learning_rate": 1e-9,
        "epochs": 1,
        "lr_schedule": "constant",
    }
    fresh = run_training(still, folder="runs/b")
    tuned = run_training(still, folder="runs/c", start_from=best)
    assert tuned.records[0].val_dice == pytest.approx(
        max(record.val_dice for record in taught.records), abs=0.02
    )
    assert tuned.records[0].val_loss < fresh.records[0].val_loss
    assert tuned.events[0].notes


def test_tutorial_learns_like_the_plain_loop(run_training, data):
    """The same weights, batches and losses as a loop written plainly from the tutorial."""
    changes = {
        "num_levels": 2, "width": 4, "image_size_px": SIZE, "color": "dataset", "epochs": 2,
        "precision": "fp32", "device": "cpu", "learning_rate": 1e-3,
    }  # fmt: skip
    config = with_changes(recipe("tutorial"), changes)
    trained = run_training(config=config)

    torch.manual_seed(config.schedule.seed)
    model = build_model(config, 1, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images, masks = squares()
    order = _drawn_order(config, data)
    losses = []
    for epoch in order:
        total = 0.0
        for batch in epoch:
            x = torch.from_numpy(images[batch]).permute(0, 3, 1, 2).float() / 255
            y = torch.from_numpy(masks[batch]).float()
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / 7)
    assert trained.losses() == pytest.approx(losses, rel=1e-4)


def _drawn_order(config, data):
    sampler = TrainingSampler(data.arrays, data.train, data.background(), config)
    epochs = [sampler.epoch() for _ in range(2)]
    positions = [[[place.position for place in batch] for batch in epoch] for epoch in epochs]
    assert sorted(chain.from_iterable(positions[0])) == list(range(7))
    return positions


GOLDEN = [0.5583377, 0.5005510, 0.4447243]
"""Training losses of `quick`, tiny, at seed 0: a change of the engine that is only a change of its
structure leaves them as they are."""


def test_golden_loss_curve(run_training):
    trained = run_training({**TINY, "normalization": "group", "augment": "medium"})
    assert trained.losses() == pytest.approx(GOLDEN, rel=2e-3)


def test_events_come_in_order(run_training):
    trained = run_training({"epochs": 2})
    kinds = [type(event) for event in trained.events]
    epoch = [StepDone, StepDone, BatchValidated, EpochDone]
    assert kinds == [Started, *epoch, *epoch]
