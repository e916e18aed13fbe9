"""Wishes about datasets as rows: bring one in, correct its plan, import it, correct or delete it.

    submit_upload / submit_server_path → inspection → a person looks at the plan →
    submit_plan → the import → the dataset; the draft is gone

Each function takes the acting user as `actor`.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from engine import uploads
from engine.datasets.importer import check_name, name_of_file
from engine.datasets.plan import ImportPlan
from engine.datasets.toy import write_toy_zip
from engine.datasets.versions import Change
from engine.errors import NotFound, Refused
from engine.jobs.daemon import ensure_worker
from engine.store import datasets, drafts, jobs
from engine.store.database import new_id
from engine.store.drafts import Draft
from engine.workbench import Workbench

MAX_TAGS, MAX_TAG_CHARS = 20, 40
MAX_NOTES_CHARS = 10_000


def submit_upload(workbench: Workbench, upload_id: str, *, actor: str) -> str:
    """Queue the inspection of an archive that has arrived; returns the draft's id.

    Asked again for the same upload, it returns the same draft.

    Raises:
        NotFound: the actor has no such upload.
        Refused: it has not arrived completely.
    """
    upload = uploads.find(workbench, upload_id, actor=actor)
    if not uploads.is_finished(workbench, upload):
        raise Refused("“{name}” has not arrived completely. Go on with it.", name=upload.file_name)
    source = uploads.key_of(upload)
    known = drafts.with_source(workbench.database, source)
    return known[0].id if known else _add_draft(workbench, upload.file_name, source, actor)


def submit_server_path(workbench: Workbench, path: str, *, actor: str) -> str:
    """Queue the inspection of an archive or folder on the server; returns the draft's id.

    Raises:
        Refused: it does not lie in one of the folders that may be imported from.
    """
    found = uploads.server_path(workbench.settings, path)
    return _add_draft(workbench, found.name, str(found), actor)


def submit_toy(workbench: Workbench, name: str, *, actor: str) -> str:
    """Queue the import of a generated dataset; returns the job's id."""
    draft_id = new_id()
    source = f"{draft_folder(draft_id)}/toy.zip"
    with workbench.files.writing(source) as path:
        write_toy_zip(path)
    job_id = drafts.add(
        workbench.database,
        draft_id=draft_id,
        name=name,
        source=source,
        kind="import",
        actor=actor,
    )
    ensure_worker(workbench)
    return job_id


def submit_inspection(workbench: Workbench, draft_id: str, plan: ImportPlan, *, actor: str) -> str:
    """Queue another look at a draft's archive, under another pairing; returns the job's id.

    The meaning of the masks is learned anew.

    Raises:
        NotFound: there is no such draft.
        Refused: it is being worked on.
    """
    draft = drafts.get(workbench.database, draft_id)
    return _submit(workbench, draft, "inspect", draft.name, plan, actor)


def submit_plan(
    workbench: Workbench, draft_id: str, plan: ImportPlan, *, name: str, actor: str
) -> str:
    """Queue a draft's import under a plan; returns the job's id.

    Raises:
        BadInput: the name is empty or too long.
        NotFound: there is no such draft.
        Refused: it is being worked on.
    """
    check_name(name)
    draft = drafts.get(workbench.database, draft_id)
    return _submit(workbench, draft, "import", name.strip(), plan, actor)


def stop_draft(workbench: Workbench, draft_id: str, *, actor: str) -> None:
    """Ask the work on a draft to stop; the draft stays.

    Raises:
        NotFound: there is no such draft.
        Refused: nothing is being done with it.
    """
    draft = drafts.get(workbench.database, draft_id)
    jobs.request_stop(workbench.database, draft.job.id, actor=actor)


def discard_draft(workbench: Workbench, draft_id: str, *, actor: str) -> None:
    """Forget a draft and remove its upload.

    Raises:
        NotFound: there is no such draft.
        Refused: it is being worked on.
    """
    draft = drafts.get(workbench.database, draft_id)
    if draft.job.is_live:
        raise Refused("It is being worked on. Stop it first.")
    forget_draft(workbench, draft)


def forget_draft(workbench: Workbench, draft: Draft) -> None:
    """Remove a draft with everything that was kept for it; a folder on the server stays."""
    drafts.delete(workbench.database, draft.id)
    workbench.files.remove(draft_folder(draft.id))
    folder, upload_id, *_ = PurePosixPath(draft.source).parts
    if folder == "uploads":
        # The upload is its owner's, whoever imported it.
        with suppress(NotFound):
            uploads.discard(workbench, upload_id, actor=draft.actor)


def submit_change(
    workbench: Workbench, dataset_id: str, change: Change, *, name: str, actor: str
) -> str:
    """Queue the making of a corrected version of a dataset; returns the job's id.

    Raises:
        BadInput: the name is empty or too long.
        NotFound: there is no such dataset.
    """
    check_name(name)
    dataset = datasets.get(workbench.database, dataset_id)
    payload = {"dataset": dataset.id, "change": change.to_dict(), "name": name.strip()}
    job_id = jobs.add(workbench.database, "derive", payload, actor=actor)
    ensure_worker(workbench)
    return job_id


def kept_tags(tags: Sequence[str]) -> list[str]:
    """Tags as they are kept: each once, without blanks around it, not too long and not too many."""
    kept = dict.fromkeys(tag.strip()[:MAX_TAG_CHARS] for tag in tags if tag.strip())
    return list(kept)[:MAX_TAGS]


def describe_dataset(
    workbench: Workbench,
    dataset_id: str,
    *,
    name: str,
    tags: Sequence[str],
    notes: str,
    actor: str,
) -> None:
    """Rename a dataset, and say something about it.

    Raises:
        BadInput: the name is empty or too long.
        NotFound: there is no such dataset.
    """
    check_name(name)
    datasets.describe(
        workbench.database,
        dataset_id,
        name=name.strip(),
        tags=kept_tags(tags),
        notes=notes[:MAX_NOTES_CHARS],
        actor=actor,
    )


def delete_dataset(workbench: Workbench, dataset_id: str, *, actor: str) -> None:
    """Delete a dataset with its files.

    Raises:
        NotFound: there is no such dataset.
        Refused: runs use it.
    """
    datasets.delete(workbench.database, dataset_id, actor=actor)
    workbench.files.remove(f"datasets/{dataset_id}")


def source_path(workbench: Workbench, draft: Draft) -> Path:
    """Where a draft's archive lies.

    Raises:
        Refused: it is a folder on the server that may no longer be imported from.
    """
    if draft.source.startswith("/"):
        return uploads.server_path(workbench.settings, draft.source)
    return workbench.files.path(draft.source)


def draft_folder(draft_id: str) -> str:
    """Key of the folder that holds what is kept for a draft."""
    return f"drafts/{draft_id}"


def names_key(draft_id: str) -> str:
    """Key of the file with the names in the archive, there as soon as it could be opened."""
    return f"{draft_folder(draft_id)}/names.json"


def inspection_key(draft_id: str) -> str:
    """Key of the file with what the inspection found."""
    return f"{draft_folder(draft_id)}/inspection.json"


def _add_draft(workbench: Workbench, file_name: str, source: str, actor: str) -> str:
    draft_id = new_id()
    drafts.add(
        workbench.database,
        draft_id=draft_id,
        name=name_of_file(file_name),
        source=source,
        kind="inspect",
        actor=actor,
    )
    ensure_worker(workbench)
    return draft_id


def _submit(
    workbench: Workbench,
    draft: Draft,
    kind: jobs.JobKind,
    name: str,
    plan: ImportPlan,
    actor: str,
) -> str:
    job_id = drafts.submit(
        workbench.database, draft.id, kind, name=name, plan=plan.to_dict(), actor=actor
    )
    ensure_worker(workbench)
    return job_id
