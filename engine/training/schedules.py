"""The learning rate and the end of a training, as far as they depend on the validation.

Progress is the share of the training that is done, 0 to 1. Whatever waits counts in virtual
epochs, see `engine.config.rates`. States are plain values.
"""

from collections.abc import Mapping
from typing import Any

from engine.config import OptimizerConfig, ScheduleConfig, rate_at, virtual_epochs

_ROUNDING = 1e-9
"""Of an epoch: what computing epochs from shares may lose."""


class _Patience:
    """Waits for a better score; when it has waited for so many epochs, it says so and starts anew.

    An equal score is no better.
    """

    def __init__(self, epochs: float) -> None:
        self._epochs = epochs
        self._best: float | None = None
        self._since = 0.0

    def is_over(self, epoch: float, score: float) -> bool:
        if self._best is None or score > self._best:
            self._best, self._since = score, epoch
            return False
        if epoch - self._since < self._epochs - _ROUNDING:
            return False
        self._since = epoch
        return True

    def wait_from(self, epoch: float) -> None:
        self._since = epoch

    def state(self) -> dict[str, Any]:
        return {"best": self._best, "since": self._since}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._best, self._since = state["best"], state["since"]


class Schedule:
    """The learning rate of a training; “plateau” lowers it when validation stops improving."""

    def __init__(self, config: OptimizerConfig, schedule: ScheduleConfig) -> None:
        self._config, self._schedule = config, schedule
        self._patience = _Patience(config.lr_decay_epochs)
        self._factor = 1.0

    def rate(self, progress: float) -> float:
        """The learning rate of a step that begins there."""
        return self._factor * rate_at(self._config, self._schedule, progress)

    def note_validation(self, progress: float, score: float) -> None:
        """Take note of a validation; a higher score is better."""
        if self._config.lr_schedule != "plateau":
            return
        if self._patience.is_over(virtual_epochs(self._schedule, progress), score):
            self._factor *= self._config.lr_decay

    def state(self) -> dict[str, Any]:
        """What the validations so far have changed."""
        return {"factor": self._factor, "patience": self._patience.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._factor = state["factor"]
        self._patience.restore(state["patience"])

    def stretch(self, progress: float) -> None:
        """Go on as a longer training, of which so much is done: a “plateau” is waited for from
        here, as epochs that were counted before may count otherwise now."""
        self._patience.wait_from(virtual_epochs(self._schedule, progress))


class EarlyStopping:
    """Says when a training has not improved for `early_stop_epochs`; with 0, never."""

    def __init__(self, schedule: ScheduleConfig) -> None:
        self._schedule = schedule
        self._patience = _Patience(schedule.early_stop_epochs)

    def note(self, progress: float, score: float) -> bool:
        """Take note of a validation, a higher score being better; whether to end the training."""
        if not self._schedule.early_stop_epochs:
            return False
        return self._patience.is_over(virtual_epochs(self._schedule, progress), score)

    def state(self) -> dict[str, Any]:
        """What the validations so far have changed."""
        return self._patience.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._patience.restore(state)
