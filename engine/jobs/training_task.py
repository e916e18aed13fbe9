"""The jobs that train and score a run: dataset → arrays → training → scores and pictures, recorded
as they come."""

import logging
from collections.abc import Callable
from pathlib import Path

from engine.config import TrainConfig, output_size
from engine.datasets.cache import training_arrays
from engine.environment import environment
from engine.errors import NotFound, OutOfMemory, Refused, Stopped
from engine.events import BatchValidated, EpochDone, Event, Started
from engine.jobs.evaluation import evaluate, require_files
from engine.jobs.process import Ending, JobControl
from engine.jobs.storage import has_training_state
from engine.models.compute import (
    Compute,
    choose_device,
    compute_as_before,
    half_precisions,
    memory_errors,
    release_memory,
)
from engine.run_files import best_key, run_folder
from engine.store import attempts, datasets, epochs, runs, scores
from engine.store.datasets import Dataset, Sample
from engine.store.jobs import Job
from engine.store.runs import Run, Split
from engine.training.data import TrainingData
from engine.training.relief import Relief, relief
from engine.training.trainer import TrainingContext, TrainingResult, train
from engine.workbench import Workbench

log = logging.getLogger(__name__)

_PREPARED, _TRAINED = 0.02, 0.95
"""Where a training job's progress bar stands after preparing the images, and after training."""


def run_training(workbench: Workbench, job: Job, control: JobControl) -> Ending:
    """Train a run's network, or train it further, then score every split with its best checkpoint.

    A run that is asked to stop while it trains keeps its model, and is scored when an epoch was
    completed. One that is asked to pause, or whose process is, is not.

    Raises:
        Stopped: it was asked to stop before the training began or while it was scored.
    """
    task = _Task(workbench, job, control)
    result = task.train()
    best = {"best_epoch": result.best_epoch}
    if result.stopped and control.wish in ("pause", "leave"):
        log.info("Paused.")
        return "stopped", best
    if result.best_epoch is not None:
        task.score(result.compute, from_share=_TRAINED, was_stopped=result.stopped)
    log.info("Stopped." if result.stopped else "Completed.")
    return ("stopped" if result.stopped else "completed"), best


def run_evaluation(workbench: Workbench, job: Job, control: JobControl) -> Ending:
    """Score every split of a run that has ended with its best checkpoint.

    Raises:
        Stopped: it was asked to stop.
        NotFound: the run has no best checkpoint.
    """
    task = _Task(workbench, job, control)
    run = task.run
    if run.best_epoch is None or not workbench.files.path(best_key(run_folder(run.id))).exists():
        raise NotFound(
            "“{run}” has no best weights to score its images with. Train it for an epoch first.",
            run=run.name,
        )
    precision_name = (run.environment or {}).get("precision")
    compute = compute_as_before(run.effective_config.compute, precision_name)
    task.score(compute, from_share=0.0)
    log.info("Completed.")
    return "completed", {"best_epoch": run.best_epoch}


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

    Raises:
        BadData: a stored file is missing or damaged.
        NotFound: all of them are gone.
    """
    require_files(workbench, dataset)
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


class _Task:
    """A run, and what is done with it in one attempt."""

    def __init__(self, workbench: Workbench, job: Job, control: JobControl) -> None:
        self.workbench, self.job, self.control = workbench, job, control
        self.run = runs.get(workbench.database, job.payload["run"])
        self.dataset = datasets.get(workbench.database, self.run.dataset_id)
        self.samples = datasets.samples(workbench.database, self.run.dataset_id)
        self.split = runs.split_of(workbench.database, self.run.id)

    def train(self) -> TrainingResult:
        """Train with ever smaller portions until they fit into memory.

        Raises:
            OutOfMemory: the smallest do not.
            Refused: what the run needs to go on is gone.
        """
        self._require_state()
        recorder = _Recorder(self.workbench, self.run, self.control)
        log.info(
            "%s: recipe %s on %s, %d training / %d validation / %d test samples.",
            self.run.name, self.run.config.recipe, self.dataset.name,
            *(len(self.split[name]) for name in runs.SPLIT_NAMES),
        )  # fmt: skip
        if self._was_killed_for_memory():
            self._relieve()
        data = self._prepared()
        self.control.progress_or_stop("measuring", self._share_before(1.0))
        while True:
            outcome = self._attempt(data, recorder)
            if isinstance(outcome, TrainingResult):
                return outcome
            # Only here, where no error holds on to what filled the memory.
            release_memory(choose_device(self.run.config.compute))
            if not self._relieve():
                raise self._in_vain(outcome)
            self.control.progress_or_stop("measuring", self._share_before(1.0))

    def score(self, compute: Compute, *, from_share: float, was_stopped: bool = False) -> None:
        """Score all splits with the best checkpoint.

        Args:
            from_share: of the job, that is done already.
            was_stopped: whether a wish to stop has led here; only one to pause ends it then.

        Raises:
            Stopped: somebody wished so.
        """
        control = self.control

        def report(share: float) -> None:
            control.progress("evaluating", from_share + share * (1 - from_share))
            if control.should_stop() and not (was_stopped and control.wish in ("stop", None)):
                raise Stopped("The job was stopped.")

        log.info("Scoring the images with the best checkpoint.")
        with memory_errors(compute.device):
            evaluate(
                self.workbench, self.run.id, self.dataset, self.samples, self.split, compute, report
            )

    def _require_state(self) -> None:
        run = self.run
        if run.num_epochs_done and not has_training_state(self.workbench, run.id):
            raise Refused(
                "“{run}” was trained for {num} epochs, but what it needs to be trained further "
                "(last.pt in the folder of its checkpoints) is gone. Put it back from a backup, or "
                "start a new run from this one's best weights (start_from).",
                run=run.name,
                num=run.num_epochs_done,
            )

    def _prepared(self) -> TrainingData:
        with memory_errors(choose_device(self.run.config.compute)):
            return training_data(
                self.workbench,
                self.dataset,
                self.samples,
                self.split,
                self.run.effective_config,
                lambda share: self.control.progress_or_stop("preparing", self._share_before(share)),
            )

    def _share_before(self, share: float) -> float:
        """Of the job, when so much is prepared: what it had done before is still done."""
        return max(share * _PREPARED, min(self.job.start_progress, _TRAINED))

    def _attempt(self, data: TrainingData, recorder: "_Recorder") -> TrainingResult | OutOfMemory:
        config = self.run.effective_config
        context = TrainingContext(
            files=self.workbench.files,
            run_folder=run_folder(self.run.id),
            emit=recorder.record,
            should_stop=self.control.should_stop,
            weights_folder=self.workbench.settings.weights,
            start_from=start_checkpoint(self.workbench, config),
        )
        try:
            return train(config, data, context)
        except OutOfMemory as error:
            return OutOfMemory(error.message, **error.facts)

    def _was_killed_for_memory(self) -> bool:
        """Whether the last attempt ended without a chance to change anything."""
        newest = self.job.incidents[-1] if self.job.incidents else {}
        return newest.get("type") == "OutOfMemory" and "changes" not in newest["facts"]

    def _next_relief(self) -> Relief | None:
        config = self.run.effective_config
        halves = half_precisions(choose_device(config.compute))
        num_windows = len(self.split["train"]) * config.images.passes_per_epoch
        return relief(config, halves, num_windows)

    def _relieve(self) -> bool:
        """Change a setting so that less memory is needed, and say so; False when none is left."""
        found = self._next_relief()
        if found is None:
            return False
        changes, note = found
        database = self.workbench.database
        runs.set_adjustments(database, self.run.id, {**self.run.adjustments, **changes})
        self.run = runs.get(database, self.run.id)
        incident = OutOfMemory("Memory ran out. " + note.message, **note.facts, changes=changes)
        attempts.add_incident(database, self.job, incident.to_record())
        log.warning("%s", incident)
        return True

    def _in_vain(self, error: OutOfMemory) -> OutOfMemory:
        if not self.run.adjustments:
            return error
        tried = ", ".join(f"{name} = {value}" for name, value in self.run.adjustments.items())
        return OutOfMemory(
            "Memory ran out even with the smallest portions, which were tried in turn ({tried}). "
            "Choose a smaller network (width, num_levels) or smaller images (image_size_px).",
            tried=tried,
        )


class _Recorder:
    """Writes down what a training says."""

    def __init__(self, workbench: Workbench, run: Run, control: JobControl) -> None:
        self._database, self._run_id, self._control = workbench.database, run.id, control
        self._has_scores = run.scored_at is not None
        self._environment = (run.environment or {}) | environment()
        # Recorded now, so that a run that fails before its first step has it too.
        runs.set_environment(self._database, run.id, self._environment)

    def record(self, event: Event) -> None:
        """See `TrainingContext.emit`."""
        if isinstance(event, EpochDone):
            self._record_epoch(event)
        elif isinstance(event, Started):
            self._record_start(event)
        elif isinstance(event, BatchValidated):
            self._control.show_life()
        else:
            share = _PREPARED + event.progress * (_TRAINED - _PREPARED)
            self._control.progress("training", share)

    def _record_epoch(self, event: EpochDone) -> None:
        record = event.record
        if record.is_best and self._has_scores:
            # They are of the checkpoint that was the best until now.
            scores.clear(self._database, self._run_id)
            self._has_scores = False
        epochs.add(self._database, self._run_id, record)
        log.info(
            "Epoch %d: training loss %.4f, validation loss %.4f, mean image Dice %.4f%s; "
            "%.1f s, %.1f images/s.",
            record.epoch, record.train_loss, record.val_loss, record.val_dice,
            " (best so far)" if record.is_best else "", record.seconds, record.images_per_second,
        )  # fmt: skip

    def _record_start(self, event: Started) -> None:
        kept = event.records
        if kept is None:
            kept = tuple(epochs.of_run(self._database, self._run_id)[: event.resumed_from])
        epochs.restore(self._database, self._run_id, kept)
        for note in event.notes:
            log.warning("%s", note)
        if event.resumed_from:
            log.info("Going on after epoch %d.", event.resumed_from)
        if event.facts:
            self._record_facts(event)

    def _record_facts(self, event: Started) -> None:
        speed = event.facts["speed"]
        facts = self._environment | event.facts["environment"]
        runs.set_environment(self._database, self._run_id, facts)
        notes = [note.to_record() for note in event.notes]
        runs.set_preflight(self._database, self._run_id, {"speed": speed, "notes": notes})
        log.info(
            "%s, %s%s: %.2f s a step, %d steps an epoch, about %.0f s in all.",
            speed["device"], speed["precision"], ", compiled" if speed["compiled"] else "",
            speed["seconds_per_step"], speed["steps_per_epoch"], speed["total_seconds"],
        )  # fmt: skip
