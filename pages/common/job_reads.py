"""The pages' access to the queue, the workers and the logs; what `reads` says of itself holds."""

import platform
import time

import streamlit as st

from engine.jobs import control, logs, slots
from engine.jobs.daemon import worker_is_alive
from engine.jobs.storage import has_training_state
from engine.store import jobs, machine_samples
from engine.store.jobs import Job
from engine.store.runs import Run
from pages.common import reads

_SIGN_SECONDS = 60.0
"""A worker on another machine counts as living for so long after it measured that machine."""


def log_hits(job_id: str, text: str, num_lines: int) -> logs.Hits:
    """The lines of a job's log that hold some text: how many, and the last of them."""
    home = reads.workbench()
    return _log_search(str(home.settings.home), job_id, text, num_lines).look()


def log_size_bytes(job_id: str) -> int:
    """How large a job's log is."""
    return logs.size_bytes(reads.workbench().files, job_id)


def whole_log(job_id: str) -> bytes:
    """All of a job's log."""
    return logs.whole(reads.workbench().files, job_id)


def running_jobs() -> list[Job]:
    """What is being done, oldest first."""
    return jobs.with_status(reads.workbench().database, "running")


def waiting_jobs() -> list[Job]:
    """What waits, lane after lane, in the order in which it will be started."""
    return slots.waiting(reads.workbench().database)


def ended_jobs(limit: int) -> list[Job]:
    """What ended last, the newest end first."""
    return jobs.recently_ended(reads.workbench().database, limit)


def last_scoring(run_id: str) -> Job | None:
    """The newest job that was to score a run's images after its end."""
    return control.last_scoring(reads.workbench(), run_id)


def can_be_trained_further(a_run: Run) -> bool:
    """Whether what a run needs to go on from where it stands is there."""
    return not a_run.num_epochs_done or has_training_state(reads.workbench(), a_run.id)


def has_room() -> bool:
    """Whether the home's disk has room for a job to write anything."""
    return slots.has_room(reads.workbench().settings.home)


def worker_hosts() -> list[str]:
    """The machines whose worker lives, as far as can be seen from here."""
    home, here = reads.workbench(), platform.node()
    others = (
        sample.host
        for sample in machine_samples.newest(home.database)
        if sample.host != here and time.time() - sample.at < _SIGN_SECONDS
    )
    return [*([here] if worker_is_alive(home) else []), *others]


def last_sign_of_a_worker() -> float | None:
    """When any worker was last seen, in Unix seconds."""
    found = machine_samples.newest(reads.workbench().database)
    return max((sample.at for sample in found), default=None)


# Kept, so that each look reads only what is new.
@st.cache_resource(max_entries=16, show_spinner=False)
def _log_search(home: str, job_id: str, text: str, num_lines: int) -> logs.LogSearch:
    return logs.LogSearch(reads.workbench().files, job_id, text, num_lines)
