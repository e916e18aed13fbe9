"""Trying the settings before a training: buttons, what runs, and what came out.

Every trial is a job. The URL holds the ids, the jobs know what they tried, and with what.
"""

from collections.abc import Mapping, Sequence

import streamlit as st

from engine.config import TrainConfig
from engine.errors import WorkbenchError
from engine.jobs.queue import stop_preflight, submit_preflight
from engine.store.datasets import Dataset
from engine.store.jobs import Job
from pages.common import formats, links, reads
from pages.common.parts import failure
from pages.common.texts import _, error_text, phase_word
from pages.common.train import trial_views
from pages.common.train.form import Form

_LIVE_SECONDS = 1.0
_ICONS = {
    "pictures": ":material/imagesmode:",
    "speed": ":material/speed:",
    "overfit": ":material/fitness_center:",
    "rates": ":material/monitoring:",
}


def titles() -> dict[str, str]:
    """What can be tried."""
    return {
        "pictures": _("Preview pictures"),
        "speed": _("Speed and memory"),
        "overfit": _("Overfit one batch"),
        "rates": _("Find learning rate"),
    }


def meanings() -> dict[str, str]:
    """What a trial finds out."""
    return {
        "pictures": _("Draws a few of your images as the network will be shown them: cut, changed "
                      "and with their masks, and the weights of their borders."),
        "speed": _("Takes a few real steps: how long an epoch and the whole training will be, and "
                   "whether the memory suffices."),
        "overfit": _("Learns a single batch by heart. A network that cannot do even that has "
                     "wrong settings, or masks that do not fit the images."),
        "rates": _("Takes steps at an ever larger learning rate, to see where the loss falls "
                   "fastest and where it explodes."),
    }  # fmt: skip


def trials(form: Form, config: TrainConfig) -> None:
    """The buttons, and below them the newest trial of each kind on this dataset."""
    st.subheader(_("Try before training"))
    found = newest_trials(form.dataset, [reads.job(job_id) for job_id in links.asked_trials()])
    with st.container(horizontal=True):
        for name, title in titles().items():
            st.button(
                title,
                icon=_ICONS[name],
                help=meanings()[name],
                on_click=_submit,
                args=(form.dataset.id, config, name),
                disabled=name in found and found[name].is_live,
                key=f"train_try_{name}",
            )
    # Only what runs is looked at again and again; the rest may hold buttons for the whole page.
    running = [job for job in found.values() if job.is_live]
    if running:
        st.fragment(_live, run_every=_LIVE_SECONDS)([job.id for job in running])
    for name in titles():
        if name in found and not found[name].is_live:
            _result(form, config, name, found[name])


def newest_trials(dataset: Dataset, jobs: Sequence[Job | None]) -> dict[str, Job]:
    """The first job of each kind that tries something on a dataset, of jobs newest first."""
    found: dict[str, Job] = {}
    for job in jobs:
        if job is None or job.kind != "preflight" or job.payload["dataset"] != dataset.id:
            continue
        for name in job.payload["want"]:
            found.setdefault(name, job)
    return found


def _submit(dataset_id: str, config: TrainConfig, name: str) -> None:
    """Callback: queue a trial."""
    try:
        job_id = submit_preflight(
            reads.workbench(), dataset_id, config, [name], actor=reads.actor()
        )
    except WorkbenchError as error:
        st.toast(formats.plain(error_text(error)), icon=":material/error:")
        return
    links.remember_trial(job_id)


def _live(job_ids: Sequence[str]) -> None:
    """Fragment: how far the trials are, until one ends and the whole page shows it."""
    for job_id in job_ids:
        job = reads.job(job_id)
        if job is None or not job.is_live:
            st.rerun()
        names = ", ".join(titles()[name] for name in job.payload["want"])
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(job.progress, text=f"{names}: {phase_word(job.phase)}")
            st.button(
                _("Stopping…") if job.wish else _("Stop"),
                icon=":material/stop:",
                on_click=_stop,
                args=(job_id,),
                disabled=job.wish is not None,
                key=f"train_stop_{job_id}",
            )


def _stop(job_id: str) -> None:
    """Callback: end a trial; one that has just ended is left as it is."""
    try:
        stop_preflight(reads.workbench(), job_id, actor=reads.actor())
    except WorkbenchError as error:
        st.toast(formats.plain(error_text(error)))


def _result(form: Form, config: TrainConfig, name: str, job: Job) -> None:
    with st.container(border=True, key=f"train_trial_{name}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{titles()[name]}**", width="content")
            if job.payload["config"] != config.to_dict():
                st.caption(_("with settings that have been changed since"), width="content")
        if job.error:
            failure(job.error)
        elif job.result is None or name not in job.result:
            st.caption(_("It was stopped."))
        else:
            _VIEWS[name](form, job, job.result[name])


_VIEWS: Mapping[str, trial_views.View] = {
    "pictures": trial_views.pictures,
    "speed": trial_views.speed,
    "overfit": trial_views.overfit,
    "rates": trial_views.rates,
}
