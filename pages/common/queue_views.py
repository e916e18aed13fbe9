"""The parts of the queue page: the worker, what runs, what waits, what has ended."""

import platform
import time
import zlib
from collections.abc import Sequence
from functools import partial

import streamlit as st

from engine.jobs.control import cancel_job, move_job, run_next, stop_job
from engine.jobs.status import state_of
from engine.store.jobs import Job
from pages.common import bulk, formats, job_reads, links, queue_rows, reads
from pages.common.parts import empty_state, granted, status_badge
from pages.common.progress import elapsed_seconds, remaining_seconds
from pages.common.queue_rows import Known
from pages.common.texts import _, kind_word, phase_word

_OUTCOME = "queue_outcome"
_CHOSEN = "queue_chosen"
"""Session key: the ids of the waiting jobs that are ticked, which change their rows."""
_NUM_ENDED = 20
_ROWS_BEFORE_SCROLLING = 12


def worker(*, is_needed: bool) -> None:
    """Who does what is queued, in words."""
    hosts = job_reads.worker_hosts()
    if is_needed and not job_reads.has_room():
        st.warning(
            _("The disk of the workbench is full, so nothing that waits is started. Free some."),
            icon=":material/hard_drive:",
        )
    if hosts:
        names = ", ".join(map(formats.plain, hosts))
        st.caption(
            _(":material/check_circle: A worker lives on {hosts}.").format(hosts=names)
            if len(hosts) == 1
            else _(":material/check_circle: Workers live on {hosts}.").format(hosts=names)
        )
        return
    if reads.workbench().settings.worker == "local":
        st.caption(
            _(":material/schedule: No worker lives at the moment; one is started within seconds.")
            if is_needed
            else _(":material/schedule: No worker is needed; one is started with the next job.")
        )
        return
    seen_at = job_reads.last_sign_of_a_worker()
    since = (
        _("none was ever seen")
        if seen_at is None
        else _("the last one was seen {moment}").format(moment=formats.moment(seen_at))
    )
    st.warning(
        _(
            "No worker lives, so nothing that waits is started; {since}. It is a service of its "
            "own here (WORKBENCH_WORKER is “external”). On the machine that is to do the work "
            "({host}, or another that shares this home), start it with "
            "`python -m engine worker`."
        ).format(since=since, host=formats.plain(platform.node())),
        icon=":material/warning:",
    )


def known() -> Known:
    """What the jobs are about."""
    return Known(
        runs={run.id: run for run in reads.all_runs()},
        drafts={draft.id: draft for draft in reads.all_drafts()},
        datasets={dataset.id: dataset for dataset in reads.all_datasets()},
    )


def running(jobs: Sequence[Job], about: Known) -> None:
    """What is being done, and where."""
    st.subheader(_("Running"))
    if not jobs:
        st.caption(_("Nothing runs at the moment."))
    now = time.time()
    for job in jobs:
        with st.container(border=True, key=f"queue_job_{job.id}"):
            _running_job(job, about, now)


def _running_job(job: Job, about: Known, now: float) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        status_badge(state_of(job))
        _link(job, about)
        st.caption(_facts(job, now), width="stretch")
        st.button(
            _("Stopping…") if job.wish else _("Stop"),
            icon=":material/stop:",
            on_click=granted,
            args=(stop_job, job.id),
            disabled=job.wish is not None,
            help=_("A training keeps its model and is scored."),
            key=f"queue_stop_{job.id}",
        )
    left = remaining_seconds(job, now)
    text = phase_word(job.phase)
    if left is not None:
        text = _("{phase}, {duration} left").format(phase=text, duration=formats.duration(left))
    st.progress(min(max(job.progress, 0.0), 1.0), text=text)


def _facts(job: Job, now: float) -> str:
    host = (job.handle or {}).get("host")
    where = queue_rows.slot_word(job.slot)
    if host is not None:
        where = _("{slot} of {host}").format(slot=where, host=formats.plain(host))
    facts = [
        kind_word(job.kind),
        where,
        formats.plain(job.actor),
        _("run time {duration}").format(duration=formats.duration(elapsed_seconds(job, now))),
    ]
    if job.attempts > 1:
        facts.append(_("attempt {num}").format(num=job.attempts))
    return " · ".join(facts)


def _link(job: Job, about: Known) -> None:
    label = formats.plain(queue_rows.subject(job, about))
    payload = job.payload
    if payload.get("run") in about.runs:
        page, query, icon = links.RUN, {"run": payload["run"]}, ":material/stacked_line_chart:"
    elif payload.get("draft") in about.drafts:
        page, query, icon = links.REVIEW, {"import": payload["draft"]}, ":material/upload_file:"
    elif payload.get("dataset") in about.datasets:
        page, query = links.DATASET, {"dataset": payload["dataset"]}
        icon = ":material/photo_library:"
    else:
        st.markdown(f"**{label}**", width="content")
        return
    st.page_link(page, label=label, icon=icon, query_params=query)


def waiting(jobs: Sequence[Job], now_running: Sequence[Job], about: Known) -> None:
    """What waits, in its order, and the buttons that change it."""
    st.subheader(_("Waiting"))
    bulk.outcome(_OUTCOME)
    if not jobs:
        st.caption(_("Nothing waits."))
        return
    toolbar = st.container(horizontal=True, vertical_alignment="center")
    ids = [job.id for job in jobs]
    ticked = st.session_state.get(_CHOSEN, [])
    event = st.dataframe(
        queue_rows.waiting_table(jobs, now_running, about, time.time()),
        # Rows are selected by number, and the same numbers soon mean other jobs.
        key=f"queue_waiting_{zlib.crc32(' '.join(ids).encode())}",
        hide_index=True,
        height="content" if len(jobs) <= _ROWS_BEFORE_SCROLLING else 460,
        placeholder=formats.MISSING,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={
            "selection": {"rows": [row for row, job_id in enumerate(ids) if job_id in ticked]}
        },
        column_config={
            "place": st.column_config.NumberColumn(
                _("Place"), width="small", help=_("Among the jobs that take the same slots.")
            ),
            "subject": st.column_config.TextColumn(_("What"), width="medium"),
            "kind": st.column_config.TextColumn(_("Kind"), width="small"),
            "owner": st.column_config.TextColumn(_("Owner"), width="small"),
            "since": st.column_config.DatetimeColumn(
                _("Queued"), format="YYYY-MM-DD HH:mm", width="small"
            ),
            "waited": st.column_config.TextColumn(_("Waited"), width="small"),
            "expected": st.column_config.TextColumn(
                _("Starts"),
                width="small",
                help=_("Told only where everything before it says when it will end."),
            ),
            "why": st.column_config.TextColumn(_("Why again"), width="medium")
            if any(job.incidents for job in jobs)
            else None,
        },
    )
    chosen = [jobs[row] for row in event.selection.rows if row < len(jobs)]
    st.session_state[_CHOSEN] = [job.id for job in chosen]
    with toolbar:
        _buttons(chosen, about)
    st.caption(
        _(
            "Between owners the order is fair by itself. Earlier and later change places among an "
            "owner's jobs of one kind."
        )
    )


def _buttons(chosen: Sequence[Job], about: Known) -> None:
    # What is moved first would be passed by what follows.
    backwards = list(reversed(chosen))
    later = partial(move_job, earlier=False)
    _button("next", _("Run next"), ":material/vertical_align_top:", backwards, about, run_next)
    _button(
        "earlier", _("Earlier"), ":material/arrow_upward:", chosen, about,
        partial(move_job, earlier=True),
    )  # fmt: skip
    _button("later", _("Later"), ":material/arrow_downward:", backwards, about, later)
    _button(
        "cancel", _("Cancel"), ":material/close:", chosen, about, cancel_job,
        _("{num} of {total} cancelled."),
    )  # fmt: skip


def _button(
    name: str,
    label: str,
    icon: str,
    chosen: Sequence[Job],
    about: Known,
    wish: bulk.Wish,
    done: str = "",
) -> None:
    names = {job.id: queue_rows.subject(job, about) for job in chosen}
    st.button(
        label,
        icon=icon,
        on_click=bulk.carry_out,
        args=(_OUTCOME, wish, names, done),
        disabled=not chosen,
        key=f"queue_{name}",
    )


def ended(about: Known) -> None:
    """What ended last, and why."""
    jobs = job_reads.ended_jobs(_NUM_ENDED)
    if not jobs:
        return
    st.subheader(_("Ended"))
    st.dataframe(
        queue_rows.ended_table(jobs, about, time.time()),
        key="queue_ended",
        hide_index=True,
        height="content" if len(jobs) <= _ROWS_BEFORE_SCROLLING else 460,
        placeholder=formats.MISSING,
        column_config={
            "status": st.column_config.TextColumn(_("How"), width="small"),
            "subject": st.column_config.TextColumn(_("What"), width="medium"),
            "kind": st.column_config.TextColumn(_("Kind"), width="small"),
            "owner": st.column_config.TextColumn(_("Owner"), width="small"),
            "ended": st.column_config.DatetimeColumn(
                _("Ended"), format="YYYY-MM-DD HH:mm", width="small"
            ),
            "ran": st.column_config.TextColumn(_("Run time"), width="small"),
            "waited": st.column_config.TextColumn(_("Queue time"), width="small"),
            "reason": st.column_config.TextColumn(_("Why"), width="large"),
        },
    )


def nothing_to_do() -> None:
    """An empty queue."""
    with empty_state(
        ":material/inbox:",
        _("Nothing runs and nothing waits"),
        _("What is imported, trained or scored stands here while it runs or waits for a slot."),
    ):
        st.page_link(links.TRAIN, label=_("Start a training"), icon=":material/play_arrow:")
