"""Runs: what is training, what was trained, and which to look at."""

import streamlit as st

from pages.common import formats, links, reads, tables
from pages.common.columns import score
from pages.common.parts import empty_state
from pages.common.texts import _

_LIVE_SECONDS = 2.0
_ROWS_BEFORE_SCROLLING = 18

st.title(_("Runs"))
runs_at_start = reads.all_runs()
has_live_runs = any(run.job.is_live for run in runs_at_start)


@st.fragment(run_every=_LIVE_SECONDS if has_live_runs else None)
def run_list() -> None:
    """The table; read anew while something is live."""
    runs = reads.all_runs()
    if has_live_runs and not any(run.job.is_live for run in runs):
        st.rerun()
    toolbar = st.container(horizontal=True, vertical_alignment="center")
    event = st.dataframe(
        tables.runs_table(runs),
        # Rows are selected by number: with a run more at the top, the numbers mean other runs.
        key=f"runs_table_{runs[0].id}",
        hide_index=True,
        height="content" if len(runs) <= _ROWS_BEFORE_SCROLLING else 740,
        placeholder=formats.MISSING,
        on_select="rerun",
        selection_mode=["multi-row", "single-cell"],
        column_config={
            "status": st.column_config.TextColumn(_("Status"), width="small"),
            "name": st.column_config.TextColumn(_("Run"), width="medium"),
            "dataset": st.column_config.TextColumn(_("Dataset")),
            "recipe": st.column_config.TextColumn(_("Recipe"), width="small"),
            "progress": st.column_config.ProgressColumn(_("Progress"), format="percent"),
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
            "created": st.column_config.DatetimeColumn(
                _("Created"), format="YYYY-MM-DD HH:mm", width="small"
            ),
        },
    )
    chosen = [runs[row].id for row in event.selection.rows if row < len(runs)]
    with toolbar:
        if st.button(
            _("Compare selected"),
            icon=":material/compare:",
            disabled=len(chosen) < 2,
            key="runs_compare",
        ):
            links.open_comparison(chosen)
        st.caption(
            _("{count} selected").format(count=len(chosen))
            if chosen
            else _("Click a run to open it; tick several to compare them.")
        )
    if event.selection.cells:
        links.open_run(runs[event.selection.cells[0][0]].id)


if runs_at_start:
    run_list()
else:
    with empty_state(
        ":material/stacked_line_chart:",
        _("No runs yet"),
        _("Choose a dataset and a recipe, and watch a network learn."),
    ):
        st.page_link(links.TRAIN, label=_("Start a training"), icon=":material/play_arrow:")
