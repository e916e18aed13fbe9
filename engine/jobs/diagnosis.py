"""From a stored run to what the doctor says of it."""

from collections.abc import Mapping, Sequence

from engine.doctor import Case, ClassRow, Diagnosis, diagnose
from engine.events import EpochRecord
from engine.scores.rules import pool
from engine.store import datasets, epochs, runs, scores
from engine.store.runs import Run
from engine.store.scores import SampleScore
from engine.workbench import Workbench


def diagnoses(workbench: Workbench, run: Run) -> list[Diagnosis]:
    """What is to be said about a run, the gravest first; [] when all is well."""
    database = workbench.database
    split = runs.split_of(database, run.id)
    case = case_of(
        run,
        records=epochs.of_run(database, run.id),
        split_sizes={name: len(positions) for name, positions in split.items()},
        classes=datasets.get(database, run.dataset_id).classes,
        scored=scores.of_run(database, run.id),
    )
    return diagnose(case)


def case_of(
    run: Run,
    *,
    records: Sequence[EpochRecord],
    split_sizes: Mapping[str, int],
    classes: Sequence[ClassRow],
    scored: Sequence[SampleScore],
) -> Case:
    """A run as the doctor is told of it.

    Args:
        records: its epochs.
        split_sizes: how many samples it trains, validates and tests on.
        classes: of its dataset.
        scored: the scores of its images, as far as there are any.
    """
    held_out = [score for score in scored if score.split != "train"]
    return Case(
        config=run.config,
        status=run.status,
        error=run.job.error,
        incidents=run.job.incidents,
        adjustments=run.adjustments,
        records=records,
        split_sizes=split_sizes,
        classes=classes,
        # While it is trained further, they are of an epoch that it may have left behind.
        counts=pool(held_out) if held_out and not run.job.is_live else None,
    )
