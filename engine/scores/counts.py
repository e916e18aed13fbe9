"""The counts of one sample: how many pixels of each class were hit, falsely found, missed.

Everything the product shows about quality derives from these integers; see `rules`.

Shapes: H, W the mask's own size; K the number of classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IGNORED_INDEX = 255
"""Value of a truth pixel that no score looks at."""

NUM_BINS = 256
"""Bins of a probability histogram: bin b holds b/256 ≤ p < (b+1)/256; p = 1 falls into the last."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Pixels of one sample by class index; each tuple has K entries."""

    tp: tuple[int, ...]
    fp: tuple[int, ...]
    fn: tuple[int, ...]


def count(
    truth_HW: NDArray[np.uint8], prediction_HW: NDArray[np.uint8], num_classes: int
) -> Counts:
    """Count true positives, false positives and false negatives of every class.

    Args:
        truth_HW: class indices 0…K-1, or 255 for pixels to leave out.
        prediction_HW: class indices 0…K-1, same shape.
        num_classes: K.

    Raises:
        ValueError: the shapes differ, or a value is no class index.
    """
    if truth_HW.shape != prediction_HW.shape:
        raise ValueError(f"Truth is {truth_HW.shape}, prediction {prediction_HW.shape}.")
    scored = truth_HW != IGNORED_INDEX
    truth, prediction = truth_HW[scored].astype(np.int64), prediction_HW[scored].astype(np.int64)
    pairs = np.bincount(truth * num_classes + prediction, minlength=num_classes**2)
    if pairs.size > num_classes**2 or (prediction.size and prediction.max() >= num_classes):
        raise ValueError(f"A mask holds a value that is no index of {num_classes} classes.")
    confusion_KK = pairs.reshape(num_classes, num_classes)  # rows: truth, columns: prediction
    tp = np.diag(confusion_KK)
    return Counts(
        tp=tuple(tp.tolist()),
        fp=tuple((confusion_KK.sum(axis=0) - tp).tolist()),
        fn=tuple((confusion_KK.sum(axis=1) - tp).tolist()),
    )


def probability_histograms(
    truth_HW: NDArray[np.uint8], probabilities_KHW: NDArray[np.float32]
) -> NDArray[np.int64]:
    """How probable each class was on its own pixels and elsewhere, as shape (K, 2, 256).

    `[k, 0]` counts pixels whose truth is k, `[k, 1]` the others; ignored pixels are left out. The
    Dice at any threshold t = b/256 follows by summing bins from b upwards.

    Args:
        truth_HW: class indices, or 255 for pixels to leave out.
        probabilities_KHW: one-vs-rest probabilities, 0 to 1.
    """
    scored = truth_HW != IGNORED_INDEX
    truth = truth_HW[scored]
    histograms = np.empty((len(probabilities_KHW), 2, NUM_BINS), dtype=np.int64)
    for index, probability_HW in enumerate(probabilities_KHW):
        bins = np.minimum((probability_HW[scored] * NUM_BINS).astype(np.int64), NUM_BINS - 1)
        on_truth = truth == index
        histograms[index, 0] = np.bincount(bins[on_truth], minlength=NUM_BINS)
        histograms[index, 1] = np.bincount(bins[~on_truth], minlength=NUM_BINS)
    return histograms
