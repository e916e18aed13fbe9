"""Which runs are listed: a search, and choices of state, tag and owner; all of it in the URL."""

from collections.abc import Collection, Sequence

import streamlit as st

from engine.jobs.status import state_of
from engine.store.jobs import Job
from engine.store.runs import Run
from pages.common import links
from pages.common.texts import _, status_word

_STATES = ("queued", "running", "completed", "paused", "stopped", "failed")


def filters(runs: Sequence[Run]) -> list[Run]:
    """The widgets, and the runs they leave, in their order."""
    tags = sorted({tag for run in runs for tag in run.tags})
    owners = owners_of(runs)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        find = st.text_input(
            _("Search"),
            links.asked_for("find") or "",
            placeholder=_("Name, dataset, note or id"),
            icon=":material/search:",
            key="runs_find",
            on_change=links.remember,
            args=("find", "runs_find", ""),
        )
        states = _choice("status", _("Status"), _STATES)
        chosen_tags = _choice("tag", _("Tags"), tags) if tags else []
        chosen_owners = _choice("owner", _("Owner"), owners) if len(owners) > 1 else []
        archived = any(run.archived for run in runs) and st.toggle(
            _("Archived"),
            links.asked_for("archived") == str(True),
            key="runs_archived",
            on_change=links.remember,
            args=("archived", "runs_archived", False),
            help=_("Show archived runs too."),
        )
    return matching(
        runs, find=find, states=states, tags=chosen_tags, owners=chosen_owners, archived=archived
    )


def matching(
    runs: Sequence[Run],
    *,
    find: str = "",
    states: Collection[str] = (),
    tags: Collection[str] = (),
    owners: Collection[str] = (),
    archived: bool = False,
) -> list[Run]:
    """The runs that hold all words looked for, and are in one of the states, of one of the owners,
    and have one of the tags, where any are chosen.

    Args:
        archived: archived ones too.
    """
    words = find.casefold().split()
    return [
        run
        for run in runs
        if (archived or not run.archived)
        and (not states or _shown_state(run.job) in states)
        and (not tags or not set(tags).isdisjoint(run.tags))
        and (not owners or run.actor in owners)
        and (not words or _holds(run, words))
    ]


def owners_of(runs: Sequence[Run]) -> list[str]:
    """Whose runs these are."""
    return sorted({run.actor for run in runs})


def _choice(name: str, label: str, options: Sequence[str]) -> list[str]:
    return st.multiselect(
        label,
        options,
        links.asked_choices(name, options),
        format_func=status_word if name == "status" else str,
        placeholder=_("all"),
        key=f"runs_of_{name}",
        on_change=links.remember,
        args=(name, f"runs_of_{name}"),
        width=220,
    )


def _shown_state(job: Job) -> str:
    """Whoever looks for what runs means what is being stopped too."""
    state = state_of(job)
    return "running" if state in ("stopping", "pausing") else state


def _holds(run: Run, words: Sequence[str]) -> bool:
    text = " ".join((run.name, run.dataset_name, run.notes, run.id, *run.tags)).casefold()
    return all(word in text for word in words)
