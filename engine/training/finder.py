"""A learning rate to start from, found by trying a rising one (Smith 2017, arXiv 1506.01186)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

_SMOOTHING = 0.8
"""Share of the past in the smoothed loss: about the last five steps."""
_EXPLODED = 4.0
"""The search ends when the smoothed loss is this many times the lowest."""
_SAFETY = 10.0
_NOTICEABLE_FALL = 0.01
"""A loss that never falls by this share has not answered to any rate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateCurve:
    """How the loss answered to a rising learning rate."""

    rates: list[float]
    """Learning rates that were tried, rising."""
    losses: list[float]
    """The smoothed loss that was seen at each of them."""
    suggestion: float | None
    """A tenth of the rate at which the smoothed loss was lowest; None when it never fell."""
    steepest: float | None
    """The rate at which the smoothed loss fell fastest; None when it never fell."""
    stopped_at: float | None
    """The rate at which the loss exploded or became undefined; None when it did not."""


def find_rate(
    step: Callable[[float], float], lowest: float, highest: float, num_steps: int
) -> RateCurve:
    """Make steps at learning rates from the lowest to the highest and watch the loss.

    The suggestion is a tenth of the rate with the lowest loss: there the loss is about to rise,
    and a whole training needs more room than a few steps. The rate of the steepest descent is
    given beside it; the two seldom differ by more than a factor of three.

    Args:
        step: makes one step at a learning rate and gives the loss before it. A loss that is no
            number ends the search.
        num_steps: at least 2.
    """
    growth = (highest / lowest) ** (1 / (num_steps - 1))
    rates, losses = list[float](), list[float]()
    average, stopped_at = 0.0, None
    for index in range(num_steps):
        rate = lowest * growth**index
        loss = step(rate)
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        # Without this correction the first values would lean towards the 0 it starts from.
        smoothed = average / (1 - _SMOOTHING ** (index + 1))
        if not math.isfinite(loss) or (losses and smoothed > _EXPLODED * min(losses)):
            stopped_at = rate
            break
        rates.append(rate)
        losses.append(smoothed)
    return RateCurve(
        rates=rates,
        losses=losses,
        suggestion=_tenth_of_lowest(rates, losses),
        steepest=_steepest(rates, losses),
        stopped_at=stopped_at,
    )


def _tenth_of_lowest(rates: list[float], losses: list[float]) -> float | None:
    if not losses or min(losses) > losses[0] * (1 - _NOTICEABLE_FALL):
        return None
    return rates[losses.index(min(losses))] / _SAFETY


def _steepest(rates: list[float], losses: list[float]) -> float | None:
    """Rates grow by a constant factor, so neighbouring differences are slopes over log(rate)."""
    if _tenth_of_lowest(rates, losses) is None:
        return None
    up_to = losses.index(min(losses))
    falls = [losses[index + 1] - losses[index] for index in range(up_to)]
    return rates[falls.index(min(falls))]
