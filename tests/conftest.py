"""What all tests share. No test sees the machine's own WORKBENCH_* settings."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Before torch is loaded: the tests' networks are so small that threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil
import pytest

from engine.settings import Settings
from engine.workbench import Workbench, open_workbench

ROOT = Path(__file__).parents[1]
START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running `streamlit run`."""

    process: subprocess.Popen
    address: str
    log: Path

    def kill(self) -> None:
        """End it the hard way."""
        self.process.kill()
        self.process.wait(10)


StartServer = Callable[..., Server]


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


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start a real server; it is ended with the session if the test did not."""
    servers = []

    def start(script: Path = ROOT / "app.py", environment: Mapping[str, str] | None = None):
        server = _start_server(script, environment or {}, tmp_path_factory.mktemp("server"))
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.kill()


def _start_server(script: Path, environment: Mapping[str, str], folder: Path) -> Server:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script.name]
    options = {
        "server.port": port,
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    command += [f"--{name}={value}" for name, value in options.items()]
    log = folder / "server.log"
    # To a file: a pipe that nobody reads would fill up and stop the server.
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=script.parent,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, f"http://127.0.0.1:{port}", log)
    _wait_until_healthy(server)
    return server


def _wait_until_healthy(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"The server ended early:\n{server.log.read_text()}")
        with (
            suppress(OSError),
            urllib.request.urlopen(f"{server.address}/_stcore/health", timeout=2),
        ):
            return
        time.sleep(0.1)
    raise AssertionError(f"No answer within {START_SECONDS} s:\n{server.log.read_text()}")
