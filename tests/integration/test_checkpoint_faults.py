"""Checkpoints that are damaged, of another version, or lost with the power."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from engine.errors import WorkbenchError
from engine.jobs.control import resume_run, stop_run
from engine.store import epochs
from tests.integration.faulty import beside, load_faults
from tests.integration.support import LASTING, TINY

NUM_EPOCHS = LASTING["epochs"]


def paused(home, at_epoch=20):
    """A run that stands in the middle, and the folder of its checkpoints."""
    run_id = home.train(LASTING)
    home.wait_for_epoch(run_id, at_epoch)
    stop_run(home.workbench, run_id, wish="pause", actor="test")
    run = home.wait_for_end(run_id)
    assert run.status == "stopped"
    return run, home.path / "runs" / run_id / "checkpoints"


def curve(home, run_id):
    return [(each.train_loss, each.val_loss) for each in epochs.of_run(home.database, run_id)]


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, os.unlink], ids=["truncated", "bit flipped", "gone"])
def test_run_goes_on_from_the_checkpoint_before_a_damaged_one(live_home, damage):
    live_home.start_worker()
    run, folder = paused(live_home)
    damage(folder / "last.pt")
    resume_run(live_home.workbench, run.id, actor="test")
    run = live_home.assert_whole(run.id, NUM_EPOCHS)
    log = live_home.path.joinpath("logs", f"{run.job.id}.txt").read_text()
    assert "previous" in log
    undisturbed = live_home.train_alike(run.id)
    live_home.assert_whole(undisturbed, NUM_EPOCHS)
    assert curve(live_home, run.id) == curve(live_home, undisturbed)


def test_run_without_any_sound_checkpoint_says_so_and_keeps_its_records(live_home):
    live_home.start_worker()
    run, folder = paused(live_home)
    for name in ("last.pt", "previous.pt"):
        flip(folder / name)
    before = curve(live_home, run.id)
    resume_run(live_home.workbench, run.id, actor="test")
    run = live_home.wait_for_end(run.id)
    assert (run.status, run.job.error["type"]) == ("failed", "BadData")
    assert curve(live_home, run.id) == before
    log = live_home.path.joinpath("logs", f"{run.job.id}.txt").read_text()
    assert "Traceback" not in log


def test_checkpoint_of_a_newer_version_is_refused_with_a_sentence(live_home):
    from engine.training import checkpoint

    live_home.start_worker()
    run, folder = paused(live_home)
    before = checkpoint.STATE_FORMAT
    try:
        checkpoint.STATE_FORMAT = before + 1
        checkpoint.save_state(
            live_home.workbench.files, f"runs/{run.id}/checkpoints/last.pt", {"x": torch.zeros(1)}
        )
    finally:
        checkpoint.STATE_FORMAT = before
    resume_run(live_home.workbench, run.id, actor="test")
    run = live_home.wait_for_end(run.id)
    assert run.status == "failed"
    sentence = str(WorkbenchError(run.job.error["message"], **run.job.error["facts"]))
    assert f"format {before + 1}" in sentence
    assert folder.joinpath("last.pt").exists()


def after_power_loss(journal: Path, folder: Path) -> None:
    """Make a folder what the disk holds of it when everything that was not synced is gone."""
    shutil.rmtree(folder)
    folder.mkdir()
    contents: dict[str, str] = {}
    names: dict[str, str | None] = {}
    for line in journal.read_text().splitlines():
        what, *paths = json.loads(line)
        if what == "sync":
            contents[paths[0]] = paths[1]
        elif what == "rename" and Path(paths[1]).parent == folder:
            # The name is new, the content is what was synced under the old one.
            names[paths[1]] = contents.pop(paths[0], None)
            if paths[0] in names:
                names[paths[1]] = names[paths[0]]
                names[paths[0]] = "gone"
        elif what == "sync folder" and Path(paths[0]) == folder:
            for name, content in names.items():
                if content == "gone":
                    Path(name).unlink(missing_ok=True)
                elif content is None:
                    Path(name).write_bytes(b"")
                else:
                    shutil.copy(content, name)


def test_run_survives_that_everything_unsynced_is_lost(live_home):
    load_faults(live_home)
    journal = beside(live_home, "journal")
    live_home.environment["JOURNAL"] = str(journal)
    worker = live_home.start_worker()
    run_id = live_home.train(LASTING)
    run = live_home.wait_for_epoch(run_id, 30)
    worker.kill()
    worker.wait(10)
    os.kill(run.job.handle["pid"], signal.SIGKILL)
    folder = live_home.path / "runs" / run_id / "checkpoints"
    after_power_loss(journal, folder)
    assert {"last.pt", "best.safetensors"} <= {path.name for path in folder.iterdir()}
    assert all(path.stat().st_size for path in folder.iterdir())
    live_home.start_worker()
    live_home.assert_whole(run_id, NUM_EPOCHS)


def test_a_finished_run_is_trained_further(live_home):
    live_home.start_worker()
    run_id = live_home.train(TINY)
    live_home.assert_whole(run_id, TINY["epochs"])
    resume_run(live_home.workbench, run_id, more=3, actor="test")
    run = live_home.assert_whole(run_id, TINY["epochs"] + 3)
    assert run.config.schedule.epochs == TINY["epochs"] + 3
