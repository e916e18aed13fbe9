"""Pieces of page that several pages show in the same way."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from engine.errors import WorkbenchError
from engine.pictures.error_maps import (
    ERROR_COLORS,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    TRUE_POSITIVE,
    WRONG_CLASS,
)
from engine.store.datasets import Dataset, Sample
from engine.store.runs import Run
from pages.common import formats, links, reads
from pages.common.texts import _, error_text, record_text, status_word
from pages.common.viewer import Layer, Pane

THUMBNAIL_ROW_PX = 56
_ROWS_BESIDE_VIEWER = 10
_VIEWER_TABLE_HEIGHT_PX = 610

_STATUS_BADGES = {
    "queued": (":material/schedule:", "gray"),
    "running": (":material/play_arrow:", "blue"),
    "stopping": (":material/stop:", "blue"),
    "pausing": (":material/pause:", "blue"),
    "completed": (":material/check:", "green"),
    "paused": (":material/pause:", "orange"),
    "stopped": (":material/stop:", "orange"),
    "failed": (":material/error:", "red"),
}


def status_badge(status: str) -> None:
    """A run's or job's status or state."""
    icon, color = _STATUS_BADGES[status]
    st.badge(status_word(status), icon=icon, color=color)  # type: ignore[arg-type]


def empty_state(icon: str, title: str, sentence: str) -> Any:
    """A calm box that says what is not there and what to do; returns it for the action."""
    box = st.container(border=True, horizontal_alignment="center", gap="small")
    with box:
        st.space("small")
        st.markdown(f"### {icon} {title}", text_alignment="center")
        st.markdown(sentence, text_alignment="center")
    return box


def failure(error: dict[str, Any]) -> None:
    """Why a job failed, with the last lines of its log where they say more."""
    st.error(formats.plain(record_text(error)), icon=":material/error:")
    if error["facts"].get("log"):
        st.code(error["facts"]["log"], language=None)


def granted(wish: Callable[..., object], /, *arguments: Any, **options: Any) -> bool:
    """Callback: do what a person wishes, as that person; False, and why in a toast, where it is
    refused, as when others were faster."""
    try:
        wish(reads.workbench(), *arguments, actor=reads.actor(), **options)
    except WorkbenchError as error:
        st.toast(formats.plain(error_text(error)), icon=":material/error:")
        return False
    return True


def dataset_card(dataset: Dataset) -> None:
    """One dataset: a few pictures, what it holds, and what can be done with it."""
    samples = reads.samples(dataset.id)
    step = max(len(samples) // 4, 1)
    thumbs = "".join(
        f'<img src="{links.dataset_file(dataset.id, "thumbs", f"{sample.stem}.webp")}" '
        'alt="" style="width:24%;aspect-ratio:1;object-fit:cover;border-radius:4px">'
        for sample in samples[::step][:4]
    )
    st.html(f'<div style="display:flex;gap:1.33%">{thumbs}</div>')
    tags = "".join(f" :gray-badge[{formats.plain(tag)}]" for tag in dataset.tags)
    st.markdown(f"**{formats.plain(dataset.name)}**{tags}")
    st.caption(
        _("{samples} samples · {classes} classes · {moment}").format(
            samples=formats.count(dataset.num_samples),
            classes=len(dataset.classes),
            moment=formats.moment(dataset.created_at),
        )
    )
    with st.container(horizontal=True):
        if st.button(_("Open"), key=f"datasets_open_{dataset.id}", icon=":material/visibility:"):
            links.open_dataset(dataset.id)
        if st.button(_("Train"), key=f"datasets_train_{dataset.id}", icon=":material/play_arrow:"):
            links.open_training(dataset.id)


def truth_layers(dataset: Dataset, sample: Sample) -> tuple[Layer, ...]:
    """The image and its truth."""
    return (
        Layer(
            name="image",
            title=_("Image"),
            url=links.dataset_file(dataset.id, "images", sample.image_file),
        ),
        Layer(
            name="truth",
            title=_("Truth"),
            url=links.dataset_file(dataset.id, "masks", sample.mask_file),
            legend=class_legend(dataset),
        ),
    )


def run_pane(run: Run, dataset: Dataset, sample: Sample, *, title: str, note: str) -> Pane:
    """Image, truth, prediction and error map of one sample under one run."""
    file_name = f"{sample.stem}.png"
    predicted = (
        Layer(
            name="prediction",
            title=_("Prediction"),
            url=links.run_file(run.id, "predictions", file_name, run.scored_at),
            legend=class_legend(dataset),
        ),
        Layer(
            name="errors",
            title=_("Errors"),
            url=links.run_file(run.id, "errors", file_name, run.scored_at),
            legend=error_legend(dataset),
        ),
    )
    return Pane(
        title=title,
        note=note,
        layers=truth_layers(dataset, sample) + predicted,
        width_px=sample.width,
        height_px=sample.height,
    )


def class_legend(dataset: Dataset) -> tuple[tuple[str, str], ...]:
    """Colours of the classes that a mask shows; background is transparent."""
    return tuple((entry.color, entry.name) for entry in dataset.classes if not entry.background)


def error_legend(dataset: Dataset) -> tuple[tuple[str, str], ...]:
    """Colours of an error map."""
    legend = [
        (ERROR_COLORS[TRUE_POSITIVE], _("TP: found")),
        (ERROR_COLORS[FALSE_POSITIVE], _("FP: not there")),
        (ERROR_COLORS[FALSE_NEGATIVE], _("FN: missed")),
    ]
    if sum(not entry.background for entry in dataset.classes) > 1:
        legend.append((ERROR_COLORS[WRONG_CLASS], _("wrong class")))
    return tuple(legend)


def selected_position(event: Any, shown: Sequence[int]) -> int | None:
    """The sample position of a table's selected row; the URL's, or the first, without one."""
    rows = event.selection.rows
    if rows and rows[0] < len(shown):
        links.remember_image(shown[rows[0]])
        return shown[rows[0]]
    asked = links.asked_image()
    if asked in shown:
        return asked
    return shown[0] if shown else None


def view_switch(views: Mapping[str, str], default: str, *, key: str) -> str:
    """The switch between the views of a page, kept in the URL; returns the view's name."""
    # Not as the widget's default: a callback may choose the view too.
    st.session_state.setdefault(key, links.asked_choice("view", views, default))
    chosen = st.segmented_control(
        _("View"),
        list(views),
        required=True,
        format_func=views.__getitem__,
        key=key,
        on_change=links.remember,
        args=("view", key, default),
        label_visibility="collapsed",
    )
    return chosen or default


def table_height(num_rows: int) -> int | str:
    """Height of a table with thumbnails: as many rows as there are, up to the viewer's height."""
    return "content" if num_rows <= _ROWS_BESIDE_VIEWER else _VIEWER_TABLE_HEIGHT_PX
