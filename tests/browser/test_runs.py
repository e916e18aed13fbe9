"""A run in a browser: paused, resumed, trained further, tagged and archived."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine.config import recipe, with_changes
from engine.datasets.importer import import_dataset
from engine.datasets.toy import write_toy_zip
from engine.jobs.queue import submit_training
from engine.store import epochs, runs
from engine.workbench import Workbench
from tests.browser.support import open_page, settled
from tests.integration.support import wait_until

SMALL = {"width": 4, "num_levels": 2, "image_size_px": 16, "epochs": 400, "device": "cpu"}
TRAINING_MS = 90_000


@pytest.fixture
def run_id(workbench: Workbench, tmp_path: Path) -> str:
    """A queued run that takes a while."""
    toy = tmp_path / "toy.zip"
    write_toy_zip(toy, num_samples=8, size_px=24, rectangles=False)
    dataset = import_dataset(workbench, toy, name="toy", actor="ann")
    config = with_changes(recipe("quick"), SMALL)
    return submit_training(workbench, dataset.id, config, name="Night", actor="ann")


def press(page: Page, name: str) -> None:
    page.get_by_test_id("stMain").get_by_role("button", name=name, exact=True).click()


def test_run_is_paused_goes_on_is_stopped_with_scores_and_trained_further(
    page: Page, workbench: Workbench, run_id: str, start_server
) -> None:
    server = start_server(environment={"WORKBENCH_WORKER": "local"})
    open_page(page, f"{server.address}/run?run={run_id}")
    status = page.locator(".st-key-run_status")
    expect(status).to_contain_text("running", timeout=TRAINING_MS)
    expect(page.get_by_text("Loss", exact=True).first).to_be_visible(timeout=TRAINING_MS)
    press(page, "Pause")
    expect(status).to_contain_text("paused", timeout=TRAINING_MS)
    settled(page)
    done = runs.get(workbench.database, run_id).num_epochs_done
    assert 0 < done < SMALL["epochs"]
    assert runs.get(workbench.database, run_id).scored_at is None

    press(page, "Resume")
    expect(status).to_contain_text("running", timeout=TRAINING_MS)
    # Before it has taken a step there is nothing to stop, and nothing new to score.
    wait_until(lambda: runs.get(workbench.database, run_id).num_epochs_done > done, "an epoch")
    settled(page)
    press(page, "Stop")
    expect(status).to_contain_text("stopped", timeout=TRAINING_MS)
    settled(page)
    run = runs.get(workbench.database, run_id)
    assert run.num_epochs_done > done
    assert run.scored_at is not None
    recorded = [record.epoch for record in epochs.of_run(workbench.database, run_id)]
    assert recorded == list(range(1, len(recorded) + 1))
    expect(page.locator(".viewer img[src*='/errors/']")).to_be_visible()


def test_runs_are_archived_in_a_row_and_found_again(
    page: Page, workbench: Workbench, run_id: str, start_server
) -> None:
    open_page(page, f"{start_server().address}/run?run={run_id}")
    press(page, "Stop")
    expect(page.locator(".st-key-run_status")).to_contain_text("stopped")
    page.get_by_test_id("stMain").get_by_role("button", name=re.compile("More$")).click()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("archived", exact=False).first).to_be_visible()
    settled(page)
    assert runs.get(workbench.database, run_id).archived
    press(page, "Clone")
    page.wait_for_url("**/train?*")
    settled(page)
    expect(page.get_by_text("Differs from the recipe")).to_be_visible()
