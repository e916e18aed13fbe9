"""Compare: several runs side by side, and the same image under each of them."""

import streamlit as st

from pages.common import compare_views, links, reads, tables
from pages.common.parts import empty_state
from pages.common.texts import _

_MAX_RUNS = 8
_LIVE_SECONDS = 3.0

st.title(_("Compare"))
known = {run.id: run for run in reads.all_runs()}
if not known:
    with empty_state(
        ":material/compare:",
        _("Nothing to compare yet"),
        _("Train two runs on the same dataset, then see where they differ."),
    ):
        st.page_link(links.TRAIN, label=_("Start a training"), icon=":material/play_arrow:")
    st.stop()

chosen = st.multiselect(
    _("Runs"),
    list(known),
    links.asked_choices("runs", known)[:_MAX_RUNS],
    format_func=lambda run_id: f"{known[run_id].name} ({run_id})",
    max_selections=_MAX_RUNS,
    placeholder=_("Choose two or more runs"),
    key="compare_runs",
    on_change=links.remember,
    args=("runs", "compare_runs"),
)
if len(chosen) < 2:
    st.info(_("Choose at least two runs."), icon=":material/compare:")
    st.stop()

runs = tables.unique_labels([known[run_id] for run_id in chosen])
datasets = {run.dataset_id: reads.dataset(run.dataset_id) for run in runs.values()}
live = [run.id for run in runs.values() if run.job.is_live]


@st.fragment(run_every=_LIVE_SECONDS if live else None)
def curves() -> None:
    """The curves, read anew while one of the runs is live."""
    if live and any(not reads.run(run_id).job.is_live for run_id in live):
        st.rerun()
    compare_views.curves(runs)


st.subheader(_("Scores"))
compare_views.headline_scores(runs, datasets)
st.subheader(_("The same image under each run"))
compare_views.same_image(runs, datasets)
st.subheader(_("Curves"))
curves()
st.subheader(_("Settings that differ"))
compare_views.differing_settings(runs)
