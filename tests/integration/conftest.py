"""Homes whose processes are all ended when the test is over."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.support import LiveHome

MakeHome = Callable[[Path, str], LiveHome]


@pytest.fixture(scope="module")
def make_home() -> Iterator[MakeHome]:
    """`make_home(path, worker)`: a home that lives as long as the module at most."""
    homes: list[LiveHome] = []

    def make(path: Path, worker: str) -> LiveHome:
        homes.append(LiveHome(path, worker))
        return homes[-1]

    yield make
    for home in homes:
        home.close()


@pytest.fixture
def live_home(tmp_path: Path) -> Iterator[LiveHome]:
    """An empty home whose workers the test starts itself."""
    made = LiveHome(tmp_path / "home", "external")
    yield made
    made.close()
