"""Removing what nobody will come back for: half-done uploads, old preflights, training states and
prepared images past their time, and folders and logs that have no row.

A process that is killed in the moment between the renaming of its finished folder and the writing
of its row, or between the deletion of a row and that of its files, leaves such a folder. It is not
part of the workbench, as only rows are.
"""

import logging
import re
import time
from contextlib import suppress
from pathlib import Path

from engine import uploads
from engine.jobs.logs import log_key
from engine.jobs.storage import remove_expired
from engine.store import datasets, drafts, jobs, runs
from engine.store import uploads as upload_store
from engine.workbench import Workbench

log = logging.getLogger(__name__)

ORPHAN_SECONDS = 3600.0
"""A folder without a row is left alone for so long: its row may be about to be written."""
PREFLIGHT_SECONDS = 86_400.0
"""What a preflight found is kept for so long; the settings it tried are forgotten with it."""

_ID = re.compile(r"[0-9a-f]{8}")


def sweep(workbench: Workbench, *, actor: str) -> None:
    """Remove stale uploads and finished ones that became no draft, old preflights, what has
    outlived `Settings.keep_states_days`, and what has no row."""
    chores = (
        lambda: uploads.sweep_stale(workbench, actor=actor),
        lambda: _remove_old_preflights(workbench),
        lambda: remove_expired(workbench, actor=actor),
        lambda: _remove_unused_uploads(workbench),
        lambda: _remove_orphans(workbench),
        lambda: _remove_orphan_logs(workbench),
    )
    for chore in chores:
        try:
            chore()
        except OSError:
            # One file that cannot be removed must not keep all others for ever.
            log.exception("Some of what is not needed could not be removed; it is tried again.")


def _remove_old_preflights(workbench: Workbench) -> None:
    before = time.time() - PREFLIGHT_SECONDS
    # Files first: a row without files is found again by the next sweep.
    for job_id in jobs.ended_before(workbench.database, "preflight", before):
        _remove(workbench, f"preflights/{job_id}")
        _remove(workbench, log_key(job_id))
        jobs.delete(workbench.database, job_id)


def _remove_unused_uploads(workbench: Workbench) -> None:
    sources = {draft.source for draft in drafts.all_newest_first(workbench.database)}
    for upload in upload_store.everybodys(workbench.database):
        is_old = time.time() - upload.touched_at > uploads.STALE_SECONDS
        if is_old and uploads.key_of(upload) not in sources:
            uploads.discard(workbench, upload.id, actor=upload.actor)


def _remove_orphans(workbench: Workbench) -> None:
    database = workbench.database
    known = {
        "drafts": {draft.id for draft in drafts.all_newest_first(database)},
        "datasets": {dataset.id for dataset in datasets.all_newest_first(database)},
        "runs": {run.id for run in runs.all_newest_first(database)},
    }
    if not any(known.values()):
        return  # A database without anything in it may be the wrong one for this home.
    for folder, ids in known.items():
        for path in workbench.files.root.glob(f"{folder}/*"):
            if _ID.fullmatch(path.name) and path.name not in ids and _is_old(path):
                _remove(workbench, f"{folder}/{path.name}")


def _remove_orphan_logs(workbench: Workbench) -> None:
    paths = workbench.files.root.glob("logs/*.txt")
    old = [path.stem for path in paths if _ID.fullmatch(path.stem) and _is_old(path)]
    if not old:
        return
    known = jobs.all_ids(workbench.database)
    if not known:
        return  # As above.
    for job_id in old:
        if job_id not in known:
            _remove(workbench, log_key(job_id))


def _is_old(path: Path) -> bool:
    try:
        # A renamed folder keeps its time of modification, but not that of its last change.
        return time.time() - path.stat().st_ctime > ORPHAN_SECONDS
    except FileNotFoundError:
        return False


def _remove(workbench: Workbench, key: str) -> None:
    # What vanishes meanwhile is as good as removed; what is left of it, the next sweep finds.
    with suppress(FileNotFoundError):
        workbench.files.remove(key)
