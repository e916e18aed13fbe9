"""The main job in a real browser: from a zip to overlays, a second run, and the comparison.

One long test, because each step is the ground of the next; pictures of every page are left in
`test-artifacts/`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from engine.datasets.toy import write_toy_zip
from tests.browser.support import open_page, settled

ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"
TRAINING_MS = 60_000
TINY = {
    "Images": {"Image size": "64"},
    "Network": {"Levels": "2", "Width": "4"},
    "Schedule": {"Epochs": "2"},
}
"""Settings by the part of the form in which they stand."""


@pytest.fixture
def messages_sent() -> list[str | bytes]:
    """What the page has told its server; every rerun begins with such a message."""
    return []


@pytest.fixture
def page(browser: Browser, messages_sent: list[str | bytes]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "websocket",
        lambda socket: socket.on("framesent", lambda message: messages_sent.append(message)),
    )
    yield opened
    context.close()
    assert problems == []


def picture(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


def fill_in(page: Page, settings: dict[str, dict[str, str]]) -> None:
    for part, values in settings.items():
        page.get_by_text(part, exact=True).click()
        for label, value in values.items():
            field = page.get_by_label(label, exact=True)
            field.fill(value)
            field.press("Tab")
            settled(page)


def run_id(page: Page) -> str:
    found = re.search(r"[?&]run=([0-9a-f]{8})", page.url)
    assert found is not None, page.url
    return found[1]


def start_training(page: Page) -> str:
    """Start what the form says, follow it to its end, and return the run's id."""
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/run?*")
    settled(page)
    status = page.locator(".st-key-run_status")
    expect(status).to_contain_text(re.compile("queued|running"))
    expect(status).to_contain_text("completed", timeout=TRAINING_MS)
    settled(page)
    return run_id(page)


def test_from_a_zip_to_overlays_and_a_comparison(
    page: Page, messages_sent: list, home: Path, start_server, tmp_path: Path
) -> None:
    server = start_server()
    toy = tmp_path / "cells & <b> *squares*.zip"
    write_toy_zip(toy, num_samples=14, size_px=64)

    open_page(page, server.address)
    expect(page.get_by_text("No datasets yet")).to_be_visible()
    picture(page, "1-empty")

    page.locator("input[type=file]").set_input_files(toy)
    page.wait_for_url("**/review?*", timeout=30_000)
    # Nothing needs to be decided, so the import can begin at once.
    expect(page.get_by_text("14 pairs · 3 classes")).to_be_visible(timeout=30_000)
    settled(page)
    picture(page, "1-review")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/dataset?*", timeout=30_000)
    settled(page)
    expect(page.get_by_role("heading", name="cells & <b> *squares*")).to_be_visible()
    expect(page.get_by_text("14 samples · grey")).to_be_visible()
    expect(page.locator(".gallery").get_by_role("option")).to_have_count(14)
    expect(page.locator(".viewer img[src*='/masks/']")).to_be_visible()
    picture(page, "2-dataset")
    page.get_by_role("radio", name="Quality").click()
    expect(page.get_by_text("Every picture was used.")).to_be_visible()

    page.get_by_role("button", name="Train on it").click()
    page.wait_for_url("**/train?*")
    settled(page)
    fill_in(page, TINY)
    expect(page.get_by_text("Changed from the recipe")).to_be_visible()
    picture(page, "3-train")
    first = start_training(page)

    # Worst first, with the picture of the first row open, and no rerun for a hand on the viewer.
    viewer = page.locator(".viewer")
    expect(viewer.locator("img[src*='/errors/']")).to_be_visible()
    assert messages_sent, "the page talks to its server by messages that are counted here"
    messages_sent.clear()
    truth = page.get_by_role("button", name="Truth")
    expect(truth).to_have_attribute("aria-pressed", "false")
    truth.click()
    expect(truth).to_have_attribute("aria-pressed", "true")
    expect(viewer.locator("img[src*='/masks/']")).to_be_visible()
    slider = page.get_by_label("Opacity")
    slider.fill("20")
    assert messages_sent == []
    picture(page, "4-run")

    open_page(page, f"{server.address}/train")
    page.get_by_role("radio", name="tutorial").click()
    settled(page)
    fill_in(page, TINY)
    second = start_training(page)
    assert second != first

    open_page(page, f"{server.address}/runs")
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    picture(page, "5-runs")

    comparison = f"/compare?runs={first}&runs={second}"
    open_page(page, server.address + comparison)
    expect(page.locator(".viewer img[src*='/errors/']")).to_have_count(2)
    expect(page.get_by_text("Settings that differ")).to_be_visible()
    expect(page.get_by_text("Choose at least two runs.")).to_have_count(0)
    picture(page, "6-compare")

    # Permalinks work on a server that has never shown a page.
    server.kill()
    cold = start_server()
    open_page(page, cold.address + comparison)
    expect(page.locator(".viewer img[src*='/errors/']")).to_have_count(2)
    open_page(page, f"{cold.address}/run?run={first}&view=curves")
    expect(page.get_by_test_id("stPlotlyChart").nth(2)).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(0)


def test_a_file_that_is_no_zip_gets_a_sentence_and_leaves_nothing(
    page: Page, home: Path, start_server, tmp_path: Path
) -> None:
    server = start_server()
    broken = tmp_path / "holiday.zip"
    broken.write_bytes(b"these are not the pictures you are looking for")
    open_page(page, server.address)
    page.locator("input[type=file]").set_input_files(broken)
    page.wait_for_url("**/review?*", timeout=30_000)
    expect(page.get_by_test_id("stAlert")).to_contain_text("zip", timeout=30_000)
    expect(page.get_by_text("Traceback")).to_have_count(0)
    settled(page)
    picture(page, "7-refused")
    assert list((home / "datasets").glob("*")) == []
    page.get_by_role("button", name="Discard", exact=True).click()
    page.get_by_role("button", name="Discard it").click()
    # The server goes on, and nothing of the file is left.
    expect(page.get_by_text("No datasets yet")).to_be_visible()
    assert list((home / "uploads").glob("*")) == []
    assert list((home / "drafts").glob("*")) == []
    page.get_by_role("button", name="Create a toy dataset").first.click()
    expect(page.get_by_role("button", name="Open")).to_be_visible(timeout=30_000)
