"""The server may come and go; what it started goes on."""

import json
import os
import urllib.request

from engine.store import scores
from tests.conftest import processes_of
from tests.integration.support import FOR_SECONDS


def test_run_completes_though_the_server_is_killed_and_the_server_comes_back(
    live_home, start_server
):
    run_id = live_home.train(FOR_SECONDS)
    environment = live_home.environment | {"WORKBENCH_WORKER": "local"}
    # Nobody works on this home: it is the server that finds the queued run and starts a worker.
    server = start_server(environment=environment)
    run = live_home.wait_for_epoch(run_id)
    family = os.getsid(server.process.pid)
    others = [each for each in processes_of(live_home.path) if each.pid != server.process.pid]
    assert run.job.handle["pid"] in [each.pid for each in others]
    assert all(os.getsid(each.pid) != family for each in others)
    server.kill()
    before = live_home.run(run_id)
    assert before.status == "running"
    run = live_home.wait_for_end(run_id)
    assert (run.status, run.job.error) == ("completed", None)
    assert run.num_epochs_done > before.num_epochs_done
    assert scores.of_run(live_home.database, run_id, "test")
    assert "Traceback" not in server.log.read_text()

    again = start_server(environment=environment)
    with urllib.request.urlopen(f"{again.address}/api/health", timeout=10) as answer:
        assert json.load(answer) == {"status": "ok"}
    again.kill()
