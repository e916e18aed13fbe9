"""The plots of a dataset: which bars, in which colours, between which ends."""

from dataclasses import replace

import pytest

from engine.store import datasets
from pages.common import dataset_charts
from pages.common.dataset_numbers import Part, parts_of
from tests.pages.test_dataset_filters import SAMPLES


@pytest.fixture
def parts(dataset, workbench):
    return parts_of(dataset, datasets.samples(workbench.database, dataset.id))


def test_shares_have_a_bar_for_every_class_in_its_colour(dataset, parts):
    figure = dataset_charts.class_shares(dataset, parts)
    assert [bar.name for bar in figure.data] == ["background", "class 1", "class 2"]
    # Background is black in masks, which a dark page would swallow.
    assert [bar.marker.color for bar in figure.data] == ["#8c8c8c", "#E69F00", "#56B4E9"]
    assert figure.data[0].y == ("training", "validation", "test", "all")
    for shares in zip(*(bar.x for bar in figure.data), strict=True):
        assert sum(shares) == pytest.approx(1)


def test_images_that_show_a_class_are_a_share_of_their_part(dataset):
    part = Part(
        num_samples=4, class_share=(1, 0, 0), images_showing=(4, 1, 0), class_pixels=(1, 0, 0)
    )
    figure = dataset_charts.images_showing(dataset, {"train": part, "all": part})
    (bars,) = figure.data
    assert bars.name == "training"
    assert bars.x == (1.0, 0.25, 0.0)
    assert bars.y == ("background", "class 1", "class 2")


def test_name_with_html_is_no_html_in_a_plot(dataset, parts):
    named = replace(
        dataset, classes=tuple(replace(entry, name="<b>&</b>") for entry in dataset.classes)
    )
    for figure in (
        dataset_charts.class_shares(named, parts),
        dataset_charts.images_showing(named, parts),
    ):
        assert "<b>" not in figure.to_json().replace("\\u003c", "<")


def test_distribution_counts_every_value():
    figure = dataset_charts.distribution([0.1, 0.2, 0.2], "Brightness", "of white", as_share=True)
    assert sum(figure.data[0].y) == 3
    wide = dataset_charts.distribution([2, 300, 40_000], "Size", "pixels", log=True)
    assert sum(wide.data[0].y) == 3
    assert wide.layout.xaxis.type == "log"
    narrow = dataset_charts.distribution([100, 300], "Size", "pixels", log=True)
    assert narrow.layout.xaxis.type is None
    assert min(wide.layout.xaxis.tickvals) <= 2 and max(wide.layout.xaxis.tickvals) >= 10_000


def test_sizes_are_one_mark_each_and_larger_for_more_images():
    (marks,) = dataset_charts.image_sizes(SAMPLES).data
    assert list(zip(marks.x, marks.y, marks.customdata, strict=True)) == [(8, 6, 3), (6, 8, 1)]
    assert marks.marker.size[0] > marks.marker.size[1]
