"""Validation: how good the network is on samples that it does not learn from.

Shapes: N windows, K classes, H height, W width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.scores.counts import IGNORED_INDEX, Counts
from engine.scores.rules import ClassRow, Summary, summarize
from engine.training.augment.batch import to_device


class Tally:
    """Counts of windows, gathered on the device, summed by image.

    Every pixel of an image counts in one window only, so the sums are those of the image.

    Args:
        num_images: images that will be counted.
        classes: the class table.
    """

    def __init__(self, num_images: int, classes: Sequence[ClassRow], device: torch.device) -> None:
        self.classes = classes
        self._counts = torch.zeros((num_images, 3, len(classes)), dtype=torch.int64, device=device)

    def add(self, images: Sequence[int], truth_NHW: Tensor, prediction_NHW: Tensor) -> None:
        """Count a batch.

        Args:
            images: which image each window belongs to, from 0.
        """
        index = to_device(torch.tensor(images), self._counts.device)
        counts = count_batch(truth_NHW, prediction_NHW, len(self.classes))
        self._counts.index_add_(0, index, counts)

    def summary(self) -> Summary:
        """The scores of the images. Waits for the device."""
        samples = [Counts(*(tuple(kind) for kind in image)) for image in self._counts.tolist()]
        summary = summarize(samples, self.classes)
        assert summary is not None, "a split always has a validation sample"
        return summary


def count_batch(truth_NHW: Tensor, prediction_NHW: Tensor, num_classes: int) -> Tensor:
    """tp, fp, fn of each window and class, int64 (N, 3, K), computed on the device."""
    valid = truth_NHW != IGNORED_INDEX
    per_class = []
    for index in range(num_classes):
        truth, found = (truth_NHW == index) & valid, (prediction_NHW == index) & valid
        per_class.append(
            torch.stack(
                [
                    (truth & found).sum((1, 2)),
                    (~truth & found).sum((1, 2)),
                    (truth & ~found).sum((1, 2)),
                ],
                dim=1,
            )
        )
    return torch.stack(per_class, dim=2)
