"""A run's checkpoints: `best` holds the weights to predict with, `last` the full training state."""

from pathlib import Path
from typing import Any

import torch

from engine.files import Files

STATE_FORMAT = 1


def best_key(run_folder: str) -> str:
    """The file of a run's best weights, see `engine.models.weights`."""
    return f"{run_folder}/checkpoints/best.safetensors"


def last_key(run_folder: str) -> str:
    """The file of a run's last training state."""
    return f"{run_folder}/checkpoints/last.pt"


def save_state(files: Files, key: str, state: dict[str, Any]) -> None:
    """Write the full training state; everything in it is a tensor or a plain value."""
    with files.writing(key) as path:
        torch.save(state, path)


def load_state(path: Path) -> dict[str, Any]:
    """Read a full training state back, without executing anything in it."""
    return dict(torch.load(path, map_location="cpu", weights_only=True))
