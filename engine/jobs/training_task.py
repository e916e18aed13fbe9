"""The training job: dataset → arrays → training → scores and pictures, recorded as they come."""

import logging

from engine.datasets.cache import training_arrays
from engine.events import EpochDone, Event
from engine.jobs.evaluation import evaluate, run_folder
from engine.jobs.process import Ending, JobControl
from engine.models.compute import choose_compute, environment
from engine.store import datasets, epochs, runs
from engine.store.jobs import Job
from engine.store.runs import Run
from engine.training.trainer import TrainingContext, TrainingData, train
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
    compute = choose_compute(run.config.compute)
    runs.set_environment(workbench.database, run.id, environment(compute))
    log.info(
        "%s: recipe %s on %s, %d training / %d validation / %d test samples, %s, %s.",
        run.name, run.config.recipe, dataset.name,
        *(len(split[name]) for name in runs.SPLIT_NAMES), compute.device, compute.precision,
    )  # fmt: skip
    arrays = training_arrays(
        workbench.files,
        dataset,
        samples,
        run.config.images,
        progress=lambda share: control.progress_or_stop("preparing", share * _PREPARED),
    )
    data = TrainingData(
        images_NHWC=arrays.images,
        masks_NHW=arrays.masks,
        train=split["train"],
        val=split["val"],
        classes=dataset.classes,
    )
    context = TrainingContext(
        compute=compute,
        files=workbench.files,
        run_folder=run_folder(run.id),
        emit=lambda event: _record(workbench, run, control, event),
        should_stop=control.should_stop,
    )
    result = train(run.config, data, context)
    if result.best_epoch is not None:
        report = control.progress if result.stopped else control.progress_or_stop
        log.info("Scoring with the checkpoint of epoch %d.", result.best_epoch)
        evaluate(
            workbench, run.id, dataset, samples, split, arrays.images, compute,
            # A training that was stopped is scored all the same; a second wish cannot be told.
            progress=lambda share: report("evaluating", _TRAINED + share * (1 - _TRAINED)),
        )  # fmt: skip
    log.info("Stopped." if result.stopped else "Completed.")
    return ("stopped" if result.stopped else "completed"), {"best_epoch": result.best_epoch}


def _record(workbench: Workbench, run: Run, control: JobControl, event: Event) -> None:
    """Write down what the trainer says."""
    if not isinstance(event, EpochDone):
        control.progress("training", _PREPARED + event.progress * (_TRAINED - _PREPARED))
        return
    record = event.record
    epochs.add(workbench.database, run.id, record)
    log.info(
        "Epoch %d: training loss %.4f, validation loss %.4f, mean image Dice %.4f%s; "
        "%.1f s, %.1f images/s.",
        record.epoch, record.train_loss, record.val_loss, record.val_dice,
        " (best so far)" if record.is_best else "", record.seconds, record.images_per_second,
    )  # fmt: skip
