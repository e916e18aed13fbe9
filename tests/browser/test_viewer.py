"""The image viewer in a real browser, on a real server: what it shows, and that it never reruns."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect

from pages.common.viewer import TEXT_KEYS, viewer

SCRIPT = """
import streamlit as st
from pages.common.viewer import TEXT_KEYS, Layer, Pane, viewer

st.set_page_config(layout="wide")
runs = st.session_state.runs = st.session_state.get("runs", 0) + 1
if st.button("Next"):
    st.session_state.sample = st.session_state.get("sample", 0) + 1
if st.button("Again"):
    pass
sample = st.session_state.get("sample", 0)
st.text(f"Run {runs} of sample {sample}")

texts = {name: name for name in TEXT_KEYS} | {"broken": "{layer} could not be loaded."}
key = (("#ff0000", "nucleus"), ("#00ff00", "<b>border</b>"))


def pane(run):
    picture = f"/pictures/{sample}"
    return Pane(
        title=f"{run} <img src=x onerror=alert(1)>",
        note=f"Dice of sample {sample}",
        width_px=64,
        height_px=48,
        layers=(
            Layer(name="image", title="Image", url=f"{picture}/image.png"),
            Layer(name="truth", title="Truth", url=f"{picture}/truth.png", legend=key),
            Layer(name="prediction", title="Prediction", url=f"{picture}/{run}.png", legend=key),
        ),
    )


with st.container(key="single"):
    viewer([pane("one")], key="alone", texts=texts, shown=["image", "truth"], height_px=240)
if st.checkbox("Compare", value=True):
    with st.container(key="pair"):
        panes = [pane("one"), pane("two")]
        viewer(panes, key="together", texts=texts, shown=["image"], height_px=240)
st.container(height=2000, border=False)
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, start_server) -> str:
    script = tmp_path_factory.mktemp("viewer") / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    return start_server(script).address


def _picture(color: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), color).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("dialog", lambda dialog: problems.append(dialog.message))
    opened.route("**/pictures/**", _serve)
    opened.goto(address)
    expect(_viewer(opened, "pair")).to_be_visible()
    yield opened
    opened.close()
    assert problems == []


def _serve(route: Route) -> None:
    color = {"image": "#808080", "truth": "#ff0000"}.get(Path(route.request.url).stem, "#00ff00")
    route.fulfill(body=_picture(color), content_type="image/png")


def _viewer(page: Page, container: str) -> Locator:
    return page.locator(f".st-key-{container} .viewer")


def _layer(viewer: Locator, file: str) -> Locator:
    return viewer.locator(f'img[src$="/{file}.png"]')


def _button(viewer: Locator, name: str) -> Locator:
    return viewer.get_by_role("button", name=name, exact=True)


def _transforms(viewer: Locator) -> list[str]:
    found: list[str] = viewer.locator(".stage").evaluate_all(
        "all => all.map(e => e.style.transform)"
    )
    return found


def _zoom(viewer: Locator) -> float:
    return float(viewer.get_by_label("zoom", exact=True).locator("output").inner_text().rstrip("×"))


def _transforms_other_than(before: list[str], viewer: Locator) -> list[str]:
    # The browser handles wheel and mouse after the call that sends them has returned.
    old = re.compile(re.escape(before[0]))
    expect(viewer.locator(".stage").first).not_to_have_attribute("style", old)
    return _transforms(viewer)


def _turn_wheel_over(page: Page, view: Locator, pixels: int) -> None:
    box = view.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.wheel(0, pixels)


def test_layers_opacity_and_zoom_change_the_picture_without_a_rerun(page: Page) -> None:
    single = _viewer(page, "single")
    expect(_layer(single, "truth")).to_be_visible()
    expect(_layer(single, "one")).to_be_hidden()
    expect(_button(single, "Prediction")).to_have_attribute("aria-pressed", "false")

    _button(single, "Prediction").click()
    _button(single, "Image").click()
    expect(_layer(single, "one")).to_be_visible()
    expect(_layer(single, "image")).to_be_hidden()
    expect(_button(single, "Prediction")).to_have_attribute("aria-pressed", "true")

    single.get_by_role("slider", name="opacity").fill("25")
    expect(_layer(single, "one")).to_have_css("opacity", "0.25")
    expect(_layer(single, "image")).to_have_css("opacity", "1")

    fit = _zoom(single)
    _button(single, "zoom_in").click()
    assert _zoom(single) == pytest.approx(fit * 1.25, rel=0.06)
    expect(_layer(single, "one")).to_have_css("image-rendering", "pixelated")
    _button(single, "fit").click()
    assert _zoom(single) == fit

    expect(page.get_by_text("Run 1 of sample 0")).to_be_visible()
    expect(page.get_by_text("Run 2")).to_have_count(0)


def test_panes_zoom_and_pan_together_and_other_viewers_do_not(page: Page) -> None:
    pair = _viewer(page, "pair")
    alone_before = _transforms(_viewer(page, "single"))
    before = _transforms(pair)
    assert before[0] == before[1]

    second = pair.locator(".view").nth(1)
    _turn_wheel_over(page, second, -400)
    zoomed = _transforms_other_than(before, pair)
    assert zoomed[0] == zoomed[1]

    page.mouse.down()
    page.mouse.move(600, 700, steps=3)
    page.mouse.up()
    panned = _transforms_other_than(zoomed, pair)
    assert panned[0] == panned[1]

    second.dblclick()
    assert _transforms_other_than(panned, pair) == before
    assert _transforms(_viewer(page, "single")) == alone_before


def test_the_spot_under_the_cursor_stays_there_while_zooming(page: Page) -> None:
    single = _viewer(page, "single")
    view = single.locator(".view")
    fit = _transforms(single)
    box = view.bounding_box()
    assert box is not None
    spot = {"x": box["width"] / 2 + 30, "y": box["height"] / 2 - 20}

    def image_point() -> list[float]:
        point: list[float] = view.locator(".stage").evaluate(
            """(stage, {x, y}) => {
                const {a, e, f} = new DOMMatrix(stage.style.transform)
                return [(x - e) / a, (y - f) / a]
            }""",
            spot,
        )
        return point

    before = image_point()
    page.mouse.move(box["x"] + spot["x"], box["y"] + spot["y"])
    page.mouse.wheel(0, -500)
    _transforms_other_than(fit, single)
    assert _zoom(single) > 10
    # A mouse is at whole pixels of the screen, of which an image pixel has more than ten.
    assert image_point() == pytest.approx(before, abs=0.1)


def test_the_next_sample_keeps_layers_and_opacity_and_starts_unzoomed(page: Page) -> None:
    single = _viewer(page, "single")
    fit = _transforms(single)
    _button(single, "Truth").click()
    single.get_by_role("slider", name="opacity").fill("90")
    _button(single, "zoom_in").click()

    page.get_by_role("button", name="Again").click()
    expect(page.get_by_text("Run 2 of sample 0")).to_be_visible()
    assert _transforms(single) != fit

    page.get_by_role("button", name="Next").click()
    expect(single.get_by_text("Dice of sample 1")).to_be_visible()
    expect(single.locator('img[src="/pictures/1/image.png"]')).to_be_visible()
    expect(single.locator('img[src="/pictures/1/truth.png"]')).to_be_hidden()
    expect(single.locator('img[src^="/pictures/0/"]')).to_have_count(0)
    expect(single.locator("img.overlay").first).to_have_css("opacity", "0.9")
    assert _transforms(single) == fit

    # A second listener, left over from the first data, would undo what the first one does.
    single.locator(".panes").focus()
    page.keyboard.press("2")
    expect(single.locator('img[src="/pictures/1/truth.png"]')).to_be_visible()


def test_a_viewer_that_comes_back_remembers_the_layers_and_leaves_nothing_behind(
    page: Page,
) -> None:
    inspector = page.context.new_cdp_session(page)

    def window_listeners() -> int:
        window = inspector.send("Runtime.evaluate", {"expression": "window"})["result"]
        found = inspector.send("DOMDebugger.getEventListeners", {"objectId": window["objectId"]})
        return sum(listener["type"] == "wheel" for listener in found["listeners"])

    pair = _viewer(page, "pair")
    _button(pair, "Truth").click()
    before = window_listeners()
    compare = page.get_by_role("checkbox", name="Compare")
    for _ in range(3):
        compare.uncheck(force=True)
        expect(pair).to_have_count(0)
        compare.check(force=True)
        expect(pair).to_have_count(1)
    expect(_button(pair, "Truth")).to_have_attribute("aria-pressed", "true")
    expect(_layer(pair, "truth").first).to_be_visible()
    assert window_listeners() == before


def test_the_old_picture_stays_until_the_new_one_can_be_shown(page: Page) -> None:
    held: list[Route] = []
    single = _viewer(page, "single")
    page.route("**/pictures/1/image.png", lambda route: held.append(route))
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Run 2 of sample 1")).to_be_visible()
    expect(single).to_have_attribute("aria-busy", "true")
    expect(_layer(single, "image")).to_have_attribute("src", "/pictures/0/image.png")
    expect(_layer(single, "truth")).to_have_attribute("src", "/pictures/0/truth.png")
    expect(single.get_by_text("Dice of sample 0")).to_be_visible()

    for route in held:
        _serve(route)
    expect(_layer(single, "image")).to_have_attribute("src", "/pictures/1/image.png")
    expect(_layer(single, "truth")).to_have_attribute("src", "/pictures/1/truth.png")
    expect(single).not_to_have_attribute("aria-busy", "true")


def test_a_layer_that_cannot_be_loaded_is_named_while_it_is_switched_on(page: Page) -> None:
    single = _viewer(page, "single")
    page.route("**/pictures/1/truth.png", lambda route: route.fulfill(status=404))
    page.get_by_role("button", name="Next").click()
    sentence = single.get_by_text("Truth could not be loaded.")
    expect(sentence).to_be_visible()
    expect(single.locator('img[src="/pictures/1/image.png"]')).to_be_visible()
    _button(single, "Truth").click()
    expect(sentence).to_have_count(0)


def test_keys_work_only_in_the_viewer_that_has_the_focus(page: Page) -> None:
    single, pair = _viewer(page, "single"), _viewer(page, "pair")
    fit = _transforms(single)
    single.locator(".panes").focus()
    page.keyboard.press("3")
    expect(_layer(single, "one")).to_be_visible()
    expect(_layer(pair, "one")).to_be_hidden()

    steps: list[Callable[[], object]] = [
        lambda: page.keyboard.press("+"),
        lambda: page.keyboard.press("ArrowRight"),
        lambda: page.keyboard.press("ArrowDown"),
        lambda: page.keyboard.press("-"),
    ]
    seen = [fit]
    for step in steps:
        step()
        seen.append(_transforms(single))
    assert seen[1] != seen[0]
    assert seen[2] != seen[1]
    assert seen[3] != seen[2]
    assert seen[4] == fit
    page.keyboard.press("+")
    page.keyboard.press("0")
    assert _transforms(single) == fit
    expect(page.get_by_text("Run 1 of sample 0")).to_be_visible()


def test_the_wheel_scrolls_the_page_where_there_is_nothing_to_zoom_out(page: Page) -> None:
    single = _viewer(page, "single")
    fit = _transforms(single)
    top = single.bounding_box()
    assert top is not None
    _turn_wheel_over(page, single.locator(".view"), 200)
    page.wait_for_function(
        "top => document.querySelector('.st-key-single').getBoundingClientRect().top < top - 100",
        arg=top["y"],
    )
    assert _transforms(single) == fit


def test_the_legend_explains_what_is_visible_and_says_it_once(page: Page) -> None:
    pair = _viewer(page, "pair")
    expect(pair.get_by_text("nucleus")).to_have_count(0)
    _button(pair, "Truth").click()
    _button(pair, "Prediction").click()
    expect(pair.locator(".legend li")).to_have_text("Truth, Predictionnucleus<b>border</b>")
    expect(pair.get_by_text("nucleus")).to_have_count(1)


def test_names_are_words_and_never_markup(page: Page) -> None:
    pair = _viewer(page, "pair")
    expect(pair.locator("figcaption .title").first).to_have_text("one <img src=x onerror=alert(1)>")
    expect(pair.locator('img[src="x"]')).to_have_count(0)
    _button(pair, "Truth").click()
    expect(pair.locator("b")).to_have_count(0)
    alt = re.compile(r"^one <img src=x onerror=alert\(1\)>: Truth$")
    expect(_layer(pair, "truth").first).to_have_attribute("alt", alt)


def test_a_missing_word_is_found_before_anything_is_shown() -> None:
    texts = {name: name for name in TEXT_KEYS if name != "fit"}
    with pytest.raises(KeyError, match="fit"):
        viewer([], key="viewer", texts=texts)
