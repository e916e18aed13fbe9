"""Units: samples that a split never divides, and how parts of a wanted size are made of them.

A unit is a list of places in a list of samples, ascending.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.errors import BadData

Unit = list[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The units of each part of a split."""

    train: list[Unit] = field(default_factory=list)
    val: list[Unit] = field(default_factory=list)
    test: list[Unit] = field(default_factory=list)


def find_units(keys: Sequence[tuple[object | None, object | None]]) -> list[Unit]:
    """Join what has the same first or the same second key; by first member, each place once.

    Args:
        keys: of each sample, such as its group and its cluster of duplicates; None joins nothing.
    """
    leaders = list(range(len(keys)))

    def leader_of(place: int) -> int:
        while leaders[place] != place:
            leaders[place] = leaders[leaders[place]]
            place = leaders[place]
        return place

    first_with: dict[tuple[int, object], int] = {}
    for place, both in enumerate(keys):
        for kind, key in enumerate(both):
            if key is not None:
                one = leader_of(first_with.setdefault((kind, key), place))
                other = leader_of(place)
                # The earliest leads, so that a unit's name does not depend on the order of joins.
                leaders[max(one, other)] = min(one, other)
    units: dict[int, Unit] = {}
    for place in range(len(keys)):
        units.setdefault(leader_of(place), []).append(place)
    return list(units.values())


def size_of(units: Sequence[Unit]) -> int:
    """How many samples the units hold."""
    return sum(map(len, units))


def check_units(units: Sequence[Unit], groups: Sequence[str | None]) -> None:
    """Refuse samples that cannot be divided at all.

    Args:
        groups: of each sample, to say what keeps them together.

    Raises:
        BadData: there are fewer than two units.
    """
    if len(units) >= 2:
        return
    named = Counter(groups[place] for unit in units for place in unit)
    del named[None]
    if named:
        raise BadData(
            "All {num} samples belong together (group “{group}”), so they cannot be divided into "
            "training and validation. Import more groups, or group them differently.",
            num=size_of(units),
            group=named.most_common(1)[0][0],
        )
    raise BadData(
        "All {num} samples are copies of one image, so they cannot be divided into training and "
        "validation. Import other images as well.",
        num=size_of(units),
    )


def take_units(
    units: Sequence[Unit], num_samples: int, *, num_kept: int
) -> tuple[list[Unit], list[Unit]]:
    """Take units with as nearly so many samples as whole units allow, at least one unit.

    Of the ways to do so, the one that needs the fewest of the first units is taken; units of one
    sample are simply taken in order.

    Args:
        units: more than `num_kept`.
        num_kept: units that are left at least, even if that leaves the wanted number unreached.

    Returns:
        Those taken, and the rest, both in their order.
    """
    # More than twice the wanted number is worse than a single unit, whatever its size.
    smallest = min(map(len, units))
    limit = max(2 * num_samples, smallest)
    # The unit by which each number of samples is first reached; those before it reach the rest.
    reached_by = np.full(limit + 1, -1)
    is_reached = np.zeros(limit + 1, np.bool_)
    is_reached[0] = True
    for place, unit in enumerate(units):
        size = len(unit)
        if size <= limit:
            is_new = np.zeros_like(is_reached)
            is_new[size:] = is_reached[: limit + 1 - size] & ~is_reached[size:]
            reached_by[is_new] = place
            is_reached |= is_new
        if is_reached[num_samples]:
            break
    sums = np.flatnonzero(is_reached)[1:]
    best = int(sums[np.abs(sums - num_samples).argmin()])
    taken: list[int] = []
    while best:
        taken.append(int(reached_by[best]))
        best -= len(units[taken[-1]])
    num_too_many = len(taken) - (len(units) - num_kept)
    for place in sorted(taken, key=lambda place: len(units[place]))[: max(0, num_too_many)]:
        taken.remove(place)
    chosen = set(taken)
    return (
        [unit for place, unit in enumerate(units) if place in chosen],
        [unit for place, unit in enumerate(units) if place not in chosen],
    )


def stratified(
    units: Sequence[Unit], classes: Sequence[frozenset[int]], num_val: int, num_test: int
) -> Parts:
    """Divide units so that each part has its share of the units with each class.

    Each class, the rarest first, is first given to every part that lacks it, where that is
    possible. The others are ordered by their classes, and each goes to the part with room for it
    that is most behind its share: neighbours in this order are alike, so every part gets some of
    each kind. What has room nowhere is trained on.

    Args:
        units: in the order in which equals are taken.
        classes: that occur in each unit.
        num_val: samples to validate on, at least 1.
        num_test: samples to test on; with 0 there are none.
    """
    total = size_of(units)
    wanted = {"train": total - num_val - num_test, "val": num_val, "test": num_test}
    open_parts = [part for part, num in wanted.items() if num]
    part_of: dict[int, str] = {}
    sizes = dict.fromkeys(wanted, 0)
    found: dict[str, set[int]] = {part: set() for part in wanted}

    def give(place: int, part: str) -> None:
        part_of[place] = part
        sizes[part] += len(units[place])
        found[part] |= classes[place]

    holders: dict[int, list[int]] = {}
    for place, present in enumerate(classes):
        for each in present:
            holders.setdefault(each, []).append(place)
    rarest_first = sorted(holders, key=lambda each: (len(holders[each]), each))
    for each in rarest_first:
        for part in open_parts:
            if each not in found[part]:
                room = wanted[part] - sizes[part]
                free = [p for p in holders[each] if p not in part_of and len(units[p]) <= room]
                if free:
                    give(min(free, key=lambda place: len(units[place])), part)
    rank = {each: number for number, each in enumerate(rarest_first)}
    kinds = [sorted(rank[each] for each in present) for present in classes]
    for place in sorted(range(len(units)), key=lambda place: (not kinds[place], kinds[place])):
        if place not in part_of:
            size = len(units[place])
            done = (sum(sizes.values()) + size) / total
            with_room = [p for p in open_parts if size <= wanted[p] - sizes[p]] or ["train"]
            give(place, max(with_room, key=lambda part: wanted[part] * done - sizes[part]))
    parts = {part: [units[p] for p in sorted(part_of) if part_of[p] == part] for part in wanted}
    for part in open_parts:
        if not parts[part]:
            donor = max(open_parts, key=lambda other: len(parts[other]))
            smallest = min(parts[donor], key=len)
            parts[donor].remove(smallest)
            parts[part].append(smallest)
    return Parts(train=parts["train"], val=parts["val"], test=parts["test"])
