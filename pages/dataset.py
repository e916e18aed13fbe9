"""One dataset: its samples with their masks, its quality, its statistics, its split, its story."""

import streamlit as st

from engine.errors import NotFound
from pages.common import (
    dataset_about,
    dataset_findings,
    dataset_quality,
    dataset_samples,
    dataset_split,
    dataset_statistics,
    dataset_versions,
    formats,
    links,
    reads,
)
from pages.common.parts import view_switch
from pages.common.texts import _, error_text

try:
    dataset = reads.dataset(links.asked_for("dataset") or "")
except NotFound as error:
    st.title(_("Dataset"))
    st.warning(formats.plain(error_text(error)))
    st.page_link(links.DATASETS, label=_("All datasets"), icon=":material/photo_library:")
    st.stop()

findings = reads.findings(dataset.id)
report = reads.report(dataset.id)

with st.container(horizontal=True, vertical_alignment="center"):
    st.title(formats.plain(dataset.name), width="stretch")
    if st.button(_("Train on it"), type="primary", icon=":material/play_arrow:"):
        links.open_training(dataset.id)

facts = _("{samples} samples · {channels} · {sizes} · {made} {moment} by {actor} · id {id}").format(
    samples=formats.count(dataset.num_samples),
    channels=_("grey") if dataset.num_channels == 1 else _("colour"),
    sizes=formats.sizes(report["sizes"]),
    made=_("corrected") if dataset.parent_id else _("imported"),
    moment=formats.moment(dataset.created_at),
    actor=formats.plain(dataset.actor),
    id=dataset.id,
)
tags = "".join(f" :gray-badge[{formats.plain(tag)}]" for tag in dataset.tags)
st.caption(facts + tags)

dataset_versions.making(dataset)

num_grave = dataset_findings.count_of(findings, "error", "warning")
quality = _("Quality · {num}").format(num=num_grave) if num_grave else _("Quality")
VIEWS = {
    "samples": (_("Samples"), dataset_samples.view),
    "quality": (quality, dataset_quality.view),
    "statistics": (_("Statistics"), dataset_statistics.view),
    "split": (_("Split"), dataset_split.view),
    "about": (_("About"), dataset_about.view),
}
view_key = dataset_samples.view_key(dataset)
if links.asked_for("view") == "import":
    # What the quality view was called at first.
    st.session_state.setdefault(view_key, "quality")
view = view_switch({name: title for name, (title, _view) in VIEWS.items()}, "samples", key=view_key)

if view in ("samples", "statistics"):
    dataset_quality.errors(dataset)

VIEWS[view][1](dataset)
