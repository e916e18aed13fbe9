"""Which samples are trained on, validated on and tested on.

What belongs together (a group, the copies of one image) is a *unit*, and no split divides a unit;
only folders that the archive itself divided are kept as they are. Samples without company are
units of one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.config import SplitConfig
from engine.datasets.splits.units import (
    Parts,
    check_units,
    find_units,
    size_of,
    stratified,
    take_units,
)
from engine.errors import BadData, BadSetting
from engine.store.datasets import Sample, SplitName
from engine.store.runs import SPLIT_NAMES, Split

Units = list[list[int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """What a split has to know of a sample."""

    folder_split: SplitName | None
    """What the archive's folders say."""
    group: str | None
    twins: int | None
    """Number of its cluster of duplicates."""
    classes: frozenset[int]
    """Classes that occur in its mask."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """The part of each sample."""

    split: tuple[SplitName, ...]
    fold: tuple[int | None, ...]
    """Of a k-fold split, the fold in which it validates, from 1; None for test samples, and in
    every other split."""


def make_split(members: Sequence[Member], config: SplitConfig) -> Assignment:
    """Divide samples into train, val and test; the same input gives the same split.

    Every sample is in exactly one part. There is always at least one training and one validation
    sample; with a test share, and three units or more, at least one test sample. The parts come
    as close to their shares as whole units allow.

    * “dataset” keeps what folders say, where any says something; samples in no such folder are
      trained on. Without validation samples, the validation share is cut from the training
      samples. Where no folder says anything, it is “random”.
    * “random” shuffles the units, takes the validation, then the test samples.
    * “stratified” also gives each part its share of the units in which a class occurs, of rare
      classes first.
    * “interleaved” holds out the last of every n units in natural order, n being one over the
      shares' sum, rounded, and at least 2; validation and test units alternate among them. Units
      larger than the validation share are left out of the counting, and trained on.
    * “k_fold” takes the test samples as “random” does, where units suffice, and divides the rest
      into folds of about the same size. `config.fold` validates.

    Args:
        members: in natural order.

    Raises:
        BadData: there are too few samples or units.
        BadSetting: there is no such fold.
    """
    if len(members) < 2:
        raise BadData(
            "The dataset has {num} sample; at least 2 are needed, one to train on and one to "
            "validate on. Import more.",
            num=len(members),
        )
    method = config.split_method
    units = find_units([(member.group, member.twins) for member in members])
    if method == "dataset":
        if any(member.folder_split for member in members):
            return _from_folders(members, units, config)
        method = "random"
    check_units(units, [member.group for member in members])
    if method == "k_fold":
        return _k_fold(units, config)
    return _assignment(_METHODS[method](units, members, config))


def split_of_run(samples: Sequence[Sample], config: SplitConfig) -> Split:
    """The split that a run with these settings has: sample positions by part, ascending.

    “dataset” is the stored split, in the fold that is asked for.

    Args:
        samples: of the dataset, in natural order.

    Raises:
        BadData: there are too few samples or units for a new split, or the stored one has no
            training or no validation samples.
        BadSetting: there is no such fold.
    """
    parts: Sequence[SplitName]
    if config.split_method == "dataset":
        parts = _stored(samples, config)
    else:
        members = [
            Member(
                folder_split=None,
                group=sample.group,
                twins=sample.twins,
                classes=frozenset(i for i, pixels in enumerate(sample.class_pixels) if pixels),
            )
            for sample in samples
        ]
        parts = make_split(members, config).split
    _check_parts(parts)
    return {
        name: [s.position for s, part in zip(samples, parts, strict=True) if part == name]
        for name in SPLIT_NAMES
    }


def _check_parts(parts: Sequence[SplitName]) -> None:
    """Refuse a stored split that nothing can be trained with."""
    for part, word in (("train", "training"), ("val", "validation")):
        if part not in parts:
            raise BadData(
                "The dataset's split has no {part} samples; a training needs at least 1 of them "
                "among its {num}. Import more, or make a version with another split.",
                part=word,
                num=len(parts),
            )


def leaks(samples: Sequence[Sample], split: Split) -> list[tuple[int, ...]]:
    """Clusters of duplicates that a split divides, as positions of their members."""
    part_of = {position: part for part, positions in split.items() for position in positions}
    clusters: dict[int, list[int]] = {}
    for sample in samples:
        if sample.twins is not None and sample.position in part_of:
            clusters.setdefault(sample.twins, []).append(sample.position)
    return [
        tuple(cluster)
        for cluster in clusters.values()
        if len({part_of[position] for position in cluster}) > 1
    ]


def _stored(samples: Sequence[Sample], config: SplitConfig) -> list[SplitName]:
    num_folds = max((sample.fold for sample in samples if sample.fold is not None), default=0)
    if config.fold > max(1, num_folds):
        raise BadSetting(
            "The settings ask for fold {fold}, but the dataset's split has {num} folds. Choose "
            "fold 1{more}, or make a version of the dataset with a k-fold split.",
            fold=config.fold,
            num=num_folds,
            more=f" to {num_folds}" if num_folds > 1 else "",
        )
    if not num_folds:
        return [sample.split for sample in samples]
    return [
        sample.split if sample.fold is None else "val" if sample.fold == config.fold else "train"
        for sample in samples
    ]


def _from_folders(members: Sequence[Member], units: Units, config: SplitConfig) -> Assignment:
    split: list[SplitName] = [member.folder_split or "train" for member in members]
    if "train" not in split:
        raise BadData(
            "The folders hold {num} samples to validate or test on, but none to train on. Import "
            "training samples as well, or choose another split method.",
            num=len(members),
        )
    if "val" not in split:
        in_train = [[place for place in unit if split[place] == "train"] for unit in units]
        candidates = [unit for unit in in_train if unit]
        check_units(candidates, [member.group for member in members])
        target = max(1, round(size_of(candidates) * config.val_share))
        shuffled = _shuffled(candidates, config)
        for unit in take_units(shuffled, target, num_kept=1)[0]:
            for place in unit:
                split[place] = "val"
    return Assignment(split=tuple(split), fold=(None,) * len(split))


def _targets(units: Units, config: SplitConfig) -> tuple[int, int]:
    """Samples to validate and to test on; none to test on where units are too few."""
    num_samples = size_of(units)
    num_val = max(1, round(num_samples * config.val_share))
    with_test = config.test_share > 0 and len(units) >= 3
    num_test = max(1, round(num_samples * config.test_share)) if with_test else 0
    while num_val + num_test >= num_samples:
        if num_test >= num_val:
            num_test -= 1
        else:
            num_val -= 1
    return num_val, num_test


def _random(units: Units, members: Sequence[Member], config: SplitConfig) -> Parts:
    num_val, num_test = _targets(units, config)
    shuffled = _shuffled(units, config)
    val, rest = take_units(shuffled, num_val, num_kept=2 if num_test else 1)
    test, train = take_units(rest, num_test, num_kept=1) if num_test else ([], rest)
    return Parts(train=train, val=val, test=test)


def _stratified(units: Units, members: Sequence[Member], config: SplitConfig) -> Parts:
    num_val, num_test = _targets(units, config)
    classes = [frozenset().union(*(members[place].classes for place in unit)) for unit in units]
    order = _permutation(len(units), config)
    return stratified(
        [units[place] for place in order], [classes[place] for place in order], num_val, num_test
    )


def _interleaved(units: Units, members: Sequence[Member], config: SplitConfig) -> Parts:
    with_test = config.test_share > 0 and len(units) >= 3
    test_share = config.test_share if with_test else 0.0
    held_share = config.val_share + test_share
    step = max(2, round(1 / held_share))
    num_needed = 2 if with_test else 1
    # A unit larger than the whole validation share is trained on, wherever it stands.
    num_val, _ = _targets(units, config)
    places = [place for place, unit in enumerate(units) if len(unit) <= num_val]
    if len(places) <= num_needed:
        places = list(range(len(units)))
    held_out = places[step - 1 :: step]
    if len(held_out) < num_needed:
        held_out = [places[ordinal - 1] for ordinal in _spread(num_needed, len(places))]
    num_test = 0
    if with_test:
        num_test = round(len(held_out) * test_share / held_share)
        num_test = min(max(num_test, 1), len(held_out) - 1)
    test = {held_out[ordinal - 1] for ordinal in _spread(num_test, len(held_out))}
    val = set(held_out) - test
    return Parts(
        train=[unit for place, unit in enumerate(units) if place not in val | test],
        val=[unit for place, unit in enumerate(units) if place in val],
        test=[unit for place, unit in enumerate(units) if place in test],
    )


def _k_fold(units: Units, config: SplitConfig) -> Assignment:
    if config.fold > config.num_folds:
        raise BadSetting(
            "The settings ask for fold {fold} of {num}. Choose one of the folds.",
            fold=config.fold,
            num=config.num_folds,
        )
    if len(units) < config.num_folds:
        raise BadSetting(
            "{num_folds} folds need as many samples or groups that may be divided; there are "
            "{num}. Choose fewer folds.",
            num_folds=config.num_folds,
            num=len(units),
        )
    test: Units = []
    rest = _shuffled(units, config)
    if config.test_share > 0 and len(units) > config.num_folds:
        num_test = max(1, round(size_of(units) * config.test_share))
        test, rest = take_units(rest, num_test, num_kept=config.num_folds)
    folds: list[Units] = [[] for _ in range(config.num_folds)]
    sizes = [0] * config.num_folds
    # The largest first, each into the smallest fold, makes folds of about the same size.
    for unit in sorted(rest, key=len, reverse=True):
        smallest = sizes.index(min(sizes))
        folds[smallest].append(unit)
        sizes[smallest] += len(unit)
    val = folds[config.fold - 1]
    train = [unit for fold in folds if fold is not val for unit in fold]
    split = _assignment(Parts(train=train, val=val, test=test)).split
    fold_of = {
        place: number
        for number, fold in enumerate(folds, start=1)
        for unit in fold
        for place in unit
    }
    return Assignment(split=split, fold=tuple(fold_of.get(place) for place in range(len(split))))


def _assignment(parts: Parts) -> Assignment:
    split: list[SplitName] = ["train"] * size_of([*parts.train, *parts.val, *parts.test])
    for unit in parts.val:
        for place in unit:
            split[place] = "val"
    for unit in parts.test:
        for place in unit:
            split[place] = "test"
    return Assignment(split=tuple(split), fold=(None,) * len(split))


def _shuffled(units: Units, config: SplitConfig) -> Units:
    return [units[place] for place in _permutation(len(units), config)]


def _permutation(num: int, config: SplitConfig) -> list[int]:
    generator = np.random.Generator(np.random.PCG64(config.split_seed))
    shuffled: list[int] = generator.permutation(num).tolist()
    return shuffled


def _spread(num: int, total: int) -> list[int]:
    """`num` of the numbers 1…total, evenly spread, the last one among them."""
    return [-(-ordinal * total // num) for ordinal in range(1, num + 1)]


_METHODS: dict[str, Callable[[Units, Sequence[Member], SplitConfig], Parts]] = {
    "random": _random,
    "stratified": _stratified,
    "interleaved": _interleaved,
}
