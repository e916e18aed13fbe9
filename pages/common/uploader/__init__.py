"""The one uploader: large files in chunks, which survive a reload and a dropped connection.

The files go to the routes of `engine.web.uploads`, past the script. An upload goes on while its
tab is open, whatever page the tab shows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pages.common.components import component

TEXT_KEYS = (
    "uploader",  # name of the whole for a screen reader: “Upload files”
    "drop",  # words in the drop zone: “Drop a zip of images and masks here”
    "choose",  # “Choose a file”
    "pause",  # “Pause”
    "resume",  # “Resume”
    "again",  # button of a file that was refused: “Try again”
    "cancel",  # “Cancel”
    "discard",  # button of an unfinished upload: “Discard”
    "waiting",  # “Waits for its turn”
    "opening",  # “Asking the server”
    "comparing",  # “Comparing with what has arrived: {percent} %”
    "progress",  # “{percent} % of {size}”
    "speed",  # follows “progress”: “{speed} MiB/s”
    "left_seconds",  # follows “speed”: “{seconds} s left”
    "left_minutes",  # “{minutes} min left”
    "left_hours",  # “{hours} h {minutes} min left”
    "finishing",  # “Checking the whole file”
    "done",  # “Arrived”
    "paused",  # “Paused at {percent} %”
    "retrying",  # “Connection lost; going on as soon as it is back.”
    "unfinished",  # “{name}: {percent} % arrived. Choose the same file again to go on.”
    "different",  # “Another file of this name had begun to arrive; this one is sent whole.”
    "empty",  # “{name} is empty.”
    "folder",  # “{name} is a folder. Make a zip of it first.”
    "wrong_kind",  # “{name} cannot be used here. Choose a file that ends in {endings}.”
    "unreadable",  # “The file cannot be read any more. Choose it again.”
    "expired",  # “You are no longer signed in here. Reload the page and choose the file again.”
    "gone",  # “The server no longer has what had arrived. Try again to send it from its beginning.”
    "quota",  # see `engine.uploads.limits`, facts {size_gib}, {quota_gib}, {used_gib}
    "no_room",  # the same, facts {missing_gib}, {free_gib}, {min_free_gib}
    "refused",  # any other refusal: “The server refused the file: {reason}”
)
"""Every word the uploader shows; `texts` must have them all, translated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfinished:
    """An upload that can be gone on with."""

    id: str
    name: str
    size_bytes: int
    offset_bytes: int
    """How much of it has arrived."""


_mount = component("uploader")


def uploader(
    *,
    key: str,
    url: str,
    ticket: str,
    texts: Mapping[str, str],
    accepts: Sequence[str],
    unfinished: Sequence[Unfinished] = (),
    on_finished: Callable[[], None] | None = None,
) -> dict[str, Any] | None:
    """Show the drop zone, the uploads of this tab, and those that wait to be gone on with.

    Args:
        key: uploads go on under it for as long as the tab is open.
        url: path of the upload routes, such as `/api/uploads`.
        ticket: from `engine.uploads.ticket`. When it runs out, the script is run for a new one.
        texts: the words on screen by `TEXT_KEYS`.
        accepts: endings of file names, such as `.zip`.
        unfinished: uploads of earlier visits.
        on_finished: called before the script runs because a file has arrived.

    Returns:
        In the run that follows, what the server said about the file, with its name:
        `{"upload", "draft", "name"}`; else None. Several files may have arrived since the last
        run, so do not rely on hearing of each.
    """
    result = _mount(
        key=key,
        data={
            "key": key,
            "url": url,
            "ticket": ticket,
            "texts": {name: texts[name] for name in TEXT_KEYS},
            "accepts": list(accepts),
            "unfinished": [asdict(upload) for upload in unfinished],
        },
        on_finished_change=on_finished or _nothing,
        on_renew_change=_nothing,
    )
    return result.finished


def _nothing() -> None:
    """Streamlit reports only triggers that have a callback."""
