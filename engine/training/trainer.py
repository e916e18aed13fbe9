"""The training loop.

Shapes: N images of a batch, C channels, H height, W width, K classes.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.config import TrainConfig, with_changes
from engine.errors import BadData
from engine.events import EpochDone, EpochRecord, Event, Started, StepDone
from engine.files import Files
from engine.models import weights
from engine.models.compute import Compute, memory_errors
from engine.models.probabilities import class_probabilities, decide
from engine.scores.rules import Summary
from engine.training import checkpoint
from engine.training.budget import Budget
from engine.training.data import TrainingData, View, training_batch, validation_batch
from engine.training.loss_watch import LossWatch
from engine.training.meters import Meters
from engine.training.preflight import prepare
from engine.training.sampling import TrainingSampler, val_places
from engine.training.schedules import EarlyStopping, Schedule
from engine.training.validation import Tally
from engine.training.windows import Cut, Prefetch

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingContext:
    """Everything around a training that is not a setting."""

    files: Files
    run_folder: str
    emit: Callable[[Event], None]
    should_stop: Callable[[], bool]
    weights_folder: Path | None = None
    """Where pretrained encoders may lie."""
    start_from: Path | None = None
    """Weights of another run that this one starts from."""
    resume_from: Path | None = None
    """The `last` checkpoint of this run, to go on from."""
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
    compute: Compute
    """Where and how exactly it was computed."""


def train(config: TrainConfig, data: TrainingData, context: TrainingContext) -> TrainingResult:
    """Train a network and leave its `best` and `last` checkpoints in the run's folder.

    The best epoch has the highest mean image Dice on the validation split; the lower validation
    loss decides between equals, so that a network that has begun to learn beats one that
    predicts a single class everywhere.

    Raises:
        BadData: a checkpoint to start or to go on from cannot be used.
        BadSetting: the device or the encoder's weights are not to be had.
        Diverged: the loss became infinite or undefined.
        OutOfMemory: the training does not fit into the device's memory.
    """
    trainer = Trainer(config, data, context)
    with memory_errors(trainer.learner.compute.device):
        for _record in trainer.epochs():
            pass
    return trainer.result()


@dataclass
class Standing:
    """Where a training stands, its weights apart; plain values, stored as they are."""

    epoch: int = 0
    """Epochs that have ended."""
    best: tuple[float, float] | None = None
    """Validation Dice and negative loss of the best epoch."""
    best_epoch: int | None = None
    learning_rate: float = 0.0
    """Of the last step."""
    num_batches: int = 0
    """Batches trained of the epoch that has begun. It and what follows is 0 between epochs."""
    num_images: int = 0
    loss_sum: float = 0.0
    """Over those images."""
    seconds: float = 0.0
    waited_seconds: float = 0.0
    """In which the device waited for images."""
    num_steps: int = 0

    def begin_next_epoch(self) -> None:
        """Count from 0 again."""
        self.epoch += 1
        self.num_batches = self.num_images = self.num_steps = 0
        self.loss_sum = self.seconds = self.waited_seconds = 0.0


class Trainer:
    """One training in progress; `train` runs one to its end."""

    def __init__(self, config: TrainConfig, data: TrainingData, context: TrainingContext) -> None:
        self.config, self.data, self.context = config, data, context
        self.budget = Budget(config.schedule)
        self.view = View.of(config)
        last = context.resume_from and self._checked(checkpoint.load_state(context.resume_from))
        prepared = (
            prepare(_decided(config, last["compute"]), data)
            if last
            else prepare(config, data, context.weights_folder, context.start_from)
        )
        self.learner, self.windows = prepared.learner, prepared.windows
        self.compiled = prepared.speed.compiled
        if self.compiled:
            self.learner.compile()
        device = self.learner.compute.device
        self.sampler = TrainingSampler(data.arrays, data.train, data.background(), config)
        places, size = (
            val_places(data.arrays, data.val, self.view.target_px),
            config.schedule.batch_size,
        )
        self.val_batches = [places[start : start + size] for start in range(0, len(places), size)]
        self.schedule = Schedule(config.optimizer, config.schedule)
        self.stopping = EarlyStopping(config.schedule)
        # Augmentation has a generator of its own, so that it depends on the seed and the step
        # alone, and not on how many random numbers weights and dropout took.
        self.generator = torch.Generator().manual_seed(config.schedule.seed)
        self.meters = Meters(device)
        self.standing = Standing()
        self.stopped = False
        if last:
            self._restore(last)
        context.emit(Started(facts=prepared.facts, notes=prepared.notes))

    def epochs(self) -> Iterator[EpochRecord]:
        """Train epoch by epoch, to the end of the schedule, or until asked to stop."""
        # One epoch at least: a budget that measuring used up would leave nothing to keep.
        while self.standing.epoch == 0 or self._progress() < 1:
            # Should the epoch be left half-done, it is drawn again from here, and the rest trained.
            epoch_began = self.sampler.state()
            self.meters.start()
            self._train_epoch()
            if self.stopped:
                self._save_last(epoch_began)
                return
            record = self._validated_epoch()
            self.standing.begin_next_epoch()
            is_hopeless = self.stopping.note(self._progress(), record.val_dice)
            self._save_last(self.sampler.state())
            self.context.emit(EpochDone(record=record))
            yield record
            if is_hopeless:
                log.info("Validation has not improved for long enough; the training ends early.")
                return

    def result(self) -> TrainingResult:
        """How the training ended, or where it stands."""
        return TrainingResult(
            num_epochs=self.standing.epoch,
            best_epoch=self.standing.best_epoch,
            stopped=self.stopped,
            compute=self.learner.compute,
        )

    def _train_epoch(self) -> None:
        """Train an epoch, or what is left of it, to its end or until asked to stop."""
        standing, view, batches = self.standing, self.view, self.sampler.epoch()
        num_images = sum(map(len, batches))
        watch = LossWatch(self.learner.compute.precision_setting)
        todo = batches[standing.num_batches :]
        with Prefetch(self.windows, todo, view.target_px, view.training_margin_px) as cuts:
            for group in _groups(cuts, self.config.optimizer.accumulation):
                progress = self._progress(standing.num_images / num_images)
                if standing.num_images and progress >= 1:
                    break
                watch.add(
                    self._step(group, progress), _num_images(group), self.standing.learning_rate
                )
                standing.num_batches += len(group)
                standing.num_images += _num_images(group)
                standing.num_steps += 1
                self.context.emit(StepDone(progress=progress))
                if self.context.should_stop():
                    self.stopped = True
                    break
        standing.loss_sum += watch.total()[0]
        standing.waited_seconds += cuts.waited_seconds
        standing.seconds += self.meters.seconds()

    def _step(self, group: Sequence[Cut], progress: float) -> Tensor:
        self.standing.learning_rate = self.schedule.rate(progress)
        return self.learner.learn(
            (training_batch(cut, self.config, self.view, self.generator) for cut in group),
            _num_images(group),
            self.standing.learning_rate,
        )

    def _validated_epoch(self) -> EpochRecord:
        """Validate the epoch that was just trained, and keep the weights if they are the best."""
        standing = self.standing
        with self.learner.evaluated() as model:
            val_loss, summary = self._validate()
            score = (summary.mean_image_dice, -val_loss)
            is_best = standing.best is None or score > standing.best
            if is_best:
                standing.best, standing.best_epoch = score, standing.epoch + 1
                self._save_best(model, summary.mean_image_dice)
        self.schedule.note_validation(self._progress(1.0), summary.mean_image_dice)
        return EpochRecord(
            epoch=standing.epoch + 1,
            train_loss=standing.loss_sum / standing.num_images,
            val_loss=val_loss,
            val_dice=summary.mean_image_dice,
            val_iou=summary.mean_image_iou,
            val_class_dice=tuple(each.dice for each in summary.by_class),
            val_class_iou=tuple(each.iou for each in summary.by_class),
            learning_rate=self.standing.learning_rate,
            seconds=self.meters.seconds(),
            images_per_second=standing.num_images / standing.seconds,
            is_best=is_best,
            num_steps=standing.num_steps,
            data_wait_share=standing.waited_seconds / standing.seconds,
            peak_memory_bytes=self.meters.peak_memory_bytes(),
            gpu_utilization=self.meters.gpu_utilization(),
        )

    def _validate(self) -> tuple[float, Summary]:
        """Mean loss and scores of the validation split, every pixel of every image counted once."""
        order = {position: index for index, position in enumerate(self.data.val)}
        view, device = self.view, self.learner.compute.device
        tally = Tally(len(self.data.val), self.data.classes, device)
        watch = LossWatch(self.learner.compute.precision_setting, in_validation=True)
        threshold = self.config.predict.threshold
        with Prefetch(self.windows, self.val_batches, view.target_px, view.context_px) as cuts:
            for cut in cuts:
                batch = validation_batch(cut, self.config, view)
                logits_NCHW = self.learner.logits(batch.images_NCHW)
                loss = self.learner.loss(logits_NCHW, batch.masks_NHW, batch.borders_NHW)
                watch.add(loss, len(cut.places), self.standing.learning_rate)
                images = [order[place.position] for place in cut.places]
                found_NHW = decide(class_probabilities(logits_NCHW), threshold)
                tally.add(images, batch.masks_NHW, found_NHW)
        loss_sum, num_windows = watch.total()
        return loss_sum / num_windows, tally.summary()

    def _save_best(self, model: torch.nn.Module, val_dice: float) -> None:
        info = weights.CheckpointInfo(
            config=self.config,
            in_channels=self.data.arrays.num_channels,
            num_classes=len(self.data.classes),
            epoch=self.standing.epoch + 1,
            val_dice=val_dice,
        )
        weights.save_weights(
            self.context.files, checkpoint.best_key(self.context.run_folder), model, info
        )

    def _save_last(self, sampler_state: Mapping[str, Any]) -> None:
        state = {
            "config": self.config.to_dict(),
            "compute": self._compute_settings(),
            "standing": asdict(self.standing),
            "elapsed_seconds": self.budget.seconds(),
            "learner": self.learner.state(),
            "schedule": self.schedule.state(),
            "stopping": self.stopping.state(),
            "sampler": sampler_state,
            "generator": self.generator.get_state(),
            "torch_generators": _generator_states(self.learner.compute.device),
        }
        key = checkpoint.last_key(self.context.run_folder)
        checkpoint.save_state(self.context.files, key, state)

    def _checked(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        if state["config"] != self.config.to_dict():
            raise BadData(
                "The checkpoint belongs to a training with other settings, so this one cannot go "
                "on from it. Start a new run from it instead (start_from)."
            )
        return state

    def _compute_settings(self) -> dict[str, str]:
        """What was chosen by measuring, as settings."""
        return {
            "precision": self.learner.compute.precision_setting,
            "compiled": "on" if self.compiled else "off",
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `_save_last` left off."""
        self.standing = Standing(**state["standing"])
        self.budget.elapsed_seconds = state["elapsed_seconds"]
        self.learner.restore(state["learner"])
        self.schedule.restore(state["schedule"])
        self.stopping.restore(state["stopping"])
        self.sampler.restore(state["sampler"])
        self.generator.set_state(state["generator"])
        _restore_generators(self.learner.compute.device, state["torch_generators"])

    def _progress(self, of_epoch: float = 0.0) -> float:
        return self.budget.progress(self.standing.epoch + of_epoch)


def _decided(config: TrainConfig, compute: Mapping[str, str]) -> TrainConfig:
    """The settings with nothing left to measure or to fetch, for weights that are at hand."""
    return with_changes(config, {**compute, "encoder_weights": "none"})


def _groups(cuts: Iterable[Cut], size: int) -> Iterator[list[Cut]]:
    """Consecutive batches that make one step together; the last group may be smaller."""
    group: list[Cut] = []
    for cut in cuts:
        group.append(cut)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _num_images(group: Sequence[Cut]) -> int:
    return sum(len(cut.places) for cut in group)


def _generator_states(device: torch.device) -> list[Tensor]:
    """Of the generators that dropout draws from."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _restore_generators(device: torch.device, states: Sequence[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)
