"""What a training says of itself. The trainer emits these, a recorder in `jobs` writes them down.

The trainer knows no database, and the database no trainer; this module is what both know.
"""

from dataclasses import dataclass


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
    learning_rate: float
    """At the epoch's last step."""
    seconds: float
    """Training and validation together."""
    images_per_second: float
    """Training images, validation time left out."""
    is_best: bool
    """Whether it became the best checkpoint when it ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepDone:
    """A training step ended."""

    progress: float
    """Share of the whole training that is done, 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochDone:
    """An epoch ended and its checkpoints are on disk."""

    record: EpochRecord


Event = StepDone | EpochDone
