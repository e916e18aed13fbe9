"""What to change in a training that does not fit into memory, so that it does."""

from collections.abc import Sequence
from typing import Any

from engine.config import TrainConfig, bounds, leaf_fields, output_size, with_changes
from engine.errors import BadSetting
from engine.notes import Note

Relief = tuple[dict[str, Any], Note]
"""Settings by leaf name, and a sentence that says what is done."""

_SMALLEST_PATCH_PX = 64
_MOST_ACCUMULATED = int(bounds(leaf_fields()["accumulation"][1])["le"])


def relief(config: TrainConfig, halves: Sequence[str], num_windows: int) -> Relief | None:
    """The next thing that makes a training smaller and changes what it learns the least; None
    when there is nothing left.

    First smaller batches, more of which make a step, then numbers of half the size, then smaller
    patches. Each takes something away, so that whoever asks again and again comes to an end.

    Args:
        config: settings that needed too much.
        halves: the precisions of half the size that the device computes in, the better one first.
        num_windows: that an epoch trains on; a batch has no more.
    """
    return (
        _smaller_batch(config, num_windows)
        or _half_precision(config, halves)
        or _smaller_patches(config)
    )


def _smaller_batch(config: TrainConfig, num_windows: int) -> Relief | None:
    before, per_step = config.schedule.batch_size, config.optimizer.accumulation
    in_all = before * per_step
    most = min(before, num_windows) // 2
    # Only what divides a step evenly leaves it as large as it was.
    after = next((size for size in range(most, 0, -1) if in_all % size == 0), None)
    if after is None:
        return None
    accumulation = min(in_all // after, _MOST_ACCUMULATED)
    return {"batch_size": after, "accumulation": accumulation}, Note(
        "The training goes on with batches of {after} images in place of {before}; {accumulation} "
        "of them make a step.",
        {"before": before, "after": after, "accumulation": accumulation},
    )


def _half_precision(config: TrainConfig, halves: Sequence[str]) -> Relief | None:
    before = config.compute.precision
    if before in ("bf16", "fp16") or not halves:
        return None
    return {"precision": halves[0]}, Note(
        "The training goes on in the precision {after} in place of {before}.",
        {"before": before, "after": halves[0]},
    )


def _smaller_patches(config: TrainConfig) -> Relief | None:
    if config.images.view != "patches":
        return None
    before = config.images.image_size_px
    for after in range(before // 2, _SMALLEST_PATCH_PX - 1, -1):
        changes = {"image_size_px": after}
        if output_size(config.model, after) is None or not _is_possible(config, changes):
            continue
        return changes, Note(
            "The training goes on with patches of {after} px in place of {before}; its epoch "
            "begins again.",
            {"before": before, "after": after},
        )
    return None


def _is_possible(config: TrainConfig, changes: dict[str, Any]) -> bool:
    try:
        with_changes(config, changes)
    except BadSetting:
        return False
    return True
