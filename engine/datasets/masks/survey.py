"""What is in one mask: its values, where they lie, and whether they look like numbered objects.

Shapes: H height, W width in pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from engine.datasets.decode import RawMask

MAX_VALUES_KEPT = 512
"""Different values of one mask that are kept, the most frequent ones; all are counted."""
VOID_VALUE = 255
"""Beside small class values, this one marks pixels that do not count."""
MAX_VALUE_BESIDE_VOID = 63
"""With a larger value among the others, `VOID_VALUE` is a value like them."""
MAX_VALUES_CHECKED = 256
"""Values whose pieces are counted to recognise numbered objects."""
MAX_SCATTERED_SHARE = 0.1
"""Of numbered objects, this share may still lie in several pieces, as others cross them."""

MIN_VALUES_OF_IMAGE, MAX_SOLID_SHARE_OF_IMAGE = 64, 0.25
"""A mask with more values, and with a smaller share of its pixels inside areas, is an image."""

_PIXELS_AT_ONCE = 1_000_000
_MIN_SOLID_SHARE = 0.3
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectSigns:
    """What tells numbered objects from classes in one mask with at least two values beside 0."""

    num_values: int
    """Different values beside 0 and void."""
    are_single: bool
    """Whether the pixels of nearly every value hang together as one piece."""
    are_contiguous: bool
    """Whether the values are 1, 2, … without a gap; never of colours."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class MaskSurvey:
    """What is in one mask. The arrays run over its values, the most frequent first."""

    width: int
    height: int
    is_color: bool
    palette: tuple[int, ...] | None
    lossy: bool
    is_soft: bool
    """Whether the values were shares from 0 to 1; see `RawMask`."""
    num_values: int
    """How many different values there are, also those that are not kept."""
    values: NDArray[np.int64]
    num_pixels: NDArray[np.int64]
    num_solid: NDArray[np.int64]
    """Pixels whose neighbours to the right, below, and between them have the same value: most of
    an area, none of a blurred edge."""
    num_border: NDArray[np.int64]
    """Pixels on the outermost rows and columns."""
    objects: ObjectSigns | None
    """None where nothing can tell."""

    @property
    def is_image(self) -> bool:
        """Whether it holds tones or colours as a photograph does."""
        num_solid = int(self.num_solid.sum())
        return _is_image(self.num_values, num_solid / (self.width * self.height))


def survey_mask(raw: RawMask) -> MaskSurvey:
    """Look at one mask."""
    values, num_pixels, num_solid = _counts(raw.values)
    order = np.argsort(-num_pixels, kind="stable")[:MAX_VALUES_KEPT]
    kept = values[order]
    height, width = raw.values.shape
    return MaskSurvey(
        width=width,
        height=height,
        is_color=raw.is_color,
        palette=raw.palette,
        lossy=raw.lossy,
        is_soft=raw.is_soft,
        num_values=len(values),
        values=kept,
        num_pixels=num_pixels[order],
        num_solid=num_solid[order],
        num_border=_border_counts(raw.values, kept),
        objects=None if raw.lossy else _object_signs(raw, values, num_pixels, num_solid),
    )


def is_image(mask: NDArray[np.generic]) -> bool:
    """As `MaskSurvey.is_image`."""
    values, _, num_solid = _counts(mask)
    return _is_image(len(values), int(num_solid.sum()) / mask.size)


def count_values(mask: NDArray[np.uint8] | NDArray[np.uint16]) -> dict[int, int]:
    """How many pixels have each value that occurs, by value in ascending order."""
    counts = _histogram(mask)
    return {int(value): int(counts[value]) for value in counts.nonzero()[0]}


def count_classes(coded: NDArray[np.uint8], num_classes: int) -> tuple[int, ...]:
    """Pixels of each class, by class index; ignored pixels are left out."""
    return tuple(int(count) for count in _histogram(coded)[:num_classes])


def blocks_of(height: int, width: int) -> Iterator[slice]:
    """Rows in portions of bounded size, because some steps make many bytes of each pixel."""
    num_rows = max(1, _PIXELS_AT_ONCE // max(1, width))
    return (slice(start, start + num_rows) for start in range(0, height, num_rows))


def _is_image(num_values: int, solid_share: float) -> bool:
    return num_values > MIN_VALUES_OF_IMAGE and solid_share < MAX_SOLID_SHARE_OF_IMAGE


def _histogram(mask: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.int64]:
    if mask.dtype == np.uint8:
        # Eight times as fast as NumPy, which would make eight bytes of each pixel.
        return np.array(Image.fromarray(mask).histogram(), dtype=np.int64)
    counts = np.zeros(1 << 16, dtype=np.int64)
    for rows in blocks_of(*mask.shape):
        counts += np.bincount(mask[rows].ravel(), minlength=len(counts))
    return counts


def _counts(
    mask: NDArray[np.generic],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The values in ascending order, their pixels, and their solid pixels."""
    if mask.dtype == np.uint8:
        solid = np.zeros(256, dtype=np.int64)
        for rows in blocks_of(*mask.shape):
            same = _solid(mask, rows)
            if not same.size:
                continue
            covered = Image.fromarray(mask[rows][: same.shape[0], :-1].astype(np.uint8))
            solid += covered.histogram(Image.fromarray(same.view(np.uint8) * np.uint8(255)))
        pixels = _histogram(mask)  # type: ignore[arg-type]
        found = pixels.nonzero()[0]
        return found, pixels[found], solid[found]
    return _counts_by_runs(mask)


def _counts_by_runs(
    mask: NDArray[np.generic],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """As `_counts`. Sorting runs of equal pixels is far less work than sorting pixels."""
    values, pixels, solid = (np.empty(0, dtype=np.int64) for _ in range(3))
    for rows in blocks_of(*mask.shape):
        flat = mask[rows].ravel()
        starts = _run_starts(flat)
        same = np.zeros(mask[rows].shape, dtype=np.int64)
        inner = _solid(mask, rows)
        same[: inner.shape[0], :-1] = inner
        found, inverse = np.unique(flat[starts], return_inverse=True)
        lengths = np.diff(np.append(starts, flat.size))
        solid_lengths = np.add.reduceat(same.ravel(), starts)
        merged, positions = np.unique(
            np.concatenate([values, found.astype(np.int64)]), return_inverse=True
        )
        old, new = positions[: len(values)], positions[len(values) :]
        sums = []
        for before, weights in ((pixels, lengths), (solid, solid_lengths)):
            after = np.zeros(len(merged), dtype=np.int64)
            after[old] = before
            after[new] += np.bincount(inverse, weights, minlength=len(found)).astype(np.int64)
            sums.append(after)
        values, (pixels, solid) = merged, sums
    return values, pixels, solid


def _run_starts(flat: NDArray[np.generic]) -> NDArray[np.int64]:
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.concatenate([np.zeros(1, dtype=np.int64), changes])


def _solid(mask: NDArray[np.generic], rows: slice) -> NDArray[np.bool_]:
    """Whether a pixel equals its neighbours to the right and below; without the last column, and
    without the last row of the mask."""
    block = mask[rows.start : rows.stop + 1]
    across = block[:, 1:] == block[:, :-1]
    solid: NDArray[np.bool_] = across[1:] & across[:-1] & (block[1:, :-1] == block[:-1, :-1])
    return solid


def _border_counts(mask: NDArray[np.generic], values: NDArray[np.int64]) -> NDArray[np.int64]:
    if min(mask.shape) < 3:
        edges = mask.ravel()
    else:
        edges = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    found, counts = np.unique(edges, return_counts=True)
    by_value = dict(zip(found.tolist(), counts.tolist(), strict=True))
    return np.array([by_value.get(value, 0) for value in values.tolist()], dtype=np.int64)


def _object_signs(
    raw: RawMask,
    values: NDArray[np.int64],
    num_pixels: NDArray[np.int64],
    num_solid: NDArray[np.int64],
) -> ObjectSigns | None:
    numbered = values != 0
    others = values[numbered]
    if not raw.is_color and len(others) > 1 and others[-1] == VOID_VALUE:
        numbered &= (values != VOID_VALUE) | (others[-2] > MAX_VALUE_BESIDE_VOID)
    numbers = values[numbered]
    if len(numbers) < 2:
        return None
    # Blurred edges are many values that lie in pieces everywhere; their pieces need no counting.
    if np.median(num_solid[numbered] / num_pixels[numbered]) < _MIN_SOLID_SHARE:
        return None
    return ObjectSigns(
        num_values=len(numbers),
        are_single=_are_single(raw.values, numbers),
        are_contiguous=not raw.is_color and int(numbers[-1]) == len(numbers),
    )


def _are_single(mask: NDArray[np.generic], numbers: NDArray[np.int64]) -> bool:
    """Whether nearly every number's pixels are one piece."""
    if mask.dtype == np.uint32:
        starts = _run_starts(mask.ravel())
        labels = np.searchsorted(numbers, mask.ravel()[starts]) + 1
        labels[~np.isin(mask.ravel()[starts], numbers)] = 0
        lengths = np.diff(np.append(starts, mask.size))
        mask = np.repeat(labels.astype(np.int32), lengths).reshape(mask.shape)
        numbers = np.arange(1, len(numbers) + 1)
    step = -(-len(numbers) // MAX_VALUES_CHECKED)
    checked = numbers[::step]
    boxes = ndimage.find_objects(mask, max_label=int(checked[-1]))
    num_allowed = int(MAX_SCATTERED_SHARE * len(checked))
    for number in checked.tolist():
        box = boxes[number - 1]
        if ndimage.label(mask[box] == number, _EIGHT_NEIGHBOURS)[1] > 1:
            num_allowed -= 1
            if num_allowed < 0:
                return False
    return True
