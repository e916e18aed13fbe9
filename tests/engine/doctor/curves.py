"""Curves as trainings draw them, healthy and not, and the cases that they make."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.config import RECIPES, rate_at, with_changes
from engine.doctor import Case
from engine.events import EpochRecord
from engine.scores.rules import PooledCounts
from engine.store.datasets import ClassEntry

CLASSES = tuple(
    ClassEntry(index=index, name=name, color="#000000", background=index == 0, source_value=index)
    for index, name in enumerate(["background", "cell", "nucleus"])
)
TWO = CLASSES[:2]

Curve = Sequence[float]


def case(
    train_loss: Curve = (),
    val_dice: Curve = (),
    *,
    val_loss: Curve | None = None,
    class_dice: Callable[[float], tuple[float | None, ...]] = lambda dice: (0.95, dice),
    recipe: str = "quick",
    changes: dict[str, Any] | None = None,
    status: str = "completed",
    wait_share: float | None = 0.02,
    steps: int | None = 50,
    **options: Any,
) -> Case:
    """A run with these curves; a planned epoch for each unless `changes` say otherwise."""
    changes = {"epochs": max(len(train_loss), 1)} | (changes or {})
    config = with_changes(RECIPES[recipe], changes)  # type: ignore[index]
    losses = train_loss if val_loss is None else val_loss
    best = -1.0
    records = []
    for index, (loss, later_loss, dice) in enumerate(
        zip(train_loss, losses, val_dice, strict=True)
    ):
        progress = min((index + 0.98) / config.schedule.epochs, 1)
        records.append(
            EpochRecord(
                epoch=index + 1,
                train_loss=loss,
                val_loss=later_loss,
                val_dice=dice,
                val_iou=dice / (2 - dice),
                val_class_dice=class_dice(dice),
                learning_rate=rate_at(config.optimizer, config.schedule, progress),
                seconds=2.0,
                images_per_second=10.0,
                is_best=dice > best,
                num_steps=steps,
                data_wait_share=wait_share,
            )
        )
        best = max(best, dice)
    given: dict[str, Any] = {
        "error": None,
        "incidents": (),
        "adjustments": {},
        "split_sizes": {"train": 40, "val": 8, "test": 8},
        "classes": TWO,
    }
    return Case(config=config, status=status, records=records, **given | options)  # type: ignore[arg-type]


def learned(
    num: int,
    *,
    seed: int = 0,
    start: float = 1.0,
    floor: float = 0.1,
    pace: float = 6.0,
    noise: float = 0.05,
    top: float = 0.9,
    dice_noise: float = 0.01,
    delay: float = 0.0,
) -> tuple[list[float], list[float]]:
    """Training loss and validation Dice of a network that learns.

    Args:
        pace: epochs in which it makes 63 % of its way.
        noise: relative, of the loss.
        delay: epochs before the Dice leaves 0.
    """
    random = np.random.default_rng(seed)
    epochs = np.arange(1, num + 1)
    losses = floor + (start - floor) * np.exp(-epochs / pace)
    dices = top * (1 - np.exp(-np.maximum(epochs - delay, 0.0) / pace))
    losses = losses * (1 + noise * random.standard_normal(num))
    dices = np.clip(dices + dice_noise * random.standard_normal(num) * (dices > 0), 0, 1)
    return losses.tolist(), dices.tolist()


def falling(first: float, last: float, num: int) -> list[float]:
    """From one value to another along an exponential."""
    ratio = math.log(last / first) / max(num - 1, 1)
    return [first * math.exp(ratio * index) for index in range(num)]


def counts(*rows: tuple[int, int, int]) -> PooledCounts:
    """From (tp, fp, fn) of each class."""
    return PooledCounts(*(tuple(column) for column in zip(*rows, strict=True)))
