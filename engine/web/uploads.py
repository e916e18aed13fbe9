"""The routes of uploads: open, ask, send a chunk, finish, discard.

Who asks is told by a ticket in a header, which no other site can make a browser send. Bodies are
taken in on the event loop, a chunk at most; all that may wait for the disk happens in a thread.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine import uploads
from engine.errors import BadInput, NotFound, Refused, WorkbenchError
from engine.uploads import Upload
from engine.workbench import Workbench

logger = logging.getLogger(__name__)

OnFinished = Callable[[Workbench, Upload, str], str]
"""Takes the workbench, a finished upload and its actor; returns the id of what imports it.

It is called again for the same upload when the answer to the first time got lost, and must then
return the same.
"""

_MAX_JSON_BYTES = 16 << 10
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class _TooLarge(BadInput):
    """A body is larger than any that this route expects."""


_STATUS: tuple[tuple[type[WorkbenchError], int], ...] = (
    (uploads.BadTicket, 401),
    (NotFound, 404),
    (uploads.WrongOffset, 409),
    (uploads.OverQuota, 413),
    (_TooLarge, 413),
    (uploads.NoRoom, 507),
    (uploads.Damaged, 422),
    (BadInput, 400),
    (Refused, 409),
)
"""The first that fits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Setup:
    """What all requests share."""

    open: Callable[[], Workbench]
    on_finished: OnFinished | None
    chunk_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wish:
    """One request, after its ticket was accepted and its body taken in."""

    setup: _Setup
    workbench: Workbench
    actor: str
    request: Request
    body: bytes

    @property
    def upload_id(self) -> str:
        return str(self.request.path_params["id"])

    def field(self, name: str, kind: type[Any]) -> Any:
        """A field of the JSON object in the body."""
        try:
            value = json.loads(self.body)[name]
        except (ValueError, LookupError, TypeError, RecursionError):
            value = None
        if type(value) is not kind:
            raise BadInput("The body must be JSON with “{name}”. Reload the page.", name=name)
        return value


Handler = Callable[[_Wish], dict[str, Any]]


def routes(
    open: Callable[[], Workbench],
    prefix: str = "",
    *,
    on_finished: OnFinished | None = None,
    chunk_bytes: int = uploads.CHUNK_BYTES,
) -> list[Route]:
    """The routes below `<prefix>/api/uploads`.

    Args:
        open: gives the workbench; called once per request, in a thread.
        prefix: path the server is reached under; no slash at the end.
        on_finished: called when a file has arrived as a whole.
        chunk_bytes: size of a chunk, which browsers are told; must stay the same for a home.
    """
    setup = _Setup(open=open, on_finished=on_finished, chunk_bytes=chunk_bytes)
    base = f"{prefix}/api/uploads"
    table: list[tuple[str, str, Handler, int]] = [
        ("POST", base, _create, _MAX_JSON_BYTES),
        ("GET", f"{base}/{{id}}", _ask, 0),
        ("PUT", f"{base}/{{id}}", _append, chunk_bytes),
        ("DELETE", f"{base}/{{id}}", _discard, 0),
        ("POST", f"{base}/{{id}}/finish", _finish, _MAX_JSON_BYTES),
    ]
    return [
        Route(path, _endpoint(setup, handler, max_bytes), methods=[method])
        for method, path, handler, max_bytes in table
    ]


def _create(wish: _Wish) -> dict[str, Any]:
    name, size_bytes = wish.field("name", str), wish.field("size", int)
    upload = uploads.open_upload(wish.workbench, name, size_bytes, actor=wish.actor)
    return _state(upload, wish.setup.chunk_bytes)


def _ask(wish: _Wish) -> dict[str, Any]:
    upload = uploads.find(wish.workbench, wish.upload_id, actor=wish.actor)
    return _state(upload, wish.setup.chunk_bytes)


def _state(upload: Upload, chunk_bytes: int) -> dict[str, Any]:
    return {
        "id": upload.id,
        "offset": upload.offset(chunk_bytes),
        "digests": upload.digests,
        "chunk_bytes": chunk_bytes,
    }


def _append(wish: _Wish) -> dict[str, Any]:
    offset = uploads.append(
        wish.workbench,
        wish.upload_id,
        _offset(wish.request),
        wish.body,
        wish.request.headers.get("x-chunk-sha256", ""),
        actor=wish.actor,
        chunk_bytes=wish.setup.chunk_bytes,
    )
    return {"offset": offset}


def _finish(wish: _Wish) -> dict[str, Any]:
    upload = uploads.finish(
        wish.workbench,
        wish.upload_id,
        wish.field("sha256", str),
        actor=wish.actor,
        chunk_bytes=wish.setup.chunk_bytes,
    )
    answer = {"upload": upload.id}
    if wish.setup.on_finished is not None:
        answer["draft"] = wish.setup.on_finished(wish.workbench, upload, wish.actor)
    return answer


def _discard(wish: _Wish) -> dict[str, Any]:
    upload = uploads.find(wish.workbench, wish.upload_id, actor=wish.actor)
    if uploads.is_finished(wish.workbench, upload):
        raise Refused(
            "“{name}” has arrived and is being taken in. Cancel its import instead.",
            name=upload.file_name,
        )
    uploads.discard(wish.workbench, upload.id, actor=wish.actor)
    return {}


def _endpoint(setup: _Setup, handler: Handler, max_bytes: int) -> Callable[[Request], Any]:
    def admit(request: Request) -> tuple[Workbench, str]:
        workbench = setup.open()
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return workbench, uploads.actor_of(workbench, given if scheme == "Bearer" else "")

    async def answer(request: Request) -> dict[str, Any]:
        try:
            workbench, actor = await run_in_threadpool(admit, request)
        except uploads.BadTicket:
            # A browser that is still sending would see a broken connection and no answer.
            await _body(request, max_bytes)
            raise
        body = await _body(request, max_bytes)
        wish = _Wish(setup=setup, workbench=workbench, actor=actor, request=request, body=body)
        return await run_in_threadpool(handler, wish)

    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await answer(request), headers=_HEADERS)
        except ClientDisconnect:
            # Nobody hears this; what has arrived of the body is dropped.
            return Response(status_code=400)
        except WorkbenchError as error:
            return _refusal(error)
        except Exception:
            logger.exception("A request about an upload could not be answered.")
            sentence = "The workbench cannot answer now. Its log says why."
            return JSONResponse({"error": sentence}, 503, headers=_HEADERS)

    return endpoint


async def _body(request: Request, max_bytes: int) -> bytes:
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > max_bytes:
            raise _TooLarge(
                "The body has more than the {max_bytes} bytes that are accepted. Reload the page.",
                max_bytes=max_bytes,
            )
    return bytes(received)


def _offset(request: Request) -> int:
    text = request.query_params.get("offset", "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadInput("The offset is “{offset}”; it must be a number of bytes.", offset=text)
    return int(text)


def _refusal(error: WorkbenchError) -> JSONResponse:
    """The error as a sentence, and its facts for a page that has the sentence in its language."""
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 503)
    body = {"error": str(error), "facts": error.facts}
    if isinstance(error, uploads.WrongOffset):
        body["offset"] = error.facts["offset"]
    return JSONResponse(body, status, headers=_HEADERS)
