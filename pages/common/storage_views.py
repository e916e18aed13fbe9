"""The parts of the storage page: the disk, what goes by itself, and the tables to choose from."""

import time
import zlib
from collections.abc import Sequence
from typing import Any

import streamlit as st

from engine.errors import WorkbenchError
from engine.jobs.storage import DatasetStorage, RunStorage, Storage
from pages.common import charts, formats, reads, storage_tables
from pages.common.storage_removals import (
    Removal,
    cache_removal,
    deletion,
    log_removal,
    state_removal,
)
from pages.common.texts import _, error_text

_ROWS_BEFORE_SCROLLING = 12
_TABLE_HEIGHT_PX = 470
_SOON_DAYS = 7
_NO_BAR = {"displayModeBar": False}
_OUTCOME = "storage_outcome"
"""Session key: what the last removal has freed, in bytes, and what was refused."""


def outcome() -> None:
    """What the last removal did, said once."""
    freed, refused = st.session_state.pop(_OUTCOME, (None, ()))
    if freed is not None:
        st.toast(
            _("{size} became free.").format(size=formats.file_size(freed)),
            icon=":material/check:",
        )
    for sentence in refused:
        st.warning(formats.plain(sentence), icon=":material/info:")


def disk(storage: Storage) -> None:
    """How full the disk is."""
    used = storage.disk_total_bytes - storage.disk_free_bytes
    st.progress(
        used / max(storage.disk_total_bytes, 1),
        text=_(
            "**{free} free** of {total} on the disk of the workbench, which takes {own} of it."
        ).format(
            free=formats.file_size(storage.disk_free_bytes),
            total=formats.file_size(storage.disk_total_bytes),
            own=formats.file_size(sum(storage.by_kind().values())),
        ),
    )


def kinds(storage: Storage) -> None:
    """What takes how much."""
    words = storage_tables.kind_words()
    parts = {words[kind]: size for kind, size in storage.by_kind().items() if size}
    st.plotly_chart(
        charts.parts_bar(parts, formats.file_size),
        key="storage_kinds",
        alt=_("What takes how much room"),
        config=_NO_BAR,
    )


def retention(storage: Storage) -> None:
    """What is removed by itself, and what of it soon."""
    days = reads.workbench().settings.keep_states_days
    if not days:
        st.caption(_("Nothing is removed by itself: `WORKBENCH_KEEP_STATES_DAYS` is 0."))
        return
    rule = _(
        "Training states are removed {days:g} days after the end of their run, prepared images "
        "after as long without use (`WORKBENCH_KEEP_STATES_DAYS`). Best weights, scores and "
        "pictures stay, and so does everything of a paused run."
    ).format(days=days)
    st.caption(f"{rule} {_soon(storage)}")


def _soon(storage: Storage) -> str:
    before = time.time() + _SOON_DAYS * 86_400
    states = [each for each in storage.runs if _is_due(each.state_expires_at, before)]
    caches = [
        cache
        for each in storage.datasets
        for cache in each.caches
        if _is_due(cache.expires_at, before)
    ]
    parts = []
    if states:
        text = _("the training states of {num} runs ({size})")
        size = formats.file_size(sum(each.state_bytes for each in states))
        parts.append(text.format(num=len(states), size=size))
    if caches:
        text = _("prepared images at {num} sizes ({size})")
        size = formats.file_size(sum(cache.num_bytes for cache in caches))
        parts.append(text.format(num=len(caches), size=size))
    if not parts:
        return _("Nothing goes within the next {days} days.").format(days=_SOON_DAYS)
    return _("Within the next {days} days go: {parts}.").format(
        days=_SOON_DAYS, parts=", ".join(parts)
    )


def _is_due(expires_at: float | None, before: float) -> bool:
    return expires_at is not None and expires_at < before


def runs(found: Sequence[RunStorage]) -> None:
    """What each run takes, and what can be removed of the chosen ones."""
    toolbar = st.container(horizontal=True, vertical_alignment="center")
    rows = _table(
        storage_tables.runs_table(found),
        storage_tables.run_columns(),
        key=_key("runs", [each.run.id for each in found]),
    )
    chosen = [found[row] for row in rows]
    with toolbar:
        for key, label, icon, removal in (
            ("states", _("Remove training states"), ":material/history:", state_removal),
            ("logs", _("Remove logs"), ":material/notes:", log_removal),
            ("delete", _("Delete runs"), ":material/delete:", deletion),
        ):
            if st.button(label, icon=icon, disabled=not chosen, key=f"storage_{key}"):
                _ask(removal(chosen))
        _say_chosen(chosen, sum(each.total_bytes for each in chosen))


def datasets(found: Sequence[DatasetStorage]) -> None:
    """What each dataset takes, and removing the prepared images of the chosen ones."""
    toolbar = st.container(horizontal=True, vertical_alignment="center")
    rows = _table(
        storage_tables.datasets_table(found),
        storage_tables.dataset_columns(),
        key=_key("datasets", [each.dataset.id for each in found]),
    )
    chosen = [found[row] for row in rows]
    with toolbar:
        if st.button(
            _("Remove prepared images"),
            icon=":material/cached:",
            disabled=not chosen,
            key="storage_caches",
        ):
            _ask(cache_removal(chosen))
        _say_chosen(chosen, sum(each.cache_bytes for each in chosen))


def _table(rows: Any, columns: dict[str, Any], *, key: str) -> list[int]:
    """The table; returns the numbers of the chosen rows."""
    event = st.dataframe(
        rows,
        key=key,
        hide_index=True,
        height="content" if len(rows) <= _ROWS_BEFORE_SCROLLING else _TABLE_HEIGHT_PX,
        placeholder=formats.MISSING,
        on_select="rerun",
        selection_mode="multi-row",
        column_config=columns,
    )
    return [row for row in event.selection.rows if row < len(rows)]


def _key(name: str, ids: Sequence[str]) -> str:
    # Rows are chosen by number: where one comes or goes, the numbers mean other rows.
    return f"storage_{name}_{zlib.crc32(' '.join(ids).encode())}"


def _say_chosen(chosen: Sequence[Any], num_bytes: int) -> None:
    st.caption(
        _("{num} selected: {size}").format(num=len(chosen), size=formats.file_size(num_bytes))
        if chosen
        else _("Tick rows to free room.")
    )


def _ask(removal: Removal) -> None:
    st.dialog(removal.title, icon=":material/delete:")(_question)(removal)


def _question(removal: Removal) -> None:
    for sentence in removal.sentences:
        st.markdown(sentence)
    if not removal.steps:
        return
    if st.button(removal.button, type="primary", key="storage_remove"):
        freed, refused = 0, []
        for step in removal.steps:
            # What somebody has resumed or deleted meanwhile is said; the others still go.
            try:
                freed += step()
            except WorkbenchError as error:
                refused.append(error_text(error))
        st.session_state[_OUTCOME] = (freed, refused)
        st.rerun()
