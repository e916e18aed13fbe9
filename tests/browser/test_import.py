"""An import in a real browser, with a real server and worker: looked at, corrected, stored."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from engine.settings import Settings
from engine.store import datasets, drafts
from engine.store.datasets import Dataset
from engine.workbench import Workbench, open_workbench
from tests.browser.support import settled

JOB_MS = 40_000


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def pictures(
    num: int,
    values: tuple[int, ...],
    image: str = "images/{}.png",
    mask: str = "masks/{}.png",
    size: int = 48,
) -> dict[str, bytes]:
    """Noisy images with masks of one stripe for each value."""
    found = {}
    for number in range(num):
        noise = np.random.default_rng(number).integers(0, 256, (size, size))
        stripes = np.array(values)[np.arange(size) * len(values) // size]
        found[image.format(number)] = png(noise)
        found[mask.format(number)] = png(np.tile(np.roll(stripes, number), (size, 1)))
    return found


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[..., Path]:
    def make_zip(members: Mapping[str, bytes], name: str) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
        return path

    return make_zip


@pytest.fixture
def address(home: Path, start_server) -> str:
    return str(start_server().address)


@pytest.fixture
def store(home: Path) -> Iterator[Workbench]:
    """What the server and its worker have stored."""
    opened = open_workbench(Settings.for_home(home))
    yield opened
    opened.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[[], Page]]:
    contexts = []
    problems: list[str] = []

    def new_page() -> Page:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        contexts.append(context)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        return page

    expect.set_options(timeout=20_000)
    yield new_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(new_page: Callable[[], Page]) -> Page:
    return new_page()


def upload(page: Page, address: str, path: Path) -> str:
    """Bring in a file and wait for its review; returns the draft's id."""
    page.goto(address)
    settled(page)
    page.locator("input[type=file]").first.set_input_files(path)
    page.wait_for_url("**/review?*", timeout=JOB_MS)
    found = re.search(r"import=([0-9a-f]{8})", page.url)
    assert found is not None, page.url
    return found[1]


def import_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Import", exact=True)


def wait_for_review(page: Page) -> None:
    expect(import_button(page)).to_be_visible(timeout=JOB_MS)
    settled(page)


def stored(store: Workbench) -> Dataset:
    (dataset,) = datasets.all_newest_first(store.database)
    return dataset


def import_and_open(page: Page) -> None:
    import_button(page).click()
    page.wait_for_url("**/dataset?*", timeout=JOB_MS)
    settled(page)


def view(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).click()
    settled(page)


def plan(store: Workbench, draft_id: str) -> dict:
    found = drafts.get(store.database, draft_id).plan
    assert found is not None
    return found


def test_from_an_upload_over_the_review_to_the_dataset(
    page: Page, address: str, store: Workbench, make_zip
) -> None:
    draft_id = upload(page, address, make_zip(pictures(9, (0, 1, 2)), "cells <b> & *walls*.zip"))
    wait_for_review(page)
    expect(page.get_by_role("heading", name="cells <b> & *walls*")).to_be_visible()
    expect(page.get_by_text("9 pairs · 3 classes · 48×48 px")).to_be_visible()
    # Six samples with their masks, none of them fetched from anywhere.
    pictures_shown = page.locator(".gallery img")
    expect(pictures_shown.first).to_be_visible()
    sources = pictures_shown.evaluate_all("found => found.map(each => each.src.slice(0, 11))")
    assert len(sources) >= 12
    assert set(sources) <= {"data:image/"}
    assert drafts.get(store.database, draft_id).job.status == "completed"
    assert datasets.all_newest_first(store.database) == []
    import_and_open(page)
    expect(page.get_by_role("heading", name="cells <b> & *walls*")).to_be_visible()
    assert stored(store).num_samples == 9
    assert drafts.all_newest_first(store.database) == []
    # An old link to the import leads to what it has become.
    page.goto(f"{address}/review?import={draft_id}")
    page.wait_for_url("**/dataset?*")


def test_a_pairing_rule_is_typed_and_its_effect_seen_before_anything_is_stored(
    page: Page, address: str, store: Workbench, make_zip
) -> None:
    members = pictures(5, (0, 255), "scan/{}_A.png", "scan/{}_B.png")
    members |= pictures(3, (0, 1, 2), "scan/{}_A.png", "scan/{}_C.png")
    draft_id = upload(page, address, make_zip(members, "scans.zip"))
    page.get_by_text("Another rule").click(timeout=JOB_MS)
    settled(page)
    for label, pattern in (
        ("Image pattern", "scan/{id}_A.png"),
        ("Mask pattern", "scan/{id}_B.png"),
    ):
        field = page.get_by_label(label, exact=True)
        field.fill(pattern)
        field.press("Enter")
        settled(page)
    expect(page.get_by_text(re.compile("5 pairs · 3 unmatched"))).to_be_visible()
    field = page.get_by_label("Mask pattern", exact=True)
    field.fill("scan/{id}_C.png")
    field.press("Enter")
    expect(page.get_by_text(re.compile("3 pairs · 7 unmatched"))).to_be_visible()
    settled(page)
    expect(import_button(page)).to_be_disabled()
    page.get_by_role("button", name="Look at these masks").click()
    expect(page.get_by_text("3 pairs · 3 classes")).to_be_visible(timeout=JOB_MS)
    settled(page)
    # The fields show what the plan says after the look, which had taken them off the page.
    expect(page.get_by_role("radio", name=re.compile("Another rule"))).to_be_checked()
    expect(page.get_by_role("radio", name="Pairs", exact=True)).to_be_checked()
    expect(page.get_by_label("Mask pattern", exact=True)).to_have_value("scan/{id}_C.png")
    # It lies in the draft: a reload shows it too.
    page.reload()
    settled(page)
    expect(page.get_by_label("Mask pattern", exact=True)).to_have_value("scan/{id}_C.png")
    assert plan(store, draft_id)["pairing"]["mask_pattern"] == "scan/{id}_C.png"
    import_and_open(page)
    dataset = stored(store)
    assert dataset.num_samples == 3
    assert len(dataset.classes) == 3


NAME, ROLE = 3, 4


def cell(page: Page, row: int, column: int) -> tuple[float, float]:
    """The middle of a cell of the class editor, which is a drawing and reached by its place."""
    grid = page.get_by_test_id("stDataFrame").first
    expect(grid.locator(f"#glide-cell-{column}-{row}")).to_be_attached()
    num_rows = grid.locator("[id^=glide-cell-0-]").count()
    box = grid.locator("canvas").first.bounding_box()
    assert box is not None
    row_height = box["height"] / (num_rows + 1)
    return box["x"] + box["width"] * {NAME: 0.66, ROLE: 0.88}[column], box["y"] + row_height * (
        row + 1.5
    )


def rename(page: Page, row: int, name: str) -> None:
    """Give a class of the editor another name."""
    page.mouse.dblclick(*cell(page, row, NAME))
    field = page.locator("#portal textarea, #portal input")
    field.fill(name)
    field.press("Enter")
    expect(field).to_have_count(0)
    expect(page.locator(".st-key-review_legend")).to_contain_text(name)
    settled(page)


def choose_role(page: Page, row: int, role: str) -> None:
    """Give a class of the editor another role."""
    page.mouse.click(*cell(page, row, ROLE))
    selected = page.locator(f"#glide-cell-{ROLE}-{row}")
    expect(selected).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    page.locator("#portal").get_by_role("option", name=role).click()


def test_classes_are_renamed_merged_and_ignored(
    page: Page, address: str, store: Workbench, make_zip
) -> None:
    draft_id = upload(page, address, make_zip(pictures(6, (0, 1, 2, 3)), "parts.zip"))
    wait_for_review(page)
    view(page, "Classes")
    rename(page, 1, "nucleus")
    rename(page, 2, "nucleus")
    expect(page.get_by_text("6 pairs · 3 classes")).to_be_visible()
    settled(page)
    choose_role(page, 3, "ignored")
    expect(page.get_by_text("6 pairs · 2 classes")).to_be_visible()
    rules = plan(store, draft_id)["masks"]["classes"]
    assert [(rule["name"], rule["role"]) for rule in rules] == [
        ("background", "background"),
        ("nucleus", "class"),
        ("nucleus", "class"),
        ("class 3", "ignore"),
    ]
    assert rules[1]["color"] == rules[2]["color"]
    # A reload shows what was edited, and so does the dataset.
    page.reload()
    settled(page)
    expect(page.locator("#glide-cell-3-2")).to_have_text("nucleus")
    import_and_open(page)
    dataset = stored(store)
    assert [entry.name for entry in dataset.classes] == ["background", "nucleus"]
    sample = datasets.samples(store.database, dataset.id)[0]
    assert sample.class_pixels == (48 * 12, 48 * 24)


def test_a_threshold_is_drawn_and_stored(
    page: Page, address: str, store: Workbench, make_zip
) -> None:
    members = pictures(4, (0, 60, 122, 250))
    draft_id = upload(page, address, make_zip(members, "soft.zip"))
    wait_for_review(page)
    view(page, "Classes")
    page.get_by_role("radio", name="Threshold", exact=True).click()
    slider = page.get_by_test_id("stSlider").get_by_role("slider")
    expect(slider).to_have_value("125")
    settled(page)
    for threshold in (124, 123, 122):
        slider.press("ArrowLeft")
        # The class editor says what the plan says.
        expect(page.locator("#glide-cell-1-1")).to_have_text(f"≥ {threshold}")
        settled(page)
    assert plan(store, draft_id)["masks"]["threshold"] == 122
    import_and_open(page)
    sample = datasets.samples(store.database, stored(store).id)[0]
    assert sample.class_pixels == (48 * 24, 48 * 24)


def test_an_import_is_stopped_and_leaves_nothing_but_its_draft(
    page: Page, address: str, store: Workbench, home: Path, make_zip
) -> None:
    members = pictures(400, (0, 1), size=256)
    draft_id = upload(page, address, make_zip(members, "many.zip"))
    wait_for_review(page)
    import_button(page).click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("The import was stopped; nothing was stored.")).to_be_visible(
        timeout=JOB_MS
    )
    settled(page)
    expect(import_button(page)).to_be_enabled()
    assert datasets.all_newest_first(store.database) == []
    assert list((home / "datasets").glob("[0-9a-f]*")) == []
    assert drafts.get(store.database, draft_id).job.status == "stopped"


def test_two_people_correct_one_import_and_neither_loses_the_other_s_part(
    new_page: Callable[[], Page], address: str, store: Workbench, make_zip
) -> None:
    ann, bob = new_page(), new_page()
    draft_id = upload(ann, address, make_zip(pictures(8, (0, 255)), "shared.zip"))
    wait_for_review(ann)
    bob.goto(f"{address}/review?import={draft_id}&view=split")
    wait_for_review(bob)
    view(ann, "Classes")
    ann.get_by_role("button", name="Swap background and foreground").click()
    expect(ann.get_by_role("button", name="As it was proposed")).to_be_visible()
    settled(ann)
    share = bob.get_by_label("Test share", exact=True)
    share.fill("0.30")
    share.press("Enter")
    expect(bob.get_by_test_id("stMetric").filter(has_text="Test")).to_contain_text("2")
    settled(bob)
    found = plan(store, draft_id)
    assert found["split"]["test_share"] == 0.3
    assert {rule["name"]: rule["values"] for rule in found["masks"]["classes"]} == {
        "background": [255],
        "foreground": [0],
    }
    import_button(ann).click()
    import_button(bob).click()
    for each in (ann, bob):
        each.wait_for_url("**/dataset?*", timeout=JOB_MS)
    dataset = stored(store)
    assert json.dumps(dataset.plan)
    splits = [sample.split for sample in datasets.samples(store.database, dataset.id)]
    assert splits.count("test") == 2
