"""What this machine has for a training: a device, cores, memory, pretrained weights.

No torch, which would take hold of a GPU: the server asks too.
"""

import math
import os
import platform
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pynvml

from engine.config import ENCODERS, Machine

WEIGHTS_SUFFIXES = (".safetensors", ".pth")
"""Of files with encoder weights; of two with the same name the first counts."""

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_VM_STATISTICS = Path("/proc/vmstat")
_CPU_INFO = Path("/proc/cpuinfo")


def this_machine(weights_folder: Path | None) -> Machine:
    """What a training on this machine can use: its first GPU, where the driver reports one.

    Args:
        weights_folder: where files of encoder weights, `<encoder>.safetensors` or `<encoder>.pth`,
            may lie; it need not exist.
    """
    weights = encoder_weights(weights_folder)
    with _first_gpu() as gpu:
        if gpu is not None:
            return Machine(
                device="cuda",
                num_cores=usable_cores(),
                memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(gpu).total),
                device_name=str(pynvml.nvmlDeviceGetName(gpu)),
                weights=weights,
            )
    return Machine(
        device="cpu",
        num_cores=usable_cores(),
        memory_bytes=available_memory_bytes(),
        device_name=processor_name(),
        weights=weights,
    )


def encoder_weights(folder: Path | None) -> dict[str, str]:
    """Names of the files of encoder weights in a folder, by encoder."""
    if folder is None or not folder.is_dir():
        return {}
    found = {
        encoder: next(
            (encoder + each for each in WEIGHTS_SUFFIXES if (folder / (encoder + each)).is_file()),
            None,
        )
        for encoder in ENCODERS
    }
    return {encoder: name for encoder, name in found.items() if name is not None}


def processor_name() -> str:
    """The processor as its maker calls it."""
    for line in _read(_CPU_INFO).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Processor cores that this process may use, by affinity and by its control groups."""
    try:
        num_cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity
        num_cores = os.cpu_count() or 1
    for folder in _cgroup_folders():
        # “200000 100000”: so many microseconds of processor time in every so many.
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():
            num_cores = min(num_cores, math.ceil(int(quota) / int(period)))
    return max(num_cores, 1)


def available_memory_bytes() -> int:
    """Main memory that can still be used, by the machine and by this process's control groups."""
    available = int(psutil.virtual_memory().available)
    for folder in _cgroup_folders():
        limit, used = _read(folder / "memory.max"), _read(folder / "memory.current")
        if limit.isdigit() and used.isdigit():
            # File pages that nobody has touched lately are counted as used, but given up at need.
            reclaimable = _statistic(_read(folder / "memory.stat"), "inactive_file")
            available = min(available, int(limit) - int(used) + reclaimable)
    return max(available, 0)


def total_memory_bytes() -> int:
    """Main memory of the machine, or as much of it as this process's control groups grant."""
    total = int(psutil.virtual_memory().total)
    limits = [_read(folder / "memory.max") for folder in _cgroup_folders()]
    return min([total, *(int(limit) for limit in limits if limit.isdigit())])


def oom_kills() -> int:
    """How many processes the kernel has killed because memory ran out; only ever grows.

    Of the machine and of this process's control groups, so that a limit of a container counts.
    """
    counts = [
        _statistic(_read(folder / "memory.events"), "oom_kill") for folder in _cgroup_folders()
    ]
    return sum(counts) + _statistic(_read(_VM_STATISTICS), "oom_kill")


class GpuMeter:
    """How busy a GPU is, sampled in the background until the meter is closed or forgotten.

    Args:
        index: of the GPU among those that `CUDA_VISIBLE_DEVICES` leaves visible, as in torch.
    """

    def __init__(self, index: int = 0, period_seconds: float = 1.0) -> None:
        self._samples: deque[float] = deque()
        self._closed = threading.Event()
        self._sample = _utilization_of(index)
        if self._sample is None:
            return
        # The thread must not know the meter, or it would never be forgotten.
        weakref.finalize(self, self._closed.set)
        threading.Thread(
            target=_keep_sampling,
            args=(self._sample, self._samples, self._closed, period_seconds),
            name="gpu-meter",
            daemon=True,
        ).start()

    def read(self) -> float | None:
        """Mean utilisation since the last reading, 0 to 1; None where there is nothing to read."""
        samples = list[float]()
        while self._samples:
            samples.append(self._samples.popleft())
        if not samples and self._sample is not None:
            now = self._sample()
            samples = [] if now is None else [now]
        return sum(samples) / len(samples) if samples else None

    def close(self) -> None:
        """Stop sampling."""
        self._closed.set()


def _keep_sampling(
    sample: Callable[[], float | None],
    samples: deque[float],
    closed: threading.Event,
    period_seconds: float,
) -> None:
    while not closed.wait(period_seconds):
        now = sample()
        if now is not None:
            samples.append(now)


def _utilization_of(index: int) -> Callable[[], float | None] | None:
    """What gives the share of the last moment in which a GPU was busy; None without that GPU."""
    try:
        # Never shut down: the driver's library is kept open as long as the process measures.
        pynvml.nvmlInit()
        gpu = gpu_handles()[index]
    except (pynvml.NVMLError, IndexError):
        return None

    def utilization() -> float | None:
        try:
            return float(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu) / 100
        except pynvml.NVMLError:
            return None  # a part of a GPU (MIG) does not say

    return utilization


@contextmanager
def _first_gpu() -> Iterator[Any]:
    """The driver's handle of the first visible GPU; None without one."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield next(iter(gpu_handles()), None)
    finally:
        pynvml.nvmlShutdown()


def gpu_handles() -> list[Any]:
    """The driver's handles of the GPUs that `CUDA_VISIBLE_DEVICES` leaves visible, in its order.

    Between `nvmlInit` and `nvmlShutdown`, and with the driver's errors.
    """
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        numbers = range(pynvml.nvmlDeviceGetCount())
        return [pynvml.nvmlDeviceGetHandleByIndex(number) for number in numbers]
    handles = []
    for entry in map(str.strip, wanted.split(",")):
        try:
            handles.append(
                pynvml.nvmlDeviceGetHandleByIndex(int(entry))
                if entry.isdigit()
                else pynvml.nvmlDeviceGetHandleByUUID(entry)
            )
        except pynvml.NVMLError:
            break  # CUDA too ignores what follows an entry that names no GPU
    return handles


def _cgroup_folders() -> list[Path]:
    """The control groups (version 2) this process belongs to, the innermost first."""
    lines = [line for line in _read(_MEMBERSHIP).splitlines() if line.startswith("0::/")]
    if not lines:
        return []
    innermost = _CGROUPS / lines[0].removeprefix("0::/")
    inside = [folder for folder in innermost.parents if folder.is_relative_to(_CGROUPS)]
    return [innermost, *inside]


def _read(path: Path) -> str:
    """The text of a file of the kernel; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _statistic(text: str, name: str) -> int:
    lines = (line.split() for line in text.splitlines())
    return next((int(words[1]) for words in lines if words[0] == name), 0)
