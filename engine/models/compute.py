"""Where a training computes, and how exactly."""

import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.config import ComputeConfig
from engine.errors import BadSetting


@dataclass(frozen=True, slots=True)
class Compute:
    """A device with the precision of its convolutions."""

    device: torch.device
    precision: torch.dtype
    """`torch.float32` or `torch.bfloat16`"""

    def autocast(self) -> AbstractContextManager[None]:
        """Context in which convolutions run at the chosen precision."""
        enabled = self.precision != torch.float32
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)


def choose_compute(config: ComputeConfig) -> Compute:
    """The device and the precision these settings mean on this machine.

    Raises:
        BadSetting: a GPU is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise BadSetting(
            "Device is “cuda”, but this machine offers no usable NVIDIA GPU. Choose “auto” or "
            "“cpu”."
        )
    device = torch.device("cuda" if has_gpu and config.device != "cpu" else "cpu")
    wants_bf16 = config.precision == "bf16" or (config.precision == "auto" and _fast_bf16(device))
    return Compute(device, torch.bfloat16 if wants_bf16 else torch.float32)


def environment(compute: Compute) -> dict[str, Any]:
    """Versions and hardware, for the record of a run."""
    on_gpu = compute.device.type == "cuda"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if on_gpu else None,
        "device": torch.cuda.get_device_name() if on_gpu else "CPU",
        "threads": torch.get_num_threads(),
        "precision": str(compute.precision).removeprefix("torch."),
        "system": platform.platform(),
    }


def _fast_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 natively; elsewhere it is emulated and slower."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
