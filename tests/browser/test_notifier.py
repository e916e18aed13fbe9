"""The bell in a real browser, on a real server: it tells once that a run has ended, and says why
when it cannot."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

SCRIPT = """
import streamlit as st
from pages.common.notifier import notifier

NAMES = {"a": "<b>cells</b>", "b": "{sentence} two", "c": "long over"}
state = st.session_state
state.runs = state.get("runs", 0) + 1
for each in ("a", "b"):
    if st.button(f"End {each}"):
        state.gone = [*state.get("gone", []), each]
def status(name):
    return "completed" if name in state.get("gone", []) or name == "c" else "running"
def given(*names):
    return [(name, NAMES[name], status(name), f"Dice of {name} in run {state.runs}")
            for name in names]
with st.container(horizontal=True, key="one"):
    st.button("Beside")
    notifier(given("a"), key="bell_one")
with st.container(key="all"):
    notifier(given("a", "b", "c"), key="bell_all")
with st.container(key="none"):
    notifier(given("c"), key="bell_none")
st.text(f"Run {state.runs}")
"""

STUB = """
window.shown = [];
window.Notification = class {
  static permission = "%s";
  static answer = "%s";
  static asked = 0;
  static async requestPermission() {
    Notification.asked += 1;
    return (Notification.permission = Notification.answer);
  }
  constructor(title, options) {
    if (window.refuses) throw new TypeError("Illegal constructor");
    window.shown.push([title, options.body, options.tag]);
  }
  close() {}
};
"""

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, start_server) -> str:
    script = tmp_path_factory.mktemp("notifier") / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    return start_server(script).address


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context()
    yield opened
    opened.close()


@pytest.fixture
def open_page(context: BrowserContext, address: str) -> Iterator[OpenPage]:
    """A tab whose notifications are noted; `before` and `answer` are the browser's permission."""
    problems: list[str] = []

    def open_page(before: str = "default", answer: str = "granted") -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.add_init_script(STUB % (before, answer))
        _load(page, address)
        return page

    yield open_page
    assert problems == []


def _load(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_text("Run 1", exact=True)).to_be_visible()
    expect(page.locator(".st-key-all .notifier")).to_be_visible()


def _bell(page: Page, container: str = "one") -> Any:
    return page.locator(f".st-key-{container} .notifier").get_by_role("button")


def _end(page: Page, name: str) -> None:
    runs = _runs(page)
    page.get_by_role("button", name=f"End {name}", exact=True).click()
    expect(page.get_by_text(f"Run {runs + 1}", exact=True)).to_be_visible()


def _runs(page: Page) -> int:
    return int(page.get_by_text(re.compile(r"^Run \d+$")).inner_text().split()[1])


def _shown(page: Page) -> list[list[str]]:
    found: list[list[str]] = page.evaluate("window.shown")
    return found


def test_browser_is_asked_on_the_click_and_not_before(open_page: OpenPage) -> None:
    page = open_page()
    assert page.evaluate("Notification.asked") == 0
    expect(_bell(page)).to_have_attribute("aria-pressed", "false")
    _bell(page).click()
    expect(_bell(page)).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("Notification.asked") == 1
    _bell(page).click()
    expect(_bell(page)).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("Notification.asked") == 1
    assert _runs(page) == 1  # no click caused a rerun


def test_end_of_a_run_is_told_once_in_words_and_never_as_markup(open_page: OpenPage) -> None:
    page = open_page()
    _bell(page).click()
    _end(page, "a")
    page.wait_for_function("window.shown.length > 0")
    assert _shown(page) == [["<b>cells</b>", "Dice of a in run 2", "workbench.notify.a"]]
    expect(_bell(page)).to_be_hidden()
    _end(page, "b")
    page.reload()
    expect(page.get_by_text("Run 1", exact=True)).to_be_visible()
    # Neither two bells nor later updates nor a reload tell it again, and nobody waited for b.
    assert _shown(page) == []
    expect(page.locator("b")).to_have_count(0)


def test_nothing_is_told_to_whom_has_not_asked_or_has_changed_their_mind(
    open_page: OpenPage,
) -> None:
    page = open_page()
    _end(page, "b")
    _bell(page).click()
    expect(_bell(page)).to_have_attribute("aria-pressed", "true")
    _bell(page).click()
    expect(_bell(page)).to_have_attribute("aria-pressed", "false")
    _end(page, "a")
    expect(_bell(page)).to_be_hidden()
    assert _shown(page) == []


def test_wish_is_kept_over_a_reload_and_known_to_the_other_tabs(
    open_page: OpenPage, address: str
) -> None:
    page, other = open_page(), open_page("granted")
    _bell(page).click()
    expect(_bell(other)).to_have_attribute("aria-pressed", "true")
    page.add_init_script(STUB % ("granted", "granted"))
    _load(page, address)
    expect(_bell(page)).to_have_attribute("aria-pressed", "true")
    _end(other, "a")
    other.wait_for_function("window.shown.length > 0")
    _end(page, "a")
    expect(_bell(page)).to_be_hidden()
    assert _shown(page) == []


def test_one_bell_waits_for_all_live_runs(open_page: OpenPage) -> None:
    page = open_page()
    bell = _bell(page, "all")
    expect(bell).to_have_text("Notify me when these end")
    bell.click()
    expect(bell).to_have_attribute("aria-pressed", "true")
    expect(_bell(page, "one")).to_have_attribute("aria-pressed", "true")
    _end(page, "b")
    expect(bell).to_have_text("Notify me when it ends")
    page.wait_for_function("window.shown.length > 0")
    _end(page, "a")
    page.wait_for_function("window.shown.length > 1")
    assert [title for title, *_ in _shown(page)] == ["{sentence} two", "<b>cells</b>"]


def test_tab_in_the_background_is_told_too(open_page: OpenPage, context: BrowserContext) -> None:
    page = open_page()
    _bell(page).click()
    expect(_bell(page)).to_have_attribute("aria-pressed", "true")
    context.new_page().bring_to_front()
    page.evaluate("""
        [...document.querySelectorAll("button")].find((each) => each.innerText == "End a").click()
    """)
    page.wait_for_function("window.shown.length > 0", polling=100)
    assert len(_shown(page)) == 1


def test_without_a_live_run_there_is_no_bell(open_page: OpenPage) -> None:
    page = open_page()
    expect(_bell(page, "none")).to_be_hidden()
    expect(page.locator(".st-key-none .words")).to_be_hidden()


@pytest.mark.parametrize(
    ("before", "answer", "words"),
    [("denied", "denied", "does not allow"), ("default", "denied", "does not allow"),
     ("default", "default", "not answered")],
)  # fmt: skip
def test_refusal_is_said_in_words_and_nothing_is_promised(
    open_page: OpenPage, before: str, answer: str, words: str
) -> None:
    page = open_page(before, answer)
    _bell(page).click()
    expect(page.locator(".st-key-one").get_by_role("status")).to_contain_text(words)
    expect(_bell(page)).to_have_attribute("aria-pressed", "false")
    _end(page, "a")
    expect(_bell(page)).to_be_hidden()
    assert _shown(page) == []


def test_page_that_came_by_an_unsafe_way_says_that_browsers_forbid_it(
    context: BrowserContext, address: str
) -> None:
    page = context.new_page()
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    _load(page, address)
    _bell(page).click()
    expect(page.locator(".st-key-one").get_by_role("status")).to_contain_text("https")
    expect(_bell(page)).to_have_attribute("aria-pressed", "false")


def test_notification_that_the_browser_will_not_show_is_said_on_the_page(
    open_page: OpenPage,
) -> None:
    page = open_page()
    _bell(page, "one").click()
    page.evaluate("window.refuses = true")
    _end(page, "a")
    told = page.get_by_role("status").filter(has_text="<b>cells</b>: Dice of a in run 2")
    expect(told).to_have_count(1)
    assert _shown(page) == []


def test_real_permission_of_chromium_is_enough(context: BrowserContext, address: str) -> None:
    context.grant_permissions(["notifications"], origin=address)
    page = context.new_page()
    _load(page, address)
    _bell(page).click()
    expect(_bell(page)).to_have_attribute("aria-pressed", "true")
    _end(page, "a")
    expect(_bell(page)).to_be_hidden()
    expect(page.locator(".words:visible")).to_have_count(0)


def test_wishes_of_long_ago_are_forgotten(open_page: OpenPage, address: str) -> None:
    page = open_page("granted")
    page.evaluate(
        """() => {
            const day = 24 * 3600 * 1000
            localStorage.setItem("workbench.notify.old", String(Date.now() - 31 * day))
            localStorage.setItem("workbench.notify.b", String(Date.now() - 29 * day))
            localStorage.setItem("other", "1")
        }"""
    )
    _load(page, address)
    kept = page.evaluate("Object.keys(localStorage).filter((each) => /workbench|other/.test(each))")
    assert sorted(kept) == ["other", "workbench.notify.b"]
