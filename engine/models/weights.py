"""Weights on disk, and from one network to another.

Weights are stored as safetensors, with everything needed to build the network again in the
file's own header; nothing is unpickled. The header also has a SHA-256 of all that, so that
a single bit that has changed is noticed; files written before it was there are read without.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from engine.config import TrainConfig, parse_config
from engine.errors import BadData, BadSetting
from engine.files import Files
from engine.models.registry import SegmentationNet, empty_model
from engine.notes import Note

FORMAT_VERSION = "1"
_SUM = "sha256"
_SPARE_BYTES = 2**20
"""For the header, and a block of the disk."""
_NAMES_SHOWN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointInfo:
    """What a checkpoint says of itself."""

    config: TrainConfig
    in_channels: int
    num_classes: int
    epoch: int
    val_dice: float
    """Mean image Dice on the validation split, at training size."""


def save_weights(
    files: Files,
    key: str,
    model: nn.Module,
    info: CheckpointInfo,
    *,
    keep_as: str | None = None,
) -> None:
    """Write weights and what is needed to use them.

    Args:
        keep_as: see `Files.writing`.

    Raises:
        DiskFull: there is no room.
    """
    metadata = {
        "format": FORMAT_VERSION,
        "config": json.dumps(info.config.to_dict()),
        "in_channels": str(info.in_channels),
        "num_classes": str(info.num_classes),
        "epoch": str(info.epoch),
        "val_dice": repr(info.val_dice),
    }
    weights = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    metadata[_SUM] = _sum(weights, metadata)
    with files.writing(key, keep_as=keep_as) as path:
        files.require_free(sum(tensor.nbytes for tensor in weights.values()) + _SPARE_BYTES)
        # Written here and not by the library, which has no error of its own for a full disk.
        path.write_bytes(save(weights, metadata))


def read_info(path: Path) -> CheckpointInfo | None:
    """What a checkpoint says of itself, without a look at its weights; None where there is none
    that can be read."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return _info(path, file.metadata() or {})
    except (OSError, SafetensorError, BadData):
        return None


def load_weights(path: Path, device: torch.device) -> tuple[SegmentationNet, CheckpointInfo]:
    """The network of a checkpoint, in evaluation mode, with its description.

    Raises:
        BadData: the file is missing, damaged, of another version, or no checkpoint.
    """
    weights, info = _read(path, device)
    model = empty_model(info.config, info.in_channels, info.num_classes).to(device)
    _require_same_shapes(path, weights, model.state_dict())
    model.load_state_dict(weights)
    return model.eval(), info


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferReport:
    """Which weights of a checkpoint a network has taken over, by the names in the network."""

    file: str
    taken: tuple[str, ...]
    differing: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    """Left as they were: the shape in the checkpoint, and that in the network."""
    missing: tuple[str, ...]
    """Left as they were: the checkpoint has nothing of that name."""

    def note(self) -> Note:
        """The report as a sentence."""
        total = len(self.taken) + len(self.differing) + len(self.missing)
        facts = {"file": self.file, "taken": len(self.taken), "total": total}
        if not (self.differing or self.missing):
            return Note("All {total} weights were taken from {file}.", facts)
        shapes = [
            f"{name} ({_shape(there)} there, {_shape(here)} here)"
            for name, (there, here) in self.differing.items()
        ]
        return Note(
            "{taken} of {total} weights were taken from {file}; these begin anew: {anew}.",
            {**facts, "anew": _listed([*shapes, *self.missing])},
        )


def transfer(model: SegmentationNet, path: Path) -> TransferReport:
    """Replace a network's weights by those of a checkpoint, where name and shape agree.

    Raises:
        BadData: the file cannot be read, or none of its weights fits.
    """
    weights, info = _read(path, torch.device("cpu"))
    own = model.state_dict()
    differing = {
        name: (tuple(weights[name].shape), tuple(tensor.shape))
        for name, tensor in own.items()
        if name in weights and weights[name].shape != tensor.shape
    }
    taken = tuple(name for name in own if name in weights and name not in differing)
    if not any(name in taken for name, _ in model.named_parameters()):
        raise BadData(
            "No weight of the checkpoint {file} fits this network; it holds the architecture "
            "{architecture} with {levels} levels from {width} channels. Start from a run with the "
            "same architecture and width, or from none (start_from).",
            file=path.name,
            architecture=info.config.model.architecture,
            levels=info.config.model.num_levels,
            width=info.config.model.width,
        )
    model.load_state_dict({name: weights[name] for name in taken}, strict=False)
    return TransferReport(
        file=path.name,
        taken=taken,
        differing=differing,
        missing=tuple(name for name in own if name not in weights),
    )


def _read(path: Path, device: torch.device) -> tuple[dict[str, Tensor], CheckpointInfo]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if _SUM in metadata and metadata[_SUM] != _sum(weights, metadata):
            raise ValueError("it is not what was written, as its check sum differs")
    except (OSError, SafetensorError, ValueError) as error:
        raise BadData(
            "The checkpoint {file} cannot be read ({reason}). Train the run again.",
            file=path.name,
            reason=str(error),
        ) from error
    if metadata.get("format") != FORMAT_VERSION:
        raise BadData(
            "The checkpoint {file} has format {seen}; this version reads {expected}. Choose a "
            "checkpoint of a run of this workbench.",
            file=path.name,
            seen=metadata.get("format", "unknown"),
            expected=FORMAT_VERSION,
        )
    info = _info(path, metadata)
    return {name: tensor.to(device) for name, tensor in weights.items()}, info


def _sum(weights: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 of weights on the CPU and of what is said of them, in hexadecimal."""
    described = {name: value for name, value in metadata.items() if name != _SUM}
    found = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name, tensor in sorted(weights.items()):
        found.update(json.dumps([name, str(tensor.dtype), *tensor.shape]).encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _info(path: Path, metadata: Mapping[str, str]) -> CheckpointInfo:
    try:
        return CheckpointInfo(
            config=parse_config(json.loads(metadata["config"])),
            in_channels=int(metadata["in_channels"]),
            num_classes=int(metadata["num_classes"]),
            epoch=int(metadata["epoch"]),
            val_dice=float(metadata["val_dice"]),
        )
    except (KeyError, ValueError, BadSetting) as error:
        raise BadData(
            "The checkpoint {file} does not describe its network ({reason}). Train the run again.",
            file=path.name,
            reason=str(error),
        ) from error


def _require_same_shapes(
    path: Path, weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    seen_shapes = {name: _shape(tensor.shape) for name, tensor in weights.items()}
    shapes = {name: _shape(tensor.shape) for name, tensor in expected.items()}
    if seen_shapes == shapes:
        return
    names = [*shapes, *(name for name in seen_shapes if name not in shapes)]
    differing = [
        f"{name} ({seen_shapes.get(name, 'absent')}, expected {shapes.get(name, 'absent')})"
        for name in names
        if seen_shapes.get(name) != shapes.get(name)
    ]
    raise BadData(
        "The weights of the checkpoint {file} do not fit the network it describes: {weights}. "
        "Train the run again.",
        file=path.name,
        weights=_listed(differing),
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
