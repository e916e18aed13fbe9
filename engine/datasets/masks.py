"""What the values in masks mean: learned once over a whole dataset, then applied to each mask.

Shapes: H height, W width in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.datasets.decode import Mask
from engine.datasets.report import ReportWarning
from engine.errors import BadData
from engine.scores.counts import IGNORED_INDEX
from engine.store.datasets import ClassEntry

MAX_CLASSES = 32
"""More different values than this mean that the masks do not hold classes."""
VOID_VALUE = 255
"""Beside small class values, this one marks pixels that do not count."""
MAX_VALUE_BESIDE_VOID = 63
"""With a larger value among the others, `VOID_VALUE` is a class as well."""
BACKGROUND_COLOR = "#000000"
CLASS_COLORS = (
    # The seven of Okabe and Ito (https://jfly.uni-koeln.de/color/), in their order; then, one by
    # one, the colour farthest from all before, for normal, protanopic and deuteranopic eyes.
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#0000FF",
    "#D2FFA5", "#781E00", "#6969FF", "#691E5A", "#3C1EA5", "#782D3C", "#A5B469", "#B4E1B4",
    "#6996FF", "#96E1FF", "#C33C3C", "#003C87", "#D2E169", "#2D3CE1", "#3C5AC3", "#785A87",
    "#B42D00", "#F0A5C3", "#FF694B", "#FFFF2D", "#2DC387", "#00695A", "#FFFF78", "#780F1E",
)  # fmt: skip
"""Colours of the foreground classes, in order; distinct also for colour-blind readers."""

_PIXELS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class ValueMap:
    """How the values of imported masks become stored ones."""

    stored_by_source: Mapping[int, int]
    """Class index, or `IGNORED_INDEX`, by value in the imported masks."""

    def apply(self, mask: Mask, name: str) -> NDArray[np.uint8]:
        """The mask as class indices, same shape (H, W).

        Raises:
            BadData: it holds a value that the map does not have.
        """
        unknown = IGNORED_INDEX - 1
        table = np.full(np.iinfo(mask.dtype).max + 1, unknown, dtype=np.uint8)
        for source, stored in self.stored_by_source.items():
            table[source] = stored
        coded = np.empty(mask.shape, dtype=np.uint8)
        for rows in _portions(mask):
            coded[rows] = table[mask[rows]]
        if (coded == unknown).any():
            raise BadData(
                "“{name}” changed while it was imported. Import again when nobody writes to it.",
                name=name,
            )
        return coded


@dataclass(frozen=True, slots=True)
class LearnedClasses:
    """The classes that a dataset's masks hold."""

    classes: tuple[ClassEntry, ...]
    value_map: ValueMap
    warnings: tuple[ReportWarning, ...]


def count_values(mask: Mask) -> dict[int, int]:
    """How many pixels have each value that occurs."""
    counts = np.zeros(np.iinfo(mask.dtype).max + 1, dtype=np.int64)
    for rows in _portions(mask):
        counts += np.bincount(mask[rows].ravel(), minlength=len(counts))
    return {int(value): int(counts[value]) for value in counts.nonzero()[0]}


def count_classes(coded: NDArray[np.uint8], num_classes: int) -> tuple[int, ...]:
    """Pixels of each class, by class index; ignored pixels are left out."""
    counts = count_values(coded)
    return tuple(counts.get(index, 0) for index in range(num_classes))


def learn_classes(pixels_by_value: Mapping[int, int], richest_mask: str = "") -> LearnedClasses:
    """Decide what the values of all masks of a dataset mean.

    * 0 and one other value: “background” and “foreground”.
    * `VOID_VALUE` beside at least two values up to `MAX_VALUE_BESIDE_VOID`: void is ignored.
    * The values that remain are classes in ascending order; 0 is the background. Without 0 there
      is no background.

    Args:
        pixels_by_value: pixels over all masks.
        richest_mask: the mask with the most different values, for the message when there are
            too many.

    Raises:
        BadData: there is only one value, or more than `MAX_CLASSES`.
    """
    values = sorted(value for value, num_pixels in pixels_by_value.items() if num_pixels)
    if len(values) == 1:
        raise BadData(
            "Every mask holds only the value {value}, so there is nothing to learn. Expected at "
            "least two values, such as 0 for background and 1 for the class. Check that the "
            "masks are the right files.",
            value=values[0],
        )
    if len(values) > MAX_CLASSES:
        raise BadData(
            "The masks hold {num_values} different values, most of them in “{name}”; at most "
            "{limit} classes are understood. Expected one value per class. Masks with soft or "
            "lossy (JPEG) edges must be thresholded, and instance numbers replaced by class "
            "values.",
            num_values=len(values),
            name=richest_mask,
            limit=MAX_CLASSES,
        )
    if len(values) > 2 and richest_mask.lower().endswith((".jpg", ".jpeg")):
        raise BadData(
            "The mask “{name}” is a JPEG and the masks hold {num_values} different values: its "
            "compression has blurred them. Expected one exact value per class. Save the masks as "
            "PNG, or threshold them first.",
            name=richest_mask,
            num_values=len(values),
        )
    if len(values) == 2 and values[0] == 0:
        return _learned(values, ("background", "foreground"), ())
    warnings: tuple[ReportWarning, ...] = ()
    if len(values) >= 3 and values[-1] == VOID_VALUE and values[-2] <= MAX_VALUE_BESIDE_VOID:
        values.pop()
        warnings = (_void_warning(pixels_by_value),)
    names = ["background" if value == 0 else f"class {value}" for value in values]
    return _learned(values, names, warnings)


def majority_warnings(
    classes: Sequence[ClassEntry], class_share: Sequence[float]
) -> list[ReportWarning]:
    """A note when the only foreground class covers more than half of all pixels."""
    foreground = [entry.index for entry in classes if not entry.background]
    if len(classes) != 2 or len(foreground) != 1 or class_share[foreground[0]] <= 0.5:
        return []
    share = class_share[foreground[0]]
    # Predicted everywhere: tp = p, fp = 1 - p, fn = 0, so Dice = 2p / (2p + 1 - p).
    return [
        ReportWarning(
            "The class “{name}” covers {percent:.0f} % of the pixels. A network that predicts it "
            "everywhere would score Dice {dice:.3f}, so look at the Dice of each class.",
            {
                "name": classes[foreground[0]].name,
                "percent": 100 * share,
                "dice": 2 * share / (1 + share),
            },
        )
    ]


def _learned(
    values: Sequence[int], names: Sequence[str], warnings: tuple[ReportWarning, ...]
) -> LearnedClasses:
    colors = iter(CLASS_COLORS)
    classes = tuple(
        ClassEntry(
            index=index,
            name=name,
            color=BACKGROUND_COLOR if value == 0 else next(colors),
            background=value == 0,
            source_value=value,
        )
        for index, (value, name) in enumerate(zip(values, names, strict=True))
    )
    stored = {entry.source_value: entry.index for entry in classes}
    if warnings:
        stored[VOID_VALUE] = IGNORED_INDEX
    return LearnedClasses(classes, ValueMap(stored), warnings)


def _void_warning(pixels_by_value: Mapping[int, int]) -> ReportWarning:
    return ReportWarning(
        "The value {value} was taken as “does not count”: its pixels ({percent:.1f} %) are "
        "ignored in training and scores.",
        {
            "value": VOID_VALUE,
            "percent": 100 * pixels_by_value[VOID_VALUE] / sum(pixels_by_value.values()),
        },
    )


def _portions(mask: Mask) -> list[slice]:
    """Rows in portions of bounded size, because indexing makes eight bytes of each pixel."""
    num_rows = max(1, _PIXELS_AT_ONCE // max(1, mask.shape[1]))
    return [slice(start, start + num_rows) for start in range(0, mask.shape[0], num_rows)]
