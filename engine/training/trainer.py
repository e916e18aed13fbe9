"""The training loop.

Shapes: N images of a batch, C channels, H height, W width, K classes.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.config import TrainConfig
from engine.events import BatchValidated, EpochDone, EpochRecord, Event, Started, StepDone
from engine.files import Files
from engine.models.compute import Compute, choose_compute, choose_device, memory_errors
from engine.models.probabilities import class_probabilities, decide
from engine.models.registry import SegmentationNet
from engine.models.weights import CheckpointInfo
from engine.notes import Note
from engine.scores.rules import Summary
from engine.training.budget import Budget
from engine.training.data import TrainingData, View, training_batch, validation_batch
from engine.training.keeping import Keeper
from engine.training.loss_watch import LossWatch
from engine.training.meters import Meters
from engine.training.preflight import prepare
from engine.training.sampling import TrainingSampler, val_places
from engine.training.schedules import EarlyStopping, Schedule
from engine.training.standing import ResumePoint, Standing, resume_point, stored_records
from engine.training.validation import Tally
from engine.training.windows import Cut, Prefetch, WindowPlace

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
    """Train a network and leave its checkpoints in the run's folder; where there are some
    already, go on from the newest.

    The best epoch has the highest mean image Dice on the validation split; the lower validation
    loss decides between equals, so that a network that has begun to learn beats one that
    predicts a single class everywhere.

    Raises:
        BadData: a checkpoint to start or to go on from cannot be used.
        BadSetting: the device or the encoder's weights are not to be had.
        DiskFull: a checkpoint does not fit onto the disk.
        Diverged: the loss became infinite or undefined.
        OutOfMemory: the training does not fit into the device's memory.
    """
    with memory_errors(choose_device(config.compute)):
        point = resume_point(config, context.files, context.run_folder)
        if point is not None and point.is_over:
            return _result_of(point, context)
        trainer = Trainer(config, data, context, point)
        # What it holds is in the network now, and would stay in memory a second time.
        del point
        for _record in trainer.epochs():
            pass
        return trainer.result()


def _result_of(point: ResumePoint, context: TrainingContext) -> TrainingResult:
    """The result of a training that was over already."""
    standing = point.standing
    Keeper(context.files, context.run_folder).go_on_from(standing, last_is_sound=True)
    context.emit(_resumed(point, facts={}, notes=()))
    return TrainingResult(
        num_epochs=standing.epoch,
        best_epoch=standing.best_epoch,
        stopped=False,
        compute=choose_compute(point.config.compute),
    )


class Trainer:
    """One training in progress; `train` runs one to its end.

    Args:
        point: where it goes on; None begins it.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: TrainingData,
        context: TrainingContext,
        point: ResumePoint | None = None,
    ) -> None:
        self.config, self.data, self.context = config, data, context
        self.budget = Budget(config.schedule)
        self.view = View.of(config)
        prepared = (
            prepare(config, data, context.weights_folder, context.start_from)
            if point is None
            else prepare(point.config, data)
        )
        self.learner, self.windows = prepared.learner, prepared.windows
        self.compiled = prepared.speed.compiled
        if self.compiled:
            self.learner.compile()
        device = self.learner.compute.device
        self.sampler = TrainingSampler(data.arrays, data.train, data.background(), config)
        windows = val_places(data.arrays, data.val, self.view.target_px)
        self.val_batches = _batches(windows, config.schedule.batch_size)
        self.schedule = Schedule(config.optimizer, config.schedule)
        self.stopping = EarlyStopping(config.schedule)
        # Augmentation has a generator of its own, so that it depends on the seed and the step
        # alone, and not on how many random numbers weights and dropout took.
        self.generator = torch.Generator().manual_seed(config.schedule.seed)
        self.meters = Meters(device)
        self.keeper = Keeper(context.files, context.run_folder)
        self.standing = Standing()
        self.records: list[EpochRecord] | None = []
        self.stopped = False
        started = Started(facts=prepared.facts, notes=prepared.notes)
        if point is not None:
            self._go_on_from(point)
            started = _resumed(point, prepared.facts, prepared.notes)
        context.emit(started)

    def epochs(self) -> Iterator[EpochRecord]:
        """Train epoch by epoch, to the end of the schedule, or until asked to stop."""
        # One epoch at least: a budget that measuring used up would leave nothing to keep.
        self.standing.is_over = self.standing.epoch > 0 and self._progress() >= 1
        while not self.standing.is_over:
            # Should the epoch be left half-done, it is drawn again from here, and the rest trained.
            epoch_began = self.sampler.state()
            self._train_epoch(epoch_began)
            if self.stopped:
                self._save_state(epoch_began)
                return
            record = self._validated_epoch()
            self._end_epoch(record)
            self.context.emit(EpochDone(record=record))
            yield record

    def result(self) -> TrainingResult:
        """How the training ended, or where it stands."""
        return TrainingResult(
            num_epochs=self.standing.epoch,
            best_epoch=self.standing.best_epoch,
            stopped=self.stopped,
            compute=self.learner.compute,
        )

    def _train_epoch(self, epoch_began: Mapping[str, Any]) -> None:
        """Train an epoch, or what is left of it, to its end or until asked to stop."""
        self.meters.start()
        standing, view, before = self.standing, self.view, replace(self.standing)
        # Images are counted, and not batches, whose size may have changed since.
        places = list(chain.from_iterable(self.sampler.epoch()))
        todo = _batches(places[standing.num_images :], self.config.schedule.batch_size)
        watch = LossWatch(self.learner.compute.precision_setting, sum_before=standing.loss_sum)
        cuts = Prefetch(self.windows, todo, view.target_px, view.training_margin_px)

        def note_part() -> None:
            standing.loss_sum = watch.total()[0]
            standing.waited_seconds = before.waited_seconds + cuts.waited_seconds
            standing.seconds = before.seconds + self.meters.seconds()

        with cuts:
            for group in _groups(cuts, self.config.optimizer.accumulation):
                progress = self._progress(standing.num_images / len(places))
                if standing.num_images and progress >= 1:
                    break
                loss = self._step(group, progress)
                watch.add(loss, _num_images(group), standing.learning_rate)
                standing.num_images += _num_images(group)
                standing.num_steps += 1
                self.context.emit(StepDone(progress=progress))
                self.stopped = self.context.should_stop()
                if self.stopped:
                    break
                if self.keeper.is_due(within_epoch=True):
                    note_part()
                    self._save_state(epoch_began)
        note_part()

    def _step(self, group: Sequence[Cut], progress: float) -> Tensor:
        self.standing.learning_rate = self.schedule.rate(progress)
        return self.learner.learn(
            (training_batch(cut, self.config, self.view, self.generator) for cut in group),
            _num_images(group),
            self.standing.learning_rate,
        )

    def _validated_epoch(self) -> EpochRecord:
        """Validate the epoch that was just trained, and keep the weights if they are the best."""
        standing, began = self.standing, self.meters.seconds()
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
            learning_rate=standing.learning_rate,
            seconds=standing.seconds + self.meters.seconds() - began,
            images_per_second=standing.num_images / standing.seconds,
            is_best=is_best,
            num_steps=standing.num_steps,
            data_wait_share=standing.waited_seconds / standing.seconds,
            peak_memory_bytes=self.meters.peak_memory_bytes(),
            gpu_utilization=self.meters.gpu_utilization(),
        )

    def _end_epoch(self, record: EpochRecord) -> None:
        """Count the epoch, see whether it was the last, and save the state if it is time."""
        self.standing.end_epoch()
        if self.records is not None:
            self.records.append(record)
        is_hopeless = self.stopping.note(self._progress(), record.val_dice)
        if is_hopeless:
            log.info("Validation has not improved for long enough; the training ends early.")
        self.standing.is_over = is_hopeless or self._progress() >= 1
        if self.standing.is_over or self.keeper.is_due():
            self._save_state(self.sampler.state())

    def _validate(self) -> tuple[float, Summary]:
        """Mean loss and scores of the validation split, every pixel of every image counted once."""
        order = {position: index for index, position in enumerate(self.data.val)}
        view, device = self.view, self.learner.compute.device
        tally = Tally(len(self.data.val), self.data.classes, device)
        watch = LossWatch(self.learner.compute.precision_setting, in_validation=True)
        threshold = self.config.predict.threshold
        with Prefetch(self.windows, self.val_batches, view.target_px, view.context_px) as cuts:
            for cut in cuts:
                self.context.emit(BatchValidated())
                batch = validation_batch(cut, self.config, view)
                logits_NCHW = self.learner.logits(batch.images_NCHW)
                loss = self.learner.loss(logits_NCHW, batch.masks_NHW, batch.borders_NHW)
                watch.add(loss, len(cut.places), self.standing.learning_rate)
                images = [order[place.position] for place in cut.places]
                found_NHW = decide(class_probabilities(logits_NCHW), threshold)
                tally.add(images, batch.masks_NHW, found_NHW)
        loss_sum, num_windows = watch.total()
        return loss_sum / num_windows, tally.summary()

    def _save_best(self, model: SegmentationNet, val_dice: float) -> None:
        info = CheckpointInfo(
            config=self.config,
            in_channels=self.data.arrays.num_channels,
            num_classes=len(self.data.classes),
            epoch=self.standing.epoch + 1,
            val_dice=val_dice,
        )
        self.keeper.keep_best(model, info)

    def _save_state(self, sampler_state: Mapping[str, Any]) -> None:
        """Save all that `_go_on_from` needs.

        Args:
            sampler_state: from which the epoch that has begun, or the next one, is drawn.
        """
        compute = self.learner.compute
        self.keeper.keep_state(
            {
                "config": self.config.to_dict(),
                "compute": {
                    "precision": compute.precision_setting,
                    "compiled": "on" if self.compiled else "off",
                },
                "standing": asdict(self.standing),
                "records": stored_records(self.records),
                "elapsed_seconds": self.budget.seconds(),
                "learner": self.learner.state(),
                "schedule": self.schedule.state(),
                "stopping": self.stopping.state(),
                "sampler": sampler_state,
                "generator": self.generator.get_state(),
                "torch_generators": _generator_states(compute.device),
            }
        )

    def _go_on_from(self, point: ResumePoint) -> None:
        state = point.state
        self.standing = point.standing
        self.records = None if point.records is None else list(point.records)
        self.budget.elapsed_seconds = state["elapsed_seconds"]
        self.learner.restore(state["learner"])
        self.schedule.restore(state["schedule"])
        if point.is_longer:
            # Whoever wants more is not to be told at once that it is hopeless.
            self.schedule.stretch(self._progress())
        else:
            self.stopping.restore(state["stopping"])
        self.sampler.restore(state["sampler"])
        self.generator.set_state(state["generator"])
        _restore_generators(self.learner.compute.device, state["torch_generators"])
        self.keeper.go_on_from(point.standing, last_is_sound=point.note is None)

    def _progress(self, of_epoch: float = 0.0) -> float:
        return self.budget.progress(self.standing.epoch + of_epoch)


def _resumed(point: ResumePoint, facts: Mapping[str, Any], notes: tuple[Note, ...]) -> Started:
    return Started(
        facts=facts,
        notes=notes if point.note is None else (point.note, *notes),
        resumed_from=point.standing.epoch,
        records=point.records,
    )


def _batches(places: Sequence[WindowPlace], size: int) -> list[Sequence[WindowPlace]]:
    return [places[start : start + size] for start in range(0, len(places), size)]


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
