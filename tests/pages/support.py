"""What the page tests are made of: fabricated runs, a clock, and readings of a page."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from engine.config import RECIPES, Machine, with_changes
from engine.events import EpochRecord
from engine.jobs.queue import submit_training
from engine.notes import Note
from engine.store import attempts, epochs, jobs, runs, scores
from engine.store.datasets import Dataset
from engine.store.runs import Run
from engine.store.scores import SampleScore
from engine.workbench import Workbench
from pages.common.formats import plain

PAGES = Path(__file__).parents[2] / "pages"
ACTOR = "ada"

GIB = 2**30
MACHINE = Machine(
    device="cpu", num_cores=2, memory_bytes=8 * GIB, device_name="Two cores", weights={}
)
"""Where the pages run."""

MARKUP = "**a** <b>x</b> [l](http://x) :smile: $x$"
"""A name that formats, links, embeds and computes where it is taken for markdown."""
MARKUP_SHOWN = plain(MARKUP)
"""The markdown that shows the name as it is."""

SCORED = (
    # Image Dice (20/30 = 0.667) alone: class 2 does not occur.
    SampleScore(position=0, split="test", tp=(556, 10, 0), fp=(5, 5, 0), fn=(5, 5, 0)),
    # Mean of 18/20 = 0.9 and 2/6 = 0.333: 0.617.
    SampleScore(position=1, split="test", tp=(560, 9, 1), fp=(2, 1, 3), fn=(4, 1, 1)),
    # Nothing there, nothing found: 1.
    SampleScore(position=2, split="val", tp=(576, 0, 0), fp=(0, 0, 0), fn=(0, 0, 0)),
    # Looked for in the wrong place: 0.
    SampleScore(position=3, split="train", tp=(568, 0, 0), fp=(4, 4, 0), fn=(4, 4, 0)),
)
"""Counts of four images with three classes; the first class is the background."""


@dataclass
class Clock:
    """The time that the store writes down and that the pages read."""

    now: float = field(default_factory=time.time)

    def time(self) -> float:
        """What `time.time()` says."""
        return self.now


class MakeRuns:
    """Writes runs into the store as their processes would."""

    def __init__(self, workbench: Workbench) -> None:
        self._workbench, self._database = workbench, workbench.database

    def queued(
        self,
        dataset: Dataset,
        name: str | None = None,
        recipe: str = "quick",
        reasons: Mapping[str, Note] | None = None,
        **changes: Any,
    ) -> Run:
        """A run that waits; `changes` are settings by leaf name."""
        config = with_changes(RECIPES[recipe], changes)  # type: ignore[index]
        run_id = submit_training(
            self._workbench, dataset.id, config, reasons=reasons, name=name, actor=ACTOR
        )
        return runs.get(self._database, run_id)

    def running(
        self,
        dataset: Dataset,
        name: str | None = None,
        *,
        progress: float = 0.0,
        num_epochs: int = 0,
        **options: Any,
    ) -> Run:
        """A run at work. No other may be waiting, or that one would be claimed."""
        run = self.queued(dataset, name, **options)
        job = attempts.claim(self._database, ["train"], "cpu")
        assert job is not None and job.id == run.job.id
        attempts.set_progress(self._database, job, "training", progress)
        for number in range(1, num_epochs + 1):
            epochs.add(self._database, run.id, epoch_record(number, len(dataset.classes)))
        return runs.get(self._database, run.id)

    def ended(
        self,
        dataset: Dataset,
        name: str | None = None,
        *,
        status: jobs.JobStatus = "completed",
        num_epochs: int = 2,
        scored: Sequence[SampleScore] = (),
        error: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Run:
        """A run that has ended, scored when there is something to score."""
        run = self.running(dataset, name, num_epochs=num_epochs, **options)
        return self.end(run, status, scored=scored, error=error)

    def end(
        self,
        run: Run,
        status: jobs.JobStatus = "completed",
        *,
        scored: Sequence[SampleScore] = (),
        error: Mapping[str, Any] | None = None,
    ) -> Run:
        """Ends a run at work."""
        if scored:
            empty = np.zeros((len(scored[0].tp), 2, 256), dtype=np.int64)
            scores.add(self._database, run.id, scored, [empty] * len(scored))
        attempts.finish(self._database, run.job, status, error=dict(error) if error else None)
        return runs.get(self._database, run.id)

    def keep_state(self, run: Run) -> None:
        """Puts a file where a run has what it needs to be trained further."""
        with self._workbench.files.writing(f"runs/{run.id}/checkpoints/last.pt") as path:
            path.write_bytes(b"state")

    def keep_best(self, run: Run) -> None:
        """Puts a file where a run has its best weights."""
        with self._workbench.files.writing(f"runs/{run.id}/checkpoints/best.safetensors") as path:
            path.write_bytes(b"weights")


def epoch_record(epoch: int, num_classes: int) -> EpochRecord:
    """An epoch of a run that gets better: validation Dice 0.6, 0.7, … as its number grows."""
    dice = 0.5 + epoch / 10
    return EpochRecord(
        epoch=epoch,
        train_loss=1.0 / epoch,
        val_loss=1.5 / epoch,
        val_dice=dice,
        val_iou=dice / (2 - dice),
        val_class_dice=(0.99, *[dice] * (num_classes - 1)),
        learning_rate=0.004,
        seconds=2.5,
        images_per_second=12.0,
        is_best=True,
    )


def title(page: AppTest) -> str:
    """The heading of the page."""
    (found,) = page.title
    return found.value


def metrics(page: AppTest) -> dict[str, str]:
    """The big numbers of the page by their label."""
    return {metric.label: metric.value for metric in page.metric}


def words(page: AppTest) -> str:
    """All running text of the page, one element a line, as the reader sees it."""
    kinds = ("title", "subheader", "markdown", "caption", "error", "warning", "info")
    return "\n".join(as_read(element.value) for kind in kinds for element in page.get(kind))


def as_read(markdown: str) -> str:
    """What a reader of markdown sees of its text: no backslashes, joiners or double spaces."""
    return " ".join(re.sub(r"\\(.)", r"\1", markdown).replace("\u2060", "").split())


def links(page: AppTest) -> dict[str, str]:
    """The links to pages by their label: page and query string."""
    return {
        link.label: link.proto.page + "?" + link.proto.query_string
        for link in page.get("page_link")
    }


def viewer_panes(page: AppTest) -> list[dict[str, Any]]:
    """What the page hands to its image viewer."""
    (component,) = components(page, "workbench_viewer")
    panes: list[dict[str, Any]] = json.loads(component.json)["panes"]
    return panes


def gallery(page: AppTest) -> dict[str, Any]:
    """What the page hands to its gallery; without one, nothing."""
    return next((json.loads(each.bytes) for each in components(page, "workbench_gallery")), {})


def gallery_positions(page: AppTest) -> list[int]:
    """The samples in the gallery, in their order."""
    return list(accumulate(gallery(page)["items"]["steps"]))


def components(page: AppTest, name: str) -> list[Any]:
    """The components of a kind, as they are sent to the browser."""
    found = [component.proto for component in page.get("bidi_component")]
    return [proto for proto in found if proto.component_name == name]


def figures(page: AppTest) -> dict[str, dict[str, Any]]:
    """The plots of the page by their key."""
    return {element.key: json.loads(element.proto.spec) for element in page.get("plotly_chart")}
