"""Small trainings: bright squares on a dark ground, learnable in seconds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.config import TrainConfig, recipe, with_changes
from engine.datasets.arrays import Arrays
from engine.events import EpochDone, EpochRecord, Event
from engine.files import Files
from engine.store.datasets import ClassEntry
from engine.training.data import TrainingData
from engine.training.trainer import TrainingContext, TrainingResult, train

SIZE = 32
TINY = {
    "width": 4,
    "num_levels": 2,
    "image_size_px": SIZE,
    "epochs": 3,
    "batch_size": 4,
    "learning_rate": 0.01,
    "precision": "fp32",
    "device": "cpu",
}


def class_table(num_classes: int) -> list[ClassEntry]:
    """Class 0 is background."""
    return [
        ClassEntry(index=i, name=str(i), color="#000000", background=i == 0, source_value=i)
        for i in range(num_classes)
    ]


def arrays_from(images_NHWC: np.ndarray, masks_NHW: np.ndarray, borders=None) -> Arrays:
    """Samples of one size, in memory."""
    num, height, width, channels = images_NHWC.shape
    return Arrays(
        images=images_NHWC.ravel(),
        masks=masks_NHW.ravel(),
        borders=None if borders is None else borders.ravel(),
        heights_N=np.full(num, height),
        widths_N=np.full(num, width),
        num_channels=channels,
    )


def squares(num: int = 10, size: int = SIZE, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, H, W, 1) and masks (N, H, W) of one square each."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((num, size, size), np.uint8)
    side = size * 14 // 32
    for mask in masks:
        top, left = rng.integers(2, size - side - 2, 2)
        mask[top : top + side, left : left + side] = 1
    images = (60 + 120 * masks + rng.integers(0, 40, masks.shape)).astype(np.uint8)
    return images[..., None], masks


@pytest.fixture
def data() -> TrainingData:
    """Seven samples to train on, three to validate."""
    return TrainingData(
        arrays=arrays_from(*squares()), train=range(7), val=range(7, 10), classes=class_table(2)
    )


@dataclass
class Trained:
    """A training that has ended."""

    result: TrainingResult
    files: Files
    events: list[Event] = field(default_factory=list)

    @property
    def records(self) -> list[EpochRecord]:
        return [event.record for event in self.events if isinstance(event, EpochDone)]

    def losses(self) -> list[float]:
        return [record.train_loss for record in self.records]


RunTraining = Callable[..., Trained]


@pytest.fixture
def run_training(data: TrainingData, tmp_path: Path) -> RunTraining:
    def run(
        changes: dict[str, Any] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        data: TrainingData = data,
        folder: str = "runs/a",
        config: TrainConfig | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        **context: Any,
    ) -> Trained:
        config = config or with_changes(recipe("quick"), TINY | (changes or {}))
        events: list[Event] = []

        def emit(event: Event) -> None:
            events.append(event)
            on_event(event)

        files = Files(tmp_path)
        result = train(
            config,
            data,
            TrainingContext(
                files=files,
                run_folder=folder,
                emit=emit,
                should_stop=should_stop,
                **context,
            ),
        )
        return Trained(result, files, events)

    return run


def stop_after(num_steps: int) -> Callable[[], bool]:
    """Wants to stop when it is asked for the n-th time, which is after the n-th step."""
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) >= num_steps

    return should_stop
