"""Before the first step: what a training will need, measured on images of its own.

Measuring works on copies of the network and leaves the random numbers as they were, so that a
training is the same whether it was measured or not.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import torch

from engine.config import TrainConfig, steps_per_epoch
from engine.models.arithmetic import describe
from engine.models.compute import (
    Compute,
    choose_compute,
    compile_pays,
    environment,
    fastest_compute,
    free_memory,
    memory_errors,
)
from engine.models.registry import SegmentationNet, build_model
from engine.models.weights import transfer
from engine.notes import Note
from engine.training.augment import Batch
from engine.training.data import TrainingData, View, class_weights, training_batch
from engine.training.finder import RateCurve, find_rate
from engine.training.learner import Learner
from engine.training.losses import Loss, make_loss
from engine.training.sampling import TrainingSampler
from engine.training.windows import Windows, open_windows

_TIMED_STEPS = 2
_TRIAL_SECONDS = 90.0
_OVERFIT_STEPS, _FEWEST_OVERFIT_STEPS = 100, 30
_OVERFIT_SHARE = 0.5
_RATE_STEPS, _FEWEST_RATE_STEPS = 60, 10
_LOWEST_RATE, _HIGHEST_RATE = 1e-6, 1.0

ShouldStop = Callable[[], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """What a training is expected to cost."""

    device: str
    precision: str
    """“float32”, “bfloat16” or “float16”"""
    compiled: bool
    seconds_per_step: float
    """Of the optimiser, before compilation."""
    images_per_second: float
    steps_per_epoch: int
    seconds_per_epoch: float
    """The steps alone; cutting, augmentation and validation come on top."""
    total_seconds: float
    """The time budget where one is set, else the steps of all epochs."""
    memory_bytes: int
    """Estimated need of the network, its gradients, its optimiser and one batch."""
    free_bytes: int
    """What the device has free."""
    fits: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A network ready to learn."""

    learner: Learner
    """Not compiled."""
    windows: Windows
    """The samples, where the network is."""
    speed: Speed
    notes: tuple[Note, ...]
    """Remarks on what was found."""

    @property
    def facts(self) -> dict[str, Any]:
        """JSON: the expected cost, and the machine it was measured on."""
        return {"speed": asdict(self.speed), "environment": environment(self.learner.compute)}


def prepare(
    config: TrainConfig,
    data: TrainingData,
    weights_folder: Path | None = None,
    start_from: Path | None = None,
) -> Prepared:
    """Build the network, and choose by measuring how to compute it.

    Args:
        weights_folder: where pretrained encoders may lie.
        start_from: a checkpoint whose weights replace the initial ones, where shapes agree.

    Raises:
        BadData: the checkpoint cannot be read.
        BadSetting: the device, or the encoder's weights, are not to be had.
        OutOfMemory: a batch does not fit into the device's memory.
    """
    torch.manual_seed(config.schedule.seed)
    quick = choose_compute(config.compute)
    model = build_model(config, data.arrays.num_channels, len(data.classes), weights_folder)
    notes = [] if start_from is None else [transfer(model, start_from).note()]
    windows = open_windows(data.arrays, quick.device)
    batch = first_batches(config, data, windows, 1)[0]
    loss = _loss(config, data, quick.device)
    with torch.random.fork_rng(_cuda_devices(quick.device)), memory_errors(quick.device):
        compute = _fastest(config, loss, model, quick, batch)
        trial = Learner(config, copy.deepcopy(model), loss, compute)
        seconds = _seconds_per_step(trial, batch)
        del trial
    speed = _speed(config, data, compute, seconds)
    if not speed.fits:
        notes.append(
            Note(
                "The training needs about {need} MiB of memory and {free} MiB are free, so it may "
                "end for want of it. A smaller batch needs less.",
                {"need": speed.memory_bytes >> 20, "free": speed.free_bytes >> 20},
            )
        )
    learner = Learner(config, model, loss, compute)
    return Prepared(learner=learner, windows=windows, speed=speed, notes=tuple(notes))


def first_batches(
    config: TrainConfig, data: TrainingData, windows: Windows, count: int
) -> list[Batch]:
    """The first batches of a training with these settings; fewer where an epoch has fewer."""
    view = View.of(config)
    generator = torch.Generator().manual_seed(config.schedule.seed)
    places = TrainingSampler(data.arrays, data.train, data.background(), config).epoch()[:count]
    margin = view.training_margin_px
    cuts = [windows.cut(batch, view.target_px, margin) for batch in places]
    return [training_batch(cut, config, view, generator) for cut in cuts]


@dataclass(frozen=True, kw_only=True, slots=True)
class Overfit:
    """Whether a network can learn one batch by heart, which any that works can."""

    losses: list[float]
    """Of each step, as long as they are numbers."""
    passed: bool | None
    """Whether the loss fell below half of the first; None where time was too short to tell."""


def overfit_one_batch(learner: Learner, batch: Batch, should_stop: ShouldStop) -> Overfit:
    """Train on one batch again and again, at the peak learning rate, for at most 90 seconds.

    Args:
        learner: changed by it.
    """
    started_at, losses = time.monotonic(), list[float]()
    rate, num_images = learner.config.optimizer.learning_rate, len(batch.images_NCHW)
    while len(losses) < _OVERFIT_STEPS and time.monotonic() - started_at < _TRIAL_SECONDS:
        loss = learner.learn([batch], num_images, rate).item()
        if not math.isfinite(loss):
            return Overfit(losses=losses, passed=False)
        losses.append(loss)
        if should_stop():
            break
    passed = losses[-1] < _OVERFIT_SHARE * losses[0]
    is_told = passed or len(losses) >= _FEWEST_OVERFIT_STEPS
    return Overfit(losses=losses, passed=passed if is_told else None)


def find_learning_rate(
    learner: Learner, batches: Sequence[Batch], should_stop: ShouldStop
) -> RateCurve:
    """Train at rising learning rates and see how the loss answers; in about 90 seconds.

    Args:
        learner: changed by it.
        batches: taken in turns.
    """
    turns = cycle(batches)

    def loss_at(rate: float) -> float:
        batch = next(turns)
        return learner.learn([batch], len(batch.images_NCHW), rate).item()

    started_at = time.monotonic()
    # A step at the lowest rate changes next to nothing, and tells how many there is time for.
    loss_at(_LOWEST_RATE)
    affordable = int(_TRIAL_SECONDS / (time.monotonic() - started_at))
    num_steps = min(max(affordable, _FEWEST_RATE_STEPS), _RATE_STEPS)
    # A loss that is no number ends the search.
    return find_rate(
        lambda rate: math.nan if should_stop() else loss_at(rate),
        _LOWEST_RATE,
        _HIGHEST_RATE,
        num_steps,
    )


def _loss(config: TrainConfig, data: TrainingData, device: torch.device) -> Loss:
    weights = class_weights(config.loss, data)
    return make_loss(config.loss, None if weights is None else torch.tensor(weights, device=device))


def _fastest(
    config: TrainConfig, loss: Loss, model: SegmentationNet, quick: Compute, batch: Batch
) -> Compute:
    """The precision, measured on one image where it may be chosen."""
    if config.compute.precision != "auto" or config.compute.deterministic:
        return quick
    one = batch.first(1)

    def make_step(compute: Compute) -> Callable[[], object]:
        learner = Learner(config, copy.deepcopy(model), loss, compute)
        return lambda: learner.learn([one], 1, config.optimizer.learning_rate)

    return fastest_compute(quick, make_step)


def _seconds_per_step(learner: Learner, batch: Batch) -> float:
    """The shortest time of a step on one batch."""
    rate, times = learner.config.optimizer.learning_rate, list[float]()
    for _ in range(1 + _TIMED_STEPS):
        started_at = time.perf_counter()
        learner.learn([batch], len(batch.images_NCHW), rate).item()
        times.append(time.perf_counter() - started_at)
    # The first one also chooses kernels and takes memory.
    return min(times[1:])


def _speed(
    config: TrainConfig, data: TrainingData, compute: Compute, seconds_per_batch: float
) -> Speed:
    schedule = config.schedule
    seconds = seconds_per_batch * config.optimizer.accumulation
    per_epoch = steps_per_epoch(config, len(data.train))
    budget = None if schedule.max_minutes is None else 60 * schedule.max_minutes
    total = seconds * per_epoch * schedule.epochs if budget is None else budget
    bytes_per_value = compute.precision.itemsize
    need = describe(config, data.arrays.num_channels, len(data.classes)).training_bytes(
        schedule.batch_size, bytes_per_value
    )
    free = free_memory(compute.device)
    pays = compile_pays(seconds, total / seconds, compute.device)
    # Whether it pays is measured, and may come out otherwise the next time.
    wanted = pays and not config.compute.deterministic
    return Speed(
        device=str(environment(compute)["device"]),
        precision=compute.precision_name,
        compiled=config.compute.compiled == "on" or (config.compute.compiled == "auto" and wanted),
        seconds_per_step=seconds,
        images_per_second=schedule.batch_size / seconds_per_batch,
        steps_per_epoch=per_epoch,
        seconds_per_epoch=seconds * per_epoch,
        total_seconds=total,
        memory_bytes=need,
        free_bytes=free,
        fits=need <= free,
    )


def _cuda_devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
