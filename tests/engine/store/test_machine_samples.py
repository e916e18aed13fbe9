"""Samples of machines: kept for a week, thinned out after a day."""

import time

import pytest

from engine.store import machine_samples
from engine.store.machine_samples import (
    DENSE_SECONDS,
    KEPT_SECONDS,
    MachineSample,
    between,
    hosts,
    newest,
    sweep,
)

GPU = {"name": "NVIDIA H100", "utilization": 0.5, "temperature_c": None}


def sample(at: float, host: str = "lab", **values) -> MachineSample:
    fields = {
        "cpu_share": 0.25,
        "memory_used_bytes": 3 * 2**40,
        "memory_total_bytes": 4 * 2**40,
        "disk_free_bytes": 5,
        "disk_total_bytes": 6,
        "gpus": [GPU],
    }
    return MachineSample(host=host, at=at, **fields | values)


@pytest.fixture
def add(database):
    def add(*moments: float, host: str = "lab") -> None:
        for moment in moments:
            machine_samples.add(database, sample(moment, host))

    return add


def moments(database, host: str = "lab") -> list[float]:
    return [each.at for each in between(database, host, 0, 2e10)]


def test_sample_comes_back_as_it_went_in(database):
    whole = sample(123.25, gpus=[GPU, GPU | {"utilization": None}])
    machine_samples.add(database, whole)
    assert between(database, "lab", 0, 200) == [whole]


def test_samples_of_a_time_are_in_order_and_no_others(database, add):
    add(30.0, 10.0, 20.0, 40.0)
    add(25.0, host="other")
    assert [each.at for each in between(database, "lab", 10.0, 30.0)] == [10.0, 20.0, 30.0]
    assert between(database, "nobody", 0, 100) == []


def test_newest_is_one_for_each_host(database, add):
    assert newest(database) == []
    add(10.0, 30.0, 20.0)
    add(5.0, 7.0, host="attic")
    assert [(each.host, each.at) for each in newest(database)] == [("attic", 7.0), ("lab", 30.0)]


def test_hosts_of_a_time_are_those_that_were_measured_in_it(database, add):
    add(10.0, 20.0)
    add(50.0, host="attic")
    assert hosts(database, 0, 100) == ["attic", "lab"]
    assert hosts(database, 15, 45) == ["lab"]
    assert hosts(database, 60, 100) == []


def test_week_old_samples_are_forgotten_and_yesterdays_thinned_out(database, add):
    now = time.time()
    recent = [now - 30, now - 20, now - 10]
    minute = (now - DENSE_SECONDS) // 60 * 60 - 600
    old = [minute + 1, minute + 11, minute + 59, minute + 61, minute + 125]
    ancient = [now - KEPT_SECONDS - 5, now - KEPT_SECONDS - 3600]
    add(*recent, *old, *ancient)
    sweep(database, "lab")
    expected = sorted([minute + 1, minute + 61, minute + 125, *recent])
    assert moments(database) == pytest.approx(expected)
    sweep(database, "lab")
    assert moments(database) == pytest.approx(expected), "swept again, nothing more goes"


def test_host_forgets_the_old_of_all_but_thins_out_its_own(database, add):
    now = time.time()
    minute = (now - DENSE_SECONDS) // 60 * 60 - 600
    add(minute + 1, minute + 11, now - KEPT_SECONDS - 5, host="attic")
    sweep(database, "lab")
    assert moments(database, "attic") == pytest.approx([minute + 1, minute + 11])


def test_samples_from_before_the_clock_was_set_back_do_not_stay_the_newest(database, add):
    now = time.time()
    add(now - 10, now + 3600)
    add(now + 3600, host="attic")
    sweep(database, "lab")
    assert moments(database) == pytest.approx([now - 10])
    assert len(moments(database, "attic")) == 1, "another machine's clock may be right"
