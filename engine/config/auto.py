"""The recipe `auto`: settings fitted to a dataset and a machine, with a reason for each.

The rules are few and say what they look at. They were chosen by measurement on the datasets of
`docs/results.md`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.config.parsing import with_changes
from engine.config.parts import AugmentConfig
from engine.config.profile import DatasetProfile, Machine
from engine.config.recipes import recipe
from engine.config.train_config import TrainConfig
from engine.notes import Note

_CPU_SIDE_PX = 256
_GPU_SIDE_PX = 512
_LARGEST_SHRINKAGE = 1.4
"""Images that would shrink by more lose what is small in them."""
_LARGE_OBJECT_PX = 48
"""Objects of this diameter, once shrunk, have kept their shape."""
_OFTEN, _SELDOM = 3000, 300
"""Showing a sample so often, it must be changed much to stay new; so seldom, hardly."""
_CPU_BATCH, _GPU_BATCH = 4, 16
_CPU_STEPS, _GPU_STEPS = 1500, 10_000
_TRAINED_PER_VALIDATED = 5
"""Windows that are trained on for each that validates, which costs a third as much."""
_FEWEST_STEPS = 10
"""Of an epoch, between which a checkpoint is written."""
_MOST_PASSES = 1000
_MEMORY_SHARE = 0.8
"""Of the memory that a training may need by estimate."""
_ENCODERS = ("resnet34", "efficientnet-b2", "resnet50", "efficientnet-b0", "resnet18")
"""The ones to prefer, of those whose weights are at hand."""
_RARE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Proposal:
    """Settings for a training, before a person changes them."""

    config: TrainConfig
    reasons: Mapping[str, Note]
    """Why a setting has its value, by leaf name; what any dataset would have is absent."""


Choice = tuple[dict[str, Any], Note]
"""Some settings by leaf name, and why."""


def propose(
    recipe_name: str,
    profile: DatasetProfile,
    machine: Machine,
    wishes: Mapping[str, Any] | None = None,
    needed_bytes: Callable[[TrainConfig], int] = lambda config: 0,
) -> Proposal:
    """A recipe's settings for this dataset on this machine.

    Every recipe but `auto` is the same for all datasets.

    Args:
        wishes: settings a person has decided; `auto` fits the others to them.
        needed_bytes: memory that a training with these settings needs.

    Raises:
        BadSetting: there is no such recipe, or a wish cannot be granted.
    """
    config = with_changes(recipe(recipe_name), wishes or {})
    if config.recipe != "auto":
        return Proposal(config, {})
    fit = _Fit(config, profile, machine, dict(wishes or {}))
    for rule in _RULES:
        fit.apply(rule)
    fit.apply(lambda config, profile, machine: _memory(config, machine, needed_bytes))
    fit.apply(_length)
    fit.apply(_augmentation)
    return Proposal(fit.config, fit.reasons)


class _Fit:
    """Settings that are being fitted: later rules see what earlier ones chose."""

    def __init__(
        self, config: TrainConfig, profile: DatasetProfile, machine: Machine, wishes: dict[str, Any]
    ) -> None:
        self.config, self.profile, self.machine = config, profile, machine
        self.wishes = wishes
        self.reasons: dict[str, Note] = {}

    def apply(self, rule: "Rule") -> None:
        choice = rule(self.config, self.profile, self.machine)
        if choice is None:
            return
        wanted, note = choice
        wished = {name.rpartition(".")[2]: value for name, value in self.wishes.items()}
        changes = {name: value for name, value in wanted.items() if name not in wished}
        if changes:
            # The wishes once more, as a whole augmentation would undo those about a part of it.
            self.config = with_changes(self.config, changes | self.wishes)
        if not _leaves(wished) & _leaves(wanted):
            # A reason tells of all that a rule chose; where a person chose a part, it is wrong.
            self.reasons |= dict.fromkeys(_leaves(wanted), note)


def _leaves(changes: Mapping[str, Any]) -> set[str]:
    """Names of the settings, those of a whole augmentation included."""
    augment = set(AugmentConfig.model_fields) if "augment" in changes else set()
    return (set(changes) | augment) - {"augment"}


Rule = Callable[[TrainConfig, DatasetProfile, Machine], Choice | None]


def _view(config: TrainConfig, profile: DatasetProfile, machine: Machine) -> Choice:
    limit = _GPU_SIDE_PX if machine.device == "cuda" else _CPU_SIDE_PX
    _smallest, middle, _largest = profile.sides_px
    shrinkage = middle / limit
    size = min(limit, _rounded(middle))
    if shrinkage <= _LARGEST_SHRINKAGE:
        return {"view": "resized", "image_size_px": size}, Note(
            "The middle image measures {side:.0f} px a side, so little is lost by resizing it to "
            "{size}.",
            {"side": middle, "size": size},
        )
    if profile.object_px is not None and profile.object_px / shrinkage >= _LARGE_OBJECT_PX:
        return {"view": "resized", "image_size_px": size}, Note(
            "Objects of about {object:.0f} px stay {shrunk:.0f} px large when images of {side:.0f} "
            "px are resized to {size}, which keeps their shape.",
            {
                "object": profile.object_px,
                "shrunk": profile.object_px / shrinkage,
                "side": middle,
                "size": size,
            },
        )
    return {"view": "patches", "image_size_px": size}, Note(
        "Images of {side:.0f} px would lose fine detail at {size} px, so the network is shown "
        "patches at the original resolution.",
        {"side": middle, "size": size},
    )


def _network(config: TrainConfig, profile: DatasetProfile, machine: Machine) -> Choice:
    if machine.device == "cuda":
        return {"width": 32, "num_levels": 5}, Note(
            "On {device}, five levels from 32 channels see far and train quickly.",
            {"device": machine.device_name},
        )
    return {"width": 16, "num_levels": 4}, Note(
        "On a processor with {cores} cores, four levels from 16 channels make the most of the "
        "time: larger networks learn more from a step, but make fewer.",
        {"cores": machine.num_cores},
    )


def _encoder(config: TrainConfig, profile: DatasetProfile, machine: Machine) -> Choice | None:
    at_hand = next((name for name in _ENCODERS if name in machine.weights), None)
    if machine.device != "cuda" or profile.num_channels != 3 or at_hand is None:
        return None
    changes = {
        "architecture": "encoder_unet",
        "encoder": at_hand,
        "encoder_weights": "imagenet",
        "intensity": "imagenet",
        "num_levels": 6,
    }
    return changes, Note(
        "Weights of {encoder} are at hand, and an encoder that knows photographs needs fewer "
        "images to learn from.",
        {"encoder": at_hand},
    )


def _memory(
    config: TrainConfig, machine: Machine, needed_bytes: Callable[[TrainConfig], int]
) -> Choice | None:
    limit = _MEMORY_SHARE * machine.memory_bytes
    smaller = config
    while smaller.schedule.batch_size > 1 and needed_bytes(smaller) > limit:
        smaller = with_changes(smaller, {"batch_size": smaller.schedule.batch_size // 2})
    if smaller is config:
        return None
    return {"batch_size": smaller.schedule.batch_size}, Note(
        "Of the {have} MiB of memory, larger batches than {batch} would leave too little.",
        {"have": machine.memory_bytes >> 20, "batch": smaller.schedule.batch_size},
    )


def _loss(config: TrainConfig, profile: DatasetProfile, machine: Machine) -> Choice:
    return {"loss": "dice_cross_entropy"}, Note(
        "Cross-entropy learns fast; Dice keeps small classes from being given up."
    )


def _optimizer(config: TrainConfig, profile: DatasetProfile, machine: Machine) -> Choice:
    names = ("optimizer", "learning_rate", "lr_schedule", "weight_decay", "clip_norm")
    return {name: getattr(config.optimizer, name) for name in names}, Note(
        "AdamW from a high learning rate down to zero gets far in little time; clipping guards "
        "its first steps."
    )


def _normalization(config: TrainConfig, profile: DatasetProfile, machine: Machine) -> Choice:
    return {"normalization": "batch", "initialization": "he"}, Note(
        "Batch normalisation allows the high learning rate."
    )


def _averaging(config: TrainConfig, profile: DatasetProfile, machine: Machine) -> Choice:
    return {"ema_decay": config.optimizer.ema_decay, "averaging": config.predict.averaging}, Note(
        "The average of the last weights, and of eight views of an image, errs less than any one "
        "of them."
    )


def _batch(config: TrainConfig, profile: DatasetProfile, machine: Machine) -> Choice:
    if machine.device == "cuda":
        return {"batch_size": _GPU_BATCH}, Note(
            "Batches of {batch} images of {size} px keep {device} busy.",
            {
                "batch": _GPU_BATCH,
                "size": config.images.image_size_px,
                "device": machine.device_name,
            },
        )
    return {"batch_size": _CPU_BATCH}, Note(
        "A processor takes as long for one image whatever the batch, so batches of {batch} make "
        "many steps, and are enough for batch normalisation.",
        {"batch": _CPU_BATCH},
    )


def _patches(config: TrainConfig, profile: DatasetProfile, machine: Machine) -> Choice | None:
    if config.images.view != "patches":
        return None
    rarest = profile.class_share[profile.rarest]
    share = 0.5 if rarest < _RARE_SHARE else 0.0
    name = profile.class_names[profile.rarest]
    return {"foreground_share": share}, Note(
        "“{name}” covers {share:.1%} of the pixels; patches that are centred on a class show it "
        "often enough."
        if share
        else "The rarest class, “{name}”, covers {share:.1%} of the pixels: every patch shows it.",
        {"name": name, "share": rarest},
    )


def _augmentation(config: TrainConfig, profile: DatasetProfile, machine: Machine) -> Choice:
    times = config.schedule.epochs * config.images.passes_per_epoch
    strength = "strong" if times > _OFTEN else "medium" if times > _SELDOM else "light"
    return {"augment": strength}, Note(
        "Each of the {num} training samples is shown {times} times: {strength} augmentation.",
        {"num": profile.num_train, "times": times, "strength": strength},
    )


def _length(config: TrainConfig, profile: DatasetProfile, machine: Machine) -> Choice:
    images_per_step = config.schedule.batch_size * config.optimizer.accumulation
    in_patches = config.images.view == "patches"
    windows_per_image = (
        math.ceil(profile.sides_px[1] / config.images.image_size_px) ** 2 if in_patches else 1
    )
    num_images = max(
        _TRAINED_PER_VALIDATED * profile.num_val * windows_per_image,
        _FEWEST_STEPS * images_per_step,
    )
    passes = min(max(1, math.ceil(num_images / profile.num_train)), _MOST_PASSES)
    per_epoch = max(1, -(-profile.num_train * passes // images_per_step))
    num_steps = _GPU_STEPS if machine.device == "cuda" else _CPU_STEPS
    epochs = max(10, round(num_steps / per_epoch))
    return {"passes_per_epoch": passes, "epochs": epochs}, Note(
        "An epoch of {per_epoch} steps, {epochs} of them: about {steps} steps in all.",
        {"per_epoch": per_epoch, "epochs": epochs, "steps": per_epoch * epochs},
    )


_RULES: tuple[Rule, ...] = (
    _view,
    _network,
    _encoder,
    _batch,
    _patches,
    _loss,
    _optimizer,
    _normalization,
    _averaging,
)
"""In the order in which one may look at what another chose; memory, length and augmentation follow,
as they depend on the batch."""


def _rounded(side_px: float) -> int:
    """The multiple of 32 that is nearest, at least 64."""
    return max(64, 32 * round(side_px / 32))
