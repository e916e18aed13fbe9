"""What nobody will come back for goes; what somebody may need stays."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from engine import uploads
from engine.jobs import imports, sweeping
from engine.jobs.sweeping import sweep
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
