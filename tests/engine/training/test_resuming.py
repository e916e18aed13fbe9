"""A training that was interrupted goes on as if it had not been, and learns what it was not told
before: to go on for longer, or in smaller portions."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from engine.config import recipe, with_changes
from engine.errors import BadData
from engine.events import EpochDone, Started, StepDone
from engine.models.compute import Compute
from engine.models.registry import build_model
from engine.models.weights import load_weights, read_info
from engine.run_files import best_key, last_key, older_best_key, previous_key
from engine.training import keeping, trainer
from engine.training.augment import Batch
from engine.training.checkpoint import load_state
from engine.training.learner import Learner
from engine.training.losses import make_loss
from engine.training.windows import HostWindows
from tests.engine.training.conftest import SIZE, TINY, stop_after

EVERYTHING = {
    "width": 4,
    "num_levels": 2,
    "image_size_px": SIZE,
    "normalization": "group",
    "dropout": 0.2,
    "epochs": 4,
    "batch_size": 2,
    "accumulation": 2,
    "learning_rate": 0.01,
    "lr_schedule": "plateau",
    "lr_decay_epochs": 1.0,
    "ema_decay": 0.9,
    "clip_norm": 1.0,
    "augment": "strong",
    "early_stop_epochs": 50,
    "deterministic": True,
    "precision": "fp32",
    "device": "cpu",
}
"""Seven samples in batches of two, two batches a step: two steps an epoch."""

MEASURED = ("seconds", "images_per_second", "data_wait_share", "peak_memory_bytes")


class Killed(BaseException):
    """Stands for SIGKILL: nothing is done any more."""


def kill_after(kind, count):
    """Dies when the training says something of a kind for the n-th time."""
    said = []

    def on_event(event):
        said.extend([event] * isinstance(event, kind))
        if len(said) == count:
            raise Killed

    return on_event


@pytest.fixture
def save_every_step(monkeypatch):
    monkeypatch.setattr(keeping, "_WITHIN_EPOCH_SECONDS", 0.0)
    monkeypatch.setattr(keeping, "_COST_SHARE", math.inf)


@pytest.fixture
def save_seldom(monkeypatch):
    """At the first epoch's end, and not again before the training's."""
    monkeypatch.setattr(keeping, "_COST_SHARE", 0.0)


def numbers(records):
    """All of some records that is not measured."""
    return [{k: v for k, v in asdict(each).items() if k not in MEASURED} for each in records]


def assert_same_end(trained, folder, whole, whole_folder):
    """The same state to the bit, and the same best weights."""
    states = [
        load_state(each.files.path(last_key(name)))
        for each, name in ((trained, folder), (whole, whole_folder))
    ]
    assert_equal(states[0]["learner"], states[1]["learner"])
    for name in ("schedule", "stopping", "sampler", "generator", "torch_generators"):
        assert_equal(states[0][name], states[1][name])
    assert_equal(*(state["standing"] for state in states))
    best = [
        load_weights(each.files.path(best_key(name)), torch.device("cpu"))
        for each, name in ((trained, folder), (whole, whole_folder))
    ]
    assert best[0][1] == best[1][1]
    assert_equal(best[0][0].state_dict(), best[1][0].state_dict())
    assert not trained.files.path(older_best_key(folder)).exists()


def assert_equal(one, other):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_equal(*pair)
    else:
        assert one == other


@pytest.mark.parametrize("num_steps", [1, 2, 3, 5], ids="stopped after step {}".format)
def test_resumed_training_equals_the_uninterrupted_one_to_the_bit(run_training, num_steps):
    whole = run_training(EVERYTHING, folder="runs/whole")
    part = run_training(EVERYTHING, stop_after(num_steps), folder="runs/parts")
    assert part.result.stopped
    rest = run_training(EVERYTHING, folder="runs/parts")
    assert numbers(part.records + rest.records) == numbers(whole.records)
    assert_same_end(rest, "runs/parts", whole, "runs/whole")


@pytest.mark.parametrize("num_steps", [1, 6], ids="killed after step {}".format)
def test_killed_training_goes_on_from_the_middle_of_the_epoch_as_if_nothing_had_been(
    run_training, save_every_step, num_steps
):
    whole = run_training(EVERYTHING, folder="runs/whole")
    with pytest.raises(Killed):
        # The event comes before the step is saved: one more is lost, and trained again.
        run_training(EVERYTHING, folder="runs/parts", on_event=kill_after(StepDone, num_steps + 1))
    rest = run_training(EVERYTHING, folder="runs/parts")
    num_again = len([event for event in rest.events if isinstance(event, StepDone)])
    assert num_again == 8 - num_steps
    started = rest.events[0]
    assert started.resumed_from == num_steps // 2
    assert numbers([*started.records, *rest.records]) == numbers(whole.records)
    assert_same_end(rest, "runs/parts", whole, "runs/whole")


def test_epochs_that_no_state_knows_are_trained_again_and_come_out_the_same(
    run_training, save_seldom
):
    whole = run_training(EVERYTHING, folder="runs/whole")
    with pytest.raises(Killed):
        run_training(EVERYTHING, folder="runs/parts", on_event=kill_after(EpochDone, 3))
    rest = run_training(EVERYTHING, folder="runs/parts")
    assert rest.events[0].resumed_from == 1
    assert [record.epoch for record in rest.records] == [2, 3, 4]
    assert numbers([*rest.events[0].records, *rest.records]) == numbers(whole.records)
    assert_same_end(rest, "runs/parts", whole, "runs/whole")


def test_best_weights_are_those_of_the_newest_state_and_not_of_an_epoch_that_was_lost(
    run_training, save_seldom
):
    learning = {"epochs": 12, "normalization": "group"}
    with pytest.raises(Killed):
        run_training(learning, on_event=kill_after(EpochDone, 8))
    rest = run_training(learning, stop_after(1))
    seen = read_info(rest.files.path(best_key("runs/a")))
    known = rest.events[0].records
    assert (seen.epoch, seen.val_dice) == (1, known[0].val_dice)
    assert rest.result.best_epoch == 1


def test_state_is_saved_after_the_first_epoch_and_at_the_end_however_seldom(
    run_training, save_seldom
):
    seen = []

    def look(event):
        if isinstance(event, EpochDone):
            seen.append(load_state(path)["standing"]["epoch"])

    path = run_training({"epochs": 1}, folder="runs/b").files.path(last_key("runs/a"))
    run_training({"epochs": 4}, on_event=look)
    assert seen == [1, 1, 1, 4]


def test_training_that_was_never_saved_begins_anew(run_training):
    with pytest.raises(Killed):
        run_training(on_event=kill_after(StepDone, 1))
    again = run_training()
    assert (again.events[0].resumed_from, again.events[0].records) == (0, ())
    assert again.losses() == run_training(folder="runs/b").losses()


@pytest.mark.parametrize("damaged", ["last", "missing"])
def test_training_goes_on_from_the_previous_state_and_says_so(
    run_training, save_every_step, damaged
):
    whole = run_training(EVERYTHING, folder="runs/whole")
    last = run_training(EVERYTHING, stop_after(5)).files.path(last_key("runs/a"))
    if damaged == "last":
        last.write_bytes(b"damaged")
    else:
        last.unlink()
    rest = run_training(EVERYTHING)
    assert "previous" in str(rest.events[0].notes[0])
    assert numbers([*rest.events[0].records, *rest.records]) == numbers(whole.records)
    assert_same_end(rest, "runs/a", whole, "runs/whole")


def test_sound_previous_state_is_not_given_up_for_a_damaged_last_one(run_training, save_every_step):
    part = run_training(EVERYTHING, stop_after(5))
    last, previous = (part.files.path(key("runs/a")) for key in (last_key, previous_key))
    sound = previous.read_bytes()
    last.write_bytes(b"damaged")
    run_training(EVERYTHING, stop_after(1))
    assert previous.read_bytes() == sound
    assert load_state(last)["standing"]["epoch"] == 2


@pytest.mark.parametrize("changes", [{"epochs": 2}, {"max_minutes": 1e-5}])
def test_training_that_is_over_goes_straight_to_its_result(run_training, monkeypatch, changes):
    first = run_training(changes)

    def never(*_, **__):
        raise AssertionError("it was prepared once more")

    monkeypatch.setattr(trainer, "prepare", never)
    again = run_training(changes)
    assert again.result == first.result
    assert [type(event) for event in again.events] == [Started]
    assert list(again.events[0].records) == first.records


STILL = {"optimizer": "sgd", "learning_rate": 1e-30, "normalization": "none"}
"""No step changes anything, so that no epoch is better than the first."""


def test_early_end_stays_one_and_is_waited_for_anew_in_a_longer_training(run_training):
    patient = {**STILL, "early_stop_epochs": 3}
    assert run_training({**patient, "epochs": 40}).result.num_epochs == 4
    assert run_training({**patient, "epochs": 40}).records == []
    longer = run_training({**patient, "epochs": 41})
    # It takes an epoch to see how good it is, and three in which it does not get better.
    assert [record.epoch for record in longer.records] == [5, 6, 7, 8]


def test_early_end_comes_when_it_would_have_come_without_the_interruption(run_training):
    patient = {**STILL, "early_stop_epochs": 3, "epochs": 40}
    run_training(patient, stop_after(5))
    assert run_training(patient).result.num_epochs == 4


def test_finished_training_is_trained_further_on_a_schedule_stretched_to_its_new_end(run_training):
    cosine = {"lr_schedule": "cosine", "warmup_share": 0.0}
    first = run_training({**cosine, "epochs": 2})
    longer = run_training({**cosine, "epochs": 6})
    whole = run_training({**cosine, "epochs": 6}, folder="runs/b")
    assert list(longer.events[0].records) == first.records
    assert [record.epoch for record in longer.records] == [3, 4, 5, 6]
    rates = [record.learning_rate for record in longer.records]
    assert rates == pytest.approx([record.learning_rate for record in whole.records[2:]])
    assert longer.result.num_epochs == 6


def test_plateau_is_waited_for_from_where_a_longer_time_budget_begins(run_training):
    plateau = {**STILL, "lr_schedule": "plateau", "lr_decay_epochs": 1e4, "epochs": 100}
    run_training({**plateau, "max_minutes": 1e-5})
    longer = run_training({**plateau, "max_minutes": 0.5 / 60})
    assert len(longer.records) > 1
    # Nothing has become better, but nobody has waited for long enough.
    assert {record.learning_rate for record in longer.records} == {1e-30}


@pytest.mark.parametrize("changes", [{"seed": 1}, {"width": 8}, {"learning_rate": 0.5}])
def test_resuming_with_other_settings_is_refused_by_name(run_training, changes):
    run_training()
    with pytest.raises(BadData, match="other settings") as refused:
        run_training(changes)
    assert f"({next(iter(changes))})" in str(refused.value)


def test_size_of_resized_images_may_not_change(run_training):
    run_training()
    with pytest.raises(BadData, match="image_size_px"):
        run_training({"image_size_px": SIZE // 2})


@pytest.fixture
def seen(monkeypatch):
    """Positions of the samples that windows are cut from, in order."""
    positions = []
    cut = HostWindows.cut

    def noted(self, places, *sizes):
        positions.extend(place.position for place in places)
        return cut(self, places, *sizes)

    monkeypatch.setattr(HostWindows, "cut", noted)
    return positions


def trained_on(positions):
    """Of all windows, those of training samples; one batch is cut in advance to measure with."""
    return [position for position in positions if position < 7]


@pytest.mark.parametrize(("batch_size", "accumulation"), [(1, 4), (2, 2), (3, 1), (7, 1)])
def test_smaller_batches_go_on_with_the_images_that_the_epoch_has_left(
    run_training, seen, batch_size, accumulation
):
    run_training({"batch_size": 4}, stop_after(1))
    first = trained_on(seen)[4:]
    seen.clear()
    rest = run_training({"batch_size": batch_size, "accumulation": accumulation, "epochs": 1})
    second = trained_on(seen)[min(batch_size, 7) :]
    assert len(first) == 4
    assert sorted(first + second) == list(range(7))
    assert rest.records[0].epoch == 1
    assert np.isfinite(rest.losses()).all()


def test_epoch_begins_again_with_patches_of_another_size(run_training, seen):
    patches = {"view": "patches", "batch_size": 4}
    run_training({**patches, "image_size_px": 32}, stop_after(1))
    seen.clear()
    rest = run_training({**patches, "image_size_px": 16, "epochs": 1})
    assert sorted(trained_on(seen)[4:]) == list(range(7))
    assert rest.records[0].num_steps == 2


def test_precision_may_change_between_two_parts(run_training):
    run_training({"precision": "fp32"}, stop_after(3))
    rest = run_training({"precision": "bf16"})
    assert rest.result.compute.precision == torch.bfloat16
    assert [record.epoch for record in rest.records] == [2, 3]


def test_resumed_training_measures_nothing_anew(run_training):
    part = run_training({"precision": "auto"}, stop_after(1))
    chosen = load_state(part.files.path(last_key("runs/a")))["compute"]
    rest = run_training({"precision": "auto"})
    assert rest.result.num_epochs == 3
    again = load_state(rest.files.path(last_key("runs/a")))["compute"]
    assert again == chosen
    assert chosen["compiled"] == "off"


def learner_in(precision):
    config = with_changes(recipe("quick"), TINY)
    torch.manual_seed(0)
    model = build_model(config, 1, 2)
    return Learner(
        config, model, make_loss(config.loss, None), Compute(torch.device("cpu"), precision)
    )


def steps(learner, count):
    torch.manual_seed(1)
    batch = Batch(torch.rand(2, 1, SIZE, SIZE), torch.ones(2, SIZE, SIZE, dtype=torch.long), None)
    return [learner.learn([batch], 2, 0.01).item() for _ in range(count)]


def test_scale_of_half_precision_gradients_goes_on_where_it_was():
    whole, part = learner_in(torch.float16), learner_in(torch.float16)
    for learner in (whole, part):
        learner.scaler.load_state_dict(learner.scaler.state_dict() | {"scale": 8.0})
    expected = steps(whole, 4)
    begun = steps(part, 2)
    other = learner_in(torch.float16)
    assert other.scaler.get_scale() != part.scaler.get_scale()
    other.restore(part.state())
    assert begun + steps(other, 2) == expected
    assert other.scaler.state_dict() == whole.scaler.state_dict()


@pytest.mark.parametrize(
    ("before", "after"), [(torch.float16, torch.float32), (torch.float32, torch.float16)]
)
def test_learner_goes_on_in_another_precision(before, after):
    first, second = learner_in(before), learner_in(after)
    steps(first, 1)
    second.restore(first.state())
    assert_equal(second.model.state_dict(), first.model.state_dict())
    assert np.isfinite(steps(second, 2)).all()


def test_state_of_format_2_is_gone_on_from_though_it_holds_no_records(run_training):
    whole = run_training(EVERYTHING, folder="runs/whole")
    part = run_training(EVERYTHING, stop_after(3))
    path = part.files.path(last_key("runs/a"))
    state = load_state(path)
    del state["records"]
    del state["standing"]["is_over"]
    state["standing"]["num_batches"] = 2
    torch.save(state | {"format": 2}, path)
    rest = run_training(EVERYTHING)
    assert (rest.events[0].resumed_from, rest.events[0].records) == (1, None)
    assert numbers(part.records + rest.records) == numbers(whole.records)
    # Nor can what is saved from then on hold all of them.
    assert load_state(path)["records"] is None


def test_saving_costs_no_more_than_its_share_of_the_time(monkeypatch, tmp_path):
    now = [0.0]
    monkeypatch.setattr(keeping.time, "monotonic", lambda: now[0])

    def slow(*_, **__):
        now[0] += 2.0

    monkeypatch.setattr(keeping, "save_last", slow)
    keeper = keeping.Keeper(trainer.Files(tmp_path), "runs/a")
    assert keeper.is_due() and not keeper.is_due(within_epoch=True)
    keeper.keep_state({})
    now[0] += 39
    assert not keeper.is_due()
    now[0] += 1
    assert keeper.is_due() and not keeper.is_due(within_epoch=True)
    now[0] += 140
    assert keeper.is_due(within_epoch=True)
