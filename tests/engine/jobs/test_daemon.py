"""Which process lives, and when a worker is started."""

import os
import platform
import subprocess
import sys

import psutil
import pytest

from engine.jobs import daemon
from engine.jobs.daemon import ensure_worker, process_lives, worker_is_alive
from engine.store import workers


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_process_lives_until_it_is_killed_even_when_nobody_reaps_it(child):
    started_at = psutil.Process(child.pid).create_time()
    assert process_lives(child.pid, started_at)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert not process_lives(child.pid, started_at)
    child.communicate()
    assert not process_lives(child.pid, started_at)


def test_another_process_with_the_same_number_is_not_the_one(child):
    started_at = psutil.Process(child.pid).create_time()
    assert not process_lives(child.pid, started_at - 60)
    assert not process_lives(child.pid, started_at + 60)
    # The start time is derived from the boot time, which may be adjusted a little.
    assert process_lives(child.pid, started_at + 0.5)


def test_worker_is_alive_while_its_process_is(workbench, child):
    assert not worker_is_alive(workbench)
    started_at = psutil.Process(child.pid).create_time()
    workers.announce(workbench.database, "elsewhere", child.pid, started_at)
    assert not worker_is_alive(workbench)
    workers.announce(workbench.database, platform.node(), child.pid, started_at)
    assert worker_is_alive(workbench)
    child.kill()
    child.communicate()
    assert not worker_is_alive(workbench)


def test_external_worker_is_never_started_from_here(workbench, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("started one"))
    assert workbench.settings.worker == "external"
    ensure_worker(workbench)


def test_living_worker_is_not_started_again(workbench, monkeypatch):
    object.__setattr__(workbench.settings, "worker", "local")
    monkeypatch.setattr(daemon, "worker_is_alive", lambda _: True)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("started one"))
    ensure_worker(workbench)
