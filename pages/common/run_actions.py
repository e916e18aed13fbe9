"""What can be done with a run: the buttons beside its name, by its state."""

import streamlit as st

from engine.jobs.control import (
    cancel_job,
    delete_run,
    describe_run,
    resume_run,
    score_run,
    stop_job,
    stop_run,
)
from engine.store.jobs import Job
from engine.store.runs import Run
from pages.common import formats, job_reads, links, run_doctor
from pages.common.parts import granted
from pages.common.texts import _, phase_word

_MORE_EPOCHS, _MORE_MINUTES = 10, 10.0


def buttons(run: Run, scoring: Job | None, about_key: str) -> None:
    """All buttons of a run.

    Args:
        scoring: the newest job that was to score its images.
        about_key: key of the switch between the views, one of which is “about”.
    """
    if run.job.is_live:
        _while_live(run)
    else:
        _once_ended(run, scoring)
    if st.button(
        _("Clone"),
        icon=":material/content_copy:",
        help=_("Begins a new run with these settings; they can be changed first."),
        key="run_clone",
    ):
        links.open_clone(run.id, run.dataset_id, run.config.recipe)
    if st.button(_("Compare"), icon=":material/compare:", key="run_compare"):
        links.open_comparison([run.id])
    with st.popover(_("More"), icon=":material/more_horiz:", key="run_more"):
        _more(run, about_key)


def _while_live(run: Run) -> None:
    wish = run.job.wish
    st.button(
        _("Pausing…") if wish == "pause" else _("Pause"),
        icon=":material/pause:",
        on_click=granted,
        args=(stop_run, run.id),
        kwargs={"wish": "pause"},
        # What is asked to stop may still be asked not to be scored.
        disabled=wish == "pause",
        help=_("Ends after the current step and keeps everything, to go on later."),
        key="run_pause",
    )
    st.button(
        _("Stopping…") if wish == "stop" else _("Stop"),
        icon=":material/stop:",
        on_click=granted,
        args=(stop_run, run.id),
        disabled=wish is not None,
        help=_("Ends after the current step, keeps the model, and scores its best epoch."),
        key="run_stop",
    )


def _once_ended(run: Run, scoring: Job | None) -> None:
    if scoring is not None and scoring.is_live:
        return
    can_go_on = job_reads.can_be_trained_further(run)
    if run.status != "completed":
        st.button(
            _("Resume"),
            type="primary",
            icon=":material/play_arrow:",
            on_click=granted,
            args=(resume_run, run.id),
            disabled=not can_go_on,
            help=_("Goes on from its last checkpoint.") if can_go_on else _gone(),
            key="run_resume",
        )
    if run.num_epochs_done:
        with st.popover(
            _("Train more"), icon=":material/add:", disabled=not can_go_on, key="run_more_epochs"
        ):
            _train_more(run)
    if run.best_epoch is not None and run.scored_at is None:
        st.button(
            _("Score images"),
            icon=":material/fact_check:",
            on_click=granted,
            args=(score_run, run.id),
            help=_("Predicts every image with the best epoch, and counts how well."),
            key="run_score",
        )


def _gone() -> str:
    return _(
        "Its training state was removed, so it cannot be trained further. A new run can start "
        "from its best weights: clone it and choose it as the run to start from."
    )


def _train_more(run: Run) -> None:
    """A number of epochs or minutes, and the button that queues the run once more."""
    minutes = run.config.schedule.max_minutes
    if minutes is not None:
        more: float = st.number_input(
            _("More minutes"), min_value=1.0, value=_MORE_MINUTES, step=5.0, key="run_more_number"
        )
        st.caption(_("Its time budget is {num:g} minutes.").format(num=minutes))
    else:
        more = st.number_input(
            _("More epochs"), min_value=1, value=_MORE_EPOCHS, step=1, key="run_more_number"
        )
        done, planned = run.num_epochs_done, run.config.schedule.epochs
        base = done if run.status == "completed" else planned
        st.caption(
            _("{done} of {planned} epochs are done; it is then to have {total}.").format(
                done=done, planned=planned, total=base + more
            )
        )
    st.button(
        _("Train"),
        type="primary",
        icon=":material/play_arrow:",
        on_click=granted,
        args=(resume_run, run.id),
        kwargs={"more": more},
        key="run_train_more",
    )


def _more(run: Run, about_key: str) -> None:
    st.button(
        _("Rename, tag, describe"),
        icon=":material/edit:",
        width="stretch",
        on_click=_show_about,
        args=(about_key,),
        key="run_rename",
    )
    if not run.job.is_live:
        st.button(
            _("Bring back from the archive") if run.archived else _("Archive"),
            icon=":material/unarchive:" if run.archived else ":material/archive:",
            width="stretch",
            help=_("Archived runs are left out of the list of runs until they are asked for."),
            on_click=granted,
            args=(describe_run, run.id),
            kwargs={"archived": not run.archived},
            key="run_archive",
        )
    run_doctor.download(run)
    if not run.job.is_live and st.button(
        _("Delete"), icon=":material/delete:", width="stretch", key="run_delete"
    ):
        st.dialog(_("Delete this run?"), icon=":material/delete:")(_ask_deletion)(run)


def _show_about(about_key: str) -> None:
    """Callback: turn to the view with name, tags and notes."""
    st.session_state[about_key] = "about"
    links.remember("view", about_key)


def _ask_deletion(run: Run) -> None:
    st.markdown(
        _(
            "“{name}” with its {epochs} epochs, weights, scores, pictures and log is removed for "
            "good. The dataset stays, and so do runs that started from it."
        ).format(name=formats.plain(run.name), epochs=formats.count(run.num_epochs_done))
    )
    if st.button(_("Delete for good"), type="primary", key="run_delete_for_good") and granted(
        delete_run, run.id
    ):
        st.switch_page(links.RUNS)


def scoring_progress(scoring: Job) -> None:
    """How far the scoring of an ended run is, and the way to end it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(
            scoring.progress,
            text=_("Scoring: {phase}").format(phase=phase_word(scoring.phase)),
        )
        st.button(
            _("Cancelling…") if scoring.wish else _("Cancel scoring"),
            icon=":material/close:",
            on_click=granted,
            args=(cancel_job if scoring.status == "queued" else stop_job, scoring.id),
            disabled=scoring.wish is not None,
            key="run_cancel_scoring",
        )
