"""What the numbers of the epochs do: where they stand, how noisy they are, whether they move."""

import math
import statistics
from collections.abc import Sequence

from engine.doctor.case import Case
from engine.scores.rules import image_dice

_AT_THE_END = 3
"""Epochs that a level is the mean of."""
_POOR_DICE = 0.5
_LOST_DICE = 0.1
FEW_STEPS = 100
"""Before so many, a network that learns need not show it."""
_SURE = 2.5
"""Standard deviations that are no chance."""


def losses(case: Case) -> list[float]:
    """The training loss of each epoch."""
    return [record.train_loss for record in case.records]


def dices(case: Case) -> list[float]:
    """The validation Dice of each epoch."""
    return [record.val_dice for record in case.records]


def level(values: Sequence[float]) -> float:
    """Where the values have arrived: the mean of the last three."""
    return statistics.fmean(values[-_AT_THE_END:])


def smooth(values: Sequence[float]) -> list[float]:
    """Means of three neighbours, so that no single lucky or unlucky epoch stands out."""
    triples = zip(values, values[1:], values[2:], strict=False)
    return [statistics.fmean(triple) for triple in triples] or list(values)


def noise(values: Sequence[float]) -> float:
    """Standard deviation of the values around a curve that changes slowly.

    From the median bend over three neighbours, which neither a trend nor single jumps change: of
    independent normal noise, a bend has √6 times its deviation, and a median size of 0.6745 times
    that.
    """
    triples = zip(values, values[1:], values[2:], strict=False)
    bends = [abs(before - 2 * middle + after) for before, middle, after in triples]
    return statistics.median(bends) / (0.6745 * math.sqrt(6)) if bends else 0.0


def rise(values: Sequence[float], noise_deviation: float) -> float:
    """Change from one value to the next, by least squares; 0 where noise alone explains it."""
    num = len(values)
    if num < 2:
        return 0.0
    slope = float(statistics.linear_regression(range(num), values).slope)
    # The standard deviation of a slope through values with independent noise.
    deviation = noise_deviation * math.sqrt(12 / (num * (num**2 - 1)))
    return slope if abs(slope) > _SURE * deviation else 0.0


def is_poor(case: Case) -> bool:
    """Whether the validation Dice is low, or lower than it has been."""
    now = level(dices(case))
    return now < _POOR_DICE or now < max(smooth(dices(case))) - _LOST_DICE


def never_was_good(case: Case) -> bool:
    """Whether no epoch reached a validation Dice that is of use, and the scores are no better."""
    scored = 0.0 if case.counts is None else image_dice(case.counts, case.classes)
    return max(dices(case)) < _POOR_DICE and scored < _POOR_DICE


def num_steps(case: Case) -> int | None:
    """Steps that the network has made; None where an early version did not count them."""
    known = [record.num_steps for record in case.records if record.num_steps is not None]
    return sum(known) if len(known) == len(case.records) else None


def is_new(case: Case) -> bool:
    """Whether the network has made too few steps to be judged."""
    num = num_steps(case)
    return num is not None and num < FEW_STEPS
