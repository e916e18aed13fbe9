"""Many jobs, two servers, and a clock that is set back."""

import random
import time

from engine.jobs.executors import local
from engine.jobs.executors.local import LocalExecutor
from engine.jobs.worker import Worker
from engine.store import jobs
from tests.conftest import processes_of
from tests.integration.faulty import beside, load_faults
from tests.integration.support import LASTING, TINY, wait_until

NUM_EPOCHS = LASTING["epochs"]


def test_of_200_jobs_20_are_cancelled_and_the_others_each_run_once(
    live_home, monkeypatch, tmp_path
):
    ran = tmp_path / "ran"
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\necho "$3" >> {ran}\n')
    script.chmod(0o755)
    monkeypatch.setattr(local.sys, "executable", str(script))
    object.__setattr__(live_home.workbench.settings, "light_jobs", 16)
    database = live_home.database
    queued = [jobs.add(database, "derive", {}, actor=f"person {n % 3}") for n in range(200)]
    chosen = random.Random(0)
    worker = Worker(live_home.workbench, LocalExecutor(live_home.workbench), None)
    cancelled: list[str] = []
    deadline = time.monotonic() + 60
    while worker.turn():
        assert time.monotonic() < deadline
        waiting = [job.id for job in jobs.with_status(database, "queued")]
        for job_id in chosen.sample(waiting, min(4, len(waiting), 20 - len(cancelled))):
            jobs.request_stop(database, job_id, actor="ann")
            cancelled.append(job_id)
        time.sleep(0.02)
    assert len(cancelled) == 20
    started = ran.read_text().split()
    assert sorted(started) == sorted(set(queued) - set(cancelled))
    assert {jobs.get(database, job_id).status for job_id in cancelled} == {"stopped"}
    assert {jobs.get(database, job_id).status for job_id in started} == {"failed"}


def test_two_servers_on_one_home_share_one_worker_and_each_run_runs_once(live_home, start_server):
    environment = live_home.environment | {"WORKBENCH_WORKER": "local"}
    servers = [start_server(environment=environment) for _ in range(2)]
    run_ids = [live_home.train(TINY) for _ in range(2)]
    for run_id in run_ids:
        assert live_home.assert_whole(run_id, TINY["epochs"]).job.attempts == 1
    workers = [each for each in processes_of(live_home.path) if "worker" in each.cmdline()]
    assert len(workers) == 1
    for server in servers:
        assert server.process.poll() is None
        server.kill()


def test_clock_that_is_set_back_disturbs_no_run(live_home):
    load_faults(live_home)
    clock = beside(live_home, "clock")
    live_home.environment["CLOCK"] = str(clock)
    worker = live_home.start_worker()
    run_id = live_home.train(LASTING)
    live_home.wait_for_epoch(run_id, 3)
    clock.write_text("7200")
    run = live_home.assert_whole(run_id, NUM_EPOCHS)
    assert (run.job.attempts, run.job.incidents) == (1, [])
    assert run.job.ran_seconds >= 0
    assert run.job.waited_seconds >= 0
    # What is queued afterwards is not forgotten behind what is older by the clock.
    later = live_home.train_alike(run_id)
    live_home.assert_whole(later, NUM_EPOCHS)
    assert worker.poll() is None
    wait_until(lambda: not live_home.run_processes(), "every process to end")
