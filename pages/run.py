"""One run: watch it learn, then look at every image."""

import streamlit as st

from engine.errors import NotFound, WorkbenchError
from engine.jobs.queue import stop_run
from pages.common import formats, links, reads, run_views
from pages.common.parts import view_switch
from pages.common.texts import _, error_text

_LIVE_SECONDS = 1.5

try:
    run = reads.run(links.asked_for("run") or "")
except NotFound as error:
    st.title(_("Run"))
    st.warning(formats.plain(error_text(error)))
    st.page_link(links.RUNS, label=_("All runs"), icon=":material/stacked_line_chart:")
    st.stop()

dataset = reads.dataset(run.dataset_id)
refresh = _LIVE_SECONDS if run.job.is_live else None


def stop() -> None:
    """Ask the run to stop; one that has just ended is left as it is."""
    try:
        stop_run(reads.workbench(), run.id, actor=reads.actor())
    except WorkbenchError as error:
        st.toast(formats.plain(error_text(error)))


@st.fragment(run_every=refresh)
def head() -> None:
    """Status and headline, until the run ends and the whole page changes."""
    now = reads.run(run.id)
    if run.job.is_live and not now.job.is_live:
        st.rerun()
    run_views.head(now, dataset)


with st.container(horizontal=True, vertical_alignment="center"):
    st.title(formats.plain(run.name), width="stretch")
    if run.job.is_live:
        st.button(
            _("Stopping…") if run.job.stop_requested else _("Stop"),
            icon=":material/stop:",
            on_click=stop,
            disabled=run.job.stop_requested,
            help=_("Ends after the current step, keeps the model, and scores its best epoch."),
            key="run_stop",
        )
    if st.button(_("Compare"), icon=":material/compare:", key="run_compare"):
        links.open_comparison([run.id])

head()
VIEWS = {
    "images": _("Images"),
    "curves": _("Curves"),
    "settings": _("Settings"),
    "log": _("Log"),
}
# Two keys, so that the page turns to the images by itself when the run it watches has ended.
if run.job.is_live:
    view = view_switch(VIEWS, "curves", key="run_view_live")
else:
    default_view = "images" if reads.scored_samples(run) else "curves"
    view = view_switch(VIEWS, default_view, key="run_view_ended")
if view == "images":
    run_views.images(run, dataset)
elif view == "settings":
    run_views.settings(run)
elif view == "curves":
    st.fragment(run_views.curves, run_every=refresh)(run, dataset)
else:
    st.fragment(run_views.log, run_every=refresh)(run)
