"""What the doctor is told of a run, and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from engine.config import TrainConfig
from engine.events import EpochRecord
from engine.notes import Note
from engine.scores.rules import ClassCounts

Status = Literal["queued", "running", "completed", "stopped", "failed"]

Severity = Literal["error", "warning", "note"]
"""“error”: it failed. “warning”: the result is likely to be bad. “note”: it could be better."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The gravest first."""


class ClassRow(Protocol):
    """What the doctor needs of a class table's row."""

    @property
    def index(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def background(self) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A run as it stands."""

    config: TrainConfig
    """Its own settings, which a clone starts from."""
    status: Status
    error: Mapping[str, Any] | None
    """Why it failed; see `engine.errors.WorkbenchError.to_record`."""
    incidents: Sequence[Mapping[str, Any]]
    """What befell its earlier attempts: records of errors, oldest first."""
    adjustments: Mapping[str, Any]
    """Settings, by leaf name, that differ from `config` since memory ran out."""
    records: Sequence[EpochRecord]
    """Of its epochs, in order."""
    split_sizes: Mapping[str, int]
    """Samples of “train”, “val” and “test”."""
    classes: Sequence[ClassRow]
    """By index."""
    counts: ClassCounts | None = None
    """Summed over the scored images that it did not train on; None while there are none."""

    @property
    def is_live(self) -> bool:
        """Whether it goes on, so that what is not yet may still become."""
        return self.status in ("queued", "running")

    @property
    def num_planned(self) -> int:
        """Epochs that were planned; without a meaning where a time budget decides."""
        return self.config.schedule.epochs


@dataclass(frozen=True, slots=True)
class Remedy:
    """What may put it right, by one click."""

    label: Note
    """What is changed, in a few words: “learning rate 0.0004”."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings of a clone, by leaf name; each differs from the run's own."""
    more: int = 0
    """Not a clone, but this run trained further: epochs, or minutes where it has a time budget."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """One thing that is wrong with a run, or could be better."""

    key: str
    """Which one, the same for every run."""
    severity: Severity
    saw: Note
    """What was seen, in numbers."""
    cause: Note
    """What it most likely comes from, and what helps."""
    remedies: tuple[Remedy, ...] = ()
    """The likeliest to help first."""
