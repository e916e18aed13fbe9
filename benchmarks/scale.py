"""How long the pages of a large home take in Chromium: many runs, many scored images.

python -m benchmarks.scale [--runs 1000] [--samples 10000] [--json]

The home is made up through the store: no pictures, random counts. Each page is opened three times
in a browser of its own; the first opening also fills the server's caches.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.pages import PROJECT, find_browser, wait_for_health
from engine.config import recipe
from engine.events import EpochRecord
from engine.settings import Settings
from engine.store import attempts, datasets, epochs, runs, scores
from engine.store.datasets import ClassEntry, Sample
from engine.store.scores import SampleScore
from engine.workbench import Workbench, open_workbench

NUM_CLASSES, NUM_EPOCHS, NUM_OPENINGS = 4, 20, 3


def make_dataset(workbench: Workbench, num_samples: int) -> str:
    """A dataset without pictures."""
    classes = [
        ClassEntry(index=i, name=f"class {i}", color="#e69f00", background=i == 0, source_value=i)
        for i in range(NUM_CLASSES)
    ]
    samples = [
        Sample(
            position=position,
            name=f"images/{position}",
            image_file=f"{position:06d}.png",
            mask_file=f"{position:06d}.png",
            width=512,
            height=512,
            class_pixels=(65536,) * NUM_CLASSES,
            split="test",
        )
        for position in range(num_samples)
    ]
    report = {"sizes": {"512×512": num_samples}, "warnings": [], "findings": []}
    datasets.add(
        workbench.database,
        dataset_id="benchmark",
        name="benchmark",
        content_hash="0" * 64,
        num_channels=1,
        classes=classes,
        samples=samples,
        report=report,
        actor="benchmark",
    )
    return "benchmark"


def make_run(workbench: Workbench, dataset_id: str, split: runs.Split) -> str:
    """A completed run with its epochs."""
    run_id = runs.add(
        workbench.database,
        name=f"run {time.time():.6f}",
        dataset_id=dataset_id,
        config=recipe("quick"),
        split=split,
        num_parameters=1,
        actor="benchmark",
    )
    job = attempts.claim(workbench.database, ["train"], "cpu")
    assert job is not None
    for epoch in range(1, NUM_EPOCHS + 1):
        record = EpochRecord(
            epoch=epoch,
            train_loss=1 / epoch,
            val_loss=1 / epoch,
            val_dice=1 - 1 / (epoch + 1),
            val_iou=0.5,
            val_class_dice=(0.5,) * NUM_CLASSES,
            learning_rate=0.001,
            seconds=1.0,
            images_per_second=100.0,
            is_best=True,
        )
        epochs.add(workbench.database, run_id, record)
    attempts.finish(workbench.database, job, "completed")
    return run_id


def score_run(workbench: Workbench, run_id: str, num_samples: int) -> None:
    """Random counts for every sample, all of them test samples."""
    generator = np.random.default_rng(0)
    counts = generator.integers(0, 60_000, (num_samples, 3, NUM_CLASSES)).tolist()
    found = [
        SampleScore(position=position, split="test", tp=tuple(tp), fp=tuple(fp), fn=tuple(fn))
        for position, (tp, fp, fn) in enumerate(counts)
    ]
    histograms = np.zeros((NUM_CLASSES, 2, 256), dtype=np.int64)
    scores.add(workbench.database, run_id, found, [histograms] * num_samples)


@contextmanager
def server(home: str) -> Iterator[str]:
    """A running server on that home; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
        cwd=PROJECT,
        env=os.environ | {"WORKBENCH_HOME": home, "WORKBENCH_WORKER": "external"},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for_health(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def seconds_to_open(address: str) -> list[float]:
    """Until the page's table or gallery stands and its script has ended, for each opening."""
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        for _ in range(NUM_OPENINGS):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            started_at = time.perf_counter()
            page.goto(address)
            page.locator("[data-testid=stDataFrame], .gallery [role=option]").first.wait_for()
            page.locator('[data-test-script-state="notRunning"]').wait_for()
            found.append(time.perf_counter() - started_at)
            page.close()
        browser.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        workbench = open_workbench(Settings.for_home(Path(home)))
        dataset_id = make_dataset(workbench, options.samples)
        split = {"train": [], "val": [], "test": list(range(options.samples))}
        run_ids = [make_run(workbench, dataset_id, split) for _ in range(options.runs)]
        score_run(workbench, run_ids[0], options.samples)
        workbench.close()
        with server(home) as address:
            result = {
                "runs_page_s": seconds_to_open(f"{address}/runs"),
                "run_page_s": seconds_to_open(f"{address}/run?run={run_ids[0]}"),
                "dataset_page_s": seconds_to_open(f"{address}/dataset?dataset={dataset_id}"),
            }
    for name, seconds in result.items():
        print(f"{name}: " + ", ".join(f"{each:.2f}" for each in seconds))
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
