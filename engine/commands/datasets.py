"""The commands about datasets."""

import argparse
import json
from pathlib import Path
from typing import Any

from engine.commands.shared import ACTOR, assignments, opened, progress_line
from engine.datasets.archive import open_source
from engine.datasets.importer import import_dataset, name_of_file
from engine.datasets.inspection import inspect
from engine.datasets.masks import suspicions
from engine.datasets.pairing import choose, propose
from engine.datasets.plan import ImportPlan, parse_plan, with_plan_changes
from engine.datasets.toy import write_toy_zip
from engine.errors import BadSetting, Refused
from engine.notes import Note
from engine.settings import Settings
from engine.store import datasets
from engine.store.datasets import Dataset


def import_(settings: Settings, options: argparse.Namespace) -> int:
    """Import a zip, a tar or a folder, in this process."""
    path: Path = options.path
    plan = with_plan_changes(_read_plan(options.plan), assignments(options.set))
    with opened(settings) as workbench:
        dataset = import_dataset(
            workbench,
            path,
            name=options.name or name_of_file(path.resolve().name),
            actor=ACTOR,
            plan=plan,
            progress=progress_line(),
        )
        report = datasets.report(workbench.database, dataset.id)
    warnings = [str(Note.from_record(record)) for record in report["warnings"]]
    _print_report(dataset, report, warnings)
    if options.json:
        result = {
            "dataset": dataset.id,
            "samples": dataset.num_samples,
            "classes": [entry.name for entry in dataset.classes],
            "unmatched": report["unmatched"],
            "warnings": warnings,
            "report": report,
        }
        print(json.dumps(result, ensure_ascii=False))
    return 0


def inspect_(settings: Settings, options: argparse.Namespace) -> int:
    """Look into an archive and say what an import would do; nothing is stored."""
    show = progress_line()
    plan = with_plan_changes(_read_plan(options.plan), assignments(options.set))
    with open_source(options.path) as source:
        known = propose(source.names())
        chosen = choose(source.names(), plan.pairing, known)
        # First, because they help most where the masks cannot be understood.
        for proposal in known.proposals:
            mark = "→" if proposal.key == chosen.key else " "
            print(
                f"{mark} {proposal.key}: {proposal.title} ({len(proposal.pairs)} pairs, "
                f"confidence {proposal.confidence:.0%}). {proposal.reason}"
            )
        found = inspect(source, plan.pairing, chosen, lambda share: show("reading", share))
    plan = plan.model_copy(update={"pairing": found.plan.pairing, "masks": found.plan.masks})
    assert plan.masks is not None, "an inspection always proposes what the masks mean"
    for note in (*found.notes, *suspicions(found.statistics, plan.masks)):
        print(f"Note: {note}")
    if options.json:
        print(json.dumps({"plan": plan.to_dict()}, ensure_ascii=False))
    else:
        print(json.dumps(plan.to_dict(), ensure_ascii=False, indent=2))
    return 0


def toy(settings: Settings, options: argparse.Namespace) -> int:
    """Write a small dataset."""
    try:
        write_toy_zip(options.out)
    except OSError as error:
        raise Refused(
            "The file {file} cannot be written: {reason}.",
            file=str(options.out),
            reason=error.strerror or str(error),
        ) from error
    print(f"Wrote {options.out}: circles and rectangles on noise, three classes.")
    return 0


def _read_plan(path: Path | None) -> ImportPlan:
    if path is None:
        return ImportPlan()
    try:
        values = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BadSetting(
            "The plan {file} cannot be read: {reason}. Expected the JSON that “inspect” prints.",
            file=str(path),
            reason=str(error),
        ) from error
    # What `inspect --json` prints is an object with the plan in it.
    return parse_plan(values.get("plan", values))


def _print_report(dataset: Dataset, report: dict[str, Any], warnings: list[str]) -> None:
    print(f"Dataset {dataset.id} “{dataset.name}”: {dataset.num_samples} samples.")
    print(f"Pairing: {Note.from_record(report['rule'])}")
    print("Sizes:", ", ".join(f"{size} ({n})" for size, n in report["sizes"].items()))
    for entry, share in zip(dataset.classes, report["class_share"], strict=True):
        role = ", background" if entry.background else ""
        print(f"Class {entry.index}: {entry.name} ({share:.1%} of the pixels{role})")
    print("Split:", ", ".join(f"{num} {part}" for part, num in report["split_sizes"].items()))
    for name in report["unmatched"]:
        print(f"Without a partner: {name}")
    for each in report["skipped"]:
        print(f"Skipped {each['name']}: {Note.from_record(each['reason'])}")
    for warning in warnings:
        print(f"Note: {warning}")
