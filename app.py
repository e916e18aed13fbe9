"""`streamlit run app.py`: the pages, the HTTP routes beside them, and chores beside them."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import streamlit as st

from engine.jobs.daemon import ensure_worker
from engine.jobs.imports import submit_upload
from engine.jobs.sweeping import sweep
from engine.settings import Settings
from engine.store import jobs
from engine.web.routes import routes
from engine.workbench import open_workbench
from pages.common import links

_WATCH_SECONDS = 5.0
_SWEEP_SECONDS = 3600.0

log = logging.getLogger(__name__)
workbench = open_workbench(Settings.from_environment(os.environ))


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Keep an eye on the queue for as long as the server runs."""
    chores = [
        asyncio.create_task(_repeat(_ensure_open_jobs_have_a_worker, _WATCH_SECONDS)),
        asyncio.create_task(_repeat(_sweep, _SWEEP_SECONDS)),
    ]
    yield
    for chore in chores:
        chore.cancel()
        with suppress(asyncio.CancelledError):
            await chore


async def _repeat(chore: Callable[[], object], seconds: float) -> None:
    """Do something in a thread, again and again."""
    while True:
        try:
            await asyncio.to_thread(chore)
        except Exception:
            # A database that is busy now may answer next time; the chore must not end.
            log.exception("A chore of the server failed; it is tried again.")
        await asyncio.sleep(seconds)


def _sweep() -> None:
    """Delete what nobody will come back for."""
    sweep(workbench, actor="server")


def _ensure_open_jobs_have_a_worker() -> None:
    """Start a worker when jobs are open and none lives: at start, and after one was killed."""
    if jobs.with_status(workbench.database, *jobs.LIVE):
        ensure_worker(workbench)


app = st.App(
    Path(__file__).parent / "pages" / "router.py",
    routes=routes(
        lambda: workbench,
        prefix=links.base_path(),
        on_finished=lambda home, upload, actor: submit_upload(home, upload.id, actor=actor),
    ),
    lifespan=lifespan,
)
