"""The numbers of a dataset that settings are fitted to, from what is stored: no image is opened."""

import math
import statistics
from collections.abc import Sequence

from engine.config import DatasetProfile
from engine.store.datasets import Dataset, Sample
from engine.store.runs import Split


def profile_of(dataset: Dataset, samples: Sequence[Sample], split: Split) -> DatasetProfile:
    """What is known of a dataset that is split like this.

    Classes and objects are those of the training samples, sizes those of all.

    Args:
        samples: of the dataset, by position.
        split: has at least one training sample.
    """
    background = tuple(entry.background for entry in dataset.classes)
    trained_on = [samples[position] for position in split["train"]]
    by_class = zip(*(sample.class_pixels for sample in trained_on), strict=True)
    class_pixels = [sum(pixels) for pixels in by_class]
    num_pixels = sum(class_pixels)
    foregrounds = [_foreground_pixels(sample, background) for sample in trained_on]
    used = [samples[position] for part in split.values() for position in part]
    sides = [math.sqrt(sample.width * sample.height) for sample in used]
    return DatasetProfile(
        num_train=len(split["train"]),
        num_val=len(split["val"]),
        num_test=len(split["test"]),
        num_channels=dataset.num_channels,
        class_names=tuple(entry.name for entry in dataset.classes),
        background=background,
        # Where every pixel is ignored, no class has a share.
        class_share=tuple(pixels / max(num_pixels, 1) for pixels in class_pixels),
        sides_px=(min(sides), statistics.median(sides), max(sides)),
        object_px=_object_px(trained_on, foregrounds),
    )


def _foreground_pixels(sample: Sample, background: Sequence[bool]) -> int:
    counted = zip(sample.class_pixels, background, strict=True)
    return sum(pixels for pixels, is_background in counted if not is_background)


def _object_px(samples: Sequence[Sample], foregrounds: Sequence[int]) -> float | None:
    """The median of the samples' mean objects, as the root of their area.

    Datasets of an early version do not say how many objects there are.
    """
    sizes = []
    for sample, pixels in zip(samples, foregrounds, strict=True):
        # Objects that were numbered stay apart where they touch.
        num_objects = sample.facts.get("num_instances") or sample.facts.get("num_objects")
        if num_objects and pixels:
            sizes.append(math.sqrt(pixels / num_objects))
    return statistics.median(sizes) if sizes else None
