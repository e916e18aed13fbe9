"""What all commands share: the open workbench, `--set`, and what goes to standard error."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from engine.config import (
    AUGMENT_PRESETS,
    Proposal,
    TrainConfig,
    doubtful_settings,
    ignored_settings,
    leaf_fields,
)
from engine.datasets.profile import profile_of
from engine.datasets.splits import split_of_run
from engine.errors import BadSetting, WorkbenchError
from engine.jobs.queue import proposal
from engine.notes import Note
from engine.settings import Settings
from engine.store import datasets
from engine.store.datasets import Dataset, Sample
from engine.store.jobs import Job
from engine.workbench import Workbench, open_workbench

ACTOR = "command line"


@contextmanager
def opened(settings: Settings) -> Iterator[Workbench]:
    """A home, open for the block."""
    workbench = open_workbench(settings)
    try:
        yield workbench
    finally:
        workbench.close()


def assignments(texts: list[str]) -> dict[str, str]:
    """What `--set key=value` says, by key.

    Raises:
        BadSetting: there is no “=”.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise BadSetting("--set {seen} has no “=”; write it as --set epochs=5.", seen=text)
        found[name.strip()] = value.strip()
    return found


def fitted(workbench: Workbench, dataset: Dataset, recipe: str, texts: list[str]) -> Proposal:
    """The settings that `--recipe` and `--set` mean for a dataset.

    Raises:
        BadData: the dataset is too small to be split.
        BadSetting: there is no such recipe or setting, or a value cannot be used.
    """
    samples = datasets.samples(workbench.database, dataset.id)
    return proposal(workbench, dataset, samples, recipe, assignments(texts))


def explain(workbench: Workbench, dataset: Dataset, proposed: Proposal) -> None:
    """Say why settings have their values, and which are in vain or doubtful."""
    samples = datasets.samples(workbench.database, dataset.id)
    for line in _reason_lines(proposed.config, proposed.reasons):
        say(line)
    for note in _warnings(proposed.config, dataset, samples):
        say(str(note))


def _reason_lines(config: TrainConfig, reasons: Mapping[str, Note]) -> Iterator[str]:
    """One line for each reason, with the settings that share it in front."""
    explained: dict[str, list[str]] = {}
    for leaf, note in reasons.items():
        explained.setdefault(str(note), []).append(leaf)
    parts_of = leaf_fields()
    preset = next((name for name, each in AUGMENT_PRESETS.items() if each == config.augment), None)
    for sentence, leaves in explained.items():
        if preset and set(leaves) == set(type(config.augment).model_fields):
            yield f"augment={preset}: {sentence}"
            continue
        values = {leaf: getattr(getattr(config, parts_of[leaf][0]), leaf) for leaf in leaves}
        yield f"{', '.join(f'{leaf}={value}' for leaf, value in values.items())}: {sentence}"


def _warnings(config: TrainConfig, dataset: Dataset, samples: Sequence[Sample]) -> list[Note]:
    profile = profile_of(dataset, samples, split_of_run(samples, config.split))
    ignored = ignored_settings(config, len(dataset.classes))
    return ignored + doubtful_settings(config, profile)


def error_text(job: Job) -> str:
    """Why a job failed."""
    return record_text(job.error or {})


def record_text(record: Mapping[str, Any]) -> str:
    """The sentences of a stored error."""
    return str(WorkbenchError(record["message"], **record["facts"]))


def progress_line() -> Callable[[str, float], None]:
    """A line that counts up on a terminal; nothing where nobody watches."""
    if not sys.stderr.isatty():
        return lambda phase, share: None
    shown = ""

    def show_progress(phase: str, share: float) -> None:
        nonlocal shown
        line = f"\r{phase} {share:4.0%}" + ("\n" if share >= 1 else "")
        if line != shown:
            shown = line
            say(line, end="")

    return show_progress


def say(text: str = "", end: str = "\n") -> None:
    """Progress and notes go to standard error: standard output is for results."""
    print(text, end=end, file=sys.stderr, flush=True)
