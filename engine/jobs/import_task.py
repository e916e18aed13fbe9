"""The import job: an uploaded file becomes a dataset."""

import logging
from pathlib import PurePosixPath

from engine.datasets.importer import import_dataset
from engine.jobs.process import Ending, JobControl
from engine.store.jobs import Job
from engine.workbench import Workbench

log = logging.getLogger(__name__)


def upload_folder(job: Job) -> str:
    """The folder that holds nothing but the uploaded file of an import job."""
    return str(PurePosixPath(job.payload["source"]).parent)


def run_import(workbench: Workbench, job: Job, control: JobControl) -> Ending:
    """Import the uploaded file; it is removed whatever happens.

    Raises:
        BadInput: it cannot be used; nothing of it remains.
        Stopped: somebody asked; nothing of it remains.
    """
    try:
        dataset = import_dataset(
            workbench,
            workbench.files.path(job.payload["source"]),
            name=job.payload["name"],
            actor=job.actor,
            progress=control.progress,
            should_stop=control.should_stop,
        )
    finally:
        workbench.files.remove(upload_folder(job))
    log.info("Imported %d samples as dataset %s.", dataset.num_samples, dataset.id)
    return "completed", {"dataset": dataset.id}
