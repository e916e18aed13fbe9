"""Deleting what nobody will go on with."""

import logging
import shutil
import time
from pathlib import Path

from engine.store import uploads
from engine.uploads.life import is_finished, part_of
from engine.workbench import Workbench

STALE_SECONDS = 7 * 24 * 3600.0
"""An unfinished upload is kept for this long after its last chunk."""

_ORPHAN_SECONDS = 3600.0

log = logging.getLogger(__name__)


def sweep_stale(
    workbench: Workbench, older_than_seconds: float = STALE_SECONDS, *, actor: str
) -> int:
    """Delete what nobody will go on with, and return how many uploads that were.

    These are unfinished uploads that have not been touched for so long, rows whose file is gone,
    and parts without a row that a process left when it died. Finished files stay: an import may
    be waiting for them.
    """
    now = time.time()
    num_swept = 0
    known = uploads.everybodys(workbench.database)
    for upload in known:
        if part_of(workbench, upload).exists():
            # The row goes first, so that no chunk that arrives meanwhile is counted.
            if uploads.remove_untouched(workbench.database, upload.id, now - older_than_seconds):
                workbench.files.remove(f"uploads/{upload.id}")
                num_swept += 1
        elif not is_finished(workbench, upload):
            uploads.remove(workbench.database, upload.id)
            num_swept += 1
    with_row = {upload.id for upload in known}
    for folder in workbench.files.path("uploads").glob("*/"):
        if folder.name not in with_row and _is_orphan(folder, now - _ORPHAN_SECONDS):
            shutil.rmtree(folder, ignore_errors=True)
            num_swept += 1
    if num_swept:
        log.info("Swept %d stale uploads for “%s”.", num_swept, actor)
    return num_swept


def _is_orphan(folder: Path, before: float) -> bool:
    """Whether a folder holds nothing but parts that nobody has written to since a time."""
    try:
        files = list(folder.iterdir())
        newest = max(path.stat().st_mtime for path in [folder, *files])
    except FileNotFoundError:
        return False
    return newest < before and all(path.suffix == ".part" for path in files)
