"""Removing what nobody will come back for: half-done uploads, old preflights, and
folders that have no row.

A process that is killed in the moment between the renaming of its finished folder and the writing
of its row leaves such a folder. It is not part of the workbench, as only rows are.
"""

import re
import time

from engine import uploads
from engine.jobs.logs import log_key
from engine.store import datasets, drafts, jobs
from engine.store import uploads as upload_store
from engine.workbench import Workbench

ORPHAN_SECONDS = 3600.0
"""A folder without a row is left alone for so long: its row may be about to be written."""
PREFLIGHT_SECONDS = 86_400.0
"""What a preflight found is kept for so long; the settings it tried are forgotten with it."""

_ID = re.compile(r"[0-9a-f]{8}")


def sweep(workbench: Workbench, *, actor: str) -> None:
    """Remove stale uploads and finished ones that became no draft, old preflights, and folders
    without a row."""
    uploads.sweep_stale(workbench, actor=actor)
    _remove_old_preflights(workbench)
    known_drafts = drafts.all_newest_first(workbench.database)
    sources = {draft.source for draft in known_drafts}
    for upload in upload_store.everybodys(workbench.database):
        is_old = time.time() - upload.touched_at > uploads.STALE_SECONDS
        if is_old and uploads.key_of(upload) not in sources:
            uploads.discard(workbench, upload.id, actor=upload.actor)
    _remove_orphans(workbench, "drafts", {draft.id for draft in known_drafts})
    known = datasets.all_newest_first(workbench.database)
    _remove_orphans(workbench, "datasets", {dataset.id for dataset in known})


def _remove_old_preflights(workbench: Workbench) -> None:
    before = time.time() - PREFLIGHT_SECONDS
    # Files first: a row without files is found again by the next sweep.
    for job_id in jobs.ended_before(workbench.database, "preflight", before):
        workbench.files.remove(f"preflights/{job_id}")
        workbench.files.remove(log_key(job_id))
        jobs.delete(workbench.database, job_id)


def _remove_orphans(workbench: Workbench, folder: str, known: set[str]) -> None:
    for path in workbench.files.root.glob(f"{folder}/*"):
        # A renamed folder keeps its time of modification, but not that of its last change.
        age_seconds = time.time() - path.stat().st_ctime
        if _ID.fullmatch(path.name) and path.name not in known and age_seconds > ORPHAN_SECONDS:
            workbench.files.remove(f"{folder}/{path.name}")
