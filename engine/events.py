"""What a training says of itself. The trainer emits these, a recorder in `jobs` writes them down.

The trainer knows no database, and the database no trainer; this module is what both know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.notes import Note


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """The numbers of one pass over the training samples and the validation after it.

    Validation numbers are computed at training size, by the rules of `engine.scores.rules`.
    """

    epoch: int
    """From 1."""
    train_loss: float
    val_loss: float
    val_dice: float
    """Mean image Dice."""
    val_iou: float
    """Mean image IoU."""
    val_class_dice: tuple[float | None, ...]
    """Mean Dice of each class, by class index; None for a class that never occurs."""
    val_class_iou: tuple[float | None, ...] = ()
    """Mean IoU of each class, alike; () where it was not recorded."""
    learning_rate: float
    """At the epoch's last step."""
    seconds: float
    """Training and validation together."""
    images_per_second: float
    """Training images, validation time left out."""
    is_best: bool
    """Whether it became the best checkpoint when it ended."""
    num_steps: int | None = None
    """Steps of the optimiser in this epoch. This and what follows is None where unknown."""
    data_wait_share: float | None = None
    """Share of the training time that was spent on waiting for windows to be cut, 0 to 1.
    Augmentation is part of the step."""
    peak_memory_bytes: int | None = None
    """Most memory in use so far: of the GPU, or of the process on a CPU."""
    gpu_utilization: float | None = None
    """Mean share of the time in which the GPU was busy, 0 to 1; None on a CPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepDone:
    """A training step ended."""

    progress: float
    """Share of the whole training that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class BatchValidated:
    """A batch of the validation was looked at: no more than a sign of life, as it may take long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """The training is about to take its first step, or the next one after an interruption; what
    was measured and decided until then."""

    facts: Mapping[str, Any]
    """JSON types; see `engine.training.preflight.Prepared`. Empty for a training that was over
    already."""
    notes: tuple[Note, ...] = ()
    """Remarks on what was decided, such as weights that were not taken over."""
    resumed_from: int = 0
    """Epochs that were trained before, and are kept."""
    records: tuple[EpochRecord, ...] | None = ()
    """Of these epochs; None where the checkpoint is too old to hold them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochDone:
    """An epoch ended; if it was the best so far, its weights are on disk."""

    record: EpochRecord


Event = Started | StepDone | BatchValidated | EpochDone
