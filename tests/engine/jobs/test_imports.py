"""Wishes about datasets: drafts that survive failures, and nothing lost or left behind."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from engine import uploads
from engine.config import SplitConfig
from engine.datasets.plan import ImportPlan, PairingPlan, parse_plan
from engine.datasets.toy import write_toy_zip
from engine.datasets.versions import Change
from engine.errors import BadData, BadInput, NotFound, Refused
from engine.jobs import imports
from engine.jobs.import_task import run_derivation, run_import, run_inspection
from engine.jobs.process import JobControl
from engine.store import attempts, datasets, drafts, jobs
from engine.store.jobs import Job
from engine.workbench import Workbench

TASKS = {"inspect": run_inspection, "import": run_import, "derive": run_derivation}


def execute(workbench: Workbench, job: Job) -> dict[str, Any]:
    """Carry a queued job out in this process, as its process would."""
    claimed = attempts.claim(workbench.database, [job.kind], "light")
    assert claimed is not None and claimed.id == job.id
    try:
        _, result = TASKS[job.kind](workbench, claimed, JobControl(workbench, claimed))
    except Exception:
        attempts.finish(workbench.database, claimed, "failed")
        raise
    attempts.finish(workbench.database, claimed, "completed", result=result)
    assert result is not None
    return result


def toy_bytes(folder: Path, **options: Any) -> bytes:
    path = folder / "toy.zip"
    write_toy_zip(path, **({"num_samples": 8, "size_px": 24} | options))
    return path.read_bytes()


def upload(workbench: Workbench, content: bytes, name: str = "toy.zip", actor: str = "ann") -> str:
    """Send a file; the id of the upload."""
    sent = uploads.open_upload(workbench, name, len(content), actor=actor)
    digest = hashlib.sha256(content)
    uploads.append(workbench, sent.id, 0, content, digest.hexdigest(), actor=actor)
    whole = hashlib.sha256(digest.digest()).hexdigest()
    return uploads.finish(workbench, sent.id, whole, actor=actor).id


def kept_files(workbench: Workbench) -> list[str]:
    """What is left of uploads and drafts."""
    root = workbench.files.root
    return [
        str(path.relative_to(root))
        for folder in ("uploads", "drafts")
        for path in root.glob(f"{folder}/*")
    ]


@pytest.fixture
def draft(workbench: Workbench, tmp_path: Path) -> str:
    """A toy archive that was uploaded and looked into."""
    draft_id = imports.submit_upload(workbench, upload(workbench, toy_bytes(tmp_path)), actor="ann")
    execute(workbench, drafts.get(workbench.database, draft_id).job)
    return draft_id


def plan_of(workbench: Workbench, draft_id: str) -> ImportPlan:
    return parse_plan(drafts.get(workbench.database, draft_id).plan or {})


def test_upload_is_looked_into_imported_and_then_gone(workbench: Workbench, draft: str) -> None:
    plan = plan_of(workbench, draft)
    assert plan.masks is not None and len(plan.masks.classes) == 3
    assert datasets.all_newest_first(workbench.database) == []
    job_id = imports.submit_plan(workbench, draft, plan, name=" shapes ", actor="bob")
    result = execute(workbench, jobs.get(workbench.database, job_id))
    dataset = datasets.get(workbench.database, result["dataset"])
    assert (dataset.name, dataset.actor, dataset.num_samples) == ("shapes", "bob", 8)
    assert parse_plan(dataset.plan or {}) == plan
    assert drafts.all_newest_first(workbench.database) == []
    assert kept_files(workbench) == []
    with pytest.raises(NotFound):
        imports.submit_plan(workbench, draft, plan, name="again", actor="bob")


def test_plan_that_a_person_corrected_is_the_one_that_is_carried_out(
    workbench: Workbench, draft: str
) -> None:
    plan = plan_of(workbench, draft)
    assert plan.masks is not None
    background, circle, rectangle = plan.masks.classes
    merged = rectangle.model_copy(update={"name": circle.name, "color": circle.color})
    masks = plan.masks.model_copy(update={"classes": (background, circle, merged)})
    split = SplitConfig(split_method="k_fold", num_folds=2)
    corrected = plan.model_copy(update={"masks": masks, "split": split})
    job_id = imports.submit_plan(workbench, draft, corrected, name="x", actor="ann")
    result = execute(workbench, jobs.get(workbench.database, job_id))
    dataset = datasets.get(workbench.database, result["dataset"])
    assert [entry.name for entry in dataset.classes] == [background.name, circle.name]
    samples = datasets.samples(workbench.database, dataset.id)
    assert {sample.fold for sample in samples if sample.split != "test"} == {1, 2}


def test_import_that_fails_keeps_the_draft_and_the_upload(workbench: Workbench, draft: str) -> None:
    plan = plan_of(workbench, draft)
    assert plan.masks is not None
    only_circles = plan.masks.model_copy(update={"classes": plan.masks.classes[:2]})
    wrong = plan.model_copy(update={"masks": only_circles})
    before = kept_files(workbench)
    job_id = imports.submit_plan(workbench, draft, wrong, name="x", actor="ann")
    with pytest.raises(BadData, match="None of the 8 pairs can be used"):
        execute(workbench, jobs.get(workbench.database, job_id))
    assert kept_files(workbench) == before
    assert list(workbench.files.path("datasets").iterdir()) == []
    job_id = imports.submit_plan(workbench, draft, plan, name="x", actor="ann")
    assert execute(workbench, jobs.get(workbench.database, job_id))["dataset"]


def test_names_are_kept_where_nothing_pairs_so_that_a_person_can_say_how(
    workbench: Workbench, tmp_path: Path
) -> None:
    path = tmp_path / "odd.zip"
    write_toy_zip(path, num_samples=8, size_px=24)
    content = path.read_bytes().replace(b"images/", b"qwerty/").replace(b"masks/", b"zxcvb/")
    content = content.replace(b"zxcvb/0", b"zxcvb/9")
    draft_id = imports.submit_upload(workbench, upload(workbench, content), actor="ann")
    with pytest.raises(BadInput):
        execute(workbench, drafts.get(workbench.database, draft_id).job)
    assert workbench.files.path(imports.names_key(draft_id)).exists()
    assert not workbench.files.path(imports.inspection_key(draft_id)).exists()
    patterns = PairingPlan(image_pattern="qwerty/0{id}.png", mask_pattern="zxcvb/9{id}.png")
    job_id = imports.submit_inspection(
        workbench, draft_id, ImportPlan(pairing=patterns), actor="ann"
    )
    execute(workbench, jobs.get(workbench.database, job_id))
    plan = plan_of(workbench, draft_id)
    assert plan.pairing == patterns and plan.masks is not None


def test_another_look_learns_the_masks_anew_and_keeps_the_other_choices(
    workbench: Workbench, draft: str
) -> None:
    plan = plan_of(workbench, draft)
    split = SplitConfig(split_method="stratified", val_share=0.3)
    drafts.set_plan(
        workbench.database,
        draft,
        plan.model_copy(update={"split": split}).to_dict(),
    )
    patterns = PairingPlan(image_pattern="images/{id}.png", mask_pattern="masks/{id}.png")
    wished = plan.model_copy(update={"split": split, "pairing": patterns, "masks": None})
    job_id = imports.submit_inspection(workbench, draft, wished, actor="ann")
    execute(workbench, jobs.get(workbench.database, job_id))
    after = plan_of(workbench, draft)
    assert (after.split, after.pairing) == (split, patterns)
    assert after.masks is not None


def test_upload_becomes_one_draft_however_often_it_is_reported(
    workbench: Workbench, tmp_path: Path
) -> None:
    upload_id = upload(workbench, toy_bytes(tmp_path))
    first = imports.submit_upload(workbench, upload_id, actor="ann")
    assert imports.submit_upload(workbench, upload_id, actor="ann") == first
    assert len(drafts.all_newest_first(workbench.database)) == 1
    with pytest.raises(NotFound):
        imports.submit_upload(workbench, upload_id, actor="bob")


def test_upload_that_has_not_arrived_is_no_draft(workbench: Workbench) -> None:
    begun = uploads.open_upload(workbench, "a.zip", 100, actor="ann")
    with pytest.raises(Refused, match=r"“a\.zip” has not arrived completely"):
        imports.submit_upload(workbench, begun.id, actor="ann")
    assert drafts.all_newest_first(workbench.database) == []


def test_discarded_draft_leaves_nothing_and_one_at_work_is_not_discarded(
    workbench: Workbench, draft: str
) -> None:
    job_id = imports.submit_plan(workbench, draft, plan_of(workbench, draft), name="x", actor="ann")
    with pytest.raises(Refused, match="Stop it first"):
        imports.discard_draft(workbench, draft, actor="ann")
    imports.stop_draft(workbench, draft, actor="ann")
    assert jobs.get(workbench.database, job_id).status == "stopped"
    imports.discard_draft(workbench, draft, actor="bob")
    assert kept_files(workbench) == []
    assert uploads.of_actor(workbench, "ann") == []
    with pytest.raises(NotFound):
        imports.discard_draft(workbench, draft, actor="ann")


def test_toy_is_imported_at_once_and_leaves_no_draft(workbench: Workbench) -> None:
    job_id = imports.submit_toy(workbench, "toy", actor="ann")
    result = execute(workbench, jobs.get(workbench.database, job_id))
    assert datasets.get(workbench.database, result["dataset"]).name == "toy"
    assert kept_files(workbench) == []


def test_folder_on_the_server_is_imported_and_stays(
    workbench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    write_toy_zip(shelf / "scans.zip", num_samples=8, size_px=24)
    with pytest.raises(Refused):
        imports.submit_server_path(workbench, str(shelf / "scans.zip"), actor="ann")
    object.__setattr__(workbench.settings, "import_roots", (shelf,))
    draft_id = imports.submit_server_path(workbench, str(shelf / "scans.zip"), actor="ann")
    assert drafts.get(workbench.database, draft_id).name == "scans"
    execute(workbench, drafts.get(workbench.database, draft_id).job)
    job_id = imports.submit_plan(
        workbench, draft_id, plan_of(workbench, draft_id), name="scans", actor="ann"
    )
    execute(workbench, jobs.get(workbench.database, job_id))
    assert (shelf / "scans.zip").exists()
    assert kept_files(workbench) == []


def test_version_is_made_by_a_job(workbench: Workbench, draft: str) -> None:
    plan = plan_of(workbench, draft)
    job_id = imports.submit_plan(workbench, draft, plan, name="x", actor="ann")
    parent = execute(workbench, jobs.get(workbench.database, job_id))["dataset"]
    job_id = imports.submit_change(
        workbench, parent, Change(leave_out=(0,)), name="x v2", actor="bob"
    )
    child = execute(workbench, jobs.get(workbench.database, job_id))["dataset"]
    assert datasets.get(workbench.database, child).parent_id == parent
    assert datasets.get(workbench.database, child).num_samples == 7
    with pytest.raises(BadInput, match="1 to 200"):
        imports.submit_change(workbench, parent, Change(leave_out=(0,)), name=" ", actor="bob")
    with pytest.raises(NotFound):
        imports.submit_change(workbench, "none", Change(leave_out=(0,)), name="x", actor="bob")


def test_what_people_say_of_a_dataset_is_tidied(workbench: Workbench, add_dataset: Any) -> None:
    dataset_id = add_dataset()
    imports.describe_dataset(
        workbench,
        dataset_id,
        name=" cells ",
        tags=[" a ", "a", "", "b" * 100],
        notes="n" * 20_000,
        actor="ann",
    )
    dataset = datasets.get(workbench.database, dataset_id)
    assert (dataset.name, dataset.tags) == ("cells", ("a", "b" * 40))
    assert len(dataset.notes) == 10_000
    with pytest.raises(BadInput):
        imports.describe_dataset(workbench, dataset_id, name="", tags=[], notes="", actor="ann")


def test_deleted_dataset_takes_its_files_along(workbench: Workbench, add_dataset: Any) -> None:
    gone, kept = add_dataset(), add_dataset()
    imports.delete_dataset(workbench, gone, actor="ann")
    assert not workbench.files.path(f"datasets/{gone}").exists()
    assert workbench.files.path(f"datasets/{kept}/images").exists()
    with pytest.raises(NotFound):
        imports.delete_dataset(workbench, gone, actor="ann")
