"""The search for a learning rate, on functions whose answer is known."""

import math
import random
from collections.abc import Callable

import pytest

from engine.training.finder import find_rate

CURVATURE = 10.0
DIVERGES_FROM = 2 / CURVATURE
"""Gradient descent on ½·c·x² shrinks x by (1 - c·rate) a step: above 2/c it grows."""


def quadratic(curvature: float = CURVATURE) -> Callable[[float], float]:
    """One step of noisy gradient descent on ½·c·x²; gives the value before the step."""
    x, noise = 1.0, random.Random(0)

    def step(rate: float) -> float:
        nonlocal x
        value = 0.5 * curvature * x**2
        x -= rate * curvature * (x + noise.gauss(0, 0.1))
        return value

    return step


def test_suggestion_for_a_quadratic_converges_and_a_rate_a_hundred_times_lower_crawls():
    curve = find_rate(quadratic(), 1e-5, 10, 100)
    assert curve.suggestion is not None
    assert DIVERGES_FROM / 100 < curve.suggestion < DIVERGES_FROM
    assert 0.5 * CURVATURE * (1 - CURVATURE * curve.suggestion) ** 200 < 0.01
    assert 0.5 * CURVATURE * (1 - CURVATURE * curve.suggestion / 100) ** 200 > 0.1


@pytest.mark.parametrize("factor", [0.01, 100])
def test_suggestion_follows_the_scale_of_the_problem(factor):
    base = find_rate(quadratic(), 1e-6, 100, 200)
    scaled = find_rate(quadratic(CURVATURE * factor), 1e-6 / factor, 100 / factor, 200)
    assert scaled.suggestion == pytest.approx(base.suggestion / factor)
    assert scaled.steepest == pytest.approx(base.steepest / factor)


def test_search_ends_soon_after_the_loss_explodes():
    seen = []
    step = quadratic()

    def watched(rate: float) -> float:
        seen.append(rate)
        return step(rate)

    curve = find_rate(watched, 1e-4, 1e4, 100)
    assert curve.stopped_at == seen[-1]
    assert DIVERGES_FROM < curve.stopped_at < 100 * DIVERGES_FROM
    assert len(curve.rates) == len(curve.losses) == len(seen) - 1


def test_rates_rise_by_the_same_factor_from_the_lowest_to_the_highest():
    curve = find_rate(lambda rate: 1.0, 1e-6, 1.0, 7)
    assert curve.rates == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0])
    assert curve.stopped_at is None


@pytest.mark.parametrize("loss", [lambda rate: 1.0, lambda rate: 1.0 + rate])
def test_loss_that_never_falls_gives_no_suggestion(loss):
    curve = find_rate(loss, 1e-6, 1.0, 30)
    assert curve.suggestion is None
    assert curve.steepest is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_loss_that_is_no_number_ends_the_search_and_stays_out_of_the_curve(bad):
    curve = find_rate(lambda rate: bad if rate > 1e-3 else 1 - 100 * rate, 1e-6, 1.0, 61)
    assert 1e-3 < curve.stopped_at < 2e-3
    assert max(curve.rates) <= 1e-3
    assert all(math.isfinite(loss) for loss in curve.losses)
    assert curve.suggestion == pytest.approx(curve.rates[-1] / 10)


def test_search_that_fails_at_once_gives_an_empty_curve():
    curve = find_rate(lambda rate: math.nan, 1e-6, 1.0, 10)
    assert (curve.rates, curve.losses, curve.suggestion) == ([], [], None)
    assert curve.stopped_at == 1e-6


def test_steepest_is_where_the_loss_falls_fastest():
    # A loss that falls by half around rate 1e-3, in the logarithm of the rate.
    curve = find_rate(lambda rate: 1 - 0.5 / (1 + (1e-3 / rate) ** 2), 1e-6, 1.0, 200)
    # Smoothing over five steps of a factor 1.07 delays it by about a factor 1.4.
    assert 1e-3 <= curve.steepest < 2e-3


def test_single_lucky_batch_does_not_make_the_suggestion():
    def loss(rate: float) -> float:
        return 0.5 if abs(rate - 1e-5) < 1e-7 else 1 - min(rate, 0.5)

    curve = find_rate(loss, 1e-6, 0.5, 58)
    assert curve.suggestion > 1e-3
