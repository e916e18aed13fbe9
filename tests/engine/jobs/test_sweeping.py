"""What nobody will come back for goes; what somebody may need stays."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from engine import uploads
from engine.errors import NotFound
from engine.jobs import imports, sweeping
from engine.jobs.logs import log_key
from engine.jobs.sweeping import sweep
from engine.store import jobs
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
    orphans = [folder(workbench, "datasets/0a1b2c3d"), folder(workbench, "drafts/0a1b2c3d")]
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


def preflight(workbench: Workbench) -> tuple[str, list[Path]]:
    """A preflight that has ended, with all it left."""
    job_id = jobs.add(workbench.database, "preflight", {}, actor="ann")
    assert jobs.claim(workbench.database, "preflight")
    jobs.finish(workbench.database, job_id, "completed", result={})
    log = workbench.files.path(log_key(job_id))
    log.parent.mkdir(exist_ok=True)
    log.write_text("done")
    return job_id, [folder(workbench, f"preflights/{job_id}"), log]


def test_preflight_goes_a_day_after_its_end_and_nothing_else_does(
    workbench: Workbench, later: Any
) -> None:
    old_id, old_paths = preflight(workbench)
    training = jobs.add(workbench.database, "train", {}, actor="ann")
    assert jobs.claim(workbench.database, "train")
    jobs.finish(workbench.database, training, "failed")
    waiting = jobs.add(workbench.database, "preflight", {}, actor="ann")
    sweep(workbench, actor="server")
    assert all(path.exists() for path in old_paths)
    assert jobs.get(workbench.database, old_id).status == "completed"
    later(sweeping.PREFLIGHT_SECONDS + 60)
    assert jobs.claim(workbench.database, "preflight")
    kept = folder(workbench, f"preflights/{waiting}")
    sweep(workbench, actor="server")
    assert not any(path.exists() for path in old_paths)
    with pytest.raises(NotFound):
        jobs.get(workbench.database, old_id)
    assert kept.exists()
    assert jobs.get(workbench.database, waiting).status == "running"
    assert jobs.get(workbench.database, training).status == "failed"
