"""A preflight job from its row to its result, in this process."""

import json

import numpy as np
import pytest
from PIL import Image

from engine.config import recipe, with_changes
from engine.errors import Stopped
from engine.jobs.preflight_task import run_preflight
from engine.jobs.process import JobControl
from engine.jobs.queue import WANTS, submit_preflight
from engine.store import attempts, jobs
from engine.training import preflight

TINY = {
    "width": 4,
    "num_levels": 2,
    "image_size_px": 16,
    "epochs": 2,
    "precision": "fp32",
    "device": "cpu",
}


@pytest.fixture
def start(workbench, add_dataset, monkeypatch):
    """`start(want, changes)`: a claimed preflight job and its control."""
    monkeypatch.setattr(preflight, "_OVERFIT_STEPS", 12)
    monkeypatch.setattr(preflight, "_RATE_STEPS", 12)

    def start(want, changes=None, num_classes=2):
        config = with_changes(recipe("quick"), TINY | (changes or {}))
        dataset_id = add_dataset([(33, 47)] * 7, num_classes)
        submit_preflight(workbench, dataset_id, config, want, actor="ann")
        job = attempts.claim(workbench.database, ["preflight"], "trial")
        return job, JobControl(workbench, job)

    return start


@pytest.mark.parametrize("num_classes", [2, 3])
def test_everything_that_can_be_found_out_is_found_out(workbench, start, num_classes):
    job, control = start(WANTS, num_classes=num_classes)
    status, result = run_preflight(workbench, job, control)
    assert status == "completed"
    assert set(result) == set(WANTS)
    assert json.loads(json.dumps(result)) == result
    assert len(result["overfit"]["losses"]) == 12
    rates = result["rates"]["rates"]
    assert rates == sorted(rates) and len(rates) == len(result["rates"]["losses"])
    assert result["speed"]["fits"] is True
    assert result["speed"]["steps_per_epoch"] == 2


def test_pictures_show_each_pair_as_it_is_and_as_it_is_changed(workbench, start):
    job, control = start(["pictures"], {"augment": "medium", "border_weight": 10.0})
    _, result = run_preflight(workbench, job, control)
    assert set(result) == {"pictures"}
    pictures = result["pictures"]
    assert len(pictures["weights"]) == len(pictures["files"]) >= 1
    folder = workbench.files.path(f"preflights/{job.id}/pictures")
    named = {*pictures["weights"], *(name for names in pictures["files"] for name in names)}
    assert {path.name for path in folder.iterdir()} == named
    for names in pictures["files"]:
        first, *changed = [np.asarray(Image.open(folder / name)) for name in names]
        assert first.shape == (16, 16, 3)
        assert len(changed) == 3
        assert all((first != each).any() for each in changed)


def test_stopped_preflight_has_no_result(workbench, start):
    job, control = start(["overfit"])
    jobs.request_stop(workbench.database, job.id, actor="ann")
    with pytest.raises(Stopped):
        run_preflight(workbench, job, control)


def test_preflight_leaves_no_run_and_no_checkpoint(workbench, start):
    job, control = start(["speed"])
    run_preflight(workbench, job, control)
    assert not workbench.files.path("runs").exists()
