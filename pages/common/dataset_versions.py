"""Corrections of a dataset: what a new version will have, the question, and its making."""

import re
import time
from collections.abc import Sequence
from typing import Literal

import streamlit as st

from engine.datasets.importer import MAX_NAME_CHARS
from engine.datasets.versions import Change, ClassChange
from engine.errors import WorkbenchError
from engine.jobs.imports import submit_change
from engine.store.datasets import Dataset, Sample
from engine.store.jobs import Job
from engine.store.runs import SPLIT_NAMES
from pages.common import formats, links, reads
from pages.common.parts import failure
from pages.common.texts import _, error_text, phase_word, split_word

_JOBS_LOOKED_THROUGH = 50
_LIVE_SECONDS = 0.7
_FAILURES_SHOWN_SECONDS = 24 * 3600
_NAMES_SHOWN = 6
_MINE = "dataset_version_mine"
"""Session key: the job whose dataset is opened when it is made."""
_DISMISSED = "dataset_version_dismissed"


def next_name(name: str) -> str:
    """What the next version is called at first: “cells” → “cells v2” → “cells v3”."""
    numbered = re.fullmatch(r"(.*\S) v(\d{1,4})", name)
    stem, number = (numbered[1], int(numbered[2])) if numbered else (name, 1)
    ending = f" v{number + 1}"
    return stem[: MAX_NAME_CHARS - len(ending)].rstrip() + ending


def split_sizes(split: Sequence[str]) -> dict[str, int]:
    """How many samples are in each part."""
    return {part: sum(each == part for each in split) for part in SPLIT_NAMES}


def split_after(change: Change, samples: Sequence[Sample]) -> list[str]:
    """The parts of the samples that stay, when a change keeps the split."""
    left_out, to_train = set(change.leave_out), set(change.to_train)
    return [
        "train" if sample.position in to_train else sample.split
        for sample in samples
        if sample.position not in left_out
    ]


def promises(
    change: Change, dataset: Dataset, samples: Sequence[Sample], names: Sequence[str]
) -> list[str]:
    """What the new version will have differently, in sentences of markdown."""
    found = []
    if change.leave_out:
        found.append(
            _("**{num} of {total} samples** are left out: {names}.").format(
                num=formats.count(len(set(change.leave_out))),
                total=formats.count(len(samples)),
                names=_some([names[position] for position in sorted(set(change.leave_out))]),
            )
        )
    if change.to_train:
        moved = [p for p in sorted(set(change.to_train)) if samples[p].split != "train"]
        found.append(
            _("**{num} samples** go to training, where their copies are: {names}.").format(
                num=formats.count(len(moved)), names=_some([names[position] for position in moved])
            )
        )
    for rule in change.classes:
        entry = dataset.classes[rule.index]
        old, new = formats.plain(entry.name), formats.plain(rule.name)
        if rule.role == "ignore":
            found.append(_("Pixels of the class **{old}** no longer count.").format(old=old))
        elif rule.role == "background" and not entry.background:
            found.append(_("**{old}** becomes the background.").format(old=old))
        elif rule.role == "class" and entry.background and entry.name.lower() == "background":
            found.append(_("The background becomes the class **{new}**.").format(new=new))
        elif rule.role == "class" and entry.background:
            found.append(
                _("The background **{old}** becomes the class **{new}**.").format(old=old, new=new)
            )
        elif rule.name != entry.name and rule.name in _other_names(change, rule):
            found.append(
                _("The class **{old}** is merged into **{new}**.").format(old=old, new=new)
            )
        elif rule.name != entry.name:
            found.append(_("The class **{old}** becomes **{new}**.").format(old=old, new=new))
        elif rule.color.lower() != entry.color.lower():
            found.append(_("The class **{old}** gets another colour.").format(old=old))
    return found


def _other_names(change: Change, rule: ClassChange) -> list[str]:
    return [other.name for other in change.classes if other.index != rule.index]


def ask(
    dataset: Dataset, change: Change, sentences: Sequence[str], split: Sequence[str] | None = None
) -> None:
    """Ask in a dialog whether to make a new version, and what it is called.

    Args:
        sentences: what it will have differently, as markdown.
        split: the part of each sample that it will have, when that is known.
    """
    dialog = st.dialog(_("Make a new version"), icon=":material/library_add:")
    dialog(_question)(dataset, change, sentences, split)


def fix_button(dataset: Dataset, change: Change, label: str, *, key: str, is_urgent: bool) -> None:
    """A button that asks whether to make a version with a correction that keeps the split."""
    kind: Literal["primary", "secondary"] = "primary" if is_urgent else "secondary"
    if st.button(label, icon=":material/build:", type=kind, key=key):
        samples, names = reads.samples(dataset.id), reads.sample_names(dataset.id)
        sentences = promises(change, dataset, samples, names)
        ask(dataset, change, sentences, split_after(change, samples))


def _question(
    dataset: Dataset, change: Change, sentences: Sequence[str], split: Sequence[str] | None
) -> None:
    for sentence in sentences:
        st.markdown(sentence)
    if split is not None:
        sizes = split_sizes(split)
        st.markdown(
            _("It will have **{num} samples**: {parts}.").format(
                num=formats.count(len(split)),
                parts=", ".join(f"{formats.count(n)} {split_word(p)}" for p, n in sizes.items()),
            )
        )
    problem = _problem(split)
    if problem:
        st.error(problem, icon=":material/error:")
        return
    st.caption(_("This dataset and its runs stay as they are."))
    name = st.text_input(
        _("Name of the new version"),
        next_name(dataset.name),
        max_chars=MAX_NAME_CHARS,
        key="dataset_version_name",
    )
    if st.button(_("Make the new version"), type="primary", key="dataset_version_make"):
        try:
            job_id = submit_change(
                reads.workbench(), dataset.id, change, name=name, actor=reads.actor()
            )
        except WorkbenchError as error:
            st.error(formats.plain(error_text(error)), icon=":material/error:")
            return
        st.session_state[_MINE] = job_id
        st.rerun()


def _problem(split: Sequence[str] | None) -> str | None:
    """Why a version with this split could not be made."""
    for part in ("train", "val"):
        if split is not None and part not in split:
            return _(
                "No {part} samples would be left. Leave out fewer, or make another split first."
            ).format(part=split_word(part))
    return None


def making(dataset: Dataset) -> None:
    """The versions of a dataset that are being made; the one asked for here is opened at its end.

    One that failed is shown for a day, or until it is dismissed.
    """
    jobs = _jobs_of(dataset)
    mine = next((job for job in jobs if job.id == st.session_state.get(_MINE)), None)
    if mine is not None and mine.status == "completed" and mine.result:
        del st.session_state[_MINE]
        links.open_dataset(mine.result["dataset"])
    for job in jobs:
        if job.status == "failed" and _is_recent(job) and job.error:
            _failed(job)
    live = [job.id for job in jobs if job.is_live]
    if live:
        _progress(dataset, live)


@st.fragment(run_every=_LIVE_SECONDS)
def _progress(dataset: Dataset, live: list[str]) -> None:
    jobs = [job for job in _jobs_of(dataset) if job.is_live]
    if [job.id for job in jobs] != live:
        st.rerun()
    for job in jobs:
        text = _("Making {name}: {phase}").format(
            name=formats.plain(job.payload["name"]), phase=phase_word(job.phase)
        )
        st.progress(job.progress, text=text)


def _failed(job: Job) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        text = _("**{name}** was not made.").format(name=formats.plain(job.payload["name"]))
        st.markdown(text, width="stretch")
        st.button(_("Dismiss"), key=f"dataset_dismiss_{job.id}", on_click=_dismiss, args=(job.id,))
    failure(job.error or {})


def _dismiss(job_id: str) -> None:
    st.session_state.setdefault(_DISMISSED, set()).add(job_id)


def _is_recent(job: Job) -> bool:
    is_dismissed = job.id in st.session_state.get(_DISMISSED, ())
    return not is_dismissed and time.time() - job.created_at < _FAILURES_SHOWN_SECONDS


def _jobs_of(dataset: Dataset) -> list[Job]:
    jobs = reads.derivations(_JOBS_LOOKED_THROUGH)
    return [job for job in jobs if job.payload.get("dataset") == dataset.id]


def _some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    shown = ", ".join(formats.plain(name) for name in names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return shown if more <= 0 else _("{names} and {num} more").format(names=shown, num=more)
