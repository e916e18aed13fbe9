"""Findings about classes: how much there is of each, and in which part of the split."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from engine.datasets.quality.facts import SampleFacts
from engine.datasets.quality.findings import Finding, Fix
from engine.notes import Note
from engine.store.datasets import ClassEntry, Sample
from engine.store.runs import SPLIT_NAMES

FULL_SHARE = 0.99
"""A mask with so much of one foreground class is full."""
RARE_SHARE, RARE_SAMPLES = 0.001, 3
"""A class with a smaller share of the pixels, or in fewer samples, is hardly learned."""
MAX_SINGLE_CLASSES = 3
"""Of more classes than this, one finding names them all."""

_Samples = Sequence[Sample]
_Classes = Sequence[ClassEntry]


def class_findings(samples: _Samples, classes: _Classes) -> Iterator[Finding]:
    """What is noticed about the classes of a dataset.

    Args:
        samples: at least one.
    """
    for check in (
        _no_background,
        _majority_class,
        _rare_classes,
        _missing_classes,
        _empty_masks,
        _empty_parts,
        _full_masks,
    ):
        yield from check(samples, classes)


def _no_background(samples: _Samples, classes: _Classes) -> Iterator[Finding]:
    if not any(entry.background for entry in classes):
        note = Note(
            "No class is the background, so every class counts in the scores. If one of them is "
            "what surrounds the objects, make it the background."
        )
        yield Finding(key="no_background", severity="note", note=note)


def _majority_class(samples: _Samples, classes: _Classes) -> Iterator[Finding]:
    foreground = _foreground(classes)
    if len(classes) != 2 or len(foreground) != 1:
        return
    (entry,) = foreground
    share = _shares(samples)[entry.index]
    if share > 0.5:
        # Predicted everywhere: tp = p, fp = 1 - p, fn = 0, so Dice = 2p / (2p + 1 - p).
        facts = {"name": entry.name, "percent": 100 * share, "dice": 2 * share / (1 + share)}
        note = Note(
            "The class “{name}” covers {percent:.0f} % of the pixels. A network that predicts it "
            "everywhere would score Dice {dice:.3f}. If the other part is what you are after, "
            "swap background and foreground.",
            facts,
        )
        border_share = _border_share(samples)
        if border_share > 0.5:
            note = Note(
                "The masks look inverted: the class “{name}” covers {percent:.0f} % of the pixels "
                "and {border_percent:.0f} % of the borders. A network that predicts it everywhere "
                "would score Dice {dice:.3f}. If the other part is what you are after, swap "
                "background and foreground.",
                facts | {"border_percent": 100 * border_share},
            )
        yield Finding(
            key="majority_class", severity="warning", note=note, fix=Fix("swap_background")
        )


def _rare_classes(samples: _Samples, classes: _Classes) -> Iterator[Finding]:
    shares = _shares(samples)
    rare = [
        (entry, holders)
        for entry, holders in zip(classes, _holders(samples), strict=True)
        if not entry.background
        and (shares[entry.index] < RARE_SHARE or len(holders) < RARE_SAMPLES)
    ]
    if len(rare) > MAX_SINGLE_CLASSES:
        note = Note(
            "{num} classes are rare, each below {percent:.2g} % of the pixels or in fewer than "
            "{limit} samples: {name}. Expect little of them; merge them with others, or add "
            "samples of them.",
            {
                "num": len(rare),
                "percent": 100 * RARE_SHARE,
                "limit": RARE_SAMPLES,
                "name": _names(entry for entry, _ in rare),
            },
        )
        yield _about_classes("rare_class", note, [holders for _, holders in rare])
        return
    for entry, holders in rare:
        note = Note(
            "The class “{name}” is rare: {percent:.2g} % of the pixels, in {num} samples. "
            "Expect little of it; merge it with another class, or add samples of it.",
            {"name": entry.name, "num": len(holders), "percent": 100 * shares[entry.index]},
        )
        yield _about_classes("rare_class", note, [holders])


def _missing_classes(samples: _Samples, classes: _Classes) -> Iterator[Finding]:
    parts = {sample.split for sample in samples}
    found: list[tuple[ClassEntry, list[Sample], Sequence[str]]] = []
    for entry, holders in zip(classes, _holders(samples), strict=True):
        lacking = parts - {sample.split for sample in holders}
        absent = [part for part in SPLIT_NAMES if part in lacking]
        # Without its only foreground class a part has only empty masks, which is said there.
        is_only_one = [entry] == _foreground(classes)
        if holders and absent and not is_only_one:
            found.append((entry, holders, absent))
    if len(found) > MAX_SINGLE_CLASSES:
        note = Note(
            "{num} classes do not occur in every part of the split: {name}. Split stratified, so "
            "that every part has its share, or merge classes.",
            {"num": len(found), "name": _names(entry for entry, _, _ in found)},
        )
        yield _about_classes("missing_class_in_split", note, [holders for _, holders, _ in found])
        return
    for entry, holders, missing in found:
        note = Note(
            "The class “{name}” does not occur in: {parts}. Split stratified, so that every "
            "part has its share.",
            {"name": entry.name, "parts": ", ".join(missing)},
        )
        yield _about_classes("missing_class_in_split", note, [holders])


def _about_classes(key: str, note: Note, holders: Sequence[_Samples]) -> Finding:
    """A warning about one or several classes and the samples that hold them."""
    positions = {sample.position for members in holders for sample in members}
    return Finding(key=key, severity="warning", note=note, samples=tuple(sorted(positions)))


def _names(entries: Iterable[ClassEntry]) -> str:
    return ", ".join(entry.name for entry in entries)


def _empty_masks(samples: _Samples, classes: _Classes) -> Iterator[Finding]:
    empty = _where(_foreground_pixels(samples, classes) == 0, samples)
    if empty:
        note = Note(
            "{num} of {total} masks are empty: they hold no foreground. They stay, as examples "
            "without an object.",
            {"num": len(empty), "total": len(samples)},
        )
        yield Finding(key="empty_masks", severity="note", note=note, samples=_positions(empty))


def _empty_parts(samples: _Samples, classes: _Classes) -> Iterator[Finding]:
    foreground = _foreground_pixels(samples, classes)
    for part in SPLIT_NAMES:
        places = [place for place, sample in enumerate(samples) if sample.split == part]
        members = [samples[place] for place in places]
        if members and not foreground[places].any():
            note = Note(
                "All {num} masks of the part “{part}” are empty, so it says nothing about how well "
                "the foreground is found. Make another split.",
                {"num": len(members), "part": part},
            )
            yield Finding(
                key="all_empty_in_split", severity="warning", note=note, samples=_positions(members)
            )


def _full_masks(samples: _Samples, classes: _Classes) -> Iterator[Finding]:
    pixels = _pixels(samples)
    largest = pixels[:, [entry.index for entry in _foreground(classes)]].max(axis=1)
    is_full = largest >= FULL_SHARE * np.maximum(1, pixels.sum(axis=1))
    full = _where(is_full, samples)
    if full:
        note = Note(
            "One class covers nearly all of the mask in {num} of {total} samples, such as "
            "“{example}”. Check that these masks are complete.",
            {"num": len(full), "total": len(samples), "example": full[0].name},
        )
        yield Finding(key="full_masks", severity="warning", note=note, samples=_positions(full))


def _foreground(classes: _Classes) -> list[ClassEntry]:
    return [entry for entry in classes if not entry.background]


def _pixels(samples: _Samples) -> NDArray[np.int64]:
    """Pixels of each class, shape (sample, class)."""
    return np.array([sample.class_pixels for sample in samples], dtype=np.int64)


def _foreground_pixels(samples: _Samples, classes: _Classes) -> NDArray[np.int64]:
    """Pixels of each sample that are not background."""
    total: NDArray[np.int64] = _pixels(samples)[
        :, [entry.index for entry in _foreground(classes)]
    ].sum(axis=1)
    return total


def _shares(samples: _Samples) -> list[float]:
    """Share of each class in the pixels that count."""
    totals = _pixels(samples).sum(axis=0)
    shares: list[float] = (totals / max(1, totals.sum())).tolist()
    return shares


def _border_share(samples: _Samples) -> float:
    """Share of foreground on the borders, over the samples of which it is known; else 0."""
    facts = (SampleFacts.from_dict(sample.facts) for sample in samples)
    known = [f.border_share for f in facts if f is not None and f.border_share is not None]
    return sum(known) / max(1, len(known))


def _holders(samples: _Samples) -> list[list[Sample]]:
    """The samples in which a class occurs, by class."""
    occurs = _pixels(samples) > 0
    return [_where(column, samples) for column in occurs.T]


def _where(applies: NDArray[np.bool_], samples: _Samples) -> list[Sample]:
    return list(compress(samples, applies.tolist()))


def _positions(samples: _Samples) -> tuple[int, ...]:
    return tuple(sample.position for sample in samples)
