"""Work on many samples in threads, with memory that does not grow with their number.

Decoders and encoders release the interpreter's lock, so threads keep all cores busy and share
what they read without copies between processes.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition
from typing import TypeVar

MAX_THREADS = 16
"""More threads wait for each other instead of decoding."""
MAX_PIXELS_AT_ONCE = 32_000_000
"""Pixels that all threads together hold decoded; a larger picture is worked on alone."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def for_each(
    work: Callable[[Item], Result], items: Iterable[Item], take: Callable[[Result], None]
) -> None:
    """Work on the items in threads and take the results in the items' order.

    Few items are ahead of the one taken, so neither results nor memory pile up. When `work` or
    `take` raises, nothing runs any more when the error leaves this function.

    Args:
        work: called in threads.
        items: what to work on.
        take: called in the calling thread.
    """
    num_threads = min(os.cpu_count() or 1, MAX_THREADS)
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(num_threads) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= 2 * num_threads:
                    take(pending.popleft().result())
            while pending:
                take(pending.popleft().result())
        finally:
            for future in pending:
                future.cancel()


class PixelBudget:
    """Limits how many pixels the threads hold decoded at the same time."""

    def __init__(self, limit: int = MAX_PIXELS_AT_ONCE) -> None:
        self._limit = limit
        self._free = limit
        self._changed = Condition()

    @contextmanager
    def holding(self, num_pixels: int) -> Iterator[None]:
        """Wait until so many pixels fit, and keep their place for the block."""
        share = min(num_pixels, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify_all()
