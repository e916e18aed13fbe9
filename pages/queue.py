"""Queue: what runs and where, what waits and in which order, and how the machine is doing."""

import streamlit as st

from pages.common import job_reads, machine_panel, queue_views
from pages.common.notifier import notifier, watched
from pages.common.texts import _

_LIVE_SECONDS, _CALM_SECONDS = 2.0, 5.0
_RUNS_WATCHED = 50

st.title(_("Queue"))
has_jobs = bool(job_reads.running_jobs() or job_reads.waiting_jobs())


# Others queue jobs too, so it is never looked at only once.
@st.fragment(run_every=_LIVE_SECONDS if has_jobs else _CALM_SECONDS)
def queue() -> None:
    """The worker and all jobs, read anew."""
    running, waiting = job_reads.running_jobs(), job_reads.waiting_jobs()
    if has_jobs != bool(running or waiting):
        st.rerun()
    known = queue_views.known()
    with st.container(horizontal=True, vertical_alignment="center"):
        queue_views.worker(is_needed=has_jobs)
        newest = list(known.runs.values())[:_RUNS_WATCHED]
        notifier([watched(run) for run in newest], key="queue_notifier")
    if running or waiting:
        queue_views.running(running, known)
        queue_views.waiting(waiting, running, known)
    else:
        queue_views.nothing_to_do()
    queue_views.ended(known)


queue()
st.subheader(_("Machine"))
machine_panel.last_hour()
