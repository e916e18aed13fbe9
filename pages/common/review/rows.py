"""What is on its way to becoming a dataset, one row each: archives, and corrections of datasets."""

import time
from collections.abc import Callable
from typing import Literal

import streamlit as st

from engine.datasets.plan import parse_plan
from engine.errors import WorkbenchError
from engine.jobs import imports
from engine.store import jobs
from engine.store.drafts import Draft
from engine.store.jobs import Job
from pages.common import formats, links, reads
from pages.common.parts import failure
from pages.common.review import archives, classes
from pages.common.texts import _, error_text, phase_word

_FAILURES_SHOWN_SECONDS = 24 * 3600
_DERIVATIONS_LOOKED_THROUGH = 50


def live_jobs() -> set[str]:
    """Ids of the jobs that are making datasets now."""
    found = [draft.job for draft in reads.all_drafts()]
    found += reads.derivations(_DERIVATIONS_LOOKED_THROUGH)
    return {job.id for job in found if job.is_live}


def rows() -> None:
    """All of them, newest first."""
    for job in reads.derivations(_DERIVATIONS_LOOKED_THROUGH):
        derivation_row(job)
    for draft in reads.all_drafts():
        draft_row(draft)


def draft_row(draft: Draft) -> None:
    """One archive: what is being done with it, or what can be."""
    name = formats.plain(draft.name)
    job = draft.job
    if job.is_live:
        text = _("Importing {name}: {phase}")
        if job.kind == "inspect":
            text = _("Looking into {name}: {phase}")
        progress_row(job, text.format(name=name, phase=phase_word(job.phase)), stop, draft.id)
        return
    with st.container(border=True, key=f"datasets_draft_{draft.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{name}**", width="content")
            st.caption(state_text(draft), width="stretch")
            if archives.is_readable(draft.id) and st.button(
                _("Review"),
                key=f"datasets_review_{draft.id}",
                icon=":material/fact_check:",
                type="primary" if job.status == "completed" else "secondary",
            ):
                links.open_review(draft.id)
            if discard_popover(draft, key=f"datasets_discard_{draft.id}"):
                st.rerun()
        if job.status == "failed" and job.error:
            failure(job.error)


def state_text(draft: Draft) -> str:
    """What has become of a draft whose last job has ended."""
    job = draft.job
    if job.status == "failed" and job.kind == "inspect":
        return _("It could not be read as images and masks.")
    if job.status == "failed":
        return _("It was not imported; nothing of it was stored.")
    if job.status == "stopped":
        return _("Stopped.")
    masks = parse_plan(draft.plan).masks if draft.plan else None
    return _("Ready: {pairs} pairs, {classes} classes").format(
        pairs=formats.count(archives.num_inspected(draft.id)),
        classes=classes.num_classes(masks) if masks else formats.MISSING,
    )


def derivation_row(job: Job) -> None:
    """A corrected version that is being made, or lately could not be."""
    name = formats.plain(job.payload["name"])
    if job.is_live:
        text = _("Making {name}: {phase}").format(name=name, phase=phase_word(job.phase))
        progress_row(job, text, stop_derivation, job.id)
    elif job.status == "failed" and _is_recent(job):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(_("**{name}** was not made.").format(name=name))
            st.button(
                _("Dismiss"), key=f"datasets_dismiss_{job.id}", on_click=dismiss, args=(job.id,)
            )
        if job.error:
            failure(job.error)


def progress_row(job: Job, text: str, on_stop: Callable[[str], None], stopped_id: str) -> None:
    """How far a live job is, and the button that ends it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.progress(job.progress, text=text)
        st.button(
            _("Stopping…") if job.wish else _("Stop"),
            key=f"datasets_stop_{job.id}",
            icon=":material/stop:",
            on_click=on_stop,
            args=(stopped_id,),
            disabled=job.wish is not None,
        )


def stop(draft_id: str) -> None:
    """Ask the work on a draft to stop; work that has just ended is left as it is."""
    try:
        imports.stop_draft(reads.workbench(), draft_id, actor=reads.actor())
    except WorkbenchError as error:
        refuse(error)


def stop_derivation(job_id: str) -> None:
    """Ask the making of a version to stop."""
    try:
        jobs.request_stop(reads.workbench().database, job_id, actor=reads.actor())
    except WorkbenchError as error:
        refuse(error)


def discard_popover(
    draft: Draft, *, key: str, kind: Literal["secondary", "tertiary"] = "secondary"
) -> bool:
    """The way to forget a draft, asked twice; returns whether it was forgotten now."""
    with st.popover(_("Discard"), icon=":material/delete:", type=kind, key=f"{key}_popover"):
        st.markdown(
            _("Discard this import? What was uploaded is removed.")
            if draft.source.startswith("uploads/")
            else _("Discard this import? The files on the server stay.")
        )
        if st.button(_("Discard it"), type="primary", key=key):
            return discard(draft.id)
    return False


def discard(draft_id: str) -> bool:
    """Forget a draft, if nobody works on it meanwhile."""
    archives.close_archive(draft_id)
    try:
        imports.discard_draft(reads.workbench(), draft_id, actor=reads.actor())
    except WorkbenchError as error:
        refuse(error)
        return False
    return True


def dismiss(job_id: str) -> None:
    """Hide a failure for the rest of the session."""
    st.session_state.setdefault("datasets_dismissed", set()).add(job_id)


def refuse(error: WorkbenchError) -> None:
    """Say in passing why a wish was not followed."""
    st.toast(formats.plain(error_text(error)), icon=":material/error:")


def _is_recent(job: Job) -> bool:
    dismissed = st.session_state.get("datasets_dismissed", ())
    return job.id not in dismissed and time.time() - job.created_at < _FAILURES_SHOWN_SECONDS
