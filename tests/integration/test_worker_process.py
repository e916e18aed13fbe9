"""A worker comes when it is needed, is alone, and goes by itself."""

import os
import shutil

from engine.store import workers
from tests.conftest import processes_of
from tests.integration.support import wait_until


def test_of_several_workers_of_one_home_one_stays(live_home):
    started = [live_home.start_worker() for _ in range(3)]
    wait_until(lambda: sum(w.poll() is not None for w in started) == 2, "two workers to leave")
    staying = next(worker for worker in started if worker.poll() is None)
    assert [worker.returncode for worker in started if worker is not staying] == [0, 0]
    record = workers.get(live_home.database, os.uname().nodename)
    assert record.pid == staying.pid
    assert live_home.worker_log.read_text().count("Another worker holds the lock") == 2


def test_worker_ends_with_its_home(live_home):
    worker = live_home.start_worker()
    wait_until(lambda: "started for" in live_home.worker_log.read_text(), "the worker")
    shutil.rmtree(live_home.path)
    assert worker.wait(20) == 0
    assert not live_home.path.exists()
    assert "Traceback" not in live_home.worker_log.read_text()


def test_detached_worker_leaves_by_itself_and_nothing_of_it_remains(live_home):
    live_home.environment["WORKBENCH_WORKER_IDLE_SECONDS"] = "0.5"
    said = live_home.command("worker", "--detach")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    log = live_home.path / "logs" / "worker.txt"
    wait_until(lambda: log.exists() and " left." in log.read_text(), "the worker to leave")
    wait_until(lambda: not processes_of(live_home.path), "its process to end")
    assert workers.get(live_home.database, os.uname().nodename) is None
    assert "Traceback" not in log.read_text()
