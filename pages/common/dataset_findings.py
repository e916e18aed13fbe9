"""What is wrong with a dataset, and the corrections that would put it right: pure functions."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from engine.datasets.quality.findings import SEVERITIES, Finding
from engine.datasets.versions import Change, ClassChange
from engine.notes import Note
from engine.store.datasets import ClassEntry, Dataset
from pages.common import formats
from pages.common.texts import _, record_text, split_word

ICONS = {
    "error": ":red[:material/error:]",
    "warning": ":orange[:material/warning:]",
    "note": ":gray[:material/info:]",
}


def findings_of(report: Mapping[str, Any]) -> tuple[Finding, ...]:
    """The findings in a report, the gravest first; of an early version's, its warnings."""
    if "findings" not in report:
        return tuple(
            Finding(
                key=f"remark_{number}",
                severity="warning",
                note=Note.from_record(record),
            )
            for number, record in enumerate(report.get("warnings", ()))
        )
    found = [Finding.from_record(record) for record in report["findings"]]
    return tuple(sorted(found, key=lambda each: SEVERITIES.index(each.severity)))


def identified(findings: Sequence[Finding]) -> dict[str, Finding]:
    """The findings by what a URL calls them: the key, of several with one key “key.2”, “key.3” …"""
    found: dict[str, Finding] = {}
    times: Counter[str] = Counter()
    for finding in findings:
        times[finding.key] += 1
        number = times[finding.key]
        found[finding.key if number == 1 else f"{finding.key}.{number}"] = finding
    return found


def by_sample(findings: Sequence[Finding]) -> dict[int, tuple[Finding, ...]]:
    """The findings about each sample, by position, the gravest first."""
    found: dict[int, tuple[Finding, ...]] = {}
    for finding in findings:
        for position in dict.fromkeys(finding.samples):
            found[position] = (*found.get(position, ()), finding)
    return found


def positions_of(finding: Finding) -> tuple[int, ...]:
    """The samples of a finding, those that belong together side by side."""
    in_clusters = [position for cluster in finding.clusters for position in cluster]
    return tuple(dict.fromkeys([*in_clusters, *finding.samples]))


def count_of(findings: Sequence[Finding], *severities: str) -> int:
    """How many findings there are of some severities."""
    return sum(finding.severity in severities for finding in findings)


def sentence(note: Note) -> str:
    """A remark in the reader's language, safe inside markdown."""
    facts = dict(note.facts)
    for name in ("part", "other_part", "parts"):
        if name in facts:
            words = [split_word(part) for part in str(facts[name]).split(", ")]
            facts[name] = ", ".join(words)
    return formats.plain(_(note.message).format(**facts))


def severity_word(severity: str) -> str:
    """A severity as it stands in a sentence."""
    return {"error": _("error"), "warning": _("warning"), "note": _("note")}[severity]


def finding_word(key: str) -> str:
    """A finding in one or two words, for a badge or a list of choices."""
    known = {
        "few_samples": _("few samples"),
        "many_sizes": _("many sizes"),
        "empty_masks": _("empty mask"),
        "all_empty_in_split": _("only empty masks"),
        "tiny_objects": _("tiny objects"),
        "constant_images": _("constant image"),
        "dark_images": _("dark image"),
        "bright_images": _("bright image"),
        "exact_duplicates": _("duplicate"),
        "near_duplicates": _("near duplicate"),
        "conflicting_duplicates": _("conflicting masks"),
        "leaks": _("leak"),
        "group_leaks": _("divided group"),
        "misaligned_masks": _("misaligned mask"),
        "inverted_masks": _("inverted mask"),
        "full_masks": _("full mask"),
        "image_is_mask": _("image is the mask"),
        "rare_class": _("rare class"),
        "missing_class_in_split": _("missing class"),
        "majority_class": _("majority class"),
        "no_background": _("no background"),
        "one_group": _("one group"),
        "groups": _("kept together"),
        "likely_groups": _("may belong together"),
        "no_split": _("cannot be split"),
        "changed": _("changed to fit"),
        "same_content": _("imported before"),
        "unmatched": _("no partner"),
        "ambiguous": _("several masks"),
        "skipped": _("skipped"),
    }
    return known.get(key, key.replace("_", " "))


def finding_label(finding: Finding) -> str:
    """A finding among others, with the class it is about and the number of samples."""
    words = [finding_word(finding.key)]
    if finding.key in ("rare_class", "missing_class_in_split"):
        words.append(f"“{finding.note.facts.get('name')}”")
    return " ".join(words) + f" · {formats.count(len(finding.samples))}"


def fix_word(finding: Finding) -> str:
    """What the button of a finding's correction says."""
    if finding.fix is None:
        return ""
    if finding.fix.kind == "leave_out":
        num = len(finding.fix.positions)
        return (
            _("Leave it out") if num == 1 else _("Leave {num} out").format(num=formats.count(num))
        )
    if finding.fix.kind == "regroup":
        is_about_groups = finding.key == "group_leaks"
        return _("Keep groups together") if is_about_groups else _("Keep copies together")
    return _("Swap background and foreground")


def change_for(finding: Finding, dataset: Dataset) -> Change | None:
    """The correction that a finding proposes; None when there is none for this dataset."""
    fix = finding.fix
    if fix is None:
        return None
    if fix.kind == "leave_out":
        return Change(leave_out=fix.positions)
    if fix.kind == "regroup":
        return Change(to_train=fix.positions)
    if fix.kind == "swap_background":
        return swapped(dataset)
    return None


def swapped(dataset: Dataset) -> Change | None:
    """Background and foreground of a dataset with these two classes exchanged, else None.

    The colours go with the roles, as the background's is not seen; so does the name when it
    says no more than “background”.
    """
    backgrounds = [entry for entry in dataset.classes if entry.background]
    if len(dataset.classes) != 2 or len(backgrounds) != 1:
        return None
    (background,) = backgrounds
    (foreground,) = [entry for entry in dataset.classes if not entry.background]
    swaps_names = background.name.lower() == "background"

    def as_other(entry: ClassEntry, other: ClassEntry) -> ClassChange:
        return ClassChange(
            index=entry.index,
            name=other.name if swaps_names else entry.name,
            color=other.color,
            role="background" if other.background else "class",
        )

    changes = [as_other(background, foreground), as_other(foreground, background)]
    return Change(classes=tuple(sorted(changes, key=lambda change: change.index)))


def report_json(dataset: Dataset, report: Mapping[str, Any]) -> str:
    """The report as a JSON file that says which dataset it is about."""
    about = {"dataset": dataset.id, "name": dataset.name, "content_hash": dataset.content_hash}
    return json.dumps(about | dict(report), ensure_ascii=False, indent=2)


def left_out_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """The files of an archive that did not become samples, and why; as far as they are listed."""
    rows = [
        {"file": _name_of(each), "why": record_text(each["reason"])}
        for each in report.get("skipped", ())
    ]
    rows += [
        {"file": _name_of(each), "why": _("no partner")} for each in report.get("unmatched", ())
    ]
    rows += [
        {"file": _name_of(each), "why": _why_ambiguous(each)}
        for each in report.get("ambiguous", ())
    ]
    return pd.DataFrame(rows, columns=["file", "why"])


def num_left_out(report: Mapping[str, Any]) -> int:
    """How many files `left_out_table` would list without its limit."""
    return sum(
        report.get(f"num_{kind}", len(report.get(kind, ())))
        for kind in ("skipped", "unmatched", "ambiguous")
    )


def _why_ambiguous(listed: Any) -> str:
    candidates = listed.get("candidates") if isinstance(listed, dict) else None
    if not candidates:
        return _("several possible masks")
    return _("several possible masks: {names}").format(names=", ".join(candidates))


def _name_of(listed: Any) -> str:
    """A listed file's name: it stands alone, or with what else is known of it."""
    return str(listed.get("name") or listed.get("image")) if isinstance(listed, dict) else listed
