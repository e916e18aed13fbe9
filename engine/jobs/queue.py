"""Wishes for runs as rows: validated here and queued. Those about datasets are in `imports`, those
about what is there already in `control`.

Each function takes the acting user as `actor`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.config import (
    Proposal,
    SplitConfig,
    TrainConfig,
    propose,
    recipe,
    with_changes,
)
from engine.datasets.importer import MAX_NAME_CHARS
from engine.datasets.profile import profile_of
from engine.datasets.splits import leaks, split_of_run
from engine.errors import BadData, BadInput, BadSetting, NotFound, Refused
from engine.jobs.daemon import ensure_worker
from engine.jobs.forecast import forecast
from engine.machine import this_machine
from engine.models.arithmetic import num_outputs, num_parameters
from engine.notes import Note
from engine.store import datasets, jobs, runs
from engine.store.datasets import Dataset, Sample
from engine.store.runs import Split
from engine.workbench import Workbench

WANTS = ("pictures", "speed", "overfit", "rates")
"""What a preflight can find out: how training pairs look once they are changed, what a step costs,
whether the network can learn one batch by heart, and how the loss answers to the learning rate."""


def proposal(
    workbench: Workbench,
    dataset: Dataset,
    samples: Sequence[Sample],
    recipe_name: str,
    wishes: Mapping[str, Any],
) -> Proposal:
    """A recipe's settings for a dataset on this machine, with the reasons.

    Args:
        samples: of the dataset, in natural order.
        wishes: settings a person has decided, by leaf name or dotted name.

    Raises:
        BadData: the dataset is too small to be split.
        BadSetting: there is no such recipe, a wish cannot be granted, or the dataset has no such
            fold.
    """
    config = with_changes(recipe(recipe_name), wishes)
    profile = profile_of(dataset, samples, split_of_run(samples, config.split))
    return propose(
        recipe_name,
        profile,
        this_machine(workbench.settings.weights),
        wishes,
        lambda config: forecast(config, dataset).memory_bytes,
    )


def submit_training(
    workbench: Workbench,
    dataset_id: str,
    config: TrainConfig,
    *,
    reasons: Mapping[str, Note] | None = None,
    name: str | None = None,
    actor: str,
) -> str:
    """Queue a training; returns the run's id.

    The run keeps its own copy of the split, and of the reasons.

    Args:
        reasons: why settings have their values, by leaf name; see `proposal`.
        name: what people call the run; None or blank for one made from dataset and recipe.

    Raises:
        NotFound: there is no such dataset.
        BadData: the dataset is too small to be split.
        BadInput: the name is too long.
        BadSetting: the settings do not suit the dataset, or start from a run that is not there.
        Refused: copies of training images would be scored, and the settings do not accept it; or
            the run to start from has no checkpoint.
    """
    dataset = datasets.get(workbench.database, dataset_id)
    samples = datasets.samples(workbench.database, dataset_id)
    config = _checked_config(workbench, dataset, config)
    run_id = runs.add(
        workbench.database,
        name=checked_name(name or "") or _default_name(workbench, dataset, config),
        dataset_id=dataset.id,
        config=config,
        split=checked_split(samples, config.split),
        num_parameters=config_parameters(config, dataset),
        actor=actor,
        reasons=reasons,
    )
    ensure_worker(workbench)
    return run_id


def submit_preflight(
    workbench: Workbench, dataset_id: str, config: TrainConfig, want: Sequence[str], *, actor: str
) -> str:
    """Queue a trial of some settings; returns the job's id.

    Args:
        want: some of `WANTS`; the job's result has them as keys.

    Raises:
        NotFound: there is no such dataset.
        BadInput: what is wanted is unknown, or nothing.
        BadData: the dataset is too small to be split.
        BadSetting: as for a training.
        Refused: as for a training.
    """
    unknown = [name for name in want if name not in WANTS]
    if unknown or not want:
        raise BadInput(
            "A preflight was asked for {seen}; it can find out: {known}.",
            seen=", ".join(f"“{name}”" for name in unknown) or "nothing",
            known=", ".join(WANTS),
        )
    dataset = datasets.get(workbench.database, dataset_id)
    config = _checked_config(workbench, dataset, config)
    checked_split(datasets.samples(workbench.database, dataset_id), config.split)
    payload = {
        "dataset": dataset.id,
        "config": config.to_dict(),
        "want": [name for name in WANTS if name in want],
    }
    job_id = jobs.add(workbench.database, "preflight", payload, actor=actor)
    ensure_worker(workbench)
    return job_id


def stop_preflight(workbench: Workbench, job_id: str, *, actor: str) -> None:
    """Ask a preflight to stop.

    Raises:
        NotFound: there is no such preflight.
        Refused: it has ended already.
    """
    if jobs.get(workbench.database, job_id).kind != "preflight":
        raise NotFound("There is no preflight “{job}”.", job=job_id)
    jobs.request_stop(workbench.database, job_id, actor=actor)
    if jobs.get(workbench.database, job_id).is_live:
        ensure_worker(workbench)


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


def config_parameters(config: TrainConfig, dataset: Dataset) -> int:
    """Trainable parameters of the network these settings give on this dataset."""
    in_channels = config.images.num_channels(dataset.num_channels)
    return num_parameters(config.model, in_channels, num_outputs(len(dataset.classes)))


def _checked_config(workbench: Workbench, dataset: Dataset, config: TrainConfig) -> TrainConfig:
    """The settings, once they suit the dataset; the run to start from by its id."""
    if len(dataset.classes) < 2:
        raise BadData(
            "“{dataset}” has one class, and there is nothing to tell it from. Make a version with "
            "two classes or more; a background counts as one.",
            dataset=dataset.name,
        )
    # Refuses what no network can be built of.
    config_parameters(config, dataset)
    weights = config.loss.class_weights
    if weights is not None and len(weights) != len(dataset.classes):
        raise BadSetting(
            "Given class weights (class_weights) are {seen} and the dataset has {num} classes "
            "({names}). Give one number for each, in this order.",
            seen=len(weights),
            num=len(dataset.classes),
            names=", ".join(entry.name for entry in dataset.classes),
        )
    if config.model.start_from is None:
        return config
    try:
        start = runs.find(workbench.database, config.model.start_from)
    except NotFound:
        raise BadSetting(
            "Start from run (start_from) is “{run}”, and there is no run with that id or name. "
            "Choose another, or none.",
            run=config.model.start_from,
        ) from None
    if start.best_epoch is None:
        raise Refused(
            "Run “{run}” (start_from) is {status} and has no weights yet to start from. Wait for "
            "its first epoch, or choose another run.",
            run=start.name,
            status=start.status,
        )
    return with_changes(config, {"start_from": start.id})


def checked_name(name: str) -> str:
    """A name for a run without the blanks around it; may be empty.

    Raises:
        BadInput: it is too long.
    """
    name = name.strip()
    if len(name) > MAX_NAME_CHARS:
        raise BadInput(
            "The name of the run has {num} characters; it may have {limit}. Give a shorter one.",
            num=len(name),
            limit=MAX_NAME_CHARS,
        )
    return name


def _default_name(workbench: Workbench, dataset: Dataset, config: TrainConfig) -> str:
    number = len(runs.of_dataset(workbench.database, dataset.id)) + 1
    ending = f" {config.recipe} {number}"
    return dataset.name[: MAX_NAME_CHARS - len(ending)] + ending
