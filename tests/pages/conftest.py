"""The pages over a home of their own: no browser, no worker, and a clock that the test sets."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine.datasets.importer import import_dataset
from engine.datasets.toy import write_toy_zip
from engine.store.datasets import Dataset
from engine.workbench import Workbench
from pages.common import reads
from tests.pages.support import ACTOR, MACHINE, PAGES, Clock, MakeRuns

AddDataset = Callable[..., Dataset]
OpenPage = Callable[..., AppTest]

START_PAGE = "datasets.py"


@pytest.fixture
def open_page(workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenPage]:
    """Opens a page by its file name and query parameters, as a link does."""
    # No installed package brings a component; to look through them all takes most of a test.
    scan = "streamlit.components.v2.manifest_scanner.scan_component_manifests"
    monkeypatch.setattr(scan, list, raising=False)
    for module in ("engine.jobs.queue", "pages.common.reads"):
        monkeypatch.setattr(f"{module}.this_machine", lambda weights: MACHINE)

    def open_page(file_name: str, **query: str | list[str]) -> AppTest:
        page = AppTest.from_file(PAGES / "router.py", default_timeout=30)
        if file_name != START_PAGE:
            # Pages can be switched to once a first run has registered them.
            page.run().switch_page(file_name)
        page.query_params = dict(query)
        return page.run()

    yield open_page
    reads.workbench().close()
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def add_dataset(workbench: Workbench, tmp_path: Path) -> AddDataset:
    """Imports generated pictures; `options` are those of `write_toy_zip`."""

    def add_dataset(name: str = "Cells", num_samples: int = 8, **options: Any) -> Dataset:
        archive = tmp_path / "toy.zip"
        write_toy_zip(archive, num_samples=num_samples, size_px=24, **options)
        return import_dataset(workbench, archive, name=name, actor=ACTOR)

    return add_dataset


@pytest.fixture
def dataset(add_dataset: AddDataset) -> Dataset:
    """Eight grey pictures of 24×24 pixels in three classes."""
    return add_dataset()


@pytest.fixture
def make_runs(workbench: Workbench) -> MakeRuns:
    """Writes runs of any state."""
    return MakeRuns(workbench)


@pytest.fixture
def tokyo() -> Iterator[None]:
    """The server stands nine hours east of Greenwich."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stops the clock of store and pages; the test sets it forward."""
    clock = Clock()
    for module in (
        "engine.store.attempts",
        "engine.store.datasets",
        "engine.store.jobs",
        "engine.store.runs",
        "pages.common.job_reads",
        "pages.common.queue_views",
        "pages.common.run_views",
        "pages.common.tables",
    ):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(time=clock.time))
    return clock
