"""What an import found, kept with the dataset as JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from engine.datasets.archive.entry_names import is_junk
from engine.datasets.quality.findings import SEVERITIES, Finding
from engine.notes import Note
from engine.store.datasets import ClassEntry, Sample
from engine.store.runs import SPLIT_NAMES

MAX_LISTED = 1000
"""Names listed in a report; the counts beside them are complete."""

_LEFT_OUT = {
    "unmatched": "Pictures without a partner, left out: {num}, such as “{example}”.",
    "ambiguous": "Images with several possible masks, left out: {num}, such as “{example}”.",
    "skipped": "Files skipped: {num}, such as “{example}”; the reasons are listed.",
}
"""Lists of an archive's report, and what a finding says of each."""

ARCHIVE_KEYS = (
    "proposal", "rule", "confidence", "doubts", "unmatched", "num_unmatched", "ambiguous",
    "num_ambiguous", "ignored", "skipped", "num_skipped", "channels", "modes",
)  # fmt: skip
"""What a report tells of the archive that the samples came from."""

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What was imported, what was left out, and what to look at."""

    pairs: int
    archive: Mapping[str, Any]
    """What is known of the archive, by `ARCHIVE_KEYS`: `rule` (a `Note` record that says how images
    and masks were told apart), its `confidence` and `doubts`, the lists `unmatched`, `ambiguous`
    and `skipped` with the complete number of each, files `ignored` as they are no pictures, and
    how many pictures have which `channels` and `modes`. In JSON these stand beside the rest."""
    notes: list[dict[str, Any]]
    """`Note` records: what was decided about masks and images."""
    sizes: dict[str, int]
    """Samples by `width×height`, the most frequent first, at most `MAX_LISTED`."""
    class_share: list[float]
    """Share of the pixels that count, by class index; sums to 1."""
    class_share_by_split: dict[str, list[float]]
    """The same within each part of the split."""
    class_samples_by_split: dict[str, list[int]]
    """In how many samples of each part each class occurs, by class index."""
    split_sizes: dict[str, int]
    """Samples in train, val and test."""
    findings: list[dict[str, Any]]
    """`Finding` records, the gravest first."""
    warnings: list[dict[str, Any]]
    """`Note` records: those of errors and warnings, then the notes."""

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        record = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**record.pop("archive"), **record}


def build_report(
    samples: Sequence[Sample],
    classes: Sequence[ClassEntry],
    findings: Sequence[Finding],
    notes: Sequence[Note],
    archive: Mapping[str, Any],
) -> ImportReport:
    """Put together what the steps of an import found.

    Args:
        findings: as `quality.find_problems` gives them.
        notes: what was decided about masks and images; each becomes a finding, too.
        archive: see `ImportReport.archive`.
    """
    everything = [
        *findings,
        *_about_archive(archive),
        *(Finding(key="remark", severity="note", note=note) for note in notes),
    ]
    everything.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    records = [note.to_record() for note in notes]
    parts = {name: [s for s in samples if s.split == name] for name in SPLIT_NAMES}
    sizes = Counter(f"{sample.width}×{sample.height}" for sample in samples)
    return ImportReport(
        pairs=len(samples),
        archive=archive,
        notes=records,
        sizes=dict(sizes.most_common(MAX_LISTED)),
        class_share=class_share(samples, len(classes)),
        class_share_by_split={
            name: class_share(members, len(classes)) for name, members in parts.items()
        },
        class_samples_by_split={
            name: [sum(s.class_pixels[entry.index] > 0 for s in members) for entry in classes]
            for name, members in parts.items()
        },
        split_sizes={name: len(members) for name, members in parts.items()},
        findings=[finding.to_record() for finding in everything],
        warnings=[each.note.to_record() for each in everything if each.severity != "note"]
        + records,
    )


def listed(items: Sequence[Item]) -> list[Item]:
    """What a report lists of something that may be long."""
    return list(items[:MAX_LISTED])


def class_share(samples: Sequence[Sample], num_classes: int) -> list[float]:
    """Share of each class in the pixels that count, by class index; all 0 without samples."""
    totals = [sum(sample.class_pixels[index] for sample in samples) for index in range(num_classes)]
    return [total / max(1, sum(totals)) for total in totals]


def _about_archive(archive: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings about what did not become a sample, and doubts about the pairing."""
    for key, message in _LEFT_OUT.items():
        names = [_name_of(each) for each in archive.get(key, ())]
        if names:
            # What operating systems leave in archives is nobody's loss.
            wanted = [name for name in names if not is_junk(name)]
            yield Finding(
                key=key,
                severity="warning" if wanted else "note",
                note=Note(message, {"num": archive[f"num_{key}"], "example": [*wanted, *names][0]}),
            )
    for record in archive.get("doubts", ()):
        yield Finding(key="pairing", severity="warning", note=Note.from_record(record))


def _name_of(listed: Any) -> str:
    """A listed file's name: it stands alone, or with what else is known of it."""
    return str(listed.get("name") or listed["image"]) if isinstance(listed, dict) else listed
