"""What this machine is doing now: processor, memory, disk and GPUs.

No torch, which would take hold of a GPU.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pynvml

from engine.machine import available_memory_bytes, gpu_handles, total_memory_bytes

Reading = TypeVar("Reading")


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuState:
    """What one GPU is doing; None where it does not say, as a part of a GPU (MIG) may not."""

    name: str
    utilization: float | None
    """Share of the last moment in which it computed, 0 to 1."""
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    temperature_c: float | None
    power_w: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineState:
    """What a machine is doing."""

    cpu_share: float
    """Share of all cores that was busy since this thread last asked, 0 to 1; 0 the first time."""
    memory_used_bytes: int
    """What cannot be used any more of the total."""
    memory_total_bytes: int
    """Of the machine, or what its control groups grant, as in `engine.machine`."""
    disk_free_bytes: int
    """Of the file system that holds the home."""
    disk_total_bytes: int
    """0 where the file system does not answer."""
    gpus: tuple[GpuState, ...]
    """Those this process may use."""


def read_state(home: Path) -> MachineState:
    """What this machine is doing now. Never raises: what cannot be read is left out.

    Args:
        home: a folder of the disk that matters; it may be gone.
    """
    memory_total_bytes = total_memory_bytes()
    disk_free_bytes, disk_total_bytes = _disk(home)
    return MachineState(
        cpu_share=min(psutil.cpu_percent(interval=None) / 100, 1.0),
        memory_used_bytes=max(memory_total_bytes - available_memory_bytes(), 0),
        memory_total_bytes=memory_total_bytes,
        disk_free_bytes=disk_free_bytes,
        disk_total_bytes=disk_total_bytes,
        gpus=_gpus(),
    )


def _disk(home: Path) -> tuple[int, int]:
    """Free and total bytes."""
    for folder in (home, *home.parents):
        try:
            usage = shutil.disk_usage(folder)
        except FileNotFoundError:
            continue  # The folder above tells of the same disk, or of the one it would be on.
        except OSError:
            break
        return usage.free, usage.total
    return 0, 0


def _gpus() -> tuple[GpuState, ...]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(map(_gpu, gpu_handles()))
    except pynvml.NVMLError:
        return ()  # one that fell off its bus lets the driver answer for none
    finally:
        pynvml.nvmlShutdown()


def _gpu(handle: Any) -> GpuState:
    rates = _asked(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    memory = _asked(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    temperature_c = _asked(
        lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
    )
    power_mw = _asked(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
    return GpuState(
        name=str(pynvml.nvmlDeviceGetName(handle)),
        utilization=None if rates is None else rates.gpu / 100,
        memory_used_bytes=None if memory is None else int(memory.used),
        memory_total_bytes=None if memory is None else int(memory.total),
        temperature_c=None if temperature_c is None else float(temperature_c),
        power_w=None if power_mw is None else power_mw / 1000,
    )


def _asked(question: Callable[[], Reading]) -> Reading | None:
    """The driver's answer; None where the GPU has none."""
    try:
        return question()
    except pynvml.NVMLError:
        return None
