"""The command that tries settings before a run is started with them."""

import argparse
import json
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.commands.shared import ACTOR, error_text, explain, fitted, opened, say
from engine.errors import Refused
from engine.jobs.daemon import ensure_worker
from engine.jobs.queue import stop_preflight, submit_preflight
from engine.settings import Settings
from engine.store import datasets, jobs
from engine.store.jobs import Job
from engine.workbench import Workbench

_WAIT_SECONDS = 0.5

_VERDICTS = {
    True: "The network learns one batch by heart",
    False: "The network fails to learn one batch by heart",
    None: "Too few steps to tell whether the network can learn one batch by heart",
}

Report = dict[str, Any]


def preflight(settings: Settings, options: argparse.Namespace) -> int:
    """Try settings on a dataset: what a step costs, and what else is wanted."""
    wanted = {
        "pictures": options.out is not None,
        "speed": True,
        "overfit": options.overfit,
        "rates": options.rates,
    }
    want = [name for name, is_wanted in wanted.items() if is_wanted]
    with opened(settings) as workbench:
        dataset = datasets.find(workbench.database, options.dataset)
        proposed = fitted(workbench, dataset, options.recipe, options.set)
        chosen = proposed.config
        job_id = submit_preflight(workbench, dataset.id, chosen, want, actor=ACTOR)
        explain(workbench, dataset, proposed)
        job = _followed(workbench, job_id)
        report: Report = dict(job.result or {})
        if "pictures" in report:
            report["pictures"] = _fetched(workbench, job.id, options.out)
    if job.error:
        say(error_text(job))
    _print_report(report, chosen.optimizer.learning_rate)
    if options.json:
        print(json.dumps({"preflight": job.id, "status": job.status} | report))
    return 0 if job.status == "completed" else 1


def _followed(workbench: Workbench, job_id: str) -> Job:
    """The job once it has ended; whoever does not want to wait does not want its result."""
    phase = ""
    try:
        while (job := jobs.get(workbench.database, job_id)).is_live:
            if job.phase != phase:
                phase = job.phase
                say(phase)
            # The worker may have been killed; what waits for it would wait for ever.
            ensure_worker(workbench)
            time.sleep(_WAIT_SECONDS)
    except KeyboardInterrupt:
        with suppress(Refused):
            stop_preflight(workbench, job_id, actor=ACTOR)
        raise
    return job


def _fetched(workbench: Workbench, job_id: str, folder: Path) -> list[str]:
    """Copy the pictures of a preflight to a folder; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = sorted(workbench.files.path(f"preflights/{job_id}/pictures").glob("*.webp"))
    return [str(shutil.copy(picture, folder)) for picture in pictures]


def _print_report(report: Report, rate: float) -> None:
    if "speed" in report:
        _print_speed(report["speed"])
    if "overfit" in report:
        losses = report["overfit"]["losses"]
        verdict = _VERDICTS[report["overfit"]["passed"]]
        # A loss that is no number from the first step on leaves none to show.
        seen = f"loss {losses[0]:.4f} at first, {losses[-1]:.4f}" if losses else "no loss"
        print(f"{verdict}: {seen} after {len(losses)} steps")
    if "rates" in report:
        suggestion = report["rates"]["suggestion"]
        found = "none" if suggestion is None else f"{suggestion:.2g}"
        print(f"Learning rate: {rate:g}; suggested by the trial: {found}")
    for path in report.get("pictures", []):
        print(path)


def _print_speed(speed: Report) -> None:
    compiled = ", compiled" if speed["compiled"] else ""
    print(
        f"{speed['device']}, {speed['precision']}{compiled}: {speed['images_per_second']:.1f} "
        f"images/s, {speed['seconds_per_step']:.3f} s a step"
    )
    print(
        f"An epoch: {speed['steps_per_epoch']} steps, {speed['seconds_per_epoch']:.1f} s; "
        f"the training: about {speed['total_seconds'] / 60:.1f} minutes"
    )
    print(
        f"Memory: about {speed['memory_bytes'] >> 20:,} MiB needed, "
        f"{speed['free_bytes'] >> 20:,} MiB free{'' if speed['fits'] else ': it does not fit'}"
    )
