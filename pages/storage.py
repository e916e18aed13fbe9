"""Storage: what takes how much room, what goes by itself, and what can be removed."""

import streamlit as st

from pages.common import reads, storage_views
from pages.common.parts import empty_state
from pages.common.texts import _

st.title(_("Storage"))
storage_views.outcome()
storage = reads.storage()
storage_views.disk(storage)
storage_views.kinds(storage)
storage_views.retention(storage)

if storage.runs:
    st.subheader(_("Runs"))
    storage_views.runs(storage.runs)
if storage.datasets:
    st.subheader(_("Datasets"))
    storage_views.datasets(storage.datasets)
if not storage.runs and not storage.datasets:
    with empty_state(
        ":material/hard_drive:",
        _("Nothing is stored yet"),
        _("Here you will see how much room datasets and runs take, and can free some of it."),
    ):
        pass
