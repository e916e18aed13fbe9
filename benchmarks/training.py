"""What the training benchmarks share: a home with made-up images, and a training driven by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.config import TrainConfig, output_size
from engine.datasets.cache import Arrays, training_arrays
from engine.datasets.importer import import_dataset
from engine.datasets.toy import write_toy_zip
from engine.events import EpochRecord, Event, Started
from engine.files import Files
from engine.settings import Settings
from engine.store import datasets
from engine.store.datasets import Dataset
from engine.training.data import TrainingData
from engine.training.trainer import Trainer, TrainingContext
from engine.workbench import open_workbench


@dataclass(frozen=True, slots=True)
class ToyHome:
    """A home with one dataset of made-up images."""

    folder: Path
    dataset: Dataset

    @property
    def stored(self) -> Path:
        """The dataset's folder."""
        return self.folder / "datasets" / self.dataset.id


def toy_home(folder: Path, num_images: int, size_px: int = 512) -> ToyHome:
    """Import so many images of ellipses."""
    archive = folder / "toy.zip"
    write_toy_zip(archive, num_samples=num_images, size_px=size_px, rectangles=False)
    workbench = open_workbench(Settings.for_home(folder / "home"))
    dataset = import_dataset(workbench, archive, name="benchmark", actor="benchmark")
    workbench.close()
    return ToyHome(folder / "home", dataset)


class TrainedRun:
    """A training on all images of a home, epoch by epoch."""

    def __init__(self, home: ToyHome, config: TrainConfig) -> None:
        arrays = arrays_of(home, config)
        num_images = len(arrays.heights_N)
        data = TrainingData(
            arrays=arrays, train=range(num_images), val=[0], classes=home.dataset.classes
        )
        context = TrainingContext(
            files=Files(home.folder),
            run_folder="runs/benchmark",
            emit=self._note,
            should_stop=lambda: False,
        )
        self.precision = ""
        self.records: list[EpochRecord] = []
        self._epochs: Iterator[EpochRecord] = Trainer(config, data, context).epochs()

    def epoch(self) -> float:
        """Train one epoch; its images/s, validation left out."""
        self.records.append(next(self._epochs))
        return self.records[-1].images_per_second

    @property
    def data_wait_share(self) -> float:
        """Share of the last epoch in which the device waited for images."""
        return self.records[-1].data_wait_share or 0.0

    def _note(self, event: Event) -> None:
        if isinstance(event, Started):
            self.precision = str(event.facts["speed"]["precision"])


def arrays_of(home: ToyHome, config: TrainConfig) -> Arrays:
    """The home's images as these settings want them."""
    workbench = open_workbench(Settings.for_home(home.folder))
    samples = datasets.samples(workbench.database, home.dataset.id)
    target_px = output_size(config.model, config.images.image_size_px)
    assert target_px is not None
    arrays = training_arrays(
        workbench.files, home.dataset, samples, config.images, target_px=target_px
    )
    workbench.close()
    return arrays
