"""A running average of a network's weights, which is steadier than the last ones.

Polyak & Juditsky 1992, https://doi.org/10.1137/0330046, with the exponential weights that are
usual today.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class AveragedWeights:
    """The exponential moving average of a network's weights.

    Buffers, such as the means and variances of batch normalisation, are the network's latest: they
    are averages already, and averaging them again made no measurable difference.

    Early on the decay is (1 + n) / (10 + n) after n steps, where that is less, so that the
    average soon forgets the initial weights.

    Args:
        model: on its device; the average starts at its weights.
        decay: from 0 up to but not 1; 0.99 averages about a hundred steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._num_steps = 0
        self._averages = {name: each.detach().clone() for name, each in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step of the optimiser."""
        decay = min(self._decay, (1 + self._num_steps) / (10 + self._num_steps))
        self._num_steps += 1
        latest = list[Tensor](model.parameters())
        # All at once: a network has a hundred small tensors, each of which would cost a call.
        torch._foreach_lerp_(list(self._averages.values()), latest, 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Within the context the network has the averaged weights; after it, exactly its own."""
        weights = list(model.parameters())
        own = [each.detach().clone() for each in weights]
        try:
            _copy(self._averages.values(), weights)
            yield
        finally:
            _copy(own, weights)

    def state(self) -> dict[str, Any]:
        """The average and how many steps it has seen; tensors and plain values."""
        return {"num_steps": self._num_steps, "averages": self._averages}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._num_steps = state["num_steps"]
        averages = [state["averages"][name] for name in self._averages]
        _copy(averages, self._averages.values())


@torch.no_grad()
def _copy(sources: Iterable[Tensor], targets: Iterable[Tensor]) -> None:
    torch._foreach_copy_(list(targets), list(sources))
