"""The losses of the steps, kept on the device until somebody asks."""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import Diverged

_LOOK_SECONDS = 30.0
"""How long a training may go on before somebody looks whether its loss is still a number."""


@dataclass(frozen=True, slots=True)
class _Step:
    loss: Tensor
    num_images: int
    rate: float


class LossWatch:
    """Sums losses without making the host wait for each step's.

    Args:
        precision: how the loss was computed, for the diagnosis.
        in_validation: the steps are those of a validation, which learns nothing.
        sum_before: of the images of the same epoch that came before an interruption.
    """

    def __init__(
        self, precision: str, *, in_validation: bool = False, sum_before: float = 0.0
    ) -> None:
        self._precision, self._in_validation = precision, in_validation
        self._steps: list[_Step] = []
        # One sum, added up in the order of the steps: two partial sums would round otherwise.
        self._sum, self._num_images, self._num_steps = sum_before, 0, 0
        self._last: float | None = None
        self._looked_at = time.monotonic()

    def add(self, loss: Tensor, num_images: int, rate: float) -> None:
        """Note a step's mean loss; now and then the device is waited for to look at them.

        Raises:
            Diverged: a loss is infinite or undefined.
        """
        self._steps.append(_Step(loss, num_images, rate))
        if time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._look()

    def total(self) -> tuple[float, int]:
        """The sum of the images' losses so far, and how many images were added to it.

        Raises:
            Diverged: a loss is infinite or undefined.
        """
        self._look()
        return self._sum, self._num_images

    def _look(self) -> None:
        steps, self._steps = self._steps, []
        self._looked_at = time.monotonic()
        if not steps:
            return
        for step, loss in zip(steps, torch.stack([s.loss for s in steps]).tolist(), strict=True):
            self._num_steps += 1
            if not math.isfinite(loss):
                raise self._diverged(loss, step)
            self._sum += loss * step.num_images
            self._num_images += step.num_images
            self._last = loss

    def _diverged(self, loss: float, step: _Step) -> Diverged:
        if self._in_validation:
            return Diverged(
                "The loss of the validation is no number ({loss}), at a learning rate of {rate:g} "
                "in {precision}: the weights have outgrown it. Try a tenth of the learning rate, "
                "or the precision fp32.",
                loss=str(loss),
                rate=step.rate,
                precision=self._precision,
            )
        if self._last is None:
            return Diverged(
                "The loss was no number ({loss}) from the first step on, at a learning rate of "
                "{rate:g} in {precision}. Choose the precision fp32 to see whether the numbers "
                "outgrew it, and a tenth of the learning rate.",
                loss=str(loss),
                rate=step.rate,
                precision=self._precision,
            )
        return Diverged(
            "The loss stopped being a number ({loss}) in step {step} of the epoch, after "
            "{last:.3g}, at a learning rate of {rate:g} in {precision}. Try a tenth of the "
            "learning rate, or gradient clipping at 1.",
            loss=str(loss),
            step=self._num_steps,
            last=self._last,
            rate=step.rate,
            precision=self._precision,
        )
