"""What people say of a run, and where it comes from."""

from functools import partial

import streamlit as st

from engine.errors import NotFound
from engine.jobs.control import describe_run
from engine.store.runs import Run
from pages.common import formats, links, reads
from pages.common.description import description_form
from pages.common.texts import _


def view(run: Run) -> None:
    """Name, tags and notes at the left; facts at the right."""
    left, right = st.columns(2, gap="large")
    with left:
        _description(run)
    with right:
        _facts(run)


def _description(run: Run) -> None:
    description_form(
        run,
        {tag for each in reads.all_runs() for tag in each.tags},
        partial(describe_run, reads.workbench(), run.id, actor=reads.actor()),
        kind="run",
        placeholder=_("What was tried here, and what came of it …"),
    )


def _facts(run: Run) -> None:
    st.subheader(_("Facts"))
    st.markdown(
        _("Created {moment} by {actor} · attempts: {num}").format(
            moment=formats.moment(run.created_at),
            actor=formats.plain(run.actor),
            num=run.job.attempts,
        )
    )
    start_id = run.config.model.start_from
    if start_id is not None:
        _start(start_id)
    followers = [each for each in reads.all_runs() if each.config.model.start_from == run.id]
    if followers:
        st.subheader(_("Started from it"))
    for each in followers:
        _link(each)


def _start(run_id: str) -> None:
    st.subheader(_("Started from"))
    try:
        _link(reads.run(run_id))
    except NotFound:
        st.caption(_("The run it started from was deleted."))


def _link(run: Run) -> None:
    st.page_link(
        links.RUN,
        label=formats.plain(run.name),
        icon=":material/stacked_line_chart:",
        query_params={"run": run.id},
    )
