"""The head of a review: what the dataset will be called, what it will be, and the way on."""

import streamlit as st

from engine.errors import WorkbenchError
from engine.jobs import imports
from pages.common import formats, links, reads
from pages.common.review import archives, changes, classes, pairs, rows
from pages.common.review.context import Review
from pages.common.texts import _

PROBLEMS = {
    "pairs": ("pairing_problem",),
    "classes": ("classes_problem",),
    "split": ("split_problem", "groups_problem"),
}
"""Keys of the sentences about what was entered and cannot be used, by view."""


def header(review: Review) -> None:
    """Name, summary, and the buttons that end the review."""
    forget_problems_of_other_views(review)
    is_readable = archives.is_readable(review.draft.id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(formats.plain(name_of(review)), width="stretch")
        if is_readable:
            rename(review)
        if rows.discard_popover(review.draft, key=review.key("discard"), kind="tertiary"):
            st.switch_page(links.DATASETS)
        if is_readable:
            go_ahead(review)
    if review.is_inspected:
        st.caption(summary(review))


def rename(review: Review) -> None:
    """The field for another name."""
    key = review.key("name")
    changes.follow(key, name_of(review))
    with st.popover(_("Rename"), icon=":material/edit:", type="tertiary"):
        st.text_input(
            _("Name of the dataset"),
            key=key,
            max_chars=200,
            on_change=remember_name,
            args=(review,),
        )


def go_ahead(review: Review) -> None:
    """The button that begins the import."""
    reason = reason_to_wait(review)
    st.button(
        _("Import"),
        icon=":material/check:",
        type="primary",
        disabled=bool(reason),
        help=reason or None,
        on_click=start_import,
        args=(review,),
        key=review.key("import"),
    )


def name_of(review: Review) -> str:
    """What the dataset will be called."""
    return str(st.session_state.get(review.key("entered_name")) or review.draft.name)


def remember_name(review: Review) -> None:
    """Callback: keep the name until the import begins; an empty one is the first again."""
    st.session_state[review.key("entered_name")] = st.session_state[review.key("name")].strip()


def summary(review: Review) -> str:
    """What the import will give, in one line."""
    assert review.found is not None and review.masks is not None
    num_pairs, num_notes = len(review.inspected), len(review.notes)
    num_samples = len(archives.inspected_pairs(review.draft.id))
    texts = [
        _("{num} pairs").format(num=formats.count(num_pairs)),
        _("{num} samples").format(num=formats.count(num_samples))
        if num_samples > num_pairs
        else "",
        _("{num} classes").format(num=classes.num_classes(review.masks)),
        formats.sizes(pairs.image_sizes(review.inspected, review.found.headers)),
        notes_text(num_notes),
    ]
    return " · ".join(text for text in texts if text)


def notes_text(num: int) -> str:
    """How many remarks there are."""
    if num < 2:
        return _("1 note") if num else ""
    return _("{num} notes").format(num=num)


def reason_to_wait(review: Review) -> str:
    """Why the import cannot begin yet; "" when it can."""
    if review.proposal is None or not review.proposal.pairs:
        return _("Nothing pairs yet.")
    if not review.is_inspected:
        return _("Look at these masks first.")
    if any(st.session_state.get(review.key(each)) for found in PROBLEMS.values() for each in found):
        return _("Something that was entered cannot be used; see below.")
    return ""


def forget_problems_of_other_views(review: Review) -> None:
    """What cannot be used is gone with the fields in which it was entered."""
    shown = links.asked_choice("view", PROBLEMS, "pairs")
    for view, problems in PROBLEMS.items():
        for problem in problems if view != shown else ():
            st.session_state.pop(review.key(problem), None)


def start_import(review: Review) -> None:
    """Callback: queue the import under the plan as it lies in the store."""
    archives.close_archive(review.draft.id)
    try:
        draft = reads.draft(review.draft.id)
        plan = changes.plan_of(draft)
        imports.submit_plan(
            reads.workbench(), draft.id, plan, name=name_of(review), actor=reads.actor()
        )
    except WorkbenchError as error:
        rows.refuse(error)
