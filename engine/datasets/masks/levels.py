"""The few true values behind many: levels of blurred grey masks, colours behind blurred edges.

A pixel between two classes gets a value between theirs when a mask is scaled, smoothed or
compressed. Such values are many and rare, and lie in lines; classes lie in areas.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from engine.datasets.masks.colors import distances
from engine.datasets.masks.statistics import MaskStatistics, ValueStatistics, View
from engine.datasets.masks.survey import VOID_VALUE

MAX_FEW = 16
"""Up to so many values of exact masks, each is looked at by itself; more are a blur of levels."""
STRAY_SHARE = 2e-4
"""A value below this share of every mask is a stray."""
STRAY_PX, MAX_SHARE_OF_STRAY_PX = 4, 2e-3
"""So are, in small masks, a few pixels of each that lie apart, up to this larger share."""
MIN_SOLID_SHARE = 0.05
"""A value with a smaller share of pixels inside an area lies in lines."""
MAX_LEVELS = 8
"""More levels than this cannot be told from a photograph's tones."""
MIN_CONCENTRATION = 0.75
"""Share of all pixels at the levels; below it the values are continuous, as an image's are."""
MIN_EXACT = 0.5
"""Share of all pixels that have exactly a level's value; compression leaves the inside of areas
alone."""

_MIN_SHARE = 1e-3
_MIN_SHARE_OF_A_MASK = 1e-2
# Parts of the range of values: how far apart levels are; how wide one is; and the surroundings,
# which hold fewer pixels than the level itself.
_APART, _NEAR, _AROUND = 24 / 255, 2 / 255, 12 / 255
_MIN_COLOR_DISTANCE, _MIN_LOSSY_COLOR_DISTANCE = 12, 48
_NEAR_COLOR = 24


@dataclass(frozen=True, slots=True)
class Levels:
    """What was found."""

    groups: tuple[tuple[int, ...], ...]
    """The values of each level, ascending by the first, which is the most frequent of them."""
    share_between: float
    """Share of all pixels whose value is none of them."""

    @property
    def firsts(self) -> list[int]:
        """The main value of each level."""
        return [group[0] for group in self.groups]


def few_levels(statistics: MaskStatistics, view: View) -> Levels:
    """The levels among few exact values: all but strays, and but spellings of the same level.

    Strays are values that hardly occur, and at least three that lie in lines. Two neighbouring
    values that are never frequent in the same mask, as 127 and 128, are one level.
    """
    values = view.values
    in_lines = [v for v, found in values.items() if found.solid_share < MIN_SOLID_SHARE]
    kept = [
        value
        for value, found in values.items()
        if not is_stray(found) and not (len(in_lines) >= 3 and value in in_lines)
    ]
    reach = _APART * max(values) / 3
    groups: list[list[int]] = []
    for value in sorted(kept, key=lambda value: -values[value].num_pixels):
        near = [group for group in groups if abs(group[0] - value) <= reach]
        if near and _are_one_level(statistics, near[0][0], value):
            near[0].append(value)
        else:
            groups.append([value])
    return _levels(groups, view)


def blurred_levels(view: View) -> Levels | None:
    """The levels of grey masks with many values; None when the values are continuous.

    A level is a value that fills areas, and the values around it hold fewer pixels.
    """
    values, total, top = view.values, view.num_pixels, max(view.values)

    def within(center: int, reach: float) -> int:
        return sum(f.num_pixels for v, f in values.items() if abs(v - center) <= reach * top)

    groups: list[list[int]] = []
    at_levels = 0
    for value in sorted(values, key=lambda value: -values[value].num_pixels):
        found = values[value]
        if found.num_pixels < _MIN_SHARE * total and found.max_share < _MIN_SHARE_OF_A_MASK:
            continue
        if found.solid_share < MIN_SOLID_SHARE:
            continue
        if any(abs(group[0] - value) < _APART * top for group in groups):
            continue
        near = within(value, _NEAR)
        if near >= within(value, _AROUND) - near:
            groups.append([value])
            at_levels += near
    if len(groups) > MAX_LEVELS or at_levels < MIN_CONCENTRATION * total:
        return None
    levels = _levels(groups, view)
    return levels if levels.share_between <= 1 - MIN_EXACT else None


def color_levels(view: View, *, lossy: bool) -> Levels | None:
    """The colours that are classes; None when the colours are continuous.

    Of few exact colours: all but strays, as in `few_levels`. Of more: those that fill areas,
    unless they are close to a more frequent one.
    """
    values = view.values
    num_in_lines = sum(found.solid_share < MIN_SOLID_SHARE for found in values.values())
    few = len(values) <= MAX_FEW and num_in_lines < 3 and not lossy
    min_distance = _MIN_LOSSY_COLOR_DISTANCE if lossy else _MIN_COLOR_DISTANCE
    kept: list[int] = []
    for color in sorted(values, key=lambda color: -values[color].num_pixels):
        found = values[color]
        if is_stray(found):
            continue
        if not few and found.solid_share < MIN_SOLID_SHARE:
            continue
        if few or not kept or distances([color], kept).min() >= min_distance:
            kept.append(color)
    if not kept:
        return None
    at_levels = sum(values[color].num_pixels for color in kept)
    if lossy:
        colors = list(values)
        near = distances(colors, kept).min(axis=1) <= _NEAR_COLOR
        at_levels = sum(
            values[c].num_pixels for c, is_near in zip(colors, near, strict=True) if is_near
        )
    levels = _levels([[color] for color in kept], view)
    if at_levels < MIN_CONCENTRATION * view.num_pixels or levels.share_between > 1 - MIN_EXACT:
        return None
    return levels


def is_stray(found: ValueStatistics) -> bool:
    """Whether a value hardly occurs, as slips of the pen or of a program do."""
    return found.max_share < STRAY_SHARE or (
        found.num_solid == 0
        and found.num_pixels <= STRAY_PX * found.num_files
        and found.max_share < MAX_SHARE_OF_STRAY_PX
    )


def is_slip(found: ValueStatistics) -> bool:
    """Whether a value hardly occurs and nowhere fills even the smallest area."""
    return found.num_solid == 0 and is_stray(found)


def slips(view: View) -> list[int]:
    """Of few values, those that are no class but single stray pixels beside classes of areas.

    Where no class but the background fills areas, single pixels may be what was marked. Background
    and void are no classes, however few their pixels.
    """
    values = view.values
    candidates = [value for value in values if value not in (0, VOID_VALUE)]
    if not 2 < len(values) <= MAX_FEW or not any(
        found.solid_share >= MIN_SOLID_SHARE for value, found in values.items() if value
    ):
        return []
    return [value for value in candidates if is_slip(values[value])]


def _are_one_level(statistics: MaskStatistics, one: int, other: int) -> bool:
    if 0 in (one, other):
        # What lies in the background of the same mask, however small, is no background.
        return statistics.are_apart(one, other)
    return not statistics.occur_together(one, other)


def _levels(groups: Sequence[Sequence[int]], view: View) -> Levels:
    listed = sum(view.values[value].num_pixels for group in groups for value in group)
    share_between = (view.num_pixels - listed) / view.num_pixels
    return Levels(tuple(sorted(tuple(group) for group in groups)), share_between)


def in_lines(view: View, candidates: Collection[int], max_share: float) -> list[int]:
    """The candidates that lie in lines and cover at most a share of the pixels."""
    values = view.values
    return [
        value
        for value in candidates
        if values[value].solid_share < MIN_SOLID_SHARE
        and values[value].num_pixels <= max_share * view.num_pixels
    ]
