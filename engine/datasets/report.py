"""What an import found, kept with the dataset as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.datasets.pairing import Pairing
from engine.store.datasets import ClassEntry, Sample

FEW_SAMPLES = 10
"""With fewer samples than this, scores say little."""
MAX_LISTED = 1000
"""Names listed in a report; the counts beside them are complete."""


@dataclass(frozen=True, slots=True)
class ReportWarning:
    """A remark on a dataset, as a template with facts; see `engine.errors`."""

    message: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What was imported, what was left out, and what to look at."""

    pairs: int
    unmatched: list[str]
    """Pictures without a partner, at most `MAX_LISTED`."""
    num_unmatched: int
    ambiguous: list[str]
    """Images with several possible masks, at most `MAX_LISTED`."""
    num_ambiguous: int
    ignored: int
    """Files that are not pictures."""
    rule: str
    """How images and masks were told apart."""
    warnings: list[ReportWarning]
    sizes: dict[str, int]
    """Samples by `width×height`, the most frequent first, at most `MAX_LISTED`."""
    class_share: list[float]
    """Share of the pixels that count, by class index; sums to 1."""

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        return asdict(self)


def build_report(
    pairing: Pairing,
    samples: Sequence[Sample],
    class_share: Sequence[float],
    warnings: Sequence[ReportWarning],
) -> ImportReport:
    """Put together what the steps of an import found."""
    sizes = Counter(f"{sample.width}×{sample.height}" for sample in samples)
    return ImportReport(
        pairs=len(samples),
        unmatched=list(pairing.unmatched[:MAX_LISTED]),
        num_unmatched=len(pairing.unmatched),
        ambiguous=list(pairing.ambiguous[:MAX_LISTED]),
        num_ambiguous=len(pairing.ambiguous),
        ignored=len(pairing.ignored),
        rule=pairing.rule,
        warnings=list(warnings),
        sizes=dict(sizes.most_common(MAX_LISTED)),
        class_share=list(class_share),
    )


def class_share(samples: Sequence[Sample]) -> list[float]:
    """Share of each class in the pixels that count, by class index."""
    totals = [sum(column) for column in zip(*(s.class_pixels for s in samples), strict=True)]
    return [total / max(1, sum(totals)) for total in totals]


def pairing_warnings(pairing: Pairing) -> list[ReportWarning]:
    """Remarks on what could not be paired."""
    found = []
    if pairing.unmatched:
        found.append(
            ReportWarning(
                "{num} pictures have no partner and were left out, such as “{example}”.",
                {"num": len(pairing.unmatched), "example": pairing.unmatched[0]},
            )
        )
    if pairing.ambiguous:
        found.append(
            ReportWarning(
                "{num} images have several possible masks and were left out, such as “{example}”.",
                {"num": len(pairing.ambiguous), "example": pairing.ambiguous[0]},
            )
        )
    return found


def sample_warnings(
    samples: Sequence[Sample], classes: Sequence[ClassEntry]
) -> list[ReportWarning]:
    """Remarks on the samples as a whole."""
    found = []
    if len(samples) < FEW_SAMPLES:
        found.append(
            ReportWarning(
                "There are only {num} samples; scores on so few say little.", {"num": len(samples)}
            )
        )
    num_sizes = len({(sample.width, sample.height) for sample in samples})
    if num_sizes > 1:
        found.append(
            ReportWarning(
                "The images have {num} different sizes; training resizes them all to one.",
                {"num": num_sizes},
            )
        )
    num_empty = _count_empty(samples, classes)
    if num_empty:
        found.append(
            ReportWarning(
                "{num} of {total} masks are empty: they hold no foreground.",
                {"num": num_empty, "total": len(samples)},
            )
        )
    return found


def render_warning(warning: Mapping[str, Any] | ReportWarning) -> str:
    """The sentence of a warning, fresh or read back from a report."""
    if isinstance(warning, ReportWarning):
        return warning.message.format(**warning.facts)
    return str(warning["message"]).format(**warning["facts"])


def _count_empty(samples: Sequence[Sample], classes: Sequence[ClassEntry]) -> int:
    foreground = [entry.index for entry in classes if not entry.background]
    return sum(not any(s.class_pixels[index] for index in foreground) for s in samples)
