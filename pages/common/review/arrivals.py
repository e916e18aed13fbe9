"""The ways in: a file from the browser, an archive or a folder on the server."""

import streamlit as st

from engine import uploads
from engine.errors import WorkbenchError
from engine.jobs.imports import submit_server_path
from engine.uploads import ServerEntry
from pages.common import formats, links, reads
from pages.common.review import rows
from pages.common.texts import _, uploader_texts
from pages.common.uploader import Unfinished, uploader

ACCEPTED = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""Endings of the files that the drop zone takes."""

_TICKET_SECONDS = 12 * 3600


def upload() -> None:
    """The drop zone; a file that has arrived opens its review."""
    arrived = uploader(
        key="datasets_uploader",
        url=links.upload_routes(),
        ticket=uploads.ticket(reads.workbench(), reads.actor(), _TICKET_SECONDS),
        texts=uploader_texts(),
        accepts=ACCEPTED,
        unfinished=[
            Unfinished(
                id=each.id,
                name=each.file_name,
                size_bytes=each.size_bytes,
                offset_bytes=each.offset(uploads.CHUNK_BYTES),
            )
            for each in reads.unfinished_uploads()
        ],
    )
    if arrived and arrived.get("draft"):
        links.open_review(arrived["draft"])


def server_folder() -> None:
    """What lies in the folders of the server that may be imported from."""
    popover = st.popover(
        _("From a folder on the server"),
        icon=":material/dns:",
        key="datasets_server",
        on_change="rerun",
    )
    if not popover.open:
        return
    with popover:
        entries = uploads.server_entries(reads.workbench().settings)
        chosen = st.selectbox(
            _("Archive or folder"),
            entries,
            format_func=entry_text,
            placeholder=_("There is nothing to import from"),
            key="datasets_server_entry",
        )
        if chosen is None:
            return
        st.caption(formats.plain(str(chosen.path.parent)))
        if st.button(_("Look into it"), type="primary", key="datasets_server_import"):
            look_into(chosen)


def entry_text(entry: ServerEntry) -> str:
    """An archive with its size, or a folder."""
    if entry.size_bytes is None:
        return f"{entry.path.name}/"
    return f"{entry.path.name} · {formats.file_size(entry.size_bytes)}"


def look_into(entry: ServerEntry) -> None:
    """Queue the look into something on the server and go there."""
    try:
        draft_id = submit_server_path(reads.workbench(), str(entry.path), actor=reads.actor())
    except WorkbenchError as error:
        rows.refuse(error)
        return
    links.open_review(draft_id)
