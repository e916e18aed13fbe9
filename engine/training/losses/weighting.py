"""How much each pixel counts: w(x) = w_c(x) + w0 · border(x) (arXiv 1505.04597, equation 2).

Shapes: N images, C logits per pixel, H height, W width, K classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.errors import BadSetting
from engine.scores.counts import IGNORED_INDEX


def balanced_weights(pixel_counts_K: Sequence[int]) -> list[float]:
    """Weights by which all classes that occur count the same, however many pixels they have.

    They are inverse to the frequencies, and 1 on average over the pixels. A class without pixels
    has weight 0, as no number of nothing weighs as much as the others; a single class has 1.

    Args:
        pixel_counts_K: pixels of each class in the training masks.
    """
    num_occurring = sum(1 for count in pixel_counts_K if count)
    total = sum(pixel_counts_K)
    return [total / (num_occurring * count) if count else 0.0 for count in pixel_counts_K]


class PixelWeights:
    """Weights of pixels by their class and by how narrow the gap is they lie in.

    Args:
        class_weights_K: on the device where the weights will be needed; None: all classes have 1.
        border_weight: w0 of the paper; 0 is none.
    """

    def __init__(self, class_weights_K: Tensor | None, border_weight: float) -> None:
        self._border_weight = border_weight
        self._num_weights = 0 if class_weights_K is None else len(class_weights_K)
        self._weights_by_value: Tensor | None = None
        if class_weights_K is not None:
            # As long as masks have values, so that 255 can be looked up as well.
            unused = class_weights_K.new_zeros(IGNORED_INDEX + 1 - self._num_weights)
            self._weights_by_value = torch.cat([class_weights_K, unused])

    def of(
        self, logits_NCHW: Tensor, masks_NHW: Tensor, borders_NHW: Tensor | None
    ) -> Tensor | None:
        """The weights, shape (N, H, W); None where all are 1. Ignored pixels' mean nothing.

        Raises:
            BadSetting: there are not as many weights as classes.
        """
        weights_NHW = None
        if self._weights_by_value is not None:
            self._check(num_classes=max(2, logits_NCHW.shape[1]))
            weights_NHW = self._weights_by_value[masks_NHW.long()]
        if self._border_weight:
            assert borders_NHW is not None, "a border weight needs the borders"
            extra_NHW = self._border_weight * borders_NHW
            weights_NHW = extra_NHW + (1 if weights_NHW is None else weights_NHW)
        return weights_NHW

    def _check(self, num_classes: int) -> None:
        if self._num_weights != num_classes:
            raise BadSetting(
                "Given class weights (class_weights) has {weights} numbers and the dataset has "
                "{classes} classes. Give one for each class, in the order of the class table.",
                weights=self._num_weights,
                classes=num_classes,
            )
