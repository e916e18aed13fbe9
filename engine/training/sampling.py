"""Which windows an epoch trains on, and which ones a validation looks at.

In the view “resized” a sample is one window. In the view “patches” a training window lies
anywhere inside its sample, or around a pixel of a foreground class; a validation covers every
sample with windows of which every pixel counts once.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.config import TrainConfig, output_size
from engine.datasets.arrays import Arrays
from engine.scores.counts import IGNORED_INDEX
from engine.training.windows import Region, WindowPlace

_MOST_CANDIDATES, _FEWEST_CANDIDATES = 1000, 16
_CANDIDATES_OF_ALL_SAMPLES = 10_000_000
"""With four bytes each, for one class."""


class TrainingSampler:
    """Draws the windows of one epoch after the other.

    Args:
        arrays: all samples.
        train: positions of those that are trained on.
        background: classes that no window is centred on.
        config: view, passes, share of foreground windows, batch size and seed.
    """

    def __init__(
        self, arrays: Arrays, train: Sequence[int], background: Set[int], config: TrainConfig
    ) -> None:
        size_px = output_size(config.model, config.images.image_size_px)
        assert size_px is not None, "a config with an impossible size is refused"
        self._target_px = size_px
        self._heights_N, self._widths_N = arrays.heights_N, arrays.widths_N
        self._train = np.array(train, np.int64)
        self._passes = config.images.passes_per_epoch
        self._batch_size = config.schedule.batch_size
        # A resized sample is one window wherever its centre is.
        in_patches = config.images.view == "patches"
        self._foreground_share = config.images.foreground_share if in_patches else 0.0
        self._foreground = _ForegroundPixels(arrays, background, len(train), config.schedule.seed)
        self._random = np.random.default_rng(config.schedule.seed)

    def epoch(self) -> list[list[WindowPlace]]:
        """Batches of the next epoch: every training sample once in each pass, in random order.

        The last batch is smaller where the numbers do not divide. The share of foreground windows
        is kept to within one window, as far as samples with foreground allow: one without is
        shown anywhere, and a later one makes up for it.
        """
        passes = [self._random.permutation(self._train) for _ in range(self._passes)]
        positions = np.concatenate(passes)
        spare_rows = self._heights_N[positions] - self._target_px
        spare_columns = self._widths_N[positions] - self._target_px
        tops = self._anywhere(spare_rows)
        lefts = self._anywhere(spare_columns)
        for index, row, column in self._centres(positions):
            tops[index] = _around(row, self._target_px, spare_rows[index])
            lefts[index] = _around(column, self._target_px, spare_columns[index])
        places = list(map(WindowPlace, positions.tolist(), tops.tolist(), lefts.tolist()))
        size = self._batch_size
        return [places[start : start + size] for start in range(0, len(places), size)]

    def state(self) -> dict[str, Any]:
        """What the next epochs depend on; plain values."""
        return dict(self._random.bit_generator.state)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._random.bit_generator.state = dict(state)

    def _anywhere(self, spare: NDArray[np.int64]) -> NDArray[np.int64]:
        """First rows or columns of targets inside their samples, or around smaller ones."""
        return self._random.integers(np.minimum(spare, 0), np.maximum(spare, 0), endpoint=True)

    def _centres(self, positions: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
        """Index, row and column of the windows that are centred on a foreground pixel."""
        if not self._foreground_share:
            return
        num_centred, num_by_class = 0, np.zeros(IGNORED_INDEX, np.int64)
        for index, position in enumerate(positions.tolist()):
            if num_centred >= int((index + 1) * self._foreground_share + 0.5):
                continue
            pixels_by_class = self._foreground.of(position)
            if not pixels_by_class:
                continue
            classes = np.array(list(pixels_by_class))
            # Every class in turn: the one shown least so far, by lot where several are.
            least = classes[num_by_class[classes] == num_by_class[classes].min()]
            chosen = int(least[self._random.integers(len(least))])
            pixels = pixels_by_class[chosen]
            pixel = int(pixels[self._random.integers(len(pixels))])
            num_centred += 1
            num_by_class[chosen] += 1
            yield index, *divmod(pixel, int(self._widths_N[position]))


class _ForegroundPixels:
    """Some random pixels of each foreground class of each sample, found when first asked for."""

    def __init__(self, arrays: Arrays, background: Set[int], num_samples: int, seed: int) -> None:
        self._arrays, self._background, self._seed = arrays, background, seed
        share = _CANDIDATES_OF_ALL_SAMPLES // max(num_samples, 1)
        self._most = min(max(share, _FEWEST_CANDIDATES), _MOST_CANDIDATES)
        self._found: dict[int, dict[int, NDArray[np.uint32]]] = {}

    def of(self, position: int) -> Mapping[int, NDArray[np.uint32]]:
        """Places of pixels in the flattened mask, by class."""
        if position not in self._found:
            self._found[position] = self._find(position)
        return self._found[position]

    def _find(self, position: int) -> dict[int, NDArray[np.uint32]]:
        mask = np.asarray(self._arrays.mask(position)).ravel()
        # Depends on the sample alone, so that a resumed training finds the same.
        random = np.random.default_rng((self._seed, position))
        found = {}
        for index in np.flatnonzero(np.bincount(mask, minlength=IGNORED_INDEX)[:IGNORED_INDEX]):
            if int(index) in self._background:
                continue
            pixels = np.flatnonzero(mask == index).astype(np.uint32)
            if len(pixels) > self._most:
                pixels = pixels[random.integers(len(pixels), size=self._most)]
            found[int(index)] = pixels
        return found


def val_places(arrays: Arrays, positions: Sequence[int], target_px: int) -> list[WindowPlace]:
    """Windows that cover some samples, sample after sample; every pixel counts in exactly one.

    Args:
        target_px: width and height of a window.
    """
    return [
        place
        for position in positions
        for place in _grid(
            position, int(arrays.heights_N[position]), int(arrays.widths_N[position]), target_px
        )
    ]


def _grid(position: int, height: int, width: int, target_px: int) -> Iterator[WindowPlace]:
    """The last window of a row or column is moved inside, where it shows real pixels, and counts
    only what the one before does not."""
    for top, first_row, end_row in _steps(height, target_px):
        for left, first_column, end_column in _steps(width, target_px):
            counted = Region(first_row, first_column, end_row, end_column)
            is_whole = (end_row - first_row, end_column - first_column) == (target_px, target_px)
            yield WindowPlace(position, top, left, None if is_whole else counted)


def _steps(length: int, target_px: int) -> Iterator[tuple[int, int, int]]:
    """Along one axis: where each window begins, and the first and the end of what it counts."""
    # A sample that is smaller than the window lies in its middle.
    last = length - target_px if length >= target_px else (length - target_px) // 2
    for first in range(0, length, target_px):
        yield min(first, last), first, min(first + target_px, length)


def _around(pixel: int, target_px: int, spare: int) -> int:
    """Where a target centred on a pixel begins, if moved inside its sample."""
    return max(min(pixel - target_px // 2, max(spare, 0)), min(spare, 0))
