"""Changes of settings that may help, each checked against the settings it changes.

None stands for a remedy that this run does not need or cannot have, so that a rule may name all
that would help and `chosen` keeps what does.
"""

from collections.abc import Mapping
from typing import Any

from engine.config import (
    AUGMENT_PRESETS,
    TrainConfig,
    ignored_settings,
    leaf_fields,
    with_changes,
)
from engine.doctor.case import Case, Remedy
from engine.errors import BadSetting
from engine.notes import Note

_MOST = 3
"""Remedies shown of one diagnosis: more are no advice."""
_SMALLEST_PX = 64

_USUAL_RATES = (3e-5, 1e-3, 2e-2)
"""Lowest, middle and highest learning rate with which networks like these are trained, by
optimisers that scale their steps themselves."""
_USUAL_SGD_RATES = (1e-3, 1e-1, 2.0)
"""By SGD, where a step is as long as momentum makes it."""


def chosen(*remedies: Remedy | None) -> tuple[Remedy, ...]:
    """Those that can be had, the first few."""
    return tuple(each for each in remedies if each is not None)[:_MOST]


def change(case: Case, label: Note, changes: Mapping[str, Any]) -> Remedy | None:
    """A clone with other settings; None where nothing would differ, or they do not go together."""
    try:
        changed = with_changes(case.config, changes)
    except BadSetting:
        return None
    differing = {
        leaf: setting(changed, leaf)
        for leaf in changes
        if setting(changed, leaf) != setting(case.config, leaf)
    }
    idle = {note.facts.get("name") for note in ignored_settings(changed, len(case.classes))}
    return None if not differing or idle & differing.keys() else Remedy(label, differing)


def setting(config: TrainConfig, leaf: str) -> Any:
    """The value of a setting by its leaf name."""
    return getattr(getattr(config, leaf_fields()[leaf][0]), leaf)


def usual_rates(config: TrainConfig) -> tuple[float, float, float]:
    """The lowest, a middle, and the highest learning rate that are usual with the optimiser."""
    if config.optimizer.optimizer != "sgd":
        return _USUAL_RATES
    low, middle, high = (rate * (1 - config.optimizer.momentum) for rate in _USUAL_SGD_RATES)
    return low, middle, high


def lower_rate(case: Case) -> Remedy | None:
    """A tenth of the learning rate, or a usual one where that is still too high."""
    tenth, (_low, middle, high) = case.config.optimizer.learning_rate / 10, usual_rates(case.config)
    return _rate(case, tenth if tenth <= high else middle)


def higher_rate(case: Case) -> Remedy | None:
    """Ten times the learning rate, or a usual one where that is still too low."""
    tenfold, (low, middle, _high) = (
        case.config.optimizer.learning_rate * 10,
        usual_rates(case.config),
    )
    return _rate(case, tenfold if tenfold >= low else middle)


def clipping(case: Case) -> Remedy | None:
    """Gradients of at most length 1."""
    is_tighter = 0 < case.config.optimizer.clip_norm <= 1
    return None if is_tighter else change(case, Note("gradient clipping at 1"), {"clip_norm": 1.0})


def full_precision(case: Case) -> Remedy | None:
    """Single precision."""
    return change(case, Note("precision fp32"), {"precision": "fp32"})


def normalisation(case: Case) -> Remedy | None:
    """Normalisation for a U-Net without."""
    model, batch_size = case.config.model, case.config.schedule.batch_size
    if model.architecture != "unet" or model.normalization != "none":
        return None
    if batch_size == 1:
        return change(case, Note("group normalisation"), {"normalization": "group"})
    return change(case, Note("batch normalisation"), {"normalization": "batch"})


def dice_loss(case: Case) -> Remedy | None:
    """A loss that does not give small classes up."""
    if case.config.loss.loss in ("dice", "tversky", "lovasz"):
        return None
    return change(case, Note("the loss Dice + cross-entropy"), {"loss": "dice_cross_entropy"})


def balanced_classes(case: Case) -> Remedy | None:
    """The same weight for all classes."""
    if case.config.loss.class_weighting != "none":
        return None
    return change(case, Note("balanced class weights"), {"class_weighting": "balanced"})


def foreground_patches(case: Case) -> Remedy | None:
    """Half of the patches on the foreground."""
    if case.config.images.foreground_share >= 0.5:
        return None
    return change(case, Note("half of the patches on the foreground"), {"foreground_share": 0.5})


def middle_threshold(case: Case) -> Remedy | None:
    """The threshold that the likelier of two classes passes."""
    return change(case, Note("threshold 0.5"), {"threshold": 0.5})


def stronger_augmentation(case: Case) -> Remedy | None:
    """The next stronger preset."""
    augment = case.config.augment
    if augment.elastic != "none":
        return None
    moves = augment.rotation_degrees or augment.scale or augment.shift or augment.shear_degrees
    preset = "strong" if moves else "medium"
    label = Note("strong augmentation") if moves else Note("medium augmentation")
    return change(case, label, AUGMENT_PRESETS[preset].model_dump(mode="json"))


def smaller_batch(case: Case) -> Remedy | None:
    """Half the batch, twice accumulated, so that a step learns from as many images."""
    batch, times = case.config.schedule.batch_size, case.config.optimizer.accumulation
    if batch < 2:
        return None
    label = Note(
        "batches of {batch}, {times} accumulated", {"batch": batch // 2, "times": 2 * times}
    )
    return change(case, label, {"batch_size": batch // 2, "accumulation": 2 * times})


def half_size(case: Case) -> Remedy | None:
    """Images, or patches, of half the width and height."""
    half = case.config.images.image_size_px // 2
    if half < _SMALLEST_PX:
        return None
    label = (
        Note("patches of {size} px", {"size": half})
        if case.config.images.view == "patches"
        else Note("images of {size} px", {"size": half})
    )
    return change(case, label, {"image_size_px": half})


def narrower_network(case: Case) -> Remedy | None:
    """A U-Net of half the channels."""
    width = case.config.model.width // 2
    return change(case, Note("width {width}", {"width": width}), {"width": width})


def uncompiled(case: Case) -> Remedy | None:
    """Neither compilation nor a precision that the processor may not be able to compute."""
    label = Note("no compilation and precision fp32")
    return change(case, label, {"compiled": "off", "precision": "fp32"})


def _rate(case: Case, rate: float) -> Remedy | None:
    # As a person would write it: 0.0004, not 0.00039999999999999996.
    rate = float(f"{rate:.2g}")
    return change(case, Note("learning rate {rate:g}", {"rate": rate}), {"learning_rate": rate})
