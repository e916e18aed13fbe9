"""The page of one dataset: samples and filters, quality, statistics, split, versions, its end."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from engine.datasets.importer import import_dataset
from engine.datasets.quality.findings import Finding, Fix
from engine.datasets.versions import Change, derive
from engine.jobs.imports import describe_dataset, submit_change
from engine.notes import Note
from engine.store import attempts, datasets
from engine.store.database import new_id
from engine.workbench import Workbench
from tests.pages.support import (
    ACTOR,
    MARKUP,
    MARKUP_SHOWN,
    figures,
    gallery,
    gallery_positions,
    links,
    viewer_panes,
    words,
)
from tests.pages.support import title as page_title

VIEWS = ("samples", "quality", "statistics", "split", "about")


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


@pytest.fixture
def add_found(workbench: Workbench, dataset):
    """A dataset of eight samples in which the given findings were made."""

    def add_found(*findings, changes=lambda sample: {}, **report):
        dataset_id = new_id()
        samples = [
            dataclasses.replace(sample, **changes(sample))
            for sample in datasets.samples(workbench.database, dataset.id)
        ]
        known = datasets.report(workbench.database, dataset.id)
        records = [finding.to_record() for finding in findings]
        datasets.add(
            workbench.database,
            dataset_id=dataset_id,
            name="Found",
            content_hash="f" * 64,
            num_channels=1,
            classes=dataset.classes,
            samples=samples,
            report=known | {"findings": records, "notes": []} | report,
            actor=ACTOR,
            plan=dataset.plan,
        )
        return datasets.get(workbench.database, dataset_id)

    return add_found


def finding(key, severity="warning", samples=(), clusters=(), fix=None, message="Look at {what}."):
    return Finding(
        key=key,
        severity=severity,
        note=Note(message, {"what": MARKUP}),
        samples=tuple(samples),
        clusters=tuple(clusters),
        fix=fix,
    )


LEAK = finding("leaks", "error", (1, 6), ((1, 6),), Fix("regroup", (1, 6)))
DARK = finding("dark_images", "warning", (2, 3), fix=Fix("leave_out", (2, 3)))
EMPTY = finding("empty_masks", "note", (4,))


def divided(sample):
    """Samples 1 and 6 are copies in two parts."""
    split = {1: "train", 6: "test", 2: "val"}.get(sample.position, "train")
    return {"split": split, "twins": 0 if sample.position in (1, 6) else None}


def grey(width, height, level=90):
    return np.full((height, width), level, np.uint8)


def half(width, height):
    """A mask whose left half is foreground."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    return mask


def buttons(page):
    return {button.label: button for button in page.button}


def titles(page):
    shown = gallery(page)["items"]["titles"]
    return [shown["head"] + middle + shown["tail"] for middle in shown["middles"]]


def badges(page):
    items = gallery(page)["items"]
    return [[word for word, _kind in items["badges"][each]] for each in items["badges_of"]]


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


# Samples


def test_every_sample_is_in_the_gallery_with_its_mask_and_its_part(open_page, dataset, workbench):
    page = open_page("dataset.py", dataset=dataset.id)
    assert not page.exception
    assert page_title(page) == "Cells"
    assert titles(page) == [f"{number:03d}" for number in range(8)]
    shown = gallery(page)
    assert shown["texts"]["count"] == "8 samples"
    media = f"/api/media/datasets/{dataset.id}/thumbs/00000"
    assert shown["items"]["thumbs"]["head"] == media
    assert shown["items"]["masks"]["tail"] == ".mask.png"
    parts = {"train": "training", "val": "validation", "test": "test"}
    samples = datasets.samples(workbench.database, dataset.id)
    assert [first for first, *_rest in badges(page)] == [parts[each.split] for each in samples]
    assert "8 samples · grey · 24×24 px · imported " in words(page)
    assert f"by {ACTOR} · id {dataset.id}" in words(page)
    assert not page.dataframe
    assert not page.get("plotly_chart")


def test_image_in_the_address_picks_the_sample(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, image="5")
    assert not page.exception
    (pane,) = viewer_panes(page)
    assert pane["title"] == "005"
    assert gallery(page)["selected"] == 5
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


def test_facts_of_the_sample_stand_under_it(open_page, add_found):
    facts = {"num_objects": 3, "num_instances": None, "brightness": 0.5, "contrast": 0.25}
    found = add_found(
        LEAK, changes=lambda s: divided(s) | {"facts": facts, "group": MARKUP, "fold": 2}
    )
    page = open_page("dataset.py", dataset=found.id, image="1")
    assert not page.exception
    said = next(text.value for text in page.markdown if "24×24 px" in text.value)
    assert said == (
        f"**24×24 px** · training · fold 2 · group {MARKUP_SHOWN} · has copies · 3 objects · "
        "brightness 50% · contrast 25%"
    )
    assert any(MARKUP_SHOWN in text.value for text in page.caption)


def test_filters_in_the_address_leave_what_they_ask_for(open_page, add_pictures, workbench):
    dataset = add_pictures(
        {
            "images/a.png": grey(20, 16, 10),
            "masks/a.png": half(20, 16),
            "images/b.png": grey(24, 18, 60),
            "masks/b.png": np.zeros((18, 24), np.uint8),
            "images/cell.png": grey(20, 16, 110),
            "masks/cell.png": half(20, 16),
        }
    )
    split = [each.split for each in datasets.samples(workbench.database, dataset.id)]

    def shown(**query):
        page = open_page("dataset.py", dataset=dataset.id, **query)
        assert not page.exception
        return gallery_positions(page)

    assert shown() == [0, 1, 2]
    assert shown(**{"class": "1"}) == [0, 2]
    assert shown(size="24x18") == [1]
    assert shown(name="CEL") == [2]
    assert shown(split="val") == [split.index("val")]
    assert shown(size="20x16", name="a") == [0]
    page = open_page("dataset.py", dataset=dataset.id, size="20x16")
    assert gallery(page)["texts"]["count"] == "2 of 3 samples"


@pytest.mark.parametrize(
    "query",
    [{"class": "9"}, {"class": "x"}, {"size": "1x1"}, {"finding": "none"}, {"split": "all"}],
)
def test_filter_that_does_not_exist_is_ignored(open_page, dataset, query):
    page = open_page("dataset.py", dataset=dataset.id, **query)
    assert not page.exception
    assert len(gallery_positions(page)) == 8


def test_chosen_filter_is_kept_in_the_address_and_taken_out_again(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id)
    page.get_by_key(f"dataset_class_{dataset.id}").set_value("2").run()
    page.get_by_key(f"dataset_name_{dataset.id}").set_value("00").run()
    assert not page.exception
    assert page.query_params == {"dataset": dataset.id, "class": "2", "name": "00"}
    page.get_by_key(f"dataset_class_{dataset.id}").set_value(None).run()
    assert page.query_params == {"dataset": dataset.id, "name": "00"}


def test_filters_that_nothing_passes_say_so_and_can_be_cleared(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, name="nowhere", image="3")
    assert not page.exception
    assert "No sample passes these filters." in words(page)
    buttons(page)["Clear the filters"].click().run()
    assert not page.exception
    assert page.query_params == {"dataset": dataset.id}
    assert len(gallery_positions(page)) == 8


def test_finding_shows_its_clusters_side_by_side(open_page, add_found):
    copies = finding("near_duplicates", samples=(0, 1, 4, 5), clusters=((0, 5), (1, 4)))
    page = open_page("dataset.py", dataset=add_found(copies).id, finding="near_duplicates")
    assert not page.exception
    assert gallery_positions(page) == [0, 5, 1, 4]
    assert all("near duplicate" in each for each in badges(page))


def test_badges_name_what_is_grave_and_leave_notes_out(open_page, add_found):
    page = open_page("dataset.py", dataset=add_found(LEAK, EMPTY, changes=divided).id)
    assert not page.exception
    assert badges(page)[1] == ["training", "leak"]
    assert badges(page)[4] == ["training"]


def test_table_lists_size_part_and_share_of_each_class(open_page, add_pictures, workbench):
    dataset = add_pictures(
        {
            "images/a.png": grey(20, 16, 10),
            "masks/a.png": half(20, 16),
            "images/b.png": grey(24, 18),
            "masks/b.png": np.zeros((18, 24), np.uint8),
        }
    )
    page = open_page("dataset.py", dataset=dataset.id, layout="table")
    assert not page.exception
    (table,) = page.dataframe
    rows = table.value.to_dict("list")
    assert rows["sample"] == ["a", "b"]
    assert rows["size"] == ["20×16", "24×18"]
    assert rows["class_0"] == [50, 100]
    assert rows["class_1"] == [50, 0]
    assert sorted(rows["split"]) == ["training", "validation"]
    assert rows["thumb"][1] == f"/api/media/datasets/{dataset.id}/thumbs/000001.webp"
    assert not gallery(page)


def test_selected_row_is_shown_and_kept_in_the_address(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, image="5", layout="table")
    page.session_state[f"dataset_samples_{dataset.id}"] = {
        "selection": {"rows": [2], "columns": [], "cells": []}
    }
    page.run()
    assert not page.exception
    assert viewer_panes(page)[0]["title"] == "002"
    assert page.query_params == {"dataset": dataset.id, "image": "2", "layout": "table"}


# Quality


def test_findings_stand_in_the_order_of_their_gravity(open_page, add_found):
    page = open_page(
        "dataset.py", dataset=add_found(EMPTY, DARK, LEAK, changes=divided).id, view="quality"
    )
    assert not page.exception
    rows = [text.value for text in page.markdown if MARKUP_SHOWN in text.value]
    assert [row.partition("[")[0] for row in rows] == [":red", ":orange", ":gray"]
    assert "**1** error" in words(page) and "**1** warning" in words(page)
    assert "Nothing to report" not in words(page)


def test_every_finding_with_samples_leads_to_them(open_page, add_found):
    few = finding("few_samples")
    dataset = add_found(DARK, few)
    page = open_page("dataset.py", dataset=dataset.id, view="quality", name="nowhere")
    assert "Show 2" in buttons(page)
    assert f"dataset_show_{few.key}" not in [button.key for button in page.button]
    buttons(page)["Show 2"].click().run()
    assert not page.exception
    assert gallery_positions(page) == [2, 3]
    assert page.query_params == {"dataset": dataset.id, "finding": "dark_images"}


def test_fixes_are_offered_where_there_is_one(open_page, add_found):
    page = open_page(
        "dataset.py", dataset=add_found(EMPTY, DARK, LEAK, changes=divided).id, view="quality"
    )
    assert {"Keep copies together", "Leave 2 out"} <= buttons(page).keys()
    assert "dataset_fix_empty_masks" not in [button.key for button in page.button]


def test_fix_that_does_not_fit_the_classes_is_not_offered(open_page, add_found):
    odd = finding("majority_class", fix=Fix("swap_background", ()))
    page = open_page("dataset.py", dataset=add_found(odd).id, view="quality")
    assert not page.exception
    assert "Swap background and foreground" not in buttons(page)


def test_error_is_said_with_the_samples_too_and_leads_to_its_fix(open_page, add_found):
    dataset = add_found(LEAK, DARK, changes=divided)
    page = open_page("dataset.py", dataset=dataset.id)
    assert not page.exception
    assert [MARKUP_SHOWN in text.value for text in page.markdown].count(True) == 1
    buttons(page)["See and fix"].click().run()
    assert page.query_params == {"dataset": dataset.id, "view": "quality"}
    assert "Keep copies together" in buttons(page)


def test_dataset_without_findings_has_nothing_to_report(open_page, add_found):
    page = open_page("dataset.py", dataset=add_found().id, view="quality")
    assert not page.exception
    assert "Nothing to report." in words(page)
    assert not page.warning and not page.error


def test_import_is_told_with_its_rule_its_meaning_and_what_was_left_out(open_page, add_pictures):
    dataset = add_pictures(
        {
            "images/a.png": grey(20, 16, 10),
            "masks/a.png": half(20, 16),
            "images/b.png": grey(20, 16, 60),
            "masks/b.png": half(20, 16),
            "images/lonely_[1].png": grey(20, 16),
        }
    )
    # The name that the view had at first.
    page = open_page("dataset.py", dataset=dataset.id, view="import")
    assert not page.exception
    assert "**2 pairs.**" in words(page)
    assert "**1 files** were left out." in words(page)
    rules, left_out = (table.value for table in page.dataframe)
    assert rules["Class"].tolist() == ["background", "foreground"]
    assert rules["Value in the files"].tolist() == ["0", "255"]
    assert left_out.to_dict("list") == {"file": ["images/lonely_[1].png"], "why": ["no partner"]}


def test_import_that_used_everything_says_so(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, view="quality")
    assert not page.exception
    assert "Every picture was used." in words(page)
    assert "left out" not in words(page)


# Statistics


def test_statistics_count_pixels_and_images_of_each_class(open_page, add_pictures):
    dataset = add_pictures(
        {
            "images/a.png": grey(20, 16, 10),
            "masks/a.png": half(20, 16),
            "images/b.png": grey(20, 16, 60),
            "masks/b.png": np.zeros((16, 20), np.uint8),
        }
    )
    page = open_page("dataset.py", dataset=dataset.id, view="statistics")
    assert not page.exception
    rows = page.dataframe[0].value.drop(columns="color").to_dict("list")
    assert rows == {
        "name": ["background", "foreground"],
        "value": ["0", "255"],
        "pixels": [480, 160],
        "share": [75, 25],
        "images": [2, 1],
    }
    shares = figures(page)["dataset_pixels"]["data"]
    assert [bar["name"] for bar in shares] == ["background", "foreground"]
    assert shares[0]["y"] == ["training", "validation", "all"]
    assert shares[0]["x"][-1] == 0.75
    assert "dataset_brightness" in figures(page)
    assert "dataset_sizes" not in figures(page)
    assert "All images have 20×16 pixels." in words(page)
    assert not page.get("bidi_component")


# Split


def test_split_is_shown_with_its_numbers_and_what_leaks(open_page, add_found):
    page = open_page("dataset.py", dataset=add_found(LEAK, changes=divided).id, view="split")
    assert not page.exception
    parts = page.dataframe[0].value
    assert parts["part"].tolist() == ["training", "validation", "test", "all"]
    assert parts["samples"].tolist() == [6, 1, 1, 8]
    assert "**2 samples** have copies in another part" in words(page)
    leaking = page.dataframe[1].value
    assert leaking["sample"].tolist() == ["001", "006"]
    assert leaking["part"].tolist() == ["training", "test"]
    assert "Keep copies together" in buttons(page)


def test_split_without_leaks_says_so(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, view="split")
    assert not page.exception
    assert "No image has a copy in another part." in words(page)
    assert "Keep copies together" not in buttons(page)


def test_groups_and_folds_are_shown(open_page, add_found):
    page = open_page(
        "dataset.py",
        dataset=add_found(
            changes=lambda s: {"group": f"eye {s.position // 3}", "fold": s.position % 2 + 1}
        ).id,
        view="split",
    )
    assert not page.exception
    assert "3 groups, the largest with 3 samples; 0 samples alone." in words(page)
    assert "**2 folds** that each validate once, with 4, 4 samples." in words(page)
    assert page.dataframe[1].value["group"].tolist() == ["eye 0", "eye 1", "eye 2"]


def test_another_split_is_tried_out_at_once(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, view="split")
    page.get_by_key(f"dataset_test_share_{dataset.id}").set_value(0.0).run()
    assert not page.exception
    parts = page.dataframe[1].value
    assert parts["part"].tolist() == ["training", "validation", "all"]
    assert parts["samples"].tolist() == [7, 1, 8]
    assert "Make a version with it" in buttons(page)


def test_groups_by_a_pattern_are_seen_at_once(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, view="split")
    page.get_by_key(f"dataset_by_{dataset.id}").set_value("pattern").run()
    assert not page.exception
    # Nothing is wrong before something was typed.
    assert not page.error
    page.get_by_key(f"dataset_pattern_{dataset.id}").set_value(r"(\d)\d$").run()
    assert not page.exception
    assert "All 8 samples belong together" in page.error[0].value
    page.get_by_key(f"dataset_pattern_{dataset.id}").set_value(r"([01234567])$").run()
    assert "8 groups, the largest with 1 samples; 0 samples alone." in words(page)


@pytest.mark.parametrize("name, value", [("val_share", 0.0), ("test_share", 0.9)])
def test_split_that_cannot_be_is_a_sentence_and_no_button(open_page, dataset, name, value):
    page = open_page("dataset.py", dataset=dataset.id, view="split")
    page.get_by_key(f"dataset_{name}_{dataset.id}").set_value(value).run()
    assert not page.exception
    assert page.error
    assert "Make a version with it" not in buttons(page)


# Versions


def test_versions_know_each_other(open_page, dataset, workbench):
    change = Change(leave_out=(0,))
    second = derive(workbench, dataset.id, change, name="Cells v2", actor=ACTOR)
    third = derive(workbench, second.id, change, name="Cells v3", actor=ACTOR)
    page = open_page("dataset.py", dataset=second.id, view="about")
    assert not page.exception
    assert {"Cells", "Cells v3"} <= links(page).keys()
    assert f"dataset={third.id}" in links(page)["Cells v3"]
    assert "Cells v2" not in links(page)
    assert "1 of 8 samples were left out, such as" in words(page)
    datasets.delete(workbench.database, dataset.id, actor=ACTOR)
    page = open_page("dataset.py", dataset=third.id, view="about")
    assert not page.exception
    assert "An earlier version was deleted." in words(page)


def test_version_that_is_being_made_is_seen_by_everybody(open_page, dataset, workbench):
    submit_change(
        workbench, dataset.id, Change(leave_out=(0,)), name=f"New {MARKUP}", actor="somebody"
    )
    page = open_page("dataset.py", dataset=dataset.id)
    assert not page.exception
    (bar,) = page.get("progress")
    assert bar.proto.text.startswith(f"Making New {MARKUP_SHOWN}: ")
    assert len(gallery_positions(page)) == 8


def test_version_that_failed_is_told_until_it_is_dismissed(open_page, dataset, workbench):
    submit_change(workbench, dataset.id, Change(leave_out=(0,)), name="New", actor=ACTOR)
    job = attempts.claim(workbench.database, ["derive"], "light")
    record = {"kind": "BadData", "message": "The disk of {name} is full.", "facts": {"name": "x"}}
    attempts.finish(workbench.database, job, "failed", error=record)
    page = open_page("dataset.py", dataset=dataset.id)
    assert not page.exception
    assert "**New** was not made." in words(page)
    assert "The disk of x is full." in words(page)
    buttons(page)["Dismiss"].click().run()
    assert "was not made" not in words(page)
    assert not page.error


def test_version_asked_for_here_opens_when_it_is_made(open_page, dataset, workbench):
    job_id = submit_change(workbench, dataset.id, Change(leave_out=(0,)), name="N", actor=ACTOR)
    page = open_page("dataset.py", dataset=dataset.id)
    page.session_state["dataset_version_mine"] = job_id
    made = derive(workbench, dataset.id, Change(leave_out=(0,)), name="N", actor=ACTOR)
    job = attempts.claim(workbench.database, ["derive"], "light")
    assert job.id == job_id
    attempts.finish(workbench.database, job, "completed", result={"dataset": made.id})
    page.run()
    assert not page.exception
    assert page_title(page) == "N"
    assert page.query_params == {"dataset": made.id}
    assert "· corrected " in words(page)


# About


def test_name_tags_and_notes_are_saved(open_page, dataset, workbench):
    page = open_page("dataset.py", dataset=dataset.id, view="about")
    page.get_by_key(f"dataset_rename_{dataset.id}").set_value(MARKUP)
    page.get_by_key(f"dataset_notes_{dataset.id}").set_value("Week 3")
    buttons(page)["Save"].click().run()
    assert not page.exception
    assert page_title(page) == MARKUP_SHOWN
    saved = datasets.get(workbench.database, dataset.id)
    assert (saved.name, saved.notes, saved.tags) == (MARKUP, "Week 3", ())


def test_empty_name_is_refused_with_a_sentence(open_page, dataset, workbench):
    page = open_page("dataset.py", dataset=dataset.id, view="about")
    page.get_by_key(f"dataset_rename_{dataset.id}").set_value("   ")
    buttons(page)["Save"].click().run()
    assert not page.exception
    assert "it needs 1 to 200" in words(page)
    assert datasets.get(workbench.database, dataset.id).name == "Cells"


def test_tags_stand_under_the_name(open_page, dataset, workbench):
    describe_dataset(
        workbench, dataset.id, name="Cells", tags=["pilot", MARKUP], notes="", actor=ACTOR
    )
    page = open_page("dataset.py", dataset=dataset.id)
    assert not page.exception
    assert any(f":gray-badge[{MARKUP_SHOWN}]" in text.value for text in page.caption)


def test_classes_without_a_change_make_no_version(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, view="about")
    assert not page.exception
    assert "Make a version with these classes" not in buttons(page)


# The whole


def test_dataset_of_an_early_version_is_shown_without_what_was_not_measured(
    open_page, dataset, workbench
):
    old_id = new_id()
    samples = [
        dataclasses.replace(sample, facts={}, twins=None, group=None, fold=None)
        for sample in datasets.samples(workbench.database, dataset.id)
    ]
    warning = {"message": "There are only {num} samples.", "facts": {"num": 8}}
    datasets.add(
        workbench.database,
        dataset_id=old_id,
        name="Old",
        content_hash="0" * 64,
        num_channels=1,
        classes=dataset.classes,
        samples=samples,
        report={
            "pairs": 8,
            "unmatched": ["lonely.png"],
            "num_unmatched": 1,
            "ambiguous": [],
            "num_ambiguous": 0,
            "ignored": 0,
            "rule": "Folders a and b.",
            "warnings": [warning],
            "sizes": {"24×24": 8},
            "class_share": [0.9, 0.1, 0.0],
        },
        actor=ACTOR,
    )
    pages = {view: open_page("dataset.py", dataset=old_id, view=view) for view in VIEWS}
    assert not [page.exception for page in pages.values() if page.exception]
    masks = gallery(pages["samples"])["items"]["masks"]
    assert (masks["head"], masks["tail"]) == (f"/api/media/datasets/{old_id}/masks/00000", ".png")
    assert "There are only 8 samples." in words(pages["quality"])
    assert "**8 pairs.** Folders a and b." in words(pages["quality"])
    assert "were not measured" in words(pages["statistics"])
    assert "dataset_brightness" not in figures(pages["statistics"])
    assert "Copies were not looked for" in words(pages["split"])


def test_unknown_view_falls_back_to_the_samples(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id, view="<script>")
    assert not page.exception
    assert viewer_panes(page)
    assert not page.get("plotly_chart")


def test_chosen_view_is_kept_in_the_address(open_page, dataset):
    page = open_page("dataset.py", dataset=dataset.id)
    page.get_by_key(f"dataset_view_{dataset.id}").set_value("statistics").run()
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


@pytest.mark.parametrize("view", VIEWS)
def test_name_with_markup_is_shown_literally(open_page, add_dataset, view):
    page = open_page("dataset.py", dataset=add_dataset(MARKUP).id, view=view)
    assert not page.exception
    assert page_title(page) == MARKUP_SHOWN
    assert not [text for text in page.markdown if MARKUP in text.value]
