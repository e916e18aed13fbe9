"""What people say of a dataset, where it comes from, its classes, and its end."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from engine.datasets.plan import ClassRule
from engine.datasets.versions import Change, ClassChange
from engine.errors import NotFound, WorkbenchError
from engine.jobs.imports import (
    delete_dataset,
    describe_dataset,
)
from engine.store.datasets import Dataset
from pages.common import dataset_versions, formats, links, reads
from pages.common.description import description_form
from pages.common.review import classes
from pages.common.texts import _, error_text, record_text

_MAX_PICKERS = 24


def view(dataset: Dataset) -> None:
    """Name, tags and notes at the left; history and facts at the right; the classes below."""
    left, right = st.columns(2, gap="large")
    with left:
        _description(dataset)
    with right:
        _history(dataset)
        _facts(dataset)
    _class_editor(dataset)
    _deletion(dataset)


def _description(dataset: Dataset) -> None:
    description_form(
        dataset,
        {tag for each in reads.all_datasets() for tag in each.tags},
        partial(describe_dataset, reads.workbench(), dataset.id, actor=reads.actor()),
        kind="dataset",
        placeholder=_("What others should know: where it comes from, who labelled it …"),
    )


def _history(dataset: Dataset) -> None:
    st.subheader(_("Versions"))
    ancestors, is_complete = ancestors_of(dataset)
    if not is_complete:
        st.caption(_("An earlier version was deleted."))
    for each in ancestors:
        _version(each)
    st.markdown(f":material/arrow_right: **{formats.plain(dataset.name)}**")
    _changes(dataset)
    corrections = reads.corrections(dataset.id)
    for each in corrections:
        _version(each)
    if not (ancestors or corrections or dataset.parent_id):
        st.caption(_("There is only this one. A correction makes a new one."))


def _version(dataset: Dataset) -> None:
    st.page_link(
        links.DATASET,
        label=formats.plain(dataset.name),
        icon=":material/photo_library:",
        query_params={"dataset": dataset.id},
    )
    _changes(dataset)


def _changes(dataset: Dataset) -> None:
    for record in dataset.change or ():
        st.caption(f"{formats.moment(dataset.created_at)}: {formats.plain(record_text(record))}")


def ancestors_of(dataset: Dataset) -> tuple[list[Dataset], bool]:
    """The versions a dataset was made from, oldest first, and whether all are still there."""
    found: list[Dataset] = []
    parent_id = dataset.parent_id
    while parent_id is not None:
        try:
            parent = reads.dataset(parent_id)
        except NotFound:
            return found, False
        found.insert(0, parent)
        parent_id = parent.parent_id
    return found, True


def _facts(dataset: Dataset) -> None:
    runs = reads.runs_of(dataset.id)
    st.subheader(_("Facts"))
    st.markdown(
        _("{made} {moment} by {actor} · {channels} · {runs} runs use it").format(
            made=_("Corrected") if dataset.parent_id else _("Imported"),
            moment=formats.moment(dataset.created_at),
            actor=formats.plain(dataset.actor),
            channels=_("grey") if dataset.num_channels == 1 else _("colour"),
            runs=formats.count(len(runs)),
        )
    )
    st.caption(_("Fingerprint of the content (SHA-256)"))
    st.code(dataset.content_hash, language=None, wrap_lines=True)


def _class_editor(dataset: Dataset) -> None:
    st.subheader(_("Classes"))
    st.caption(
        _(
            "Rename, merge by giving the same name, make one the background or ignore it. "
            "The masks change, so this makes a new version."
        )
    )
    before = rules_of(dataset)
    key = f"dataset_classes_{dataset.id}"
    st.data_editor(
        {
            "color": [classes.swatch(rule.color, rule.role) for rule in before],
            "name": [rule.name for rule in before],
            "role": [rule.role for rule in before],
        },
        key=key,
        hide_index=True,
        disabled=("color",),
        width=640,
        alt=_("The classes"),
        column_config={
            "color": st.column_config.ImageColumn(_("Colour"), width=64),
            "name": st.column_config.TextColumn(_("Name"), required=True, max_chars=100),
            "role": st.column_config.SelectboxColumn(
                _("Role"),
                options=list(classes.ROLES),
                format_func=classes.role_word,
                required=True,
            ),
        },
    )
    edits = st.session_state[key]["edited_rows"] if key in st.session_state else {}
    rules = _recolored(dataset, before, classes.edited(before, edits))
    change = change_of(before, rules)
    if change is None:
        return
    samples, names = reads.samples(dataset.id), reads.sample_names(dataset.id)
    sentences = dataset_versions.promises(change, dataset, samples, names)
    for sentence in sentences:
        st.markdown(f"- {sentence}")
    if not any(rule.role == "class" for rule in rules):
        st.error(
            _("No class is left to learn. Make at least one a class."), icon=":material/error:"
        )
    elif st.button(
        _("Make a version with these classes"),
        type="primary",
        icon=":material/library_add:",
        key="dataset_make_classes",
    ):
        dataset_versions.ask(dataset, change, sentences, [sample.split for sample in samples])


def _recolored(
    dataset: Dataset, before: Sequence[ClassRule], rules: tuple[ClassRule, ...]
) -> tuple[ClassRule, ...]:
    """The rules with the colours that a person picked."""
    shown = [index for index, rule in enumerate(before) if rule.role == "class"]
    if len(shown) > _MAX_PICKERS:
        return rules
    with st.container(horizontal=True):
        for index in shown:
            old = before[index].color.lower()
            picked = st.color_picker(
                formats.plain(before[index].name), old, key=f"dataset_color_{dataset.id}_{index}"
            )
            if picked.lower() != old:
                rules = classes.recolored(rules, rules[index].name, picked)
    return rules


def rules_of(dataset: Dataset) -> tuple[ClassRule, ...]:
    """The classes of a dataset as the class editor has them."""
    return tuple(
        ClassRule(
            name=entry.name,
            color=entry.color,
            role="background" if entry.background else "class",
            values=(entry.index,),
        )
        for entry in dataset.classes
    )


def change_of(before: Sequence[ClassRule], after: Sequence[ClassRule]) -> Change | None:
    """The correction that makes one of the other; None when they are the same."""
    if tuple(before) == tuple(after):
        return None
    return Change(
        classes=tuple(
            ClassChange(index=index, name=rule.name, color=rule.color, role=rule.role)
            for index, rule in enumerate(after)
        )
    )


def _deletion(dataset: Dataset) -> None:
    st.subheader(_("Delete"))
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(_("Delete this dataset"), icon=":material/delete:", key="dataset_delete"):
            st.dialog(_("Delete this dataset?"), icon=":material/delete:")(_ask_deletion)(dataset)
        st.caption(_("Refused while runs use it. Other versions of it stay."))


def _ask_deletion(dataset: Dataset) -> None:
    st.markdown(
        _("“{name}” with its {num} samples is removed for good.").format(
            name=formats.plain(dataset.name), num=formats.count(dataset.num_samples)
        )
    )
    if st.button(_("Delete for good"), type="primary", key="dataset_delete_for_good"):
        try:
            delete_dataset(reads.workbench(), dataset.id, actor=reads.actor())
        except WorkbenchError as error:
            st.error(formats.plain(error_text(error)), icon=":material/error:")
            return
        st.switch_page(links.DATASETS)
