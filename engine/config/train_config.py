"""`TrainConfig`: all settings of a training, checked against each other."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from engine.config.parts import (
    AugmentConfig,
    ComputeConfig,
    ImageConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    Part,
    PredictConfig,
    ScheduleConfig,
    SplitConfig,
)
from engine.config.sizes import is_unpadded, nearest_sizes, output_size

CONFIG_VERSION: Literal[2] = 2

RecipeName = Literal["auto", "quick", "tutorial", "paper", "tf_unet"]

_MAX_HELD_OUT_SHARE = 0.8


class TrainConfig(Part):
    """A complete set of training settings. A run stores its own full copy."""

    version: Literal[2] = CONFIG_VERSION
    recipe: RecipeName = "tutorial"
    images: ImageConfig = ImageConfig()
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    predict: PredictConfig = PredictConfig()
    compute: ComputeConfig = ComputeConfig()

    @model_validator(mode="before")
    @classmethod
    def _from_older_version(cls, values: Any) -> Any:
        is_old = isinstance(values, Mapping) and values.get("version") == 1
        return _upgraded(values) if is_old else values

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        _check_sizes(self.images, self.model)
        if self.split.val_share + self.split.test_share > _MAX_HELD_OUT_SHARE:
            raise ValueError(
                f"Validation and test take {self.split.val_share + self.split.test_share:g} of the "
                f"samples; at most {_MAX_HELD_OUT_SHARE:g} may be held out, or too little is left "
                "to learn from"
            )
        _check_loss(self.loss, self.model)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The settings as nested JSON types."""
        return self.model_dump(mode="json")


def _check_sizes(images: ImageConfig, model: ModelConfig) -> None:
    if model.kernel_size % 2 == 0:
        raise ValueError(
            f"Filter size (kernel_size) is {model.kernel_size}; it must be odd, so that a filter "
            f"has a middle. Choose {model.kernel_size - 1} or {model.kernel_size + 1}"
        )
    if is_unpadded(model):
        if output_size(model, images.image_size_px) is None:
            nearest = " or ".join(map(str, nearest_sizes(model, images.image_size_px)))
            raise ValueError(
                f"An image of {images.image_size_px} px does not pass through {model.num_levels} "
                "levels without padding: each level must divide it evenly and leave something. "
                f"Choose {nearest or 'fewer levels'}"
                f"{' px, or fewer levels' if nearest else ''}"
            )
        return
    if model.architecture != "unet":
        return
    halvings = model.num_levels - 1
    smallest_px = images.image_size_px / model.pool_size**halvings
    if smallest_px < 2:
        divided = "halved" if model.pool_size == 2 else f"divided by {model.pool_size}"
        raise ValueError(
            f"An image of {images.image_size_px} px is {divided} {halvings} times by "
            f"{model.num_levels} levels and ends at {smallest_px:g} px; at least 2 must remain. "
            "Choose fewer levels or larger images"
        )


def _check_loss(loss: LossConfig, model: ModelConfig) -> None:
    given = loss.class_weights
    if loss.class_weighting == "given" and given is None:
        raise ValueError(
            "Class weights (class_weighting) is given, but there are none. Set Given class weights "
            "(class_weights) to one number for each class"
        )
    if given is not None and not (len(given) >= 2 and all(each > 0 for each in given)):
        seen = ", ".join(f"{each:g}" for each in given) or "empty"
        raise ValueError(
            f"Given class weights (class_weights) is {seen}; it must be one number above 0 "
            "for each class, at least two"
        )
    if loss.deep_supervision and (model.architecture != "unet" or is_unpadded(model)):
        raise ValueError(
            "Deep supervision (deep_supervision) needs the architecture unet with padding. Choose "
            "those, or switch it off"
        )


def _upgraded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of version 1 as version 2: what did not exist is as it was done then."""
    new = {name: dict(part) if isinstance(part, Mapping) else part for name, part in values.items()}
    new["version"] = CONFIG_VERSION
    schedule, augment = (
        # What is no group of settings is left for the validation to name.
        new[name] if isinstance(new.get(name), dict) else {}
        for name in ("schedule", "augment")
    )
    if "threshold" in schedule:
        new["predict"] = {"threshold": schedule.pop("threshold")}
    if "flips" in augment:
        augment["flips"] = "both" if augment["flips"] else "none"
    if "brightness_contrast" in augment:
        limit = augment.pop("brightness_contrast")
        augment |= {"brightness": limit, "contrast": limit}
    return new
