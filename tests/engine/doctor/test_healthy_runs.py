"""A run that does well is left in peace."""

from itertools import product

import pytest

from engine.doctor import diagnose
from tests.engine.doctor.curves import case, learned

HARD = list(product((10, 30, 100), (2.0, 6.0), (0.02, 0.1), (0.02, 0.3, 0.7)))
"""Number of epochs, pace, noise of the loss, and what of the loss remains."""


def keys(*found):
    return {diagnosis.key for each in found for diagnosis in diagnose(each)}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("recipe", ["quick", "tutorial", "paper", "auto"])
def test_healthy_run_gets_no_warning_whatever_its_pace_and_noise(seed, recipe):
    found = keys(
        *(
            case(*learned(num, seed=seed, pace=pace, noise=noise, floor=floor), recipe=recipe)
            for num, pace, noise, floor in HARD
        )
    )
    assert found <= {"still_improving"}


@pytest.mark.parametrize("seed", range(8))
def test_healthy_live_run_gets_no_word_at_any_epoch(seed):
    losses, dices = learned(30, seed=seed, pace=8)
    lives = [
        case(losses[:num], dices[:num], status="running", changes={"epochs": 30})
        for num in range(31)
    ]
    assert keys(*lives) == set()


def test_run_that_is_good_from_its_first_epoch_is_not_said_to_stand_still():
    dices = [0.93, 0.94, 0.935, 0.94, 0.938, 0.941, 0.94, 0.939, 0.94, 0.94, 0.941, 0.94]
    assert keys(case([0.05] * 12, dices)) == set()


def test_training_that_has_arrived_is_not_said_to_improve():
    assert keys(*(case(*learned(60, seed=seed, pace=6)) for seed in range(20))) == set()


def test_late_start_is_waited_for_while_a_run_goes_on():
    """A plain network may see nothing but background for a third of its training."""
    losses, dices = learned(30, delay=10, pace=4, start=0.7, floor=0.2)
    lives = [
        case(losses[:num], dices[:num], status="running", changes={"epochs": 30})
        for num in range(1, 31)
    ]
    assert keys(*lives) == set()


def test_warm_up_is_not_taken_for_a_rate_that_is_too_low():
    losses = [0.70, 0.699, 0.697, 0.694, 0.690, 0.684, 0.676, 0.668, 0.66, 0.65]
    options = {"lr_schedule": "one_cycle", "learning_rate": 1e-3, "epochs": 40}
    live = case(losses, [0.1] * 10, status="running", changes=options)
    assert keys(live) == set()


def test_run_of_which_nothing_is_known_yet_gets_no_word():
    assert keys(case(status="queued"), case(status="running")) == set()
    assert keys(case([0.9], [0.1], status="running")) == set()


def test_run_that_was_stopped_early_is_not_said_to_improve():
    losses, dices = learned(10, pace=20, dice_noise=0.002)
    stopped = case(losses, dices, status="stopped", changes={"epochs": 40})
    ended_early = case(losses, dices, changes={"epochs": 40})
    assert keys(stopped, ended_early) == set()
    assert keys(case(losses, dices)) == {"still_improving"}
