"""The frame of every page."""

import pytest

from tests.pages.support import PAGES, title

SCRIPTS = sorted(
    path.name for path in PAGES.glob("*.py") if path.stem not in ("__init__", "router")
)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_page_can_be_opened_in_an_empty_workbench(open_page, script):
    page = open_page(script)
    assert not page.exception
    assert title(page)
    assert not page.error


def test_workbench_begins_with_the_datasets(open_page):
    assert title(open_page("datasets.py")) == "Datasets"
