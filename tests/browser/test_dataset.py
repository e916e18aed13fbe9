"""The data set page in a real browser: a leak is seen and fixed, filters, what people write."""

import io
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import Locator, Page, expect

from engine.config import recipe
from engine.datasets.importer import import_dataset
from engine.datasets.toy import write_toy_zip
from engine.settings import Settings
from engine.store import datasets, runs
from engine.store.datasets import Dataset
from engine.workbench import Workbench, open_workbench
from tests.browser.support import open_page, settled

ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"
MAKING_MS = 60_000
SIDE_PX = 64


@pytest.fixture
def store(home: Path) -> Iterator[Workbench]:
    """The home that the server works on, for what a test does without the page."""
    opened = open_workbench(Settings.from_environment(os.environ))
    yield opened
    opened.close()


@pytest.fixture
def cells(store: Workbench, tmp_path: Path) -> Dataset:
    """Twelve generated pictures in three classes."""
    archive = tmp_path / "cells.zip"
    write_toy_zip(archive, num_samples=12, size_px=48)
    return import_dataset(store, archive, name="Cells", actor="ada")


def view(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name).click()
    settled(page)


def picture(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


def in_gallery(page: Page) -> Locator:
    return page.locator(".gallery").get_by_role("option")


def dataset_id(page: Page) -> str:
    found = re.search(r"[?&]dataset=([0-9a-f]{8})", page.url)
    assert found is not None, page.url
    return found[1]


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def write_leaking_zip(path: Path) -> None:
    """Twelve pictures to train on and four to test on; two of these are training pictures."""
    generator = np.random.default_rng(0)
    noise = [generator.integers(0, 256, (8, 8), dtype=np.uint8) for _ in range(14)]
    pictures = [
        np.asarray(
            Image.fromarray(each)
            .resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
            .filter(ImageFilter.GaussianBlur(2))
        )
        for each in noise
    ]
    files: dict[str, bytes] = {}

    def add(part: str, name: str, pixels: np.ndarray, kind: str = "PNG") -> None:
        suffix = {"PNG": "png", "JPEG": "jpg"}[kind]
        mask = np.where(pixels > 140, 255, 0).astype(np.uint8)
        files[f"{part}/images/{name}.{suffix}"] = encoded(pixels, kind)
        files[f"{part}/masks/{name}.png"] = encoded(mask, "PNG")

    for number, pixels in enumerate(pictures[:12]):
        add("train", f"a{number:02d}", pixels)
    add("test", "b00", pictures[3])
    add("test", "b01", pictures[7], "JPEG")
    add("test", "b02", pictures[12])
    add("test", "b03", pictures[13])
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def test_leak_is_seen_training_is_refused_and_one_click_fixes_it(
    page: Page, store: Workbench, start_server, tmp_path: Path
) -> None:
    archive = tmp_path / "leaking.zip"
    write_leaking_zip(archive)
    leaking = import_dataset(store, archive, name="Leaking", actor="ada")
    server = start_server()

    open_page(page, f"{server.address}/train?dataset={leaking.id}")
    refusal = page.get_by_test_id("stAlert").filter(has_text="copies in another part")
    expect(refusal).to_be_visible()
    expect(page.get_by_role("button", name="Start training")).to_have_count(0)
    picture(page, "dataset-1-refused")
    page.get_by_role("link", name="See the leak and fix it").click()
    page.wait_for_url("**/dataset?*")
    settled(page)

    expect(page.get_by_text("1 error", exact=False).first).to_be_visible()
    leak = page.get_by_text("their scores would be too good").first
    expect(leak).to_be_visible()
    picture(page, "dataset-2-quality")
    page.locator(".st-key-dataset_show_leaks").get_by_role("button").click()
    settled(page)
    # Both copies, each beside its twin; the folder test comes before train.
    expect(in_gallery(page)).to_have_count(4)
    for place, name in enumerate(["b00", "a03", "b01", "a07"]):
        expect(in_gallery(page).nth(place)).to_contain_text(name)
    assert "finding=leaks" in page.url

    page.get_by_role("button", name="See and fix").click()
    settled(page)
    page.locator(".st-key-dataset_fix_leaks").get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("2 samples")).to_be_visible()
    expect(dialog).to_contain_text("b00")
    expect(dialog.get_by_label("Name of the new version")).to_have_value("Leaking v2")
    picture(page, "dataset-3-dialog")
    dialog.get_by_role("button", name="Make the new version").click()
    expect(page.get_by_role("heading", name="Leaking v2")).to_be_visible(timeout=MAKING_MS)
    settled(page)
    assert dataset_id(page) != leaking.id
    expect(page.get_by_role("dialog")).to_have_count(0)
    view(page, "Quality")
    expect(page.get_by_role("heading", name="How it was imported")).to_be_visible()
    expect(page.get_by_text("their scores would be too good")).to_have_count(0)
    picture(page, "dataset-4-fixed")

    page.get_by_role("button", name="Train on it").click()
    page.wait_for_url("**/train?*")
    settled(page)
    expect(page.get_by_test_id("stAlert").filter(has_text="copies")).to_have_count(0)
    for part, label, value in (
        ("Images", "Image size", "64"),
        ("Network", "Width", "4"),
        ("Schedule", "Epochs", "1"),
    ):
        page.get_by_text(part, exact=True).click()
        field = page.get_by_label(label, exact=True)
        field.fill(value)
        field.press("Tab")
        settled(page)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/run?*")
    (run,) = runs.all_newest_first(store.database)
    assert run.dataset_name == "Leaking v2"
    # The data set that leaks is what it was.
    assert [each.id for each in datasets.corrections_of(store.database, leaking.id)] == [
        run.dataset_id
    ]
    assert {s.split for s in datasets.samples(store.database, leaking.id)} == {
        "train", "val", "test",
    }  # fmt: skip


def test_filters_are_links_that_open_on_a_server_that_has_shown_nothing(
    page: Page, store: Workbench, cells: Dataset, start_server
) -> None:
    server = start_server()
    held_out = [s for s in datasets.samples(store.database, cells.id) if s.split == "test"]
    chosen = held_out[-1]
    query = f"dataset={cells.id}&split=test&image={chosen.position}"
    open_page(page, f"{server.address}/dataset?{query}")
    expect(in_gallery(page)).to_have_count(len(held_out))
    selected = page.locator('.gallery [role=option][aria-selected="true"]')
    expect(selected).to_contain_text(f"{chosen.position:03d}")
    expect(page.locator(".viewer")).to_contain_text(f"{chosen.position:03d}")
    expect(page.get_by_text(f"{len(held_out)} of 12 samples")).to_be_visible()
    picture(page, "dataset-5-filtered")

    search = page.get_by_label("Name", exact=True)
    search.fill("nothing of the kind")
    search.press("Enter")
    settled(page)
    expect(in_gallery(page)).to_have_count(0)
    page.get_by_role("button", name="Clear the filters").click()
    settled(page)
    expect(in_gallery(page)).to_have_count(12)
    assert "split=" not in page.url and "name=" not in page.url


def test_choosing_a_picture_shows_it_and_its_address(
    page: Page, cells: Dataset, start_server
) -> None:
    server = start_server()
    open_page(page, f"{server.address}/dataset?dataset={cells.id}")
    expect(page.locator(".viewer")).to_contain_text("000")
    in_gallery(page).nth(5).click()
    expect(page.locator(".viewer")).to_contain_text("005")
    settled(page)
    selected = page.locator('.gallery [role=option][aria-selected="true"]')
    expect(selected).to_have_count(1)
    expect(selected).to_contain_text("005")
    assert "image=5" in page.url
    page.reload()
    settled(page)
    expect(page.locator(".viewer")).to_contain_text("005")
    view(page, "Statistics")
    expect(page.get_by_test_id("stPlotlyChart").first).to_be_visible()
    expect(page.locator(".gallery")).to_have_count(0)


def test_name_tags_and_notes_survive_a_reload(
    page: Page, store: Workbench, cells: Dataset, start_server
) -> None:
    server = start_server()
    open_page(page, f"{server.address}/dataset?dataset={cells.id}&view=about")
    page.get_by_label("Name", exact=True).fill("Cells <b>&</b> *nuclei*")
    tags = page.get_by_role("combobox", name="Tags")
    tags.fill("pilot")
    tags.press("Enter")
    page.get_by_label("Notes").fill("Labelled in week 3.")
    page.get_by_role("button", name="Save").click()
    heading = page.get_by_role("heading", name="Cells <b>&</b> *nuclei*")
    expect(heading).to_be_visible()
    page.reload()
    settled(page)
    expect(heading).to_be_visible()
    expect(page.get_by_label("Notes")).to_have_value("Labelled in week 3.")
    expect(page.get_by_text("pilot").first).to_be_visible()
    kept = datasets.get(store.database, cells.id)
    assert (kept.tags, kept.notes) == (("pilot",), "Labelled in week 3.")
    assert kept.content_hash == cells.content_hash


def test_dataset_is_deleted_only_when_no_run_uses_it(
    page: Page, store: Workbench, cells: Dataset, home: Path, start_server, tmp_path: Path
) -> None:
    archive = tmp_path / "other.zip"
    write_toy_zip(archive, num_samples=4, size_px=32)
    unused = import_dataset(store, archive, name="Unused", actor="ada")
    runs.add(
        store.database,
        name="A run",
        dataset_id=cells.id,
        config=recipe("quick"),
        split={"train": [0], "val": [1], "test": [2]},
        num_parameters=1,
        actor="ada",
    )
    server = start_server(environment={"WORKBENCH_WORKER": "external"})
    for each in (cells, unused):
        open_page(page, f"{server.address}/dataset?dataset={each.id}&view=about")
        page.get_by_role("button", name="Delete this dataset").click()
        page.get_by_role("button", name="Delete for good").click()
        if each is cells:
            expect(page.get_by_text("runs use this dataset")).to_be_visible()
            assert (home / "datasets" / cells.id).is_dir()
    expect(page.get_by_role("heading", name="Datasets")).to_be_visible()
    expect(page.get_by_text("Unused")).to_have_count(0)
    assert [each.id for each in datasets.all_newest_first(store.database)] == [cells.id]
    assert not (home / "datasets" / unused.id).exists()


def test_classes_are_corrected_in_a_new_version(
    page: Page, store: Workbench, cells: Dataset, start_server
) -> None:
    server = start_server()
    open_page(page, f"{server.address}/dataset?dataset={cells.id}&view=about")
    table = page.locator(f".st-key-dataset_classes_{cells.id}")
    table.scroll_into_view_if_needed()
    expect(table.locator("#glide-cell-1-2")).to_be_attached()
    box = table.locator("canvas").first.bounding_box()
    assert box is not None
    row_height = box["height"] / 4  # the header is a row, too
    # The name in the last row: the third class is to be one with the second.
    page.mouse.dblclick(box["x"] + box["width"] * 0.4, box["y"] + row_height * 3.5)
    field = page.locator("#portal textarea, #portal input")
    field.fill("class 1")
    field.press("Enter")
    expect(page.get_by_text("is merged into")).to_contain_text("class 1")
    page.get_by_role("button", name="Make a version with these classes").click()
    page.get_by_role("button", name="Make the new version").click()
    expect(page.get_by_role("heading", name="Cells v2")).to_be_visible(timeout=MAKING_MS)
    settled(page)
    merged = datasets.get(store.database, dataset_id(page))
    assert [entry.name for entry in merged.classes] == ["background", "class 1"]
    before = datasets.samples(store.database, cells.id)
    after = datasets.samples(store.database, merged.id)
    assert [s.class_pixels[1] for s in after] == [sum(s.class_pixels[1:]) for s in before]
    assert datasets.get(store.database, cells.id).classes == cells.classes
