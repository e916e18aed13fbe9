"""Settings that another one makes ineffective, and settings that are hopeless together.

What cannot work is refused by `TrainConfig`; what works but does not do what a person may think
is said here.
"""

from collections.abc import Iterator, Sequence

from engine.config.parts import AugmentConfig, SplitConfig
from engine.config.profile import DatasetProfile
from engine.config.recipes import RECIPES
from engine.config.sizes import is_unpadded
from engine.config.train_config import TrainConfig
from engine.notes import Note

_U_NET_ONLY = (
    "width", "convs_per_level", "kernel_size", "pool_size", "padding", "normalization",
    "activation", "dropout", "dropout_at", "upsampling", "activate_upsampling", "residual",
    "attention", "initialization",
)  # fmt: skip
"""Settings of the network that describe the U-Net; the other architectures have their own."""


_FITTED = frozenset({"width", "foreground_share"})
"""Settings that the recipe `auto` fits to a dataset and that another one may make ineffective."""


def ignored_settings(config: TrainConfig, num_classes: int) -> list[Note]:
    """Settings that were changed but that another one, or the dataset, makes ineffective.

    Args:
        num_classes: classes of the dataset, background included.
    """
    return [
        Note("{title} ({name}) has no effect: " + reason + ".", {"title": title, "name": name})
        for name, title, reason in _ineffective(config, num_classes)
    ] + [Note(text) for text in _split_warnings(config.split)]


def _ineffective(config: TrainConfig, num_classes: int) -> list[tuple[str, str, str]]:
    """Name, title and reason of each changed setting that does nothing."""
    standard = RECIPES[config.recipe]
    # What `auto` has chosen is nobody's wish.
    fitted = _FITTED if config.recipe == "auto" else frozenset[str]()
    found = []
    for part, names, is_effective, reason in _conditions(config, num_classes):
        if is_effective:
            continue
        chosen, usual = getattr(config, part), getattr(standard, part)
        for name in names:
            field = type(chosen).model_fields[name]
            # Against both, as a recipe's own value was not chosen by anybody.
            is_wish = getattr(chosen, name) not in (getattr(usual, name), field.default)
            if is_wish and name not in fitted:
                found.append((name, str(field.title), reason))
    return found


def _conditions(
    config: TrainConfig, num_classes: int
) -> list[tuple[str, Sequence[str], bool, str]]:
    """Settings by what has to hold for them to have an effect."""
    images, model, loss = config.images, config.model, config.loss
    optimizer, augment = config.optimizer, config.augment
    is_unet = model.architecture == "unet"
    weighs = loss.loss in ("cross_entropy", "dice_cross_entropy", "focal")
    return [
        ("images", ["foreground_share"], images.view == "patches", "only patches are chosen"),
        ("images", ["clip_share"], images.intensity in ("standardized", "min_max"),
         "grey values are neither standardised nor stretched"),
        ("model", _U_NET_ONLY, is_unet, "it belongs to the architecture unet"),
        ("model", ["encoder", "encoder_weights"], not is_unet,
         "the architecture unet has no encoder of its own"),
        ("model", ["dropout_at"], model.dropout > 0, "dropout is 0"),
        ("model", ["activate_upsampling"], model.upsampling == "transposed",
         "interpolation is followed by a convolution, and that by no activation"),
        ("loss", ["dice_share"], loss.loss == "dice_cross_entropy",
         "the loss mixes nothing"),
        ("loss", ["focal_gamma"], loss.loss == "focal", "the loss is not focal"),
        ("loss", ["tversky_beta"], loss.loss == "tversky", "the loss is not tversky"),
        ("loss", ["class_weighting", "border_weight"], weighs,
         "the loss has no weights by pixel"),
        ("loss", ["class_weights"], loss.class_weighting == "given",
         "class weights are not “given”"),
        ("loss", ["border_sigma_px"], loss.border_weight > 0, "the border weight is 0"),
        ("optimizer", ["momentum"], optimizer.optimizer in ("sgd", "rmsprop"),
         "the optimiser has none"),
        ("optimizer", ["warmup_share"], optimizer.lr_schedule == "cosine",
         "only cosine warms up"),
        ("optimizer", ["lr_decay", "lr_decay_epochs"],
         optimizer.lr_schedule in ("step", "exponential", "plateau"),
         "the schedule does not decay by epochs"),
        ("augment", ["border"], _moves(augment), "nothing is turned, shifted or deformed"),
        ("augment", ["elastic_px"], augment.elastic != "none", "nothing is deformed"),
        ("augment", ["elastic_grid"], augment.elastic == "grid", "no grid is deformed"),
        ("augment", ["elastic_smoothing_px"], augment.elastic == "dense",
         "no dense field deforms"),
        ("augment", ["border"], images.view == "resized" and not is_unpadded(model),
         "beyond the border of patches and around unpadded networks lies the mirror image"),
        ("loss", ["deep_supervision"], model.num_levels > 2,
         "a network of two levels has no coarser level to supervise"),
        ("model", ["initialization", "encoder_weights"], model.start_from is None,
         "the network starts from the weights of a run"),
        ("augment", ["channel_shuffle"], images.color != "grey", "grey images have one channel"),
        ("predict", ["overlap"], images.view == "patches" and not is_unpadded(model),
         "only padded networks of patches predict in tiles that overlap"),
        ("predict", ["threshold"], num_classes == 2,
         "with more than two classes the likeliest wins"),
    ]  # fmt: skip


def _moves(augment: AugmentConfig) -> bool:
    """Whether a change can look beyond the border of an image."""
    moves = (augment.rotation_degrees, augment.scale, augment.shift, augment.shear_degrees)
    return any(moves) or augment.elastic != "none"


def _split_warnings(split: SplitConfig) -> list[str]:
    found = []
    method, standard = split.split_method, SplitConfig()
    if method == "dataset" and split != standard.model_copy(
        update={"fold": split.fold, "accept_leaks": split.accept_leaks}
    ):
        found.append(
            "The split stored with the dataset is used; shares, seed and number of folds are not. "
            "Choose another split method to use them."
        )
    if method == "interleaved" and split.split_seed:
        found.append("An interleaved split is not random; its seed is not used.")
    folds, standard_folds = (split.fold, split.num_folds), (standard.fold, standard.num_folds)
    if method not in ("dataset", "k_fold") and folds != standard_folds:
        found.append("The split has no folds; the fold and the number of folds are not used.")
    if method == "k_fold" and split.val_share != standard.val_share:
        found.append("In a k-fold split a fold validates; the validation share is not used.")
    return found


_FEW_VAL_SAMPLES = 3
_SLOW_RATE = 2e-4
_FEW_STEPS = 400
_RARE_SHARE = 0.02


def doubtful_settings(config: TrainConfig, profile: DatasetProfile) -> list[Note]:
    """What can be computed on this dataset, but is likely to disappoint."""
    return [note for doubt in _DOUBTS for note in doubt(config, profile)]


def steps_per_epoch(config: TrainConfig, num_train: int) -> int:
    """Steps of the optimiser in one epoch."""
    images_per_step = config.schedule.batch_size * config.optimizer.accumulation
    return -(-num_train * config.images.passes_per_epoch // images_per_step)


def _few_validate(config: TrainConfig, profile: DatasetProfile) -> Iterator[Note]:
    if profile.num_val < _FEW_VAL_SAMPLES:
        yield Note(
            "With {num} validation samples the best epoch is chosen almost by chance. Hold out "
            "more for validation.",
            {"num": profile.num_val},
        )


def _too_few_steps(config: TrainConfig, profile: DatasetProfile) -> Iterator[Note]:
    is_plain = config.model.architecture == "unet" and config.model.normalization == "none"
    is_slow = config.optimizer.optimizer != "sgd" and config.optimizer.learning_rate <= _SLOW_RATE
    num_steps = config.schedule.epochs * steps_per_epoch(config, profile.num_train)
    if is_plain and is_slow and config.schedule.max_minutes is None and num_steps < _FEW_STEPS:
        yield Note(
            "{steps} steps at a learning rate of {rate:g} without normalisation seldom leave the "
            "first guess. Train for more epochs, choose batch normalisation, or the recipe auto.",
            {"steps": num_steps, "rate": config.optimizer.learning_rate},
        )


def _batch_never_full(config: TrainConfig, profile: DatasetProfile) -> Iterator[Note]:
    num_images = profile.num_train * config.images.passes_per_epoch
    if num_images < config.schedule.batch_size:
        yield Note(
            "A batch of {batch} is never full: an epoch has {num} images. Choose a smaller batch, "
            "or more passes per epoch.",
            {"batch": config.schedule.batch_size, "num": num_images},
        )


def _batch_of_one(config: TrainConfig, profile: DatasetProfile) -> Iterator[Note]:
    if config.model.normalization == "batch" and config.schedule.batch_size == 1:
        yield Note(
            "Batch normalisation of single images is unsteady. Choose group normalisation, or a "
            "larger batch."
        )


def _empty_patches(config: TrainConfig, profile: DatasetProfile) -> Iterator[Note]:
    images, share = config.images, profile.foreground_share
    if images.view == "patches" and not images.foreground_share and share < _RARE_SHARE:
        yield Note(
            "Foreground is {share:.2%} of the pixels, so most patches hold none. Raise Foreground "
            "patches (foreground_share).",
            {"share": share},
        )


def _empty_classes(config: TrainConfig, profile: DatasetProfile) -> Iterator[Note]:
    for name, share in zip(profile.class_names, profile.class_share, strict=True):
        if not share:
            yield Note(
                "The class “{name}” has no pixel in the dataset, so it cannot be learned. Leave "
                "it out, or merge it with another, in a new version of the dataset.",
                {"name": name},
            )


def _foreign_grey_values(config: TrainConfig, profile: DatasetProfile) -> Iterator[Note]:
    model, images = config.model, config.images
    is_pretrained = model.architecture != "unet" and model.encoder_weights == "imagenet"
    if is_pretrained and images.intensity != "imagenet":
        yield Note(
            "The encoder has learned from photographs scaled by their own means. Choose Grey "
            "values (intensity) imagenet."
        )


_DOUBTS = (
    _few_validate, _too_few_steps, _batch_never_full, _batch_of_one, _empty_patches,
    _empty_classes, _foreign_grey_values,
)  # fmt: skip
