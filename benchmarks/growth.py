"""Whether training speed and memory stay what they are when a dataset grows.

    python -m benchmarks.growth [--device cpu|cuda] [--samples 100 1000 10000] [--steps 100]
                                [--json]

Trains the recipe `quick` for the same number of steps on datasets of random 256² RGB images of each
size, by turns, from memory maps on disk as a run does. Images/s without the first steps; memory is
what the process holds of its own, the pages of the maps left out, which the system takes back.
"""

import argparse
import json
import secrets
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.training import TWO_CLASSES
from engine.config import recipe, with_changes
from engine.datasets.arrays import Arrays
from engine.events import Event, StepDone
from engine.files import Files
from engine.training.data import TrainingData
from engine.training.trainer import TrainingContext, train

SIDE_PX, CHANNELS = 256, 3
NUM_ROUNDS = 3
WARM_UP_STEPS = 10


def random_arrays(folder: Path, num_samples: int) -> Arrays:
    """Samples on disk, written in pieces."""
    random = np.random.default_rng(0)
    for name, num_values in (("images", CHANNELS * SIDE_PX**2), ("masks", SIDE_PX**2)):
        top = 256 if name == "images" else 2
        with open(folder / name, "wb") as file:
            for _ in range(num_samples):
                file.write(random.integers(0, top, num_values, np.uint8).tobytes())
    return Arrays(
        images=np.memmap(folder / "images", np.uint8, "r"),
        masks=np.memmap(folder / "masks", np.uint8, "r"),
        heights_N=np.full(num_samples, SIDE_PX),
        widths_N=np.full(num_samples, SIDE_PX),
        num_channels=CHANNELS,
    )


def train_some(arrays: Arrays, home: Path, device: str, num_steps: int) -> float:
    """Images/s of some steps."""
    config = with_changes(recipe("quick"), {"device": device, "epochs": 1000})
    times: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, StepDone):
            times.append(time.perf_counter())

    num = len(arrays.heights_N)
    data = TrainingData(arrays=arrays, train=range(num), val=[0], classes=TWO_CLASSES)
    context = TrainingContext(
        files=Files(home),
        # A folder of its own: a training goes on from what it finds in its folder.
        run_folder=f"runs/{secrets.token_hex(4)}",
        emit=note,
        should_stop=lambda: len(times) >= WARM_UP_STEPS + num_steps,
    )
    train(config, data, context)
    # The median step, as an epoch of few samples ends often and validates in between.
    return config.schedule.batch_size / statistics.median(np.diff(times[WARM_UP_STEPS:]))


def own_memory_mb() -> float:
    """Memory of this process that no file backs."""
    info = psutil.Process().memory_info()
    return (info.rss - info.shared) / 1e6


def measure(device: str, sizes: list[int], num_steps: int) -> dict[str, Any]:
    """Train on each size, by turns."""
    speeds: dict[int, list[float]] = {num: [] for num in sizes}
    memory: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        arrays = {}
        for num in sizes:
            (Path(folder) / str(num)).mkdir()
            arrays[num] = random_arrays(Path(folder) / str(num), num)
        for _ in range(NUM_ROUNDS):
            for num in sizes:
                speeds[num].append(train_some(arrays[num], Path(folder), device, num_steps))
                memory[num] = own_memory_mb()
    found = {num: statistics.median(each) for num, each in speeds.items()}
    first = found[sizes[0]]
    return {
        "images_per_second": found,
        "largest_difference": max(abs(each / first - 1) for each in found.values()),
        "own_memory_mb": memory,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--samples", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.device, options.samples, options.steps)
    for num, speed in result["images_per_second"].items():
        print(f"{num} samples: {speed:.2f} images/s, {result['own_memory_mb'][num]:.0f} MB")
    print(f"largest difference to the smallest: {result['largest_difference']:.1%}")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
