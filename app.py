"""`streamlit run app.py`: the pages, the HTTP routes beside them, and a watch over the queue."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import streamlit as st

from engine.jobs.daemon import ensure_worker
from engine.settings import Settings
from engine.store import jobs
from engine.web.routes import routes
from engine.workbench import open_workbench
from pages.common import links

_WATCH_SECONDS = 5.0

log = logging.getLogger(__name__)
workbench = open_workbench(Settings.from_environment(os.environ))


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Keep an eye on the queue for as long as the server runs."""
    watch = asyncio.create_task(_watch_queue())
    yield
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch


async def _watch_queue() -> None:
    """Start a worker whenever jobs are open and none lives: at start, and after one was killed."""
    while True:
        try:
            await asyncio.to_thread(_ensure_open_jobs_have_a_worker)
        except Exception:
            # A database that is busy now may answer next time; the watch must not end.
            log.exception("The queue could not be looked at.")
        await asyncio.sleep(_WATCH_SECONDS)


def _ensure_open_jobs_have_a_worker() -> None:
    if jobs.with_status(workbench.database, *jobs.LIVE):
        ensure_worker(workbench)


app = st.App(
    Path(__file__).parent / "pages" / "router.py",
    routes=routes(lambda: workbench, prefix=links.base_path()),
    lifespan=lifespan,
)
