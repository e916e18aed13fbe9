"""The form in which people name a thing and say something about it."""

from collections.abc import Callable, Collection

import streamlit as st

from engine.datasets.importer import MAX_NAME_CHARS
from engine.errors import WorkbenchError
from engine.jobs.imports import MAX_NOTES_CHARS, MAX_TAGS
from engine.store.datasets import Dataset
from engine.store.runs import Run
from pages.common import formats
from pages.common.texts import _, error_text


def description_form(
    thing: Dataset | Run,
    known_tags: Collection[str],
    describe: Callable[..., None],
    *,
    kind: str,
    placeholder: str,
) -> None:
    """Name, tags and notes of a dataset or a run, and the button that keeps them.

    Args:
        known_tags: those that other things of its kind have.
        describe: called with `name`, `tags` and `notes`; what it refuses is shown.
        kind: begins the keys of the fields.
        placeholder: of the notes.
    """
    with st.form(f"{kind}_about_{thing.id}"):
        name = st.text_input(
            _("Name"), thing.name, max_chars=MAX_NAME_CHARS, key=f"{kind}_rename_{thing.id}"
        )
        tags = st.multiselect(
            _("Tags"),
            sorted(known_tags),
            list(thing.tags),
            accept_new_options=True,
            max_selections=MAX_TAGS,
            placeholder=_("Choose or type a tag"),
            key=f"{kind}_tags_{thing.id}",
        )
        notes = st.text_area(
            _("Notes"),
            thing.notes,
            max_chars=MAX_NOTES_CHARS,
            height=150,
            placeholder=placeholder,
            key=f"{kind}_notes_{thing.id}",
        )
        if st.form_submit_button(_("Save"), icon=":material/save:"):
            try:
                describe(name=name, tags=tags, notes=notes)
            except WorkbenchError as error:
                st.error(formats.plain(error_text(error)), icon=":material/error:")
                return
            st.toast(_("Saved"), icon=":material/check:")
            st.rerun()
