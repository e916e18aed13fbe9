"""The log of a run: its end while it grows, a search in all of it, and the whole to keep."""

import streamlit as st

from engine.store.jobs import Job
from engine.store.runs import Run
from pages.common import formats, job_reads, reads
from pages.common.texts import _

_NUM_LINES = (200, 1000, 5000)


def view(run: Run, scoring: Job | None) -> None:
    """What the run's process printed, or that of its last scoring."""
    job_ids = {"training": run.job.id} | ({"scoring": scoring.id} if scoring else {})
    words = {"training": _("Training"), "scoring": _("Scoring")}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.text_input(
            _("Search"),
            placeholder=_("Show only lines that contain …"),
            icon=":material/search:",
            key="run_log_search",
        )
        chosen = "training"
        if len(job_ids) > 1:
            chosen = (
                st.segmented_control(
                    _("Log of"),
                    list(job_ids),
                    default="training",
                    required=True,
                    format_func=words.__getitem__,
                    key="run_log_of",
                )
                or chosen
            )
        num_lines = st.selectbox(
            _("At most"),
            _NUM_LINES,
            format_func=lambda num: _("the last {num} lines").format(num=formats.count(num)),
            width=200,
            key="run_log_lines",
        )
        job_id = job_ids[chosen]
        size_bytes = job_reads.log_size_bytes(job_id)
        st.download_button(
            _("Download ({size})").format(size=formats.file_size(size_bytes)),
            # Read when it is asked for.
            lambda: job_reads.whole_log(job_id),
            file_name=f"{run.id}-{chosen}.txt",
            mime="text/plain",
            icon=":material/download:",
            on_click="ignore",
            disabled=size_bytes == 0,
            key="run_log_download",
        )
    _lines(job_id, wanted.strip(), num_lines)


def _lines(job_id: str, wanted: str, num_lines: int) -> None:
    if not wanted:
        text = reads.log_tail(job_id, num_lines)
        st.code(text or _("Nothing yet."), language=None, height=520)
        return
    hits = job_reads.log_hits(job_id, wanted, num_lines)
    if hits.num_lines > len(hits.last):
        summary = _("{num} lines contain it; these are the last {shown}.")
    else:
        summary = _("{num} lines contain it.")
    st.caption(
        summary.format(num=formats.count(hits.num_lines), shown=formats.count(len(hits.last)))
    )
    if hits.last:
        st.code("\n".join(hits.last), language=None, height=490)
