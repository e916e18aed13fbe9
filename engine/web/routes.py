"""The routes the server answers itself: its health, uploads, and pictures of datasets, runs and
trials before a run.

Pictures never change once written, so a browser may keep them for good. Ids, folders and file
names are matched against what the workbench itself writes; anything else is not found, whatever
is on the disk.
"""

import logging
import os
import re
import stat
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from engine.errors import NotFound
from engine.store import jobs
from engine.uploads import CHUNK_BYTES
from engine.web import uploads
from engine.workbench import Workbench

logger = logging.getLogger(__name__)

DATASET_KINDS = frozenset({"images", "masks", "thumbs"})
"""Folders of a dataset that are served."""

RUN_KINDS = frozenset({"predictions", "errors", "thumbs"})
"""Folders of a run that are served."""

PREFLIGHT_KINDS = frozenset({"pictures"})
"""Folders of a trial before a run that are served."""

_ID = re.compile(r"[0-9a-f]{8}")
_FILE = re.compile(r"[0-9]{6}(\.[a-z]{1,20}){0,3}\.(?P<suffix>png|jpg|webp)")
_MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}

_MEDIA_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
}
_OTHER_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Handler = Callable[[Request, Workbench], Response]


def routes(
    open: Callable[[], Workbench],
    prefix: str = "",
    *,
    on_finished: uploads.OnFinished | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> list[Route]:
    """The routes to hand to the server.

    Args:
        open: gives the workbench; called once per request, so it should keep what it opened.
        prefix: path the server is reached under, such as `/workbench`; no slash at the end.
        on_finished: called when an upload has arrived as a whole; see `engine.web.uploads`.
        chunk_bytes: size of an upload's chunks; must stay the same for a home.
    """
    media = f"{prefix}/api/media"
    table: list[tuple[str, Handler]] = [
        (f"{prefix}/api/health", _health),
        (f"{media}/datasets/{{id}}/{{kind}}/{{file}}", _pictures("datasets", DATASET_KINDS)),
        (f"{media}/runs/{{id}}/{{kind}}/{{file}}", _pictures("runs", RUN_KINDS)),
        (
            f"{media}/preflights/{{id}}/{{kind}}/{{file}}",
            _pictures("preflights", PREFLIGHT_KINDS),
        ),
        # Without this, a wrong address would be answered with the front end's page.
        (f"{media}/{{rest:path}}", _nothing),
    ]
    reading = [Route(path, _authorised(open, handler), methods=["GET"]) for path, handler in table]
    writing = uploads.routes(open, prefix, on_finished=on_finished, chunk_bytes=chunk_bytes)
    return reading + writing


def _authorised(open: Callable[[], Workbench], handler: Handler) -> Callable[[Request], Response]:
    """Put a handler behind the one gate that every reading request passes.

    Who may look is decided here and nowhere else; who may upload is told by a ticket. The server
    listens on the loopback interface only, so today that is everybody who can reach it.
    """

    def answer(request: Request) -> Response:
        try:
            return handler(request, open())
        except NotFound as error:
            return JSONResponse({"error": str(error)}, 404, headers=_OTHER_HEADERS)
        except Exception:
            # A home on a full or vanished disk fails in many ways; the caller learns that it is
            # so, the log which.
            logger.exception("A request could not be answered.")
            return JSONResponse(
                {"error": "The workbench cannot answer now. Its log says why."},
                503,
                headers=_OTHER_HEADERS,
            )

    return answer


def _health(request: Request, workbench: Workbench) -> Response:
    jobs.newest(workbench.database, "train", limit=1)
    return JSONResponse({"status": "ok"}, headers=_OTHER_HEADERS)


def _pictures(collection: str, kinds: frozenset[str]) -> Handler:
    def picture(request: Request, workbench: Workbench) -> Response:
        item, kind, file = (request.path_params[name] for name in ("id", "kind", "file"))
        matched = _FILE.fullmatch(file)
        if matched is None or kind not in kinds or _ID.fullmatch(item) is None:
            raise _no_picture()
        path = workbench.files.path(f"{collection}/{item}/{kind}/{file}")
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            raise _no_picture() from None
        if not stat.S_ISREG(found.st_mode):
            raise _no_picture()
        return FileResponse(
            path,
            headers=_MEDIA_HEADERS,
            media_type=_MEDIA_TYPES[matched["suffix"]],
            stat_result=found,
        )

    return picture


def _nothing(request: Request, workbench: Workbench) -> Response:
    raise _no_picture()


def _no_picture() -> NotFound:
    return NotFound(
        "There is no such picture. It was deleted, or the address is wrong; open the page again."
    )
