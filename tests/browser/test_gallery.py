"""The gallery in a real browser, on a real server: thousands of samples, few cells, few reruns."""

import io
import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, WebSocket, expect

from pages.common import gallery as gallery_module
from pages.common.gallery import TEXT_KEYS, Item, gallery

SCRIPT = """
import streamlit as st
from pages.common.gallery import TEXT_KEYS, Item, gallery

NUM = 10_000
st.set_page_config(layout="wide")
state = st.session_state
state.runs = state.get("runs", 0) + 1
st.button("Again")
shown = st.selectbox("Filter", ["all", "hundreds", "from 9000", "none"])
if st.button("Select 5000"):
    state.selected = 5000
wanted = {
    "all": range(NUM),
    "hundreds": range(0, NUM, 100),
    "from 9000": range(9000, NUM),
    "none": range(0),
}[shown]
SIZES = [(80, 60), (60, 80), (120, 30)]
items = [
    Item(
        position=position,
        title=f"some/very/long/folder/<b>of</b>/patients/image {position:05d}",
        thumb_url=f"/pictures/thumbs/{position:06d}.webp",
        mask_url=None if position == 3 else f"/pictures/masks/{position:06d}.png",
        width_px=SIZES[position % 3][0],
        height_px=SIZES[position % 3][1],
        badges=(("val", "blue"), ("<i>twin</i>", "orange")) if position % 10 == 0 else (),
    )
    for position in wanted
]
# The run's number makes every rerun hand over new data, which Streamlit else would not do.
own_texts = {"count": "{count} samples", "size": f"size in run {state.runs}"}
texts = {name: name for name in TEXT_KEYS} | own_texts
if st.checkbox("Gallery", value=True):
    with st.container(key="main"):
        chosen = gallery(items, key="g", texts=texts, selected=state.get("selected"), height_px=400)
    if chosen is not None:
        state.selected = chosen
        state.clicks = state.get("clicks", 0) + 1
        st.rerun()
st.text(f"Click {state.get('clicks', 0)} on {state.get('selected')} of {shown}, run {state.runs}")
with st.container(key="plain"):
    gallery(items[:5], key="h", texts=texts, selected=None, overlay=False)
"""

MAX_CELLS = 200
MAX_BYTES_PER_ITEM = 60
MAX_REST_BYTES = 100_000


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, start_server) -> str:
    script = tmp_path_factory.mktemp("gallery") / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    return start_server(script).address


class Traffic:
    """What went between the page and the server."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.received_bytes: list[int] = []
        self.pictures: list[str] = []

    def watch(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: self.sent.append(frame))
        socket.on("framereceived", lambda frame: self.received_bytes.append(len(frame)))


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture
def page(browser: Browser, address: str, traffic: Traffic) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 1100})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("dialog", lambda dialog: problems.append(dialog.message))
    opened.on("websocket", traffic.watch)

    def serve(route: Route) -> None:
        traffic.pictures.append(route.request.url)
        _serve(route)

    opened.route("**/pictures/**", serve)
    opened.goto(address)
    expect(_cell(_gallery(opened), 0)).to_be_visible()
    _settle(opened)
    yield opened
    opened.close()
    assert problems == []


def _serve(route: Route) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (8, 6), "#ff000080").save(file, "PNG")
    route.fulfill(body=file.getvalue(), content_type="image/png")


def _settle(page: Page) -> None:
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def _gallery(page: Page, container: str = "main") -> Locator:
    return page.locator(f".st-key-{container} .gallery")


def _cell(gallery: Locator, position: int) -> Locator:
    return gallery.locator(f'[data-position="{position}"]')


def _button(gallery: Locator, name: str) -> Locator:
    return gallery.get_by_role("button", name=name, exact=True)


def _list(gallery: Locator) -> Locator:
    return gallery.get_by_role("listbox")


def _scroll(gallery: Locator, top: int) -> None:
    _list(gallery).evaluate("(list, top) => { list.scrollTop = top }", top)


def _top(gallery: Locator) -> float:
    top: float = _list(gallery).evaluate("list => list.scrollTop")
    return top


def _height_above(gallery: Locator, position: int) -> float:
    """How far below the list's upper edge a cell begins."""
    cell, around = _cell(gallery, position).bounding_box(), _list(gallery).bounding_box()
    assert cell is not None and around is not None
    return cell["y"] - around["y"]


def _spot(gallery: Locator, share: float) -> tuple[float, float]:
    """Where on the page the first column is, this share of the list's height below its top."""
    box = _list(gallery).bounding_box()
    assert box is not None
    return box["x"] + 40, box["y"] + box["height"] * share


def _position_at(gallery: Locator, share: float) -> int:
    position: int = gallery.evaluate(
        "(gallery, [x, y]) => Number("
        "gallery.getRootNode().elementFromPoint(x, y).closest('.cell').dataset.position)",
        list(_spot(gallery, share)),
    )
    return position


def _filter(page: Page, name: str) -> None:
    page.get_by_role("combobox", name="Filter").click()
    page.get_by_role("option", name=name, exact=True).click()
    expect(page.get_by_text(f"of {name}, run")).to_be_visible()
    _settle(page)


def _rerun(page: Page, shown: Locator) -> None:
    """Run the script again and wait until the gallery has taken over its new data."""
    sizes = shown.locator(".sizes")
    before = sizes.get_attribute("aria-label")
    page.get_by_role("button", name="Again").click()
    expect(sizes).not_to_have_attribute("aria-label", before or "")
    _settle(page)


def test_ten_thousand_samples_take_few_cells_and_few_bytes(page: Page, traffic: Traffic) -> None:
    shown = _gallery(page)
    expect(shown.get_by_text("10,000 samples")).to_be_visible()
    cells = shown.get_by_role("option")
    assert 10 < cells.count() < MAX_CELLS
    assert max(traffic.received_bytes) < 10_000 * MAX_BYTES_PER_ITEM + MAX_REST_BYTES

    _button(shown, "small").click()
    _scroll(shown, 10_000_000)
    last = shown.get_by_title("some/very/long/folder/<b>of</b>/patients/image 09999")
    expect(last).to_be_in_viewport()
    expect(last).to_have_attribute("aria-posinset", "10000")
    expect(last).to_have_attribute("aria-setsize", "10000")
    expect(last.locator("img.thumb")).to_have_css("opacity", "1")
    expect(_cell(shown, 20)).to_have_count(0)
    assert cells.count() < MAX_CELLS
    positions = cells.evaluate_all("cells => cells.map(cell => Number(cell.dataset.position))")
    assert positions == sorted(positions)


def test_masks_opacity_and_size_change_without_a_message_to_the_server(
    page: Page, traffic: Traffic
) -> None:
    shown = _gallery(page)
    mask = _cell(shown, 0).locator("img.mask")
    expect(mask).to_be_visible()
    expect(mask).to_have_css("opacity", "0.6")
    before = len(traffic.sent)

    shown.get_by_role("slider", name="opacity").fill("25")
    expect(mask).to_have_css("opacity", "0.25")
    expect(_cell(shown, 0).locator("img.thumb")).to_have_css("opacity", "1")
    _button(shown, "masks").click()
    expect(mask).to_be_hidden()
    expect(_cell(shown, 0).locator("img.thumb")).to_be_visible()
    _button(shown, "masks").click()
    expect(mask).to_be_visible()

    widths = []
    for size in ("small", "medium", "large"):
        _button(shown, size).click()
        expect(_button(shown, size)).to_have_attribute("aria-pressed", "true")
        box = _cell(shown, 0).bounding_box()
        assert box is not None
        widths.append(box["width"])
    assert widths == sorted(set(widths))

    _scroll(shown, 3000)
    expect(_cell(shown, 40)).to_have_count(1)
    assert len(traffic.sent) == before


def test_a_mask_lies_exactly_over_its_picture_whatever_the_shape(page: Page) -> None:
    shown = _gallery(page)
    for position, aspect in ((0, 80 / 60), (1, 60 / 80), (2, 120 / 30)):
        thumb = _cell(shown, position).locator("img.thumb").bounding_box()
        mask = _cell(shown, position).locator("img.mask").bounding_box()
        assert thumb is not None and thumb == mask
        assert thumb["width"] / thumb["height"] == pytest.approx(aspect, rel=0.02)
    expect(_cell(shown, 3).locator("img.thumb")).to_be_visible()
    expect(_cell(shown, 3).locator("img.mask")).to_have_count(0)


def test_masks_that_are_off_are_not_even_asked_for(page: Page, traffic: Traffic) -> None:
    plain = _gallery(page, "plain")
    page.route("**/pictures/masks/**", lambda route: route.abort())
    expect(_button(plain, "masks")).to_have_attribute("aria-pressed", "false")
    expect(plain.get_by_role("slider")).to_be_disabled()
    expect(_cell(plain, 1).locator("img.thumb")).to_be_visible()
    assert _cell(plain, 1).locator("img.mask").get_attribute("src") is None
    expect(_button(_gallery(page), "masks")).to_have_attribute("aria-pressed", "true")
    _button(plain, "masks").click()
    expect(_cell(plain, 1).locator("img.mask")).to_have_attribute(
        "src", re.compile(r"000001\.png$")
    )


def test_a_click_gives_python_the_position_and_moves_nothing(page: Page) -> None:
    shown = _gallery(page)
    _scroll(shown, 2000)
    expect(_cell(shown, 70)).to_be_in_viewport()
    top = _top(shown)
    clicked = _position_at(shown, 0.98)
    page.mouse.click(*_spot(shown, 0.98))
    expect(page.get_by_text(f"Click 1 on {clicked} of all")).to_be_visible()
    expect(_cell(shown, clicked)).to_have_attribute("aria-selected", "true")
    expect(_cell(shown, clicked)).not_to_be_in_viewport(ratio=1)
    expect(shown.locator('[aria-selected="true"]')).to_have_count(1)
    assert _top(shown) == top

    other = _position_at(shown, 0.5)
    page.mouse.click(*_spot(shown, 0.5))
    expect(page.get_by_text(f"Click 2 on {other} of all")).to_be_visible()
    expect(_cell(shown, other)).to_have_attribute("aria-selected", "true")
    expect(_cell(shown, clicked)).to_have_attribute("aria-selected", "false")
    assert _top(shown) == top


def test_the_keyboard_reaches_every_sample_and_chooses_one(page: Page, traffic: Traffic) -> None:
    shown = _gallery(page)
    _button(shown, "large").focus()
    page.keyboard.press("Tab")
    expect(_cell(shown, 0)).to_be_focused()
    num_columns = shown.get_by_role("option").evaluate_all(
        "cells => cells.filter(c => c.getBoundingClientRect().y"
        " === cells[0].getBoundingClientRect().y).length"
    )
    assert num_columns > 3
    before = len(traffic.sent)
    steps = {
        "ArrowLeft": 0,
        "ArrowUp": 0,
        "ArrowRight": 1,
        "ArrowDown": 1 + num_columns,
        "End": 9999,
        "PageDown": 9999,
        "Home": 0,
        "PageDown ": 2 * num_columns,
    }
    for key, position in steps.items():
        page.keyboard.press(key.strip())
        expect(_cell(shown, position)).to_be_focused()
        expect(_cell(shown, position)).to_be_in_viewport(ratio=1)
        expect(shown.locator('.cell[tabindex="0"]')).to_have_count(1)
    assert len(traffic.sent) == before

    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Click 1 on {2 * num_columns} of all")).to_be_visible()
    expect(_cell(shown, 2 * num_columns)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    expect(page.get_by_text(f"Click 2 on {2 * num_columns - 1} of all")).to_be_visible()


def test_what_python_selects_is_scrolled_into_view_and_tab_leads_to_it(page: Page) -> None:
    shown = _gallery(page)
    expect(_cell(shown, 5000)).to_have_count(0)
    page.get_by_role("button", name="Select 5000").click()
    expect(_cell(shown, 5000)).to_be_in_viewport(ratio=1)
    expect(_cell(shown, 5000)).to_have_attribute("aria-selected", "true")
    expect(_cell(shown, 5000)).to_have_attribute("tabindex", "0")

    # Only news are scrolled to: the person may look elsewhere afterwards.
    _scroll(shown, 0)
    expect(_cell(shown, 1)).to_be_in_viewport()
    _rerun(page, shown)
    assert _top(shown) == 0
    expect(_cell(shown, 5000)).to_have_attribute("aria-selected", "true")


def test_a_rerun_with_the_same_samples_leaves_the_cells_alone(page: Page, traffic: Traffic) -> None:
    shown = _gallery(page)
    _scroll(shown, 3000)
    expect(_cell(shown, 110).locator("img.mask")).to_have_css("opacity", "0.6")
    page.wait_for_load_state("networkidle")
    shown.locator(".cell").evaluate_all("cells => cells.forEach(cell => { cell.mine = true })")
    asked_for = len(traffic.pictures)

    _rerun(page, shown)
    assert _top(shown) == 3000
    assert shown.locator(".cell").evaluate_all("cells => cells.every(cell => cell.mine)")
    assert len(traffic.pictures) == asked_for


def test_a_filter_keeps_the_choices_and_the_place_where_there_still_is_one(page: Page) -> None:
    shown = _gallery(page)
    _button(shown, "masks").click()
    _button(shown, "small").click()
    _scroll(shown, 1000)
    expect(_cell(shown, 80)).to_be_in_viewport()

    _filter(page, "from 9000")
    expect(shown.get_by_text("1,000 samples")).to_be_visible()
    expect(_cell(shown, 9000)).to_be_in_viewport(ratio=1)
    expect(_cell(shown, 80)).to_have_count(0)
    assert _top(shown) == 0
    expect(_button(shown, "masks")).to_have_attribute("aria-pressed", "false")
    expect(_button(shown, "small")).to_have_attribute("aria-pressed", "true")
    expect(_cell(shown, 9000).locator("img.mask")).to_be_hidden()

    _scroll(shown, 700)
    expect(_cell(shown, 9070)).to_be_in_viewport()
    first = _position_at(shown, 0.03)
    height = _height_above(shown, first)
    _filter(page, "all")
    expect(_cell(shown, first)).to_be_in_viewport()
    row_height = 200
    assert abs(_height_above(shown, first) - height) < row_height

    _filter(page, "none")
    expect(shown.get_by_text("empty")).to_be_visible()
    expect(shown.get_by_role("option")).to_have_count(0)
    _filter(page, "hundreds")
    expect(shown.get_by_text("empty")).to_be_hidden()
    expect(_cell(shown, 0)).to_be_in_viewport()
    expect(_cell(shown, 1)).to_have_count(0)
    expect(_button(shown, "masks")).to_have_attribute("aria-pressed", "false")


def test_a_filter_that_keeps_the_selected_sample_shows_it(page: Page) -> None:
    shown = _gallery(page)
    page.get_by_role("button", name="Select 5000").click()
    expect(_cell(shown, 5000)).to_be_in_viewport(ratio=1)
    _scroll(shown, 1230)
    expect(_cell(shown, 50)).to_be_in_viewport()
    _filter(page, "hundreds")
    expect(_cell(shown, 5000)).to_be_in_viewport(ratio=1)
    assert _top(shown) > 0


def test_another_width_keeps_the_same_samples_in_view(page: Page) -> None:
    shown = _gallery(page)
    page.get_by_role("button", name="Select 5000").click()
    expect(_cell(shown, 5000)).to_be_in_viewport(ratio=1)
    for width in (700, 1024, 1280):
        page.set_viewport_size({"width": width, "height": 1100})
        expect(_cell(shown, 5000)).to_be_in_viewport()
        inside = shown.locator(".cell").evaluate_all(
            "cells => cells.every(cell => cell.getBoundingClientRect().right"
            " <= cell.parentElement.getBoundingClientRect().right)"
        )
        assert inside


def test_a_gallery_that_comes_back_is_where_it_was(page: Page) -> None:
    shown = _gallery(page)
    _button(shown, "masks").click()
    _scroll(shown, 3000)
    expect(_cell(shown, 110)).to_be_in_viewport()
    switch = page.get_by_role("checkbox", name="Gallery")
    switch.uncheck(force=True)
    expect(shown).to_have_count(0)
    switch.check(force=True)
    expect(_cell(shown, 110)).to_be_in_viewport()
    assert _top(shown) == pytest.approx(3000, abs=1)
    expect(_button(shown, "masks")).to_have_attribute("aria-pressed", "false")


def test_pictures_that_have_gone_out_of_view_are_given_up(page: Page) -> None:
    shown = _gallery(page)
    given_up: list[str] = []
    held: list[Route] = []
    page.on("requestfailed", lambda request: given_up.append(request.url))
    page.route(re.compile(r"/pictures/thumbs/0001"), lambda route: held.append(route))
    _scroll(shown, 3000)
    expect(_cell(shown, 110).locator("img.thumb")).to_have_attribute("src", re.compile("000110"))
    with page.expect_event("requestfailed"):
        _scroll(shown, 100_000)
    expect(_cell(shown, 110)).to_have_count(0)
    assert all("/pictures/thumbs/0001" in url for url in given_up)


def test_what_cannot_be_loaded_is_marked_and_no_broken_picture_is_shown(page: Page) -> None:
    page.route("**/thumbs/000105.webp", lambda route: route.fulfill(status=404))
    page.route("**/masks/000106.png", lambda route: route.fulfill(status=404))
    shown = _gallery(page)
    _scroll(shown, 2800)
    expect(_cell(shown, 105).get_by_title("broken", exact=True)).to_be_visible()
    expect(_cell(shown, 105).locator("img.thumb")).to_be_hidden()
    expect(_cell(shown, 105).locator("img.mask")).to_be_hidden()
    expect(_cell(shown, 106).get_by_title("mask_broken")).to_be_visible()
    expect(_cell(shown, 106).get_by_title("broken", exact=True)).to_be_hidden()
    expect(_cell(shown, 106).locator("img.thumb")).to_be_visible()
    _button(shown, "masks").click()
    expect(_cell(shown, 106).get_by_title("mask_broken")).to_be_hidden()


def test_names_are_words_and_never_markup_and_keep_their_end(page: Page) -> None:
    shown = _gallery(page)
    name = "some/very/long/folder/<b>of</b>/patients/image 00010"
    cell = _cell(shown, 10)
    expect(cell.locator(".title")).to_have_text(name)
    expect(cell).to_have_attribute("title", name)
    expect(cell).to_have_attribute("aria-label", f"{name}, val, <i>twin</i>")
    expect(cell.get_by_alt_text(name)).to_have_count(1)
    expect(cell.locator(".badge")).to_have_text(["val", "<i>twin</i>"])
    expect(shown.locator("b, i")).to_have_count(0)
    shape = cell.locator(".title").evaluate(
        """title => {
            const range = document.createRange()
            const text = title.querySelector("bdi").firstChild
            range.setStart(text, text.length - 5)
            range.setEnd(text, text.length)
            const [end, box] = [range.getBoundingClientRect(), title.getBoundingClientRect()]
            return {cut: title.scrollWidth > title.clientWidth,
                    left: end.left - box.left, right: box.right - end.right}
        }"""
    )
    assert shape["cut"]
    assert shape["left"] >= 0
    assert shape["right"] >= -1


def _item(position: int) -> Item:
    return Item(position=position, title="a", thumb_url="t", mask_url=None, width_px=4, height_px=3)


@pytest.mark.parametrize("sent", [9, "1", True, 1.0, {"position": 1}, None])
def test_only_the_position_of_a_shown_item_is_believed(
    sent: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {name: name for name in TEXT_KEYS}
    answers = [sent, 1]
    monkeypatch.setattr(
        gallery_module, "_mount", lambda **_: SimpleNamespace(selected=answers.pop(0))
    )
    items = [_item(1), _item(4)]
    assert gallery(items, key="g", texts=texts, selected=None) is None
    assert gallery(items, key="g", texts=texts, selected=None) == 1


def test_a_missing_word_is_found_before_anything_is_shown() -> None:
    texts = {name: name for name in TEXT_KEYS if name != "masks"}
    with pytest.raises(KeyError, match="masks"):
        gallery([], key="g", texts=texts, selected=None)
