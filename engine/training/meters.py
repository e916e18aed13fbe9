"""What an epoch costs: memory, time spent waiting, how busy the GPU was."""

import time

import psutil
import torch

from engine.machine import GpuMeter


class Meters:
    """Measures between two calls of `start`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._peak_bytes = 0
        if device.type == "cuda":
            # What measuring beforehand took is no concern of the training.
            torch.cuda.reset_peak_memory_stats(device)
        self._gpu = GpuMeter(device.index or 0) if device.type == "cuda" else None
        self.start()

    def start(self) -> None:
        """Begin an epoch."""
        self._started_at = time.monotonic()
        if self._gpu is not None:
            self._gpu.read()

    def seconds(self) -> float:
        """Since the epoch began."""
        return time.monotonic() - self._started_at

    def gpu_utilization(self) -> float | None:
        """Mean share of the epoch in which the GPU was busy, 0 to 1; None on a CPU."""
        return None if self._gpu is None else self._gpu.read()

    def peak_memory_bytes(self) -> int:
        """Most memory in use so far: of the GPU, or of this process on a CPU as seen when asked."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        memory = psutil.Process().memory_info()
        # Pages of mapped files, such as the samples, are the system's to take back.
        own_bytes = memory.rss - getattr(memory, "shared", 0)
        self._peak_bytes = max(self._peak_bytes, own_bytes)
        return self._peak_bytes
