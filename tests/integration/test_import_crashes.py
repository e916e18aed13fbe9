"""An import that is killed, or meets a full disk, leaves no half dataset and loses no upload."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.datasets.plan import parse_plan
from engine.datasets.toy import write_toy_zip
from engine.jobs import imports
from engine.store import datasets, drafts
from engine.store.database import new_id
from engine.store.drafts import Draft
from tests.integration.support import PROJECT, LiveHome, wait_until


def add_draft(home: LiveHome, num_samples: int) -> str:
    """A toy archive on the way in, waiting to be looked into."""
    draft_id = new_id()
    source = f"{imports.draft_folder(draft_id)}/toy.zip"
    with home.workbench.files.writing(source) as path:
        write_toy_zip(path, num_samples=num_samples, size_px=64)
    drafts.add(
        home.database,
        draft_id=draft_id,
        name="toy",
        source=source,
        kind="inspect",
        actor="test",
    )
    return draft_id


def ended(home: LiveHome, draft_id: str) -> Draft:
    wait_until(lambda: not drafts.get(home.database, draft_id).job.is_live, "the job's end")
    return drafts.get(home.database, draft_id)


def staged(home: LiveHome) -> list[str]:
    """Everything below `datasets/`, temporary folders too."""
    return sorted(path.name for path in home.path.joinpath("datasets").glob("*"))


def test_import_that_is_killed_leaves_no_dataset_and_can_be_repeated(live_home: LiveHome) -> None:
    live_home.start_worker()
    draft_id = add_draft(live_home, num_samples=400)
    draft = ended(live_home, draft_id)
    assert draft.job.status == "completed", draft.job.error
    plan = parse_plan(draft.plan or {})
    imports.submit_plan(live_home.workbench, draft_id, plan, name="toy", actor="test")

    def is_writing() -> bool:
        job = drafts.get(live_home.database, draft_id).job
        assert job.is_live, f"{job.status} too early: {job.error}"
        return job.phase == "writing" and job.progress > 0.05

    wait_until(is_writing, "the import to write")
    assert staged(live_home) != []
    handle = drafts.get(live_home.database, draft_id).job.handle
    assert handle is not None
    os.kill(handle["pid"], signal.SIGKILL)
    draft = ended(live_home, draft_id)
    assert draft.job.status == "failed"
    assert draft.job.error is not None and draft.job.error["type"] == "ProcessDied"
    wait_until(lambda: staged(live_home) == [], "the half-written folder to be swept")
    assert datasets.all_newest_first(live_home.database) == []

    imports.submit_plan(live_home.workbench, draft_id, plan, name="toy", actor="test")
    wait_until(lambda: datasets.all_newest_first(live_home.database) != [], "the second try")
    wait_until(lambda: drafts.all_newest_first(live_home.database) == [], "the draft to go")
    [dataset] = datasets.all_newest_first(live_home.database)
    assert dataset.num_samples == 400
    assert staged(live_home) == [dataset.id]


def test_import_that_is_stopped_leaves_the_draft(live_home: LiveHome) -> None:
    live_home.start_worker()
    draft_id = add_draft(live_home, num_samples=400)
    plan = parse_plan(ended(live_home, draft_id).plan or {})
    imports.submit_plan(live_home.workbench, draft_id, plan, name="toy", actor="test")
    wait_until(
        lambda: drafts.get(live_home.database, draft_id).job.progress > 0.05, "the import to begin"
    )
    imports.stop_draft(live_home.workbench, draft_id, actor="test")
    draft = ended(live_home, draft_id)
    assert (draft.job.status, draft.job.error) == ("stopped", None)
    assert staged(live_home) == []
    assert live_home.workbench.files.path(draft.source).exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own with 6 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting needs rights that this user has not")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_full_disk_is_said_and_leaves_no_dataset(small_disk: Path, tmp_path: Path) -> None:
    write_toy_zip(tmp_path / "toy.zip", num_samples=120, size_px=256)
    failed = subprocess.run(
        [sys.executable, "-m", "engine", "import", str(tmp_path / "toy.zip")],
        cwd=PROJECT,
        env=os.environ | {"WORKBENCH_HOME": str(small_disk / "home")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert failed.returncode == 1
    assert "No space left on device" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert list((small_disk / "home" / "datasets").glob("*")) == []
