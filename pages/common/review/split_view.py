"""Split: which samples train, validate and test, and which must stay together."""

from collections.abc import Sequence
from typing import get_args

import streamlit as st

from engine.datasets.pairing import Pair
from engine.datasets.plan import GroupPlan, ImportPlan
from engine.errors import WorkbenchError
from pages.common import formats
from pages.common.review import archives, changes, split
from pages.common.review.context import Review
from pages.common.texts import _, error_text, record_text

_BY = get_args(GroupPlan.model_fields["by"].annotation)
_TABLE_HEIGHT_PX = 240


def split_view(review: Review) -> None:
    """The settings of the split and of the groups, and what they give."""
    pairs = archives.inspected_pairs(review.draft.id) if review.is_inspected else ()
    if not pairs and review.proposal is not None:
        pairs = review.proposal.pairs
    method(review)
    shares(review)
    grouping(review)
    suggestion(review, pairs)
    try:
        found = archives.split_outcome(review.draft.id, pairs, review.plan)
    except WorkbenchError as error:
        st.error(formats.plain(error_text(error)), icon=":material/error:")
        return
    with st.container(horizontal=True):
        for part, label in (
            ("train", _("Training")),
            ("val", _("Validation")),
            ("test", _("Test")),
        ):
            st.metric(label, formats.count(found.sizes[part]), width=120)
    st.caption(split.groups_sentence(found))
    if found.group_sizes:
        st.dataframe(
            split.groups_table(found),
            hide_index=True,
            height=_TABLE_HEIGHT_PX if len(found.group_sizes) > 6 else "content",
            column_config={
                "group": st.column_config.TextColumn(_("Group")),
                "samples": st.column_config.NumberColumn(_("Samples"), width="small"),
            },
            alt=_("The largest groups"),
            key=review.key("groups_table"),
        )


def method(review: Review) -> None:
    """The way to split."""
    key = review.key("split_method")
    config = review.plan.split
    changes.follow(key, config.split_method)
    st.segmented_control(
        _("Split"),
        split.METHODS,
        format_func=split.method_word,
        required=True,
        key=key,
        on_change=set_split,
        args=(review, "split_method", key),
    )
    st.caption(split.method_meaning(config.split_method))


def shares(review: Review) -> None:
    """Shares, seed and folds, as far as the way to split uses them."""
    config = review.plan.split
    names = {
        "interleaved": ("val_share", "test_share"),
        "k_fold": ("test_share", "num_folds", "split_seed"),
    }.get(config.split_method, ("val_share", "test_share", "split_seed"))
    with st.container(horizontal=True):
        for name in names:
            key = review.key(name)
            value = getattr(config, name)
            changes.follow(key, value)
            st.number_input(
                split.number_word(name),
                step=0.05 if isinstance(value, float) else 1,
                format="%.2f" if isinstance(value, float) else "%d",
                help=split.number_meaning(name),
                key=key,
                on_change=set_split,
                args=(review, name, key),
                width=170,
            )
    problem = st.session_state.get(review.key("split_problem"))
    if problem:
        st.error(problem, icon=":material/error:")


def set_split(review: Review, name: str, key: str) -> None:
    """Callback: put a setting of the split into the plan."""
    value = st.session_state[key]
    if value is None:
        return

    def change(plan: ImportPlan) -> ImportPlan:
        return plan.model_copy(update={"split": changes.changed(plan.split, **{name: value})})

    review.change(change, problem=review.key("split_problem"))


def grouping(review: Review) -> None:
    """Which samples stay together."""
    key = review.key("groups_by")
    groups = review.plan.groups
    changes.follow(key, groups.by)
    chosen = st.segmented_control(
        _("Keep together"),
        _BY,
        format_func=split.grouping_word,
        required=True,
        key=key,
        on_change=set_groups,
        args=(review,),
    )
    st.caption(split.grouping_meaning(chosen or groups.by))
    if chosen == "pattern":
        pattern_key = review.key("group_pattern")
        changes.follow(pattern_key, groups.pattern)
        st.text_input(
            _("Group pattern"),
            key=pattern_key,
            placeholder=_(r"(patient\d+)_"),
            max_chars=200,
            on_change=set_groups,
            args=(review,),
            help=_(
                "A regular expression; what its first pair of parentheses matches in a sample's "
                "name is the group."
            ),
        )
    problem = st.session_state.get(review.key("groups_problem"))
    if problem:
        st.error(problem, icon=":material/error:")


def suggestion(review: Review, pairs: Sequence[Pair]) -> None:
    """What the names suggest, with one press to follow them."""
    if review.plan.groups.by != "auto":
        return
    found = archives.split_suggestion(review.draft.id, pairs, review.plan)
    if found is None:
        return
    note = formats.plain(record_text(found.note.to_record()))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/lightbulb: {note}", width="stretch")
        if found.plan is not None:
            st.button(
                _("Keep them together"),
                icon=":material/group_work:",
                on_click=follow_suggestion,
                args=(review, found.plan),
                key=review.key("keep_together"),
            )


def follow_suggestion(review: Review, groups: GroupPlan) -> None:
    """Callback: group as the names suggest."""
    review.change(lambda plan: plan.model_copy(update={"groups": groups}))


def set_groups(review: Review) -> None:
    """Callback: put the way to group into the plan, once a pattern is given where one is needed."""
    by = st.session_state[review.key("groups_by")]
    pattern = (st.session_state.get(review.key("group_pattern")) or "") if by == "pattern" else ""
    if by == "pattern" and not pattern:
        st.session_state.pop(review.key("groups_problem"), None)
        return

    def change(plan: ImportPlan) -> ImportPlan:
        wished = changes.validated(GroupPlan, {"by": by, "pattern": pattern})
        split.check_groups(archives.inspected_pairs(review.draft.id), wished)
        return plan.model_copy(update={"groups": wished})

    review.change(change, problem=review.key("groups_problem"))
