"""What is set, in one line for each part of the settings. Pure functions of the settings."""

from collections.abc import Collection, Iterator
from itertools import chain

from engine.config import AUGMENT_PRESETS, AugmentConfig, TrainConfig, is_unpadded, output_size
from pages.common.texts import _, choice_word


def summary(config: TrainConfig, part: str, idle: Collection[str] = ()) -> str:
    """A part of the settings in a few words: U-Net · 5 levels · width 16.

    Args:
        idle: settings that have no effect on this dataset.
    """
    texts = _SUMMARIES[part](config)
    if part == "predict" and "threshold" not in idle:
        texts = chain(texts, [_("threshold {value:g}").format(value=config.predict.threshold)])
    return " · ".join(texts)


def _images(config: TrainConfig) -> Iterator[str]:
    images = config.images
    size = f"{images.image_size_px}×{images.image_size_px} px"
    if images.view == "resized":
        yield _("whole images at {size}").format(size=size)
    else:
        yield _("patches of {size}").format(size=size)
    output_px = output_size(config.model, images.image_size_px)
    if is_unpadded(config.model) and output_px is not None:
        yield _("result {size}").format(size=f"{output_px}×{output_px} px")
    if images.color != "dataset":
        yield choice_word(images.color)
    if images.intensity != "unit":
        yield _("grey values {kind}").format(kind=choice_word(images.intensity))
    if images.passes_per_epoch > 1:
        yield _("{num} passes per epoch").format(num=images.passes_per_epoch)
    if images.view == "patches" and images.foreground_share:
        yield _("{share:.0%} on a class").format(share=images.foreground_share)


def _split(config: TrainConfig) -> Iterator[str]:
    split = config.split
    yield choice_word(split.split_method)
    if split.split_method == "k_fold":
        yield _("fold {fold} of {num}").format(fold=split.fold, num=split.num_folds)
    elif split.split_method != "dataset":
        yield _("{share:.0%} validation").format(share=split.val_share)
    if split.split_method != "dataset":
        yield _("{share:.0%} test").format(share=split.test_share)
    if split.accept_leaks:
        yield _("leaks accepted")


def _network(config: TrainConfig) -> Iterator[str]:
    model = config.model
    yield choice_word(model.architecture)
    if model.architecture == "unet":
        yield _("{num} levels").format(num=model.num_levels)
        yield _("width {num}").format(num=model.width)
        if model.padding == "none":
            yield _("no padding")
        if model.normalization != "none":
            yield _("{kind} normalisation").format(kind=choice_word(model.normalization))
        if model.residual:
            yield _("residual")
        if model.attention:
            yield _("attention gates")
        if model.dropout:
            yield _("dropout {share:g}").format(share=model.dropout)
    else:
        yield model.encoder
        if model.encoder_weights != "none":
            yield _("weights from {source}").format(source=choice_word(model.encoder_weights))
    if model.start_from is not None:
        yield _("starts from a run")


def _loss(config: TrainConfig) -> Iterator[str]:
    loss = config.loss
    yield choice_word(loss.loss)
    if loss.class_weighting != "none":
        yield _("{kind} class weights").format(kind=choice_word(loss.class_weighting))
    if loss.border_weight:
        yield _("border weight {weight:g}").format(weight=loss.border_weight)
    if loss.deep_supervision:
        yield _("deep supervision")


def _optimizer(config: TrainConfig) -> Iterator[str]:
    optimizer = config.optimizer
    yield choice_word(optimizer.optimizer)
    yield _("learning rate {rate:g}").format(rate=optimizer.learning_rate)
    yield choice_word(optimizer.lr_schedule)
    if optimizer.accumulation > 1:
        yield _("{num} batches a step").format(num=optimizer.accumulation)
    if optimizer.ema_decay:
        yield _("averaged weights")


def _augmentation(config: TrainConfig) -> Iterator[str]:
    augment = config.augment
    preset = next((name for name, each in AUGMENT_PRESETS.items() if each == augment), None)
    if preset is not None:
        yield choice_word(preset)
        return
    for name in _CHANGES:
        value = getattr(augment, name)
        if value not in (0, False, "none"):
            yield _(AugmentConfig.model_fields[name].title or name).lower()


_CHANGES = (
    "flips", "rotate_90", "rotation_degrees", "scale", "shift", "shear_degrees", "crop", "elastic",
    "brightness", "contrast", "gamma", "noise", "blur_px", "channel_shuffle", "cutout",
)  # fmt: skip
"""The settings that switch a change on."""


def _schedule(config: TrainConfig) -> Iterator[str]:
    schedule = config.schedule
    if schedule.max_minutes is None:
        yield _("{num} epochs").format(num=schedule.epochs)
    else:
        yield _("{minutes:g} minutes, in place of {num} epochs").format(
            minutes=schedule.max_minutes, num=schedule.epochs
        )
    yield _("batches of {num}").format(num=schedule.batch_size)
    if schedule.early_stop_epochs:
        yield _("ends after {num} epochs without a better one").format(
            num=schedule.early_stop_epochs
        )


def _prediction(config: TrainConfig) -> Iterator[str]:
    predict = config.predict
    if predict.averaging == "none":
        yield _("one view")
    else:
        yield _("averaged over views: {kind}").format(kind=choice_word(predict.averaging))


def _computing(config: TrainConfig) -> Iterator[str]:
    compute = config.compute
    yield _("device {kind}").format(kind=choice_word(compute.device))
    yield _("precision {kind}").format(kind=choice_word(compute.precision))
    if compute.deterministic:
        yield _("deterministic")


_SUMMARIES = {
    "images": _images,
    "split": _split,
    "model": _network,
    "loss": _loss,
    "optimizer": _optimizer,
    "augment": _augmentation,
    "schedule": _schedule,
    "predict": _prediction,
    "compute": _computing,
}
