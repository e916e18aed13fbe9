"""The pages' only cached access to the engine, and who is asking.

What never changes (a dataset, the scores of an ended run) is cached; what lives is read anew. Keys
of the caches begin with the database's URL, so that two homes never mix.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from engine import uploads
from engine.config import DatasetProfile, Machine, Proposal
from engine.datasets.profile import profile_of
from engine.datasets.quality.findings import Finding
from engine.doctor import Diagnosis, diagnose
from engine.errors import NotFound
from engine.jobs import logs, queue
from engine.jobs.diagnosis import case_of
from engine.jobs.storage import Storage, survey
from engine.machine import this_machine
from engine.scores import rules
from engine.settings import Settings
from engine.store import datasets, drafts, epochs, jobs, machine_samples, runs, scores
from engine.store.datasets import Dataset, Sample
from engine.store.drafts import Draft
from engine.store.jobs import Job
from engine.store.machine_samples import MachineSample
from engine.store.runs import Run, Split
from engine.store.scores import SampleScore
from engine.workbench import Workbench, open_workbench
from pages.common import dataset_findings, dataset_items, formats
from pages.common.gallery import Item

_JOBS_LOOKED_THROUGH = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredSample:
    """A sample of a run's dataset with its score under that run."""

    sample: Sample
    score: SampleScore
    dice: float
    """Image Dice."""
    iou: float
    """Image IoU."""
    class_dice: tuple[float | None, ...]


def workbench() -> Workbench:
    """The home the environment names."""
    settings = Settings.from_environment(os.environ)
    return _workbench(settings.database_url, str(settings.home))


def actor() -> str:
    """Who is asking."""
    return str(st.user.get("email") or "local")


def all_datasets() -> list[Dataset]:
    """Every dataset, newest first."""
    return datasets.all_newest_first(workbench().database)


def dataset(dataset_id: str) -> Dataset:
    """One dataset. Raises `NotFound`."""
    return datasets.get(workbench().database, dataset_id)


def samples(dataset_id: str) -> Sequence[Sample]:
    """A dataset's samples, by position."""
    return _samples(workbench().database.url, dataset_id)


def report(dataset_id: str) -> Mapping[str, Any]:
    """What the import of a dataset found. Raises `NotFound`."""
    return _report(workbench().database.url, dataset_id)


def findings(dataset_id: str) -> tuple[Finding, ...]:
    """What is to be said about a dataset's quality, the gravest first."""
    return _findings(workbench().database.url, dataset_id)


def findings_by_sample(dataset_id: str) -> Mapping[int, tuple[Finding, ...]]:
    """The findings about each sample of a dataset, by position."""
    return _findings_by_sample(workbench().database.url, dataset_id)


def gallery_items(dataset_id: str) -> Sequence[Item]:
    """The cells of a dataset's samples in the gallery, by position."""
    return _gallery_items(workbench().database.url, dataset_id)


def corrections(dataset_id: str) -> list[Dataset]:
    """The versions that were made from a dataset, oldest first."""
    return datasets.corrections_of(workbench().database, dataset_id)


def runs_of(dataset_id: str) -> list[Run]:
    """The runs on a dataset, newest first."""
    return runs.of_dataset(workbench().database, dataset_id)


def sample_names(dataset_id: str) -> Sequence[str]:
    """A dataset's sample names, by position, without the folders that all of them share."""
    return _sample_names(workbench().database.url, dataset_id)


def all_drafts() -> list[Draft]:
    """Every archive on its way to a dataset, newest first."""
    return drafts.all_newest_first(workbench().database)


def draft(draft_id: str) -> Draft:
    """One draft. Raises `NotFound`."""
    return drafts.get(workbench().database, draft_id)


def last_import(draft_id: str) -> Job | None:
    """The newest import of a draft that may be gone by now."""
    newest = jobs.newest(workbench().database, "import", _JOBS_LOOKED_THROUGH)
    return next((job for job in newest if job.payload.get("draft") == draft_id), None)


def derivations(limit: int) -> list[Job]:
    """The newest corrections of datasets."""
    return jobs.newest(workbench().database, "derive", limit)


def proposal(dataset_id: str, recipe_name: str, wishes: Mapping[str, Any]) -> Proposal:
    """A recipe's settings for a dataset and this machine. Raises what `propose` does."""
    sorted_wishes = tuple(sorted(wishes.items()))
    return _proposal(workbench().database.url, dataset_id, recipe_name, sorted_wishes)


def profile(dataset_id: str, split: Split) -> DatasetProfile:
    """The numbers of a dataset that settings may depend on."""
    return profile_of(dataset(dataset_id), samples(dataset_id), split)


def machine() -> Machine:
    """What this machine has for a training."""
    return _machine(str(workbench().settings.weights))


def job(job_id: str) -> Job | None:
    """A job, if it is still there."""
    try:
        return jobs.get(workbench().database, job_id)
    except NotFound:
        return None


def unfinished_uploads() -> list[uploads.Upload]:
    """The uploads of the person who asks that can be gone on with."""
    return uploads.of_actor(workbench(), actor())


def all_runs() -> list[Run]:
    """Every run, newest first."""
    return runs.all_newest_first(workbench().database)


def run(run_id: str) -> Run:
    """One run. Raises `NotFound`."""
    return runs.get(workbench().database, run_id)


def split_sizes(run_id: str) -> dict[str, int]:
    """How many samples a run trains, validates and tests on."""
    split = runs.split_of(workbench().database, run_id)
    return {name: len(split[name]) for name in runs.SPLIT_NAMES}


def epoch_records(run_id: str) -> list[epochs.EpochRecord]:
    """A run's epochs in order."""
    return epochs.of_run(workbench().database, run_id)


def scored_samples(a_run: Run) -> Sequence[ScoredSample]:
    """The scores of a run's images, worst first; empty while there are none."""
    if not _is_scored(a_run):
        return ()
    return _scored_samples(workbench().database.url, a_run.id, a_run.scored_at)


def summaries(a_run: Run) -> Mapping[str, rules.Summary]:
    """The headline scores of each scored split; empty while there are none."""
    if not _is_scored(a_run):
        return {}
    return _summaries(workbench().database.url, a_run.id, a_run.scored_at)


def _is_scored(a_run: Run) -> bool:
    # While it scores itself, one split after another is there. One that is trained further keeps
    # its scores until it has become better.
    return a_run.scored_at is not None and a_run.job.phase != "evaluating"


def diagnoses(a_run: Run) -> Sequence[Diagnosis]:
    """What the doctor says of a run, the gravest first."""
    job = a_run.job
    state = (job.status, job.attempts, len(job.incidents), a_run.num_epochs_done, a_run.scored_at)
    return _diagnoses(workbench().database.url, a_run.id, state)


def storage() -> Storage:
    """What lies in the home, and how large it is."""
    return survey(workbench())


def machine_hosts(start: float, end: float) -> list[str]:
    """The machines that were measured in a time, in Unix seconds."""
    return machine_samples.hosts(workbench().database, start, end)


def machine_states(host: str, start: float, end: float) -> list[MachineSample]:
    """What a machine was doing in a time, in Unix seconds, oldest first."""
    return machine_samples.between(workbench().database, host, start, end)


def log_tail(job_id: str, num_lines: int) -> str:
    """The last lines of a job's log."""
    return logs.tail(workbench().files, job_id, num_lines)


@st.cache_resource(max_entries=4)
def _workbench(database_url: str, home: str) -> Workbench:
    return open_workbench(Settings.from_environment(os.environ))


# What is at hand changes slowly, and asking a driver for it takes long beside a rerun.
_MACHINE_SECONDS = 60


@st.cache_resource(max_entries=4, ttl=_MACHINE_SECONDS, show_spinner=False)
def _machine(weights: str) -> Machine:
    return this_machine(Path(weights))


@st.cache_resource(max_entries=64, ttl=_MACHINE_SECONDS, show_spinner=False)
def _proposal(
    database_url: str, dataset_id: str, recipe_name: str, wishes: tuple[tuple[str, Any], ...]
) -> Proposal:
    return queue.proposal(
        workbench(), dataset(dataset_id), samples(dataset_id), recipe_name, dict(wishes)
    )


# Resources rather than data: the records are frozen, so all sessions may share them uncopied.


@st.cache_resource(max_entries=16)
def _samples(database_url: str, dataset_id: str) -> tuple[Sample, ...]:
    return tuple(datasets.samples(workbench().database, dataset_id))


@st.cache_resource(max_entries=16, show_spinner=False)
def _report(database_url: str, dataset_id: str) -> Mapping[str, Any]:
    return datasets.report(workbench().database, dataset_id)


@st.cache_resource(max_entries=16, show_spinner=False)
def _findings(database_url: str, dataset_id: str) -> tuple[Finding, ...]:
    return dataset_findings.findings_of(report(dataset_id))


@st.cache_resource(max_entries=16, show_spinner=False)
def _findings_by_sample(database_url: str, dataset_id: str) -> Mapping[int, tuple[Finding, ...]]:
    return dataset_findings.by_sample(findings(dataset_id))


@st.cache_resource(max_entries=16, show_spinner=False)
def _gallery_items(database_url: str, dataset_id: str) -> tuple[Item, ...]:
    return dataset_items.gallery_items(
        dataset(dataset_id),
        samples(dataset_id),
        sample_names(dataset_id),
        findings_by_sample(dataset_id),
    )


@st.cache_resource(max_entries=16)
def _sample_names(database_url: str, dataset_id: str) -> tuple[str, ...]:
    return tuple(formats.without_shared_folders([each.name for each in samples(dataset_id)]))


@st.cache_resource(max_entries=32)
def _summaries(
    database_url: str, run_id: str, scored_at: float | None
) -> Mapping[str, rules.Summary]:
    a_run = run(run_id)
    classes = dataset(a_run.dataset_id).classes
    scored = scored_samples(a_run)
    found = {
        split: rules.summarize(
            [each.score for each in scored if each.score.split == split], classes
        )
        for split in runs.SPLIT_NAMES
    }
    return {split: summary for split, summary in found.items() if summary is not None}


@st.cache_resource(max_entries=32)
def _scored_samples(
    database_url: str, run_id: str, scored_at: float | None
) -> tuple[ScoredSample, ...]:
    a_run = run(run_id)
    classes = dataset(a_run.dataset_id).classes
    by_position = {sample.position: sample for sample in samples(a_run.dataset_id)}
    scored = [
        ScoredSample(
            sample=by_position[score.position],
            score=score,
            dice=rules.image_dice(score, classes),
            iou=rules.image_iou(score, classes),
            class_dice=tuple(rules.class_values(score, rules.dice)),
        )
        for score in scores.of_run(workbench().database, run_id)
    ]
    return tuple(sorted(scored, key=lambda each: (each.dice, each.sample.position)))


@st.cache_resource(max_entries=64, show_spinner=False)
def _diagnoses(
    database_url: str, run_id: str, state: tuple[str | float | None, ...]
) -> tuple[Diagnosis, ...]:
    a_run = run(run_id)
    case = case_of(
        a_run,
        records=epoch_records(run_id),
        split_sizes=split_sizes(run_id),
        classes=dataset(a_run.dataset_id).classes,
        scored=[each.score for each in scored_samples(a_run)],
    )
    return tuple(diagnose(case))
