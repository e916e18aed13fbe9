"""Findings about classes: how much there is of each, and in which part of the split."""

from collections.abc import Iterator, Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from engine.datasets.findings import Finding, Fix
from engine.notes import Note
from engine.store.datasets import ClassEntry, Sample
from engine.store.runs import SPLIT_NAMES

FULL_SHARE = 0.99
"""A mask with so much of one foreground class is full."""
RARE_SHARE, RARE_SAMPLES = 0.001, 3
"""A class with a smaller share of the pixels, or in fewer samples, is hardly learned."""

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
        note = Note(
            "The class “{name}” covers {percent:.0f} % of the pixels. A network that predicts it "
            "everywhere would score Dice {dice:.3f}. If the other part is what you are after, "
            "swap background and foreground.",
            {"name": entry.name, "percent": 100 * share, "dice": 2 * share / (1 + share)},
        )
        yield Finding(
            key="majority_class", severity="warning", note=note, fix=Fix("swap_background")
        )


def _rare_classes(samples: _Samples, classes: _Classes) -> Iterator[Finding]:
    shares = _shares(samples)
    for entry, holders in zip(classes, _holders(samples), strict=True):
        share = shares[entry.index]
        if entry.background:
            continue
        if share < RARE_SHARE or len(holders) < RARE_SAMPLES:
            note = Note(
                "The class “{name}” is rare: {percent:.2g} % of the pixels, in {num} samples. "
                "Expect little of it; merge it with another class, or add samples of it.",
                {"name": entry.name, "num": len(holders), "percent": 100 * share},
            )
            yield Finding(
                key="rare_class", severity="warning", note=note, samples=_positions(holders)
            )


def _missing_classes(samples: _Samples, classes: _Classes) -> Iterator[Finding]:
    parts = {sample.split for sample in samples}
    for entry, holders in zip(classes, _holders(samples), strict=True):
        missing = [p for p in SPLIT_NAMES if p in parts - {sample.split for sample in holders}]
        # Without its only foreground class a part has only empty masks, which is said there.
        is_only_one = [entry] == _foreground(classes)
        if holders and missing and not is_only_one:
            note = Note(
                "The class “{name}” does not occur in: {parts}. Split stratified, so that every "
                "part has its share.",
                {"name": entry.name, "parts": ", ".join(missing)},
            )
            yield Finding(
                key="missing_class_in_split",
                severity="warning",
                note=note,
                samples=_positions(holders),
            )


def _empty_masks(samples: _Samples, classes: _Classes) -> Iterator[Finding]:
    empty = _where(_foreground_pixels(samples, classes) == 0, samples)
    if empty:
        note = Note(
            "{num} of {total} masks are empty: they hold no foreground.",
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


def _holders(samples: _Samples) -> list[list[Sample]]:
    """The samples in which a class occurs, by class."""
    occurs = _pixels(samples) > 0
    return [_where(column, samples) for column in occurs.T]


def _where(applies: NDArray[np.bool_], samples: _Samples) -> list[Sample]:
    return list(compress(samples, applies.tolist()))


def _positions(samples: _Samples) -> tuple[int, ...]:
    return tuple(sample.position for sample in samples)
