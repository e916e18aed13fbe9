"""A finding: what was noticed about a dataset, where, how bad, and what would put it right."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from engine.notes import Note

Severity = Literal["error", "warning", "note"]
"""“error”: scores would be wrong. “warning”: look at it before training. “note”: good to know."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The gravest first."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A correction that one click makes, as a new version of the dataset."""

    kind: Literal["leave_out", "swap_background", "regroup", "ignore_class"]
    """“regroup” moves the samples to training, so that none of their copies is scored."""
    positions: tuple[int, ...] = ()
    """The samples it is about; empty when it is about all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something noticed about a dataset."""

    key: str
    """Which kind of finding, the same in every version; see `engine.datasets.quality`."""
    severity: Severity
    note: Note
    samples: tuple[int, ...] = ()
    """Positions of all samples it is about; empty when it is about the dataset as a whole."""
    clusters: tuple[tuple[int, ...], ...] = ()
    """The same samples by what belongs together, where that matters: copies of one image."""
    fix: Fix | None = None

    def to_record(self) -> dict[str, Any]:
        """The finding as JSON types."""
        return {
            "key": self.key,
            "severity": self.severity,
            "note": self.note.to_record(),
            "samples": list(self.samples),
            "clusters": [list(cluster) for cluster in self.clusters],
            "fix": self.fix and {"kind": self.fix.kind, "positions": list(self.fix.positions)},
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The finding that `to_record` gave."""
        fix = record["fix"]
        return cls(
            key=record["key"],
            severity=record["severity"],
            note=Note.from_record(record["note"]),
            samples=tuple(record["samples"]),
            clusters=tuple(map(tuple, record["clusters"])),
            fix=fix and Fix(fix["kind"], tuple(fix["positions"])),
        )
