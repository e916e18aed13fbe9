"""What a dataset's classes, objects and images are like, as plots and a table."""

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.store.datasets import Dataset, Sample
from pages.common import columns, dataset_charts, reads
from pages.common.dataset_numbers import (
    Part,
    mean_object_px,
    num_objects,
    parts_of,
    sizes_words,
    value_word,
)
from pages.common.review.classes import swatch
from pages.common.texts import _, class_word


def view(dataset: Dataset) -> None:
    """The classes first, then the objects, then the images."""
    samples = reads.samples(dataset.id)
    parts = parts_of(dataset, samples)
    left, right = st.columns(2, gap="medium")
    _plot(
        left,
        dataset_charts.class_shares(dataset, parts),
        "dataset_pixels",
        _("Share of the pixels of each class, by part of the split"),
    )
    _plot(
        right,
        dataset_charts.images_showing(dataset, parts),
        "dataset_images",
        _("Share of the images that show each class, by part of the split"),
    )
    _class_table(dataset, parts["all"])
    if any(sample.facts for sample in samples):
        _objects(dataset, samples)
    _images(samples)


def _objects(dataset: Dataset, samples: Sequence[Sample]) -> None:
    left, right = st.columns(2, gap="medium")
    numbers = [number for number in map(num_objects, samples) if number is not None]
    sizes = [size for size in (mean_object_px(s, dataset.classes) for s in samples) if size]
    if numbers:
        _plot(
            left,
            dataset_charts.distribution(numbers, _("Objects per image"), _("objects")),
            "dataset_objects",
            _("How many images have how many objects"),
        )
    if sizes:
        _plot(
            right,
            dataset_charts.distribution(
                sizes, _("Mean object size of an image"), _("pixels"), log=True
            ),
            "dataset_object_sizes",
            _("How many images have objects of which mean size"),
        )


def _images(samples: Sequence[Sample]) -> None:
    left, right = st.columns(2, gap="medium")
    brightness = [s.facts["brightness"] for s in samples if "brightness" in s.facts]
    if brightness:
        _plot(
            left,
            dataset_charts.distribution(
                brightness, _("Brightness"), _("mean, of white"), as_share=True
            ),
            "dataset_brightness",
            _("How many images are how bright"),
        )
    if len({(sample.width, sample.height) for sample in samples}) > 1:
        _plot(
            right,
            dataset_charts.image_sizes(samples),
            "dataset_sizes",
            _("Width and height of the images"),
        )
    st.caption(sizes_words(samples))
    if not brightness:
        st.caption(
            _(
                "Objects and brightness were not measured when this dataset was imported. "
                "A new version of it measures them."
            )
        )


def _plot(place: DeltaGenerator, figure: go.Figure, key: str, alt: str) -> None:
    place.plotly_chart(figure, key=key, alt=alt, config={"displayModeBar": False})


def _class_table(dataset: Dataset, whole: Part) -> None:
    st.dataframe(
        {
            "color": [
                swatch(entry.color, "background" if entry.background else "class")
                for entry in dataset.classes
            ],
            "name": [class_word(entry) for entry in dataset.classes],
            "value": [value_word(dataset, entry) for entry in dataset.classes],
            "pixels": whole.class_pixels,
            "share": [100 * share for share in whole.class_share],
            "images": whole.images_showing,
        },
        hide_index=True,
        column_config={
            "color": st.column_config.ImageColumn(_("Colour"), width=64),
            "name": st.column_config.TextColumn(_("Class")),
            "value": st.column_config.TextColumn(_("Value in the files")),
            "pixels": st.column_config.NumberColumn(_("Pixels"), format="localized"),
            "share": columns.share(_("Share"), num_digits=2),
            "images": st.column_config.NumberColumn(_("Images"), format="localized"),
        },
        alt=_("The classes"),
        key="dataset_classes_table",
    )
