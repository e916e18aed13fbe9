"""Training settings: one validated, versioned `TrainConfig` made of small parts, and the recipes.

Every field carries its title, its range and, as the string under it, its meaning: the form on the
Train page, the command line's `--set` and the error messages are all made from these, so nothing
can drift. Leaf names are unique across the parts; `--set epochs=5` and `--set schedule.epochs=5`
mean the same.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from engine.errors import BadSetting

_MAX_HELD_OUT_SHARE = 0.8

CONFIG_VERSION: Literal[1] = 1

RecipeName = Literal["tutorial", "quick"]


P = TypeVar("P", bound="Part")


class Part(BaseModel):
    """A group of settings. Frozen; unknown names are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class ImageConfig(Part):
    """What the network sees of an image."""

    image_size_px: int = Field(256, ge=16, le=2048, title="Image size")
    """Width and height every image is resized to for the network. Scores are still computed at the original size."""
    color: Literal["dataset", "rgb", "grey"] = Field("dataset", title="Colour channels")
    """“dataset” keeps what the images have; “rgb” and “grey” convert them."""


class SplitConfig(Part):
    """Which samples are trained on, validated on and tested on. Groups are never divided."""

    split_method: Literal["dataset", "random", "stratified", "interleaved", "k_fold"] = Field(
        "dataset", title="Split method"
    )
    """“dataset” is the split that comes with the data: for a run the one stored with the dataset, for an import what folders such as train/ and test/ say, else “random”. “random” shuffles with the split seed; “stratified” also gives every part its share of each class; “interleaved” holds out every n-th sample in natural order, as one does with slices of a stack; “k_fold” divides what is not test into folds, each of which validates once."""
    val_share: float = Field(0.15, gt=0, le=0.5, title="Validation share")
    """Share of the samples that picks the best epoch. At least one sample."""
    test_share: float = Field(0.15, ge=0, le=0.5, title="Test share")
    """Share of the samples that no epoch looks at. 0 gives no test scores."""
    split_seed: int = Field(0, ge=0, le=2**31 - 1, title="Split seed")
    """Runs with the same dataset, shares and seed have the same split."""
    num_folds: int = Field(5, ge=2, le=20, title="Folds")
    """Parts of a k-fold split."""
    fold: int = Field(1, ge=1, le=20, title="Fold")
    """The fold that validates, counted from 1; the others are trained on."""
    accept_leaks: bool = Field(False, title="Accept leaks")
    """Train although copies of training images are among those that are scored. Scores are then too good."""


class ModelConfig(Part):
    """The network: a U-Net (arXiv 1505.04597) with padded 3×3 convolutions."""

    num_levels: int = Field(4, ge=2, le=7, title="Levels")
    """Resolutions the network works at; each level halves the size and doubles the channels."""
    width: int = Field(64, ge=4, le=256, title="Width")
    """Channels of the first level."""
    normalization: Literal["none", "batch", "group"] = Field("none", title="Normalisation")
    """Normalisation after each convolution. “batch” trains faster; “group” suits batches of 1 or 2."""
    upsampling: Literal["transposed", "bilinear"] = Field("transposed", title="Upsampling")
    """“transposed” learns the upsampling; “bilinear” interpolates and has fewer parameters."""


class LossConfig(Part):
    """What is minimised."""

    loss: Literal["cross_entropy", "dice_cross_entropy"] = Field("cross_entropy", title="Loss")
    """Cross-entropy (binary cross-entropy with two classes), or its sum with soft Dice, which helps when a class is rare."""


class OptimizerConfig(Part):
    """How the loss is minimised."""

    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", title="Optimiser")
    """Adam, AdamW (decoupled weight decay) or SGD with momentum 0.9."""
    learning_rate: float = Field(1e-4, gt=0, le=10, title="Learning rate")
    """Step size; the peak of the schedule."""
    weight_decay: float = Field(0.0, ge=0, le=1, title="Weight decay")
    """Pull of the weights towards zero."""
    lr_schedule: Literal["constant", "cosine"] = Field("constant", title="Learning-rate schedule")
    """“cosine” warms up over the first 5 % of the training and then falls to zero."""


class AugmentConfig(Part):
    """Random changes to the training images, so that few images go further."""

    flips: bool = Field(False, title="Flips")
    """Mirror images left-right and up-down at random."""
    rotate_90: bool = Field(False, title="Quarter turns")
    """Turn images by 0, 90, 180 or 270 degrees at random."""
    brightness_contrast: float = Field(0.0, ge=0, le=0.9, title="Brightness and contrast")
    """Largest relative change of brightness and of contrast; 0.2 means ±20 %."""


class ScheduleConfig(Part):
    """How long and in which portions."""

    epochs: int = Field(20, ge=1, le=100_000, title="Epochs")
    """Passes over the training samples. Not used when a time budget is set."""
    max_minutes: float | None = Field(None, gt=0, le=60 * 24 * 14, title="Time budget (minutes)")
    """Train for this long instead of a number of epochs; the learning-rate schedule is stretched to it."""
    batch_size: int = Field(4, ge=1, le=512, title="Batch size")
    """Images per training step."""
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Training seed")
    """Seed of the weights, the order and the augmentation."""
    threshold: float = Field(0.5, gt=0, lt=1, title="Threshold")
    """Probability from which a pixel counts as foreground, with two classes. With more, the likeliest class wins."""


class ComputeConfig(Part):
    """Where and how exactly the numbers are computed."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", title="Device")
    """“auto” takes the GPU when there is one."""
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", title="Precision")
    """“auto” computes in bfloat16 where the hardware has it, which is faster; “fp32” is exact to the last bit of single precision."""


class TrainConfig(Part):
    """A complete set of training settings. A run stores its own full copy."""

    version: Literal[1] = CONFIG_VERSION
    recipe: RecipeName = "tutorial"
    images: ImageConfig = ImageConfig()
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    compute: ComputeConfig = ComputeConfig()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        smallest_px = self.images.image_size_px / 2 ** (self.model.num_levels - 1)
        if smallest_px < 2:
            raise ValueError(
                f"An image of {self.images.image_size_px} px is halved "
                f"{self.model.num_levels - 1} times by {self.model.num_levels} levels and ends at "
                f"{smallest_px:g} px; at least 2 must remain. Choose fewer levels or larger images"
            )
        if self.split.val_share + self.split.test_share > _MAX_HELD_OUT_SHARE:
            raise ValueError(
                f"Validation and test take {self.split.val_share + self.split.test_share:g} of the "
                f"samples; at most {_MAX_HELD_OUT_SHARE:g} may be held out, or too little is left "
                "to learn from"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """The settings as nested JSON types."""
        return self.model_dump(mode="json")


RECIPES: Mapping[RecipeName, TrainConfig] = {
    # The PyTorch tutorial the project starts from; 7,697,345 parameters for 3→1 channels.
    "tutorial": TrainConfig(images=ImageConfig(color="rgb")),
    # Small enough for a CPU: 1/16 of the tutorial's arithmetic per pixel, and normalisation,
    # Dice and a schedule so that few epochs suffice.
    "quick": TrainConfig(
        recipe="quick",
        model=ModelConfig(width=16, normalization="batch"),
        loss=LossConfig(loss="dice_cross_entropy"),
        optimizer=OptimizerConfig(
            optimizer="adamw", learning_rate=4e-3, weight_decay=1e-4, lr_schedule="cosine"
        ),
        augment=AugmentConfig(flips=True, rotate_90=True, brightness_contrast=0.2),
        schedule=ScheduleConfig(epochs=30),
    ),
}


def parts() -> dict[str, type[Part]]:
    """The parts of a `TrainConfig` by name, in the order a form shows them."""
    return {
        name: field.annotation
        for name, field in TrainConfig.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Part)
    }


def leaf_fields() -> dict[str, tuple[str, FieldInfo]]:
    """Every setting by its leaf name: `{"epochs": ("schedule", field)}`."""
    return {
        leaf: (part, field)
        for part, model in parts().items()
        for leaf, field in model.model_fields.items()
    }


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


def parse_part(kind: type[P], values: Mapping[str, Any], message: str) -> P:
    """A validated part from nested plain values.

    Args:
        message: what to say when it cannot be used; `{problems}` stands for what is wrong.

    Raises:
        BadSetting: a value is out of range, of the wrong kind, or unknown.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(problem_sentence(detail) for detail in error.errors())
        raise BadSetting(message, problems=problems) from None


def parse_config(values: Mapping[str, Any]) -> TrainConfig:
    """A validated config from nested plain values, such as a stored run's.

    Raises:
        BadSetting: a value is out of range, of the wrong kind, or unknown; the message names
            each one, what it was and what is expected.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_problem(detail) for detail in error.errors())
        raise BadSetting("{problems}.", problems=problems) from None


def with_changes(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    """The config with some settings replaced, validated as a whole.

    Args:
        config: what to start from.
        changes: values by leaf name (`epochs`) or dotted name (`schedule.epochs`).

    Raises:
        BadSetting: a name is unknown or a value cannot be used.
    """
    values = config.to_dict()
    leaves = leaf_fields()
    for name, value in changes.items():
        part, _, leaf = name.rpartition(".")
        if leaf not in leaves or part not in ("", leaves[leaf][0]):
            raise BadSetting(
                "There is no setting “{name}”. Settings: {known}.",
                name=name,
                known=", ".join(sorted(leaves)),
            )
        values[leaves[leaf][0]][leaf] = value
    return parse_config(values)


def config_warnings(config: TrainConfig, num_classes: int) -> list[str]:
    """Settings that were changed but that another one, or the dataset, makes ineffective.

    Args:
        num_classes: classes of the dataset, background included.
    """
    standard = RECIPES[config.recipe]
    found = []
    if config.schedule.max_minutes is not None:
        found.append("A time budget is set, so the number of epochs is not used.")
    if num_classes > 2 and config.schedule.threshold != standard.schedule.threshold:
        found.append("With more than two classes the likeliest wins; the threshold is not used.")
    found += _split_warnings(config.split)
    return found


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
    if method not in ("dataset", "k_fold") and split.fold != standard.fold:
        found.append("The split has no folds; the fold is not used.")
    if method == "k_fold" and split.val_share != standard.val_share:
        found.append("In a k-fold split a fold validates; the validation share is not used.")
    return found


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The allowed words of a setting, or () for a number or a switch."""
    return get_args(field.annotation) if "Literal" in str(field.annotation) else ()


def bounds(field: FieldInfo) -> dict[str, float]:
    """The limits of a numeric setting: any of `gt`, `ge`, `lt`, `le`."""
    return {
        name: getattr(constraint, name)
        for constraint in field.metadata
        for name in ("gt", "ge", "lt", "le")
        if hasattr(constraint, name)
    }


def problem_sentence(problem: Mapping[str, Any]) -> str:
    """What pydantic found wrong with one value, as a sentence without its full stop.

    Args:
        problem: one of `ValidationError.errors()`.
    """
    raised = problem.get("ctx", {}).get("error")
    if isinstance(raised, ValueError):
        return str(raised)
    place = ".".join(str(step) for step in problem["loc"])
    seen = problem["input"]
    shown = f" is {seen!r}" if isinstance(seen, str | int | float | bool | None) else ""
    return f"{place}{shown}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"


_BOUND_WORDS = {"gt": "more than {}", "ge": "at least {}", "lt": "less than {}", "le": "at most {}"}


def _problem(detail: Any) -> str:
    """One pydantic finding as the user's sentence: field, what was seen, what is expected."""
    if not detail["loc"]:
        return str(detail["ctx"]["error"])
    leaf = str(detail["loc"][-1])
    if detail["type"] == "literal_error" and len(detail["loc"]) == 1:
        # The version or the recipe of a stored config.
        allowed = ", ".join(map(str, get_args(TrainConfig.model_fields[leaf].annotation)))
        one_of = "one of " if ", " in allowed else ""
        return f"{leaf} is {detail['input']!r}; it must be {one_of}{allowed}"
    if detail["type"] == "extra_forbidden" or leaf not in leaf_fields():
        return f"“{'.'.join(str(step) for step in detail['loc'])}” is not a known setting"
    field = leaf_fields()[leaf][1]
    # Twelve digits write the largest seed out in full.
    expected = " and ".join(
        _BOUND_WORDS[name].format(f"{limit:.12g}") for name, limit in bounds(field).items()
    )
    if choices(field):
        expected = "one of " + ", ".join(choices(field))
    elif field.annotation is bool:
        expected = "true or false"
    elif field.annotation is int:
        expected = "a whole number, " + expected
    return f"{field.title} ({leaf}) is {detail['input']!r}; it must be {expected}"
