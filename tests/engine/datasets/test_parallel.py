"""Threads: in order, few ahead, and over when an error arrives."""

import threading
import time
from collections.abc import Iterator

import pytest

from engine.datasets import parallel
from engine.datasets.parallel import PixelBudget, for_each


def test_results_arrive_in_order_in_the_calling_thread() -> None:
    taken: list[tuple[int, int]] = []

    def work(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return number * number

    for_each(work, range(50), lambda result: taken.append((result, threading.get_ident())))
    assert taken == [(number * number, threading.get_ident()) for number in range(50)]


def test_few_items_are_ahead_of_the_one_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "MAX_THREADS", 2)
    started = taken = 0
    farthest = 0

    def items() -> Iterator[int]:
        nonlocal started
        for number in range(100):
            started += 1
            yield number

    def take(_: int) -> None:
        nonlocal taken, farthest
        farthest = max(farthest, started - taken)
        taken += 1

    for_each(lambda number: number, items(), take)
    assert taken == 100
    assert farthest <= 4


@pytest.mark.parametrize("where", ["work", "take"])
def test_nothing_runs_any_more_after_an_error(where: str) -> None:
    running: set[int] = set()

    def work(number: int) -> int:
        running.add(number)
        time.sleep(0.005)
        running.remove(number)
        if where == "work" and number == 3:
            raise ValueError("broken")
        return number

    def take(number: int) -> None:
        if where == "take" and number == 3:
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        for_each(work, range(1000), take)
    assert not running


def test_pixels_held_at_the_same_time_stay_within_the_budget() -> None:
    budget = PixelBudget(100)
    lock = threading.Lock()
    held = most = 0

    def work(num_pixels: int) -> None:
        nonlocal held, most
        with budget.holding(num_pixels):
            with lock:
                held += min(num_pixels, 100)
                most = max(most, held)
            time.sleep(0.001)
            with lock:
                held -= min(num_pixels, 100)

    threads = [threading.Thread(target=work, args=(n,)) for n in (40, 60, 70, 500, 10, 90) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in threads)
    assert held == 0 and most <= 100
