"""The command that looks what is wrong: with a run, or with this installation."""

import argparse
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from engine.commands.shared import opened
from engine.doctor import Diagnosis
from engine.environment import environment
from engine.errors import WorkbenchError
from engine.jobs.bundle import diagnoses_text
from engine.jobs.daemon import worker_is_alive
from engine.jobs.diagnosis import diagnoses
from engine.machine import encoder_weights, this_machine
from engine.settings import Settings
from engine.store import jobs, runs, workers
from engine.store.schema import SCHEMA_REVISION
from engine.workbench import Workbench, open_workbench

_GIB = 2**30
_OLDEST_PYTHON = (3, 11)
_OLDEST = {"torch": (2, 11), "streamlit": (1, 67)}
_LEAST_FREE_GIB = 0.5
"""With less, a checkpoint may not fit."""
_SILENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Check:
    """What was found of one thing that the workbench needs."""

    name: str
    state: Literal["ok", "warn", "error"]
    text: str
    """What was seen and, where it is not ok, what to do."""


def doctor(settings: Settings, options: argparse.Namespace) -> int:
    """What is wrong with a run; without one, with this installation."""
    if options.run is not None:
        return _of_run(settings, options)
    found = list(_checks(settings))
    width = max(len(check.name) for check in found)
    for check in found:
        print(f"{check.state:<5}  {check.name:<{width}}  {check.text}")
    is_well = all(check.state != "error" for check in found)
    if options.json:
        record = {"ok": is_well, "checks": [asdict(check) for check in found]}
        print(json.dumps(record, ensure_ascii=False))
    return 0 if is_well else 1


def _of_run(settings: Settings, options: argparse.Namespace) -> int:
    with opened(settings) as workbench:
        run = runs.find(workbench.database, options.run)
        found = diagnoses(workbench, run)
    print(f"Run {run.id} “{run.name}” is {run.status}.")
    print(diagnoses_text(found), end="")
    if options.json:
        record = {"run": run.id, "diagnoses": [_record(diagnosis) for diagnosis in found]}
        print(json.dumps(record, ensure_ascii=False))
    return 0


def _record(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "key": diagnosis.key,
        "severity": diagnosis.severity,
        "saw": str(diagnosis.saw),
        "cause": str(diagnosis.cause),
        "remedies": [
            {"label": str(each.label), "changes": dict(each.changes), "more": each.more}
            for each in diagnosis.remedies
        ],
    }


def _checks(settings: Settings) -> Iterator[Check]:
    now = environment()
    yield _python(now)
    yield from (_library(name, now.get(name)) for name in _OLDEST)
    yield _device(settings, now)
    yield _weights(settings.weights)
    yield _home(settings.home)
    yield _free_disk(settings)
    if not settings.home.exists():
        # Who only looks leaves nothing behind.
        return
    try:
        workbench = open_workbench(settings)
    except WorkbenchError as error:
        yield Check("database", "error", str(error))
        return
    try:
        yield Check("database", "ok", f"It can be opened, and has revision {SCHEMA_REVISION}.")
        yield _worker(workbench)
    finally:
        workbench.close()


def _python(now: dict[str, Any]) -> Check:
    is_old = tuple(map(int, platform.python_version_tuple()[:2])) < _OLDEST_PYTHON
    text = f"{now['python']}, commit {now['commit'][:12]}"
    if is_old:
        return Check("python", "error", text + "; 3.11 or newer is needed: install that.")
    return Check("python", "ok", text)


def _library(name: str, version: str | None) -> Check:
    needed = ".".join(map(str, _OLDEST[name]))
    cure = f"{needed} or newer is needed: pip install -r requirements.txt."
    if version is None:
        return Check(name, "error", f"It is not installed; {cure}")
    numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:2])
    if numbers < _OLDEST[name]:
        return Check(name, "error", f"{version}; {cure}")
    return Check(name, "ok", version)


def _device(settings: Settings, now: dict[str, Any]) -> Check:
    machine = this_machine(settings.weights)
    memory = f"{machine.memory_bytes / _GIB:.1f} GiB"
    if machine.device == "cpu":
        return Check(
            "device",
            "ok",
            f"No NVIDIA GPU is seen; {machine.num_cores} cores of {machine.device_name} compute, "
            f"with {memory} of memory left.",
        )
    if "+cpu" in str(now["torch"]):
        return Check(
            "device",
            "error",
            f"{machine.device_name} is there, but torch {now['torch']} was built without CUDA and "
            "cannot use it: install a build with CUDA.",
        )
    return Check(
        "device", "ok", f"{machine.device_name} with {memory} of memory, driver {now['driver']}."
    )


def _weights(folder: Path) -> Check:
    found = encoder_weights(folder)
    if found:
        return Check("weights", "ok", f"{folder} has {', '.join(found)}.")
    return Check(
        "weights",
        "ok",
        f"{folder} has no pretrained weights; encoders that want them are fetched from the hub, "
        "or start afresh.",
    )


def _home(home: Path) -> Check:
    if not home.exists():
        return Check("home", "warn", f"{home} is not there yet; it is created when it is needed.")
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        return Check(
            "home", "error", f"{home} cannot be written by you: change its owner or its mode."
        )
    return Check("home", "ok", f"{home} can be written.")


def _free_disk(settings: Settings) -> Check:
    existing = next(each for each in (settings.home, *settings.home.parents) if each.exists())
    free_gib = shutil.disk_usage(existing).free / _GIB
    text = f"{free_gib:.1f} GiB are free"
    if free_gib < _LEAST_FREE_GIB:
        return Check(
            "disk", "error", text + ": trainings cannot save. Make room, as on the Storage page."
        )
    if free_gib < settings.min_free_gib:
        return Check(
            "disk",
            "warn",
            f"{text}, less than the {settings.min_free_gib:g} GiB that uploads must leave "
            "(WORKBENCH_MIN_FREE_GIB): they are refused. Make room, as on the Storage page.",
        )
    return Check("disk", "ok", f"{text}.")


def _worker(workbench: Workbench) -> Check:
    waiting = len(jobs.with_status(workbench.database, "queued"))
    running = len(jobs.with_status(workbench.database, "running"))
    queue = f"jobs waiting: {waiting}, running: {running}"
    if worker_is_alive(workbench):
        record = workers.get(workbench.database, platform.node())
        silence = time.time() - record.heartbeat_at if record is not None else 0.0
        if silence > _SILENT_SECONDS:
            return Check(
                "worker",
                "warn",
                f"It lives, but has said nothing for {silence:.0f} s; {queue}. If it goes on so, "
                "end its process: what it started goes on.",
            )
        return Check("worker", "ok", f"It lives; {queue}.")
    if workbench.settings.worker == "external":
        state: Literal["warn", "error"] = "error" if waiting + running else "warn"
        return Check(
            "worker",
            state,
            f"None lives on this machine, and WORKBENCH_WORKER is external; {queue}. Start its "
            "service, or python -m engine worker.",
        )
    if waiting + running:
        return Check(
            "worker",
            "warn",
            f"None lives ({queue}). One starts with the server or the next job; or start it "
            "yourself: python -m engine worker --detach.",
        )
    return Check("worker", "ok", f"None is needed; {queue}. It starts with the next job.")
