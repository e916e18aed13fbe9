"""What the data, or its way to the device, does to a run."""

import math
import statistics
from typing import Any

from engine.doctor import remedies
from engine.doctor.case import Case, Diagnosis, Remedy
from engine.notes import Note

_FEW_IMAGES = 5
_FEWEST_EPOCHS = 3
_WAIT_SHARE, _LONG_WAIT_SHARE = 0.2, 0.5
_MOST_VAL_SHARE = 0.5


def tiny_validation(case: Case) -> Diagnosis | None:
    """So few images validate that the best epoch is a matter of luck."""
    num = case.split_sizes["val"]
    if num >= _FEW_IMAGES:
        return None
    return Diagnosis(
        key="tiny_validation",
        severity="note",
        saw=Note("Images that validate: {num}.", {"num": num}),
        cause=Note(
            "The best epoch, and early stopping, go by these alone: a difference between epochs, "
            "or between runs, may be chance. More of them make it steadier; the scores of several "
            "folds together make the most of few images."
        ),
        remedies=remedies.chosen(_larger_validation(case)),
    )


def data_bound(case: Case) -> Diagnosis | None:
    """The device waits for images."""
    # The first epoch also warms caches up.
    measured = [record for record in case.records[1:] if record.data_wait_share is not None]
    if len(measured) < _FEWEST_EPOCHS:
        return None
    share = statistics.median(record.data_wait_share or 0.0 for record in measured)
    if share <= _WAIT_SHARE:
        return None
    return Diagnosis(
        key="data_bound",
        severity="warning" if share > _LONG_WAIT_SHARE else "note",
        saw=Note(
            "The device waited for images for {share:.0%} of the training time (median over {num} "
            "epochs).",
            {"share": share, "num": len(measured)},
        ),
        cause=Note(
            "Images are cut more slowly than the device learns from them: other jobs use the same "
            "cores, the dataset does not fit into memory, or its disk is slow. The scores do not "
            "suffer; the training could be faster."
        ),
        remedies=remedies.chosen(
            remedies.half_size(case) if case.config.images.view == "resized" else None
        ),
    )


def _larger_validation(case: Case) -> Remedy | None:
    """A split in which enough images validate, where there are enough."""
    split, num = case.config.split, sum(case.split_sizes.values())
    if split.split_method == "k_fold":
        folds = max(num // _FEW_IMAGES, 2)
        fewer = {"num_folds": folds, "fold": min(split.fold, folds)}
        return (
            remedies.change(case, Note("{folds} folds", {"folds": folds}), fewer)
            if folds < split.num_folds
            else None
        )
    # In steps of 5 %, as one would write it.
    share = math.ceil(20 * _FEW_IMAGES / num) / 20
    is_own = split.split_method != "dataset"
    if share > _MOST_VAL_SHARE or (is_own and share <= split.val_share):
        return None
    changes: dict[str, Any] = {"val_share": share}
    if not is_own:
        changes["split_method"] = "random"
    return remedies.change(
        case, Note("{share:.0%} of the images for validation", {"share": share}), changes
    )
