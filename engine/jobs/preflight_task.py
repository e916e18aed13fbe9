"""The preflight job: try settings on a dataset before a run is started with them."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from engine.config import TrainConfig, parse_config
from engine.errors import Stopped
from engine.jobs.process import Ending, JobControl
from engine.jobs.queue import checked_split
from engine.jobs.training_task import start_checkpoint, training_data
from engine.pictures.previews import heat_webp, overlay_webp
from engine.store import datasets
from engine.store.datasets import Dataset
from engine.store.jobs import Job
from engine.training import preflight
from engine.training.data import TrainingData, class_weights
from engine.training.previews import augmented_pairs
from engine.workbench import Workbench

log = logging.getLogger(__name__)

_NUM_PAIRS, _NUM_VARIANTS = 4, 3
_ENDINGS = ("", ".a", ".b", ".c")
"""Of the names of a sample's pictures: as it is, then as it is changed."""
_NUM_RATE_BATCHES = 8

Report = dict[str, Any]


def run_preflight(workbench: Workbench, job: Job, control: JobControl) -> Ending:
    """Find out what is wanted of `job.payload["want"]`; the results are the job's.

    Raises:
        Stopped: it was asked to stop.
    """
    config = parse_config(job.payload["config"])
    dataset = datasets.get(workbench.database, job.payload["dataset"])
    samples = datasets.samples(workbench.database, dataset.id)
    data = training_data(
        workbench,
        dataset,
        samples,
        checked_split(samples, config.split),
        config,
        progress=lambda share: control.progress_or_stop("preparing", share / 2),
    )
    trial = _Trial(workbench, job, control, config, dataset, data)
    result = {}
    for name in job.payload["want"]:
        control.progress_or_stop(name, 0.5)
        result[name] = trial.reports[name]()
    return "completed", result


class _Trial:
    """One try of some settings."""

    def __init__(
        self,
        workbench: Workbench,
        job: Job,
        control: JobControl,
        config: TrainConfig,
        dataset: Dataset,
        data: TrainingData,
    ) -> None:
        self.workbench, self.job, self.control = workbench, job, control
        self.config, self.dataset, self.data = config, dataset, data
        self.reports: Mapping[str, Callable[[], Report]] = {
            "pictures": self.pictures,
            "speed": self.speed,
            "overfit": self.overfit,
            "rates": self.rates,
        }

    def pictures(self) -> Report:
        """Training pairs as they are and as they are changed, drawn; with the weight map."""
        arrays, train = self.data.arrays, self.data.train
        # Spread over the training samples, which often come in series of much the same.
        chosen = train[:: -(-len(train) // _NUM_PAIRS)]
        samples = augmented_pairs(
            [(arrays.image(at), arrays.mask(at), arrays.border(at)) for at in chosen],
            self.config,
            _NUM_VARIANTS,
            self.config.schedule.seed,
            class_weights(self.config.loss, self.data),
        )
        colors = [row.color for row in self.dataset.classes]
        files: list[list[str]] = []
        weights: list[str] = []
        for number, pairs in enumerate(samples):
            names = [f"{number:06d}{ending}.webp" for ending in _ENDINGS[: len(pairs)]]
            for name, pair in zip(names, pairs, strict=True):
                picture = overlay_webp(pair.image_HWC, pair.mask_HW, colors, self.data.background())
                self._write(name, picture)
            files.append(names)
            if pairs[0].weights_HW is not None:
                weights.append(f"{number:06d}.weight.webp")
                self._write(weights[-1], heat_webp(pairs[0].weights_HW))
        return {"files": files, "weights": weights}

    def speed(self) -> Report:
        """What a step costs, and what the whole training will."""
        return asdict(self._prepared().speed)

    def overfit(self) -> Report:
        """Whether the network can learn one batch by heart."""
        prepared = self._prepared()
        batch = preflight.first_batches(self.config, self.data, prepared.windows, 1)[0]
        found = preflight.overfit_one_batch(prepared.learner, batch, self.control.should_stop)
        self._stop_if_asked()
        return asdict(found)

    def rates(self) -> Report:
        """How the loss answers to the learning rate."""
        prepared = self._prepared()
        batches = preflight.first_batches(
            self.config, self.data, prepared.windows, _NUM_RATE_BATCHES
        )
        curve = preflight.find_learning_rate(prepared.learner, batches, self.control.should_stop)
        self._stop_if_asked()
        return asdict(curve)

    def _prepared(self) -> preflight.Prepared:
        return preflight.prepare(
            self.config,
            self.data,
            self.workbench.settings.weights,
            start_checkpoint(self.workbench, self.config),
        )

    def _stop_if_asked(self) -> None:
        if self.control.should_stop():
            raise Stopped("The job was stopped.")

    def _write(self, name: str, picture: bytes) -> None:
        key = f"preflights/{self.job.id}/pictures/{name}"
        with self.workbench.files.writing(key) as path:
            path.write_bytes(picture)
