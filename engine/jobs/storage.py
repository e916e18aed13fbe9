"""What lies in the home, how large it is, and removing what can be done without.

Nothing here is needed to look at a run or to predict with it: best weights, scores and pictures
go only with the run itself (`engine.jobs.control.delete_run`).

Each function that removes something takes the acting user as `actor`, says in bytes what became
free, and may be killed at any point: what is left is whole, and removed by asking again.
"""

import logging
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.config import TrainConfig, output_size, parse_config
from engine.errors import NotFound, Refused
from engine.jobs.folder_sizes import (
    bytes_below,
    file_bytes,
    file_sizes,
    folder_names,
    modified_at,
    settled_bytes,
    unlink,
)
from engine.jobs.logs import log_key
from engine.run_files import (
    best_key,
    checkpoints_folder,
    last_key,
    older_best_key,
    previous_key,
    run_folder,
)
from engine.settings import Settings
from engine.store import datasets, jobs, runs
from engine.store.datasets import Dataset
from engine.store.runs import Run
from engine.workbench import Workbench

log = logging.getLogger(__name__)

_WITH_STATE = (older_best_key, previous_key, last_key)
"""In the order of their removal: the newest state is there as long as anything is."""
_CACHE_NAME = re.compile(r"native|[0-9]{1,6}")
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStorage:
    """What one run takes."""

    run: Run
    weights_bytes: int
    """Of its best weights."""
    state_bytes: int
    """What it needs to be trained further."""
    pictures_bytes: int
    """Predictions, errors and thumbnails."""
    log_bytes: int
    state_expires_at: float | None
    """When its training state will be removed by itself; None: not, or there is none."""

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.state_bytes + self.pictures_bytes + self.log_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheStorage:
    """A dataset's images as a training wants them, at one size."""

    name: str
    """The size in pixels, or “native” for every image's own."""
    num_bytes: int
    used_at: float
    """When a training with it last ended, or when it was written."""
    is_in_use: bool
    """Whether a training or a trial that runs or waits needs it."""
    expires_at: float | None
    """When it will be removed by itself; None: not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetStorage:
    """What one dataset takes."""

    dataset: Dataset
    files_bytes: int
    caches: tuple[CacheStorage, ...]

    @property
    def cache_bytes(self) -> int:
        """Of all sizes together."""
        return sum(cache.num_bytes for cache in self.caches)


@dataclass(frozen=True, kw_only=True, slots=True)
class Storage:
    """What lies in a home, in bytes."""

    runs: tuple[RunStorage, ...]
    """Newest first."""
    datasets: tuple[DatasetStorage, ...]
    """Newest first."""
    imports_bytes: int
    """Uploads, and archives that are not imported yet."""
    logs_bytes: int
    """Of all jobs, those of trainings included, and of the worker."""
    database_bytes: int
    """0 when the database is a server's."""
    other_bytes: int
    """Trials, pretrained weights, and what has no row any more."""
    disk_free_bytes: int
    disk_total_bytes: int

    def by_kind(self) -> dict[str, int]:
        """Bytes of each kind of thing: together all that lies in the home."""
        return {
            "weights": sum(each.weights_bytes for each in self.runs),
            "states": sum(each.state_bytes for each in self.runs),
            "pictures": sum(each.pictures_bytes for each in self.runs),
            "datasets": sum(each.files_bytes for each in self.datasets),
            "caches": sum(each.cache_bytes for each in self.datasets),
            "imports": self.imports_bytes,
            "logs": self.logs_bytes,
            "database": self.database_bytes,
            "other": self.other_bytes,
        }


def survey(workbench: Workbench) -> Storage:
    """Look at everything in the home.

    What is written once, such as pictures, is counted once per process and folder, so that a
    home with many runs is looked at quickly from the second time on.
    """
    root, settings = workbench.files.root, workbench.settings
    logs = dict(file_sizes(root / "logs"))
    found_runs = runs.all_newest_first(workbench.database)
    uses = _uses(workbench, found_runs)
    database_files = _database_files(workbench)
    run_storages = tuple(
        _run_storage(root, run, logs.get(Path(log_key(run.job.id)).name, 0), settings)
        for run in found_runs
    )
    dataset_storages = tuple(
        _dataset_storage(root, dataset, uses, settings)
        for dataset in datasets.all_newest_first(workbench.database)
    )
    known = {
        "runs": {run.id for run in found_runs},
        "datasets": {each.dataset.id for each in dataset_storages},
    }
    disk = shutil.disk_usage(root)
    return Storage(
        runs=run_storages,
        datasets=dataset_storages,
        imports_bytes=bytes_below(root / "uploads") + bytes_below(root / "drafts"),
        logs_bytes=sum(logs.values()),
        database_bytes=sum(map(file_bytes, database_files)),
        other_bytes=_other_bytes(root, known, database_files),
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
    )


def has_training_state(workbench: Workbench, run_id: str) -> bool:
    """Whether a run can be trained further from where it stands."""
    folder = run_folder(run_id)
    return any(workbench.files.path(key(folder)).exists() for key in (last_key, previous_key))


def remove_training_state(workbench: Workbench, run_id: str, *, actor: str) -> int:
    """Remove what a run needs to be trained further; best weights, scores and pictures stay.

    Raises:
        NotFound: there is no such run.
        Refused: it has not ended.
    """
    folder = run_folder(run_id)
    # While this transaction lasts, nobody queues the run again.
    with workbench.database.writing():
        run = runs.get(workbench.database, run_id)
        if run.job.is_live:
            raise Refused(
                "“{run}” is {status} and needs its training state. Stop it first.",
                run=run.name,
                status=run.status,
            )
        freed = sum(unlink(workbench.files.path(key(folder))) for key in _WITH_STATE)
    log.info("The training state of run %s was removed for “%s”: %d bytes.", run_id, actor, freed)
    return freed


def remove_cache(workbench: Workbench, dataset_id: str, name: str, *, actor: str) -> int:
    """Remove a dataset's images as trainings at one size want them; the next one prepares them
    anew.

    Args:
        name: see `CacheStorage`.

    Raises:
        NotFound: there is no such dataset, or no such size.
        Refused: a training or a trial that runs or waits needs them.
    """
    dataset = datasets.get(workbench.database, dataset_id)
    if not _CACHE_NAME.fullmatch(name):
        raise NotFound("There are no prepared images “{name}”.", name=name)
    folder = _cache(workbench.files.root, dataset_id) / name
    # While this transaction lasts, nobody queues a training.
    with workbench.database.writing():
        users = runs.of_dataset(workbench.database, dataset_id)
        if (dataset_id, name) in _live_uses(workbench, users):
            raise Refused(
                "A training or a trial needs the prepared images of “{dataset}” ({name}). Wait "
                "for its end, or stop it first.",
                dataset=dataset.name,
                name=name,
            )
        # A training that has opened a file keeps it; one that lacks a file writes it anew.
        freed = sum(unlink(folder / file_name) for file_name, _ in file_sizes(folder))
        with suppress(OSError):
            folder.rmdir()
    log.info("Cache %s of dataset %s was removed for “%s”.", name, dataset_id, actor)
    return freed


def remove_log(workbench: Workbench, job_id: str, *, actor: str) -> int:
    """Remove what the process of an ended job printed.

    Raises:
        NotFound: there is no such job.
        Refused: it has not ended.
    """
    job = jobs.get(workbench.database, job_id)
    if job.is_live:
        raise Refused("The job is {status} and writes its log. Stop it first.", status=job.status)
    freed = unlink(workbench.files.path(log_key(job_id)))
    log.info("The log of job %s was removed for “%s”.", job_id, actor)
    return freed


def remove_expired(workbench: Workbench, *, actor: str) -> None:
    """Remove the training states and the prepared images that nobody has needed for longer than
    `Settings.keep_states_days`."""
    root, settings, now = workbench.files.root, workbench.settings, time.time()
    if not settings.keep_states_days:
        return
    found = runs.all_newest_first(workbench.database)
    for run in found:
        expires_at = _state_expires_at(run, settings)
        is_over = expires_at is not None and expires_at < now
        if is_over and has_training_state(workbench, run.id):
            # Resumed or deleted a moment ago: then it stays, or is gone.
            with suppress(Refused, NotFound):
                remove_training_state(workbench, run.id, actor=actor)
    uses = _uses(workbench, found)
    for dataset in datasets.all_newest_first(workbench.database):
        for cache in _caches(root, dataset.id, uses, settings):
            if cache.expires_at is not None and cache.expires_at < now:
                with suppress(Refused, NotFound):
                    remove_cache(workbench, dataset.id, cache.name, actor=actor)


def cache_name(config: TrainConfig) -> str:
    """The size in which a training with these settings wants a dataset; see `CacheStorage`."""
    if config.images.view == "patches":
        return "native"
    return str(output_size(config.model, config.images.image_size_px))


def _run_storage(root: Path, run: Run, log_bytes: int, settings: Settings) -> RunStorage:
    folder = root / run_folder(run.id)
    checkpoints = root / checkpoints_folder(run_folder(run.id))
    sizes = dict(file_sizes(checkpoints))
    weights_bytes = sizes.pop(Path(best_key("")).name, 0)
    # With what a process has begun to write.
    state_bytes = sum(sizes.values())
    return RunStorage(
        run=run,
        weights_bytes=weights_bytes,
        state_bytes=state_bytes,
        pictures_bytes=sum(
            settled_bytes(folder / name)
            for name in folder_names(folder)
            if name != checkpoints.name
        ),
        log_bytes=log_bytes,
        state_expires_at=_state_expires_at(run, settings) if state_bytes else None,
    )


def _state_expires_at(run: Run, settings: Settings) -> float | None:
    ended_at = run.job.ended_at
    # Whoever paused a run means to go on with it.
    if not settings.keep_states_days or ended_at is None or run.job.is_live or run.job.is_paused:
        return None
    return ended_at + settings.keep_states_days * _DAY_SECONDS


def _dataset_storage(
    root: Path, dataset: Dataset, uses: dict[tuple[str, str], float], settings: Settings
) -> DatasetStorage:
    folder = root / "datasets" / dataset.id
    return DatasetStorage(
        dataset=dataset,
        files_bytes=sum(size for _name, size in file_sizes(folder))
        + sum(settled_bytes(folder / name) for name in folder_names(folder) if name != "cache"),
        caches=tuple(_caches(root, dataset.id, uses, settings)),
    )


def _caches(
    root: Path, dataset_id: str, uses: dict[tuple[str, str], float], settings: Settings
) -> Iterator[CacheStorage]:
    for name in sorted(folder_names(_cache(root, dataset_id))):
        if not _CACHE_NAME.fullmatch(name):
            continue
        folder = _cache(root, dataset_id) / name
        used_at = uses.get((dataset_id, name), 0.0)
        is_in_use = used_at == float("inf")
        used_at = max(modified_at(folder), 0.0 if is_in_use else used_at)
        keeps = is_in_use or not settings.keep_states_days
        yield CacheStorage(
            name=name,
            num_bytes=sum(size for _name, size in file_sizes(folder)),
            used_at=used_at,
            is_in_use=is_in_use,
            expires_at=None if keeps else used_at + settings.keep_states_days * _DAY_SECONDS,
        )


def _uses(workbench: Workbench, found: Sequence[Run]) -> dict[tuple[str, str], float]:
    """When the last run with a dataset at a size ended, by both; infinite while one is needed."""
    uses = dict.fromkeys(_live_uses(workbench, found), float("inf"))
    for run in found:
        key = (run.dataset_id, cache_name(run.config))
        uses[key] = max(uses.get(key, 0.0), run.job.ended_at or 0.0)
    return uses


def _live_uses(workbench: Workbench, found: Sequence[Run]) -> set[tuple[str, str]]:
    """The datasets and sizes that are needed by those of the runs, and by all trials, which run
    or wait."""
    # Where memory runs out, patches become smaller, and they are cut from the native size.
    needed = {(run.dataset_id, cache_name(run.config)) for run in found if run.job.is_live}
    trials = (
        job for job in jobs.with_status(workbench.database, *jobs.LIVE) if job.kind == "preflight"
    )
    return needed | {
        (job.payload["dataset"], cache_name(parse_config(job.payload["config"]))) for job in trials
    }


def _other_bytes(root: Path, known: dict[str, set[str]], counted: Sequence[Path]) -> int:
    """What is neither a run's nor a dataset's nor any other kind's."""
    files = {path.name for path in counted if path.parent == root}
    total = sum(size for name, size in file_sizes(root) if name not in files)
    for name in folder_names(root):
        if name in known:
            rest = (each for each in folder_names(root / name) if each not in known[name])
            total += sum(bytes_below(root / name / each) for each in rest)
        elif name not in ("uploads", "drafts", "logs"):
            total += bytes_below(root / name)
    return total


def _database_files(workbench: Workbench) -> list[Path]:
    url = workbench.database.engine.url
    if url.get_backend_name() != "sqlite" or not url.database:
        return []
    return [Path(url.database + ending) for ending in ("", "-wal", "-shm")]


def _cache(root: Path, dataset_id: str) -> Path:
    return root / "datasets" / dataset_id / "cache"
