"""Runs: what is training, what was trained, and which to look at."""

import zlib
from collections.abc import Sequence
from typing import Any

import streamlit as st

from engine.store.runs import Run
from pages.common import bulk, formats, job_reads, links, reads, run_bulk, run_filters, tables
from pages.common.columns import score
from pages.common.notifier import notifier, watched
from pages.common.parts import empty_state
from pages.common.queue_rows import places
from pages.common.texts import _

_LIVE_SECONDS = 2.0
_ROWS_BEFORE_SCROLLING = 18
_RUNS_WATCHED = 50

st.title(_("Runs"))
runs_at_start = reads.all_runs()
just_read = [runs_at_start]
has_live_runs = any(run.job.is_live for run in runs_at_start)


def columns(shown: Sequence[Run], *, several_owners: bool) -> dict[str, Any]:
    """How the columns of these runs look; those that would say nothing are left out."""
    return {
        "status": st.column_config.TextColumn(
            _("Status"), width="small", help=_("Beside a queued run: its place in the queue.")
        ),
        "name": st.column_config.TextColumn(_("Run"), width="medium"),
        "tags": st.column_config.ListColumn(_("Tags"), width="small")
        if any(run.tags for run in shown)
        else None,
        "dataset": st.column_config.TextColumn(_("Dataset")),
        "owner": st.column_config.TextColumn(_("Owner"), width="small") if several_owners else None,
        "recipe": st.column_config.TextColumn(_("Recipe"), width="small"),
        "progress": st.column_config.ProgressColumn(_("Progress"), format="percent", width="small"),
        "epochs": st.column_config.TextColumn(_("Epochs"), width="small"),
        "best_dice": score(
            _("Best Dice"),
            help_text=_(
                "Mean image Dice of the best epoch on the validation samples, at training "
                "size. Open the run for its scores at the original size."
            ),
        ),
        "remaining": st.column_config.TextColumn(_("Time left"), width="small"),
        "elapsed": st.column_config.TextColumn(_("Run time"), width="small"),
        "created": st.column_config.DatetimeColumn(_("Created"), format="YYYY-MM-DD HH:mm"),
    }


@st.fragment(run_every=_LIVE_SECONDS if has_live_runs else None)
def run_list() -> None:
    """The table; read anew while something is live."""
    # With the page it need not be read twice.
    runs = just_read.pop() if just_read else reads.all_runs()
    if not runs or has_live_runs != any(run.job.is_live for run in runs):
        st.rerun()
    shown = run_filters.filters(runs)
    bulk.outcome(run_bulk.OUTCOME)
    toolbar = st.container(horizontal=True, vertical_alignment="center")
    if not shown:
        st.caption(_("No run is as you look for it. Archived ones are shown when asked for."))
        return
    event = st.dataframe(
        tables.runs_table(shown, places(job_reads.waiting_jobs()) if has_live_runs else {}),
        # Rows are selected by number: with other runs shown, the numbers mean other runs.
        key=f"runs_table_{zlib.crc32(' '.join(run.id for run in shown).encode())}",
        hide_index=True,
        height="content" if len(shown) <= _ROWS_BEFORE_SCROLLING else 740,
        placeholder=formats.MISSING,
        on_select="rerun",
        selection_mode=["multi-row", "single-cell"],
        column_config=columns(shown, several_owners=len(run_filters.owners_of(runs)) > 1),
    )
    chosen = [shown[row] for row in event.selection.rows if row < len(shown)]
    with toolbar:
        run_bulk.buttons(chosen, sorted({tag for run in runs for tag in run.tags}))
        st.caption(
            _("{count} selected").format(count=len(chosen))
            if chosen
            else _("Click a run to open it; tick several to compare or change them.")
        )
        notifier([watched(run) for run in runs[:_RUNS_WATCHED]], key="runs_notifier")
    if event.selection.cells:
        links.open_run(shown[event.selection.cells[0][0]].id)


if runs_at_start:
    run_list()
else:
    with empty_state(
        ":material/stacked_line_chart:",
        _("No runs yet"),
        _("Choose a dataset and a recipe, and watch a network learn."),
    ):
        st.page_link(links.TRAIN, label=_("Start a training"), icon=":material/play_arrow:")
