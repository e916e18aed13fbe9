"""How the store bears many writers, a large home, and many workers at one queue.

    python -m benchmarks.store [--quick] [--json]

Epochs: processes that each record the epochs of a run of their own, all at once, into one SQLite
home; counted afterwards. Reading: the query of the runs page, and the scores of one run, in a home
of many runs and score rows. Jobs: processes that claim and end the jobs of one queue.
The time begins when all processes are ready.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scale import make_dataset
from engine.config import recipe
from engine.events import EpochRecord
from engine.settings import Settings
from engine.store import attempts, epochs, jobs, runs, scores
from engine.store.database import Database, open_database
from engine.store.scores import SampleScore
from engine.workbench import Workbench, open_workbench

NUM_WRITERS, NUM_RECORDS = 32, 1000
NUM_RUNS, NUM_EPOCHS, NUM_SAMPLES, NUM_CLASSES = 1000, 30, 500, 2
NUM_CLAIMERS, NUM_JOBS = 8, 1000
NUM_READINGS = 7
QUICK_SHARE = 0.1

TRACKIO_RECORDS_PER_SECOND = 32_000 / 14
"""Published in Trackio's README: 32 threads, 1,000 logs each, about 14 s on 2 virtual CPUs."""


def at_once(
    count: int, work: Callable[..., Any], arguments: list[tuple[Any, ...]]
) -> tuple[float, list[Any]]:
    """Seconds that so many processes need together, and what each of them found.

    Args:
        work: called in each process with an open database and its arguments, the first of
            which is the database's URL.
    """
    context = multiprocessing.get_context("spawn")
    barrier, found = context.Barrier(count + 1), context.Queue()
    processes = [
        context.Process(target=_work, args=(work, barrier, found, *each)) for each in arguments
    ]
    for process in processes:
        process.start()
    barrier.wait()
    started_at = time.perf_counter()
    results = [found.get() for _ in processes]
    seconds = time.perf_counter() - started_at
    for process in processes:
        process.join()
    return seconds, results


def _work(
    work: Callable[..., Any], barrier: Barrier, found: "Queue[Any]", url: str, *arguments: Any
) -> None:
    database = open_database(url)
    barrier.wait()
    found.put(work(database, *arguments))
    database.close()


def record_epochs(database: Database, run_id: str, num_records: int) -> float:
    """Record epochs; the longest that one of them took, in seconds."""
    longest = 0.0
    for record in epoch_records(num_records):
        started_at = time.perf_counter()
        epochs.add(database, run_id, record)
        longest = max(longest, time.perf_counter() - started_at)
    return longest


def claim_jobs(database: Database, number: int) -> list[str]:
    """Claim and end jobs until none is left; their ids."""
    claimed = []
    while job := attempts.claim(database, ["train"], f"slot {number}"):
        attempts.finish(database, job, "completed")
        claimed.append(job.id)
    return claimed


def epoch_records(count: int) -> list[EpochRecord]:
    """Epochs that get better and better."""
    return [
        EpochRecord(
            epoch=epoch,
            train_loss=1 / epoch,
            val_loss=1 / epoch,
            val_dice=1 - 1 / (epoch + 1),
            val_iou=0.5,
            val_class_dice=(0.5,) * NUM_CLASSES,
            val_class_iou=(0.5,) * NUM_CLASSES,
            learning_rate=0.001,
            seconds=1.0,
            images_per_second=100.0,
            is_best=True,
        )
        for epoch in range(1, count + 1)
    ]


def add_runs(database: Database, dataset_id: str, count: int) -> list[str]:
    """Queued runs without epochs."""
    return [
        runs.add(
            database,
            name=f"run {number}",
            dataset_id=dataset_id,
            config=recipe("quick"),
            split={"train": [], "val": [], "test": []},
            num_parameters=1,
            actor=f"person {number % 8}",
        )
        for number in range(count)
    ]


def measure_writing(workbench: Workbench, share: float) -> dict[str, float]:
    """Many processes that record epochs."""
    num_records = round(NUM_RECORDS * share)
    run_ids = add_runs(workbench.database, make_dataset(workbench, 1), NUM_WRITERS)
    url = workbench.settings.database_url
    arguments = [(url, run_id, num_records) for run_id in run_ids]
    seconds, longest = at_once(NUM_WRITERS, record_epochs, arguments)
    written = [len(epochs.of_run(workbench.database, run_id)) for run_id in run_ids]
    per_second = NUM_WRITERS * num_records / seconds
    return {
        "write_s": seconds,
        "records_per_second": per_second,
        "ratio_to_trackio": per_second / TRACKIO_RECORDS_PER_SECOND,
        "longest_record_s": max(longest),
        "records_lost": NUM_WRITERS * num_records - sum(written),
    }


def measure_reading(workbench: Workbench, share: float) -> dict[str, float]:
    """A home of many runs, all trained and scored."""
    database = workbench.database
    dataset_id = make_dataset(workbench, NUM_SAMPLES)
    run_ids = add_runs(database, dataset_id, round(NUM_RUNS * share))
    records, (found, histograms) = epoch_records(NUM_EPOCHS), some_scores()
    for run_id in run_ids:
        epochs.restore(database, run_id, records)
        scores.add(database, run_id, found, histograms)
    while job := attempts.claim(database, ["train"], "slot"):
        attempts.finish(database, job, "completed")
    run_id = run_ids[len(run_ids) // 2]
    assert len(runs.all_newest_first(database)) == len(run_ids)
    assert len(scores.of_run(database, run_id)) == NUM_SAMPLES
    return {
        "score_rows": len(run_ids) * NUM_SAMPLES * NUM_CLASSES,
        "runs_query_s": median_seconds(lambda: runs.all_newest_first(database)),
        "one_run_s": median_seconds(lambda: runs.get(database, run_id)),
        "run_scores_s": median_seconds(lambda: scores.of_run(database, run_id)),
    }


def some_scores() -> tuple[list[SampleScore], list[NDArray[np.int64]]]:
    """Random counts, and histograms of a network that is sure of most pixels."""
    generator = np.random.default_rng(0)
    counts = generator.integers(0, 60_000, (NUM_SAMPLES, 3, NUM_CLASSES)).tolist()
    found = [
        SampleScore(position=position, split="test", tp=tuple(tp), fp=tuple(fp), fn=tuple(fn))
        for position, (tp, fp, fn) in enumerate(counts)
    ]
    bins = np.minimum(np.arange(256), np.arange(256)[::-1])
    expected = np.broadcast_to(60_000 * np.exp(-bins / 3), (NUM_CLASSES, 2, 256))
    return found, [generator.poisson(expected) for _ in range(NUM_SAMPLES)]


def median_seconds(read: Callable[[], Any]) -> float:
    """Of several readings."""
    times = []
    for _ in range(NUM_READINGS):
        started_at = time.perf_counter()
        read()
        times.append(time.perf_counter() - started_at)
    return statistics.median(times)


def measure_claiming(workbench: Workbench, share: float) -> dict[str, float]:
    """Many processes at one queue."""
    queued = [
        jobs.add(workbench.database, "train", {}, actor=f"person {number % 8}")
        for number in range(round(NUM_JOBS * share))
    ]
    url = workbench.settings.database_url
    arguments = [(url, number) for number in range(NUM_CLAIMERS)]
    seconds, claimed = at_once(NUM_CLAIMERS, claim_jobs, arguments)
    times_claimed = Counter(job_id for each in claimed for job_id in each)
    return {
        "jobs_per_second": len(queued) / seconds,
        "jobs_claimed_twice": sum(count > 1 for count in times_claimed.values()),
        "jobs_never_claimed": len(set(queued) - set(times_claimed)),
    }


def measure(share: float) -> dict[str, float]:
    """Everything, each in a home of its own."""
    result: dict[str, float] = {}
    for part in (measure_writing, measure_reading, measure_claiming):
        with tempfile.TemporaryDirectory() as home:
            workbench = open_workbench(Settings.for_home(Path(home)))
            try:
                result |= part(workbench, share)
            finally:
                workbench.close()
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(QUICK_SHARE if options.quick else 1.0)
    for name, value in result.items():
        print(f"{name}: {value:,.3f}" if isinstance(value, float) else f"{name}: {value:,}")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
