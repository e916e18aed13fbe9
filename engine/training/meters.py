"""What an epoch costs: memory, time spent waiting, how busy the GPU was."""

import resource
import sys
import time

import torch

from engine.machine import GpuMeter


class Meters:
    """Measures between two calls of `start`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
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
        """Most memory in use so far: of the GPU, or of this process on a CPU."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_reserved(self._device)
        # Linux counts in KiB, macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
