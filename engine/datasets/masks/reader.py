"""Masks as class indices, by a plan.

Shapes: H height, W width in pixels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.datasets.decode import RawMask
from engine.datasets.masks.colors import channels_of, distances
from engine.datasets.masks.rules import MAX_CLASSES, class_entries
from engine.datasets.masks.survey import MIN_VALUES_OF_IMAGE, blocks_of, count_values, is_image
from engine.datasets.plan import MaskPlan
from engine.errors import BadData, BadSetting
from engine.scores.counts import IGNORED_INDEX

UNLISTED_INDEX = 254
"""While a mask is read: pixels of a value that no class has."""
MAX_SNAPPED_SHARE = 0.25
"""A mask with a larger share of pixels that are far from every class is an image."""

Coded = NDArray[np.uint8]

_GREY = 0x010101
_CELL_BITS = 5
_NEAR, _NEAR_COLOR = 6 / 255, 24
"""As far from a class's value lossy compression brings most pixels: part of the largest value, and
distance of colours."""


@dataclass(frozen=True, slots=True)
class ReadMask:
    """A sample's mask as it will be stored."""

    coded: Coded
    """(H, W): class indices, `IGNORED_INDEX` where a pixel does not count."""
    num_instances: int | None
    """Objects that were told apart: numbered ones, or one per file; None if objects are not."""
    num_snapped: int
    """Pixels that are no exact value of a class; with a threshold, those between the mask's
    darkest and its brightest value."""


class MaskReader:
    """Reads masks by a plan. Thread-safe.

    Raises:
        BadSetting: the plan has more classes than a stored mask can hold.
    """

    def __init__(self, plan: MaskPlan) -> None:
        self._plan = plan
        classes = class_entries(plan)
        if len(classes) > MAX_CLASSES:
            raise BadSetting(
                "The class table has {num} classes; at most {limit} are possible. Merge some.",
                num=len(classes),
                limit=MAX_CLASSES,
            )
        by_name = {entry.name: entry.index for entry in classes}
        self._background = next((entry.index for entry in classes if entry.background), None)
        self._index_by_value = {
            value: IGNORED_INDEX if rule.role == "ignore" else by_name[rule.name]
            for rule in plan.classes
            for value in rule.values
        }
        first, last = plan.classes[0], plan.classes[-1]
        self._indices_of_two = tuple(
            IGNORED_INDEX if rule.role == "ignore" else by_name[rule.name] for rule in (first, last)
        )
        if plan.meaning == "colors":
            self._colors = _ColorTable(self._index_by_value, nearest=plan.nearest)
        elif plan.meaning == "values":
            self._values = _value_table(self._index_by_value, nearest=plan.nearest)
            self._listed = np.zeros(1 << 16, dtype=bool)
            listed = [value for value in self._index_by_value if value < 1 << 16]
            self._listed[listed] = True
            reach = int(_NEAR * max(listed, default=0))
            self._is_near = np.zeros(1 << 16, dtype=bool)
            for value in listed:
                self._is_near[max(0, value - reach) : value + reach + 1] = True

    def read(self, raws: Iterable[RawMask], name: str, *, one_per_object: bool = False) -> ReadMask:
        """One sample's mask from its file, or from one file for each object.

        Of several, each lays what is not background over those before it.

        Args:
            raws: at least one; they are taken one by one, so that hundreds need not be in memory.
            name: what messages call the mask.
            one_per_object: each file shows one object, even if there is but one file.

        Raises:
            BadData: sizes differ, a value belongs to no class, colours stand where values are
                expected, or it is an image: too many pixels are far from every class.
        """
        remaining = iter(raws)
        coded, num_instances, num_snapped = self._read_one(next(remaining), name)
        num_objects = int((coded != self._background).any())
        for raw in remaining:
            other, _, other_snapped = self._read_one(raw, name)
            is_object = self._object_in(other, coded.shape, name)
            np.copyto(coded, other, where=is_object)
            num_objects += int(is_object.any())
            num_snapped += other_snapped
            one_per_object = True
        return ReadMask(coded, num_objects if one_per_object else num_instances, num_snapped)

    def _object_in(self, other: Coded, shape: tuple[int, ...], name: str) -> NDArray[np.bool_]:
        """Where one of several masks of an image shows its object."""
        if self._background is None:
            raise BadData(
                "“{name}” is one of several masks of an image, and no class is background, so "
                "they cannot be laid over each other. Make one class the background.",
                name=name,
            )
        if other.shape != shape:
            raise _different_sizes(name, shape, other.shape)
        is_object: NDArray[np.bool_] = other != self._background
        return is_object

    def _read_one(self, raw: RawMask, name: str) -> tuple[Coded, int | None, int]:
        plan = self._plan
        if plan.meaning == "instances":
            below, above = self._indices_of_two
            num_numbers = _num_numbers(raw.values)
            if num_numbers > MIN_VALUES_OF_IMAGE and is_image(raw.values):
                raise _no_objects(name, num_numbers)
            return np.where(raw.values != 0, np.uint8(above), np.uint8(below)), num_numbers, 0
        if plan.meaning == "colors":
            colors = _as_colors(raw, name)
            coded, num_snapped = self._colors.read(colors)
            if plan.nearest and num_snapped > MAX_SNAPPED_SHARE * coded.size:
                _check_near(self._colors.num_far(colors), coded.size, name)
        elif raw.is_color:
            raise BadData(
                "The mask “{name}” holds colours, but one grey value per class was expected. Read "
                "the masks as colours, or leave this one out.",
                name=name,
            )
        elif plan.meaning == "threshold":
            return self._read_threshold(raw, name)
        else:
            coded = _looked_up(self._values, raw.values)
            counts = count_values(_narrow(raw.values))
            num_snapped = sum(num for value, num in counts.items() if not self._listed[value])
            if plan.nearest and num_snapped > MAX_SNAPPED_SHARE * coded.size:
                num_far = sum(num for value, num in counts.items() if not self._is_near[value])
                _check_near(num_far, coded.size, name)
        if num_snapped and not plan.nearest:
            raise _unlisted(raw, coded, num_snapped, name, is_color=plan.meaning == "colors")
        return coded, None, num_snapped

    def _read_threshold(self, raw: RawMask, name: str) -> tuple[Coded, None, int]:
        below, above = self._indices_of_two
        counts = count_values(_narrow(raw.values))
        _check_near(_num_undecided(counts, self._plan.threshold), raw.values.size, name)
        between = sum(list(counts.values())[1:-1])
        table = np.full(1 << 16, above, dtype=np.uint8)
        table[: self._plan.threshold] = below
        return _looked_up(table, raw.values), None, between


class _ColorTable:
    """Class indices by colour, through cells of 8×8×8 colours.

    A cell names the listed colour that is nearest to its middle, or that lies in it. So listed
    colours are found exactly, and others up to the cell's half width (7 of 442). Should two listed
    colours share a cell, every colour of a mask is compared with all listed ones instead.
    """

    def __init__(self, index_by_color: dict[int, int], *, nearest: bool) -> None:
        self._nearest = nearest
        self._listed = np.array(sorted(index_by_color), dtype=np.uint32)
        self._indices = np.array([index_by_color[int(c)] for c in self._listed], dtype=np.uint8)
        cells = _cells(self._listed)
        self._cells_are_shared = len(np.unique(cells)) < len(cells)
        steps = np.arange(1 << _CELL_BITS, dtype=np.uint32) * 8 + 4
        red, green, blue = np.meshgrid(steps, steps, steps, indexing="ij")
        middles = ((red << 16) + (green << 8) + blue).ravel()
        self._nearest_listed = _nearest_positions(middles, self._listed)
        self._nearest_listed[cells] = np.arange(len(cells))

    def read(self, colors: NDArray[np.uint32]) -> tuple[Coded, int]:
        """Class indices, (H, W), and how many pixels are no listed colour."""
        coded = np.empty(colors.shape, dtype=np.uint8)
        num_snapped = 0
        for rows in blocks_of(*colors.shape):
            block = colors[rows]
            if self._cells_are_shared:
                found, inverse = np.unique(block, return_inverse=True)
                positions = _nearest_positions(found, self._listed)[inverse].reshape(block.shape)
            else:
                positions = self._nearest_listed[_cells(block)]
            exact = self._listed[positions] == block
            num_block = block.size - int(np.count_nonzero(exact))
            coded[rows] = self._indices[positions]
            if num_block and not self._nearest:
                coded[rows][~exact] = UNLISTED_INDEX
            num_snapped += num_block
        return coded, num_snapped

    def num_far(self, colors: NDArray[np.uint32]) -> int:
        """How many pixels are far from every listed colour."""
        found, counts = np.unique(colors, return_counts=True)
        nearest = self._listed[_nearest_positions(found, self._listed)]
        apart = np.sqrt(((channels_of(found) - channels_of(nearest)) ** 2).sum(axis=-1))
        return int(counts[apart > _NEAR_COLOR].sum())


def _cells(colors: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The top five bits of red, green and blue, as one number of 15 bits."""
    cells = colors >> 9 & 0x7C00
    cells |= colors >> 6 & 0x3E0
    cells |= colors >> 3 & 0x1F
    return cells.astype(np.uint32, copy=False)


def _nearest_positions(colors: NDArray[np.uint32], listed: NDArray[np.uint32]) -> NDArray[np.intp]:
    """For each colour the position of the nearest listed one."""
    best = np.full(len(colors), np.inf, dtype=np.float32)
    positions = np.zeros(len(colors), dtype=np.intp)
    for position, color in enumerate(listed):
        apart = distances(colors, [int(color)])[:, 0]
        closer = apart < best
        best[closer], positions[closer] = apart[closer], position
    return positions


def _value_table(index_by_value: dict[int, int], *, nearest: bool) -> NDArray[np.uint8]:
    """Class index by value, 0 to 65535."""
    table = np.full(1 << 16, UNLISTED_INDEX, dtype=np.uint8)
    listed = np.array(sorted(v for v in index_by_value if v < 1 << 16), dtype=np.int64)
    if not len(listed):
        return table
    indices = np.array([index_by_value[int(value)] for value in listed], dtype=np.uint8)
    if not nearest:
        table[listed] = indices
        return table
    middles = (listed[1:] + listed[:-1]) / 2
    return indices[np.searchsorted(middles, np.arange(1 << 16))]


def _looked_up(table: NDArray[np.uint8], values: NDArray[np.generic]) -> Coded:
    if values.dtype == np.uint8:
        # Four times as fast as indexing, which makes eight bytes of each pixel.
        translated = bytearray(values.tobytes()).translate(table[:256].tobytes())
        return np.frombuffer(translated, dtype=np.uint8).reshape(values.shape)
    coded = np.empty(values.shape, dtype=np.uint8)
    for rows in blocks_of(*values.shape):
        coded[rows] = table[values[rows]]
    return coded


def _as_colors(raw: RawMask, name: str) -> NDArray[np.uint32]:
    if raw.is_color:
        return raw.values.astype(np.uint32, copy=False)
    if raw.palette is not None:
        table = np.zeros(256, dtype=np.uint32)
        table[: len(raw.palette)] = raw.palette[:256]
        return table[raw.values]
    if raw.values.dtype == np.uint16 and raw.values.max() > 255:
        raise BadData(
            "The mask “{name}” holds values up to {value}, but colours were expected. Read the "
            "masks as values, or leave this one out.",
            name=name,
            value=int(raw.values.max()),
        )
    return raw.values.astype(np.uint32) * np.uint32(_GREY)


def _num_numbers(values: NDArray[np.generic]) -> int:
    if values.dtype == np.uint32:
        return int(np.count_nonzero(np.unique(values)))
    return sum(value != 0 for value in count_values(_narrow(values)))


def _num_undecided(counts: Mapping[int, int], threshold: int) -> int:
    """Pixels around a threshold, without those of one level among them."""
    around = {v: num for v, num in counts.items() if threshold <= 2 * v <= 3 * threshold}
    if not around:
        return 0
    level = max(around, key=lambda value: around[value])
    reach = max(1, int(_NEAR * 2 * threshold))
    return sum(num for value, num in around.items() if abs(value - level) > reach)


def _check_near(num_far: int, num_pixels: int, name: str) -> None:
    if num_far > MAX_SNAPPED_SHARE * num_pixels:
        raise BadData(
            "“{name}” looks like an image instead of a mask: {percent:.0f} % of its pixels are "
            "far from the values of all classes. Expected at most {limit:.0f} %, as blurred edges "
            "give. Replace the file, or leave it out.",
            name=name,
            percent=100 * num_far / num_pixels,
            limit=100 * MAX_SNAPPED_SHARE,
        )


def _no_objects(name: str, num_numbers: int) -> BadData:
    return BadData(
        "“{name}” looks like an image instead of a mask: its {num} values lie in single pixels, "
        "not in objects. Replace the file, or leave it out.",
        name=name,
        num=num_numbers,
    )


def _narrow(values: NDArray[np.generic]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    return values.astype(np.uint16, copy=False)


def _unlisted(raw: RawMask, coded: Coded, num: int, name: str, *, is_color: bool) -> BadData:
    first = int(raw.values.ravel()[int((coded == UNLISTED_INDEX).argmax())])
    return BadData(
        "The mask “{name}” holds the value {value}, and {num} pixels in all whose value belongs "
        "to no class. Give it a class, or let values snap to the nearest.",
        name=name,
        value=f"#{first:06x}" if is_color and raw.is_color else first,
        num=num,
    )


def _different_sizes(name: str, first: tuple[int, ...], second: tuple[int, ...]) -> BadData:
    return BadData(
        "The masks of one image differ in size: “{name}” has {first} pixels (width×height), "
        "another {second}. Expected one size. Check that they belong together.",
        name=name,
        first=f"{first[1]}×{first[0]}",
        second=f"{second[1]}×{second[0]}",
    )
