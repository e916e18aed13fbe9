"""The training loop.

Shapes: N images of a batch, C channels, H height, W width, K classes.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.config import ScheduleConfig, TrainConfig
from engine.errors import Diverged
from engine.events import EpochDone, EpochRecord, Event, StepDone
from engine.files import Files
from engine.models import weights
from engine.models.compute import Compute
from engine.models.probabilities import class_probabilities, decide, to_input
from engine.scores.counts import IGNORED_INDEX, Counts
from engine.scores.rules import ClassRow, Summary, summarize
from engine.training import checkpoint
from engine.training.augment import augment
from engine.training.losses import Loss, make_loss
from engine.training.optimizers import learning_rate_at, make_optimizer

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingData:
    """Decoded samples at training size, and which of them are for what."""

    images_NHWC: NDArray[np.uint8]
    masks_NHW: NDArray[np.uint8]
    """Class indices; 255 = ignored."""
    train: Sequence[int]
    val: Sequence[int]
    classes: Sequence[ClassRow]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingContext:
    """Everything around a training that is not a setting."""

    compute: Compute
    files: Files
    run_folder: str
    emit: Callable[[Event], None]
    should_stop: Callable[[], bool]
    rank: int = 0
    """This process's number among `world_size`: 0 of 1, until training is distributed."""
    world_size: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """How a training ended."""

    num_epochs: int
    best_epoch: int | None
    """None when it was stopped before its first epoch ended."""
    stopped: bool


@dataclass
class Budget:
    """How much of the training is done: by epochs, or by the clock when a time budget is set."""

    schedule: ScheduleConfig
    started_at: float = field(default_factory=time.monotonic)

    def progress(self, epochs_done: float) -> float:
        """Share done, 0 to 1."""
        if self.schedule.max_minutes is None:
            return min(epochs_done / self.schedule.epochs, 1.0)
        elapsed_minutes = (time.monotonic() - self.started_at) / 60
        return min(elapsed_minutes / self.schedule.max_minutes, 1.0)


def train(config: TrainConfig, data: TrainingData, context: TrainingContext) -> TrainingResult:
    """Train a network and leave its `best` and `last` checkpoints in the run's folder.

    The best epoch has the highest mean image Dice on the validation split; the lower validation
    loss decides between equals, so that a network that has begun to learn beats one that
    predicts a single class everywhere.

    Raises:
        Diverged: the loss became infinite or undefined.
    """
    torch.manual_seed(config.schedule.seed)
    return Trainer(config, data, context).run()


class Trainer:
    """One training in progress. Use `train`."""

    def __init__(self, config: TrainConfig, data: TrainingData, context: TrainingContext) -> None:
        self.config, self.data, self.context = config, data, context
        self.device = context.compute.device
        self.in_channels = data.images_NHWC.shape[-1]
        model = weights.build_model(config, self.in_channels, len(data.classes))
        # Channels-last is the layout the convolution kernels of CPUs and tensor cores work in.
        self.model = model.to(self.device).to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(config.optimizer, self.model.parameters())
        self.loss: Loss = make_loss(config.loss)
        # Order and augmentation have a generator of their own, so that neither depends on how
        # many random numbers the weights took.
        self.generator = torch.Generator().manual_seed(config.schedule.seed)
        self.budget = Budget(config.schedule)
        self.best: tuple[float, float] | None = None
        self.best_epoch: int | None = None
        self.learning_rate = config.optimizer.learning_rate

    def run(self) -> TrainingResult:
        """Train to the end of the schedule, or until asked to stop."""
        epoch = 0
        while self.budget.progress(epoch) < 1:
            started_at = time.monotonic()
            outcome = self._train_epoch(epoch)
            if outcome is None:
                self._save_last(epoch)
                return self._result(epoch, stopped=True)
            epoch += 1
            train_loss, images_per_second = outcome
            val_loss, summary = self._validate()
            self._check_finite(epoch, train_loss, val_loss)
            record = EpochRecord(
                epoch=epoch,
                train_loss=train_loss,
                val_loss=val_loss,
                val_dice=summary.mean_image_dice,
                val_iou=summary.mean_image_iou,
                val_class_dice=tuple(each.dice for each in summary.by_class),
                learning_rate=self.learning_rate,
                seconds=time.monotonic() - started_at,
                images_per_second=images_per_second,
                is_best=self._note_best(epoch, summary.mean_image_dice, val_loss),
            )
            self._save_last(epoch)
            self.context.emit(EpochDone(record=record))
        return self._result(epoch, stopped=False)

    def _train_epoch(self, epochs_done: int) -> tuple[float, float] | None:
        """One epoch's mean loss and images/s; None when asked to stop on the way."""
        self.model.train()
        started_at, num_images = time.monotonic(), 0
        # Summed on the device: asking for each step's loss would make the host wait for it.
        loss_sum = torch.zeros((), device=self.device)
        order = torch.randperm(len(self.data.train), generator=self.generator).tolist()
        for indices in _batches([self.data.train[i] for i in order], self._batch_size):
            progress = self.budget.progress(epochs_done + num_images / len(self.data.train))
            if num_images and progress >= 1:
                break
            loss_sum += self._step(indices, progress) * len(indices)
            num_images += len(indices)
            self.context.emit(StepDone(progress=progress))
            if self.context.should_stop():
                return None
        mean_loss = loss_sum.item() / num_images
        return mean_loss, num_images / (time.monotonic() - started_at)

    def _step(self, indices: Sequence[int], progress: float) -> Tensor:
        self.learning_rate = learning_rate_at(self.config.optimizer, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate
        images_NCHW, masks_NHW = augment(*self._load(indices), self.config.augment, self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        with self.context.compute.autocast():
            logits_NCHW = self.model(images_NCHW.contiguous(memory_format=torch.channels_last))
        loss = self.loss(logits_NCHW.float(), masks_NHW)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    @torch.inference_mode()
    def _validate(self) -> tuple[float, Summary]:
        """Mean loss and scores of the validation split, every image counted."""
        self.model.eval()
        loss_sum = torch.zeros((), device=self.device)
        counts: list[Tensor] = []
        for indices in _batches(self.data.val, self._batch_size):
            images_NCHW, masks_NHW = self._load(indices)
            with self.context.compute.autocast():
                logits_NCHW = self.model(images_NCHW)
            logits_NCHW = logits_NCHW.float()
            loss_sum += self.loss(logits_NCHW, masks_NHW) * len(indices)
            prediction_NHW = decide(
                class_probabilities(logits_NCHW), self.config.schedule.threshold
            )
            counts.append(_count_batch(masks_NHW, prediction_NHW, len(self.data.classes)))
        samples = [
            Counts(*(tuple(kind) for kind in sample)) for sample in torch.cat(counts).tolist()
        ]
        summary = summarize(samples, self.data.classes)
        assert summary is not None, "a split always has a validation sample"
        return loss_sum.item() / len(self.data.val), summary

    def _load(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        # Sorted reading of a memory map is sequential; the batch's order does not matter.
        positions = sorted(indices)
        images_NHWC = torch.from_numpy(self.data.images_NHWC[positions])
        masks_NHW = torch.from_numpy(self.data.masks_NHW[positions])
        return (
            to_input(images_NHWC.to(self.device, non_blocking=True)),
            masks_NHW.to(self.device, non_blocking=True).long(),
        )

    def _note_best(self, epoch: int, val_dice: float, val_loss: float) -> bool:
        score = (val_dice, -val_loss)
        if self.best is not None and score <= self.best:
            return False
        self.best, self.best_epoch = score, epoch
        info = weights.CheckpointInfo(
            config=self.config,
            in_channels=self.in_channels,
            num_classes=len(self.data.classes),
            epoch=epoch,
            val_dice=val_dice,
        )
        key = checkpoint.best_key(self.context.run_folder)
        weights.save_weights(self.context.files, key, self.model, info)
        return True

    def _save_last(self, epoch: int) -> None:
        state = {
            "format": checkpoint.STATE_FORMAT,
            "config": self.config.to_dict(),
            "epoch": epoch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "best": self.best,
            "best_epoch": self.best_epoch,
        }
        key = checkpoint.last_key(self.context.run_folder)
        checkpoint.save_state(self.context.files, key, state)

    def _check_finite(self, epoch: int, train_loss: float, val_loss: float) -> None:
        if not (np.isfinite(train_loss) and np.isfinite(val_loss)):
            raise Diverged(
                "The loss stopped being a number in epoch {epoch} (training {train}, validation "
                "{val}), at a learning rate of {learning_rate:g}. Try a tenth of it.",
                epoch=epoch,
                train=str(train_loss),
                val=str(val_loss),
                learning_rate=self.config.optimizer.learning_rate,
            )

    def _result(self, num_epochs: int, *, stopped: bool) -> TrainingResult:
        return TrainingResult(num_epochs=num_epochs, best_epoch=self.best_epoch, stopped=stopped)

    @property
    def _batch_size(self) -> int:
        return self.config.schedule.batch_size


def _batches(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Consecutive portions; the last may be smaller, none is dropped."""
    return (indices[start : start + size] for start in range(0, len(indices), size))


def _count_batch(truth_NHW: Tensor, prediction_NHW: Tensor, num_classes: int) -> Tensor:
    """tp, fp, fn of each image and class, int64 (N, 3, K), computed on the device."""
    valid = truth_NHW != IGNORED_INDEX
    per_class = []
    for index in range(num_classes):
        truth, found = (truth_NHW == index) & valid, (prediction_NHW == index) & valid
        per_class.append(
            torch.stack(
                [
                    (truth & found).sum((1, 2)),
                    (~truth & found).sum((1, 2)),
                    (truth & ~found).sum((1, 2)),
                ],
                dim=1,
            )
        )
    return torch.stack(per_class, dim=2)
