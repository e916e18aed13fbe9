"""One import before anything is stored: look at it, correct it, and let it go ahead."""

import streamlit as st

from engine.errors import NotFound
from pages.common import links, reads
from pages.common.parts import view_switch
from pages.common.review import archives, changes, states
from pages.common.review.classes_view import classes_view
from pages.common.review.context import review_of
from pages.common.review.header import header
from pages.common.review.pairs_view import pairs_view
from pages.common.review.samples_view import samples_view
from pages.common.review.split_view import split_view
from pages.common.texts import _

draft_id = links.asked_for("import") or ""
try:
    draft = reads.draft(draft_id)
except NotFound:
    states.gone(draft_id)
    st.stop()

if draft.job.is_live:
    states.live(draft)
    st.stop()

review = review_of(draft)
VIEWS = {"pairs": _("Pairs"), "classes": _("Classes"), "split": _("Split")}
SHOWN = {"pairs": pairs_view, "classes": classes_view, "split": split_view}

header(review)
states.ended_badly(review)
if not archives.is_readable(draft.id):
    st.stop()

left, right = st.columns([6, 5], gap="large")
with left:
    view = view_switch(VIEWS, "pairs", key=changes.key_of_turn("review_view"))
    SHOWN[view](review)
with right:
    samples_view(review)
changes.all_filled()
