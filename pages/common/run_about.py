"""What people say of a run, and where it comes from."""

import streamlit as st

from engine.datasets.importer import MAX_NAME_CHARS
from engine.errors import NotFound, WorkbenchError
from engine.jobs.control import describe_run
from engine.jobs.imports import MAX_NOTES_CHARS, MAX_TAGS
from engine.store.runs import Run
from pages.common import formats, links, reads
from pages.common.texts import _, error_text


def view(run: Run) -> None:
    """Name, tags and notes at the left; facts at the right."""
    left, right = st.columns(2, gap="large")
    with left:
        _description(run)
    with right:
        _facts(run)


def _description(run: Run) -> None:
    with st.form(f"run_about_{run.id}"):
        name = st.text_input(
            _("Name"), run.name, max_chars=MAX_NAME_CHARS, key=f"run_name_{run.id}"
        )
        tags = st.multiselect(
            _("Tags"),
            sorted({tag for each in reads.all_runs() for tag in each.tags}),
            list(run.tags),
            accept_new_options=True,
            max_selections=MAX_TAGS,
            placeholder=_("Choose or type a tag"),
            key=f"run_tags_{run.id}",
        )
        notes = st.text_area(
            _("Notes"),
            run.notes,
            max_chars=MAX_NOTES_CHARS,
            height=150,
            placeholder=_("What was tried here, and what came of it …"),
            key=f"run_notes_{run.id}",
        )
        if st.form_submit_button(_("Save"), icon=":material/save:"):
            try:
                describe_run(
                    reads.workbench(),
                    run.id,
                    name=name,
                    tags=tags,
                    notes=notes,
                    actor=reads.actor(),
                )
            except WorkbenchError as error:
                st.error(formats.plain(error_text(error)), icon=":material/error:")
                return
            st.toast(_("Saved"), icon=":material/check:")
            st.rerun()


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
