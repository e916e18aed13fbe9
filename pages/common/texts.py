"""Every word on screen passes through `_()`, so that it can be translated.

A translation is a gettext catalogue `pages/locale/<language>/LC_MESSAGES/workbench.mo`; without
one the English of the code is shown.
"""

import gettext
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.config import parts
from engine.errors import WorkbenchError
from engine.notes import Note
from engine.store.datasets import ClassEntry
from pages.common import formats

MOST_WANTED_SPLITS = ("test", "val", "train")
"""The splits in the order a page shows them: the most honest scores first."""

_LOCALE = Path(__file__).parents[1] / "locale"
_catalogue = gettext.translation("workbench", _LOCALE, fallback=True)


def _(message: str) -> str:
    """The message in the reader's language."""
    return _catalogue.gettext(message)


def error_text(error: WorkbenchError) -> str:
    """An error in the reader's language: its words are translated, its facts filled in."""
    return _(error.message).format(**error.facts)


def record_text(record: dict) -> str:
    """A stored error or warning (`{"message", "facts"}`) in the reader's language."""
    return _(record["message"]).format(**record["facts"])


def note_text(note: Note) -> str:
    """A remark in the reader's language."""
    return _(note.message).format(**note.facts)


def part_titles() -> dict[str, str]:
    """The groups of settings, in the order they are shown."""
    known = {
        "images": _("Images"),
        "split": _("Split"),
        "model": _("Network"),
        "loss": _("Loss"),
        "optimizer": _("Optimiser"),
        "augment": _("Augmentation"),
        "schedule": _("Schedule"),
        "predict": _("Prediction"),
        "compute": _("Computing"),
    }
    return {name: known.get(name, name) for name in parts()}


def recipe_notes() -> dict[str, str]:
    """What each recipe is, the default first."""
    return {
        "auto": _(
            "Looks at the dataset and at this machine, and fits itself to them; below it says why. "
            "Start here."
        ),
        "quick": _(
            "A small U-Net with batch normalisation, Dice + cross-entropy and flips: useful "
            "overlays within minutes, on a CPU too."
        ),
        "tutorial": _(
            "The plain U-Net of the PyTorch tutorial: 256×256, four levels from 64 to 512 "
            "channels, cross-entropy, Adam. The baseline to beat; slow on a CPU."
        ),
        "paper": _(
            "The U-Net paper (arXiv 1505.04597): no padding, weighted borders between touching "
            "objects, elastic deformation, SGD with momentum 0.99. Made for a GPU."
        ),
        "tf_unet": _(
            "The settings of the package tf_unet: three levels from 16 channels, no padding, "
            "SGD with a decaying rate."
        ),
    }


def status_word(status: str) -> str:
    """A job's status, or its state (`engine.jobs.status`)."""
    return {
        "queued": _("queued"),
        "running": _("running"),
        "stopping": _("stopping"),
        "pausing": _("pausing"),
        "completed": _("completed"),
        "paused": _("paused"),
        "stopped": _("stopped"),
        "failed": _("failed"),
    }[status]


def kind_word(kind: str) -> str:
    """What a job is."""
    return {
        "inspect": _("inspection"),
        "import": _("import"),
        "derive": _("correction"),
        "train": _("training"),
        "evaluate": _("scoring"),
        "preflight": _("trial"),
    }[kind]


def phase_word(phase: str) -> str:
    """What a live job is doing."""
    known = {
        "queued": _("Waiting for a free slot"),
        "starting": _("Starting"),
        "reading": _("Reading"),
        "writing": _("Writing"),
        "preparing": _("Preparing the images"),
        "measuring": _("Measuring what a step costs"),
        "training": _("Training"),
        "pictures": _("Drawing examples"),
        "speed": _("Measuring a step"),
        "overfit": _("Learning one batch by heart"),
        "rates": _("Trying learning rates"),
        "evaluating": _("Scoring every image"),
    }
    return known.get(phase, phase)


def split_word(split: str) -> str:
    """A split's name."""
    return {"train": _("training"), "val": _("validation"), "test": _("test")}[split]


def choice_word(choice: str) -> str:
    """A choice among settings; what is no choice is returned as it is."""
    known = {
        "auto": _("automatic"),
        **_image_words(),
        **_network_words(),
        **_learning_words(),
        **_change_words(),
        "random": _("random"),
        "interleaved": _("interleaved"),
        "stratified": _("stratified"),
        "k_fold": _("k-fold"),
        "flips_turns": _("mirrored and turned (8)"),
        "seven_rotations": _("seven rotations"),
        "cpu": _("CPU"),
        "cuda": _("NVIDIA GPU"),
        "fp32": _("single (fp32)"),
        "bf16": _("bfloat16"),
        "fp16": _("half (fp16)"),
        "on": _("on"),
        "off": _("off"),
    }
    return known.get(choice, choice)


def _image_words() -> dict[str, str]:
    return {
        "resized": _("whole images, resized"),
        "patches": _("patches"),
        "dataset": _("as in the dataset"),
        "rgb": _("RGB"),
        "grey": _("grey"),
        "unit": _("divided by 255"),
        "standardized": _("standardised"),
        "min_max": _("stretched to 0…1"),
        "imagenet": _("ImageNet"),
    }


def _network_words() -> dict[str, str]:
    return {
        "unet": _("U-Net"),
        "encoder_unet": _("U-Net with an encoder"),
        "unet_plus_plus": _("U-Net++"),
        "manet": _("MA-Net"),
        "linknet": _("LinkNet"),
        "fpn": _("FPN"),
        "pspnet": _("PSPNet"),
        "pan": _("PAN"),
        "deeplab_v3_plus": _("DeepLab v3+"),
        "upernet": _("UPerNet"),
        "segformer": _("SegFormer"),
        "same": _("keeps the size"),
        "none": _("none"),
        "batch": _("batch"),
        "group": _("group"),
        "instance": _("instance"),
        "relu": _("ReLU"),
        "leaky_relu": _("leaky ReLU"),
        "elu": _("ELU"),
        "gelu": _("GELU"),
        "silu": _("SiLU"),
        "deepest_two": _("the deepest two levels"),
        "every_convolution": _("every convolution"),
        "transposed": _("transposed convolution"),
        "bilinear": _("bilinear"),
        "nearest": _("nearest"),
        "torch": _("PyTorch’s default"),
        "he": _("He"),
    }


def _learning_words() -> dict[str, str]:
    return {
        "cross_entropy": _("cross-entropy"),
        "dice": _("Dice"),
        "dice_cross_entropy": _("Dice + cross-entropy"),
        "focal": _("focal"),
        "tversky": _("Tversky"),
        "lovasz": _("Lovász"),
        "balanced": _("balanced"),
        "given": _("given"),
        "adam": _("Adam"),
        "adamw": _("AdamW"),
        "sgd": _("SGD with momentum"),
        "rmsprop": _("RMSprop"),
        "constant": _("constant"),
        "step": _("steps"),
        "exponential": _("exponential"),
        "cosine": _("warm-up and cosine"),
        "one_cycle": _("one cycle"),
        "plateau": _("plateau"),
    }


def _change_words() -> dict[str, str]:
    return {
        "light": _("light"),
        "medium": _("medium"),
        "strong": _("strong"),
        "horizontal": _("left-right"),
        "both": _("left-right and up-down"),
        "flips": _("mirrored (4)"),
        "grid": _("coarse grid"),
        "dense": _("dense field"),
        "mirror": _("mirrored"),
        "ignore": _("nothing, ignored"),
    }


def class_word(entry: ClassEntry) -> str:
    """A class's name, background told apart when its name does not."""
    if not entry.background or entry.name.lower() == "background":
        return entry.name
    return _("{name} (background)").format(name=entry.name)


def score_rules() -> str:
    """The definition beside every score."""
    return _(
        "**Dice** = 2·TP / (2·TP + FP + FN), **IoU** = TP / (TP + FP + FN), counted on the "
        "original pixels of the mask; ignored pixels are left out.\n\n"
        "**Image Dice** is the mean over the foreground classes that occur in truth or prediction "
        "of an image; an image with none of them in either scores 1 (a correct rejection). "
        "**Mean image Dice** is the mean over images. **Pooled Dice** adds up the counts of all "
        "images first. A **class Dice** is the mean over the images in which the class occurs. "
        "Background is never averaged in; its own Dice stands beside the others, because a "
        "network that has learned nothing can score high on a frequent class alone."
    )


def precision_word(name: str) -> str:
    """A precision, also by the name that the library has for it."""
    return choice_word({"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}.get(name, name))


def speed_text(speed: Mapping[str, Any]) -> str:
    """Where a training was measured, as markdown; `speed` is one of a preflight."""
    device = choice_word(str(speed["device"]))
    return _("{device} in {precision}").format(
        device=formats.plain(device), precision=precision_word(speed["precision"])
    )


def training_size_note(size_px: int, *, is_patches: bool = False) -> str:
    """What tells the numbers of an epoch from final scores."""
    if is_patches:
        return _(
            "Validation numbers of an epoch are computed in windows of {size}×{size} px and summed "
            "for each image; the scores of the images on each image as a whole, averaged as the "
            "settings say."
        ).format(size=size_px)
    return _(
        "Validation numbers of an epoch are computed at training size ({size}×{size} px); the "
        "scores of the images at their original size."
    ).format(size=size_px)


def viewer_texts() -> dict[str, str]:
    """Every word of the image viewer; see `pages.common.viewer.TEXT_KEYS`."""
    return {
        "viewer": _("Image viewer"),
        "layers": _("Layers"),
        "opacity": _("Opacity"),
        "zoom": _("Zoom"),
        "zoom_in": _("Zoom in"),
        "zoom_out": _("Zoom out"),
        "fit": _("Fit"),
        "help": _("Keys and gestures"),
        "help_text": _(
            "Wheel: zoom · drag: move · double-click or 0: fit · + and −: zoom · arrows: move · "
            "1 to 9: switch a layer"
        ),
        "broken": _("{layer} could not be loaded."),
    }


def uploader_texts() -> dict[str, str]:
    """Every word of the uploader; see `pages.common.uploader.TEXT_KEYS`."""
    return {
        "uploader": _("Upload files"),
        "drop": _("Drop a zip or tar of images and masks here"),
        "choose": _("Choose a file"),
        "pause": _("Pause"),
        "resume": _("Resume"),
        "again": _("Try again"),
        "cancel": _("Cancel"),
        "discard": _("Discard"),
        "waiting": _("Waits for its turn"),
        "opening": _("Asking the server"),
        "comparing": _("Comparing with what has arrived: {percent} %"),
        "progress": _("{percent} % of {size}"),
        "speed": _("{speed} MiB/s"),
        "left_seconds": _("{seconds} s left"),
        "left_minutes": _("{minutes} min left"),
        "left_hours": _("{hours} h {minutes} min left"),
        "finishing": _("Checking the whole file"),
        "done": _("Arrived"),
        "paused": _("Paused at {percent} %"),
        "retrying": _("Connection lost; going on as soon as it is back."),
        "unfinished": _("{name}: {percent} % arrived. Choose the same file again to go on."),
        "different": _(
            "This is not the file that had begun to arrive, so it is sent from its beginning."
        ),
        "empty": _("{name} is empty."),
        "folder": _("{name} is a folder. Make a zip of it first."),
        "wrong_kind": _("{name} cannot be used here. Choose a file that ends in {endings}."),
        "unreadable": _("The file cannot be read any more. Choose it again."),
        "expired": _(
            "You are no longer signed in here. Reload the page and choose the file again."
        ),
        "gone": _(
            "The server no longer has what had arrived. Try again to send it from its beginning."
        ),
        "quota": _(
            "“{name}” has {size_gib} GiB. You may have {quota_gib} GiB of uploads waiting, and "
            "have {used_gib} GiB. Finish or cancel another upload first."
        ),
        "no_room": _(
            "“{name}” needs {missing_gib} GiB more. The workbench's disk has {free_gib} GiB free, "
            "of which {min_free_gib} GiB must stay so. Have space freed there, and go on."
        ),
        "refused": _("The server refused the file: {reason}"),
    }


def gallery_texts(count: str) -> dict[str, str]:
    """Every word of the gallery; see `pages.common.gallery.TEXT_KEYS`.

    Args:
        count: how many samples there are, in words; may hold `{count}`.
    """
    return {
        "gallery": _("Samples"),
        "count": count,
        "empty": _("No samples"),
        "masks": _("Masks"),
        "opacity": _("Opacity"),
        "size": _("Picture size"),
        "small": _("Small pictures"),
        "medium": _("Medium pictures"),
        "large": _("Large pictures"),
        "broken": _("The picture could not be loaded."),
        "mask_broken": _("The mask could not be loaded."),
    }
