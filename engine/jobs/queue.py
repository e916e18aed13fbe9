"""Wishes as rows: what a page or a command asks for is validated here and queued.

Each function takes the acting user as `actor`.
"""

import re
import shutil
from pathlib import PurePath
from typing import BinaryIO

from engine.config import TrainConfig
from engine.datasets.disk import disk_errors
from engine.datasets.importer import MAX_NAME_CHARS
from engine.datasets.splits import assign_split
from engine.datasets.toy import write_toy_zip
from engine.errors import BadInput
from engine.jobs.daemon import ensure_worker
from engine.jobs.import_task import upload_folder
from engine.models.arithmetic import num_outputs, num_parameters
from engine.store import datasets, jobs, runs
from engine.store.database import new_id
from engine.workbench import Workbench

_MAX_FILE_NAME_BYTES = 100
_COPY_BYTES = 1 << 20


def submit_upload(workbench: Workbench, stream: BinaryIO, file_name: str, *, actor: str) -> str:
    """Keep an uploaded file and queue its import; returns the job's id.

    The dataset is named after the file. The file is removed when the import ends.

    Raises:
        Refused: it cannot be written, because the disk is full for instance.
    """
    source = _upload_key(file_name)
    with disk_errors(), workbench.files.writing(source) as path, open(path, "wb") as file:
        shutil.copyfileobj(stream, file, _COPY_BYTES)
    return _submit_import(workbench, source, PurePath(file_name).stem, actor)


def submit_toy(workbench: Workbench, name: str, *, actor: str) -> str:
    """Queue the import of a generated dataset; returns the job's id."""
    source = _upload_key("toy.zip")
    with workbench.files.writing(source) as path:
        write_toy_zip(path)
    return _submit_import(workbench, source, name, actor)


def stop_import(workbench: Workbench, job_id: str, *, actor: str) -> None:
    """Ask an import to stop; nothing of it remains.

    Raises:
        NotFound: there is no such job.
        Refused: it has ended already.
    """
    jobs.request_stop(workbench.database, job_id, actor=actor)
    job = jobs.get(workbench.database, job_id)
    if job.status == "stopped":
        # It never started, so no process removes its file.
        workbench.files.remove(upload_folder(job))


def _upload_key(file_name: str) -> str:
    """Where an uploaded file waits: in a folder of its own, under its name, for messages to use.

    The name comes from a browser; only harmless characters of it are kept.
    """
    harmless = re.sub(r"[^\w .()-]", "_", PurePath(file_name).name).encode(errors="replace")
    # Cut in bytes, as file systems count them, and from the left: the suffix says what it is.
    name = harmless[-_MAX_FILE_NAME_BYTES:].decode(errors="ignore").strip(" .")
    return f"uploads/{new_id()}/{name or 'upload'}"


def _submit_import(workbench: Workbench, source: str, name: str, actor: str) -> str:
    payload = {"source": source, "name": name.strip()[:MAX_NAME_CHARS] or "dataset"}
    job_id = jobs.add(workbench.database, "import", payload, actor=actor)
    ensure_worker(workbench)
    return job_id


def submit_training(
    workbench: Workbench,
    dataset_id: str,
    config: TrainConfig,
    *,
    name: str | None = None,
    actor: str,
) -> str:
    """Queue a training; returns the run's id.

    The split is decided here and stored with the run.

    Args:
        name: what people call the run; None or blank for one made from dataset and recipe.

    Raises:
        NotFound: there is no such dataset.
        BadData: the dataset is too small to be split.
        BadInput: the name is too long.
    """
    dataset = datasets.get(workbench.database, dataset_id)
    run_id = runs.add(
        workbench.database,
        name=_checked_name(name or "") or _default_name(workbench, dataset, config),
        dataset_id=dataset.id,
        config=config,
        split=assign_split(dataset.num_samples, config.split),
        num_parameters=config_parameters(config, dataset),
        actor=actor,
    )
    ensure_worker(workbench)
    return run_id


def stop_run(workbench: Workbench, run_id: str, *, actor: str) -> None:
    """Ask a run to stop; a queued one is stopped at once.

    Raises:
        NotFound: there is no such run.
        Refused: it has ended already.
    """
    run = runs.get(workbench.database, run_id)
    jobs.request_stop(workbench.database, run.job.id, actor=actor)
    if runs.get(workbench.database, run_id).job.is_live:
        # Where its process has died unseen, a worker has to say so.
        ensure_worker(workbench)


def config_parameters(config: TrainConfig, dataset: datasets.Dataset) -> int:
    """Trainable parameters of the network these settings give on this dataset."""
    in_channels = {"rgb": 3, "grey": 1, "dataset": dataset.num_channels}[config.images.color]
    return num_parameters(config.model, in_channels, num_outputs(len(dataset.classes)))


def _checked_name(name: str) -> str:
    name = name.strip()
    if len(name) > MAX_NAME_CHARS:
        raise BadInput(
            "The name of the run has {num} characters; it may have {limit}. Give a shorter one.",
            num=len(name),
            limit=MAX_NAME_CHARS,
        )
    return name


def _default_name(workbench: Workbench, dataset: datasets.Dataset, config: TrainConfig) -> str:
    number = len(runs.of_dataset(workbench.database, dataset.id)) + 1
    ending = f" {config.recipe} {number}"
    return dataset.name[: MAX_NAME_CHARS - len(ending)] + ending
