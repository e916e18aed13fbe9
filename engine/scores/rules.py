"""The score rules, in one place. Every number on a page, in a file or in JSON comes from here.

* Counts tp, fp, fn are per sample and class, at the mask's original resolution, ignored pixels
  left out (`counts`).
* Dice = 2tp / (2tp + fp + fn); IoU = tp / (tp + fp + fn). A class that occurs in neither truth nor
  prediction has none (`None`), rather than 0 or 1 by accident.
* Image Dice = mean of Dice over the foreground classes that have one. An image in which no
  foreground class occurs in truth or prediction scores 1: a correct rejection.
* Mean image Dice (the headline) = mean of image Dice over the images.
* Pooled Dice = counts summed over the images first, then the same mean over foreground classes.
* Class Dice = mean of the class's Dice over the images that have one.
* Background is never averaged in; its own Dice is shown beside the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


class ClassCounts(Protocol):
    """Counts of one sample by class index; `engine.scores.counts.Counts` and stored scores fit."""

    @property
    def tp(self) -> tuple[int, ...]: ...
    @property
    def fp(self) -> tuple[int, ...]: ...
    @property
    def fn(self) -> tuple[int, ...]: ...


class ClassRow(Protocol):
    """What the rules need of a class table's row."""

    @property
    def index(self) -> int: ...
    @property
    def background(self) -> bool: ...


Ratio = Callable[[float, float, float], float | None]


def dice(tp: float, fp: float, fn: float) -> float | None:
    """2tp / (2tp + fp + fn), 0 to 1; None when all three are 0 (Dice 1945, doi:10.2307/1932409)."""
    total = 2 * tp + fp + fn
    return 2 * tp / total if total else None


def iou(tp: float, fp: float, fn: float) -> float | None:
    """tp / (tp + fp + fn), 0 to 1; None when all three are 0 (Jaccard index)."""
    total = tp + fp + fn
    return tp / total if total else None


def class_values(counts: ClassCounts, ratio: Ratio) -> list[float | None]:
    """The ratio of each class in one sample, by class index."""
    return [ratio(*each) for each in zip(counts.tp, counts.fp, counts.fn, strict=True)]


def image_value(counts: ClassCounts, classes: Sequence[ClassRow], ratio: Ratio) -> float:
    """Image Dice or image IoU of one sample; 1 for a correct rejection."""
    values = class_values(counts, ratio)
    return _mean([values[row.index] for row in classes if not row.background], when_empty=1.0)


def image_dice(counts: ClassCounts, classes: Sequence[ClassRow]) -> float:
    """Mean Dice over the foreground classes present in truth or prediction; 1 if there are none."""
    return image_value(counts, classes, dice)


def image_iou(counts: ClassCounts, classes: Sequence[ClassRow]) -> float:
    """Mean IoU over the foreground classes present in truth or prediction; 1 if there are none."""
    return image_value(counts, classes, iou)


@dataclass(frozen=True, slots=True)
class PooledCounts:
    """Counts summed over samples."""

    tp: tuple[int, ...]
    fp: tuple[int, ...]
    fn: tuple[int, ...]


def pool(samples: Sequence[ClassCounts]) -> PooledCounts:
    """Sum the counts of some samples, class by class."""
    return PooledCounts(
        *(
            tuple(sum(column) for column in zip(*(getattr(s, kind) for s in samples), strict=True))
            for kind in ("tp", "fp", "fn")
        )
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassSummary:
    """One class over several images."""

    dice: float | None
    """Mean over the images in which the class occurs in truth or prediction."""
    iou: float | None
    pooled_dice: float | None
    num_images: int
    """Images in which the class occurs in truth or prediction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The scores of several images together."""

    num_images: int
    mean_image_dice: float
    mean_image_iou: float
    pooled_dice: float
    by_class: tuple[ClassSummary, ...]
    """By class index, background included."""


def summarize(samples: Sequence[ClassCounts], classes: Sequence[ClassRow]) -> Summary | None:
    """The scores of several samples together; None when there are none."""
    if not samples:
        return None
    return Summary(
        num_images=len(samples),
        mean_image_dice=_mean([image_dice(each, classes) for each in samples], when_empty=1.0),
        mean_image_iou=_mean([image_iou(each, classes) for each in samples], when_empty=1.0),
        pooled_dice=image_dice(pool(samples), classes),
        by_class=tuple(_summarize_class(samples, row.index) for row in classes),
    )


def _summarize_class(samples: Sequence[ClassCounts], index: int) -> ClassSummary:
    dices = [class_values(each, dice)[index] for each in samples]
    ious = [class_values(each, iou)[index] for each in samples]
    present = [value for value in dices if value is not None]
    return ClassSummary(
        dice=_mean(dices, when_empty=0.0) if present else None,
        iou=_mean(ious, when_empty=0.0) if present else None,
        pooled_dice=class_values(pool(samples), dice)[index],
        num_images=len(present),
    )


def _mean(values: Sequence[float | None], when_empty: float) -> float:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else when_empty
