"""The commands about what is queued, runs or has ended: stop, resume, evaluate, and the queue."""

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

from engine.commands.shared import ACTOR, opened
from engine.jobs import slots
from engine.jobs.control import resume_run, score_run, stop_run
from engine.jobs.status import queue_seconds, run_seconds, state_of
from engine.settings import Settings
from engine.store import jobs, runs
from engine.store.jobs import Job


def stop(settings: Settings, options: argparse.Namespace) -> int:
    """Ask a run to stop, or to pause."""
    with opened(settings) as workbench:
        run = runs.find(workbench.database, options.run)
        wish: jobs.Wish = "pause" if options.pause else "stop"
        stop_run(workbench, run.id, wish=wish, actor=ACTOR)
        run = runs.get(workbench.database, run.id)
    print(f"Run {run.id} “{run.name}” is asked to {wish}; it is {run.status}.")
    if options.json:
        print(json.dumps({"run": run.id, "status": run.status, "wish": run.job.wish}))
    return 0


def resume(settings: Settings, options: argparse.Namespace) -> int:
    """Queue an ended run once more, to go on where it stands."""
    with opened(settings) as workbench:
        run = runs.find(workbench.database, options.run)
        resume_run(workbench, run.id, more=options.more, actor=ACTOR)
        run = runs.get(workbench.database, run.id)
    schedule = run.config.schedule
    goal = f"{schedule.epochs} epochs"
    if schedule.max_minutes is not None:
        goal = f"{schedule.max_minutes:g} minutes"
    print(
        f"Run {run.id} “{run.name}” is {run.status} once more: {run.num_epochs_done} epochs are "
        f"done, and it is to have {goal}."
    )
    if options.json:
        result = {
            "run": run.id,
            "status": run.status,
            "epochs_done": run.num_epochs_done,
            "epochs": schedule.epochs,
            "max_minutes": schedule.max_minutes,
        }
        print(json.dumps(result))
    return 0


def evaluate(settings: Settings, options: argparse.Namespace) -> int:
    """Queue the scoring of an ended run's images."""
    with opened(settings) as workbench:
        run = runs.find(workbench.database, options.run)
        job_id = score_run(workbench, run.id, actor=ACTOR)
    print(f"The images of run {run.id} “{run.name}” are to be scored: job {job_id} is queued.")
    if options.json:
        print(json.dumps({"run": run.id, "job": job_id, "status": "queued"}))
    return 0


def queue(settings: Settings, options: argparse.Namespace) -> int:
    """List what runs, and what waits in the order in which it will be started."""
    now = time.time()
    with opened(settings) as workbench:
        running = jobs.with_status(workbench.database, "running")
        waiting = slots.waiting(workbench.database)
        names = {run.id: run.name for run in runs.all_newest_first(workbench.database)}
    lines = [_job_line(job, names, None, now) for job in running]
    lines += [_job_line(job, names, position, now) for position, job in enumerate(waiting, 1)]
    for line in lines:
        place = line["slot"] if line["position"] is None else f"#{line['position']}"
        share = "" if line["position"] else f"  {line['progress']:4.0%}"
        print(
            f"{line['job']}  {place:<8}  {line['state']:<8}  {line['kind']:<9}{share}  "
            f"{line['owner']}  {line['name'] or ''}"
        )
    if options.json:
        print(json.dumps({"jobs": lines}, ensure_ascii=False))
    return 0


def _job_line(
    job: Job, names: Mapping[str, str], position: int | None, now: float
) -> dict[str, Any]:
    run_id = job.payload.get("run")
    return {
        "job": job.id,
        "kind": job.kind,
        "status": job.status,
        "state": state_of(job),
        "wish": job.wish,
        "position": position,
        "slot": job.slot if position is None else None,
        "owner": job.actor,
        "run": run_id,
        "name": names.get(run_id) if run_id else job.payload.get("name"),
        "phase": job.phase,
        "progress": job.progress,
        "attempts": job.attempts,
        "queued_at": job.queued_at,
        "run_seconds": run_seconds(job, now),
        "queue_seconds": queue_seconds(job, now),
    }
