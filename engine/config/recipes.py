"""The recipes: named, complete sets of training settings."""

from collections.abc import Mapping

from engine.config.parts import (
    AUGMENT_PRESETS,
    AugmentConfig,
    ImageConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    PredictConfig,
    ScheduleConfig,
)
from engine.config.train_config import RecipeName, TrainConfig
from engine.errors import BadSetting

RECIPES: Mapping[RecipeName, TrainConfig] = {
    # What `auto` starts from; `engine.config.auto` fits it to a dataset and a machine.
    "auto": TrainConfig(
        recipe="auto",
        model=ModelConfig(width=16, normalization="batch", initialization="he"),
        loss=LossConfig(loss="dice_cross_entropy"),
        optimizer=OptimizerConfig(
            optimizer="adamw", learning_rate=4e-3, weight_decay=1e-3, lr_schedule="cosine",
            clip_norm=5.0, ema_decay=0.99,
        ),
        augment=AUGMENT_PRESETS["light"],
        schedule=ScheduleConfig(epochs=20),
        predict=PredictConfig(averaging="flips_turns"),
    ),
    # Small enough for a CPU: 1/16 of the tutorial's arithmetic per pixel, and normalisation,
    # Dice and a schedule so that few epochs suffice.
    "quick": TrainConfig(
        recipe="quick",
        model=ModelConfig(width=16, normalization="batch"),
        loss=LossConfig(loss="dice_cross_entropy"),
        optimizer=OptimizerConfig(
            optimizer="adamw", learning_rate=4e-3, weight_decay=1e-4, lr_schedule="cosine"
        ),
        augment=AugmentConfig(flips="both", rotate_90=True, brightness=0.2, contrast=0.2),
        schedule=ScheduleConfig(epochs=30),
    ),
    # The PyTorch tutorial the project starts from; 7,697,345 parameters for 3→1 channels.
    "tutorial": TrainConfig(images=ImageConfig(color="rgb")),
    # arXiv 1505.04597: figure 1 for the network, section 3 for the training. The paper names no
    # learning rate and no strengths of rotation, shift and grey values; these are ours.
    "paper": TrainConfig(
        recipe="paper",
        images=ImageConfig(view="patches", image_size_px=572, color="grey"),
        model=ModelConfig(
            num_levels=5, padding="none", dropout=0.5, activate_upsampling=True,
            initialization="he",
        ),
        loss=LossConfig(class_weighting="balanced", border_weight=10.0, border_sigma_px=5.0),
        optimizer=OptimizerConfig(optimizer="sgd", learning_rate=1e-3, momentum=0.99),
        augment=AugmentConfig(
            flips="both", rotate_90=True, rotation_degrees=45, shift=0.05, elastic="grid",
            elastic_px=10.0, elastic_grid=3, brightness=0.2, contrast=0.2,
        ),
        schedule=ScheduleConfig(epochs=100, batch_size=1),
    ),
    # github.com/jakeret/tf_unet: the defaults of `Unet` and of `Trainer`. It feeds images at their
    # own size; here they are resized to 260 px, with a mirrored border to 300 px.
    "tf_unet": TrainConfig(
        recipe="tf_unet",
        images=ImageConfig(view="resized", image_size_px=300, intensity="min_max"),
        model=ModelConfig(
            num_levels=3, width=16, padding="none", dropout=0.25, dropout_at="every_convolution",
            activate_upsampling=True, initialization="he",
        ),
        optimizer=OptimizerConfig(
            optimizer="sgd", learning_rate=0.2, momentum=0.2, lr_schedule="step",
            lr_decay=0.95, lr_decay_epochs=1,
        ),
        schedule=ScheduleConfig(epochs=100, batch_size=1),
    ),
}  # fmt: skip

DEFAULT_RECIPE: RecipeName = "auto"


def recipe(name: str) -> TrainConfig:
    """The recipe of that name.

    Raises:
        BadSetting: there is none.
    """
    if name not in RECIPES:
        raise BadSetting(
            "There is no recipe “{name}”. Recipes: {known}.", name=name, known=", ".join(RECIPES)
        )
    return RECIPES[name]  # type: ignore[index]
