"""Corrections of a draft's plan. They are written at once, so a reload or a colleague sees them."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import streamlit as st

from engine.config import Part, parse_part
from engine.datasets.plan import ImportPlan, parse_plan
from engine.errors import BadSetting, Refused, WorkbenchError
from engine.store import drafts
from engine.store.drafts import Draft
from pages.common import formats, reads
from pages.common.review.rows import refuse
from pages.common.texts import _, error_text

_BEGUN_ANEW, _TURN = "review_begun_anew", "review_turn"

T = TypeVar("T", bound=Part)


def plan_of(draft: Draft) -> ImportPlan:
    """The plan as it is now; before a look into the archive, the plan that says nothing."""
    return ImportPlan() if draft.plan is None else parse_plan(draft.plan)


def changed(part: T, **values: Any) -> T:
    """A part of a plan with other values, validated.

    Raises:
        BadSetting: they cannot be used; the sentence is for the person who gave them.
    """
    return validated(type(part), {name: getattr(part, name) for name in _fields(part)} | values)


def validated(kind: type[T], values: Mapping[str, Any]) -> T:
    """A part of a plan. Raises `BadSetting` as `changed` does."""
    return parse_part(kind, values, "{problems}.")


def apply(
    draft_id: str,
    shown_job_id: str,
    change: Callable[[ImportPlan], ImportPlan],
    *,
    problem: str = "",
) -> bool:
    """Correct the plan of a draft; returns whether that could be done.

    The correction is made to the plan as it lies in the store, so what somebody else corrected
    elsewhere in it meanwhile stays.

    Args:
        shown_job_id: the draft's last job when the page was shown. After another one the archive
            may be paired in another way, and what was seen no longer holds.
        problem: key that a sentence about what cannot be used is kept under, for the page to show
            until the next correction; by default it is shown in passing.
    """
    if problem:
        st.session_state.pop(problem, None)
    try:
        draft = reads.draft(draft_id)
        if draft.job.is_live or draft.job.id != shown_job_id:
            raise Refused(_("Somebody else is working on this import. This change was not made."))
        plan = change(plan_of(draft))
    except BadSetting as error:
        if problem:
            st.session_state[problem] = formats.plain(error_text(error))
        else:
            refuse(error)
        return False
    except WorkbenchError as error:
        refuse(error)
        return False
    drafts.set_plan(reads.workbench().database, draft_id, plan.to_dict())
    return True


def follow(key: str, value: object) -> None:
    """Fill a widget from the plan, before it is made.

    What a person entered and the plan did not take stays until the plan changes.
    """
    seen = f"{key}_of_plan"
    is_new = key not in st.session_state or st.session_state.get(_BEGUN_ANEW, False)
    has_changed = st.session_state.get(seen) != value
    # What is equal is not written: the browser would go back to it while somebody drags or types.
    if is_new or (has_changed and st.session_state[key] != value):
        st.session_state[key] = value
    st.session_state[seen] = value


def begin_anew() -> None:
    """Fill all widgets from the plan when they are shown next.

    The browser forgets a widget that is not shown, but the server may not, because a fragment that
    runs meanwhile brings its value back; the two would then show and hold different values.
    """
    st.session_state[_BEGUN_ANEW] = True
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1


def key_of_turn(key: str) -> str:
    """A key for a widget that is not filled from the plan; another one since `begin_anew`."""
    return f"{key}_{st.session_state.get(_TURN, 0)}"


def all_filled() -> None:
    """All widgets were shown since `begin_anew`."""
    st.session_state.pop(_BEGUN_ANEW, None)


def _fields(part: Part) -> list[str]:
    return list(type(part).model_fields)
