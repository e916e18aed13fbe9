"""What can be done with several runs at once."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from engine.jobs.control import delete_run, describe_run, resume_run, stop_run
from engine.jobs.imports import MAX_TAGS
from engine.store import runs as run_store
from engine.store.runs import Run
from engine.workbench import Workbench
from pages.common import bulk, formats, links
from pages.common.texts import _

OUTCOME = "runs_outcome"
"""Session key of what the last wish did."""
_NAMES_SHOWN = 6


def buttons(chosen: Sequence[Run], known_tags: Sequence[str]) -> None:
    """The buttons; those that change something only once something is chosen."""
    if st.button(
        _("Compare selected"),
        icon=":material/compare:",
        disabled=len(chosen) < 2,
        key="runs_compare",
    ):
        links.open_comparison([run.id for run in chosen])
    if not chosen:
        return
    _button(
        "stop", _("Stop"), ":material/stop:", chosen, stop_run, _("{num} of {total} asked to stop.")
    )
    _button(
        "pause", _("Pause"), ":material/pause:", chosen,
        partial(stop_run, wish="pause"), _("{num} of {total} asked to pause."),
    )  # fmt: skip
    _button(
        "resume", _("Resume"), ":material/play_arrow:", chosen, resume_run,
        _("{num} of {total} queued once more."),
    )  # fmt: skip
    if all(run.archived for run in chosen):
        _button(
            "unarchive", _("Bring back"), ":material/unarchive:", chosen,
            partial(describe_run, archived=False), _("{num} of {total} brought back."),
        )  # fmt: skip
    else:
        _button(
            "archive", _("Archive"), ":material/archive:", chosen,
            partial(describe_run, archived=True), _("{num} of {total} archived."),
        )  # fmt: skip
    with st.popover(_("Tag"), icon=":material/label:", key="runs_tag_popover"):
        _tags(chosen, known_tags)
    if st.button(_("Delete"), icon=":material/delete:", key="runs_delete"):
        st.dialog(_("Delete these runs?"), icon=":material/delete:")(_ask_deletion)(chosen)


def add_tags(workbench: Workbench, run_id: str, *, tags: Sequence[str], actor: str) -> None:
    """Add tags to those a run has."""
    run = run_store.get(workbench.database, run_id)
    describe_run(workbench, run_id, tags=[*run.tags, *tags], actor=actor)


def _button(
    name: str, label: str, icon: str, chosen: Sequence[Run], wish: bulk.Wish, done: str
) -> None:
    st.button(
        label,
        icon=icon,
        on_click=bulk.carry_out,
        args=(OUTCOME, wish, _names(chosen), done),
        key=f"runs_{name}",
    )


def _tags(chosen: Sequence[Run], known_tags: Sequence[str]) -> None:
    tags = st.multiselect(
        _("Tags to add"),
        known_tags,
        accept_new_options=True,
        max_selections=MAX_TAGS,
        placeholder=_("Choose or type a tag"),
        key="runs_new_tags",
    )
    st.button(
        _("Add to the selected"),
        icon=":material/label:",
        on_click=bulk.carry_out,
        args=(OUTCOME, partial(add_tags, tags=tags), _names(chosen), _("{num} of {total} tagged.")),
        disabled=not tags,
        key="runs_tag",
    )


def _ask_deletion(chosen: Sequence[Run]) -> None:
    live = [run for run in chosen if run.job.is_live]
    names = [formats.plain(run.name) for run in chosen[:_NAMES_SHOWN]]
    more = len(chosen) - len(names)
    if more:
        names.append(_("and {num} more").format(num=formats.count(more)))
    st.markdown(
        _(
            "**{num} runs** with their weights, scores, pictures and logs are removed for good: "
            "{names}. Datasets stay, and so do runs that started from them."
        ).format(num=formats.count(len(chosen)), names=", ".join(names))
    )
    if live:
        st.caption(
            _("{num} of them have not ended and will be refused; stop them first.").format(
                num=formats.count(len(live))
            )
        )
    if st.button(_("Delete for good"), type="primary", key="runs_delete_for_good"):
        bulk.carry_out(OUTCOME, delete_run, _names(chosen), _("{num} of {total} deleted."))
        st.rerun()


def _names(chosen: Sequence[Run]) -> dict[str, str]:
    return {run.id: run.name for run in chosen}
