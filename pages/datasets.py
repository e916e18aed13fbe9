"""Datasets: bring one in, watch the import, open one."""

import time
from typing import Literal

import streamlit as st

from engine.errors import WorkbenchError
from engine.jobs.queue import stop_import, submit_toy, submit_upload
from engine.store.jobs import LIVE
from pages.common import formats, reads
from pages.common.parts import dataset_card, empty_state, failure
from pages.common.texts import _, error_text, phase_word

_CARDS_PER_PAGE = 12
_FAILURES_SHOWN_SECONDS = 24 * 3600


def import_upload() -> None:
    """Queue the dropped file and empty the uploader, so that no rerun queues it twice."""
    upload = st.session_state.get(uploader_key())
    if upload is None:
        return
    try:
        submit_upload(reads.workbench(), upload, upload.name, actor=reads.actor())
    except WorkbenchError as error:
        st.toast(formats.plain(error_text(error)), icon=":material/error:")
    st.session_state["datasets_uploads"] = st.session_state.get("datasets_uploads", 0) + 1


def import_toy() -> None:
    """Queue a generated dataset."""
    submit_toy(reads.workbench(), _("Toy circles and rectangles"), actor=reads.actor())


def stop(job_id: str) -> None:
    """Ask an import to stop; one that has just ended is left as it is."""
    try:
        stop_import(reads.workbench(), job_id, actor=reads.actor())
    except WorkbenchError as error:
        st.toast(formats.plain(error_text(error)))


def uploader_key() -> str:
    """The uploader's key; a new one after each upload empties it."""
    return f"datasets_upload_{st.session_state.get('datasets_uploads', 0)}"


def dismiss(job_id: str) -> None:
    """Hide a failed import for the rest of the session."""
    st.session_state.setdefault("datasets_dismissed", set()).add(job_id)


def toy_button(kind: Literal["primary", "secondary"]) -> None:
    """The button that makes the toy dataset."""
    st.button(
        _("Create a toy dataset"),
        icon=":material/toys:",
        type=kind,
        on_click=import_toy,
        key="datasets_toy",
        help=_("40 noisy pictures of circles and rectangles, three classes: good for a first try."),
    )


live = [job.id for job in reads.import_jobs(50) if job.status in LIVE]


@st.fragment(run_every=0.7 if live else None)
def imports() -> None:
    """The imports under way, and those that failed lately."""
    found = reads.import_jobs(50)
    if {job.id for job in found if job.status in LIVE} != set(live):
        st.rerun()
    for job in found:
        name = formats.plain(job.payload["name"])
        if job.status in LIVE:
            with st.container(horizontal=True, vertical_alignment="bottom"):
                text = _("Importing {name}: {phase}")
                st.progress(job.progress, text=text.format(name=name, phase=phase_word(job.phase)))
                st.button(
                    _("Stop"),
                    key=f"datasets_stop_{job.id}",
                    icon=":material/stop:",
                    on_click=stop,
                    args=(job.id,),
                    disabled=job.stop_requested,
                )
        elif job.status == "failed" and is_recent(job):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(_("**{name}** was not imported.").format(name=name))
                st.button(
                    _("Dismiss"), key=f"datasets_dismiss_{job.id}", on_click=dismiss, args=(job.id,)
                )
            failure(job.error)


def is_recent(job) -> bool:
    """Whether a failed import is still worth showing."""
    dismissed = st.session_state.get("datasets_dismissed", ())
    return job.id not in dismissed and time.time() - job.created_at < _FAILURES_SHOWN_SECONDS


st.title(_("Datasets"))
datasets = reads.all_datasets()

st.file_uploader(
    _("Drop a zip with images and masks"),
    type=["zip"],
    key=uploader_key(),
    on_change=import_upload,
    help=_(
        "PNG, JPEG or TIFF, in folders such as images/ and masks/, or side by side with a suffix "
        "such as _mask. The import finds out how they pair."
    ),
)
imports()

if datasets:
    num_pages = -(-len(datasets) // _CARDS_PER_PAGE)
    current = 1
    if num_pages > 1:
        current = st.pagination(num_pages, key="datasets_page", bind="query-params")
    grid = st.grid(min_column_width=300, gap="medium")
    for dataset in datasets[(current - 1) * _CARDS_PER_PAGE : current * _CARDS_PER_PAGE]:
        with grid.cell(), st.container(border=True):
            dataset_card(dataset)
    toy_button("secondary")
elif not live:
    with empty_state(
        ":material/photo_library:",
        _("No datasets yet"),
        _("Drop a zip of images and masks above, or try everything with generated pictures first."),
    ):
        toy_button("primary")
