"""The frame of every page: configuration and navigation. Each page is a script of its own."""

import streamlit as st

from pages.common import links
from pages.common.texts import _

st.set_page_config(page_title=_("U-Net Workbench"), page_icon=str(links.ICON), layout="wide")
st.logo(str(links.LOGO), size="large")

page = st.navigation(
    [
        st.Page(
            links.DATASETS,
            title=_("Datasets"),
            icon=":material/photo_library:",
            url_path="datasets",
            default=True,
        ),
        st.Page(links.TRAIN, title=_("Train"), icon=":material/model_training:", url_path="train"),
        st.Page(links.RUNS, title=_("Runs"), icon=":material/stacked_line_chart:", url_path="runs"),
        st.Page(links.QUEUE, title=_("Queue"), icon=":material/pending_actions:", url_path="queue"),
        st.Page(links.COMPARE, title=_("Compare"), icon=":material/compare:", url_path="compare"),
        st.Page(
            links.STORAGE, title=_("Storage"), icon=":material/hard_drive:", url_path="storage"
        ),
        st.Page(links.DATASET, title=_("Dataset"), url_path="dataset", visibility="hidden"),
        st.Page(links.REVIEW, title=_("Import"), url_path="review", visibility="hidden"),
        st.Page(links.RUN, title=_("Run"), url_path="run", visibility="hidden"),
    ],
    position="top",
)
page.run()
