"""One run: watch it learn, then look at every image."""

import streamlit as st

from engine.errors import NotFound
from pages.common import (
    formats,
    job_reads,
    links,
    machine_panel,
    reads,
    run_about,
    run_actions,
    run_doctor,
    run_log,
    run_views,
)
from pages.common.parts import view_switch
from pages.common.texts import _, error_text

_LIVE_SECONDS = 1.5
_MACHINE_SECONDS = 10.0

try:
    run = reads.run(links.asked_for("run") or "")
except NotFound as error:
    st.title(_("Run"))
    st.warning(formats.plain(error_text(error)))
    st.page_link(links.RUNS, label=_("All runs"), icon=":material/stacked_line_chart:")
    st.stop()

dataset = reads.dataset(run.dataset_id)
scoring = job_reads.last_scoring(run.id)
is_scoring = scoring is not None and scoring.is_live
refresh = _LIVE_SECONDS if run.job.is_live or is_scoring else None
# Two keys, so that the page turns to the images by itself when the run it watches has ended.
view_key = "run_view_live" if run.job.is_live else "run_view_ended"


@st.fragment(run_every=refresh)
def head() -> None:
    """Status and headline, until what can be done with the run changes, and with it the page."""
    try:
        now = reads.run(run.id)
    except NotFound:
        st.rerun()
    scoring_now = job_reads.last_scoring(run.id)
    before, after = (
        (a_run.status, a_run.job.wish, None if a_job is None else (a_job.is_live, a_job.wish))
        for a_run, a_job in ((run, scoring), (now, scoring_now))
    )
    if before != after:
        st.rerun()
    run_views.head(now, dataset, scoring_now)


with st.container(horizontal=True, vertical_alignment="center"):
    st.title(formats.plain(run.name), width="stretch")
    run_actions.buttons(run, scoring, view_key)

head()
VIEWS = {
    "images": _("Images"),
    "curves": _("Curves"),
    "doctor": _("Doctor"),
    "settings": _("Settings"),
    "machine": _("Machine"),
    "log": _("Log"),
    "about": _("About"),
}
default_view = "images" if reads.scored_samples(run) and not run.job.is_live else "curves"
view = view_switch(VIEWS, default_view, key=view_key)
if view == "images":
    run_views.images(run, dataset, scoring)
elif view == "curves":
    st.fragment(run_views.curves, run_every=refresh)(run, dataset)
elif view == "doctor":
    run_doctor.findings(run, dataset)
elif view == "settings":
    run_views.settings(run)
elif view == "machine":
    every = _MACHINE_SECONDS if run.job.is_live else None
    st.fragment(machine_panel.panel_of_run, run_every=every)(run)
elif view == "log":
    st.fragment(run_log.view, run_every=refresh)(run, scoring)
else:
    run_about.view(run)
