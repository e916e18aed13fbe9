"""Wishes about runs as rows: validated here and queued. Those about datasets are in `imports`.

Each function takes the acting user as `actor`.
"""

from collections.abc import Sequence

from engine.config import SplitConfig, TrainConfig
from engine.datasets.importer import MAX_NAME_CHARS
from engine.datasets.splits import leaks, split_of_run
from engine.errors import BadInput, Refused
from engine.jobs.daemon import ensure_worker
from engine.models.arithmetic import num_outputs, num_parameters
from engine.store import datasets, jobs, runs
from engine.store.datasets import Sample
from engine.store.runs import Split
from engine.workbench import Workbench


def submit_training(
    workbench: Workbench,
    dataset_id: str,
    config: TrainConfig,
    *,
    name: str | None = None,
    actor: str,
) -> str:
    """Queue a training; returns the run's id.

    The run keeps its own copy of the split.

    Args:
        name: what people call the run; None or blank for one made from dataset and recipe.

    Raises:
        NotFound: there is no such dataset.
        BadData: the dataset is too small to be split.
        BadInput: the name is too long.
        Refused: copies of training images would be scored, and the settings do not accept it.
    """
    dataset = datasets.get(workbench.database, dataset_id)
    samples = datasets.samples(workbench.database, dataset_id)
    run_id = runs.add(
        workbench.database,
        name=_checked_name(name or "") or _default_name(workbench, dataset, config),
        dataset_id=dataset.id,
        config=config,
        split=checked_split(samples, config.split),
        num_parameters=config_parameters(config, dataset),
        actor=actor,
    )
    ensure_worker(workbench)
    return run_id


def checked_split(samples: Sequence[Sample], config: SplitConfig) -> Split:
    """The split that a run with these settings would have.

    Raises:
        BadData: the dataset is too small to be split.
        BadSetting: the dataset has no such fold.
        Refused: copies of training images would be scored, and the settings do not accept it.
    """
    split = split_of_run(samples, config)
    leaking = leaks(samples, split)
    if leaking and not config.accept_leaks:
        raise Refused(
            "{num} samples have copies in another part of the split, such as “{first}” and "
            "“{second}”, so the scores would be too good. Make a version without the leak on the "
            "dataset's page, or switch “Accept leaks” (accept_leaks) on.",
            num=sum(map(len, leaking)),
            first=samples[leaking[0][0]].name,
            second=samples[leaking[0][1]].name,
        )
    return split


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
