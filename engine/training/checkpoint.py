"""A run's checkpoints: `best` holds the weights to predict with, `last` the full training state."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from engine.errors import BadData
from engine.files import Files

STATE_FORMAT = 2


def best_key(run_folder: str) -> str:
    """The file of a run's best weights, see `engine.models.weights`."""
    return f"{run_folder}/checkpoints/best.safetensors"


def last_key(run_folder: str) -> str:
    """The file of a run's last training state."""
    return f"{run_folder}/checkpoints/last.pt"


def save_state(files: Files, key: str, state: Mapping[str, Any]) -> None:
    """Write the full training state; everything in it is a tensor or a plain value."""
    with files.writing(key) as path:
        torch.save({**state, "format": STATE_FORMAT}, path)


def load_state(path: Path) -> dict[str, Any]:
    """Read a full training state back, without executing anything in it.

    Raises:
        BadData: the file is missing, damaged, or of another version.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise BadData(
            "The checkpoint {file} cannot be read ({reason}). Train the run again.",
            file=path.name,
            reason=str(error).partition("\n")[0],
        ) from error
    seen = state.get("format") if isinstance(state, dict) else None
    if seen != STATE_FORMAT:
        raise BadData(
            "The checkpoint {file} has format {seen}; this version reads {expected}. Start a new "
            "run from the best weights instead (start_from).",
            file=path.name,
            seen=str(seen or "unknown"),
            expected=STATE_FORMAT,
        )
    return dict(state)
