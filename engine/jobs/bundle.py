"""The support bundle: all that helps to find out what happened to a run, in one zip to send on.

It holds no image, no mask and no weight, and no password: whatever the settings keep secret is
blotted out of every text.
"""

import csv
import io
import json
import os
import re
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from engine.doctor import Diagnosis
from engine.environment import environment
from engine.events import EpochRecord
from engine.files import Files
from engine.jobs.control import last_scoring
from engine.jobs.daemon import LOG_KEY
from engine.jobs.diagnosis import diagnoses
from engine.jobs.logs import log_key
from engine.settings import Settings
from engine.store import datasets, epochs, machine_samples, runs
from engine.store.datasets import Dataset
from engine.store.machine_samples import MachineSample
from engine.store.runs import Run
from engine.workbench import Workbench

BLOT = "•••"
"""Stands for what is secret."""

_LOG_BYTES = 4 * 2**20
_WORKER_LOG_BYTES = 256 * 2**10
_SHORTEST_SECRET = 4
"""A shorter one would blot out parts of ordinary words; in its address it is left out."""
_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|KEY")
_ADDRESSES = ("WORKBENCH_DATABASE_URL", "WORKBENCH_WEBHOOK_URL", "WORKBENCH_SMTP_URL")
_ADDRESS = re.compile(
    r"(?P<scheme>[\w+.-]+://)"
    # A password may hold what ends one elsewhere, so it goes on to the last “@”.
    r"(?:(?P<user>[^:/@]*)(?::(?P<password>.*))?@)?"
    r"(?P<place>[^/?]*)(?P<path>[^?]*)\??(?P<query>.*)",
    re.DOTALL,
)

_JOB_FACTS = (
    "id", "created_at", "queued_at", "started_at", "heartbeat_at", "ended_at", "waited_seconds",
    "ran_seconds", "wish", "phase", "progress", "start_progress", "slot", "handle", "attempts",
    "retries", "priority", "result",
)  # fmt: skip

_CONTENTS = {
    "run.json": "settings, state, error, and what befell earlier attempts; times in Unix seconds",
    "diagnoses.txt": "what the doctor says of the run",
    "epochs.csv": "the numbers of every epoch",
    "log.txt": "what the run's process printed; of a long log its end",
    "scoring.txt": "what the process printed that scored the images after the training's end",
    "worker.txt": "the end of what the worker printed",
    "environment.json": "versions and hardware: when the run started, and now",
    "preflight.json": "what was measured before the first step",
    "machine.csv": "what the machine was doing while the run was there",
    "settings.json": "the settings of the workbench, without passwords",
}


def support_bundle(workbench: Workbench, run_id: str) -> bytes:
    """A run's support bundle, as the bytes of a zip.

    Raises:
        NotFound: there is no such run.
    """
    database, files = workbench.database, workbench.files
    run = runs.get(database, run_id)
    dataset = datasets.get(database, run.dataset_id)
    scoring = last_scoring(workbench, run_id)
    texts = {
        "run.json": _json(_run_record(workbench, run, dataset)),
        "diagnoses.txt": diagnoses_text(diagnoses(workbench, run)),
        "epochs.csv": _epochs_csv(epochs.of_run(database, run_id), dataset),
        "log.txt": _end_of(files, log_key(run.job.id), _LOG_BYTES),
        "scoring.txt": _end_of(files, log_key(scoring.id), _LOG_BYTES) if scoring else "",
        "worker.txt": _end_of(files, LOG_KEY, _WORKER_LOG_BYTES),
        "environment.json": _json({"at_start": run.environment, "now": environment()}),
        "preflight.json": _json(run.preflight) if run.preflight else "",
        "machine.csv": _machine_csv(_samples_of(workbench, run)),
        "settings.json": _json(masked_settings(workbench.settings)),
    }
    present = {name: text for name, text in texts.items() if text}
    secrets = _secrets(workbench.settings)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"README.txt": _readme(run, present), **present}.items():
            archive.writestr(name, _blotted(text, secrets))
    return written.getvalue()


def diagnoses_text(found: Sequence[Diagnosis]) -> str:
    """What the doctor says, as text for people."""
    if not found:
        return "Nothing to report.\n"
    return "\n".join(_diagnosis_text(diagnosis) for diagnosis in found)


def _diagnosis_text(diagnosis: Diagnosis) -> str:
    lines = [f"{diagnosis.severity} ({diagnosis.key}): {diagnosis.saw}", f"  {diagnosis.cause}"]
    for remedy in diagnosis.remedies:
        settings = ", ".join(f"{leaf}={value}" for leaf, value in remedy.changes.items())
        lines.append(f"  - {remedy.label}" + (f" ({settings})" if settings else ""))
    return "\n".join(lines) + "\n"


def masked_settings(settings: Settings) -> dict[str, str]:
    """The settings as environment variables; no address has its password, and that of the webhook
    no path, which may be one."""
    found = settings.to_environment()
    for name in _ADDRESSES:
        found[name] = _masked(found[name], has_secret_path=name == "WORKBENCH_WEBHOOK_URL")
    return found


def _masked(url: str, *, has_secret_path: bool) -> str:
    address = _ADDRESS.fullmatch(url)
    if address is None:
        return BLOT if url else ""
    scheme, user, password, place, path, query = address.groups(default="")
    who = f"{user}{password and f':{BLOT}'}@" if user or password else ""
    where = f"/{BLOT}" if has_secret_path else path + (query and f"?{BLOT}")
    return scheme + who + place + where


def _secrets(settings: Settings) -> list[str]:
    """Everything that no text may hold, the longest first."""
    variables = settings.to_environment()
    found = {
        value
        for name, value in os.environ.items()
        if name.startswith("WORKBENCH_") and _SECRET_NAME.search(name)
    }
    for address in filter(None, (_ADDRESS.fullmatch(variables[name]) for name in _ADDRESSES)):
        password = address["password"] or ""
        found |= {password, unquote(password)}
        found |= {pair.partition("=")[2] for pair in address["query"].split("&")}
    webhook = _ADDRESS.fullmatch(settings.webhook_url)
    if webhook is not None:
        found.add(webhook["path"].strip("/"))
    return sorted((each for each in found if len(each) >= _SHORTEST_SECRET), key=len, reverse=True)


def _blotted(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, BLOT)
    return text


def _run_record(workbench: Workbench, run: Run, dataset: Dataset) -> dict[str, Any]:
    split, job = runs.split_of(workbench.database, run.id), run.job
    return {
        "run": run.id,
        "name": run.name,
        "actor": run.actor,
        "status": run.status,
        "error": job.error,
        "incidents": job.incidents,
        "best_epoch": run.best_epoch,
        "best_val_dice": run.best_val_dice,
        "num_epochs_done": run.num_epochs_done,
        "num_parameters": run.num_parameters,
        "scored_at": run.scored_at,
        "dataset": {
            "id": dataset.id,
            "content_hash": dataset.content_hash,
            "num_samples": dataset.num_samples,
            "num_channels": dataset.num_channels,
            "classes": [entry.name for entry in dataset.classes],
        },
        "split": {name: len(positions) for name, positions in split.items()},
        "config": run.config.to_dict(),
        "adjustments": dict(run.adjustments),
        "effective_config": run.effective_config.to_dict(),
        "reasons": {leaf: str(note) for leaf, note in run.reasons.items()},
        "job": {name: getattr(job, name) for name in _JOB_FACTS},
    }


def _epochs_csv(records: Sequence[EpochRecord], dataset: Dataset) -> str:
    if not records:
        return ""
    names = [entry.name for entry in dataset.classes]
    by_class = ("val_class_dice", "val_class_iou")
    plain = [name for name in EpochRecord.__dataclass_fields__ if name not in by_class]
    header = [*plain, *(f"{kind} {name}" for kind in by_class for name in names)]
    rows = []
    for record in records:
        # IoU by class was not recorded by earlier versions.
        values = [getattr(record, kind) or [None] * len(names) for kind in by_class]
        rows.append([*(getattr(record, name) for name in plain), *values[0], *values[1]])
    return _csv(header, rows)


def _samples_of(workbench: Workbench, run: Run) -> list[MachineSample]:
    """Of the machine it ran on last, from the run's beginning to its end, or to now."""
    host = (run.job.handle or {}).get("host") or (run.environment or {}).get("host")
    if host is None:
        return []
    end = time.time() if run.job.is_live else run.job.ended_at or time.time()
    return machine_samples.between(workbench.database, host, run.created_at, end)


def _machine_csv(samples: Sequence[MachineSample]) -> str:
    if not samples:
        return ""
    plain = [name for name in MachineSample.__dataclass_fields__ if name != "gpus"]
    measured = list(dict.fromkeys(key for each in samples for gpu in each.gpus for key in gpu))
    num_gpus = max(len(each.gpus) for each in samples)
    header = [*plain, *(f"gpu {index} {key}" for index in range(num_gpus) for key in measured)]
    rows = []
    for sample in samples:
        gpus = [*sample.gpus, *({} for _missing in range(num_gpus - len(sample.gpus)))]
        of_gpus = (gpu.get(key) for gpu in gpus for key in measured)
        rows.append([*(getattr(sample, name) for name in plain), *of_gpus])
    return _csv(header, rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return written.getvalue()


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _end_of(files: Files, key: str, num_bytes: int) -> str:
    """The end of a text file, from the beginning of a line; "" where there is none."""
    try:
        with open(files.path(key), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - num_bytes, 0))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    if size <= num_bytes:
        return text
    return f"(the last {num_bytes >> 10} of {size >> 10} KiB)\n" + text.partition("\n")[2]


def _readme(run: Run, present: Mapping[str, str]) -> str:
    contents = "\n".join(f"{name:<18}{_CONTENTS[name]}" for name in present)
    return (
        f"Support bundle of run {run.id} “{run.name}”\n"
        f"made {time.strftime('%Y-%m-%d %H:%M:%S %Z')}\n\n"
        f"{contents}\n\n"
        "No image, no mask and no weight is in it. Passwords and keys of the workbench's settings\n"
        f"are replaced by {BLOT}. Names of runs, people, classes and folders are in it: look it\n"
        "through before you send it on.\n"
    )
