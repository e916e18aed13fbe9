"""Where jobs run on a machine: so many at once, so that they do not fight over it.

Three lanes, so that nobody who looks at an archive or tries settings waits for the end of a
training: trainings and scorings take a GPU (or, where there is none, a share of the cores),
trials of settings have a slot of their own, and whatever computes little has some more.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.settings import Settings
from engine.store import jobs
from engine.store.database import Database
from engine.store.jobs import Job, JobKind

Lane = Literal["training", "trial", "light"]

KINDS: dict[Lane, tuple[JobKind, ...]] = {
    "training": ("train", "evaluate"),
    "trial": ("preflight",),
    "light": ("inspect", "import", "derive"),
}
"""Which jobs take a slot of a lane."""


LEAST_FREE_BYTES = 2**20
"""With less on the home's disk, nothing is started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """Room for one job."""

    name: str
    lane: Lane
    gpu: str | None
    """An entry of `CUDA_VISIBLE_DEVICES`; None for a slot without a GPU of its own."""
    threads: int
    """How many threads the job may compute with."""


def waiting(database: Database) -> list[Job]:
    """The queued jobs, lane after lane, in the order in which those of a lane will be started."""
    return [job for kinds in KINDS.values() for job in jobs.queue(database, kinds)]


def has_room(home: Path) -> bool:
    """Whether a job could write anything: on a full disk it would only fail, so it waits."""
    return shutil.disk_usage(home).free >= LEAST_FREE_BYTES


def machine_slots(settings: Settings, gpus: Sequence[str], num_cores: int) -> tuple[Slot, ...]:
    """The slots of a machine."""
    places: list[tuple[str, str | None]] = [
        (f"gpu{gpu}", gpu) for gpu in gpus for _ in range(settings.gpu_jobs)
    ]
    places = places or [("cpu", None)] * settings.cpu_jobs
    threads = max(num_cores // len(places), 1)
    training = [
        Slot(name=name, lane="training", gpu=gpu, threads=threads)
        for (_, gpu), name in zip(places, _numbered([name for name, _ in places]), strict=True)
    ]
    # A trial measures what its training would cost, so it computes with as many threads.
    trial = Slot(name="trial", lane="trial", gpu=None, threads=threads)
    light = [
        Slot(name=name, lane="light", gpu=None, threads=1)
        for name in _numbered(["light"] * settings.light_jobs)
    ]
    return (*training, trial, *light)


def free_slots(slots: Sequence[Slot], running: Sequence[Job]) -> list[Slot]:
    """The slots that no job has.

    A GPU on which a trial runs is not free for a training, which would measure, and fit, what is
    left.

    Args:
        running: the jobs that run on this machine.
    """
    taken = {job.slot for job in running}
    trials = [job for job in running if job.kind in KINDS["trial"]]
    tried_on = {None if job.handle is None else job.handle["gpu"] for job in trials}
    # Where a trial that has no process yet will be is not known: its training waits a moment.
    return [
        slot
        for slot in slots
        if slot.name not in taken and not (slot.gpu is not None and tried_on & {slot.gpu, None})
    ]


def gpu_for(slot: Slot, slots: Sequence[Slot], running: Sequence[Job]) -> str | None:
    """The GPU of a job in a slot: its own; for a trial the first that no job has, else the first.

    Whoever tries settings does not wait for the end of a training.
    """
    if slot.lane != "trial":
        return slot.gpu
    taken = {job.handle["gpu"] for job in running if job.handle is not None}
    gpus = [each.gpu for each in slots if each.gpu is not None]
    return min(gpus, key=lambda gpu: gpu in taken, default=None)


def _numbered(names: Sequence[str]) -> list[str]:
    """The second and further slots of a name get a number."""
    seen: dict[str, int] = {}
    numbered = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        numbered.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return numbered
