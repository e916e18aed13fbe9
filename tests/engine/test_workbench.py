"""One handle on a home: it can be opened, closed, and opened again without leaving anything."""

import os
import threading

import psutil
import pytest

from engine.settings import Settings
from engine.store import jobs
from engine.workbench import open_workbench


def test_what_one_handle_writes_another_one_reads(tmp_path):
    settings = Settings.for_home(tmp_path)
    first, second = open_workbench(settings), open_workbench(settings)
    job_id = jobs.add(first.database, "import", {}, actor="ann")
    assert jobs.get(second.database, job_id).actor == "ann"
    first.close()
    second.close()


def test_closing_twice_is_fine(tmp_path):
    opened = open_workbench(Settings.for_home(tmp_path))
    opened.close()
    opened.close()


@pytest.mark.skipif(os.name != "posix", reason="descriptors are counted the POSIX way")
def test_opening_and_closing_leaves_no_descriptors_and_no_threads(tmp_path):
    process = psutil.Process()

    def cycle():
        opened = open_workbench(Settings.for_home(tmp_path))
        jobs.with_status(opened.database, "queued")
        opened.close()

    cycle()
    before = process.num_fds(), threading.active_count()
    for _ in range(50):
        cycle()
    after = process.num_fds(), threading.active_count()
    assert after[0] - before[0] <= 2
    assert after[1] - before[1] <= 2
