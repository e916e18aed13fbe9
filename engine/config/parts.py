"""The parts of a `TrainConfig`: what each setting is called, its range and, below it, its meaning.

The form on the Train page, the command line's `--set` and the error messages are all made from
these, so nothing can drift. Leaf names are unique across the parts.
"""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Architecture = Literal[
    "unet",
    "encoder_unet",
    "unet_plus_plus",
    "manet",
    "linknet",
    "fpn",
    "pspnet",
    "pan",
    "deeplab_v3_plus",
    "upernet",
    "segformer",
]

Encoder = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext50_32x4d",
    "efficientnet-b0",
    "efficientnet-b2",
    "efficientnet-b4",
    "mobilenet_v2",
    "densenet121",
    "vgg16_bn",
    "mit_b0",
    "mit_b2",
]


class Part(BaseModel):
    """A group of settings. Frozen; unknown names are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class ImageConfig(Part):
    """What the network sees of an image."""

    view: Literal["resized", "patches"] = Field("resized", title="View")
    """“resized” shows the network whole images, made smaller or larger; “patches” shows it pieces at the original resolution, so that small things stay visible."""
    image_size_px: int = Field(256, ge=16, le=2048, title="Image size")
    """Width and height of what the network is shown in training: the resized image, or the patch. Scores are always computed at the original size."""
    color: Literal["dataset", "rgb", "grey"] = Field("dataset", title="Colour channels")
    """“dataset” keeps what the images have; “rgb” and “grey” convert them."""
    intensity: Literal["unit", "standardized", "min_max", "imagenet"] = Field(
        "unit", title="Grey values"
    )
    """How pixel values reach the network. “unit” divides by 255; “standardized” gives every image mean 0 and deviation 1; “min_max” stretches every image to 0…1; “imagenet” uses the means of the pictures that pretrained encoders learned from."""
    clip_share: float = Field(0.0, ge=0, le=0.2, title="Clipped share")
    """Share of the darkest and of the brightest pixels of an image that is clipped before “standardized” and “min_max”, against single hot pixels."""
    passes_per_epoch: int = Field(1, ge=1, le=1000, title="Passes per epoch")
    """How often each training image, or a patch of it, is drawn in one epoch."""
    foreground_share: float = Field(0.0, ge=0, le=1, title="Foreground patches")
    """Share of the patches that are centred on a pixel of a foreground class, every class in turn; the others lie anywhere. Rare things are then seen often enough."""

    def num_channels(self, of_dataset: int) -> int:
        """Channels the network sees of a dataset with so many."""
        return {"dataset": of_dataset, "rgb": 3, "grey": 1}[self.color]


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
    """The network."""

    architecture: Architecture = Field("unet", title="Architecture")
    """“unet” is the U-Net (arXiv 1505.04597) with every setting below; the others put a decoder on an encoder that may be pretrained."""
    num_levels: int = Field(4, ge=2, le=7, title="Levels")
    """Resolutions the network works at; each level divides the size by the pool size and doubles the channels."""
    width: int = Field(64, ge=4, le=256, title="Width")
    """Channels of the first level."""
    convs_per_level: int = Field(2, ge=1, le=4, title="Convolutions per level")
    """Convolutions at each level, on the way down and on the way up."""
    kernel_size: int = Field(3, ge=1, le=9, title="Filter size")
    """Width and height of the convolutions; an odd number."""
    pool_size: int = Field(2, ge=2, le=4, title="Pool size")
    """By how much each level reduces width and height."""
    padding: Literal["same", "none"] = Field("same", title="Padding")
    """“same” keeps the size; “none” uses only pixels that exist, as the paper does: the result is smaller than the image, and large images join without a seam."""
    normalization: Literal["none", "batch", "group", "instance"] = Field(
        "none", title="Normalisation"
    )
    """Normalisation after each convolution. “batch” trains faster; “group” suits batches of 1 or 2; “instance” treats each image by itself."""
    activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu"] = Field(
        "relu", title="Activation"
    )
    """The function after each convolution."""
    dropout: float = Field(0.0, ge=0, le=0.9, title="Dropout")
    """Share of the channels that is switched off at random in training."""
    dropout_at: Literal["deepest_two", "every_convolution"] = Field(
        "deepest_two", title="Dropout after"
    )
    """“deepest_two” drops at the end of the contracting path, as the paper does; “every_convolution” after each one, as tf_unet does."""
    upsampling: Literal["transposed", "bilinear", "nearest"] = Field(
        "transposed", title="Upsampling"
    )
    """“transposed” learns the upsampling; “bilinear” and “nearest” interpolate and have fewer parameters."""
    activate_upsampling: bool = Field(False, title="Activation after upsampling")
    """Put the activation after each upsampling too, as the paper and tf_unet do."""
    residual: bool = Field(False, title="Residual")
    """Add the input of each level's convolutions to their output (arXiv 1512.03385)."""
    attention: bool = Field(False, title="Attention gates")
    """Weigh what skips across by what comes from below (arXiv 1804.03999)."""
    initialization: Literal["torch", "he"] = Field("torch", title="Initial weights")
    """“torch” is the library's default; “he” draws from a normal distribution of deviation √(2/N), N the incoming connections, as the paper does."""
    encoder: Encoder = Field("resnet34", title="Encoder")
    """The contracting path of every architecture but “unet”."""
    encoder_weights: Literal["none", "imagenet"] = Field("none", title="Encoder weights")
    """“imagenet” starts from an encoder that has learned from photographs, taken from the folder of weights or, where it can be reached, the hub."""
    start_from: str | None = Field(None, max_length=100, title="Start from run")
    """Id or name of a run whose best weights this one starts from. Weights whose shape differs are left out and named in the log."""


class LossConfig(Part):
    """What is minimised."""

    loss: Literal["cross_entropy", "dice", "dice_cross_entropy", "focal", "tversky", "lovasz"] = (
        Field("cross_entropy", title="Loss")
    )
    """Cross-entropy (binary with two classes); soft Dice of all classes (arXiv 1606.04797), which helps when one is rare; a mixture of both; focal (arXiv 1708.02002), which looks at what is hard; Tversky (arXiv 1706.05721), which weighs misses against false alarms; Lovász (arXiv 1705.08790), which follows IoU."""
    dice_share: float = Field(0.5, ge=0, le=1, title="Share of Dice")
    """Weight of Dice in “dice_cross_entropy”; cross-entropy has the rest."""
    focal_gamma: float = Field(2.0, ge=0, le=10, title="Focal γ")
    """How much the focal loss turns away from pixels that are easy; 0 is cross-entropy."""
    tversky_beta: float = Field(0.7, ge=0, le=1, title="Tversky β")
    """Weight of missed pixels in the Tversky loss; false alarms have 1 - β. 0.5 is Dice."""
    class_weighting: Literal["none", "balanced", "given"] = Field("none", title="Class weights")
    """Weights of the classes in cross-entropy and focal loss. “balanced” is computed from the training masks, so that all classes weigh the same; “given” takes the weights below."""
    class_weights: tuple[float, ...] | None = Field(None, title="Given class weights")
    """One positive number for each class, in the order of the class table, separated by commas."""
    border_weight: float = Field(0.0, ge=0, le=100, title="Border weight w0")
    """Extra weight of the narrow gaps between objects in cross-entropy and focal loss (arXiv 1505.04597, equation 2; w0 = 10 there); 0 is none."""
    border_sigma_px: float = Field(5.0, gt=0, le=100, title="Border width σ")
    """How far from the objects, in pixels, the border weight reaches."""
    deep_supervision: bool = Field(False, title="Deep supervision")
    """Let the coarser levels of the “unet” predict too, and learn from that (arXiv 1409.5185)."""


class OptimizerConfig(Part):
    """How the loss is minimised."""

    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = Field("adam", title="Optimiser")
    """Adam, AdamW (decoupled weight decay), SGD with momentum, or RMSprop."""
    learning_rate: float = Field(1e-4, gt=0, le=10, title="Learning rate")
    """Step size; the peak of the schedule."""
    momentum: float = Field(0.9, ge=0, lt=1, title="Momentum")
    """Share of the last step that SGD and RMSprop keep."""
    weight_decay: float = Field(0.0, ge=0, le=1, title="Weight decay")
    """Pull of the weights towards zero; L2 regularisation with all optimisers but AdamW."""
    lr_schedule: Literal["constant", "step", "exponential", "cosine", "one_cycle", "plateau"] = (
        Field("constant", title="Learning-rate schedule")
    )
    """“step” and “exponential” multiply by the decay, at once or gradually; “cosine” warms up and falls to zero; “one_cycle” rises for a third of the training and falls below where it began; “plateau” multiplies by the decay when validation stops improving."""
    warmup_share: float = Field(0.05, ge=0, le=0.5, title="Warm-up")
    """Share of the training over which “cosine” rises to the learning rate."""
    lr_decay: float = Field(0.5, gt=0, lt=1, title="Decay")
    """What “step”, “exponential” and “plateau” multiply the learning rate by."""
    lr_decay_epochs: float = Field(10.0, gt=0, le=10_000, title="Decay every (epochs)")
    """Epochs after which “step” and “exponential” have decayed once, and that “plateau” waits for an improvement."""
    clip_norm: float = Field(0.0, ge=0, le=1000, title="Gradient clipping")
    """Longest gradient, as the norm over all weights, that a step may take; 0 does not clip."""
    accumulation: int = Field(1, ge=1, le=256, title="Accumulated batches")
    """Batches whose gradients are averaged for one step, as those of a larger batch are, without its memory. Batch normalisation and Dice still look at one batch at a time."""
    ema_decay: float = Field(0.0, ge=0, lt=1, title="Weight averaging")
    """Decay of the running average of the weights that is validated and saved in place of the last ones; 0.99 averages about a hundred steps, 0 is none."""


class AugmentConfig(Part):
    """Random changes to the training images, so that few images go further."""

    flips: Literal["none", "horizontal", "both"] = Field("none", title="Flips")
    """Mirror images left-right, or also up-down, at random."""
    rotate_90: bool = Field(False, title="Quarter turns")
    """Turn images by 0, 90, 180 or 270 degrees at random."""
    rotation_degrees: float = Field(0.0, ge=0, le=180, title="Rotation")
    """Largest angle, in degrees, by which images are turned either way."""
    scale: float = Field(0.0, ge=0, le=0.9, title="Scale")
    """Largest relative change of size; 0.2 means from 1/1.2 to 1.2."""
    shift: float = Field(0.0, ge=0, le=0.5, title="Shift")
    """Largest shift, as a share of the image's size."""
    shear_degrees: float = Field(0.0, ge=0, le=45, title="Shear")
    """Largest angle, in degrees, by which images are slanted."""
    crop: float = Field(0.0, ge=0, le=0.9, title="Crop")
    """Largest share of width and height that is cut away before the rest is enlarged again."""
    elastic: Literal["none", "grid", "dense"] = Field("none", title="Elastic deformation")
    """“grid” moves the points of a coarse grid and bends the image smoothly between them, as the paper does; “dense” moves every pixel by a smoothed random field."""
    elastic_px: float = Field(10.0, gt=0, le=200, title="Elastic displacement")
    """Standard deviation of the displacements, in pixels."""
    elastic_grid: int = Field(3, ge=2, le=16, title="Elastic grid")
    """Points of the “grid” deformation along each side."""
    elastic_smoothing_px: float = Field(16.0, gt=0, le=200, title="Elastic smoothness")
    """Over how many pixels the “dense” deformation is smoothed."""
    brightness: float = Field(0.0, ge=0, le=0.9, title="Brightness")
    """Largest relative change of brightness; 0.2 means ±20 %."""
    contrast: float = Field(0.0, ge=0, le=0.9, title="Contrast")
    """Largest relative change of contrast."""
    gamma: float = Field(0.0, ge=0, le=0.9, title="Gamma")
    """Largest relative change of the exponent applied to the grey values."""
    noise: float = Field(0.0, ge=0, le=0.5, title="Noise")
    """Largest standard deviation of added noise; 1 is the way from black to white."""
    blur_px: float = Field(0.0, ge=0, le=10, title="Blur")
    """Largest standard deviation of Gaussian blur, in pixels."""
    channel_shuffle: bool = Field(False, title="Channel shuffle")
    """Exchange the colour channels at random."""
    cutout: float = Field(0.0, ge=0, le=0.9, title="Cutout")
    """Largest side of a grey rectangle laid over the image, as a share of the image's size; what it hides is still to be found."""
    border: Literal["mirror", "ignore"] = Field("mirror", title="Beyond the border")
    """What a turned or shifted image shows where it has no pixels: its mirror image, or nothing, which the loss then ignores."""


class ScheduleConfig(Part):
    """How long and in which portions."""

    epochs: int = Field(20, ge=1, le=100_000, title="Epochs")
    """Passes over the training samples. With a time budget, the schedule of so many epochs is stretched or shrunk to it."""
    max_minutes: float | None = Field(None, gt=0, le=60 * 24 * 14, title="Time budget (minutes)")
    """Train for this long instead of a number of epochs; the learning-rate schedule is stretched to it."""
    batch_size: int = Field(4, ge=1, le=512, title="Batch size")
    """Images per training step."""
    early_stop_epochs: int = Field(0, ge=0, le=100_000, title="Early stopping")
    """End when validation has not improved for so many epochs; 0 never does. Stretched with the schedule."""
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Training seed")
    """Seed of the weights, the order and the augmentation."""


class PredictConfig(Part):
    """From probabilities to masks, in validation, scoring and prediction."""

    threshold: float = Field(0.5, gt=0, lt=1, title="Threshold")
    """Probability from which a pixel counts as foreground, with two classes. With more, the likeliest class wins."""
    averaging: Literal["none", "flips", "flips_turns", "seven_rotations"] = Field(
        "none", title="Averaging"
    )
    """Average the predictions of several views of an image when a run is scored: mirrored (4), mirrored and turned (8), or the seven rotations of the paper's entry to the EM segmentation challenge."""
    overlap: float = Field(0.25, ge=0, le=0.75, title="Tile overlap")
    """Share of a tile that neighbouring tiles have in common where a large image is predicted in tiles; they are blended into each other."""


class ComputeConfig(Part):
    """Where and how exactly the numbers are computed."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", title="Device")
    """“auto” takes the GPU when there is one."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field("auto", title="Precision")
    """“auto” measures which is fastest on this machine; “fp32” is exact to the last bit of single precision; “fp16” needs a GPU."""
    compiled: Literal["auto", "on", "off"] = Field("auto", title="Compilation")
    """“on” compiles the network before the first step, which takes a minute or more; “auto” does so when the training is long enough to earn it back."""
    deterministic: bool = Field(False, title="Deterministic")
    """The same seed gives the same weights to the last bit, on the same machine and threads; slower on a GPU."""


AUGMENT_PRESETS: dict[str, AugmentConfig] = {
    "none": AugmentConfig(),
    "light": AugmentConfig(flips="both", rotate_90=True, brightness=0.1, contrast=0.1),
    "medium": AugmentConfig(
        flips="both", rotate_90=True, rotation_degrees=20, scale=0.2, shift=0.05,
        brightness=0.2, contrast=0.2, gamma=0.2,
    ),
    "strong": AugmentConfig(
        flips="both", rotate_90=True, rotation_degrees=45, scale=0.35, shift=0.1, shear_degrees=10,
        elastic="grid", brightness=0.3, contrast=0.3, gamma=0.3, noise=0.05, blur_px=1.0,
        cutout=0.2,
    ),
}  # fmt: skip
"""Augmentations by how much they change an image; `--set augment=medium` takes one whole."""

ENCODERS: tuple[str, ...] = get_args(Encoder)
