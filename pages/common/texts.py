"""Every word on screen passes through `_()`, so that it can be translated.

A translation is a gettext catalogue `pages/locale/<language>/LC_MESSAGES/workbench.mo`; without
one the English of the code is shown.
"""

import gettext
from pathlib import Path

from engine.errors import WorkbenchError
from engine.store.datasets import ClassEntry

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


def status_word(status: str) -> str:
    """A job's status."""
    return {
        "queued": _("queued"),
        "running": _("running"),
        "completed": _("completed"),
        "stopped": _("stopped"),
        "failed": _("failed"),
    }[status]


def phase_word(phase: str) -> str:
    """What a live job is doing."""
    known = {
        "queued": _("Waiting for a free slot"),
        "starting": _("Starting"),
        "reading": _("Reading"),
        "writing": _("Writing"),
        "preparing": _("Preparing the images"),
        "training": _("Training"),
        "evaluating": _("Scoring every image"),
    }
    return known.get(phase, phase)


def split_word(split: str) -> str:
    """A split's name."""
    return {"train": _("training"), "val": _("validation"), "test": _("test")}[split]


def choice_word(choice: str) -> str:
    """A choice among settings; what is no choice is returned as it is."""
    known = {
        "dataset": _("as in the dataset"),
        "rgb": _("RGB"),
        "grey": _("grey"),
        "random": _("random"),
        "interleaved": _("interleaved"),
        "stratified": _("stratified"),
        "k_fold": _("k-fold"),
        "none": _("none"),
        "batch": _("batch"),
        "group": _("group"),
        "transposed": _("transposed convolution"),
        "bilinear": _("bilinear"),
        "cross_entropy": _("cross-entropy"),
        "dice_cross_entropy": _("Dice + cross-entropy"),
        "adam": _("Adam"),
        "adamw": _("AdamW"),
        "sgd": _("SGD with momentum"),
        "constant": _("constant"),
        "cosine": _("warm-up and cosine"),
        "auto": _("automatic"),
        "cpu": _("CPU"),
        "cuda": _("NVIDIA GPU"),
        "fp32": _("single (fp32)"),
        "bf16": _("bfloat16"),
    }
    return known.get(choice, choice)


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


def training_size_note(size_px: int) -> str:
    """What tells the numbers of an epoch from final scores."""
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
