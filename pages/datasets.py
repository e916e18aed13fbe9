"""Datasets: bring one in, watch what is on its way, open one."""

from typing import Literal

import streamlit as st

from engine.jobs.imports import submit_toy
from engine.store.datasets import Dataset
from pages.common import reads
from pages.common.parts import dataset_card, empty_state
from pages.common.review import arrivals, rows
from pages.common.texts import _

_CARDS_PER_PAGE = 12
_LIVE_SECONDS = 0.7


def import_toy() -> None:
    """Queue a generated dataset."""
    submit_toy(reads.workbench(), _("Toy circles and rectangles"), actor=reads.actor())


def toy_button(kind: Literal["primary", "secondary"]) -> None:
    """The button that makes the toy dataset."""
    st.button(
        _("Create a toy dataset"),
        icon=":material/toys:",
        type=kind,
        on_click=import_toy,
        key="datasets_toy",
        help=_("40 noisy pictures of circles and rectangles, three classes: good for a first try."),
    )


live = rows.live_jobs()


@st.fragment(run_every=_LIVE_SECONDS if live else None)
def on_their_way() -> None:
    """Archives and corrections that are no datasets yet, read anew while one is worked on."""
    if rows.live_jobs() != live:
        st.rerun()
    rows.rows()


def cards(datasets: list[Dataset]) -> None:
    """The datasets, a page at a time, with a search when there are many."""
    found = datasets
    if len(datasets) > _CARDS_PER_PAGE:
        asked = st.text_input(
            _("Search"),
            type="search",
            placeholder=_("Search by name, tag or id"),
            label_visibility="collapsed",
            key="datasets_search",
            bind="query-params",
            width=320,
        )
        words = (asked or "").casefold().split()
        found = [each for each in datasets if all(has_word(each, word) for word in words)]
        if not found:
            st.caption(_("No dataset has these words in its name, tags or id."))
    num_pages = -(-len(found) // _CARDS_PER_PAGE)
    current = 1
    if num_pages > 1:
        current = st.pagination(num_pages, key="datasets_page", bind="query-params")
    grid = st.grid(min_column_width=300, gap="medium")
    for dataset in found[(current - 1) * _CARDS_PER_PAGE : current * _CARDS_PER_PAGE]:
        with grid.cell(), st.container(border=True):
            dataset_card(dataset)


def has_word(dataset: Dataset, word: str) -> bool:
    """Whether a searched word, in small letters, is in a dataset's name or tags, or is its id."""
    return word == dataset.id or word in "\n".join((dataset.name, *dataset.tags)).casefold()


st.title(_("Datasets"))
datasets = reads.all_datasets()
arrivals.upload()
if reads.workbench().settings.import_roots:
    arrivals.server_folder()
on_their_way()
if datasets:
    cards(datasets)
if datasets or reads.all_drafts():
    toy_button("secondary")
else:
    with empty_state(
        ":material/photo_library:",
        _("No datasets yet"),
        _("Drop a zip of images and masks above, or try everything with generated pictures first."),
    ):
        toy_button("primary")
