"""The monitor: samples while a worker runs, and no trouble that ends it."""

import logging
import threading
import time

import pytest

from engine.jobs import monitor
from engine.jobs.monitor import Monitor
from engine.store import machine_samples


@pytest.fixture
def quick(monkeypatch):
    """Samples come in quick succession."""
    monkeypatch.setattr(monitor, "SAMPLE_SECONDS", 0.01)
    monkeypatch.setattr(monitor, "_FIRST_SECONDS", 0.01)


def samples(workbench):
    return machine_samples.between(workbench.database, "lab", 0, 2e10)


def wait_until(condition) -> None:
    for _attempt in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never became true")


def test_sample_says_what_the_machine_does(workbench):
    before = time.time()
    Monitor(workbench, "lab").turn()
    (sample,) = samples(workbench)
    assert before <= sample.at <= time.time()
    assert 0 < sample.memory_used_bytes < sample.memory_total_bytes
    assert 0 < sample.disk_free_bytes < sample.disk_total_bytes
    assert machine_samples.newest(workbench.database) == [sample]


def test_samples_are_taken_while_it_is_entered_and_not_afterwards(workbench, quick):
    with Monitor(workbench, "lab"):
        wait_until(lambda: len(samples(workbench)) >= 3)
    assert "monitor" not in {thread.name for thread in threading.enumerate()}
    num_samples = len(samples(workbench))
    time.sleep(0.05)
    assert len(samples(workbench)) == num_samples


def test_trouble_is_said_once_and_survived(workbench, quick, monkeypatch, caplog):
    is_full, num_tries = threading.Event(), []
    is_full.set()
    add = machine_samples.add

    def add_or_fail(database, sample):
        num_tries.append(1)
        if is_full.is_set():
            raise OSError(28, "No space left on device")
        add(database, sample)

    monkeypatch.setattr(machine_samples, "add", add_or_fail)
    with caplog.at_level(logging.ERROR), Monitor(workbench, "lab"):
        wait_until(lambda: len(num_tries) >= 3)
        assert samples(workbench) == []
        assert len(caplog.records) == 1, "it is said once"
        is_full.clear()
        wait_until(lambda: samples(workbench))
        is_full.set()
        wait_until(lambda: len(caplog.records) == 2)


def test_old_samples_are_swept_at_the_start_and_then_every_hour(workbench, monkeypatch):
    swept = []
    monkeypatch.setattr(machine_samples, "sweep", lambda database, host: swept.append(host))
    now = [1000.0]
    monkeypatch.setattr(monitor.time, "monotonic", lambda: now[0])
    own = Monitor(workbench, "lab")
    own.turn()
    own.turn()
    assert swept == ["lab"]
    now[0] += monitor.SWEEP_SECONDS
    own.turn()
    assert swept == ["lab", "lab"]
    assert len(samples(workbench)) == 3


def test_worker_that_leaves_does_not_wait_for_the_next_sample(workbench):
    with Monitor(workbench, "lab"):
        assert "monitor" in {thread.name for thread in threading.enumerate()}
    assert "monitor" not in {thread.name for thread in threading.enumerate()}
