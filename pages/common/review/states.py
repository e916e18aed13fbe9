"""What a review shows while there is nothing to review: work going on, failures, a draft gone."""

import streamlit as st

from engine.errors import NotFound
from engine.store.drafts import Draft
from engine.store.jobs import Job
from pages.common import formats, links, reads
from pages.common.parts import failure
from pages.common.review import archives, changes, rows
from pages.common.review.context import Review
from pages.common.review.pairs_view import inspect_again
from pages.common.texts import _, phase_word

_LIVE_SECONDS = 0.7


def live(draft: Draft) -> None:
    """How far the work on a draft is, until it ends and the whole page changes."""
    changes.begin_anew()
    st.title(formats.plain(draft.name))

    @st.fragment(run_every=_LIVE_SECONDS)
    def progress() -> None:
        try:
            now = reads.draft(draft.id)
        except NotFound:
            st.rerun()
        if now.job.id != draft.job.id or not now.job.is_live:
            st.rerun()
        text = _("Importing: {phase}")
        if now.job.kind == "inspect":
            text = _("Looking at the names, the pictures and the masks: {phase}")
        rows.progress_row(
            now.job, text.format(phase=phase_word(now.job.phase)), rows.stop, draft.id
        )

    progress()
    if draft.job.kind == "inspect":
        st.caption(
            _("Nothing is stored yet. You may leave this page; the look goes on without you.")
        )
    else:
        st.caption(_("You may leave this page; the import goes on without you."))


def ended_badly(review: Review) -> None:
    """Why the last job of a draft came to nothing."""
    job = review.draft.job
    if job.status == "stopped":
        st.info(
            _("The import was stopped; nothing was stored.")
            if job.kind == "import"
            else _("The look into the archive was stopped."),
            icon=":material/stop:",
        )
    if job.status == "stopped" and not archives.is_readable(review.draft.id):
        st.button(
            _("Look again"),
            type="primary",
            icon=":material/visibility:",
            on_click=inspect_again,
            args=(review,),
            key=review.key("look"),
        )
    if job.status == "failed" and job.error:
        failure(job.error)
    if job.kind == "inspect" and job.status == "failed" and review.proposal is not None:
        st.caption(_("Another pairing may help: choose one, and look at its masks."))


def gone(draft_id: str) -> None:
    """A draft that has become a dataset leads there; one that was discarded says so."""
    archives.close_archive(draft_id)
    job = reads.last_import(draft_id) if draft_id else None
    if job is not None and job.is_live:
        wait(job)
        return
    if job is not None and job.status == "completed" and job.result:
        links.open_dataset(job.result["dataset"])
    st.title(_("Import"))
    st.warning(_("There is no such import. It has become a dataset, or was discarded."))
    st.page_link(links.DATASETS, label=_("All datasets"), icon=":material/photo_library:")


def wait(job: Job) -> None:
    """The last moment of an import, after its draft was removed."""
    st.title(formats.plain(job.payload["name"]))

    @st.fragment(run_every=_LIVE_SECONDS)
    def progress() -> None:
        now = reads.last_import(job.payload["draft"])
        if now is None or not now.is_live:
            st.rerun()
        st.progress(job.progress, text=phase_word(job.phase))

    progress()
