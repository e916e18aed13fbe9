"""What the training benchmarks share: made-up images, and a training driven by hand.

Needs no database, so that it runs where only PyTorch is installed.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from engine.config import TrainConfig, output_size
from engine.datasets.arrays import Arrays, resized_image, resized_mask, with_channels
from engine.datasets.toy import write_toy_zip
from engine.events import EpochRecord, Event, Started
from engine.files import Files
from engine.training.data import TrainingData
from engine.training.trainer import Trainer, TrainingContext


class Class(NamedTuple):
    """A row of a class table."""

    index: int
    background: bool


TWO_CLASSES = (Class(0, True), Class(1, False))


def write_pairs(folder: Path, num_images: int, size_px: int = 512) -> None:
    """Write `images/000.png` and `masks/000.png`, …: circles on noise."""
    archive = folder / "toy.zip"
    write_toy_zip(archive, num_samples=num_images, size_px=size_px, rectangles=False)
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    archive.unlink()


def arrays_of(folder: Path, config: TrainConfig) -> Arrays:
    """The pairs of a folder, resized as these settings want them."""
    size_px = output_size(config.model, config.images.image_size_px)
    channels = config.images.num_channels(of_dataset=1)
    images, masks = [], []
    for path in sorted((folder / "images").iterdir()):
        image = np.asarray(Image.open(path))
        mask = np.asarray(Image.open(folder / "masks" / path.name))
        images.append(with_channels(resized_image(image, size_px, channels), channels))
        masks.append(resized_mask(mask, size_px))
    sizes_N = np.full(len(images), size_px)
    return Arrays(
        images=np.stack(images).ravel(),
        masks=np.stack(masks).ravel(),
        heights_N=sizes_N,
        widths_N=sizes_N,
        num_channels=channels,
    )


class TrainedRun:
    """A training on all pairs of a folder, epoch by epoch.

    Args:
        home: where checkpoints go.
    """

    def __init__(self, folder: Path, home: Path, config: TrainConfig) -> None:
        arrays = arrays_of(folder, config)
        data = TrainingData(
            arrays=arrays, train=range(len(arrays.heights_N)), val=[0], classes=TWO_CLASSES
        )
        context = TrainingContext(
            files=Files(home),
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
        """Share of the last epoch in which the training waited for windows."""
        return self.records[-1].data_wait_share or 0.0

    def _note(self, event: Event) -> None:
        if isinstance(event, Started):
            self.precision = str(event.facts["speed"]["precision"])
