"""Where a training stands, and how it goes on from there after an interruption."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from engine.config import TrainConfig, leaf_fields, parse_config, with_changes
from engine.errors import BadData
from engine.events import EpochRecord
from engine.files import Files
from engine.models.compute import can_compile, choose_device, half_precisions
from engine.notes import Note
from engine.training.budget import Budget
from engine.training.checkpoint import load_newest

_LENGTH = ("epochs", "max_minutes")
_ADJUSTABLE = ("batch_size", "accumulation", "precision")
"""Settings that may change between two parts of a training; the size of patches may too."""


@dataclass
class Standing:
    """Where a training stands, its weights apart; plain values, stored as they are."""

    epoch: int = 0
    """Epochs that have ended."""
    best: tuple[float, float] | None = None
    """Validation Dice and negative loss of the best epoch."""
    best_epoch: int | None = None
    learning_rate: float = 0.0
    """Of the last step."""
    is_over: bool = False
    """Whether the training came to its end; a longer one begins again from there."""
    num_images: int = 0
    """Trained of the epoch that has begun. It and what follows is 0 between epochs."""
    loss_sum: float = 0.0
    """Over those images."""
    seconds: float = 0.0
    waited_seconds: float = 0.0
    """In which the device waited for images."""
    num_steps: int = 0

    def end_epoch(self) -> None:
        """Count from 0 again."""
        self.epoch += 1
        self.begin_epoch_again()

    def begin_epoch_again(self) -> None:
        """Forget what was trained of the epoch that has begun."""
        self.num_images = self.num_steps = 0
        self.loss_sum = self.seconds = self.waited_seconds = 0.0

    @classmethod
    def from_state(cls, values: Mapping[str, Any]) -> Self:
        """What was stored, be it by an older version."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in names})


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumePoint:
    """A stored state, and what becomes of it with the settings of today."""

    state: Mapping[str, Any]
    standing: Standing
    records: tuple[EpochRecord, ...] | None
    """Of the epochs that have ended; None where the state is too old to hold them."""
    note: Note | None
    """Why it is not the newest state, if it is not."""
    is_longer: bool
    """Whether the training was given another length since."""
    config: TrainConfig
    """The settings with nothing left to measure or to fetch, as weights are at hand."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to train."""
        budget = Budget(self.config.schedule, self.state["elapsed_seconds"])
        is_spent = self.standing.epoch > 0 and budget.progress(self.standing.epoch) >= 1
        return self.standing.is_over or is_spent


def resume_point(config: TrainConfig, files: Files, run_folder: str) -> ResumePoint | None:
    """Where a training with these settings goes on; None where it begins.

    Raises:
        BadData: there is a state that cannot be used, being damaged, of another version, or of a
            training with other settings.
        BadSetting: the device is not to be had.
    """
    found = load_newest(files, run_folder)
    if found is None:
        return None
    state, note = found
    # Read as settings, so that those of an older version are compared by what they mean.
    before = parse_config(state["config"])
    _require_same_training(before, config)
    standing = Standing.from_state(state["standing"])
    if before.images != config.images:
        # Its windows were drawn at another size, and would be others now.
        standing.begin_epoch_again()
    is_longer = any(_leaf(before, name) != _leaf(config, name) for name in _LENGTH)
    if is_longer:
        standing.is_over = False
    stored = state.get("records")
    return ResumePoint(
        state=state,
        standing=standing,
        records=None if stored is None else tuple(EpochRecord(**record) for record in stored),
        note=note,
        is_longer=is_longer,
        config=_decided(config, state["compute"]),
    )


def stored_records(records: list[EpochRecord] | None) -> list[dict[str, Any]] | None:
    """Records as plain values, for a state."""
    return None if records is None else [asdict(record) for record in records]


def _decided(config: TrainConfig, compute: Mapping[str, str]) -> TrainConfig:
    """What an earlier part of the training has measured holds where nothing is prescribed, and
    where this device can do it too."""
    device, precision = choose_device(config.compute), compute["precision"]
    changes = {"encoder_weights": "none"}
    if config.compute.precision == "auto" and precision in ("fp32", *half_precisions(device)):
        changes["precision"] = precision
    if config.compute.compiled == "auto":
        changes["compiled"] = compute["compiled"] if can_compile(device) else "off"
    return with_changes(config, changes)


def _require_same_training(before: TrainConfig, now: TrainConfig) -> None:
    in_patches = before.images.view == "patches"
    free = {*_LENGTH, *_ADJUSTABLE, *(["image_size_px"] if in_patches else [])}
    differing = [
        f"{field.title} ({name})"
        for name, (_part, field) in leaf_fields().items()
        if name not in free and _leaf(before, name) != _leaf(now, name)
    ]
    if differing:
        raise BadData(
            "The checkpoint belongs to a training with other settings, so this one cannot go on "
            "from it: {differing}. Start a new run from it instead (start_from).",
            differing=", ".join(differing),
        )


def _leaf(config: TrainConfig, name: str) -> Any:
    return getattr(getattr(config, leaf_fields()[name][0]), name)
