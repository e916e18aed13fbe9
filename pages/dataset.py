"""One dataset: its samples with their masks, its statistics, what the import found."""

import streamlit as st

from engine.errors import NotFound
from pages.common import charts, columns, formats, links, reads, tables
from pages.common.parts import (
    THUMBNAIL_ROW_PX,
    selected_position,
    table_height,
    truth_layers,
    view_switch,
)
from pages.common.texts import _, error_text, record_text, viewer_texts
from pages.common.viewer import Pane, viewer

try:
    dataset = reads.dataset(links.asked_for("dataset") or "")
except NotFound as error:
    st.title(_("Dataset"))
    st.warning(formats.plain(error_text(error)))
    st.page_link(links.DATASETS, label=_("All datasets"), icon=":material/photo_library:")
    st.stop()

samples = reads.samples(dataset.id)
names = reads.sample_names(dataset.id)
report = dataset.report

with st.container(horizontal=True, vertical_alignment="center"):
    st.title(formats.plain(dataset.name), width="stretch")
    if st.button(_("Train on it"), type="primary", icon=":material/play_arrow:"):
        links.open_training(dataset.id)

st.caption(
    _("{samples} samples · {channels} · {sizes} · imported {moment} by {actor} · id {id}").format(
        samples=formats.count(dataset.num_samples),
        channels=_("grey") if dataset.num_channels == 1 else _("colour"),
        sizes=formats.sizes(report["sizes"]),
        moment=formats.moment(dataset.created_at),
        actor=formats.plain(dataset.actor),
        id=dataset.id,
    )
)
for warning in report["warnings"]:
    st.warning(formats.plain(record_text(warning)), icon=":material/info:")

VIEWS = {"samples": _("Samples"), "statistics": _("Statistics"), "import": _("Import report")}
view = view_switch(VIEWS, "samples", key="dataset_view")

if view == "samples":
    table_column, viewer_column = st.columns([5, 8], gap="medium")
    with table_column:
        event = st.dataframe(
            tables.samples_table(dataset, samples, names),
            key=f"dataset_samples_{dataset.id}",
            height=table_height(len(samples)),
            hide_index=True,
            row_height=THUMBNAIL_ROW_PX,
            on_select="rerun",
            selection_mode="single-row",
            column_config={
                "thumb": columns.thumbnail(_("Image")),
                "sample": st.column_config.TextColumn(_("Sample")),
                "size": st.column_config.TextColumn(_("Size")),
                **columns.class_columns(dataset, as_share=True),
            },
        )
    position = selected_position(event, [sample.position for sample in samples])
    sample = samples[position]
    with viewer_column:
        viewer(
            [
                Pane(
                    title=names[sample.position],
                    layers=truth_layers(dataset, sample),
                    width_px=sample.width,
                    height_px=sample.height,
                )
            ],
            key="dataset_viewer",
            texts=viewer_texts(),
            shown=("image", "truth"),
        )
elif view == "statistics":
    pixels = [sum(sample.class_pixels[e.index] for sample in samples) for e in dataset.classes]
    images = [sum(sample.class_pixels[e.index] > 0 for sample in samples) for e in dataset.classes]
    total = max(sum(pixels), 1)
    left, right = st.columns(2)
    left.plotly_chart(
        charts.class_shares(dataset, [n / total for n in pixels], _("Share of the pixels")),
        key="dataset_pixels",
        alt=_("Share of the pixels of each class"),
    )
    right.plotly_chart(
        charts.class_shares(
            dataset, [n / len(samples) for n in images], _("Share of the images that show it")
        ),
        key="dataset_images",
        alt=_("Share of the images that show each class"),
    )
    st.dataframe(
        {
            _("Class"): [entry.name for entry in dataset.classes],
            _("Value in the files"): [entry.source_value for entry in dataset.classes],
            _("Background"): [entry.background for entry in dataset.classes],
            _("Pixels"): pixels,
            _("Images"): images,
        },
        hide_index=True,
        column_config={_("Pixels"): st.column_config.NumberColumn(format="localized")},
    )
else:
    st.markdown(
        _("**{pairs} pairs.** {rule}").format(
            pairs=formats.count(dataset.num_samples), rule=formats.plain(report["rule"])
        )
    )
    if report["unmatched"]:
        st.markdown(_("Pictures without a partner, left out:"))
        st.dataframe({_("File"): report["unmatched"]}, hide_index=True)
    if report["ambiguous"]:
        st.markdown(_("Pictures with several possible partners, left out:"))
        st.dataframe({_("File"): report["ambiguous"]}, hide_index=True)
    if not (report["unmatched"] or report["ambiguous"]):
        st.markdown(_("Every picture found its partner."))
    st.dataframe(
        {_("Image size"): list(report["sizes"]), _("Samples"): list(report["sizes"].values())},
        hide_index=True,
        width="content",
    )
