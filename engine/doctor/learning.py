"""Trainings that do not learn, or not as they could: what the curves say.

Each rule waits for enough epochs, and while a run goes on for more than when it has ended.
"""

import math
import statistics
from itertools import pairwise

from engine.config import TrainConfig
from engine.doctor import curves, remedies
from engine.doctor.case import Case, Diagnosis, Remedy
from engine.notes import Note

_FEW_EPOCHS, _SOME_EPOCHS, _MANY_EPOCHS = 6, 8, 10
_FEWEST_LATE = 3
_RISE = 0.1
_JUMP_OF_PROGRESS, _JUMP_OF_LOSS = 0.3, 0.5
"""A loss jumps where one epoch takes back so much of all that was gained, and adds so much."""
_FEW_JUMPS, _JUMP_SHARE = 3, 0.1
_SMALL_FALL, _STEADY_SHARE = 0.15, 0.8
_ENOUGH_STEPS = 400
_MUCH_LEARNED, _LITTLE_LEARNED = 0.5, 0.8
"""Shares of the first loss: below the one much was learned, above the other next to nothing."""
_SMALL_GAIN, _SMALL_LOSS = 0.02, 0.01
_LONG_AGO_SHARE = 0.3
_LOSS_GROWTH, _LOSS_FALL = 1.15, 0.9
_LEFT_DICE = 0.02


def rate_too_high(case: Case) -> Diagnosis | None:
    """The loss rises, or jumps, or nothing is learned at a rate that is far above the usual."""
    losses, rate = curves.losses(case), case.config.optimizer.learning_rate
    if len(losses) < (_MANY_EPOCHS if case.is_live else _FEW_EPOCHS):
        return None
    saw = _unusual_rate(case) or (_rising_or_jumping(case) if len(losses) >= _SOME_EPOCHS else None)
    if saw is None:
        return None
    return Diagnosis(
        key="rate_too_high",
        severity="warning",
        saw=saw,
        cause=Note(
            "The learning rate, {rate:g} at its peak, is too high: steps overshoot what they aim "
            "at. A lower one, or a limit to the length of a step, keeps them in check.",
            {"rate": rate},
        ),
        remedies=remedies.chosen(remedies.lower_rate(case), remedies.clipping(case)),
    )


def _unusual_rate(case: Case) -> Note | None:
    _lowest, _middle, highest = remedies.usual_rates(case.config)
    if case.config.optimizer.learning_rate <= highest or not curves.never_was_good(case):
        return None
    return Note(
        "With this optimiser, learning rates above {highest:g} are unusual; the validation Dice "
        "is {dice:.3f} at best.",
        {"highest": highest, "dice": max(curves.dices(case))},
    )


def _rising_or_jumping(case: Case) -> Note | None:
    losses = curves.losses(case)
    if not curves.is_poor(case):
        return None
    risen = curves.level(losses) - losses[0]
    if risen > max(_RISE * losses[0], 3 * curves.noise(losses)):
        return Note(
            "The training loss has risen from {first:.3g} in the first epoch to {last:.3g}.",
            {"first": losses[0], "last": curves.level(losses)},
        )
    jumps = _jumps(losses)
    is_often = len(jumps) >= max(_FEW_JUMPS, _JUMP_SHARE * len(losses))
    # A run that has calmed down since is not poor because of them.
    if not is_often or jumps[-2] < len(losses) // 2:
        return None
    return Note(
        "The training loss jumped up {num} times, the last time in epoch {epoch}, from "
        "{before:.3g} to {after:.3g}.",
        {
            "num": len(jumps),
            "epoch": case.records[jumps[-1]].epoch,
            "before": losses[jumps[-1] - 1],
            "after": losses[jumps[-1]],
        },
    )


def rate_too_low(case: Case) -> Diagnosis | None:
    """The loss hardly falls, at a learning rate that is lower than usual or that shows in it."""
    losses, dices = curves.losses(case), curves.dices(case)
    rate = case.config.optimizer.learning_rate
    at_work = [each for each in case.records if each.learning_rate >= rate / 2]
    enough = _MANY_EPOCHS if case.is_live else _SOME_EPOCHS
    # A warm-up is meant to be slow.
    if len(losses) < enough or len(at_work) < enough // 2:
        return None
    fall = 1 - curves.level(losses) / losses[0]
    if not (abs(fall) < _SMALL_FALL and curves.never_was_good(case)):
        return None
    lowest, middle, _highest = remedies.usual_rates(case.config)
    gain = curves.level(dices) - dices[0]
    is_slow = _falls_steadily(losses) and gain < _SMALL_GAIN and not curves.is_new(case)
    if not (rate < lowest or (is_slow and rate < middle)):
        return None
    return Diagnosis(
        key="rate_too_low",
        severity="warning",
        saw=Note(
            "In {num} epochs the training loss has fallen by {fall:.1%}, from {first:.3g} to "
            "{last:.3g}, and the validation Dice is {dice:.3f} at best.",
            {
                "num": len(losses),
                "fall": fall,
                "first": losses[0],
                "last": curves.level(losses),
                "dice": max(dices),
            },
        ),
        cause=Note(
            "The learning rate, {rate:g}, is too low for the number of steps: it learns, but in "
            "steps too short to get anywhere. A trial on the Train page can look for a better "
            "one.",
            {"rate": rate},
        ),
        remedies=remedies.chosen(remedies.higher_rate(case), remedies.normalisation(case)),
    )


def too_short(case: Case) -> Diagnosis | None:
    """It ended, as planned, before a network can have learned anything."""
    num = curves.num_steps(case)
    if case.status != "completed" or not num or not curves.is_new(case):
        return None
    if not curves.never_was_good(case):
        return None
    return Diagnosis(
        key="too_short",
        severity="warning",
        saw=Note(
            "The network made {num} steps in all, and the validation Dice is {dice:.3f} at best.",
            {"num": num, "dice": max(curves.dices(case))},
        ),
        cause=Note(
            "So few steps seldom lead anywhere, whatever the settings. A few hundred do: train "
            "for more epochs, or with a smaller batch."
        ),
        remedies=(_more(case, math.ceil(_ENOUGH_STEPS / num) - 1),),
    )


def no_improvement(case: Case) -> Diagnosis | None:
    """The validation stands where it began."""
    dices, losses = curves.dices(case), curves.losses(case)
    num, third = len(dices), len(dices) // 3
    fewest = max(_MANY_EPOCHS, case.num_planned // 2) if case.is_live else _SOME_EPOCHS
    if num < fewest or curves.is_new(case):
        return None
    gain = statistics.fmean(dices[-third:]) - statistics.fmean(dices[:third])
    is_flat = gain <= max(_SMALL_GAIN, curves.noise(dices))
    rises = curves.rise(dices, curves.noise(dices)) > 0 and gain > _SMALL_GAIN
    if not (curves.never_was_good(case) and is_flat) or rises:
        return None
    loss_left = curves.level(losses) / losses[0]
    learns = loss_left < _MUCH_LEARNED
    if not learns and loss_left < _LITTLE_LEARNED:
        return None
    return Diagnosis(
        key="no_improvement",
        severity="warning",
        saw=Note(
            "The validation Dice has stayed around {dice:.3f} for {num} epochs; the training loss "
            "went from {first:.3g} to {last:.3g}.",
            {
                "dice": statistics.fmean(dices),
                "num": num,
                "first": losses[0],
                "last": curves.level(losses),
            },
        ),
        cause=_learns_by_heart() if learns else _learns_nothing(),
        remedies=remedies.chosen(remedies.stronger_augmentation(case))
        if learns
        else remedies.chosen(
            remedies.normalisation(case),
            remedies.dice_loss(case),
            remedies.lower_rate(case) if _is_high(case.config) else remedies.higher_rate(case),
        ),
    )


def overfitting(case: Case) -> Diagnosis | None:
    """Training and validation drift apart, and the best epoch is long ago."""
    records, dices = case.records, curves.dices(case)
    if len(records) < _MANY_EPOCHS:
        return None
    best = max(range(len(dices)), key=dices.__getitem__)
    since = len(records) - 1 - best
    val_losses = [record.val_loss for record in records]
    growth = curves.level(val_losses) / min(curves.smooth(val_losses))
    lost = max(curves.smooth(dices)) - curves.level(dices)
    train_fall = curves.level(curves.losses(case)) / records[best].train_loss
    if not (
        since >= max(_FEW_EPOCHS, _LONG_AGO_SHARE * len(records))
        and lost > max(_SMALL_LOSS, curves.noise(dices))
        and growth > _LOSS_GROWTH
        and curves.rise(val_losses[best:], curves.noise(val_losses)) > 0
        and train_fall < _LOSS_FALL
    ):
        return None
    return Diagnosis(
        key="overfitting",
        severity="note",
        saw=Note(
            "Since epoch {best} the training loss fell on, and the validation loss grew to "
            "{growth:.2f} times its lowest; the validation Dice went from {dice:.3f} to {now:.3f}.",
            {
                "best": records[best].epoch,
                "growth": growth,
                "dice": dices[best],
                "now": curves.level(dices),
            },
        ),
        cause=Note(
            "The network learns its {num} training images by heart (overfitting). The weights of "
            "the best epoch are kept, so nothing is lost; images that are changed more, or more "
            "images, let it learn longer.",
            {"num": case.split_sizes["train"]},
        ),
        remedies=remedies.chosen(
            remedies.stronger_augmentation(case),
            remedies.change(case, Note("weight decay 0.001"), {"weight_decay": 1e-3})
            if case.config.optimizer.weight_decay < 1e-3
            else None,
        ),
    )


def still_improving(case: Case) -> Diagnosis | None:
    """It ended, as planned, while it was getting better."""
    dices = curves.dices(case)
    if case.status != "completed" or len(dices) < _FEW_EPOCHS:
        return None
    schedule, late = case.config.schedule, dices[-max(len(dices) // 3, _FEWEST_LATE) :]
    ended_early = schedule.max_minutes is None and len(dices) < schedule.epochs
    # In half as many epochs again, at a quarter of the pace: what rises levels out.
    gain = curves.rise(late, curves.noise(dices)) * len(dices) / 8
    is_best_late = max(dices) == max(dices[-max(len(dices) // 10, 2) :])
    has_room = 1 - max(dices) > _LEFT_DICE
    if ended_early or not (gain > _SMALL_GAIN and is_best_late and has_room):
        return None
    return Diagnosis(
        key="still_improving",
        severity="note",
        saw=Note(
            "Over the last {num} epochs the validation Dice still rose, from {before:.3f} to "
            "{now:.3f}.",
            {"num": len(late), "before": late[0], "now": late[-1]},
        ),
        cause=Note("It ended before it had learned what it could."),
        remedies=(_more(case, 0.5),),
    )


def _more(case: Case, times: float) -> Remedy:
    """The run trained further, for so many times what it was trained."""
    minutes = case.config.schedule.max_minutes
    if minutes is None:
        num = math.ceil(times * case.config.schedule.epochs)
        return Remedy(Note("{num} more epochs", {"num": num}), more=num)
    num = math.ceil(times * minutes)
    return Remedy(Note("{num} more minutes", {"num": num}), more=num)


def _jumps(losses: list[float]) -> list[int]:
    """The epochs, by index, in which the loss jumped up."""
    gained = max(losses) - min(losses)
    return [
        index
        for index in range(2, len(losses))
        if losses[index] - losses[index - 1]
        > max(_JUMP_OF_PROGRESS * gained, _JUMP_OF_LOSS * losses[index - 1])
    ]


def _falls_steadily(losses: list[float]) -> bool:
    falls = [after < before for before, after in pairwise(losses)]
    return sum(falls) >= _STEADY_SHARE * len(falls)


def _is_high(config: TrainConfig) -> bool:
    _low, middle, _high = remedies.usual_rates(config)
    return config.optimizer.learning_rate > middle


def _learns_by_heart() -> Note:
    return Note(
        "What it learns of the training images does not hold for the validation images: they look "
        "different, their masks mean something else, or there are too few to learn from. Look at "
        "both on the dataset's page first."
    )


def _learns_nothing() -> Note:
    return Note(
        "It has found nothing in the images to go by. Look at images and masks on the dataset's "
        "page first: do they belong together? A trial on the Train page shows whether the network "
        "can learn one batch by heart; if it can, another learning rate or loss is worth a run."
    )
