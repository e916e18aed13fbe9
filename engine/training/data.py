"""What a training learns from, and how it reaches the network.

Shapes: N images, C channels, H height, W width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from engine.config import LossConfig, TrainConfig, output_size
from engine.datasets.arrays import Arrays
from engine.models.probabilities import normalize, to_input
from engine.scores.counts import IGNORED_INDEX
from engine.scores.rules import ClassRow
from engine.training.augment import Batch, augment, margin_px
from engine.training.losses import balanced_weights
from engine.training.windows import Cut


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingData:
    """Decoded samples, and which of them are for what."""

    arrays: Arrays
    train: Sequence[int]
    """Positions in the arrays."""
    val: Sequence[int]
    classes: Sequence[ClassRow]

    def background(self) -> frozenset[int]:
        """Indices of the classes that are background."""
        return frozenset(row.index for row in self.classes if row.background)

    def class_pixels(self) -> list[int]:
        """Pixels of each class in the training masks, by class index."""
        totals = np.zeros(IGNORED_INDEX + 1, np.int64)
        for position in self.train:
            totals += np.bincount(self.arrays.mask(position).ravel(), minlength=len(totals))
        return [int(total) for total in totals[: len(self.classes)]]


def class_weights(config: LossConfig, data: TrainingData) -> list[float] | None:
    """Weights of the classes in the loss, by index; None where all weigh the same."""
    if config.class_weighting == "none":
        return None
    if config.class_weighting == "balanced":
        return balanced_weights(data.class_pixels())
    assert config.class_weights is not None, "a config that gives none is refused"
    return list(config.class_weights)


@dataclass(frozen=True, slots=True)
class View:
    """How large the pieces are, in pixels, from what is cut to what is compared."""

    target_px: int
    """What the network says something about: the size of its output."""
    size_px: int
    """What it is shown; larger than the target without padding."""
    extent_px: int
    """What is cut for a training: with the surroundings that turning and shrinking bring in."""

    @classmethod
    def of(cls, config: TrainConfig) -> Self:
        """The sizes that these settings mean."""
        size = config.images.image_size_px
        target = output_size(config.model, size)
        assert target is not None, "a config with an impossible size is refused"
        # A resized image has no surroundings but its mirror image, which needs no cutting.
        in_patches = config.images.view == "patches"
        margin = margin_px(config.augment, size) if in_patches else 0
        return cls(target, size, size + 2 * margin)

    @property
    def training_margin_px(self) -> int:
        """What is cut around a target to train on it."""
        return (self.extent_px - self.target_px) // 2

    @property
    def context_px(self) -> int:
        """What is cut around a target to predict it."""
        return (self.size_px - self.target_px) // 2


def training_batch(cut: Cut, config: TrainConfig, view: View, generator: torch.Generator) -> Batch:
    """A batch as the network learns from it: changed at random, grey values scaled.

    Args:
        cut: windows of `view.extent_px`.
        generator: on the CPU; gives all that is random.

    Returns:
        Images of `view.size_px`, masks and borders of `view.target_px`.
    """  # fmt: skip
    batch = augment(_batch(cut), config.augment, view.size_px, generator)
    return _framed(batch, config, view)


def validation_batch(cut: Cut, config: TrainConfig, view: View) -> Batch:
    """A batch as the network predicts it. Like `training_batch`, from windows of `view.size_px`."""
    return _framed(_batch(cut), config, view)


def _batch(cut: Cut) -> Batch:
    borders = None if cut.borders_NHW is None else cut.borders_NHW.float().div(255)
    return Batch(to_input(cut.images_NHWC), cut.masks_NHW.long(), borders)


def _framed(batch: Batch, config: TrainConfig, view: View) -> Batch:
    images = normalize(batch.images_NCHW, config.images)
    return replace(
        batch,
        images_NCHW=images.contiguous(memory_format=torch.channels_last),
        masks_NHW=_middle(batch.masks_NHW, view.target_px),
        borders_NHW=None
        if batch.borders_NHW is None
        else _middle(batch.borders_NHW, view.target_px),
    )


def _middle(maps_NHW: Tensor, size_px: int) -> Tensor:
    top, left = ((side - size_px) // 2 for side in maps_NHW.shape[-2:])
    return maps_NHW[..., top : top + size_px, left : left + size_px]
