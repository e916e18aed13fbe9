"""Training speed of the engine against the tutorial's pipeline written plainly, in one run.

    python -m benchmarks.train [--device cpu|cuda] [--images 48] [--rounds 3] [--json]

The naive loop decodes and resizes each image with PIL in every epoch, in a `DataLoader` without
workers, and trains in single precision with the default memory layout. The engine trains the
recipe `tutorial` as a run does, its images decoded once. Both are timed end to end, reading
included, validation left out; they take turns, so that what else the machine does meets both.

The roof is the fastest bfloat16 (fp16 and bfloat16 on a GPU) convolution measured in the same run,
in images/s of the network's arithmetic.
"""

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.training import TrainedRun, write_pairs
from engine.config import recipe, with_changes
from engine.models.arithmetic import describe
from engine.models.registry import build_model

SIZE_PX, BATCH = 256, 4


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


def naive_epochs(folder: Path, device: torch.device) -> Callable[[], float]:
    """The plain loop; each call trains one epoch and gives its images/s."""
    torch.manual_seed(0)
    model = build_model(recipe("tutorial"), 3, 2).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    loss_function = nn.BCEWithLogitsLoss()
    data = NaiveDataset(folder)
    loader = DataLoader(data, batch_size=BATCH, shuffle=True)

    def epoch() -> float:
        started_at = time.perf_counter()
        for images, masks in loader:
            optimizer.zero_grad()
            loss = loss_function(model(images.to(device)), masks.to(device))
            loss.backward()
            optimizer.step()
            loss.item()
        return len(data) / (time.perf_counter() - started_at)

    return epoch


def convolution_roof(device: torch.device) -> float:
    """The most floating-point operations per second that a convolution reaches here."""
    best = 0.0
    for channels, side in ((64, 256), (128, 128), (256, 64), (512, 32)):
        for precision in (
            (torch.bfloat16, torch.float16) if device.type == "cuda" else (torch.bfloat16,)
        ):
            layer = nn.Conv2d(channels, channels, 3, padding=1).to(device, precision)
            layer = layer.to(memory_format=torch.channels_last)
            images = torch.rand(4, channels, side, side, device=device).to(precision)
            images = images.contiguous(memory_format=torch.channels_last)
            flops = 2 * 4 * side**2 * channels**2 * 9
            best = max(best, flops / _seconds(layer, images, device))
    return best


def _seconds(layer: nn.Module, images: torch.Tensor, device: torch.device) -> float:
    """The shortest time of one pass."""
    repeats = 50 if device.type == "cuda" else 3
    times = []
    with torch.inference_mode():
        for _ in range(6):
            started_at = time.perf_counter()
            for _ in range(repeats):
                layer(images)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append((time.perf_counter() - started_at) / repeats)
    return min(times)


def measure(device_name: str, num_images: int, num_rounds: int) -> dict[str, Any]:
    """Time both, by turns."""
    device = torch.device(device_name)
    with tempfile.TemporaryDirectory() as folder:
        pairs_folder = Path(folder) / "pairs"
        pairs_folder.mkdir()
        write_pairs(pairs_folder, num_images)
        naive = naive_epochs(pairs_folder, device)
        config = with_changes(recipe("tutorial"), {"device": device_name, "epochs": num_rounds + 1})
        engine = TrainedRun(pairs_folder, Path(folder) / "home", config)
        roof = convolution_roof(device)
        engine.epoch(), naive()  # what is set up once: kernels, memory, the page cache
        pairs = [(naive(), engine.epoch()) for _ in range(num_rounds)]
        roof = max(roof, convolution_roof(device))
        facts = describe(config, 3, 2)
    naive_speed = statistics.median(each for each, _ in pairs)
    engine_speed = statistics.median(each for _, each in pairs)
    roof_speed = roof / (3 * facts.forward_flops)
    return {
        "naive_images_per_second": naive_speed,
        "engine_images_per_second": engine_speed,
        "ratio": statistics.median(fast / slow for slow, fast in pairs),
        "roof_images_per_second": roof_speed,
        "roof_share": engine_speed / roof_speed,
        "data_wait_share": engine.data_wait_share,
        "precision": engine.precision,
        "device": torch.cuda.get_device_name() if device_name == "cuda" else "cpu",
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--images", type=int, default=0, help="default 24 on a CPU, 1024 on a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    num_images = options.images or (1024 if options.device == "cuda" else 24)
    result = measure(options.device, num_images, options.rounds)
    print(
        "naive {naive_images_per_second:.2f} images/s, engine {engine_images_per_second:.2f} "
        "images/s in {precision}, ratio {ratio:.2f}; {roof_share:.0%} of the convolution roof "
        "({roof_images_per_second:.2f} images/s), waiting for images {data_wait_share:.1%}".format(
            **result
        )
    )
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
