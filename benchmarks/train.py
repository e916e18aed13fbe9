"""Training speed of the engine against the tutorial's pipeline written plainly, in one run.

    python -m benchmarks.train [--device cpu|cuda] [--images 24] [--epochs 2] [--json]

The naive loop decodes and resizes each image with PIL in every epoch, in a `DataLoader` without
workers, and trains in single precision with the default memory layout. The engine's includes its
validation-free training time only, as its epoch records report it; its one-time decoding into the
cache is measured apart.
"""

import argparse
import io
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from engine.config import recipe, with_changes
from engine.datasets.cache import training_arrays
from engine.datasets.importer import import_dataset
from engine.datasets.toy import write_toy_zip
from engine.events import EpochDone
from engine.models.compute import choose_compute
from engine.models.unet import UNet
from engine.settings import Settings
from engine.store import datasets
from engine.training.trainer import TrainingContext, TrainingData, train
from engine.workbench import open_workbench

SIZE_PX = 256
BATCH = 4


class NaiveDataset(Dataset):
    """Decodes and resizes on every access."""

    def __init__(self, folder: Path) -> None:
        self.images = sorted((folder / "images").iterdir())
        self.masks = sorted((folder / "masks").iterdir())

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = Image.open(io.BytesIO(self.images[index].read_bytes())).convert("RGB")
        mask = Image.open(io.BytesIO(self.masks[index].read_bytes()))
        image = np.asarray(image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR))
        mask = np.asarray(mask.resize((SIZE_PX, SIZE_PX), Image.Resampling.NEAREST))
        pixels = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
        return pixels, torch.from_numpy(mask.copy()).float().unsqueeze(0)


def naive_images_per_second(folder: Path, device: torch.device, num_epochs: int) -> float:
    """The best epoch of the plain loop."""
    torch.manual_seed(0)
    model = UNet(recipe("tutorial").model, 3, 1).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    loss_function = torch.nn.BCEWithLogitsLoss()
    data = NaiveDataset(folder)
    loader = DataLoader(data, batch_size=BATCH, shuffle=True)
    best = 0.0
    for _ in range(num_epochs):
        started_at = time.perf_counter()
        for images, masks in loader:
            optimizer.zero_grad()
            loss = loss_function(model(images.to(device)), masks.to(device))
            loss.backward()
            optimizer.step()
            loss.item()
        best = max(best, len(data) / (time.perf_counter() - started_at))
    return best


def engine_images_per_second(home: Path, dataset_id: str, device: str, num_epochs: int) -> float:
    """The best epoch of the engine's `tutorial` recipe."""
    workbench = open_workbench(Settings.for_home(home))
    dataset = datasets.get(workbench.database, dataset_id)
    samples = datasets.samples(workbench.database, dataset_id)
    config = with_changes(recipe("tutorial"), {"epochs": num_epochs, "device": device})
    arrays = training_arrays(workbench.files, dataset, samples, config.images)
    speeds: list[float] = []

    def note(event: object) -> None:
        if isinstance(event, EpochDone):
            speeds.append(event.record.images_per_second)

    context = TrainingContext(
        compute=choose_compute(config.compute),
        files=workbench.files,
        run_folder="runs/benchmark",
        emit=note,
        should_stop=lambda: False,
    )
    data = TrainingData(
        images_NHWC=arrays.images,
        masks_NHW=arrays.masks,
        train=range(len(samples)),
        val=[0],
        classes=dataset.classes,
    )
    train(config, data, context)
    workbench.close()
    return max(speeds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, archive = Path(folder) / "home", Path(folder) / "toy.zip"
        write_toy_zip(archive, num_samples=options.images, size_px=512, rectangles=False)
        workbench = open_workbench(Settings.for_home(home))
        dataset = import_dataset(workbench, archive, name="benchmark", actor="benchmark")
        workbench.close()
        stored = home / "datasets" / dataset.id
        naive = naive_images_per_second(stored, torch.device(options.device), options.epochs)
        engine = engine_images_per_second(home, dataset.id, options.device, options.epochs)
    print(f"naive {naive:.2f} images/s, engine {engine:.2f} images/s, ratio {engine / naive:.2f}")
    if options.json:
        result = {
            "naive_images_per_second": naive,
            "engine_images_per_second": engine,
            "ratio": engine / naive,
        }
        print(json.dumps(result))


if __name__ == "__main__":
    main()
