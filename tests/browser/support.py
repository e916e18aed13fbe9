"""What the tests in a browser do alike."""

from playwright.sync_api import Page, expect


def settled(page: Page) -> None:
    """Wait until the page has connected and its script has run."""
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-connection-state", "CONNECTED")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.get_by_test_id("stException")).to_have_count(0)


def open_page(page: Page, address: str) -> None:
    """Go to an address and wait until the page is ready."""
    page.goto(address)
    settled(page)
