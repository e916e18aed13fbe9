"""The uploader in a real browser, on a real server: nothing is lost, nothing is sent twice."""

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Locator, Page, Request, Route, expect

from pages.common.uploader import TEXT_KEYS, uploader

CHUNK = 1 << 16
QUOTA_GIB = 0.01
PUTS = re.compile(r"/api/uploads/\w+\?offset=")

APP = f"""
import os
from pathlib import Path

import streamlit as st

from engine.settings import Settings
from engine.web.routes import routes
from engine.workbench import open_workbench

workbench = open_workbench(Settings.from_environment(os.environ))
app = st.App(
    Path(__file__).with_name("script.py"),
    routes=routes(
        lambda: workbench,
        on_finished=lambda workbench, upload, actor: f"draft of {{actor}}",
        chunk_bytes={CHUNK},
    ),
)
"""

SCRIPT = f"""
import os

import streamlit as st

from engine import uploads
from engine.settings import Settings
from engine.workbench import open_workbench
from pages.common.uploader import TEXT_KEYS, Unfinished, uploader


@st.cache_resource
def workbench():
    return open_workbench(Settings.from_environment(os.environ))


texts = {{name: name for name in TEXT_KEYS}} | {{
    "progress": "{{percent}} % of {{size}}",
    "paused": "Paused at {{percent}} %",
    "unfinished": "{{name}}: {{percent}} % arrived",
    "empty": "{{name}} is empty.",
    "wrong_kind": "{{name}} is none of {{endings}}.",
    "quota": "{{size_gib}} of {{quota_gib}} GiB",
    "refused": "Refused: {{reason}}",
}}
runs = st.session_state.runs = st.session_state.get("runs", 0) + 1
actor = st.query_params["actor"]
stale = "stale" in st.query_params and runs == 1
st.button("Again")
if st.checkbox("Show", value=True):
    arrived = uploader(
        key="uploader",
        url="/api/uploads",
        ticket=uploads.ticket(workbench(), actor, -1 if stale else 600),
        texts=texts,
        accepts=[".zip", ".tar.gz"],
        unfinished=[
            Unfinished(
                id=upload.id,
                name=upload.file_name,
                size_bytes=upload.size_bytes,
                offset_bytes=upload.offset({CHUNK}),
            )
            for upload in uploads.of_actor(workbench(), actor)
        ],
    )
    if arrived:
        st.session_state.setdefault("arrived", []).append(arrived)
for arrived in st.session_state.get("arrived", []):
    st.text(f"{{arrived['name']}}: {{arrived['draft']}}, {{arrived['upload']}}")
st.text(f"Run {{runs}}")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, home: Path, start_server) -> str:
    folder = tmp_path_factory.mktemp("uploader")
    (folder / "app.py").write_text(APP, encoding="utf-8")
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    settings = {
        "WORKBENCH_HOME": str(home),
        "WORKBENCH_UPLOAD_QUOTA_GIB": str(QUOTA_GIB),
        "WORKBENCH_MIN_FREE_GIB": "0",
    }
    return str(start_server(folder / "app.py", settings).address)


_numbers = itertools.count(1)


@pytest.fixture
def start(browser: Browser, address: str) -> Iterator:
    """`start(query="")`: the page of a user who has no uploads yet."""
    context = browser.new_context(viewport={"width": 900, "height": 700})
    expect.set_options(timeout=20_000)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(dialog.message))

    def open_page(query: str = "") -> Page:
        page.goto(f"{address}/?actor=user{next(_numbers)}{query}")
        settled(page)
        return page

    yield open_page
    context.close()
    assert problems == []


@pytest.fixture
def page(start) -> Page:
    opened: Page = start()
    return opened


class Gate:
    """Lets so many chunks through and holds the others, until it is told what to do with them."""

    def __init__(self, page: Page, passing: int) -> None:
        self.left = passing
        self.held: list[Route] = []
        self.handle: Callable[[Route], object] | None = None
        page.route(PUTS, self)

    def __call__(self, route: Route) -> None:
        if self.handle:
            self.handle(route)
        elif self.left:
            self.left -= 1
            route.continue_()
        else:
            self.held.append(route)

    def open(self, handle: Callable[[Route], object] = Route.continue_) -> None:
        self.handle = handle
        for route in self.held:
            # The page may have called the request off by now.
            with suppress(Error):
                handle(route)
        self.held.clear()


class Chunks:
    """The chunks that a page sends."""

    def __init__(self, page: Page) -> None:
        self.offsets: list[int] = []
        page.on("request", self.note)

    def note(self, request: Request) -> None:
        if request.method == "PUT" and PUTS.search(request.url):
            self.offsets.append(int(request.url.rpartition("=")[2]))


def settled(page: Page) -> None:
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.locator(".uploader")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def make(folder: Path, name: str = "cells.zip", num_bytes: int = 10 * CHUNK + 1234) -> Path:
    path = folder / name
    path.write_bytes(os.urandom(num_bytes))
    return path


def choose(page: Page, *paths: Path) -> None:
    page.locator(".uploader input[type=file]").set_input_files(paths)


def row(page: Page, name: str) -> Locator:
    return page.locator(".uploader li").filter(has_text=name)


def button(page: Page, words: str) -> Locator:
    return page.locator(".uploader").get_by_role("button", name=re.compile(f"^{words}: "))


def wait_for_chunks(page: Page, name: str, count: int, size: int) -> None:
    """Wait until so many chunks have arrived and the bar shows it."""
    bar = page.get_by_role("progressbar", name=name)
    expect(bar).to_have_attribute("aria-valuenow", str(100 * count * CHUNK // size))


def arrived(page: Page, home: Path, path: Path) -> str:
    """Wait until the script has heard of the file, compare it on disk, and return its id."""
    line = page.get_by_text(re.compile(f"^{re.escape(path.name)}: draft of user"))
    expect(line).to_be_visible(timeout=15_000)
    upload_id = str(line.inner_text().rpartition(" ")[2])
    expect(row(page, path.name)).to_have_count(0)
    assert [file.name for file in (home / "uploads" / upload_id).iterdir()] == [path.name]
    on_disk = (home / "uploads" / upload_id / path.name).read_bytes()
    assert hashlib.sha256(on_disk).digest() == hashlib.sha256(path.read_bytes()).digest()
    return upload_id


def on_disk(page: Page, home: Path, path: Path) -> None:
    """Wait until a file has arrived, whether or not the script heard of it among others."""
    expect(row(page, path.name)).to_have_count(0)
    [file] = parts(home, path.name)
    assert (file.name, file.read_bytes()) == (path.name, path.read_bytes())


def parts(home: Path, name: str) -> list[Path]:
    return list(home.glob(f"uploads/*/{name}*"))


def test_file_arrives_in_chunks_and_the_script_runs_once(
    page: Page, home: Path, tmp_path: Path
) -> None:
    chunks = Chunks(page)
    path = make(tmp_path)
    choose(page, path)
    arrived(page, home, path)
    assert chunks.offsets == [number * CHUNK for number in range(11)]
    expect(page.get_by_text("Run 2")).to_be_visible()
    expect(page.locator(".uploader li")).to_have_count(0)


@pytest.mark.parametrize("trouble", ["connection", "answer", "server"])
def test_dropped_connection_is_waited_for_and_nothing_is_lost(
    page: Page, home: Path, tmp_path: Path, trouble: str
) -> None:
    path = make(tmp_path, f"{trouble}.zip")
    failures: list[Route] = []

    def drop(route: Route) -> None:
        failures.append(route)
        if trouble == "server":
            route.fulfill(status=502, body="<h1>Bad gateway</h1>")
            return
        if trouble == "answer":
            route.fetch()
        route.abort("connectionreset")

    gate = Gate(page, passing=4)
    choose(page, path)
    wait_for_chunks(page, path.name, 4, path.stat().st_size)
    gate.open(drop)
    expect(row(page, path.name)).to_contain_text("retrying")
    gate.open()
    arrived(page, home, path)
    assert failures
    expect(page.get_by_text("retrying")).to_have_count(0)


def test_after_a_reload_the_same_file_is_gone_on_with(
    page: Page, home: Path, tmp_path: Path
) -> None:
    path = make(tmp_path, "reloaded.zip")
    size = path.stat().st_size
    gate = Gate(page, passing=4)
    choose(page, path)
    wait_for_chunks(page, path.name, 4, size)
    page.reload()
    settled(page)
    gate.open()
    percent = 100 * 4 * CHUNK // size
    expect(row(page, f"reloaded.zip: {percent} % arrived")).to_be_visible()
    [part] = parts(home, "reloaded.zip")

    chunks = Chunks(page)
    choose(page, path)
    upload_id = arrived(page, home, path)
    assert part.parent.name == upload_id
    assert chunks.offsets == [number * CHUNK for number in range(4, 11)]
    assert sum(min(CHUNK, size - offset) for offset in chunks.offsets) < size
    expect(page.get_by_text("% arrived")).to_have_count(0)


@pytest.mark.parametrize("differs_in", [0, 3])
def test_another_file_of_that_name_and_size_starts_anew(
    page: Page, home: Path, tmp_path: Path, differs_in: int
) -> None:
    name = f"other{differs_in}.zip"
    first = make(tmp_path, name)
    gate = Gate(page, passing=4)
    choose(page, first)
    wait_for_chunks(page, name, 4, first.stat().st_size)
    [old] = parts(home, name)
    page.reload()
    settled(page)

    content = bytearray(first.read_bytes())
    content[differs_in * CHUNK + 17] ^= 1
    (tmp_path / "new").mkdir()
    second = tmp_path / "new" / name
    second.write_bytes(content)
    chunks = Chunks(page)
    gate.left = 1
    choose(page, second)
    expect(row(page, name)).to_contain_text("different")
    wait_for_chunks(page, name, 1, len(content))
    assert not old.exists()
    gate.open()
    assert arrived(page, home, second) != old.parent.name
    assert chunks.offsets == [number * CHUNK for number in range(11)]


def test_cancelled_upload_leaves_nothing(page: Page, home: Path, tmp_path: Path) -> None:
    path = make(tmp_path, "cancelled.zip")
    gate = Gate(page, passing=3)
    choose(page, path)
    wait_for_chunks(page, path.name, 3, path.stat().st_size)
    assert len(parts(home, path.name)) == 1
    chunks = Chunks(page)
    with page.expect_response(lambda response: response.request.method == "DELETE") as deleted:
        button(page, "cancel").click()
    assert deleted.value.status == 200
    expect(row(page, path.name)).to_have_count(0)
    assert parts(home, path.name) == []
    gate.open()
    page.get_by_role("button", name="Again").click()
    expect(page.get_by_text("Run 2")).to_be_visible()
    expect(row(page, path.name)).to_have_count(0)
    assert chunks.offsets == []
    assert parts(home, path.name) == []


def test_paused_upload_sends_nothing_until_it_is_resumed(
    page: Page, home: Path, tmp_path: Path
) -> None:
    path = make(tmp_path, "paused.zip")
    size = path.stat().st_size
    gate = Gate(page, passing=2)
    choose(page, path)
    wait_for_chunks(page, path.name, 2, size)
    button(page, "pause").click()
    expect(row(page, path.name)).to_contain_text(f"Paused at {100 * 2 * CHUNK // size} %")
    gate.open()
    chunks = Chunks(page)
    page.get_by_role("button", name="Again").click()
    expect(page.get_by_text("Run 2")).to_be_visible()
    assert chunks.offsets == []
    # Also what is chosen again is resumed, and not sent a second time.
    button(page, "resume").click()
    arrived(page, home, path)
    assert chunks.offsets == [number * CHUNK for number in range(2, 11)]


def test_upload_goes_on_through_reruns_and_while_the_uploader_is_not_shown(
    page: Page, home: Path, tmp_path: Path
) -> None:
    path = make(tmp_path, "rerun.zip")
    size = path.stat().st_size
    gate = Gate(page, passing=2)
    choose(page, path)
    wait_for_chunks(page, path.name, 2, size)
    page.get_by_role("button", name="Again").click()
    expect(page.get_by_text("Run 2")).to_be_visible()
    # The script now lists it as unfinished, too; it is the same one.
    expect(page.locator(".uploader li")).to_have_count(1)
    wait_for_chunks(page, path.name, 2, size)

    chunks = Chunks(page)
    page.get_by_role("checkbox", name="Show").uncheck(force=True)
    expect(page.locator(".uploader")).to_have_count(0)
    with page.expect_response(lambda response: response.url.endswith("/finish")) as finished:
        gate.open()
    assert finished.value.status == 200
    assert chunks.offsets == [number * CHUNK for number in range(3, 11)]
    page.get_by_role("checkbox", name="Show").check(force=True)
    settled(page)
    expect(page.locator(".uploader li")).to_have_count(0)
    [file] = parts(home, path.name)
    assert file.read_bytes() == path.read_bytes()


def test_several_files_are_sent_one_after_another(page: Page, home: Path, tmp_path: Path) -> None:
    paths = [make(tmp_path, f"queue{number}.zip", 2 * CHUNK) for number in range(3)]
    gate = Gate(page, passing=1)
    choose(page, *paths)
    wait_for_chunks(page, "queue0.zip", 1, 2 * CHUNK)
    expect(row(page, "queue1.zip")).to_contain_text("waiting")
    expect(row(page, "queue2.zip")).to_contain_text("waiting")
    assert parts(home, "queue1.zip") == []
    # One that is held up lets the next one go first.
    button(page, "pause").first.click()
    expect(row(page, "queue1.zip")).not_to_contain_text("waiting")
    gate.open()
    for path in paths[1:]:
        on_disk(page, home, path)
    expect(row(page, "queue0.zip")).to_contain_text("Paused at 50 %")
    button(page, "resume").click()
    arrived(page, home, paths[0])


def test_without_the_browsers_own_digests_all_is_the_same(
    start, home: Path, tmp_path: Path
) -> None:
    page = start()
    # As in a page that came by plain http from another machine.
    page.add_init_script("Object.defineProperty(crypto, 'subtle', {value: undefined})")
    page.reload()
    settled(page)
    assert page.evaluate("crypto.subtle === undefined")
    # Around the lengths at which the padding changes.
    lengths = (1, 55, 56, 63, 64, 119, 120, 128, CHUNK - 1, 2 * CHUNK + 60)
    paths = [make(tmp_path, f"plain {length}.zip", length) for length in lengths]
    choose(page, *paths)
    for path in paths:
        on_disk(page, home, path)


def test_ticket_that_has_run_out_is_renewed_unseen(start, home: Path, tmp_path: Path) -> None:
    page = start("&stale")
    path = make(tmp_path, "stale.zip")
    answers: list[int] = []
    page.on("response", lambda r: answers.append(r.status) if "/api/uploads" in r.url else None)
    choose(page, path)
    arrived(page, home, path)
    assert answers.count(401) == 1
    expect(page.get_by_text("Run 3")).to_be_visible()
    expect(page.get_by_text("expired")).to_have_count(0)


def test_unfinished_upload_can_be_discarded(page: Page, home: Path, tmp_path: Path) -> None:
    path = make(tmp_path, "discarded.zip")
    Gate(page, passing=1)
    choose(page, path)
    wait_for_chunks(page, path.name, 1, path.stat().st_size)
    page.reload()
    settled(page)
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        button(page, "discard").click()
    expect(row(page, path.name)).to_have_count(0)
    assert parts(home, path.name) == []


def test_what_cannot_be_used_is_said_at_once_and_nothing_is_sent(
    page: Page, home: Path, tmp_path: Path
) -> None:
    requests: list[str] = []
    page.on("request", lambda r: requests.append(r.url) if "/api/" in r.url else None)
    choose(page, make(tmp_path, "empty.zip", 0), make(tmp_path, "<img src=x>.txt", 9))
    problems = page.locator(".uploader").get_by_role("alert")
    expect(problems).to_have_text("empty.zip is empty. <img src=x>.txt is none of .zip, .tar.gz.")
    expect(page.locator(".uploader img")).to_have_count(0)
    expect(page.locator(".uploader li")).to_have_count(0)
    assert requests == []
    path = make(tmp_path, "<b>UPPER</b>.TAR.GZ".replace("/", "_"), 9)
    choose(page, path)
    expect(problems).to_be_hidden()
    expect(page.get_by_text(f"{path.name}: draft of user")).to_be_visible()


def test_refusal_is_shown_with_its_numbers_and_can_be_tried_again(
    page: Page, home: Path, tmp_path: Path
) -> None:
    path = make(tmp_path, "large.zip", int((QUOTA_GIB + 0.002) * (1 << 30)))
    chunks = Chunks(page)
    choose(page, path)
    expect(row(page, path.name)).to_contain_text("0.012 of 0.010 GiB")
    assert chunks.offsets == []
    page.route("**/api/uploads", lambda route: route.fulfill(status=403, body="<b>Proxy</b>"))
    button(page, "again").click()
    expect(row(page, path.name)).to_contain_text("Refused: HTTP 403")
    button(page, "cancel").click()
    expect(row(page, path.name)).to_have_count(0)
    assert parts(home, path.name) == []


def test_file_can_be_chosen_with_the_keyboard_and_dropped(
    page: Page, home: Path, tmp_path: Path
) -> None:
    path = make(tmp_path, "keyboard.zip", 100)
    button = page.get_by_role("button", name="choose")
    button.focus()
    expect(button).to_be_focused()
    with page.expect_file_chooser() as chooser:
        button.press("Enter")
    assert chooser.value.is_multiple()
    chooser.value.set_files(path)
    arrived(page, home, path)

    dropped = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer()
            transfer.items.add(new File(["seven b"], "dropped.zip"))
            return transfer
        }"""
    )
    zone = page.locator(".uploader .zone")
    zone.dispatch_event("dragenter", {"dataTransfer": dropped})
    expect(zone).to_have_class(re.compile(r"\bover\b"))
    zone.dispatch_event("drop", {"dataTransfer": dropped})
    expect(zone).not_to_have_class(re.compile(r"\bover\b"))
    expect(page.get_by_text("dropped.zip: draft of user")).to_be_visible()
    [file] = parts(home, "dropped.zip")
    assert file.read_bytes() == b"seven b"


def test_missing_word_is_found_before_anything_is_shown() -> None:
    texts = {name: name for name in TEXT_KEYS if name != "cancel"}
    with pytest.raises(KeyError, match="cancel"):
        uploader(key="uploader", url="/api/uploads", ticket="", texts=texts, accepts=[])
