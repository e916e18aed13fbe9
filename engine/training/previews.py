"""A look at training pairs as the network will be shown them.

Shapes: H height, W width, C channels (1 or 3), K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.config import AugmentConfig, TrainConfig
from engine.datasets.arrays import Arrays, Pixels
from engine.models.probabilities import to_input
from engine.scores.counts import IGNORED_INDEX
from engine.training.augment import Batch, augment
from engine.training.data import View
from engine.training.windows import HostWindows, WindowPlace


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentedPair:
    """What the network is shown, and what its answer is compared with; of one size."""

    image_HWC: Pixels
    mask_HW: Pixels
    """Class indices, 255 = not compared: ignored in the data, beyond the border of the image, or,
    without padding, in the margin that the network only looks at."""
    weights_HW: NDArray[np.float32] | None
    """Weight of each pixel in the loss; None where all weigh the same."""


def augmented_pairs(
    pairs: Sequence[tuple[Pixels, Pixels, Pixels | None]],
    config: TrainConfig,
    num_variants: int,
    seed: int,
    class_weights_K: Sequence[float] | None = None,
) -> list[list[AugmentedPair]]:
    """Each pair as it is, followed by the same place as training changes it at random.

    A patch is cut where the class lies that is rarest in its sample, so that there is something to
    see; a training cuts anywhere.

    Args:
        pairs: image (H, W, C), mask (H, W) and border map (H, W) of each sample, or None for the
            map; at the size of `Arrays`: resized, or native for patches.
        class_weights_K: weight of each class in the loss; None: all 1.

    Returns:
        For each sample `1 + num_variants` pairs, of the size of the network's input.
    """
    view = View.of(config)
    generator = torch.Generator().manual_seed(seed)
    shown = []
    for image, mask, border in pairs:
        batch = _cut(image, mask, border, view, generator)
        unchanged = augment(batch, AugmentConfig(), view.size_px, generator)
        copies = _repeated(batch, num_variants)
        changed = augment(copies, config.augment, view.size_px, generator)
        shown.append(
            [
                _pair(each, index, view, config.loss.border_weight, class_weights_K)
                for each in (unchanged, changed)
                for index in range(len(each.images_NCHW))
            ]
        )
    return shown


def _cut(
    image: Pixels, mask: Pixels, border: Pixels | None, view: View, generator: torch.Generator
) -> Batch:
    """A window and what is around it, mirrored beyond the border of the image."""
    height, width = mask.shape
    places = np.flatnonzero(mask == _rarest(mask))
    drawn = places[int(torch.randint(len(places), (), generator=generator))]
    row, column = divmod(int(drawn), width)
    top, left = (_start(*axis, view.target_px) for axis in ((row, height), (column, width)))
    arrays = Arrays(
        images=image.ravel(),
        masks=mask.ravel(),
        borders=None if border is None else border.ravel(),
        heights_N=np.array([height]),
        widths_N=np.array([width]),
        num_channels=image.shape[2],
    )
    windows = HostWindows(arrays, torch.device("cpu"))
    cut = windows.cut([WindowPlace(0, top, left)], view.target_px, view.training_margin_px)
    borders = None if cut.borders_NHW is None else cut.borders_NHW.float().div(255)
    return Batch(to_input(cut.images_NHWC), cut.masks_NHW, borders)


def _rarest(mask: Pixels) -> int:
    """The class with the fewest pixels, of those that occur."""
    counts = np.bincount(mask.ravel(), minlength=IGNORED_INDEX + 1)
    present = np.flatnonzero(counts[:IGNORED_INDEX])
    return int(min(present, key=lambda index: counts[index], default=IGNORED_INDEX))


def _start(place: int, side_px: int, target_px: int) -> int:
    """Where a target around a place begins, on one axis: inside the image if it is large enough."""
    room = side_px - target_px
    return min(max(place - target_px // 2, 0), room) if room > 0 else room // 2


def _repeated(batch: Batch, count: int) -> Batch:
    borders = batch.borders_NHW
    return Batch(
        batch.images_NCHW.expand(count, -1, -1, -1),
        batch.masks_NHW.expand(count, -1, -1),
        None if borders is None else borders.expand(count, -1, -1),
    )


def _pair(
    batch: Batch,
    index: int,
    view: View,
    border_weight: float,
    class_weights_K: Sequence[float] | None,
) -> AugmentedPair:
    image: Pixels = batch.images_NCHW[index].mul(255).round().byte().permute(1, 2, 0).numpy()
    mask: Pixels = np.full(image.shape[:2], IGNORED_INDEX, np.uint8)
    inside = slice(view.context_px, view.context_px + view.target_px)
    mask[inside, inside] = batch.masks_NHW[index].numpy()[inside, inside]
    weights = None
    if batch.borders_NHW is not None or class_weights_K is not None:
        of_class = np.zeros(IGNORED_INDEX + 1, np.float32)
        of_class[:IGNORED_INDEX] = 1
        if class_weights_K is not None:
            of_class[: len(class_weights_K)] = class_weights_K
        weights = of_class[mask]
        if batch.borders_NHW is not None:
            # arXiv 1505.04597, equation 2.
            weights += border_weight * batch.borders_NHW[index].numpy() * (mask != IGNORED_INDEX)
    return AugmentedPair(image_HWC=image, mask_HW=mask, weights_HW=weights)
