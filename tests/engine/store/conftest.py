"""A store of its own for each test, rows to fill it with, and other processes that use it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.config import recipe
from engine.store import datasets, runs
from engine.store.database import Database, new_id, open_database
from engine.store.datasets import ClassEntry, Sample

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'workbench.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def add_dataset(database: Database) -> Callable[..., str]:
    """`add_dataset(name="cells", num_samples=3)`: the id of a dataset without files."""

    def add(name: str = "cells", num_samples: int = 3, **values: Any) -> str:
        dataset_id = str(values.pop("dataset_id", new_id()))
        samples = [
            Sample(
                position=position,
                name=f"images/{position}",
                image_file=f"{position:06d}.png",
                mask_file=f"{position:06d}.png",
                width=8,
                height=6,
                class_pixels=(40, 8),
                split=("train", "val", "test")[position % 3],
            )
            for position in range(num_samples)
        ]
        fields = {
            "dataset_id": dataset_id,
            "name": name,
            "content_hash": "0" * 64,
            "num_channels": 1,
            "classes": [
                ClassEntry(
                    index=index, name=label, color=color, background=index == 0, source_value=value
                )
                for index, (label, color, value) in enumerate(
                    [("background", "#000000", 0), ("cell", "#e69f00", 255)]
                )
            ],
            "samples": samples,
            "report": {"warnings": []},
            "actor": "ann",
        }
        datasets.add(database, **(fields | values))
        return dataset_id

    return add


@pytest.fixture
def add_run(database: Database) -> Callable[..., str]:
    """`add_run(dataset_id, name="first")`: the id of a queued run."""

    def add(dataset_id: str, name: str = "first", **values: Any) -> str:
        fields = {
            "name": name,
            "dataset_id": dataset_id,
            "config": recipe("quick"),
            "split": {"train": [0], "val": [1], "test": [2]},
            "num_parameters": 1234,
            "actor": "ann",
        }
        return runs.add(database, **(fields | values))

    return add


@pytest.fixture
def talk_to() -> Iterator[Callable[[int, str], list[subprocess.Popen[str]]]]:
    """`talk_to(4, script)`: so many Python processes that run a script, line by line to talk to."""
    children: list[subprocess.Popen[str]] = []

    def start(count: int, script: str) -> list[subprocess.Popen[str]]:
        for _ in range(count):
            children.append(
                subprocess.Popen(
                    [sys.executable, "-c", script],
                    cwd=PROJECT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        return children

    yield start
    for child in children:
        child.kill()
        child.communicate()
