"""How much of a training is done: by epochs, or by the clock."""

import time
from dataclasses import dataclass, field

from engine.config import ScheduleConfig


@dataclass
class Budget:
    """Counts a training's progress.

    Args:
        schedule: its epochs, and its minutes where a time budget is set.
        elapsed_seconds: what an earlier part of the same training has used.
    """

    schedule: ScheduleConfig
    elapsed_seconds: float = 0.0
    _since: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """Time spent in this training so far, in all its parts."""
        return self.elapsed_seconds + time.monotonic() - self._since

    def progress(self, epochs_done: float) -> float:
        """Share of the training that is done, 0 to 1."""
        if self.schedule.max_minutes is None:
            return min(epochs_done / self.schedule.epochs, 1.0)
        return min(self.seconds() / 60 / self.schedule.max_minutes, 1.0)
