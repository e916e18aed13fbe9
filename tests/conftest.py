"""What all tests share. No test sees the machine's own WORKBENCH_* settings."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from engine.settings import Settings
from engine.workbench import Workbench, open_workbench


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's environment holds no WORKBENCH_* variable it did not set."""
    for name in [name for name in os.environ if name.startswith("WORKBENCH_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home; whatever a worker started in it is killed afterwards."""
    path = tmp_path / "home"
    monkeypatch.setenv("WORKBENCH_HOME", str(path))
    yield path
    kill_processes_of(path)


@pytest.fixture
def workbench(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """An open, empty home whose queue nobody works on."""
    monkeypatch.setenv("WORKBENCH_WORKER", "external")
    opened = open_workbench(Settings.from_environment(os.environ))
    yield opened
    opened.close()


def processes_of(home: Path) -> list[psutil.Process]:
    """The workers and run processes of a home."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("WORKBENCH_HOME") == str(home) and process.pid != os.getpid():
                found.append(process)
    return found


def kill_processes_of(home: Path) -> None:
    """End everything that works on a home."""
    processes = processes_of(home)
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=10)
