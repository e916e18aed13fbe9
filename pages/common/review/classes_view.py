"""Classes: what the values in the masks mean, and what is done with each."""

import streamlit as st

from engine.datasets.masks import plan_as
from engine.datasets.plan import ClassRule, ImportPlan, MaskPlan
from engine.errors import BadData, BadSetting
from pages.common import formats
from pages.common.review import changes, classes
from pages.common.review.context import Review
from pages.common.texts import _, record_text

_MEANINGS = ("values", "colors", "threshold", "instances")
_MAX_PICKERS = 24
"""With more classes a row of colours is no help."""
_ROWS_SHOWN = 12


def classes_view(review: Review) -> None:
    """How the values were understood, and the editor of the classes."""
    masks = review.masks
    if masks is None or review.found is None:
        st.caption(_("The classes are known once the masks were looked at: see Pairs."))
        return
    for note in review.found.notes:
        st.caption(f":material/info: {formats.plain(record_text(note.to_record()))}")
    for note in review.suspicions:
        st.warning(formats.plain(record_text(note.to_record())), icon=":material/warning:")
    meaning(review, masks)
    editor(review, masks)
    colors(review, masks)
    problem = st.session_state.get(review.key("classes_problem"))
    if problem:
        st.error(problem, icon=":material/error:")
    with st.container(horizontal=True):
        if classes.can_swap(masks):
            st.button(
                _("Swap background and foreground"),
                icon=":material/swap_vert:",
                on_click=swap,
                args=(review,),
                key=review.key("swap"),
            )
        if review.plan.masks not in (None, review.found.plan.masks):
            st.button(
                _("As it was proposed"),
                icon=":material/undo:",
                type="tertiary",
                on_click=reset,
                args=(review,),
                key=review.key("reset"),
            )


def meaning(review: Review, masks: MaskPlan) -> None:
    """The kind of masks they are, and the threshold of soft ones."""
    assert review.found is not None
    key = review.key("meaning")
    changes.follow(key, masks.meaning)
    st.segmented_control(
        _("What the masks hold"),
        _MEANINGS,
        format_func=classes.meaning_word,
        required=True,
        key=key,
        on_change=set_meaning,
        args=(review,),
    )
    st.caption(classes.meaning_sentence(masks.meaning))
    if masks.meaning == "threshold":
        top = max(classes.highest_value(review.found.statistics), masks.threshold)
        threshold_key = review.key("threshold")
        changes.follow(threshold_key, masks.threshold)
        st.slider(
            _("Foreground from this value on"),
            1,
            top,
            key=threshold_key,
            on_change=set_meaning,
            args=(review,),
        )

    if masks.meaning in ("values", "colors"):
        nearest_key = review.key("nearest")
        changes.follow(nearest_key, masks.nearest)
        st.toggle(
            _("Snap to the nearest"),
            key=nearest_key,
            on_change=set_nearest,
            args=(review, nearest_key),
            help=_(
                "A value that no class has counts as the nearest that a class has, as blurred "
                "edges need. Otherwise samples with such a value are left out."
            ),
        )


def set_nearest(review: Review, key: str) -> None:
    """Callback: what becomes of values that no class has."""
    nearest = st.session_state[key]
    set_masks(review, lambda masks: changes.changed(masks, nearest=nearest))


def set_meaning(review: Review) -> None:
    """Callback: read what was found in the masks in another way."""
    chosen = st.session_state[review.key("meaning")]
    threshold = st.session_state.get(review.key("threshold"))

    def change(masks: MaskPlan) -> MaskPlan:
        assert review.found is not None
        if chosen == masks.meaning == "threshold":
            return changes.changed(masks, threshold=threshold)
        try:
            return plan_as(review.found.statistics, chosen)
        except BadData as error:
            raise BadSetting(error.message, **error.facts) from None

    set_masks(review, change)


def editor(review: Review, masks: MaskPlan) -> None:
    """The table of the classes. Cells that were edited lie in the plan before it is shown anew."""
    assert review.found is not None
    if st.session_state.get(review.key("classes_seen")) != masks:
        # Somebody else, or another widget, has changed the classes: what was edited is past.
        renew_editor(review, masks)
    table = classes.class_table(masks, classes.shares(masks, review.found.statistics))
    st.data_editor(
        table,
        key=editor_key(review),
        hide_index=True,
        disabled=("color", "values", "share"),
        height="auto" if len(table) <= _ROWS_SHOWN else 36 * (_ROWS_SHOWN + 1),
        on_change=edit,
        args=(review,),
        column_config={
            "color": st.column_config.ImageColumn(_("Colour"), width=64),
            "values": st.column_config.TextColumn(_("Values")),
            "share": st.column_config.NumberColumn(
                _("Pixels"),
                format="percent",
                help=_("Share of the pixels of all masks."),
                width="small",
            ),
            "name": st.column_config.TextColumn(
                _("Name"), required=True, max_chars=100, help=_("The same name makes one class.")
            ),
            "role": st.column_config.SelectboxColumn(
                _("Role"),
                options=list(classes.ROLES),
                format_func=classes.role_word,
                required=True,
                help=_(
                    "Background is never averaged into a score; ignored pixels do not count at all."
                ),
            ),
        },
        alt=_("The classes of the masks"),
    )


def editor_key(review: Review) -> str:
    """Key of the table; a new one forgets what was edited."""
    return review.key(f"classes_{st.session_state.get(review.key('classes_turn'), 0)}")


def renew_editor(review: Review, masks: MaskPlan) -> None:
    """Show the classes as they are in the plan."""
    turn = review.key("classes_turn")
    st.session_state[turn] = st.session_state.get(turn, 0) + 1
    st.session_state[review.key("classes_seen")] = masks


def edit(review: Review) -> None:
    """Callback of the table: put the edited cells into the plan."""
    edits = st.session_state[editor_key(review)]["edited_rows"]
    before: tuple[ClassRule, ...] = ()

    def change(masks: MaskPlan) -> MaskPlan:
        nonlocal before
        before = masks.classes
        return changes.changed(masks, classes=classes.edited(masks.classes, edits))

    after = set_masks(review, change)
    if after is not None and classes.is_only_what_was_edited(before, after.classes, edits):
        # The table shows it already, and keeps the place of the cursor.
        st.session_state[review.key("classes_seen")] = after


def colors(review: Review, masks: MaskPlan) -> None:
    """A picker for the colour of each class."""
    shown = classes.legend(masks)
    if len(shown) > _MAX_PICKERS:
        return
    with st.container(horizontal=True):
        for number, (name, color) in enumerate(shown.items()):
            key = review.key(f"color_{number}")
            changes.follow(key, color.lower())
            st.color_picker(
                formats.plain(name), key=key, on_change=recolor, args=(review, name, key)
            )


def recolor(review: Review, name: str, key: str) -> None:
    """Callback of a picker."""
    color = st.session_state[key]
    set_masks(
        review,
        lambda masks: changes.changed(masks, classes=classes.recolored(masks.classes, name, color)),
    )


def swap(review: Review) -> None:
    """Callback: exchange what is background and what is foreground."""
    set_masks(review, lambda masks: changes.changed(masks, classes=classes.swapped(masks)))


def reset(review: Review) -> None:
    """Callback: go back to what was learned from the masks."""
    found = review.found
    assert found is not None and found.plan.masks is not None
    proposed = found.plan.masks
    set_masks(review, lambda masks: proposed)


def set_masks(review: Review, change) -> MaskPlan | None:
    """Correct the meaning of the masks; returns the new one, or None if it cannot be used."""
    after: MaskPlan | None = None

    def change_plan(plan: ImportPlan) -> ImportPlan:
        nonlocal after
        masks = plan.masks or (review.found.plan.masks if review.found else None)
        assert masks is not None
        after = change(masks)
        return plan.model_copy(update={"masks": after})

    if not review.change(change_plan, problem=review.key("classes_problem")):
        return None
    return after
