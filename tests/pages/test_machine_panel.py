"""The machine panel: what a machine did, in numbers and in plots that do not grow with time."""

import time

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine.store import attempts, jobs, machine_samples, runs
from engine.store.machine_samples import KEPT_SECONDS, MachineSample
from pages.common import reads
from pages.common.machine_panel import means
from tests.pages.support import figures, metrics, words

GB = 10**9
GPU = {
    "name": "NVIDIA H100",
    "utilization": 0.5,
    "memory_used_bytes": 20 * GB,
    "memory_total_bytes": 80 * GB,
    "temperature_c": 61.0,
    "power_w": 300.0,
}


def show(seconds: float = 3600.0, end_ago: float = 0.0, host: str | None = None) -> AppTest:
    """The panel over so many seconds that ended a while ago."""

    def script(seconds, end_ago, host):
        import time

        from pages.common.machine_panel import panel

        end = time.time() - end_ago
        panel(end - seconds, end, host)

    page = AppTest.from_function(script, default_timeout=30, args=(seconds, end_ago, host))
    return page.run()


@pytest.fixture
def measure(workbench):
    """`measure(ago, …)`: samples of so many seconds ago."""

    def measure(*ago: float, host: str = "lab", gpus=(), **values) -> None:
        for seconds in ago:
            fields = {
                "cpu_share": 0.25,
                "memory_used_bytes": 4 * GB,
                "memory_total_bytes": 64 * GB,
                "disk_free_bytes": 500 * GB,
                "disk_total_bytes": 1000 * GB,
            }
            sample = MachineSample(
                host=host, at=time.time() - seconds, gpus=list(gpus), **fields | values
            )
            machine_samples.add(workbench.database, sample)

    yield measure
    reads.workbench().close()
    st.cache_resource.clear()


def values_of(figure: dict) -> list[list[float | None]]:
    return [trace["y"] for trace in figure["data"]]


def test_machine_without_a_gpu_shows_what_it_has(measure):
    measure(30, 20, 10)
    page = show()
    assert not page.exception
    assert figures(page).keys() == {"machine_cpu", "machine_memory", "machine_disk"}
    assert metrics(page) == {
        "Processor": "25%",
        "Memory": "4.0 / 64 GB",
        "Free disk": "500 GB",
    }
    assert "lab · no GPU · now" in words(page)


def test_each_gpu_has_its_line_and_all_have_one_number(measure):
    busy = GPU | {"utilization": 0.9, "memory_used_bytes": 60 * GB, "temperature_c": 71.0}
    measure(20, 10, gpus=[GPU, busy])
    page = show()
    found = figures(page)
    assert [trace["name"] for trace in found["machine_gpu"]["data"]] == ["GPU 0", "GPU 1"]
    assert [line[-1] for line in values_of(found["machine_gpu"])] == [0.5, 0.9]
    assert [line[-1] for line in values_of(found["machine_gpu_memory"])] == [20, 60]
    assert metrics(page)["GPU busy"] == "70%"
    assert metrics(page)["GPU memory"] == "80 / 160 GB"
    assert metrics(page)["GPU temperature"] == "66 °C"
    assert metrics(page)["GPU power"] == "600 W"
    assert "2 × NVIDIA H100" in words(page)


def test_what_a_gpu_does_not_say_is_left_out(measure):
    silent = dict.fromkeys(GPU) | {"name": "MIG 1g.10gb", "temperature_c": 40.0}
    measure(10, gpus=[silent])
    page = show()
    assert not page.exception
    assert "machine_gpu" not in figures(page) and "machine_gpu_memory" not in figures(page)
    assert "machine_gpu_heat" in figures(page)
    assert metrics(page).keys() == {"GPU temperature", "Processor", "Memory", "Free disk"}


def test_time_that_is_over_shows_means_and_says_so(measure):
    measure(7200, cpu_share=0.2)
    measure(7000, cpu_share=0.6)
    page = show(seconds=600, end_ago=6900)
    assert metrics(page)["Processor"] == "40%"
    assert "mean from" in words(page)
    assert "now" not in words(page)


@pytest.mark.parametrize(
    ("seconds", "end_ago", "sentence"),
    [
        (3600, 0, "no worker ran. A worker measures its machine every 10 s"),
        (600, 7200, "no worker ran, or it was over within 10 s"),
        (600, KEPT_SECONDS + 3600, "is kept for 7 days"),
    ],
)
def test_empty_time_says_why(measure, seconds, end_ago, sentence):
    page = show(seconds, end_ago)
    assert not page.exception
    assert sentence in words(page)
    assert not page.metric and not figures(page)


def test_reader_chooses_among_the_machines(measure):
    measure(10, host="attic", cpu_share=0.1)
    measure(10, host="lab", cpu_share=0.9)
    page = show()
    assert metrics(page)["Processor"] == "10%"
    page.segmented_control(key="machine_host").set_value("lab").run()
    assert metrics(page)["Processor"] == "90%"
    assert not show(host="attic").get("button_group"), "one that is asked for is shown"


def test_run_shows_the_time_of_its_work_on_its_own_machine(workbench, dataset, make_runs, measure):
    def script(run_id):
        from pages.common import reads
        from pages.common.machine_panel import panel_of_run

        panel_of_run(reads.run(run_id))

    run = make_runs.queued(dataset)
    page = AppTest.from_function(script, default_timeout=30, args=(run.id,)).run()
    assert "once the run has started" in words(page)
    job = attempts.claim(workbench.database, ("train",), "cpu")
    attempts.set_handle(workbench.database, job, {"host": "lab"})
    measure(0, cpu_share=0.7)
    measure(0, host="attic")
    measure(3000, cpu_share=0.1)
    page.run()
    assert not page.exception
    assert values_of(figures(page)["machine_cpu"]) == [[0.7]]
    attempts.finish(workbench.database, jobs.get(workbench.database, job.id), "completed")
    measure(-30, cpu_share=0.2)
    assert runs.get(workbench.database, run.id).job.ended_at is not None
    page.run()
    assert values_of(figures(page)["machine_cpu"]) == [[0.7]]


def test_means_of_equal_parts_are_drawn_however_long_the_time():
    week = 7 * 86_400
    points = [(float(second), float(second % 100 == 0)) for second in range(0, week, 10)]
    moments, values = means(points, 0, week)
    assert 290 <= len(moments) == len(values) <= 301
    assert moments == sorted(moments)
    assert sum(values) / len(values) == pytest.approx(0.1, abs=0.01)
    assert None not in values


def test_line_is_broken_where_nothing_was_measured():
    points = [(0.0, 1.0), (10.0, 1.0), (1000.0, 3.0), (1010.0, 3.0)]
    moments, values = means(points, 0, 1200)
    assert values == [1.0, 1.0, None, 3.0, 3.0]
    assert 10 < moments[2] < 1000
    thinned = [(60.0 * minute, 1.0) for minute in range(20)]
    assert None not in means(thinned, 0, 1200)[1], "samples a minute apart are one line"


def test_nothing_measured_is_no_line():
    assert means([], 0, 100) == ([], [])
    assert means([(5.0, 1.0)], 5.0, 5.0) == ([5.0], [1.0])


def test_panel_of_a_week_is_read_and_drawn_small(workbench, measure):
    now = time.time()
    with workbench.database.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO machine_samples SELECT 'lab', ? - value * 60, 0.5, 1, 2, 3, 4, '[]' "
            "FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n "
            "WHERE value < 9000) SELECT value FROM n)",
            (now,),
        )
    page = show(seconds=7 * 86_400)
    assert not page.exception
    assert len(values_of(figures(page)["machine_cpu"])[0]) <= 301
