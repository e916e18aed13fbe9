"""What the curves of a training that goes wrong are taken for, and what is offered."""

import pytest

from engine.doctor import diagnose
from tests.engine.doctor.curves import case, counts, falling, learned


def only(a_case):
    """The one diagnosis of a case."""
    (diagnosis,) = diagnose(a_case)
    return diagnosis


def changes(diagnosis):
    return [dict(remedy.changes) for remedy in diagnosis.remedies]


def test_loss_that_rises_is_a_rate_that_is_too_high():
    losses = [0.7, 0.9, 1.3, 1.2, 1.5, 1.4, 1.6, 1.5]
    found = only(case(losses, [0.2, 0.1, 0.05, 0.1, 0.0, 0.1, 0.05, 0.1]))
    assert (found.key, found.severity) == ("rate_too_high", "warning")
    assert "from 0.7 in the first epoch to 1.5" in str(found.saw)
    assert "0.004" in str(found.cause)
    assert changes(found) == [{"learning_rate": 4e-4}, {"clip_norm": 1.0}]


def test_loss_that_keeps_jumping_is_a_rate_that_is_too_high():
    losses = [1.0, 0.6, 0.4, 1.1, 0.5, 0.4, 0.35, 1.2, 0.5, 0.4, 0.35, 1.3]
    dices = [0.2, 0.5, 0.6, 0.1, 0.5, 0.6, 0.65, 0.1, 0.5, 0.6, 0.6, 0.1]
    found = only(case(losses, dices))
    assert found.key == "rate_too_high"
    assert "3 times, the last time in epoch 12, from 0.35 to 1.3" in str(found.saw)


def test_jumps_of_the_first_half_that_a_run_recovered_from_are_no_matter():
    losses = [1.0, 0.6, 1.1, 0.5, 1.2, 0.5, 1.1, *falling(0.4, 0.1, 20)]
    dices = [0.2, 0.4, 0.1, 0.5, 0.1, 0.5, 0.1, *[0.85] * 20]
    assert diagnose(case(losses, dices)) == []


def test_rate_far_above_the_usual_with_which_nothing_is_learned_is_too_high():
    found = only(case([4.3, 0.9, 0.6, 0.6, 0.6, 0.6], [0.0] * 6, changes={"learning_rate": 5.0}))
    assert found.key == "rate_too_high"
    assert "above 0.02 are unusual" in str(found.saw)
    assert changes(found)[0] == {"learning_rate": 1e-3}


def test_unusual_rate_that_works_is_nobodys_business():
    assert diagnose(case(*learned(20, pace=3), changes={"learning_rate": 0.05})) == []


def test_clipping_that_is_tighter_already_is_not_offered():
    losses = [0.7, 0.9, 1.3, 1.2, 1.5, 1.4, 1.6, 1.5]
    found = only(case(losses, [0.1] * 8, changes={"clip_norm": 0.5}))
    assert changes(found) == [{"learning_rate": 4e-4}]


@pytest.mark.parametrize(
    "options, rate",
    [
        ({"learning_rate": 1e-7}, 1e-3),
        ({"learning_rate": 9e-6}, 9e-5),
        ({"optimizer": "sgd", "momentum": 0.9, "learning_rate": 1e-6}, 0.01),
    ],
)
def test_loss_that_hardly_falls_at_a_tiny_rate_is_a_rate_that_is_too_low(options, rate):
    found = only(case(falling(0.72, 0.70, 12), [0.21] * 12, changes=options))
    assert found.key == "rate_too_low"
    assert "fallen by 2.5%, from 0.72 to 0.702" in str(found.saw)
    assert changes(found) == [{"learning_rate": rate}]


def test_plain_network_that_falls_steadily_but_slowly_is_offered_normalisation_too():
    slow = case(falling(0.70, 0.66, 12), [0.2] * 12, recipe="tutorial", steps=20)
    found = only(slow)
    assert found.key == "rate_too_low"
    assert changes(found) == [{"learning_rate": 1e-3}, {"normalization": "batch"}]


def test_few_steps_are_not_blamed_on_the_rate():
    found = only(case(falling(0.70, 0.66, 12), [0.2] * 12, recipe="tutorial", steps=2))
    assert found.key == "too_short"
    assert "24 steps in all" in str(found.saw)
    # 400 steps take 200 epochs.
    assert [remedy.more for remedy in found.remedies] == [192]


def test_run_that_scored_well_is_not_said_to_have_learned_nothing():
    """The one image that validates may be a hard one."""
    options = {"steps": 2, "counts": counts((900, 9, 9), (90, 9, 9))}
    assert diagnose(case(falling(0.70, 0.40, 8), [0.2] * 8, **options)) == []


def test_steps_that_were_not_counted_are_not_said_to_be_few():
    uncounted = case(falling(0.70, 0.66, 12), [0.2] * 12, recipe="tutorial", steps=None)
    assert only(uncounted).key == "rate_too_low"


def test_training_that_stands_still_is_told_to_look_at_the_data_first():
    noisy = [0.69, 0.70, 0.68, 0.70, 0.69, 0.70, 0.68, 0.69, 0.70, 0.69, 0.68, 0.70]
    found = only(case(noisy, [0.21, 0.2, 0.22, 0.2, 0.21, 0.2, 0.21, 0.2, 0.22, 0.2, 0.21, 0.2]))
    assert found.key == "no_improvement"
    assert "around 0.207 for 12 epochs" in str(found.saw)
    assert "do they belong together" in str(found.cause)
    assert {"learning_rate": 4e-4} in changes(found)
    assert {"loss": "dice_cross_entropy"} not in changes(found)  # it has that


def test_training_that_is_learned_by_heart_from_the_start_is_not_blamed_on_the_rate():
    found = only(case(falling(0.7, 0.02, 20), [0.2, 0.21] * 10, val_loss=falling(0.7, 2.0, 20)))
    assert found.key == "no_improvement"
    assert "does not hold for the validation images" in str(found.cause)
    assert all("learning_rate" not in each for each in changes(found))


def overfitted(**options):
    dices = [*learned(10, pace=3, dice_noise=0.0)[1], *falling(0.86, 0.78, 20)]
    later = [*falling(0.8, 0.3, 10), *falling(0.3, 0.7, 20)]
    return case(falling(0.9, 0.01, 30), dices, val_loss=later, **options)


def test_best_epoch_long_ago_and_a_growing_validation_loss_are_overfitting():
    found = only(overfitted())
    assert (found.key, found.severity) == ("overfitting", "note")
    assert "Since epoch 10" in str(found.saw) and "its 40 training images" in str(found.cause)
    assert [str(remedy.label) for remedy in found.remedies] == [
        "medium augmentation", "weight decay 0.001",
    ]  # fmt: skip
    assert found.remedies[0].changes["rotation_degrees"] == 20
    assert "flips" not in found.remedies[0].changes  # it has them


def test_augmentation_that_is_strong_already_is_not_made_stronger():
    found = only(overfitted(recipe="paper"))
    assert [str(remedy.label) for remedy in found.remedies] == ["weight decay 0.001"]


def test_validation_loss_that_grows_while_the_dice_does_too_is_no_overfitting():
    losses, dices = falling(0.9, 0.01, 30), learned(30, pace=6, dice_noise=0.003)[1]
    grows = case(losses, dices, val_loss=[*falling(0.8, 0.3, 10), *falling(0.3, 0.7, 20)])
    assert diagnose(grows) == []


def test_run_that_ended_while_it_improved_is_trained_further_and_not_cloned():
    found = only(case(*learned(10, pace=15, dice_noise=0.004)))
    assert (found.key, found.severity) == ("still_improving", "note")
    (remedy,) = found.remedies
    assert remedy.more == 5 and not remedy.changes
    assert str(remedy.label) == "5 more epochs"


def test_run_with_a_time_budget_is_given_minutes():
    budget = {"max_minutes": 9.0, "epochs": 500}
    (remedy,) = only(case(*learned(10, pace=15, dice_noise=0.004), changes=budget)).remedies
    assert remedy.more == 5
    assert str(remedy.label) == "5 more minutes"


def test_run_that_improves_but_has_nothing_left_to_gain_is_let_end():
    dices = [0.97 + 0.002 * epoch for epoch in range(10)]
    assert diagnose(case(falling(0.1, 0.05, 10), dices)) == []
