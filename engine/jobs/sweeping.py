"""Removing what nobody will come back for: half-done uploads, and folders that have no row.

A process that is killed in the moment between the renaming of its finished folder and the writing
of its row leaves such a folder. It is not part of the workbench, as only rows are.
"""

import re
import time

from engine import uploads
from engine.store import datasets, drafts
from engine.store import uploads as upload_store
from engine.workbench import Workbench

ORPHAN_SECONDS = 3600.0
"""A folder without a row is left alone for so long: its row may be about to be written."""

_ID = re.compile(r"[0-9a-f]{8}")


def sweep(workbench: Workbench, *, actor: str) -> None:
    """Remove stale uploads, finished ones that became no draft, and folders without a row."""
    uploads.sweep_stale(workbench, actor=actor)
    known_drafts = drafts.all_newest_first(workbench.database)
    sources = {draft.source for draft in known_drafts}
    for upload in upload_store.everybodys(workbench.database):
        is_old = time.time() - upload.touched_at > uploads.STALE_SECONDS
        if is_old and uploads.key_of(upload) not in sources:
            uploads.discard(workbench, upload.id, actor=upload.actor)
    _remove_orphans(workbench, "drafts", {draft.id for draft in known_drafts})
    known = datasets.all_newest_first(workbench.database)
    _remove_orphans(workbench, "datasets", {dataset.id for dataset in known})


def _remove_orphans(workbench: Workbench, folder: str, known: set[str]) -> None:
    for path in workbench.files.root.glob(f"{folder}/*"):
        # A renamed folder keeps its time of modification, but not that of its last change.
        age_seconds = time.time() - path.stat().st_ctime
        if _ID.fullmatch(path.name) and path.name not in known and age_seconds > ORPHAN_SECONDS:
            workbench.files.remove(f"{folder}/{path.name}")
