"""The samples of a dataset: those that the URL asks for as pictures or rows, and one large."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from engine.store.datasets import Dataset, Sample
from engine.store.runs import SPLIT_NAMES
from pages.common import columns, dataset_findings, formats, links, reads
from pages.common.dataset_filters import Filters, matching, size_counts
from pages.common.dataset_items import facts_words
from pages.common.dataset_numbers import samples_csv, samples_table
from pages.common.gallery import gallery
from pages.common.parts import (
    THUMBNAIL_ROW_PX,
    selected_position,
    table_height,
    truth_layers,
)
from pages.common.texts import _, class_word, gallery_texts, split_word, viewer_texts
from pages.common.viewer import Pane, viewer

VIEW = "samples"

_FILTERS = ("class", "size", "finding", "split", "name")
"""Query parameters of the filters."""
_GALLERY_HEIGHT_PX = 600
_VIEWER_HEIGHT_PX = 430


def view(dataset: Dataset) -> None:
    """Filters, what they leave, and the chosen sample beside it."""
    samples, names = reads.samples(dataset.id), reads.sample_names(dataset.id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        filters = _filters(dataset, samples)
        positions = matching(samples, names, filters)
        layout = _layout_switch(dataset)
        _export(dataset, [samples[position] for position in positions])
    if filters.positions is not None:
        # Copies of each other side by side, as the finding has them.
        shown = set(positions)
        positions = [position for position in filters.positions if position in shown]
    left, right = st.columns([11, 10], gap="medium")
    with left:
        if layout == "table":
            position = _table(dataset, [samples[each] for each in positions], names)
        else:
            position = _gallery(dataset, positions, filters)
    with right:
        if position is None:
            st.caption(_("No sample passes these filters."))
            st.button(
                _("Clear the filters"), icon=":material/filter_alt_off:", on_click=show,
                args=(dataset,), key="dataset_clear",
            )  # fmt: skip
        else:
            _detail(dataset, samples[position], names[position])


def show(dataset: Dataset, **wanted: str) -> None:
    """Callback: go to the samples that pass these filters and no others."""
    links.clear("image", *_FILTERS)
    switch_view(dataset, VIEW)
    for name in _FILTERS:
        st.session_state[_key(dataset, name)] = wanted.get(name, "" if name == "name" else None)
        if name in wanted:
            links.remember(name, _key(dataset, name))


def switch_view(dataset: Dataset, name: str) -> None:
    """Callback: go to another view of the page."""
    key = view_key(dataset)
    st.session_state[key] = name
    links.remember("view", key, VIEW)


def view_key(dataset: Dataset) -> str:
    """Key of the switch between the views, another one for each dataset."""
    return f"dataset_view_{dataset.id}"


def _key(dataset: Dataset, name: str) -> str:
    return f"dataset_{name}_{dataset.id}"


def _filters(dataset: Dataset, samples: Sequence[Sample]) -> Filters:
    """The row of filters, filled in from the URL."""
    findings = {
        name: finding
        for name, finding in dataset_findings.identified(reads.findings(dataset.id)).items()
        if finding.samples
    }
    sizes = size_counts(samples)
    classes = {str(entry.index): class_word(entry) for entry in dataset.classes}
    text = _text(dataset)
    chosen_class = _choice(dataset, "class", _("Any class"), classes)
    chosen_split = _choice(dataset, "split", _("Any part"), {n: split_word(n) for n in SPLIT_NAMES})
    chosen_finding = (
        _choice(
            dataset,
            "finding",
            _("Any finding"),
            {name: dataset_findings.finding_label(each) for name, each in findings.items()},
        )
        if findings
        else None
    )
    chosen_size = (
        _choice(
            dataset,
            "size",
            _("Any size"),
            {key: f"{key.replace('x', '×')} · {formats.count(n)}" for key, n in sizes.items()},
        )
        if len(sizes) > 1
        else None
    )
    return Filters(
        class_index=None if chosen_class is None else int(chosen_class),
        size=chosen_size,
        split=chosen_split,
        positions=dataset_findings.positions_of(findings[chosen_finding])
        if chosen_finding
        else None,
        text=text,
    )


def _text(dataset: Dataset) -> str:
    key = _key(dataset, "name")
    st.session_state.setdefault(key, links.asked_for("name") or "")
    return st.text_input(
        _("Name"),
        placeholder=_("Name contains …"),
        key=key,
        on_change=links.remember,
        args=("name", key, ""),
        label_visibility="collapsed",
        max_chars=200,
        width=160,
        icon=":material/search:",
    )


def _choice(
    dataset: Dataset, name: str, placeholder: str, options: Mapping[str, str]
) -> str | None:
    key = _key(dataset, name)
    asked = links.asked_for(name)
    st.session_state.setdefault(key, asked if asked in options else None)
    return st.selectbox(
        placeholder,
        list(options),
        index=None,
        format_func=options.__getitem__,
        placeholder=placeholder,
        key=key,
        on_change=links.remember,
        args=(name, key),
        label_visibility="collapsed",
        width=140,
    )


def _layout_switch(dataset: Dataset) -> str:
    key = _key(dataset, "layout")
    words = {"gallery": _("Gallery"), "table": _("Table")}
    icons = {"gallery": ":material/grid_view:", "table": ":material/table_rows:"}
    st.session_state.setdefault(key, links.asked_choice("layout", words, "gallery"))
    chosen = st.segmented_control(
        _("Show as"),
        list(words),
        required=True,
        format_func=lambda each: f"{icons[each]} {words[each]}",
        key=key,
        on_change=links.remember,
        args=("layout", key, "gallery"),
        label_visibility="collapsed",
    )
    return chosen or "gallery"


def _export(dataset: Dataset, shown: Sequence[Sample]) -> None:
    found = reads.findings_by_sample(dataset.id)

    def csv() -> str:
        keys = {each.position: [f.key for f in found.get(each.position, ())] for each in shown}
        return samples_csv(dataset, shown, keys)

    st.download_button(
        _("CSV"),
        csv,
        file_name=f"{dataset.name}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="dataset_csv",
        help=_("The samples that pass the filters, with everything that is stored of them."),
        disabled=not shown,
    )


def _gallery(dataset: Dataset, positions: Sequence[int], filters: Filters) -> int | None:
    asked = links.asked_image()
    selected = asked if asked in positions else next(iter(positions), None)
    items = reads.gallery_items(dataset.id)
    total = formats.count(dataset.num_samples)
    count = _("{{count}} of {total} samples") if filters.are_set else _("{{count}} samples")
    chosen = gallery(
        [items[position] for position in positions],
        key=f"dataset_gallery_{dataset.id}",
        texts=gallery_texts(count.format(total=total)),
        selected=selected,
        height_px=_GALLERY_HEIGHT_PX,
    )
    if chosen is not None and chosen != selected:
        links.remember_image(chosen)
        # The gallery has the last word from here: tell it what is selected now.
        st.rerun()
    return selected


def _table(dataset: Dataset, shown: Sequence[Sample], names: Sequence[str]) -> int | None:
    found = reads.findings_by_sample(dataset.id)
    words = {
        each.position: [dataset_findings.finding_word(f.key) for f in found.get(each.position, ())]
        for each in shown
    }
    event: Any = st.dataframe(
        samples_table(dataset, shown, names, words),
        key=f"dataset_samples_{dataset.id}",
        height=table_height(len(shown)),
        hide_index=True,
        row_height=THUMBNAIL_ROW_PX,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "thumb": columns.thumbnail(_("Image")),
            "sample": st.column_config.TextColumn(_("Sample"), width="medium"),
            "split": st.column_config.TextColumn(_("Part")),
            "size": st.column_config.TextColumn(_("Size")),
            "group": st.column_config.TextColumn(_("Group")),
            "objects": st.column_config.NumberColumn(_("Objects"), format="localized"),
            "findings": st.column_config.TextColumn(_("Findings")),
            **columns.class_columns(dataset, as_share=True),
        },
    )
    return selected_position(event, [sample.position for sample in shown])


def _detail(dataset: Dataset, sample: Sample, name: str) -> None:
    viewer(
        [
            Pane(
                title=name,
                layers=truth_layers(dataset, sample),
                width_px=sample.width,
                height_px=sample.height,
            )
        ],
        key="dataset_viewer",
        texts=viewer_texts(),
        shown=("image", "truth"),
        height_px=_VIEWER_HEIGHT_PX,
    )
    st.markdown(" · ".join(facts_words(sample)))
    total = max(sum(sample.class_pixels), 1)
    shares = [
        f"{formats.plain(class_word(entry))} {sample.class_pixels[entry.index] / total:.1%}"
        for entry in dataset.classes
        if sample.class_pixels[entry.index]
    ]
    st.caption(" · ".join(shares))
    for finding in reads.findings_by_sample(dataset.id).get(sample.position, ()):
        icon = dataset_findings.ICONS[finding.severity]
        st.caption(f"{icon} {dataset_findings.sentence(finding.note)}")
