"""What nobody will come back for goes; what somebody may need stays."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from engine import uploads
from engine.config import recipe
from engine.errors import NotFound
from engine.jobs import imports, sweeping
from engine.jobs.logs import log_key
from engine.jobs.queue import submit_training
from engine.jobs.sweeping import sweep
from engine.store import attempts, jobs
from engine.store.jobs import Job, JobKind, JobStatus
from engine.workbench import Workbench


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`later(seconds)`: so much time passes."""
    now = sweeping.time.time

    def pass_time(seconds: float) -> None:
        monkeypatch.setattr(sweeping.time, "time", lambda: now() + seconds)

    return pass_time


def folder(workbench: Workbench, key: str) -> Path:
    path = workbench.files.path(key)
    path.mkdir(parents=True)
    (path / "file").write_bytes(b"x")
    return path


def arrived(workbench: Workbench, name: str) -> str:
    content = b"content of " + name.encode()
    upload = uploads.open_upload(workbench, name, len(content), actor="ann")
    digest = hashlib.sha256(content)
    uploads.append(workbench, upload.id, 0, content, digest.hexdigest(), actor="ann")
    whole = hashlib.sha256(digest.digest()).hexdigest()
    return uploads.finish(workbench, upload.id, whole, actor="ann").id


def test_folder_whose_row_was_never_written_goes_after_a_while(
    workbench: Workbench, add_dataset: Any, later: Any
) -> None:
    kept = workbench.files.path(f"datasets/{add_dataset()}")
    orphans = [folder(workbench, f"{kind}/0a1b2c3d") for kind in ("datasets", "drafts", "runs")]
    foreign = folder(workbench, "datasets/my backup")
    sweep(workbench, actor="server")
    assert all(path.exists() for path in orphans), "its row may be about to be written"
    later(sweeping.ORPHAN_SECONDS + 60)
    sweep(workbench, actor="server")
    assert not any(path.exists() for path in orphans)
    assert kept.exists() and foreign.exists()


def test_upload_that_became_no_draft_goes_after_a_week_and_others_stay(
    workbench: Workbench, later: Any
) -> None:
    lost, used = arrived(workbench, "lost.zip"), arrived(workbench, "used.zip")
    draft_id = imports.submit_upload(workbench, used, actor="ann")
    later(uploads.STALE_SECONDS + 60)
    sweep(workbench, actor="server")
    assert not workbench.files.path(f"uploads/{lost}").exists()
    assert workbench.files.path(f"uploads/{used}/used.zip").exists()
    imports.stop_draft(workbench, draft_id, actor="ann")
    imports.discard_draft(workbench, draft_id, actor="ann")
    assert not workbench.files.path(f"uploads/{used}").exists()


def claimed(workbench: Workbench, kind: JobKind) -> Job:
    """The next job of a kind, at work."""
    job = attempts.claim(workbench.database, (kind,), "cpu")
    assert job is not None
    return job


def finish(workbench: Workbench, job: Job, status: JobStatus) -> None:
    assert attempts.finish(workbench.database, job, status)


def preflight(workbench: Workbench) -> tuple[str, list[Path]]:
    """A preflight that has ended, with all it left."""
    job_id = jobs.add(workbench.database, "preflight", {}, actor="ann")
    finish(workbench, claimed(workbench, "preflight"), "completed")
    log = workbench.files.path(log_key(job_id))
    log.parent.mkdir(exist_ok=True)
    log.write_text("done")
    return job_id, [folder(workbench, f"preflights/{job_id}"), log]


def test_preflight_goes_a_day_after_its_end_and_nothing_else_does(
    workbench: Workbench, later: Any
) -> None:
    old_id, old_paths = preflight(workbench)
    training = jobs.add(workbench.database, "train", {}, actor="ann")
    finish(workbench, claimed(workbench, "train"), "failed")
    payload = {"dataset": "0a1b2c3d", "config": recipe("quick").to_dict(), "want": ["speed"]}
    waiting = jobs.add(workbench.database, "preflight", payload, actor="ann")
    sweep(workbench, actor="server")
    assert all(path.exists() for path in old_paths)
    assert jobs.get(workbench.database, old_id).status == "completed"
    later(sweeping.PREFLIGHT_SECONDS + 60)
    assert claimed(workbench, "preflight").id == waiting
    kept = folder(workbench, f"preflights/{waiting}")
    sweep(workbench, actor="server")
    assert not any(path.exists() for path in old_paths)
    with pytest.raises(NotFound):
        jobs.get(workbench.database, old_id)
    assert kept.exists()
    assert jobs.get(workbench.database, waiting).status == "running"
    assert jobs.get(workbench.database, training).status == "failed"


def test_log_goes_a_while_after_its_job_is_forgotten(workbench: Workbench, later: Any) -> None:
    known = jobs.add(workbench.database, "train", {}, actor="ann")
    logs = {
        name: workbench.files.path(f"logs/{name}.txt") for name in (known, "0a1b2c3d", "worker")
    }
    for path in logs.values():
        path.parent.mkdir(exist_ok=True)
        path.write_text("done")
    sweep(workbench, actor="server")
    assert all(path.exists() for path in logs.values())
    later(sweeping.ORPHAN_SECONDS + 60)
    sweep(workbench, actor="server")
    assert {name for name, path in logs.items() if path.exists()} == {known, "worker"}


def test_database_without_anything_in_it_lets_all_folders_be(
    workbench: Workbench, later: Any
) -> None:
    found = [folder(workbench, "datasets/0a1b2c3d"), folder(workbench, "runs/0a1b2c3d")]
    later(sweeping.ORPHAN_SECONDS + 60)
    sweep(workbench, actor="server")
    assert all(path.exists() for path in found)


def test_training_state_past_its_time_goes(
    workbench: Workbench, add_dataset: Any, later: Any
) -> None:
    run_id = submit_training(workbench, add_dataset(), recipe("quick"), actor="ann")
    state = folder(workbench, f"runs/{run_id}/checkpoints") / "last.pt"
    state.write_bytes(b"x")
    finish(workbench, claimed(workbench, "train"), "completed")
    days = workbench.settings.keep_states_days
    later(86_400 * (days - 1))
    sweep(workbench, actor="server")
    assert state.exists()
    later(86_400 * (days + 1))
    sweep(workbench, actor="server")
    assert not state.exists()
    assert state.with_name("file").exists()


def test_what_cannot_be_removed_keeps_nothing_else(
    workbench: Workbench, add_dataset: Any, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_dataset()
    preflight(workbench)
    orphan = folder(workbench, "datasets/0a1b2c3d")
    remove = workbench.files.remove

    def refuse_preflights(key: str) -> None:
        if key.startswith("preflights"):
            raise PermissionError(13, "Permission denied")
        remove(key)

    monkeypatch.setattr(workbench.files, "remove", refuse_preflights)
    later(sweeping.PREFLIGHT_SECONDS + 60)
    sweep(workbench, actor="server")
    assert not orphan.exists()


def test_sweeping_goes_on_where_a_folder_vanishes_under_it(
    workbench: Workbench, add_dataset: Any, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_dataset()
    first, second = folder(workbench, "datasets/0a1b2c3d"), folder(workbench, "runs/0a1b2c3d")
    remove = workbench.files.remove

    def remove_too_late(key: str) -> None:
        remove(key)
        if key == "datasets/0a1b2c3d":
            raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(workbench.files, "remove", remove_too_late)
    later(sweeping.ORPHAN_SECONDS + 60)
    sweep(workbench, actor="server")
    assert not first.exists() and not second.exists()
