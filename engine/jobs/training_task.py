"""The training job: dataset → arrays → training → scores and pictures, recorded as they come."""

import logging
from collections.abc import Callable
from pathlib import Path

from engine.config import TrainConfig, output_size
from engine.datasets.cache import training_arrays
from engine.events import EpochDone, Event, Started
from engine.jobs.evaluation import evaluate, run_folder
from engine.jobs.process import Ending, JobControl
from engine.store import datasets, epochs, runs
from engine.store.datasets import Dataset, Sample
from engine.store.jobs import Job
from engine.store.runs import Run, Split
from engine.training.checkpoint import best_key
from engine.training.data import TrainingData
from engine.training.trainer import TrainingContext, train
from engine.workbench import Workbench

log = logging.getLogger(__name__)

_PREPARED, _TRAINED = 0.02, 0.95
"""Where a training job's progress bar stands after preparing the images, and after training."""


def run_training(workbench: Workbench, job: Job, control: JobControl) -> Ending:
    """Train a run's network, then score every split with its best checkpoint.

    A run that is asked to stop while it trains keeps its model, and is scored when an epoch was
    completed.

    Raises:
        Stopped: it was asked to stop before the training began or while it was scored.
    """
    run = runs.get(workbench.database, job.payload["run"])
    dataset = datasets.get(workbench.database, run.dataset_id)
    samples = datasets.samples(workbench.database, run.dataset_id)
    split = runs.split_of(workbench.database, run.id)
    log.info(
        "%s: recipe %s on %s, %d training / %d validation / %d test samples.",
        run.name, run.config.recipe, dataset.name,
        *(len(split[name]) for name in runs.SPLIT_NAMES),
    )  # fmt: skip
    data = training_data(
        workbench,
        dataset,
        samples,
        split,
        run.config,
        progress=lambda share: control.progress_or_stop("preparing", share * _PREPARED),
    )
    control.progress_or_stop("measuring", _PREPARED)
    context = TrainingContext(
        files=workbench.files,
        run_folder=run_folder(run.id),
        emit=lambda event: _record(workbench, run, control, event),
        should_stop=control.should_stop,
        weights_folder=workbench.settings.weights,
        start_from=start_checkpoint(workbench, run.config),
    )
    result = train(run.config, data, context)
    if result.best_epoch is not None:
        report = control.progress if result.stopped else control.progress_or_stop
        log.info("Scoring with the checkpoint of epoch %d.", result.best_epoch)
        evaluate(
            workbench, run.id, dataset, samples, split, result.compute,
            # A training that was stopped is scored all the same; a second wish cannot be told.
            progress=lambda share: report("evaluating", _TRAINED + share * (1 - _TRAINED)),
        )  # fmt: skip
    log.info("Stopped." if result.stopped else "Completed.")
    return ("stopped" if result.stopped else "completed"), {"best_epoch": result.best_epoch}


def start_checkpoint(workbench: Workbench, config: TrainConfig) -> Path | None:
    """The weights that a training with these settings starts from; None for fresh ones."""
    run_id = config.model.start_from
    return None if run_id is None else workbench.files.path(best_key(run_folder(run_id)))


def training_data(
    workbench: Workbench,
    dataset: Dataset,
    samples: list[Sample],
    split: Split,
    config: TrainConfig,
    progress: Callable[[float], None],
) -> TrainingData:
    """A dataset as these settings want it, decoded.

    Args:
        progress: called with the share that is decoded, 0 to 1.
    """
    target_px = output_size(config.model, config.images.image_size_px)
    assert target_px is not None, "a config with an impossible size is refused"
    arrays = training_arrays(
        workbench.files,
        dataset,
        samples,
        config.images,
        target_px=target_px,
        border_sigma_px=config.loss.border_sigma_px if config.loss.border_weight else None,
        progress=progress,
    )
    return TrainingData(
        arrays=arrays, train=split["train"], val=split["val"], classes=dataset.classes
    )


def _record(workbench: Workbench, run: Run, control: JobControl, event: Event) -> None:
    """Write down what the trainer says."""
    if isinstance(event, EpochDone):
        record = event.record
        epochs.add(workbench.database, run.id, record)
        log.info(
            "Epoch %d: training loss %.4f, validation loss %.4f, mean image Dice %.4f%s; "
            "%.1f s, %.1f images/s.",
            record.epoch, record.train_loss, record.val_loss, record.val_dice,
            " (best so far)" if record.is_best else "", record.seconds, record.images_per_second,
        )  # fmt: skip
    elif isinstance(event, Started):
        runs.set_environment(workbench.database, run.id, dict(event.facts["environment"]))
        notes = [note.to_record() for note in event.notes]
        measured = {"speed": event.facts["speed"], "notes": notes}
        runs.set_preflight(workbench.database, run.id, measured)
        for note in event.notes:
            log.warning("%s", note)
        speed = event.facts["speed"]
        log.info(
            "%s, %s%s: %.2f s a step, %d steps an epoch, about %.0f s in all.",
            speed["device"], speed["precision"], ", compiled" if speed["compiled"] else "",
            speed["seconds_per_step"], speed["steps_per_epoch"], speed["total_seconds"],
        )  # fmt: skip
    else:
        control.progress("training", _PREPARED + event.progress * (_TRAINED - _PREPARED))
