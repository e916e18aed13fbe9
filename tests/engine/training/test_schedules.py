"""The learning rate over a training, and its early end."""

import json

import pytest
import torch
from torch.optim import lr_scheduler

from engine.config import OptimizerConfig, ScheduleConfig
from engine.config.rates import preview, rate_at, virtual_epochs
from engine.training.schedules import EarlyStopping, Schedule

EPOCHS = 20
TWENTY = ScheduleConfig(epochs=EPOCHS)
ALL = ("constant", "step", "exponential", "cosine", "one_cycle", "plateau")


def config_of(name: str, **settings: float) -> OptimizerConfig:
    return OptimizerConfig(learning_rate=0.1, lr_schedule=name, **settings)


def rates_of_torch(make, num_steps: int) -> list[float]:
    """Learning rates of a scheduler of torch, before each step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = make(optimizer)
    rates = []
    for _step in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_constant_rate_does_not_move():
    assert {rate for _epoch, rate in preview(config_of("constant"), TWENTY)} == {0.1}


@pytest.mark.parametrize("num_epochs", [7, 29, 100])
def test_step_decays_exactly_at_the_epochs_it_names(num_epochs):
    schedule = ScheduleConfig(epochs=num_epochs)
    config = config_of("step", lr_decay=0.5, lr_decay_epochs=3)
    expected = rates_of_torch(lambda o: lr_scheduler.StepLR(o, 3, 0.5), num_epochs)
    seen = [rate_at(config, schedule, epoch / num_epochs) for epoch in range(num_epochs)]
    assert seen == pytest.approx(expected)


def test_exponential_decays_all_the_time_and_by_its_factor_in_its_epochs():
    config = config_of("exponential", lr_decay=0.9, lr_decay_epochs=1)
    expected = rates_of_torch(lambda o: lr_scheduler.ExponentialLR(o, 0.9), EPOCHS)
    seen = [rate_at(config, TWENTY, epoch / EPOCHS) for epoch in range(EPOCHS)]
    assert seen == pytest.approx(expected)
    assert seen[1] < rate_at(config, TWENTY, 0.5 / EPOCHS) < seen[0]


def test_cosine_without_warm_up_is_that_of_torch():
    config = config_of("cosine", warmup_share=0)
    expected = rates_of_torch(lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS), EPOCHS + 1)
    seen = [rate_at(config, TWENTY, epoch / EPOCHS) for epoch in range(EPOCHS + 1)]
    assert seen == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("progress", "expected"), [(0, 0.001), (0.1, 0.05), (0.2, 0.1), (0.6, 0.05), (1, 0.0)]
)
def test_cosine_warms_up_from_almost_nothing_and_falls_to_nothing(progress, expected):
    config = config_of("cosine", warmup_share=0.2)
    assert rate_at(config, TWENTY, progress) == pytest.approx(expected, abs=1e-12)


def test_one_cycle_is_that_of_torch_between_the_same_ends():
    num_steps = 10_000
    expected = rates_of_torch(
        lambda o: lr_scheduler.OneCycleLR(
            o, 0.1, total_steps=num_steps, pct_start=0.3, div_factor=25, final_div_factor=400,
            cycle_momentum=False,
        ),
        num_steps - 1,
    )  # fmt: skip
    config = config_of("one_cycle")
    seen = [rate_at(config, TWENTY, step / num_steps) for step in range(num_steps - 1)]
    assert seen == pytest.approx(expected, abs=1e-4)
    assert seen[0] == pytest.approx(0.1 / 25)
    assert max(seen) == pytest.approx(0.1)
    assert rate_at(config, TWENTY, 1) == pytest.approx(0.1 / 1e4)


@pytest.mark.parametrize("name", ALL)
def test_rate_is_above_zero_at_every_step_and_never_above_the_peak(name):
    config = config_of(name)
    rates = [rate_at(config, TWENTY, step / 1000) for step in range(1000)]
    assert all(0 < rate <= 0.1 for rate in rates)


@pytest.mark.parametrize("name", ALL)
def test_schedule_is_the_one_previewed_at_any_length(name):
    config = config_of(name)
    points = preview(config, TWENTY, 21)
    schedule = Schedule(config, TWENTY)
    assert [epoch for epoch, _rate in points] == pytest.approx(list(range(21)))
    assert [rate for _epoch, rate in points] == [schedule.rate(index / 20) for index in range(21)]


def test_budget_of_minutes_stretches_the_schedule_as_a_whole():
    config = config_of("step", lr_decay_epochs=10)
    budgeted = ScheduleConfig(epochs=EPOCHS, max_minutes=7)
    assert preview(config, budgeted) == preview(config, TWENTY)
    assert virtual_epochs(budgeted, 0.25) == 5


SCORES = [0.1, 0.3, 0.2, 0.3, 0.1, 0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("wait", [1, 2, 3])
def test_plateau_lowers_the_rate_when_that_of_torch_does(wait):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    # Its patience is the number of validations that it forgives.
    reference = lr_scheduler.ReduceLROnPlateau(
        optimizer, "max", factor=0.5, patience=wait - 1, threshold=0
    )
    schedule = Schedule(config_of("plateau", lr_decay=0.5, lr_decay_epochs=wait), TWENTY)
    for epoch, score in enumerate(SCORES):
        reference.step(score)
        schedule.note_validation((epoch + 1) / EPOCHS, score)
        rate = schedule.rate((epoch + 1) / EPOCHS)
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"]), epoch
    assert rate < 0.1


@pytest.mark.parametrize("name", [name for name in ALL if name != "plateau"])
def test_validation_moves_no_other_schedule(name):
    schedule = Schedule(config_of(name, lr_decay_epochs=1), TWENTY)
    before = schedule.rate(0.5)
    for epoch in range(10):
        schedule.note_validation(epoch / EPOCHS, 0.0)
    assert schedule.rate(0.5) == before


def test_plateau_goes_on_where_it_was():
    config = config_of("plateau", lr_decay=0.5, lr_decay_epochs=3)
    whole, first = Schedule(config, TWENTY), Schedule(config, TWENTY)
    for epoch, score in enumerate(SCORES[:8]):
        whole.note_validation(epoch / EPOCHS, score)
        first.note_validation(epoch / EPOCHS, score)
    second = Schedule(config, TWENTY)
    second.restore(json.loads(json.dumps(first.state())))
    assert second.rate(0.5) == whole.rate(0.5) < 0.1
    for epoch, score in enumerate(SCORES[8:], 8):
        whole.note_validation(epoch / EPOCHS, score)
        second.note_validation(epoch / EPOCHS, score)
        assert second.rate(0.5) == whole.rate(0.5)


def ended_at(stopping: EarlyStopping, scores: list[float], num_epochs: int) -> int | None:
    """The epoch after which the training ends."""
    noted = (
        epoch for epoch, score in enumerate(scores, 1) if stopping.note(epoch / num_epochs, score)
    )
    return next(noted, None)


def test_training_ends_when_it_has_not_improved_for_so_many_epochs():
    stopping = EarlyStopping(ScheduleConfig(epochs=EPOCHS, early_stop_epochs=3))
    assert ended_at(stopping, [0.1, 0.2, 0.2, 0.1, 0.3, 0.3, 0.3, 0.3, 0.9], EPOCHS) == 8


def test_training_that_improves_now_and_then_does_not_end():
    stopping = EarlyStopping(ScheduleConfig(epochs=EPOCHS, early_stop_epochs=2))
    assert ended_at(stopping, [0.1, 0.1, 0.2, 0.1, 0.3, 0.2, 0.4], EPOCHS) is None


def test_without_early_stopping_nothing_ends():
    stopping = EarlyStopping(ScheduleConfig(epochs=EPOCHS))
    assert ended_at(stopping, [0.5] + [0.0] * 19, EPOCHS) is None


@pytest.mark.parametrize("num_epochs", [7, 10, 29, 100])
def test_patience_loses_no_epoch_to_rounding(num_epochs):
    stopping = EarlyStopping(ScheduleConfig(epochs=num_epochs, early_stop_epochs=5))
    assert ended_at(stopping, [0.5, *[0.0] * (num_epochs - 1)], num_epochs) == 6


def test_early_stopping_goes_on_where_it_was():
    schedule = ScheduleConfig(epochs=EPOCHS, early_stop_epochs=3)
    first = EarlyStopping(schedule)
    assert ended_at(first, [0.5, 0.1, 0.1], EPOCHS) is None
    second = EarlyStopping(schedule)
    second.restore(json.loads(json.dumps(first.state())))
    assert second.note(4 / EPOCHS, 0.5)
    assert not EarlyStopping(schedule).note(4 / EPOCHS, 0.5)
