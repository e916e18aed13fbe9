"""Which process lives, and when a worker is started."""

import os
import platform
import subprocess
import sys

import psutil
import pytest

from engine.jobs import daemon
from engine.jobs.daemon import ensure_worker, process_lives, stamp_of, worker_is_alive
from engine.store import schema, workers


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture(params=["with boot id", "without"])
def any_system(request, monkeypatch, tmp_path):
    """Stamps are made in another way where the system has no number of its boot."""
    if request.param == "without":
        monkeypatch.setattr(daemon, "_BOOT_ID", tmp_path / "none")


def test_stamp_of_a_process_stays_the_same_and_is_no_other_ones(any_system, child):
    stamp = stamp_of(child.pid)
    assert stamp is not None
    assert stamp_of(child.pid) == stamp
    assert stamp_of(os.getpid()) not in (None, stamp)
    assert len(stamp) <= schema.workers.c.stamp.type.length


def test_stamp_of_a_zombie_and_of_nobody_is_none(any_system, child):
    assert stamp_of(child.pid) is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert stamp_of(child.pid) is None
    child.communicate()
    assert stamp_of(child.pid) is None


def test_stamp_is_another_after_a_reboot_and_the_same_after_the_clock_is_set(
    child, monkeypatch, tmp_path
):
    monkeypatch.setattr(daemon, "_BOOT_ID", tmp_path / "boot_id")
    daemon._BOOT_ID.write_text("first\n")
    stamp = stamp_of(child.pid)
    assert stamp.startswith("first:")
    monkeypatch.setattr(psutil, "boot_time", lambda: pytest.fail("asked the clock"))
    assert stamp_of(child.pid) == stamp
    daemon._BOOT_ID.write_text("second\n")
    assert stamp_of(child.pid) == stamp.replace("first", "second")
    assert not process_lives(child.pid, stamp)


@pytest.mark.skipif(sys.platform != "linux", reason="process names are set through /proc")
@pytest.mark.parametrize("name", [") R 1 2 3", "a b", "((", "x) S 9"])
def test_name_of_a_process_does_not_confuse_its_stamp(name):
    code = f"open('/proc/self/comm', 'w').write({name!r}); print('named', flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    stamp = stamp_of(process.pid)
    assert process.stdout.readline() == "named\n"
    assert stamp_of(process.pid) == stamp
    process.kill()
    process.communicate()


def test_process_lives_until_it_is_killed_even_when_nobody_reaps_it(child):
    stamp = stamp_of(child.pid)
    assert process_lives(child.pid, stamp)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not process_lives(child.pid, stamp)
    child.communicate()
    assert not process_lives(child.pid, stamp)


def test_another_process_with_the_same_number_is_not_the_one(child):
    boot, _, ticks = stamp_of(child.pid).rpartition(":")
    assert process_lives(child.pid, f"{boot}:{ticks}")
    assert not process_lives(child.pid, f"{boot}:{int(ticks) - 1}")
    assert not process_lives(child.pid, f"another-boot:{ticks}")
    assert not process_lives(child.pid, "ended")


def test_worker_is_alive_while_its_process_is(workbench, child):
    assert not worker_is_alive(workbench)
    stamp = stamp_of(child.pid)
    workers.announce(workbench.database, "elsewhere", child.pid, stamp)
    assert not worker_is_alive(workbench)
    workers.announce(workbench.database, platform.node(), child.pid, stamp)
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
