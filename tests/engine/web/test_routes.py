from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine.errors import Refused
from engine.settings import Settings
from engine.web.routes import routes
from engine.workbench import Workbench, open_workbench

PICTURES = {
    "datasets/0123abcd/images/000007.png": b"an image",
    "datasets/0123abcd/images/000008.jpg": b"a photograph",
    "datasets/0123abcd/masks/000007.png": b"a mask",
    "datasets/0123abcd/thumbs/000007.webp": b"a thumbnail",
    "runs/89abcdef/predictions/000007.png": b"a prediction",
    "runs/89abcdef/errors/000007.png": b"an error map",
    "runs/89abcdef/thumbs/000007.errors.webp": b"an overlay thumbnail",
    "preflights/4567cdef/pictures/000007.webp": b"a training pair",
    "preflights/4567cdef/pictures/000007.a.webp": b"the pair changed",
    "preflights/4567cdef/pictures/000007.weight.webp": b"the weights of its borders",
}
OTHER_FILES = (
    "workbench.secret",
    "datasets/0123abcd/cache/000007.png",
    "datasets/0123abcd/images/000007.svg",
    "datasets/0123abcd/images/000007.html.txt",
    "datasets/0123abcd/images/notes.png",
    "datasets/0123abcd/images/.000009.png.0a1b2c3d.tmp",
    "datasets/0123abcd/predictions/000007.png",
    "datasets/backup/images/000007.png",
    "runs/89abcdef/checkpoints/000007.png",
    "runs/89abcdef/predictions/000007.pt",
    "preflights/4567cdef/thumbs/000007.webp",
    "preflights/4567cdef/pictures/notes.webp",
    "runs/89abcdef/pictures/000007.webp",
)


@pytest.fixture
def workbench(tmp_path: Path) -> Iterator[Workbench]:
    opened = open_workbench(Settings.for_home(tmp_path))
    for key in (*PICTURES, *OTHER_FILES):
        with opened.files.writing(key) as path:
            path.write_bytes(PICTURES.get(key, b"not for you"))
    yield opened
    opened.close()


@pytest.fixture
def client(workbench: Workbench) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=routes(lambda: workbench))) as opened:
        yield opened


def test_a_healthy_workbench_says_so(client: TestClient) -> None:
    answer = client.get("/api/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}
    assert answer.headers["cache-control"] == "no-store"


def test_a_database_without_its_tables_is_not_healthy(
    client: TestClient, workbench: Workbench
) -> None:
    with workbench.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs RENAME TO lost")
    answer = client.get("/api/health")
    assert answer.status_code == 503
    assert answer.json().keys() == {"error"}
    assert "jobs" not in answer.text


def test_a_workbench_that_cannot_be_opened_is_not_healthy() -> None:
    def fail() -> Workbench:
        raise Refused("The home folder {home} cannot be created.", home="/private/place")

    with TestClient(Starlette(routes=routes(fail))) as client:
        answer = client.get("/api/health")
    assert answer.status_code == 503
    assert "/private/place" not in answer.text


@pytest.mark.parametrize("key", PICTURES)
def test_a_picture_is_served_to_be_kept_and_to_be_nothing_but_a_picture(
    client: TestClient, key: str
) -> None:
    answer = client.get(f"/api/media/{key}")
    assert answer.status_code == 200
    assert answer.content == PICTURES[key]
    media_types = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
    assert answer.headers["content-type"] == media_types[key.rpartition(".")[2]]
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'"


@pytest.mark.parametrize(
    "address",
    [
        *OTHER_FILES,
        "datasets/0123abcd/images/000099.png",
        "datasets/ffffffff/images/000007.png",
        "datasets/0123ABCD/images/000007.png",
        "datasets/0123abcd/images/000007.png%0a",
        "datasets/0123abcd/images/%00.png",
        "datasets/0123abcd/images/٠٠٠٠٠٧.png",
        "datasets/0123abcd/images/000007" + ".a" * 300 + ".png",
        "datasets/0123abcd/images/..%2f..%2f..%2fworkbench.secret",
        "datasets/0123abcd/images/%2e%2e",
        "datasets/%2e%2e/%2e%2e/workbench.secret",
        "datasets/..%5c..%5c/images/000007.png",
        "runs/89abcdef/images/000007.png",
        "jobs/89abcdef/images/000007.png",
        "datasets/0123abcd",
        "",
    ],
)
def test_everything_else_is_not_found_in_one_sentence(client: TestClient, address: str) -> None:
    answer = client.get(f"/api/media/{address}")
    assert answer.status_code == 404
    assert answer.json().keys() == {"error"}
    assert answer.headers["cache-control"] == "no-store"
    assert b"not for you" not in answer.content


def test_a_folder_named_like_a_picture_is_not_found(
    client: TestClient, workbench: Workbench
) -> None:
    workbench.files.path("runs/89abcdef/errors/000001.png").mkdir()
    assert client.get("/api/media/runs/89abcdef/errors/000001.png").status_code == 404


def test_pictures_can_only_be_read(client: TestClient) -> None:
    address = "/api/media/datasets/0123abcd/images/000007.png"
    assert client.head(address).status_code == 200
    assert client.delete(address).status_code == 405
    assert client.put(address, content=b"x").status_code == 405
    assert client.get(address).content == b"an image"


def test_a_prefix_moves_every_route(workbench: Workbench) -> None:
    app = Starlette(routes=routes(lambda: workbench, "/lab"))
    with TestClient(app) as client:
        assert client.get("/lab/api/health").status_code == 200
        assert client.get("/lab/api/media/datasets/0123abcd/masks/000007.png").status_code == 200
        assert client.get("/api/health").status_code == 404


def test_the_workbench_is_asked_for_at_each_request_and_not_before(workbench: Workbench) -> None:
    calls = []

    def open_counted() -> Workbench:
        calls.append(1)
        return workbench

    app = Starlette(routes=routes(open_counted))
    assert calls == []
    with TestClient(app) as client:
        client.get("/api/health")
        client.get("/api/health")
    assert len(calls) == 2
