"""The page of one dataset: its samples, its statistics, what the import found."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from engine.datasets.importer import import_dataset
from tests.pages.support import ACTOR, MARKUP, MARKUP_SHOWN, figures, links, viewer_panes, words
from tests.pages.support import title as page_title


@pytest.fixture
def add_pictures(workbench, tmp_path):
    """Imports pictures of the given files: a size in pixels, or a mask as an array."""

    def add_pictures(files, name="Cells"):
        path = tmp_path / "pictures.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file_name, pixels in files.items():
                data = io.BytesIO()
                Image.fromarray(pixels).save(data, "PNG")
                archive.writestr(file_name, data.getvalue())
        return import_dataset(workbench, path, name=name, actor=ACTOR)

    return add_pictures


def grey(width, height):
    return np.full((height, width), 90, np.uint8)


def half(width, height):
    """A mask whose left half is foreground."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    return mask


@pytest.mark.parametrize("query", [{}, {"dataset": ""}, {"dataset": "deadbeef"}])
def test_unknown_dataset_is_a_sentence_and_a_way_back(open_page, query):
    page = open_page("dataset.py", **query)
    assert not page.exception
    (warning,) = page.warning
    assert warning.value.startswith("There is no dataset “")
    assert "All datasets" in links(page)
    assert not page.dataframe
    assert not page.get("bidi_component")


def test_id_with_markup_in_the_address_is_shown_literally(open_page):
    page = open_page("dataset.py", dataset=MARKUP)
    assert not page.exception
    assert MARKUP_SHOWN in page.warning[0].value
    assert MARKUP not in page.warning[0].value


def test_samples_are_listed_with_size_and_share_of_each_class(open_page, add_pictures):
    dataset = add_pictures(
        {
            "images/a.png": grey(20, 16),
            "masks/a.png": half(20, 16),
            "images/b.png": grey(24, 18),
            "masks/b.png": np.zeros((18, 24), np.uint8),
        }
    )
    page = open_page("dataset.py", dataset=dataset.id)
    assert not page.exception
    assert page_title(page) == "Cells"
    (table,) = page.dataframe
    assert table.value.drop(columns="thumb").to_dict("list") == {
        "sample": ["a", "b"],
        "size": ["20×16", "24×18"],
        "class_0": [0.5, 1.0],
        "class_1": [0.5, 0.0],
    }
    assert table.value["thumb"][1] == f"/api/media/datasets/{dataset.id}/thumbs/000001.webp"
    assert "2 samples · grey · 20×16 … 24×18 px · imported " in words(page)
    assert f"by {ACTOR} · id {dataset.id}" in words(page)
    assert not page.get("plotly_chart")


def test_warnings_of_the_import_stand_above_every_view(open_page, add_pictures):
    dataset = add_pictures(
        {
            "images/a.png": grey(20, 16),
            "masks/a.png": half(20, 16),
            "images/b_[1].png": grey(20, 16),
            "images/c.png": grey(24, 18),
            "masks/c.png": half(24, 18),
        }
    )
    for view in ("samples", "statistics", "import"):
        page = open_page("dataset.py", dataset=dataset.id, view=view)
        assert not page.exception
        assert [warning.value for warning in page.warning] == [
            r"1 pictures have no partner and were left out, such as “images/b\_\[1\]\.png”\.",
            r"There are only 2 samples; scores on so few say little\.",
            r"The images have 2 different sizes; training resizes them all to one\.",
        ]


def test_dataset_without_remarks_shows_no_warning(open_page, add_dataset):
    page = open_page("dataset.py", dataset=add_dataset(num_samples=10).id)
    assert not page.exception
    assert not page.warning


def test_image_in_the_address_picks_the_sample(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, image="5")
    assert not page.exception
    (pane,) = viewer_panes(page)
    assert pane["title"] == "005"
    assert (pane["width_px"], pane["height_px"]) == (24, 24)
    assert [(layer["title"], layer["url"]) for layer in pane["layers"]] == [
        ("Image", f"/api/media/datasets/{dataset.id}/images/000005.png"),
        ("Truth", f"/api/media/datasets/{dataset.id}/masks/000005.png"),
    ]
    # Background is transparent, so no legend names it.
    assert [word for _color, word in pane["layers"][1]["legend"]] == ["class 1", "class 2"]


@pytest.mark.parametrize("image", ["8", "-1", "x", "", "99999999999999999999"])
def test_image_that_does_not_exist_falls_back_to_the_first(open_page, dataset, image):
    page = open_page("dataset.py", dataset=dataset.id, image=image)
    assert not page.exception
    assert viewer_panes(page)[0]["title"] == "000"
    assert not page.error


def test_selected_row_is_shown_and_kept_in_the_address(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, image="5")
    page.session_state[f"dataset_samples_{dataset.id}"] = {
        "selection": {"rows": [2], "columns": [], "cells": []}
    }
    page.run()
    assert not page.exception
    assert viewer_panes(page)[0]["title"] == "002"
    assert page.query_params == {"dataset": dataset.id, "image": "2"}


def test_statistics_count_pixels_and_images_of_each_class(open_page, add_pictures):
    dataset = add_pictures(
        {
            "images/a.png": grey(20, 16),
            "masks/a.png": half(20, 16),
            "images/b.png": grey(20, 16),
            "masks/b.png": np.zeros((16, 20), np.uint8),
        }
    )
    page = open_page("dataset.py", dataset=dataset.id, view="statistics")
    assert not page.exception
    assert page.dataframe[0].value.to_dict("list") == {
        "Class": ["background", "foreground"],
        "Value in the files": [0, 255],
        "Background": [True, False],
        "Pixels": [480, 160],
        "Images": [2, 1],
    }
    shares = figures(page)
    assert shares["dataset_pixels"]["data"][0]["text"] == ["75.0%", "25.0%"]
    assert shares["dataset_images"]["data"][0]["text"] == ["100.0%", "50.0%"]
    assert not page.get("bidi_component")


def test_import_report_says_how_pictures_were_paired(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, view="import")
    assert not page.exception
    assert "**8 pairs.** " + dataset.report["rule"] in words(page)
    assert "Every picture found its partner." in words(page)
    (sizes,) = page.dataframe
    assert sizes.value.to_dict("list") == {"Image size": ["24×24"], "Samples": [8]}
    assert "left out" not in words(page)


def test_import_report_names_what_was_left_out(open_page, add_pictures):
    dataset = add_pictures(
        {
            "images/a.png": grey(20, 16),
            "masks/a.png": half(20, 16),
            "images/lonely.png": grey(20, 16),
        }
    )
    page = open_page("dataset.py", dataset=dataset.id, view="import")
    assert not page.exception
    assert page.dataframe[0].value.to_dict("list") == {"File": ["images/lonely.png"]}
    assert "Every picture found its partner." not in words(page)


def test_unknown_view_falls_back_to_the_samples(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, view="<script>")
    assert not page.exception
    assert viewer_panes(page)
    assert not page.get("plotly_chart")


def test_chosen_view_is_kept_in_the_address(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id)
    page.get_by_key("dataset_view").set_value("statistics").run()
    assert not page.exception
    assert page.query_params == {"dataset": dataset.id, "view": "statistics"}
    assert not page.get("bidi_component")


def test_button_leads_to_a_training_on_the_dataset(open_page, add_dataset):
    dataset = add_dataset("First")
    add_dataset("Second")
    page = open_page("dataset.py", dataset=dataset.id)
    page.button[0].click().run()
    assert not page.exception
    assert page_title(page) == "Train"
    assert page.selectbox(key="train_dataset").value == dataset.id


def test_name_with_markup_is_shown_literally(open_page, add_dataset):
    page = open_page("dataset.py", dataset=add_dataset(MARKUP).id)
    assert not page.exception
    assert page_title(page) == MARKUP_SHOWN
    assert not [text for text in page.markdown if MARKUP in text.value]
