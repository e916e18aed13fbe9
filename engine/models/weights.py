"""Building a network from its settings, and weights on disk.

Weights are stored as safetensors, with everything needed to build the network again in the
file's own header; nothing is unpickled.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from engine.config import TrainConfig, parse_config
from engine.errors import BadData
from engine.files import Files
from engine.models.arithmetic import num_outputs
from engine.models.unet import UNet

FORMAT_VERSION = "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointInfo:
    """What a checkpoint says of itself."""

    config: TrainConfig
    in_channels: int
    num_classes: int
    epoch: int
    val_dice: float
    """Mean image Dice on the validation split, at training size."""


def build_model(config: TrainConfig, in_channels: int, num_classes: int) -> UNet:
    """The network of a run, with fresh weights."""
    return UNet(config.model, in_channels, num_outputs(num_classes))


def save_weights(files: Files, key: str, model: nn.Module, info: CheckpointInfo) -> None:
    """Write weights and what is needed to use them."""
    metadata = {
        "format": FORMAT_VERSION,
        "config": json.dumps(info.config.to_dict()),
        "in_channels": str(info.in_channels),
        "num_classes": str(info.num_classes),
        "epoch": str(info.epoch),
        "val_dice": repr(info.val_dice),
    }
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with files.writing(key) as path:
        save_file(weights, path, metadata)


def load_weights(path: Path, device: torch.device) -> tuple[UNet, CheckpointInfo]:
    """The network of a checkpoint, in evaluation mode, with its description.

    Raises:
        BadData: the file is missing, damaged, or of another version.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise BadData(
            "The checkpoint {file} cannot be read ({reason}). Train the run again.",
            file=path.name,
            reason=str(error),
        ) from error
    if metadata.get("format") != FORMAT_VERSION:
        raise BadData(
            "The checkpoint {file} has format {seen}; this version reads {expected}.",
            file=path.name,
            seen=metadata.get("format", "unknown"),
            expected=FORMAT_VERSION,
        )
    info = CheckpointInfo(
        config=parse_config(json.loads(metadata["config"])),
        in_channels=int(metadata["in_channels"]),
        num_classes=int(metadata["num_classes"]),
        epoch=int(metadata["epoch"]),
        val_dice=float(metadata["val_dice"]),
    )
    model = build_model(info.config, info.in_channels, info.num_classes).to(device)
    model.load_state_dict(weights)
    return model.eval(), info
