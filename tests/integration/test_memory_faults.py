"""Memory that really runs out."""

import resource

import psutil

from engine.errors import WorkbenchError
from tests.integration.support import TINY, wait_until

LARGE = TINY | {
    "width": 16,
    "image_size_px": 128,
    "batch_size": 64,
    "passes_per_epoch": 13,
    "epochs": 1,
}
"""Settings whose batch needs more memory than the test leaves."""

ROOM_BYTES = 500_000_000


def address_space_of_a_small_run(home):
    """What a run takes of the address space before it has any batch to speak of."""
    worker = home.start_worker()
    run_id = home.train(TINY | {"max_minutes": 0.05})
    home.wait_for_epoch(run_id)
    handle = home.run(run_id).job.handle
    taken = psutil.Process(handle["pid"]).memory_info().vms
    home.wait_for_end(run_id)
    worker.terminate()
    worker.wait(10)
    return taken


def test_batch_that_does_not_fit_is_halved_until_it_does_and_the_run_says_so(live_home):
    limit = address_space_of_a_small_run(live_home) + ROOM_BYTES
    live_home.start_worker(
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    )
    run_id = live_home.train(LARGE)
    run = live_home.wait_for_end(run_id)
    assert run.status == "completed", run.job.error
    adjustments = dict(run.adjustments)
    assert adjustments["batch_size"] < LARGE["batch_size"]
    assert adjustments["batch_size"] * adjustments["accumulation"] == LARGE["batch_size"]
    # What the person chose stays what it was.
    assert run.config.schedule.batch_size == LARGE["batch_size"]
    assert {incident["type"] for incident in run.job.incidents} == {"OutOfMemory"}
    said = [str(WorkbenchError(each["message"], **each["facts"])) for each in run.job.incidents]
    assert any("64" in sentence and "32" in sentence for sentence in said)
    log = live_home.path.joinpath("logs", f"{run.job.id}.txt").read_text()
    assert "32" in log
    assert "Traceback" not in log


def test_what_fits_in_no_way_fails_and_does_not_try_for_ever(live_home):
    limit = address_space_of_a_small_run(live_home) + 50_000_000
    live_home.start_worker(
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    )
    run_id = live_home.train(LARGE | {"width": 64, "batch_size": 4, "num_levels": 4})
    run = live_home.wait_for_end(run_id)
    assert run.status == "failed"
    assert run.job.error["type"] == "OutOfMemory", run.job.error
    assert run.effective_config.schedule.batch_size == 1
    wait_until(lambda: live_home.run_processes() == [], "its process to end")
