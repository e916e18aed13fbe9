"""What the queue page says of jobs. Pure functions of what the store says."""

import heapq
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from engine.jobs.slots import KINDS, Lane
from engine.jobs.status import queue_seconds
from engine.store.datasets import Dataset
from engine.store.drafts import Draft
from engine.store.jobs import Job
from engine.store.runs import Run
from pages.common import formats
from pages.common.progress import elapsed_seconds, remaining_seconds
from pages.common.run_story import incident_text
from pages.common.tables import status_text
from pages.common.texts import _, kind_word, record_text

_SLOT = re.compile(r"(gpu)(\d+)(?:\.(\d+))?|([a-z]+)(?:\.(\d+))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What jobs are about, by id."""

    runs: Mapping[str, Run]
    drafts: Mapping[str, Draft]
    datasets: Mapping[str, Dataset]


def subject(job: Job, known: Known) -> str:
    """What a job is about: the name of its run, its archive or its dataset."""
    payload = job.payload
    if "run" in payload:
        run = known.runs.get(payload["run"])
        return _("a deleted run") if run is None else run.name
    if "draft" in payload:
        draft = known.drafts.get(payload["draft"])
        return _("an archive") if draft is None else draft.name
    if "name" in payload:
        return str(payload["name"])
    dataset = known.datasets.get(payload["dataset"])
    return _("a deleted dataset") if dataset is None else dataset.name


def slot_word(slot: str | None) -> str:
    """Where a job runs."""
    match = _SLOT.fullmatch(slot or "")
    if match is None:
        return slot or formats.MISSING
    number = match[3] or match[5]
    if match[1]:
        word = _("GPU {number}").format(number=match[2])
    else:
        known = {"cpu": _("processor"), "trial": _("for trials"), "light": _("for small jobs")}
        word = known.get(match[4], match[4])
    return word if number is None else _("{slot}, place {number}").format(slot=word, number=number)


def lane_of(job: Job) -> Lane:
    """Which slots a job may take."""
    return next(lane for lane, kinds in KINDS.items() if job.kind in kinds)


def places(waiting: Sequence[Job]) -> dict[str, int]:
    """Which waiting jobs are started first among those that take the same slots, from 1.

    Args:
        waiting: in the order in which they are started.
    """
    found: dict[str, int] = {}
    num_before = dict.fromkeys(KINDS, 0)
    for job in waiting:
        num_before[lane_of(job)] += 1
        found[job.id] = num_before[lane_of(job)]
    return found


def expected_waits(running: Sequence[Job], waiting: Sequence[Job], now: float) -> dict[str, float]:
    """In how many seconds jobs are likely to start, as far as that can be told honestly.

    That is: as many of a lane's waiting jobs as run, where all of these say when they will end.
    How long a job takes that has not begun is not known.
    """
    found: dict[str, float] = {}
    for lane in KINDS:
        ends = [remaining_seconds(job, now) for job in running if lane_of(job) == lane]
        told = [end for end in ends if end is not None]
        if len(told) < len(ends):
            continue
        heapq.heapify(told)
        for job in waiting:
            if lane_of(job) == lane and told:
                found[job.id] = heapq.heappop(told)
    return found


def waiting_table(
    waiting: Sequence[Job], running: Sequence[Job], known: Known, now: float
) -> pd.DataFrame:
    """One row for each waiting job, in the order in which they will be started."""
    place, expected = places(waiting), expected_waits(running, waiting, now)
    return pd.DataFrame(
        [
            {
                "place": place[job.id],
                "subject": subject(job, known),
                "kind": kind_word(job.kind),
                "owner": job.actor,
                "since": datetime.fromtimestamp(job.queued_at),
                "waited": formats.duration(queue_seconds(job, now)),
                "expected": _("in about {duration}").format(
                    duration=formats.duration(expected[job.id])
                )
                if job.id in expected
                else formats.MISSING,
                "why": incident_text(job.incidents[-1]) if job.incidents else "",
            }
            for job in waiting
        ]
    )


def ended_table(ended: Sequence[Job], known: Known, now: float) -> pd.DataFrame:
    """One row for each job that has ended."""
    return pd.DataFrame(
        [
            {
                "status": status_text(job),
                "subject": subject(job, known),
                "kind": kind_word(job.kind),
                "owner": job.actor,
                "ended": datetime.fromtimestamp(job.ended_at or 0.0),
                "ran": formats.duration(elapsed_seconds(job, now)),
                "waited": formats.duration(queue_seconds(job, now)),
                "reason": reason(job),
            }
            for job in ended
        ]
    )


def reason(job: Job) -> str:
    """Why a job ended otherwise than well, in a sentence."""
    if job.error:
        return record_text(job.error)
    if job.status != "stopped":
        return ""
    if not job.attempts:
        return _("Cancelled before it began.")
    return _("Paused by a person.") if job.is_paused else _("Stopped by a person.")
