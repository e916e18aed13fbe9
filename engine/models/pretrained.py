"""Pretrained encoders: from a folder of files, else from the hub.

Files are state dicts of smp's encoders, named after them: `resnet34.safetensors` or
`resnet34.pth`. Nothing in them is executed.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp  # type: ignore[import-untyped]
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.config import ModelConfig
from engine.errors import BadSetting
from engine.machine import WEIGHTS_SUFFIXES
from engine.models.encoders import EncoderNet

_HUB_FILE = "model.safetensors"
_HUB_SECONDS = 5.0
"""For the hub's first answer."""


def load_encoder(network: EncoderNet, model: ModelConfig, weights_folder: Path | None) -> None:
    """Replace the encoder's weights by those learned from photographs.

    Filters for red, green and blue are added up for grey images, so that such an image gives what
    it would give as three equal channels.

    Raises:
        BadSetting: there is no such file and the hub cannot be reached, or a file cannot be used.
    """
    path = _file_in(weights_folder, model.encoder)
    if path is None:
        path = _file_of_hub(model.encoder, weights_folder)
    _fill(network, model.encoder, _read(path, model.encoder), path)


def _file_in(folder: Path | None, encoder: str) -> Path | None:
    if folder is None:
        return None
    paths = [folder / (encoder + suffix) for suffix in WEIGHTS_SUFFIXES]
    return next((path for path in paths if path.is_file()), None)


def _file_of_hub(encoder: str, folder: Path | None) -> Path:
    source = smp.encoders.encoders[encoder]["pretrained_settings"]["imagenet"]
    repository, revision = source["repo_id"], source["revision"]
    try:
        return Path(
            hf_hub_download(repository, _HUB_FILE, revision=revision, local_files_only=True)
        )
    except OSError:
        pass  # not downloaded before
    try:
        # Asked once by ourselves, as the download asks again and again for half a minute.
        url = hf_hub_url(repository, _HUB_FILE, revision=revision)
        get_hf_file_metadata(url, timeout=_HUB_SECONDS)
        return Path(hf_hub_download(repository, _HUB_FILE, revision=revision))
    except Exception as error:  # the HTTP library beneath has a tree of its own
        raise BadSetting(
            "Encoder weights (encoder_weights) is imagenet, but {folder} holds neither {names}, "
            "and the hub’s {repository} cannot be reached ({reason}). Put the file there (the "
            "folder is set by WORKBENCH_WEIGHTS), or choose Encoder weights none.",
            folder="the folder of weights" if folder is None else str(folder),
            names=" nor ".join(encoder + suffix for suffix in WEIGHTS_SUFFIXES),
            repository=repository,
            reason=str(error).partition("\n")[0],
        ) from error


def _read(path: Path, encoder: str) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise _unusable(path, encoder, "it cannot be read") from error
    if not isinstance(weights, Mapping) or not all(
        isinstance(each, Tensor) for each in weights.values()
    ):
        raise _unusable(path, encoder, "it holds no table of weights")
    return dict(weights)


def _fill(network: EncoderNet, encoder: str, weights: dict[str, Tensor], path: Path) -> None:
    # A whole encoder for three channels first: the network's own may have fewer stages.
    whole: Any = smp.encoders.get_encoder(encoder, weights=None)
    try:
        whole.load_state_dict(weights)
    except (RuntimeError, KeyError) as error:
        raise _unusable(path, encoder, "names or shapes of its weights differ") from error
    own: Any = network.network.encoder
    if own._in_channels != whole._in_channels:
        whole.set_in_channels(own._in_channels, pretrained=True)
    found = whole.state_dict()
    # Past the encoders' own `load_state_dict`, which expect layers for classification.
    nn.Module.load_state_dict(own, {name: found[name] for name in own.state_dict()})


def _unusable(path: Path, encoder: str, reason: str) -> BadSetting:
    return BadSetting(
        "The weights {file} cannot be used for the encoder {encoder}: {reason}. Expected is the "
        "state dict of that encoder of segmentation-models-pytorch. Replace the file, or take it "
        "away and let the hub’s be loaded.",
        file=path.name,
        encoder=encoder,
        reason=reason,
    )
