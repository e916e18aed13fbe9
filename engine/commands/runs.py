"""The commands about runs, and the worker that carries them out."""

import argparse
import csv
import json
import logging
import statistics
import sys
import textwrap
import time
from collections.abc import Mapping
from typing import Any

from engine.commands.shared import (
    ACTOR,
    error_text,
    explain,
    fitted,
    opened,
    record_text,
    say,
)
from engine.errors import NotFound
from engine.events import EpochRecord
from engine.jobs.daemon import detach, ensure_worker
from engine.jobs.executors.local import LocalExecutor
from engine.jobs.queue import submit_training
from engine.jobs.status import queue_seconds, run_seconds, state_of
from engine.jobs.worker import BUSY_SECONDS, Worker
from engine.scores import rules
from engine.settings import Settings
from engine.store import datasets, epochs, runs
from engine.store import scores as score_store
from engine.store.datasets import ClassEntry
from engine.store.runs import Run
from engine.workbench import Workbench, open_workbench

_WAIT_SECONDS = 0.5


def train(settings: Settings, options: argparse.Namespace) -> int:
    """Queue a training; with --wait, follow it to its end."""
    with opened(settings) as workbench:
        dataset = datasets.find(workbench.database, options.dataset)
        chosen = fitted(workbench, dataset, options.recipe, options.set)
        run_id = submit_training(
            workbench,
            dataset.id,
            chosen.config,
            reasons=chosen.reasons,
            name=options.name,
            actor=ACTOR,
        )
        explain(workbench, dataset, chosen)
        if options.wait:
            _follow(workbench, run_id)
        run = runs.get(workbench.database, run_id)
        result: dict[str, Any] = {"run": run.id, "status": run.status}
        if options.wait:
            result |= {"best_epoch": run.best_epoch, "scores": _scores(workbench, run)}
    print(f"Run {run.id} “{run.name}” is {run.status}.")
    if run.job.error:
        say(error_text(run.job))
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
    return 1 if options.wait and run.status != "completed" else 0


def list_runs(settings: Settings, options: argparse.Namespace) -> int:
    """List all runs, newest first."""
    with opened(settings) as workbench:
        found = runs.all_newest_first(workbench.database)
    for run in found:
        best = "–" if run.best_val_dice is None else f"{run.best_val_dice:.4f}"
        print(f"{run.id}  {state_of(run.job):<9}  best val Dice {best:>6}  {run.name}")
    if options.json:
        print(json.dumps({"runs": [_run_line(run) for run in found]}, ensure_ascii=False))
    return 0


def show(settings: Settings, options: argparse.Namespace) -> int:
    """One run: settings, epochs, scores."""
    with opened(settings) as workbench:
        run = runs.find(workbench.database, options.run)
        records = epochs.of_run(workbench.database, run.id)
        split = runs.split_of(workbench.database, run.id)
        classes = datasets.get(workbench.database, run.dataset_id).classes
        now = time.time()
        result = _run_line(run) | {
            "config": run.config.to_dict(),
            "reasons": {leaf: str(note) for leaf, note in run.reasons.items()},
            "preflight": run.preflight,
            "num_parameters": run.num_parameters,
            "split": {name: len(positions) for name, positions in split.items()},
            "environment": run.environment,
            "epochs": [_epoch_line(record, classes) for record in records],
            "scores": _scores(workbench, run),
            "images_per_second": statistics.median(r.images_per_second for r in records)
            if records
            else None,
            "error": error_text(run.job) if run.job.error else None,
            "log": run.job.error["facts"].get("log") if run.job.error else None,
            "attempts": run.job.attempts,
            "incidents": [incident_line(record) for record in run.job.incidents],
            "adjustments": dict(run.adjustments),
            "run_seconds": run_seconds(run.job, now),
            "queue_seconds": queue_seconds(run.job, now),
        }
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        _print_run(result)
    return 0


def scores(settings: Settings, options: argparse.Namespace) -> int:
    """The scores of each image, worst first."""
    with opened(settings) as workbench:
        run = runs.find(workbench.database, options.run)
        classes = datasets.get(workbench.database, run.dataset_id).classes
        names = {s.position: s.name for s in datasets.samples(workbench.database, run.dataset_id)}
        found = score_store.of_run(workbench.database, run.id, options.split)
    if not found:
        raise NotFound(
            "Run “{run}” has no scores{of_split}; it is {status}. Scores are written when a "
            "training has ended.",
            run=run.name,
            of_split=f" for the {options.split} split" if options.split else "",
            status=run.status,
        )
    lines: list[dict[str, Any]] = [
        {
            "sample": names[score.position],
            "split": score.split,
            "dice": rules.image_dice(score, classes),
            "iou": rules.image_iou(score, classes),
            "per_class": {
                entry.name: {"dice": dice, "iou": iou, "background": entry.background}
                for entry, dice, iou in zip(
                    classes,
                    rules.class_values(score, rules.dice),
                    rules.class_values(score, rules.iou),
                    strict=True,
                )
            },
        }
        for score in found
    ]
    lines.sort(key=lambda line: line["dice"])
    _print_scores(lines, classes, options.format)
    return 0


def worker(settings: Settings, options: argparse.Namespace) -> int:
    """Execute queued jobs until told to end."""
    workbench = open_workbench(settings, busy_seconds=BUSY_SECONDS)
    if options.detach and not detach(workbench):
        return 0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    idle_seconds = settings.worker_idle_seconds if options.detach else None
    Worker(workbench, LocalExecutor(workbench), idle_seconds).run()
    return 0


def incident_line(record: Mapping[str, Any]) -> dict[str, Any]:
    """What befell an attempt, as JSON."""
    text = record_text(record)
    return {"attempt": record["attempt"], "at": record["at"], "type": record["type"], "text": text}


def _follow(workbench: Workbench, run_id: str) -> None:
    """Print what the run does until it has ended, over all its attempts."""
    num_said, num_incidents, phase = 0, 0, ""
    while True:
        run = runs.get(workbench.database, run_id)
        for incident in run.job.incidents[num_incidents:]:
            num_incidents += 1
            say(f"attempt {incident['attempt']}: {record_text(incident)}")
        records = epochs.of_run(workbench.database, run_id)
        # What came after its checkpoint, a training that goes on learns again.
        num_said = min(num_said, len(records))
        for record in records[num_said:]:
            num_said += 1
            say(
                f"epoch {record.epoch}: loss {record.train_loss:.4f}, validation loss "
                f"{record.val_loss:.4f}, validation Dice {record.val_dice:.4f}"
            )
        if run.job.phase != phase:
            phase = run.job.phase
            say(phase)
        if not run.job.is_live:
            return
        # The worker may have been killed; what waits for it would wait for ever.
        ensure_worker(workbench)
        time.sleep(_WAIT_SECONDS)


def _run_line(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "name": run.name,
        "dataset": run.dataset_id,
        "recipe": run.config.recipe,
        "status": run.status,
        "wish": run.job.wish,
        "paused": run.job.is_paused,
        "created_at": run.created_at,
        "started_at": run.job.started_at,
        "ended_at": run.job.ended_at,
        "best_epoch": run.best_epoch,
        "best_val_dice": run.best_val_dice,
    }


def _epoch_line(record: EpochRecord, classes: tuple[ClassEntry, ...]) -> dict[str, Any]:
    names = [entry.name for entry in classes]
    line = {name: getattr(record, name) for name in type(record).__dataclass_fields__}
    for name in ("val_class_dice", "val_class_iou"):
        # IoU by class was not recorded by earlier versions.
        line[name] = dict(zip(names, line[name], strict=True)) if line[name] else None
    return line


def _scores(workbench: Workbench, run: Run) -> dict[str, Any]:
    """The summary of each scored split, as JSON."""
    classes = datasets.get(workbench.database, run.dataset_id).classes
    found = {}
    for split in runs.SPLIT_NAMES:
        summary = rules.summarize(score_store.of_run(workbench.database, run.id, split), classes)
        if summary is not None:
            found[split] = {
                "mean_image_dice": summary.mean_image_dice,
                "pooled_dice": summary.pooled_dice,
                "mean_image_iou": summary.mean_image_iou,
                "per_class": {
                    entry.name: {
                        "dice": each.dice,
                        "iou": each.iou,
                        "pooled_dice": each.pooled_dice,
                        "background": entry.background,
                    }
                    for entry, each in zip(classes, summary.by_class, strict=True)
                },
                "images": summary.num_images,
            }
    return found


def _print_run(result: Mapping[str, Any]) -> None:
    state = "paused" if result["paused"] else result["status"]
    print(f"Run {result['run']} “{result['name']}”: {state}")
    for each in result["incidents"]:
        print(f"Attempt {each['attempt']}: {each['text']}")
    for leaf, value in result["adjustments"].items():
        print(f"Memory ran out: {leaf}={value}")
    if result["error"]:
        print(result["error"])
    if result["log"]:
        print(textwrap.indent(result["log"], "  | "))
    sizes = ", ".join(f"{count} {name}" for name, count in result["split"].items())
    print(f"Recipe {result['recipe']}, {result['num_parameters']:,} parameters; samples: {sizes}")
    print(f"Epochs: {len(result['epochs'])}, best: {result['best_epoch']}")
    for split, summary in result["scores"].items():
        print(
            f"{split}: mean image Dice {summary['mean_image_dice']:.4f}, pooled "
            f"{summary['pooled_dice']:.4f}, mean image IoU {summary['mean_image_iou']:.4f} "
            f"({summary['images']} images)"
        )
        for name, each in summary["per_class"].items():
            dice = "–" if each["dice"] is None else f"{each['dice']:.4f}"
            print(f"  {name}{' (background)' if each['background'] else ''}: Dice {dice}")


def _print_scores(
    lines: list[dict[str, Any]], classes: tuple[ClassEntry, ...], output_format: str
) -> None:
    if output_format == "json":
        print(json.dumps(lines, ensure_ascii=False))
        return
    header = ["sample", "split", "dice", "iou", *(f"dice {entry.name}" for entry in classes)]
    rows = [
        [
            line["sample"],
            line["split"],
            line["dice"],
            line["iou"],
            *(each["dice"] for each in line["per_class"].values()),
        ]
        for line in lines
    ]
    if output_format == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(header)
        writer.writerows(rows)
        return
    cells = [header, *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
