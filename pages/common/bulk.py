"""One wish about several things at once: what was done, and what was refused and why."""

from collections.abc import Callable, Mapping

import streamlit as st

from engine.errors import WorkbenchError
from pages.common import formats, reads
from pages.common.texts import _, error_text

Wish = Callable[..., object]
"""Takes the workbench, the id of a thing, and `actor`."""

_MAX_REFUSALS = 5


def carry_out(key: str, wish: Wish, things: Mapping[str, str], done: str) -> None:
    """Callback: do what a person wishes with each of some things, as far as it is not refused.

    Args:
        key: of the session, under which `outcome` finds what came of it.
        things: names by id.
        done: says what was done, with `{num}` and `{total}`.
    """
    refused = []
    for thing_id, name in things.items():
        try:
            wish(reads.workbench(), thing_id, actor=reads.actor())
        except WorkbenchError as error:
            refused.append((name, error_text(error)))
    st.session_state[key] = (done, len(things), refused)


def outcome(key: str) -> None:
    """What the last wish did: a passing word, and what was refused until it is put away."""
    if key not in st.session_state:
        return
    done, total, refused = st.session_state[key]
    num = total - len(refused)
    if done:
        st.toast(
            done.format(num=formats.count(num), total=formats.count(total)),
            icon=":material/check:" if num else ":material/info:",
        )
    if not refused:
        del st.session_state[key]
        return
    # Said once; the refusals stay.
    st.session_state[key] = ("", total, refused)
    lines = [
        f"- **{formats.plain(name)}**: {formats.plain(reason)}"
        for name, reason in refused[:_MAX_REFUSALS]
    ]
    more = len(refused) - _MAX_REFUSALS
    if more > 0:
        lines.append(_("- and {num} more").format(num=formats.count(more)))
    head = _("Refused {num} of {total}:").format(
        num=formats.count(len(refused)), total=formats.count(total)
    )
    with st.container(horizontal=True, vertical_alignment="top"):
        st.warning("\n".join([head, "", *lines]), icon=":material/info:")
        st.button(
            _("Put away"),
            icon=":material/close:",
            type="tertiary",
            on_click=lambda: st.session_state.pop(key, None),
            key=f"{key}_away",
        )
