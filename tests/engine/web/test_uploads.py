"""The routes of uploads: who may, what is answered, and that nothing half-sent counts."""

import asyncio
import dataclasses
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine import uploads
from engine.web.routes import routes
from engine.workbench import Workbench

CHUNK = 8
CONTENT = b"twenty bytes of zip."
FILE = {"name": "cells.zip", "size": len(CONTENT)}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest_of_all(content: bytes = CONTENT) -> str:
    parts = [content[start : start + CHUNK] for start in range(0, len(content), CHUNK)]
    return sha256(b"".join(hashlib.sha256(part).digest() for part in parts))


@pytest.fixture
def taken_in() -> list[tuple[str, str]]:
    """The uploads that were handed on, with their actors."""
    return []


@pytest.fixture
def app(workbench: Workbench, taken_in: list) -> Starlette:
    def on_finished(given: Workbench, upload: uploads.Upload, actor: str) -> str:
        assert given.files.path(uploads.key_of(upload)).read_bytes() == CONTENT
        taken_in.append((upload.id, actor))
        return f"draft of {upload.file_name}"

    opened = routes(lambda: workbench, on_finished=on_finished, chunk_bytes=CHUNK)
    return Starlette(routes=opened)


@pytest.fixture
def client(app: Starlette, workbench: Workbench) -> Iterator[TestClient]:
    headers = {"Authorization": f"Bearer {uploads.ticket(workbench, 'ann', 60)}"}
    with TestClient(app, headers=headers) as opened:
        yield opened


def bearer(workbench: Workbench, actor: str, seconds: float = 60) -> dict[str, str]:
    return {"Authorization": f"Bearer {uploads.ticket(workbench, actor, seconds)}"}


def put(client: TestClient, upload_id: str, offset: Any, content: bytes, digest: str = ""):
    return client.put(
        f"/api/uploads/{upload_id}",
        params={"offset": offset},
        content=content,
        headers={"X-Chunk-SHA256": digest or sha256(content)},
    )


def begun(client: TestClient, num_chunks: int = 0) -> str:
    """The id of a new upload of which so many chunks have arrived."""
    upload_id = str(client.post("/api/uploads", json=FILE).json()["id"])
    for offset in range(0, num_chunks * CHUNK, CHUNK):
        assert put(client, upload_id, offset, CONTENT[offset : offset + CHUNK]).status_code == 200
    return upload_id


def offset_of(client: TestClient, upload_id: str) -> int:
    return int(client.get(f"/api/uploads/{upload_id}").json()["offset"])


def test_file_is_sent_in_chunks_and_handed_on(
    client: TestClient, workbench: Workbench, taken_in: list
) -> None:
    answer = client.post("/api/uploads", json=FILE)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    state = answer.json()
    upload_id = state["id"]
    assert state == {"id": upload_id, "offset": 0, "digests": [], "chunk_bytes": CHUNK}
    offsets = [
        put(client, upload_id, start, CONTENT[start : start + CHUNK]).json() for start in (0, 8, 16)
    ]
    assert offsets == [{"offset": 8}, {"offset": 16}, {"offset": 20}]
    assert taken_in == []
    answer = client.post(f"/api/uploads/{upload_id}/finish", json={"sha256": digest_of_all()})
    assert answer.json() == {"upload": upload_id, "draft": "draft of cells.zip"}
    assert taken_in == [(upload_id, "ann")]
    assert [path.name for path in workbench.files.path(f"uploads/{upload_id}").iterdir()] == [
        "cells.zip"
    ]


def test_file_opened_again_is_gone_on_with(client: TestClient) -> None:
    upload_id = begun(client, 1)
    state = client.post("/api/uploads", json=FILE).json()
    assert (state["id"], state["offset"]) == (upload_id, 8)
    assert state["digests"] == [sha256(CONTENT[:8])]
    assert client.get(f"/api/uploads/{upload_id}").json() == state


def test_lost_answers_can_be_asked_for_again(client: TestClient, taken_in: list) -> None:
    upload_id = begun(client, 3)
    again = put(client, upload_id, 16, CONTENT[16:])
    assert (again.status_code, again.json()["offset"]) == (409, 20)
    body = {"sha256": digest_of_all()}
    answers = [client.post(f"/api/uploads/{upload_id}/finish", json=body) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(set(taken_in)) == 1


def test_without_a_hand_the_answer_is_the_upload_alone(workbench: Workbench) -> None:
    app = Starlette(routes=routes(lambda: workbench, "/lab", chunk_bytes=CHUNK))
    with TestClient(app, headers=bearer(workbench, "ann")) as client:
        client.base_url = client.base_url.join("/lab")
        upload_id = begun(client, 3)
        body = {"sha256": digest_of_all()}
        answer = client.post(f"/api/uploads/{upload_id}/finish", json=body)
        assert answer.json() == {"upload": upload_id}


def test_chunks_have_eight_mebibytes_unless_told_otherwise(workbench: Workbench) -> None:
    app = Starlette(routes=routes(lambda: workbench))
    with TestClient(app, headers=bearer(workbench, "ann")) as client:
        state = client.post("/api/uploads", json={"name": "a.zip", "size": 20 << 20}).json()
        assert state["chunk_bytes"] == 8 << 20
        content = bytes(8 << 20)
        assert put(client, state["id"], 0, content).json() == {"offset": 8 << 20}
        assert put(client, state["id"], 8 << 20, content + b"0").status_code == 413
        assert offset_of(client, state["id"]) == 8 << 20


# --- Who may ---


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer ann", "Basic {ticket}", "{ticket}", "Bearer {ticket}0",
     "bearer{ticket}", "Bearer {expired}"],
)  # fmt: skip
def test_without_a_good_ticket_nothing_happens(
    client: TestClient, workbench: Workbench, header: str
) -> None:
    upload_id = begun(client, 3)
    given = header.format(
        ticket=uploads.ticket(workbench, "ann", 60), expired=uploads.ticket(workbench, "ann", -1)
    )
    address = f"/api/uploads/{upload_id}"
    with TestClient(client.app, headers={"Authorization": given}) as stranger:
        answers = [
            stranger.post("/api/uploads", json={"name": "b.zip", "size": 1}),
            stranger.get(address),
            stranger.put(f"{address}?offset=20", content=b"x"),
            stranger.post(f"{address}/finish", json={"sha256": digest_of_all()}),
            stranger.delete(address),
        ]
    for answer in answers:
        assert answer.status_code == 401
        assert "Reload the page" in answer.json()["error"]
    assert [upload.id for upload in uploads.of_actor(workbench, "ann")] == [upload_id]


def test_ticket_in_the_address_or_a_cookie_is_none(
    client: TestClient, workbench: Workbench
) -> None:
    given = uploads.ticket(workbench, "ann", 60)
    with TestClient(client.app, cookies={"Authorization": f"Bearer {given}"}) as stranger:
        answer = stranger.post(f"/api/uploads?ticket={given}", json=FILE)
    assert answer.status_code == 401


def test_uploads_of_others_are_not_found(client: TestClient, workbench: Workbench) -> None:
    upload_id = begun(client, 3)
    address = f"/api/uploads/{upload_id}"
    with TestClient(client.app, headers=bearer(workbench, "eve")) as eve:
        answers = [
            eve.get(address),
            put(eve, upload_id, 0, CONTENT[:8]),
            eve.post(f"{address}/finish", json={"sha256": digest_of_all()}),
            eve.delete(address),
        ]
        assert eve.post("/api/uploads", json=FILE).json()["id"] != upload_id
    for answer in answers:
        assert answer.status_code == 404
        assert "cells" not in answer.text
    assert offset_of(client, upload_id) == 20


def test_requests_that_no_form_of_another_site_can_make_are_asked_for(client: TestClient) -> None:
    answer = client.options(
        "/api/uploads",
        headers={
            "Origin": "https://elsewhere.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert "access-control-allow-origin" not in answer.headers


# --- What is refused ---


def test_wrong_place_is_answered_with_the_right_one(client: TestClient) -> None:
    upload_id = begun(client, 1)
    for offset in (0, 16):
        answer = put(client, upload_id, offset, CONTENT[:8])
        assert (answer.status_code, answer.json()["offset"]) == (409, 8)
    answer = client.post(f"/api/uploads/{upload_id}/finish", json={"sha256": digest_of_all()})
    assert (answer.status_code, answer.json()["offset"]) == (409, 8)
    assert offset_of(client, upload_id) == 8


@pytest.mark.parametrize("offset", ["", "-8", "8.0", "0x8", "८", "9" * 30, "8 "])
def test_place_that_is_no_number_of_bytes_is_refused(client: TestClient, offset: str) -> None:
    upload_id = begun(client, 1)
    assert put(client, upload_id, offset, CONTENT[8:16]).status_code == 400
    assert offset_of(client, upload_id) == 8


def test_damaged_chunk_is_refused_and_nothing_kept(client: TestClient) -> None:
    upload_id = begun(client)
    assert put(client, upload_id, 0, CONTENT[:8], sha256(b"else")).status_code == 422
    bare = client.put(f"/api/uploads/{upload_id}?offset=0", content=CONTENT[:8])
    assert bare.status_code == 422
    assert offset_of(client, upload_id) == 0


def test_body_of_another_length_is_refused(client: TestClient) -> None:
    upload_id = begun(client)
    assert put(client, upload_id, 0, CONTENT[:7]).status_code == 400
    assert put(client, upload_id, 0, CONTENT[:9]).status_code == 413
    assert offset_of(client, upload_id) == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"name": "a.zip"}', b'{"name": 1, "size": 1}', b"[" * 9000,
     b'{"name": "a.zip", "size": "1"}', b'{"name": "a.zip", "size": true}',
     b'{"name": "a.zip", "size": 1.5}', b'{"name": "a.zip", "size": 0}',
     b'{"name": "", "size": 1}', b"\xff"],
)  # fmt: skip
def test_wish_that_is_none_is_refused_in_a_sentence(
    client: TestClient, workbench: Workbench, body: bytes
) -> None:
    answer = client.post("/api/uploads", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")
    assert uploads.of_actor(workbench, "ann") == []


def test_file_with_another_digest_is_not_finished(client: TestClient, taken_in: list) -> None:
    upload_id = begun(client, 3)
    for body, status in (({"sha256": sha256(CONTENT)}, 422), ({}, 400)):
        answer = client.post(f"/api/uploads/{upload_id}/finish", json=body)
        assert answer.status_code == status
    assert taken_in == []


def test_quota_and_full_disk_are_told_apart_with_their_numbers(workbench: Workbench) -> None:
    def ask(**settings: float):
        changed = dataclasses.replace(workbench.settings, **settings)
        opened = dataclasses.replace(workbench, settings=changed)
        app = Starlette(routes=routes(lambda: opened))
        with TestClient(app, headers=bearer(opened, "ann")) as client:
            return client.post("/api/uploads", json={"name": "a.zip", "size": 1 << 30})

    quota = ask(upload_quota_gib=0.5, min_free_gib=0)
    assert quota.status_code == 413
    assert quota.json()["facts"] == {
        "name": "a.zip", "size_gib": "1.0", "quota_gib": "0.500", "used_gib": "0.000",
    }  # fmt: skip
    disk = ask(min_free_gib=1e9)
    assert disk.status_code == 507
    assert disk.json()["facts"]["missing_gib"] == "1.0"
    for answer in (quota, disk):
        assert "GiB" in answer.json()["error"]
    assert uploads.of_actor(workbench, "ann") == []


def test_cancelled_upload_is_gone(client: TestClient, workbench: Workbench) -> None:
    upload_id = begun(client, 2)
    address = f"/api/uploads/{upload_id}"
    assert client.delete(address).status_code == 200
    for answer in (client.delete(address), client.get(address), put(client, upload_id, 16, b"x")):
        assert answer.status_code == 404
    assert list(workbench.files.path("uploads").iterdir()) == []


def test_file_that_is_being_taken_in_cannot_be_pulled_away(
    client: TestClient, workbench: Workbench, taken_in: list
) -> None:
    upload_id = begun(client, 3)
    client.post(f"/api/uploads/{upload_id}/finish", json={"sha256": digest_of_all()})
    answer = client.delete(f"/api/uploads/{upload_id}")
    assert answer.status_code == 409
    assert "Cancel its import" in answer.json()["error"]
    assert workbench.files.path(f"uploads/{upload_id}/cells.zip").exists()


def test_failure_is_one_sentence_without_details_and_can_be_tried_again(
    workbench: Workbench,
) -> None:
    outcomes = iter([OSError("/private/place"), "draft"])

    def on_finished(*_: object) -> str:
        outcome = next(outcomes)
        if isinstance(outcome, str):
            return outcome
        raise outcome

    app = Starlette(routes=routes(lambda: workbench, on_finished=on_finished, chunk_bytes=CHUNK))
    with TestClient(app, headers=bearer(workbench, "ann")) as client:
        upload_id = begun(client, 3)
        body = {"sha256": digest_of_all()}
        failed = client.post(f"/api/uploads/{upload_id}/finish", json=body)
        assert failed.status_code == 503
        assert "/private/place" not in failed.text
        again = client.post(f"/api/uploads/{upload_id}/finish", json=body)
        assert again.json() == {"upload": upload_id, "draft": "draft"}


# --- What is half sent ---


def send_by_hand(app: Starlette, path: str, headers: dict[str, str], *messages: dict) -> list:
    """Call the app as a server does, and return what it answered."""
    waiting, answered = list(messages), []

    async def receive() -> dict:
        return waiting.pop(0)

    async def send(message: dict) -> None:
        answered.append(message)

    scope = {
        "type": "http",
        "method": "PUT",
        "path": path,
        "query_string": b"offset=8",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
    }
    # In a thread: the browser tests leave a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(app(scope, receive, send))).result()
    return answered


def test_chunk_whose_connection_breaks_leaves_the_offset(
    app: Starlette, client: TestClient, workbench: Workbench
) -> None:
    upload_id = begun(client, 1)
    headers = bearer(workbench, "ann") | {"X-Chunk-SHA256": sha256(CONTENT[8:16])}
    address = f"/api/uploads/{upload_id}"
    half = {"type": "http.request", "body": CONTENT[8:12], "more_body": True}
    send_by_hand(app, address, headers, half, {"type": "http.disconnect"})
    assert offset_of(client, upload_id) == 8
    path = workbench.files.path(f"uploads/{upload_id}/cells.zip.part")
    assert path.read_bytes() == CONTENT[:8]
    rest = {"type": "http.request", "body": CONTENT[12:16], "more_body": False}
    answered = send_by_hand(app, address, headers, half, rest)
    assert answered[0]["status"] == 200
    assert path.read_bytes() == CONTENT[:16]


def test_endless_body_is_not_taken_in(
    app: Starlette, client: TestClient, workbench: Workbench
) -> None:
    upload_id = begun(client, 1)
    piece = {"type": "http.request", "body": b"12345", "more_body": True}
    for headers in (bearer(workbench, "ann"), {}):
        # A third piece is not asked for: there is none.
        answered = send_by_hand(app, f"/api/uploads/{upload_id}", headers, piece, piece)
        assert answered[0]["status"] == 413
    assert offset_of(client, upload_id) == 8
