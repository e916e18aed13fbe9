"""Recipes against each other at equal wall-clock, on real data, through the command line.

    python -m benchmarks.accuracy --data FOLDER [--datasets isbi2012 …] [--recipes tutorial …]
                                  [--minutes 5] [--set key=value …] [--json]

FOLDER holds the zips named in `docs/results.md`. Every training gets the same split, the same
minutes and the machine for itself. ISBI-2012 holds out every fifth slice and is scored on those;
the others are scored on the test part of the split that is stored with the dataset.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

DATASETS = ("isbi2012", "rock4", "magnetic_tile", "nuclei")
RECIPES = ("tutorial", "quick", "auto")
EVERY_FIFTH = ("split_method=interleaved", "val_share=0.2", "test_share=0")


def engine(home: Path, *arguments: str) -> dict[str, Any]:
    """What a command of the engine prints as JSON."""
    ended = subprocess.run(
        [sys.executable, "-m", "engine", *arguments, "--json"],
        env={**os.environ, "WORKBENCH_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def measure(
    home: Path, dataset_id: str, dataset: str, recipe: str, minutes: float, settings: list[str]
) -> dict[str, Any]:
    """Train one recipe on one dataset."""
    changes = [f"max_minutes={minutes}", *settings]
    changes += EVERY_FIFTH if dataset == "isbi2012" else ()
    started = engine(
        home, "train", dataset_id, "--recipe", recipe, "--wait",
        *(word for change in changes for word in ("--set", change)),
    )  # fmt: skip
    run = engine(home, "show", started["run"])
    part = "val" if dataset == "isbi2012" else "test"
    scores = run["scores"][part]
    return {
        "dataset": dataset,
        "recipe": recipe,
        "mean_image_dice": scores["mean_image_dice"],
        "per_class": {name: each["dice"] for name, each in scores["per_class"].items()},
        "images": scores["images"],
        "epochs": len(run["epochs"]),
        "training_seconds": sum(epoch["seconds"] for epoch in run["epochs"]),
        "images_per_second": run["images_per_second"],
        "job_seconds": run["ended_at"] - run["started_at"],
    }


def line(result: dict[str, Any]) -> str:
    """A row of the table in `docs/results.md`."""
    classes = ", ".join(
        f"{name} {'–' if dice is None else f'{dice:.3f}'}"
        for name, dice in result["per_class"].items()
    )
    return (
        f"| {result['dataset']} | {result['recipe']} | {result['mean_image_dice']:.3f} "
        f"| {classes} | {result['training_seconds']:.0f} | {result['epochs']} "
        f"| {result['images_per_second']:.1f} |"
    )


def main() -> None:
    """Train them all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = []
    print("| data set | recipe | mean image Dice | Dice of each class | s | epochs | images/s |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for dataset in options.datasets:
            home = Path(folder)
            imported = engine(home, "import", str(options.data / f"{dataset}.zip"))
            for recipe in options.recipes:
                result = measure(
                    home, imported["dataset"], dataset, recipe, options.minutes, options.set
                )
                results.append(result)
                print(line(result), flush=True)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
