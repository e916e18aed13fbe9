"""What a dataset's samples add up to: pure functions of what is stored of each sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.datasets.plan import parse_plan
from engine.store.datasets import ClassEntry, Dataset, Sample
from engine.store.runs import SPLIT_NAMES
from pages.common import links
from pages.common.review.classes import values_text
from pages.common.texts import _, split_word

_MAX_BINS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What some of the samples hold."""

    num_samples: int
    class_share: tuple[float, ...]
    """Share of the pixels that count, by class index."""
    images_showing: tuple[int, ...]
    """Samples with at least one pixel of the class, by class index."""
    class_pixels: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Samples that a split never divides."""

    name: str
    positions: tuple[int, ...]
    splits: tuple[str, ...]
    """The parts they are in; one, unless the archive's own folders divide the group."""


def parts_of(dataset: Dataset, samples: Sequence[Sample]) -> dict[str, Part]:
    """What each part of the split holds that has samples, and last, under “all”, the whole."""
    pixels = np.array([sample.class_pixels for sample in samples], dtype=np.int64)
    pixels = pixels.reshape(len(samples), len(dataset.classes))
    split = np.array([sample.split for sample in samples])
    chosen = {name: split == name for name in SPLIT_NAMES} | {"all": np.ones(len(samples), bool)}
    return {name: _part(pixels[rows]) for name, rows in chosen.items() if rows.any()}


def _part(pixels: NDArray[np.int64]) -> Part:
    totals = pixels.sum(axis=0)
    return Part(
        num_samples=len(pixels),
        class_share=tuple((totals / max(1, totals.sum())).tolist()),
        images_showing=tuple((pixels > 0).sum(axis=0).tolist()),
        class_pixels=tuple(totals.tolist()),
    )


def groups_of(samples: Sequence[Sample]) -> list[Group]:
    """The groups with a name, the largest first."""
    members: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.group is not None:
            members.setdefault(sample.group, []).append(sample)
    groups = [
        Group(
            name=name,
            positions=tuple(sample.position for sample in group),
            splits=tuple(part for part in SPLIT_NAMES if any(s.split == part for s in group)),
        )
        for name, group in members.items()
    ]
    return sorted(groups, key=lambda group: -len(group.positions))


def fold_sizes(samples: Sequence[Sample]) -> dict[int, int]:
    """How many samples validate in each fold; empty when the split has none."""
    folds = [sample.fold for sample in samples if sample.fold is not None]
    return {fold: folds.count(fold) for fold in sorted(set(folds))}


def num_objects(sample: Sample) -> int | None:
    """Objects in the mask: those that were numbered, else connected parts; None if not counted."""
    counted = sample.facts.get("num_instances")
    return sample.facts.get("num_objects") if counted is None else counted


def mean_object_px(sample: Sample, classes: Sequence[ClassEntry]) -> float | None:
    """Mean size of the objects of a sample in pixels; None without any."""
    num = num_objects(sample)
    if not num:
        return None
    foreground = sum(sample.class_pixels[entry.index] for entry in classes if not entry.background)
    return foreground / num


def histogram(
    values: Sequence[float], *, logarithmic: bool = False
) -> tuple[list[float], list[float], list[int]]:
    """Left edges, right edges and counts of the bins that the values fall into.

    Whole numbers of a narrow range have a bin each.
    """
    array = np.asarray(values, dtype=np.float64)
    if logarithmic and array.min() > 0:
        low, high = np.log10(array.min()), np.log10(array.max())
        edges = np.logspace(low, max(high, low + 0.1), _num_bins(array) + 1)
        # The ends are rounded by the powers, but belong to the outermost bins.
        edges[0], edges[-1] = min(edges[0], array.min()), max(edges[-1], array.max())
    elif np.array_equal(array, array.round()) and np.ptp(array) < _MAX_BINS:
        edges = np.arange(array.min() - 0.5, array.max() + 1.5)
    else:
        spread = max(float(np.ptp(array)), 1e-6)
        edges = np.linspace(array.min(), array.min() + spread, _num_bins(array) + 1)
    counts, edges = np.histogram(array, edges)
    return edges[:-1].tolist(), edges[1:].tolist(), counts.tolist()


def _num_bins(values: NDArray[np.float64]) -> int:
    """More values fill more bins."""
    return int(np.clip(np.sqrt(len(values)) * 1.5, 5, _MAX_BINS))


def samples_table(
    dataset: Dataset,
    shown: Sequence[Sample],
    names: Sequence[str],
    findings: Mapping[int, Sequence[str]],
) -> pd.DataFrame:
    """One row per sample.

    Args:
        shown: the samples, in the order of the rows.
        names: by position.
        findings: words for what was found, by position.
    """
    columns: dict[str, list[Any]] = {
        "thumb": [links.dataset_file(dataset.id, "thumbs", f"{each.stem}.webp") for each in shown],
        "sample": [names[each.position] for each in shown],
        "split": [split_word(each.split) for each in shown],
    }
    if any(findings.get(each.position) for each in shown):
        columns["findings"] = [", ".join(findings.get(each.position, ())) for each in shown]
    columns["size"] = [f"{each.width}×{each.height}" for each in shown]
    if any(each.group is not None for each in shown):
        columns["group"] = [each.group for each in shown]
    if any(each.facts for each in shown):
        columns["objects"] = [num_objects(each) for each in shown]
    for entry in dataset.classes:
        columns[f"class_{entry.index}"] = [
            100 * each.class_pixels[entry.index] / max(sum(each.class_pixels), 1) for each in shown
        ]
    return pd.DataFrame(columns)


def samples_csv(
    dataset: Dataset, shown: Sequence[Sample], findings: Mapping[int, Sequence[str]]
) -> str:
    """A CSV file of samples with everything that is stored of them, for other programs.

    Args:
        findings: keys of what was found, by position.
    """
    rows = [
        {
            "position": each.position,
            "sample": each.name,
            "width": each.width,
            "height": each.height,
            "split": each.split,
            "fold": each.fold,
            "group": each.group,
            "twins": each.twins,
        }
        | {f"pixels:{e.name}": each.class_pixels[e.index] for e in dataset.classes}
        | {name: value for name, value in each.facts.items() if _is_for_people(name, value)}
        | {"findings": " ".join(findings.get(each.position, ()))}
        for each in shown
    ]
    # Nullable types write whole numbers as such where some are missing.
    return pd.DataFrame(rows).convert_dtypes().to_csv(index=False)


def _is_for_people(name: str, value: object) -> bool:
    """Whether a measurement says something by itself."""
    return not isinstance(value, dict | list) and name not in ("fingerprint", "mask_hash")


def value_word(dataset: Dataset, entry: ClassEntry) -> str:
    """What a class is in the imported masks, as the import was told to read them."""
    masks = parse_plan(dataset.plan).masks if dataset.plan else None
    if masks is None:
        return str(entry.source_value)
    names = {rule.name for rule in masks.classes if entry.source_value in rule.values}
    return ", ".join(values_text(masks, rule) for rule in masks.classes if rule.name in names)


def sizes_words(samples: Sequence[Sample]) -> str:
    """The sizes of the images in a few words."""
    widths = [sample.width for sample in samples]
    heights = [sample.height for sample in samples]
    if len(set(zip(widths, heights, strict=True))) == 1:
        return _("All images have {width}×{height} pixels.").format(
            width=widths[0], height=heights[0]
        )
    return _("Widths from {w0} to {w1}, heights from {h0} to {h1} pixels.").format(
        w0=min(widths), w1=max(widths), h0=min(heights), h1=max(heights)
    )
