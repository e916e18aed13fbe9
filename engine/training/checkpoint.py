"""A run's checkpoints: `best` holds the weights to predict with, `last` the full training state.

A state is a file of `torch.save` that ends with the SHA-256 of what stands before, so that one
cut short or with a single bit changed is not taken for a whole one. The state before the newest
is kept too: `last` becomes `previous` when a new one is written.
"""

import hashlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch
from torch import Tensor

from engine.errors import BadData, DiskFull
from engine.files import Files
from engine.models.compute import is_memory_error
from engine.notes import Note
from engine.run_files import last_key, previous_key

STATE_FORMAT = 3
"""With format 2, states had no sum, no records, and counted batches where they now count images."""
_WITHOUT_SUM = 2

_SUM_LABEL = b"\nsha256:"
_SUM_BYTES = len(_SUM_LABEL) + 2 * hashlib.sha256().digest_size + 1
_OVERHEAD, _SPARE_BYTES = 1.02, 2**20
"""By how much a file is larger than its tensors; and what its plain values may take."""
_READ_BYTES = 2**20

_UNREADABLE = (
    OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, LookupError, TypeError,
    AttributeError,
)  # fmt: skip
"""What a file that is no checkpoint makes of the reader."""


def save_last(
    files: Files, run_folder: str, state: Mapping[str, Any], *, keep_last: bool = True
) -> None:
    """Write the newest training state; the one before stays as `previous`.

    Where the disk has no room for three, `previous` is dropped first.

    Args:
        keep_last: whether the one before is worth keeping; if not, `previous` stays as it is.

    Raises:
        DiskFull: there is no room.
    """
    last, previous = last_key(run_folder), previous_key(run_folder)
    try:
        save_state(files, last, state, previous if keep_last else None)
    except DiskFull:
        if not (keep_last and files.path(last).exists() and files.path(previous).exists()):
            raise
        files.remove(previous)
        save_state(files, last, state, previous)


def save_state(
    files: Files, key: str, state: Mapping[str, Any], keep_as: str | None = None
) -> None:
    """Write a full training state; everything in it is a tensor or a plain value.

    Args:
        keep_as: see `Files.writing`.

    Raises:
        DiskFull: there is no room.
    """
    with files.writing(key, keep_as=keep_as) as path, open(path, "wb") as file:
        files.require_free(int(_tensor_bytes(state) * _OVERHEAD) + _SPARE_BYTES)
        summed = _Summed(file)
        torch.save({**state, "format": STATE_FORMAT}, cast(IO[bytes], summed))
        file.write(_signature(summed.sum))


def load_state(path: Path) -> dict[str, Any]:
    """Read a full training state back, without executing anything in it.

    Raises:
        BadData: the file is missing, damaged, or of another version.
    """
    state = _contents(path)
    _require_known_format(path, state)
    return state


def load_newest(files: Files, run_folder: str) -> tuple[dict[str, Any], Note | None] | None:
    """The newest training state that is sound, with a remark if it is not the last one.

    Returns:
        None when there is neither `last` nor `previous`.

    Raises:
        BadData: what there is is damaged; or of another version, whose place no older state takes.
    """
    last, previous = files.path(last_key(run_folder)), files.path(previous_key(run_folder))
    if not last.exists() and not previous.exists():
        return None
    try:
        state, note = _contents(last), None
    except BadData as damage:
        state, note = _instead_of(last, previous, str(damage.facts["reason"]))
        last = previous
    _require_known_format(last, state)
    return state, note


def _instead_of(last: Path, previous: Path, reason: str) -> tuple[dict[str, Any], Note]:
    """The previous state, as the last one cannot be read for some reason."""
    try:
        state = _contents(previous)
    except BadData as damage:
        raise BadData(
            "Neither the last checkpoint {last} ({reason}) nor the previous one {previous} "
            "({previous_reason}) can be read, so the training cannot go on. Put them back from a "
            "backup, or start a new run from this one's best weights (start_from).",
            last=last.name,
            reason=reason,
            previous=previous.name,
            previous_reason=damage.facts["reason"],
        ) from damage
    return state, Note(
        "The last checkpoint {last} cannot be read ({reason}); the training goes on from the "
        "previous one, {previous}. What was learned in between is learned again.",
        {"last": last.name, "previous": previous.name, "reason": reason},
    )


class _Summed:
    """A file to write to that sums up what is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.sum = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _contents(path: Path) -> dict[str, Any]:
    """What a file of whatever format holds.

    Raises:
        BadData: it is missing or damaged.
    """
    try:
        with open(path, "rb") as file:
            is_summed = _check_sum(file)
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError("it holds no training state")
        if not is_summed and state.get("format") == STATE_FORMAT:
            raise ValueError("the check sum at its end is missing")
    except _UNREADABLE as error:
        if is_memory_error(error):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadData(
            "The checkpoint {file} cannot be read ({reason}). Start a new run from the best "
            "weights instead (start_from).",
            file=path.name,
            reason=(reason or type(error).__name__).partition("\n")[0],
        ) from error
    return state


def _check_sum(file: IO[bytes]) -> bool:
    """Whether a file ends with a sum.

    Raises:
        ValueError: it does, and is not what was summed up.
    """
    size = file.seek(0, os.SEEK_END)
    left = max(size - _SUM_BYTES, 0)
    file.seek(left)
    end = file.read()
    if not end.startswith(_SUM_LABEL):
        return False
    file.seek(0)
    found = hashlib.sha256()
    while left:
        data = file.read(min(left, _READ_BYTES))
        found.update(data)
        left -= len(data)
    if end != _signature(found):
        raise ValueError("it is not what was written, as its check sum differs")
    return True


def _signature(found: "hashlib._Hash") -> bytes:
    return _SUM_LABEL + found.hexdigest().encode() + b"\n"


def _require_known_format(path: Path, state: Mapping[str, Any]) -> None:
    seen = state.get("format")
    if seen not in (_WITHOUT_SUM, STATE_FORMAT):
        raise BadData(
            "The checkpoint {file} has format {seen}; this version reads {expected}. Start a new "
            "run from the best weights instead (start_from).",
            file=path.name,
            seen=str(seen or "unknown"),
            expected=STATE_FORMAT,
        )


def _tensor_bytes(value: Any) -> int:
    """What the tensors in nested plain values take."""
    if isinstance(value, Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(_tensor_bytes, value.values()))
    return sum(map(_tensor_bytes, value)) if isinstance(value, list | tuple) else 0
