"""What the doctor says of a run, its one-click remedies, and the support bundle."""

import streamlit as st

from engine.config import with_changes
from engine.datasets.importer import MAX_NAME_CHARS
from engine.doctor import Diagnosis, Remedy
from engine.errors import WorkbenchError
from engine.jobs.bundle import support_bundle
from engine.jobs.control import resume_run
from engine.jobs.queue import submit_training
from engine.store.datasets import Dataset
from engine.store.runs import Run
from pages.common import formats, job_reads, links, reads
from pages.common.dataset_findings import ICONS
from pages.common.parts import granted
from pages.common.tables import setting_text
from pages.common.texts import _, error_text, note_text
from pages.common.train.fields import setting_title

_EARLY_EPOCHS = 8


def hint(run: Run) -> str | None:
    """The gravest thing the doctor says of a run, in one line of markdown; None where nothing is
    worth a look."""
    found = [each for each in reads.diagnoses(run) if each.severity != "note"]
    if not found:
        return None
    # Beside an error that is shown already, the cause is the news.
    is_said = run.job.error is not None and found[0].severity == "error"
    sentence = note_text(found[0].cause if is_said else found[0].saw)
    return _("{sentence} The view “Doctor” says what may help.").format(
        sentence=formats.plain(sentence)
    )


def findings(run: Run, dataset: Dataset) -> None:
    """All that the doctor says of a run, the gravest first, with what may help."""
    found = reads.diagnoses(run)
    if not found:
        st.markdown(_nothing(run))
    for diagnosis in found:
        _finding(run, dataset, diagnosis)
    st.caption(
        _(
            "Looked at: errors, curves, scores, split, and waiting for images. A remedy is a "
            "suggestion, not a promise."
        )
    )


def _nothing(run: Run) -> str:
    if run.job.error is not None:
        return _(":gray[:material/info:] The doctor has nothing to add to the error above.")
    if run.job.is_live and run.num_epochs_done < _EARLY_EPOCHS:
        return _(":gray[:material/schedule:] It is too early to tell how this run does.")
    return _(":green[:material/check_circle:] **Nothing to report.** No known problem was found.")


def download(run: Run) -> None:
    """The button that makes the support bundle and hands it over."""
    st.download_button(
        _("Support bundle"),
        lambda: support_bundle(reads.workbench(), run.id),
        file_name=f"{run.name} support.zip",
        mime="application/zip",
        icon=":material/medical_information:",
        on_click="ignore",
        width="stretch",
        help=_("Settings, log, numbers, versions and hardware in a zip: no images, no passwords."),
        key="run_support_bundle",
    )


def _finding(run: Run, dataset: Dataset, diagnosis: Diagnosis) -> None:
    with st.container(border=True, gap="xsmall", key=f"run_doctor_{diagnosis.key}"):
        st.markdown(f"{ICONS[diagnosis.severity]} **{formats.plain(note_text(diagnosis.saw))}**")
        st.markdown(formats.plain(note_text(diagnosis.cause)))
        if diagnosis.key == "disk_full":
            st.page_link(links.STORAGE, label=_("Make room"), icon=":material/hard_drive:")
        with st.container(horizontal=True):
            for number, remedy in enumerate(diagnosis.remedies):
                key = f"run_remedy_{diagnosis.key}_{number}"
                if remedy.more:
                    _train_more(run, remedy, key)
                else:
                    _clone(run, dataset, remedy, key)


def _train_more(run: Run, remedy: Remedy, key: str) -> None:
    can_go_on = job_reads.can_be_trained_further(run)
    st.button(
        _("Train {label}").format(label=formats.plain(note_text(remedy.label))),
        icon=":material/add:",
        on_click=granted,
        args=(resume_run, run.id),
        kwargs={"more": remedy.more},
        disabled=not can_go_on,
        help=None if can_go_on else _("Its training state was removed."),
        key=key,
    )


def _clone(run: Run, dataset: Dataset, remedy: Remedy, key: str) -> None:
    label = note_text(remedy.label)
    changes = ", ".join(
        f"{setting_title(leaf)}: {setting_text(value)}" for leaf, value in remedy.changes.items()
    )
    if st.button(
        _("Clone with {label}").format(label=formats.plain(label)),
        icon=":material/content_copy:",
        help=_("Starts a new run with these settings but for: {changes}").format(
            changes=formats.plain(changes)
        ),
        key=key,
    ):
        ending = f" · {label}"
        try:
            clone = submit_training(
                reads.workbench(),
                dataset.id,
                with_changes(run.effective_config, remedy.changes),
                reasons={
                    leaf: note for leaf, note in run.reasons.items() if leaf not in remedy.changes
                },
                name=run.name[: MAX_NAME_CHARS - len(ending)] + ending,
                actor=reads.actor(),
            )
        except WorkbenchError as error:
            st.toast(formats.plain(error_text(error)), icon=":material/error:")
            return
        links.open_run(clone)
