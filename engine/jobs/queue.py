"""Wishes as rows: what a page or a command asks for is validated here and queued.

Each function takes the acting user as `actor`.
"""

from pathlib import Path

from engine.config import TrainConfig
from engine.datasets.splits import assign_split
from engine.jobs.daemon import ensure_worker
from engine.models.arithmetic import num_outputs, num_parameters
from engine.store import datasets, jobs, runs
from engine.store.database import new_id
from engine.workbench import Workbench


def submit_import(workbench: Workbench, source_key: str, name: str, *, actor: str) -> str:
    """Queue the import of an uploaded file; returns the job's id.

    Args:
        source_key: the file below the home; it is removed when the import ends.
    """
    payload = {"source": source_key, "name": name}
    job_id = jobs.add(workbench.database, "import", payload, actor=actor)
    ensure_worker(workbench)
    return job_id


def new_upload_key(file_name: str) -> str:
    """A key for an uploaded file; only the suffix of its name is used."""
    suffix = Path(file_name).suffix.lower()
    return f"uploads/{new_id()}{suffix if suffix.isascii() and len(suffix) < 8 else ''}"


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

    Raises:
        NotFound: there is no such dataset.
        BadData: the dataset is too small to be split.
    """
    dataset = datasets.get(workbench.database, dataset_id)
    run_id = runs.add(
        workbench.database,
        name=name or _default_name(workbench, dataset, config),
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


def config_parameters(config: TrainConfig, dataset: datasets.Dataset) -> int:
    """Trainable parameters of the network these settings give on this dataset."""
    in_channels = {"rgb": 3, "grey": 1, "dataset": dataset.num_channels}[config.images.color]
    return num_parameters(config.model, in_channels, num_outputs(len(dataset.classes)))


def _default_name(workbench: Workbench, dataset: datasets.Dataset, config: TrainConfig) -> str:
    number = len(runs.of_dataset(workbench.database, dataset.id)) + 1
    return f"{dataset.name} {config.recipe} {number}"
