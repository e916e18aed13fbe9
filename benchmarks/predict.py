"""Speed of prediction in tiles against the bare network on the same tiles, in one run.

    python -m benchmarks.predict [--device cpu|cuda] [--recipe tutorial] [--size 1536]
                                 [--rounds 3] [--json]

An image too large for one pass goes through `Predictor.predict` from its pixels to its mask and
probabilities in main memory: scaled, cut, predicted, blended. The bare network is given the very
windows that this cut, in the same batches and precision, ready on the device; its logits are left
there. They take turns, so that what else the machine does meets both.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.config import TrainConfig, recipe, with_changes
from engine.files import Files
from engine.inference.predictor import Predictor
from engine.models.compute import choose_compute
from engine.models.registry import build_model
from engine.models.weights import CheckpointInfo, save_weights

CHANNELS, CLASSES = 3, 2


def untrained(config: TrainConfig, folder: Path) -> Predictor:
    """A predictor with the weights that a training would begin with."""
    torch.manual_seed(0)
    model = build_model(config, CHANNELS, CLASSES)
    info = CheckpointInfo(
        config=config, in_channels=CHANNELS, num_classes=CLASSES, epoch=0, val_dice=0.0
    )
    save_weights(Files(folder), "best.safetensors", model, info)
    return Predictor(folder / "best.safetensors", choose_compute(config.compute))


def windows_of(predictor: Predictor, image: np.ndarray) -> list[torch.Tensor]:
    """What goes through the network when an image is predicted, batch by batch."""
    kept: list[torch.Tensor] = []
    hook = predictor.model.register_forward_pre_hook(lambda _, given: kept.append(given[0].clone()))
    predictor.predict(image)
    hook.remove()
    return kept


def seconds(predictor: Predictor, work: Callable[[], object]) -> float:
    """How long it takes until the device is done."""
    on_gpu = predictor.compute.device.type == "cuda"
    if on_gpu:
        torch.cuda.synchronize()
    started_at = time.perf_counter()
    work()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - started_at


def measure(device: str, recipe_name: str, size_px: int, num_rounds: int) -> dict[str, Any]:
    """Time both, by turns."""
    changes = {"view": "patches", "averaging": "none", "device": device}
    config = with_changes(recipe(recipe_name), changes)
    image = np.random.default_rng(0).integers(0, 256, (size_px, size_px, CHANNELS), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        predictor = untrained(config, Path(folder))
    batches = windows_of(predictor, image)
    num_tiles = sum(map(len, batches))
    if num_tiles < 2:
        raise SystemExit(f"An image of {size_px} px is predicted in one pass. Choose a larger one.")

    def bare() -> None:
        with torch.inference_mode(), predictor.compute.autocast():
            for windows in batches:
                predictor.model(windows)

    seconds(predictor, bare)
    pairs = [
        (seconds(predictor, lambda: predictor.predict(image)), seconds(predictor, bare))
        for _ in range(num_rounds)
    ]
    return {
        "sliding_tiles_per_second": num_tiles / statistics.median(each for each, _ in pairs),
        "bare_tiles_per_second": num_tiles / statistics.median(each for _, each in pairs),
        "ratio": statistics.median(alone / sliding for sliding, alone in pairs),
        "tiles": num_tiles,
        "batch": len(batches[0]),
        "precision": predictor.compute.precision_name,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--recipe", default="tutorial")
    parser.add_argument("--size", type=int, default=0, help="default 1536 on a CPU, 6144 on a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    size_px = options.size or (6144 if options.device == "cuda" else 1536)
    result = measure(options.device, options.recipe, size_px, options.rounds)
    print(
        "in tiles {sliding_tiles_per_second:.2f}, bare {bare_tiles_per_second:.2f} tiles/s in "
        "{precision}, ratio {ratio:.3f} ({tiles} tiles, {batch} together)".format(**result)
    )
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
