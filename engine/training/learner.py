"""A network together with everything that changes it: one step forward, back and on.

Shapes: N images, C channels or logits, H height, W width.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.config import TrainConfig
from engine.models.compute import Compute
from engine.models.registry import SegmentationNet
from engine.training.augment import Batch
from engine.training.averaging import AveragedWeights
from engine.training.losses import Loss, deep_loss
from engine.training.optimizers import make_optimizer


class Learner:
    """A network, its loss, its optimiser, and the running average of its weights.

    Args:
        model: with its initial weights; moved to the device.
        compute: where and how exactly to compute.
    """

    def __init__(
        self, config: TrainConfig, model: SegmentationNet, loss: Loss, compute: Compute
    ) -> None:
        self.config, self.compute, self.loss = config, compute, loss
        # Channels-last is the layout the convolution kernels of CPUs and tensor cores work in.
        self.model = model.to(compute.device).to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(config.optimizer, self.model, compute.device)
        self.scaler = compute.scaler()
        decay = config.optimizer.ema_decay
        self.averaged = AveragedWeights(self.model, decay) if decay else None
        self._compiled: Callable[[Tensor], list[Tensor]] | None = None

    def compile(self) -> None:
        """Compile the network at its first full batch; what follows is faster."""
        self._compiled = torch.compile(self.model.levels)

    def learn(self, batches: Iterable[Batch], num_images: int, rate: float) -> Tensor:
        """One step of the optimiser on the mean loss of some batches.

        Gradients are accumulated over the batches, weighted by their images: with a loss that is
        a mean over pixels, such as cross-entropy, several small batches make the step of a large
        one.

        Args:
            batches: taken one after the other, so that only one needs memory.
            num_images: in all of them.
            rate: learning rate.

        Returns:
            The mean loss, a scalar on the device. Nothing here waits for the device but fp16 with
            RMSprop, whose gradients are looked at on the host.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        mean_loss = torch.zeros((), device=self.compute.device)
        for batch in batches:
            share = len(batch.images_NCHW) / num_images
            loss = self.loss_of(batch) * share
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            mean_loss += loss.detach()
        if self.config.optimizer.clip_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.averaged is not None:
            self.averaged.update(self.model)
        return mean_loss

    def loss_of(self, batch: Batch) -> Tensor:
        """Mean loss of a batch, with its gradient's graph."""
        levels = [level.float() for level in self._levels(batch.images_NCHW)]
        if self.config.loss.deep_supervision:
            return deep_loss(self.loss, levels, batch.masks_NHW, batch.borders_NHW)
        return self.loss(levels[0], batch.masks_NHW, batch.borders_NHW)

    def logits(self, images_NCHW: Tensor) -> Tensor:
        """What the network says of some images, float32; for evaluation mode."""
        with self.compute.autocast():
            logits_NCHW: Tensor = self.model(images_NCHW)
        return logits_NCHW.float()

    @contextmanager
    def evaluated(self) -> Iterator[SegmentationNet]:
        """The network as it is validated and saved: in evaluation mode, with averaged weights."""
        self.model.eval()
        with torch.inference_mode():
            if self.averaged is None:
                yield self.model
            else:
                with self.averaged.applied(self.model):
                    yield self.model

    def state(self) -> dict[str, Any]:
        """Everything that learning has changed: tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, be it in another precision."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        # Only fp16 has something to scale; one that begins with it begins anew.
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        if self.averaged is not None:
            self.averaged.restore(state["averaged"])

    def _levels(self, images_NCHW: Tensor) -> list[Tensor]:
        is_full = len(images_NCHW) == self.config.schedule.batch_size
        # A smaller last batch would be compiled anew.
        levels = self._compiled if self._compiled is not None and is_full else self.model.levels
        with self.compute.autocast():
            return levels(images_NCHW)
