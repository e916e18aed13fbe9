"""Saving a training's checkpoints while it goes on: often enough to lose little, and seldom
enough to cost little."""

import time
from collections.abc import Mapping
from typing import Any

from engine.files import Files
from engine.models import weights
from engine.models.registry import SegmentationNet
from engine.models.weights import CheckpointInfo
from engine.run_files import best_key, older_best_key
from engine.training.checkpoint import save_last
from engine.training.standing import Standing

_COST_SHARE = 0.05
"""Of the time since the last state was saved, that saving the next one may take."""
_WITHIN_EPOCH_SECONDS = 180.0
"""How long an epoch may go on before the state is saved in its middle."""


class Keeper:
    """Keeps the best weights and the newest state of one training.

    Best weights are saved whenever there are better ones, states less often. So that a training
    that goes on from its newest state has the best weights that this state speaks of, those are
    kept as `older_best` until a state is saved that knows better ones.
    """

    def __init__(self, files: Files, run_folder: str) -> None:
        self._files, self._run_folder = files, run_folder
        self._saved_at, self._cost_seconds = time.monotonic(), 0.0
        self._knows_best = False
        """Whether the newest state speaks of the best weights there are."""
        self._last_is_sound = True

    def go_on_from(self, standing: Standing, *, last_is_sound: bool) -> None:
        """Put the best weights back that a state speaks of, where later ones were saved.

        Args:
            last_is_sound: whether the state is that of `last`, and not of the one before.
        """
        self._last_is_sound = last_is_sound
        best, older = best_key(self._run_folder), older_best_key(self._run_folder)
        if not self._are_of(best, standing) and self._are_of(older, standing):
            self._files.rename(older, best)
        self._knows_best = self._are_of(best, standing)
        self._files.remove(older)

    def keep_best(self, model: SegmentationNet, info: CheckpointInfo) -> None:
        """Save weights that are better than all before.

        Raises:
            DiskFull: there is no room.
        """
        best, older = best_key(self._run_folder), older_best_key(self._run_folder)
        keep_as = older if self._knows_best else None
        weights.save_weights(self._files, best, model, info, keep_as=keep_as)
        self._knows_best = False

    def is_due(self, *, within_epoch: bool = False) -> bool:
        """Whether it is time to save the state."""
        seconds = time.monotonic() - self._saved_at
        if within_epoch and seconds < _WITHIN_EPOCH_SECONDS:
            return False
        return self._cost_seconds <= _COST_SHARE * seconds

    def keep_state(self, state: Mapping[str, Any]) -> None:
        """Save the state.

        Raises:
            DiskFull: there is no room.
        """
        started_at = time.monotonic()
        save_last(self._files, self._run_folder, state, keep_last=self._last_is_sound)
        self._files.remove(older_best_key(self._run_folder))
        self._last_is_sound = self._knows_best = True
        self._saved_at = time.monotonic()
        self._cost_seconds = self._saved_at - started_at

    def _are_of(self, key: str, standing: Standing) -> bool:
        """Whether a file has the best weights that a state speaks of."""
        info = weights.read_info(self._files.path(key))
        return (
            info is not None
            and standing.best is not None
            and (info.epoch, info.val_dice) == (standing.best_epoch, standing.best[0])
        )
