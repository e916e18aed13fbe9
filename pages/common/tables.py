"""The rows of the tables, as pure functions of what the store says; the pages only show them."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from engine.config import leaf_fields
from engine.jobs.status import state_of
from engine.scores.rules import Summary
from engine.store.datasets import Dataset
from engine.store.jobs import Job
from engine.store.runs import Run
from pages.common import formats, links
from pages.common.progress import elapsed_seconds, epochs_text, remaining_seconds
from pages.common.reads import ScoredSample
from pages.common.texts import _, choice_word, note_text, split_word, status_word

STATUS_ICONS = {
    "queued": "◌",
    "running": "▶",
    "stopping": "▶",
    "pausing": "▶",
    "completed": "✓",
    "paused": "‖",
    "stopped": "■",
    "failed": "✕",
}


def runs_table(
    found: Sequence[Run], places: Mapping[str, int] | None = None, now: float | None = None
) -> pd.DataFrame:
    """One row per run.

    Args:
        places: which queued jobs stand where in the queue, from 1.
        now: Unix seconds; None for the time it is.
    """
    now = time.time() if now is None else now
    places = places or {}
    return pd.DataFrame(
        [
            {
                "status": status_text(run.job, places.get(run.job.id)),
                "name": run.name,
                "tags": list(run.tags),
                "dataset": run.dataset_name,
                "owner": run.actor,
                "recipe": run.config.recipe,
                "progress": round(run.job.progress, 2),
                "epochs": epochs_text(run),
                "best_dice": run.best_val_dice,
                "remaining": formats.duration(remaining_seconds(run.job, now)),
                "elapsed": formats.duration(elapsed_seconds(run.job, now)),
                "created": datetime.fromtimestamp(run.created_at),
            }
            for run in found
        ],
        columns=[
            "status", "name", "tags", "dataset", "owner", "recipe", "progress", "epochs",
            "best_dice", "remaining", "elapsed", "created",
        ],
    )  # fmt: skip


def status_text(job: Job, place: int | None = None) -> str:
    """A job's state in a cell, with its place in the queue where it waits."""
    state = state_of(job)
    word = f"{STATUS_ICONS[state]} {status_word(state)}"
    return word if place is None else f"{word} · {place}"


def scored_table(
    dataset: Dataset, run: Run, scored: Sequence[ScoredSample], names: Sequence[str]
) -> pd.DataFrame:
    """One row per scored sample; `names` by position."""
    return pd.DataFrame(
        [
            {
                "thumb": links.run_file(
                    run.id, "thumbs", f"{each.sample.stem}.webp", run.scored_at
                ),
                "sample": names[each.sample.position],
                "dice": each.dice,
                "split": split_word(each.score.split),
            }
            | {f"class_{entry.index}": each.class_dice[entry.index] for entry in dataset.classes}
            | {"iou": each.iou}
            for each in scored
        ]
    )


def summary_table(dataset: Dataset, summaries: Mapping[str, Summary]) -> pd.DataFrame:
    """Headline scores, one row per label: a split of a run, or a run of a comparison."""
    return pd.DataFrame(
        [
            {
                "label": label,
                "mean_image_dice": summary.mean_image_dice,
                "pooled_dice": summary.pooled_dice,
                "mean_image_iou": summary.mean_image_iou,
            }
            | {
                f"class_{entry.index}": summary.by_class[entry.index].dice
                for entry in dataset.classes
            }
            | {"images": summary.num_images}
            for label, summary in summaries.items()
        ]
    )


def settings_table(run: Run) -> pd.DataFrame:
    """Every setting of a run as it is trained with it, and why where it was fitted to the dataset
    or changed since memory ran out."""
    chosen, used = run.config.to_dict(), run.effective_config.to_dict()

    def why(part: str, name: str) -> str:
        if name in run.adjustments:
            before = setting_text(chosen[part][name])
            return _("It was {before} until memory ran out.").format(before=before)
        return note_text(run.reasons[name]) if name in run.reasons else ""

    return pd.DataFrame(
        [
            {
                "setting": _(field.title or name),
                "value": setting_text(used[part][name]),
                "why": why(part, name),
                "key": f"{part}.{name}",
                "meaning": _(field.description or ""),
            }
            for name, (part, field) in leaf_fields().items()
        ]
    )


def differing_settings(runs: Mapping[str, Run]) -> pd.DataFrame:
    """The settings in which runs differ, one column per run label; empty when they agree."""
    configs = {label: run.config.to_dict() for label, run in runs.items()}
    rows: list[dict[str, Any]] = []
    if len({run.dataset_id for run in runs.values()}) > 1:
        names = {run.dataset_name for run in runs.values()}
        ids = {run.dataset_id for run in runs.values()}
        datasets = {
            label: run.dataset_name
            if len(names) == len(ids)
            else f"{run.dataset_name} ({run.dataset_id})"
            for label, run in runs.items()
        }
        rows.append({_("Setting"): _("Dataset")} | datasets)
    recipes = {label: run.config.recipe for label, run in runs.items()}
    if len(set(recipes.values())) > 1:
        rows.append({_("Setting"): _("Recipe")} | recipes)
    for name, (part, field) in leaf_fields().items():
        values = {label: config[part][name] for label, config in configs.items()}
        if len({repr(value) for value in values.values()}) > 1:
            shown = {label: setting_text(value) for label, value in values.items()}
            rows.append({_("Setting"): _(field.title or name)} | shown)
    return pd.DataFrame(rows)


def setting_text(value: Any) -> str:
    """A setting's value as a person would write it."""
    if value is None:
        return formats.MISSING
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(setting_text, value))
    return f"{value:g}" if isinstance(value, float) else choice_word(str(value))


def unique_labels(runs: Sequence[Run]) -> dict[str, Run]:
    """Runs by name; names that occur twice get the id behind them."""
    # The column beside the runs in `differing_settings` has a name too.
    names = [_("Setting"), *(run.name for run in runs)]
    return {
        run.name if names.count(run.name) == 1 else f"{run.name} ({run.id})": run for run in runs
    }
