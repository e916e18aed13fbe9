"""Finding the images that a mask's name points to, without comparing all with all."""

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from engine.datasets.pairing import words
from engine.datasets.pairing.affixes import MAX_CUT, learned_affixes
from engine.datasets.pairing.edges import Edge, Level, misfit, split_extra
from engine.datasets.pairing.names import Folder, Picture, Tokens, num_shared

_MAX_CANDIDATES = 8
"""More images than this for one mask are no answer."""
_MAX_LOOKED_AT = 64
"""Images of one name from which it is not tried to find the likeliest."""

_IMAGE_ENDS = words.IMAGE_WORDS | set(words.SPLIT_WORDS)

_CHANNEL = re.compile(r"000[0-9]")

Key = Tokens | str
"""Tokens, or a file's whole stem."""


class Entry(NamedTuple):
    """An image under one of its keys."""

    level: Level
    image: Picture
    extra: Tokens
    """What the key leaves out, except for words that say image."""


class Reading(NamedTuple):
    """What a mask's name may have in common with its image's."""

    level: Level
    key: Key
    front: Tokens
    """What the mask's name has before it."""
    back: Tokens


class Images:
    """Images by what their names say, looked up by the names of masks."""

    def __init__(self, images: Sequence[Picture], *, with_zeros: bool = True) -> None:
        """
        Args:
            with_zeros: whether zeros before numbers tell names apart.
        """
        self._with_zeros = with_zeros
        self._by_place: dict[Tokens, dict[Key, list[Entry]]] = {}
        self._by_near_place: dict[Tokens, dict[Key, list[Entry]]] = {}
        self._around: dict[Key, dict[tuple[str, Tokens], list[Entry]]] = {}
        learned = learned_affixes(images)
        for image in images:
            folder = image.folder
            tables = [self._by_place.setdefault(folder.place, {})]
            if folder.near_place != folder.place:
                tables.append(self._by_near_place.setdefault(folder.near_place, {}))
            for key, entry in self._entries(image, learned[folder]):
                for table in tables:
                    table.setdefault(key, []).append(entry)

    @cached_property
    def _everywhere(self) -> dict[Key, list[Entry]]:
        found: dict[Key, list[Entry]] = {}
        for table in self._by_place.values():
            for key, entries in table.items():
                found.setdefault(key, []).extend(entries)
        return found

    @cached_property
    def _by_path(self) -> dict[bool, dict[Key, list[Entry]]]:
        """By the words of folders and file name, as if there were no folders: all images, and
        under True those that have folders."""
        found: dict[bool, dict[Key, dict[Picture, Entry]]] = {True: {}, False: {}}
        for table in self._by_place.values():
            for key, entries in table.items():
                if isinstance(key, str):
                    continue
                for entry in entries:
                    if entry.level > Level.WORDS:
                        continue
                    flat = entry._replace(level=Level.FLAT)
                    for above in _tails(entry.image.folder):
                        for has_folder in (False, True) if above else (False,):
                            own = found[has_folder].setdefault(above + key, {})
                            own.setdefault(entry.image, flat)
        return {
            has_folder: {path: list(own.values()) for path, own in by_path.items()}
            for has_folder, by_path in found.items()
        }

    def beside(self, mask: Picture) -> list[Edge]:
        """Edges to images in the mask's place, or in folders that the file names of the other
        side begin with; the surest reading of its name only."""
        found = self._in_place(mask)
        if found and found[0].level < Level.FLAT:
            return found
        return self._flattened(mask) or found

    def _flattened(self, mask: Picture) -> list[Edge]:
        """Edges between `p1/2` and `p1_2`, whichever of them is the mask."""
        if not self._with_zeros:
            return []
        folder = mask.folder
        for above in dict.fromkeys((*_tails(folder), ())):
            by_path = self._by_path[not above]
            for reading in _readings(mask, by_path, lambda rest: above + rest):  # noqa: B023
                path = reading.key
                if isinstance(path, str) or path == above or reading.level > Level.WORDS:
                    continue
                found = [each for each in by_path[path] if each.image.folder.place != folder.place]
                own = reading._replace(key=path[len(above) :])
                is_near = above in (folder.place, folder.near_place)
                edges = _edges(mask, own, found, is_near=is_near)
                if edges:
                    return edges
        return []

    def _in_place(self, mask: Picture) -> list[Edge]:
        folder = mask.folder
        places = list(dict.fromkeys((folder.place, folder.near_place)))
        tables = [
            table[place]
            for place in places
            for table in (self._by_place, self._by_near_place)
            if place in table
        ]
        for table in tables:
            for reading in self._readings(mask, table):
                found = table[reading.key]
                if not reading.key and not folder.place:
                    # Where everything is called alike, as `image.png` and `mask.png` are, only a
                    # folder for each sample keeps them apart.
                    found = [entry for entry in found if entry.image.folder is folder]
                edges = _edges(mask, reading, found, is_near=True)
                if edges:
                    return edges
        return []

    def anywhere(self, mask: Picture) -> list[Edge]:
        """Edges to the nearest images, the surest reading of the mask's name only."""
        for reading in self._readings(mask, self._everywhere):
            if reading.key:
                for near in self._nearest(reading.key, mask.folder.place):
                    edges = _edges(mask, reading, near, is_near=False)
                    if edges:
                        return edges
        return []

    def at_home(self, mask: Picture) -> list[Edge]:
        """Edges to the image that the mask's folder is called after."""
        if mask.folder.home is None:
            return []
        place, key = mask.folder.home
        tables = [self._by_place.get(place), self._by_near_place.get(place)]
        reading = Reading(Level.HOME, key, (), mask.tokens)
        for table in filter(None, tables):
            edges = _edges(mask, reading, table.get(key, ()), is_near=True)
            if edges:
                return edges
        return []

    def _entries(
        self, image: Picture, affixes: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[Key, Entry]]:
        for key, entry in _entries(image, affixes):
            if self._with_zeros:
                yield key, entry
            elif isinstance(key, tuple):
                yield without_zeros(key), entry

    def _readings(self, mask: Picture, keys: Container[Key]) -> Iterator[Reading]:
        if self._with_zeros:
            return _readings(mask, keys)
        return (
            reading._replace(level=Level.NUMBERS)
            for reading in _readings(mask, keys, without_zeros)
            if isinstance(reading.key, tuple)
        )

    def _nearest(self, key: Key, place: Tokens) -> Iterator[list[Entry]]:
        """The images of a key that share ever less of a place."""
        entries = self._everywhere[key]
        if len(entries) == 1:
            yield entries
            return
        around = self._around.get(key)
        if around is None:
            around = self._around[key] = defaultdict(list)
            for entry in entries:
                there = entry.image.folder.place
                for size in range(1, len(there) + 1):
                    around["end", there[-size:]].append(entry)
                    around["begin", there[:size]].append(entry)
        for size in range(len(place), 0, -1):
            for side, part in (("end", place[-size:]), ("begin", place[:size])):
                if (side, part) in around:
                    yield around[side, part]
        if len(entries) <= _MAX_CANDIDATES:
            yield entries


def _readings(
    mask: Picture, keys: Container[Key], written: Callable[[Tokens], Tokens] = tuple
) -> Iterator[Reading]:
    """What a mask's name may have in common with its image's, the closest first.

    Unless the mask's folder says that it is one, what is left of its name has to.

    Args:
        keys: those that images have; others are left out.
        written: how keys are written.
    """
    tokens, is_mask = mask.tokens, mask.folder.role == "mask"
    if is_mask:
        for same in (mask.plain_stem, written(tokens)):
            if same in keys:
                yield Reading(Level.SAME_NAME, same, (), ())
    for rest, front, back in _cuts(tokens):
        key = written(rest)
        if key not in keys or any(map(words.is_number, front)):
            continue
        extra = {*front, *back}
        if is_mask or not words.MASK_WORDS.isdisjoint(extra):
            is_known = all(words.is_known(word) or words.is_number(word) for word in extra)
            yield Reading(Level.WORDS if is_known else Level.EXTENDED, key, front, back)


def _tails(folder: Folder) -> Iterable[Tokens]:
    """The words of folders that a file name elsewhere may begin with: all, or the innermost."""
    inner = folder.home[1] if folder.home else ()
    return dict.fromkeys((folder.place, folder.near_place, inner))


def without_zeros(tokens: Tokens) -> Tokens:
    """Tokens in which 1 and 001 are the same."""
    return tuple((word.lstrip("0") or "0") if words.is_number(word) else word for word in tokens)


def _cuts(tokens: Tokens) -> Iterator[tuple[Tokens, Tokens, Tokens]]:
    """A name without ever more of its tokens: what is left, and what was before and behind it."""
    num = len(tokens)
    for cut in range(1, min(num, MAX_CUT + 1)):
        yield tokens[:-cut], (), tokens[num - cut :]
        yield tokens[cut:], tokens[:cut], ()
        if cut == 1:
            yield from _cuts_within(tokens)
    yield from _cuts_at_both_ends(tokens)
    if num and all(words.is_known(word) or words.is_number(word) for word in tokens):
        yield (), (), tokens


def _cuts_within(tokens: Tokens) -> Iterator[tuple[Tokens, Tokens, Tokens]]:
    """`p1_mask_7` is `p1_7`."""
    within = tuple(word for word in tokens[1:-1] if word in words.MASK_WORDS)
    if within:
        rest = tuple(word for word in tokens[1:-1] if word not in words.MASK_WORDS)
        yield (tokens[0], *rest, tokens[-1]), (), within


def _cuts_at_both_ends(tokens: Tokens) -> Iterator[tuple[Tokens, Tokens, Tokens]]:
    """`img_12_mask` is `12`."""
    num_front = _num_known(tokens)
    num_back = _num_known(tokens[::-1])
    for front in range(1, num_front + 1):
        for back in range(1, min(num_back, len(tokens) - 1 - front) + 1):
            yield tokens[front:-back], tokens[:front], tokens[len(tokens) - back :]


def _num_known(tokens: Sequence[str]) -> int:
    return next(
        (place for place, word in enumerate(tokens) if not words.is_known(word)), len(tokens)
    )


def _entries(image: Picture, affixes: Sequence[tuple[int, int]]) -> Iterator[tuple[Key, Entry]]:
    """The keys of an image."""
    tokens = image.tokens
    yield image.plain_stem, Entry(Level.SAME_NAME, image, ())
    yield tokens, Entry(Level.SAME_NAME, image, ())
    seen = {tokens}
    core = _without_ends(tokens)
    for key in (core, tuple(word for word in core if word not in words.IMAGE_WORDS)):
        if key not in seen:
            seen.add(key)
            yield key, Entry(Level.WORDS, image, ())
    # One of the channels that nnU-Net keeps apart: `case_7_0000` has the mask `case_7`.
    channel = [(0, 1)] if tokens and _CHANNEL.fullmatch(tokens[-1]) else []
    for num_front, num_back in (*affixes, *channel):
        key = tokens[num_front : len(tokens) - num_back]
        if key not in seen and key:
            seen.add(key)
            extra = tokens[:num_front] + tokens[len(tokens) - num_back :]
            yield key, Entry(Level.LEARNED, image, extra)


def _without_ends(tokens: Tokens) -> Tokens:
    start, end = 0, len(tokens)
    while start < end and tokens[start] in _IMAGE_ENDS:
        start += 1
    while start < end and tokens[end - 1] in _IMAGE_ENDS:
        end -= 1
    return tokens[start:end]


def _edges(
    mask: Picture, reading: Reading, entries: Sequence[Entry], *, is_near: bool
) -> list[Edge]:
    """Edges to the likeliest of the images that a reading of the mask's name found."""
    if len(entries) > _MAX_LOOKED_AT:
        return []
    numbers = [word for word in reading.back if words.is_number(word)]
    found = [
        entry
        for entry in entries
        if entry.image is not mask
        and _in_one_split(entry.image, mask)
        and _numbers_agree(entry.extra, numbers)
    ]
    if not found:
        return []
    extra, is_instance = split_extra(reading.front, reading.back)
    key = reading.key if isinstance(reading.key, tuple) else mask.tokens
    return [
        Edge(
            image=entry.image,
            mask=mask,
            level=max(reading.level, entry.level),
            is_near=is_near,
            key=key,
            extra=extra,
            image_extra=entry.extra,
            is_instance=is_instance,
        )
        for entry in _likeliest(mask, key, found)
    ]


def _in_one_split(image: Picture, mask: Picture) -> bool:
    splits = image.folder.split, mask.folder.split
    return None in splits or splits[0] == splits[1]


def _numbers_agree(image_extra: Tokens, numbers: Sequence[str]) -> bool:
    """`1_p3` and `1_p4` are two patients, not an image and its mask."""
    there = [word for word in image_extra if words.is_number(word)]
    return not there or not numbers or there == numbers


def _likeliest(mask: Picture, key: Tokens, entries: list[Entry]) -> list[Entry]:
    """The entries that no other one beats."""
    orders: tuple[Callable[[Entry], int], ...] = (
        lambda entry: entry.level,
        lambda entry: not entry.image.says_image,
        lambda entry: -_num_common_folders(entry.image.folder, mask.folder),
        lambda entry: misfit(entry.image, mask, key),
    )
    for order in orders:
        if len(entries) == 1:
            break
        values = [order(entry) for entry in entries]
        least = min(values)
        entries = [entry for entry, value in zip(entries, values, strict=True) if value == least]
    return entries if len(entries) <= _MAX_CANDIDATES else []


def _num_common_folders(one: Folder, other: Folder) -> int:
    """How many folders two paths begin and end with alike."""
    if one is other:
        return len(one.parts)
    front = num_shared([one.parts, other.parts])
    rests = [one.parts[: front - 1 : -1] if front else one.parts[::-1]]
    rests.append(other.parts[: front - 1 : -1] if front else other.parts[::-1])
    return front + num_shared(rests)
