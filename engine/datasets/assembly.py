"""The last step of an import and of a correction: measured samples become a dataset.

samples → groups and duplicates → split → findings → report
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from engine.config import SplitConfig
from engine.datasets.archive import Skipped
from engine.datasets.inspection import Inspection
from engine.datasets.pairing import Proposal
from engine.datasets.plan import ImportPlan
from engine.datasets.quality import Finding, SampleFacts, find_problems
from engine.datasets.quality.fingerprints import find_twins
from engine.datasets.report import ARCHIVE_KEYS, build_report, listed
from engine.datasets.sample_writer import Written
from engine.datasets.splits import Assignment, Member, make_split
from engine.datasets.splits.groups import group_names
from engine.errors import BadData
from engine.notes import Note
from engine.store.datasets import ClassEntry, Dataset, Sample, SplitName


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A sample whose files are written, before it is known with which others it belongs."""

    name: str
    image_file: str
    width: int
    height: int
    class_pixels: tuple[int, ...]
    folder_split: SplitName | None
    """The part of the split that the archive's folders say."""
    facts: SampleFacts
    remarks: tuple[Note, ...] = ()
    """What had to be changed to import it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a dataset's samples come from: what its versions have in common."""

    archive: dict[str, Any]
    """What a report tells of the archive; see `ImportReport.archive`."""
    notes: tuple[Note, ...]
    """What was decided about masks and images."""

    @classmethod
    def of(
        cls,
        found: Inspection,
        plan: ImportPlan,
        proposal: Proposal,
        unusable: Sequence[Skipped],
        written: Sequence[Written],
    ) -> Self:
        """What an import has to tell of its archive.

        Args:
            unusable: what the inspection had not skipped, but could not be imported.
        """
        skipped = [*found.skipped, *unusable]
        archive = {
            "proposal": proposal.key,
            "rule": proposal.reason.to_record(),
            "confidence": proposal.confidence,
            "doubts": [doubt.to_record() for doubt in proposal.doubts],
            "unmatched": listed(proposal.unmatched),
            "num_unmatched": len(proposal.unmatched),
            "ambiguous": listed([each.image for each in proposal.ambiguous]),
            "num_ambiguous": len(proposal.ambiguous),
            "ignored": found.num_ignored,
            "skipped": listed(
                [{"name": each.name, "reason": each.reason.to_record()} for each in skipped]
            ),
            "num_skipped": len(skipped),
            "channels": _counted([str(each.num_channels) for each in written]),
            "modes": _counted([each.mode for each in written]),
        }
        return cls(archive=archive, notes=found.notes if _is_as_proposed(plan, found) else ())

    @classmethod
    def from_report(cls, report: dict[str, Any]) -> Self:
        """What the report of a version's parent tells of the archive."""
        return cls(
            archive={name: report[name] for name in ARCHIVE_KEYS if name in report},
            notes=tuple(Note.from_record(record) for record in report.get("notes", ())),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Assembled:
    """The samples of a dataset with what was found in them."""

    samples: tuple[Sample, ...]
    classes: Sequence[ClassEntry]
    findings: tuple[Finding, ...]
    origin: Origin

    def report(self, same_content: Sequence[Dataset]) -> dict[str, Any]:
        """The report, as JSON types.

        Args:
            same_content: datasets that hold exactly the same.
        """
        findings = list(self.findings)
        if same_content:
            note = Note(
                "The dataset “{name}” holds exactly the same samples.",
                {"name": same_content[0].name},
            )
            findings.append(Finding(key="same_content", severity="warning", note=note))
        return build_report(
            self.samples, self.classes, findings, self.origin.notes, self.origin.archive
        ).to_dict()


def assemble(
    measured: Sequence[Measured],
    classes: Sequence[ClassEntry],
    plan: ImportPlan,
    origin: Origin,
    *,
    kept_groups: Sequence[str | None] | None = None,
    split: Assignment | None = None,
) -> Assembled:
    """Group, split and judge samples.

    Args:
        measured: in the order of their positions.
        kept_groups: groups that are given; None finds them by the plan.
        split: one that is given; None makes one by the plan. Where that is impossible, all are
            training samples and a finding says why.

    Raises:
        BadSetting: the plan's group pattern, or its split, cannot be used.
    """
    groups = kept_groups or group_names([each.name for each in measured], plan.groups)
    twins = _twin_numbers(measured)
    members = [
        Member(
            folder_split=each.folder_split,
            group=group,
            twins=number,
            classes=frozenset(i for i, pixels in enumerate(each.class_pixels) if pixels),
        )
        for each, group, number in zip(measured, groups, twins, strict=True)
    ]
    findings = _remarks(measured)
    if split is None:
        split, why_not = _split_or_say_why_not(members, plan.split)
        findings += why_not
    samples = tuple(
        Sample(
            position=position,
            name=each.name,
            image_file=each.image_file,
            mask_file=f"{position:06d}.png",
            width=each.width,
            height=each.height,
            class_pixels=each.class_pixels,
            split=split.split[position],
            fold=split.fold[position],
            group=groups[position],
            twins=twins[position],
            facts=each.facts.to_dict(),
        )
        for position, each in enumerate(measured)
    )
    findings += find_problems(samples, classes)
    return Assembled(samples=samples, classes=classes, findings=tuple(findings), origin=origin)


def _split_or_say_why_not(
    members: Sequence[Member], config: SplitConfig
) -> tuple[Assignment, list[Finding]]:
    """The split; of samples that cannot be divided, a split without validation and the reason."""
    try:
        return make_split(members, config), []
    except BadData as error:
        split: list[SplitName] = ["train"] * len(members)
        all_train = Assignment(split=tuple(split), fold=(None,) * len(members))
        reason = Finding(key="no_split", severity="error", note=Note(error.message, error.facts))
        return all_train, [reason]


def _twin_numbers(measured: Sequence[Measured]) -> list[int | None]:
    numbers: list[int | None] = [None] * len(measured)
    clusters = find_twins([each.facts.fingerprint for each in measured])
    for number, cluster in enumerate(clusters):
        for position in cluster:
            numbers[position] = number
    return numbers


def _is_as_proposed(plan: ImportPlan, found: Inspection) -> bool:
    """Whether the masks were read as the inspection's notes say."""
    read, proposed = plan.masks, found.plan.masks
    assert read is not None and proposed is not None
    return (read.meaning, read.nearest, read.threshold) == (
        proposed.meaning,
        proposed.nearest,
        proposed.threshold,
    )


def _remarks(measured: Sequence[Measured]) -> list[Finding]:
    """What was changed about single samples: a finding for each kind of change."""
    by_kind: dict[str, list[tuple[int, Note]]] = {}
    for position, each in enumerate(measured):
        for remark in each.remarks:
            by_kind.setdefault(remark.message, []).append((position, remark))
    found = []
    for message, changed in by_kind.items():
        note = changed[0][1]
        if len(changed) > 1:
            num_all = {"num_all": len(changed)}
            note = Note(message + " So it was with {num_all} in all.", dict(note.facts) | num_all)
        positions = tuple(position for position, _ in changed)
        found.append(Finding(key="changed", severity="warning", note=note, samples=positions))
    return found


def _counted(words: Sequence[str]) -> dict[str, int]:
    """How often each occurs, the most frequent first."""
    return dict(Counter(words).most_common())
