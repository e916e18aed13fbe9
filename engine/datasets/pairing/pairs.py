"""Pairs as they are handed out: with the names of their samples and their splits."""

from collections import Counter
from collections.abc import Sequence

from engine.datasets.pairing.names import Picture, without_suffix
from engine.datasets.pairing.types import Ambiguous, Pair

Matches = Sequence[tuple[Picture, Sequence[Picture]]]
"""Images with their masks."""


def make_pairs(matches: Matches) -> tuple[Pair, ...]:
    """The pairs of images and masks, in natural order of their samples.

    Folders say a split only where they divide the pairs: what all lie in is no part of anything,
    and pairs that are in no part are for training.
    """
    in_order = sorted(matches, key=lambda match: match[0].position)
    splits = [image.folder.split for image, _ in in_order]
    divides = len({split or "train" for split in splits}) > 1
    names = _sample_names([image.name for image, _ in in_order])
    return tuple(
        Pair(name, image.name, tuple(mask.name for mask in masks), split if divides else None)
        for name, (image, masks), split in zip(names, in_order, splits, strict=True)
    )


def make_ambiguous(found: Matches) -> tuple[Ambiguous, ...]:
    """Images that were not taken, with what they might have been taken with."""
    return tuple(
        Ambiguous(image.name, tuple(mask.name for mask in masks)) for image, masks in found
    )


def _sample_names(images: Sequence[str]) -> list[str]:
    """The images' paths without their suffix, or with it where that alone tells them apart."""
    names = [without_suffix(image) for image in images]
    times = Counter(name.casefold() for name in names)
    return [
        name if times[name.casefold()] == 1 else image
        for name, image in zip(names, images, strict=True)
    ]
