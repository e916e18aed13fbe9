"""The jobs that make datasets: looking into an archive, importing it, correcting a dataset."""

import json
import logging

from engine.datasets.archive import open_source
from engine.datasets.disk import disk_errors
from engine.datasets.importer import READING_SHARE, import_source
from engine.datasets.inspection import Inspection, inspect
from engine.datasets.pairing import choose
from engine.datasets.plan import ImportPlan, parse_plan
from engine.datasets.versions import derive, parse_change
from engine.jobs.imports import draft_folder, forget_draft, inspection_key, names_key, source_path
from engine.jobs.process import Ending, JobControl
from engine.store import drafts
from engine.store.drafts import Draft
from engine.store.jobs import Job
from engine.workbench import Workbench

log = logging.getLogger(__name__)


def run_inspection(workbench: Workbench, job: Job, control: JobControl) -> Ending:
    """Look into a draft's archive and propose a plan; the draft is ready for a person to look at.

    Raises:
        BadInput: the archive cannot be used, or nothing in it pairs.
        Stopped: somebody asked.
    """
    draft = drafts.get(workbench.database, job.payload["draft"])
    wished = _plan_of(draft) or ImportPlan()
    folder = workbench.files.path(draft_folder(draft.id))
    with disk_errors():
        folder.mkdir(parents=True, exist_ok=True)
    with open_source(source_path(workbench, draft), scratch=folder) as source:
        # Kept first: a person can still say how to pair them where the inspection cannot.
        with disk_errors(), workbench.files.writing(names_key(draft.id)) as path:
            path.write_text(json.dumps(source.names()), encoding="utf-8")
        found = inspect(
            source,
            wished.pairing,
            choose(source.names(), wished.pairing),
            lambda share: control.progress("reading", share),
            control.should_stop,
        )
    with disk_errors(), workbench.files.writing(inspection_key(draft.id)) as path:
        found.save(path)
    plan = wished.model_copy(update={"pairing": found.plan.pairing, "masks": found.plan.masks})
    drafts.set_plan(workbench.database, draft.id, plan.to_dict())
    return "completed", {"draft": draft.id}


def run_import(workbench: Workbench, job: Job, control: JobControl) -> Ending:
    """Import a draft under its plan; without one, as an inspection proposes.

    The draft ends with the import. When that fails the draft stays, to be corrected.

    Raises:
        BadInput: the archive cannot be used under this plan; nothing of it was stored.
        Stopped: somebody asked; nothing of it was stored.
    """
    draft = drafts.get(workbench.database, job.payload["draft"])
    plan = _plan_of(draft)
    folder = workbench.files.path(draft_folder(draft.id))
    with disk_errors():
        folder.mkdir(parents=True, exist_ok=True)
    with open_source(source_path(workbench, draft), scratch=folder) as source:
        pairing = (plan or ImportPlan()).pairing
        proposal = choose(source.names(), pairing)
        found = _inspection_of(workbench, draft, plan)
        begun = 0.0
        if found is None:
            begun = READING_SHARE
            found = inspect(
                source,
                pairing,
                proposal,
                lambda share: control.progress("reading", begun * share),
                control.should_stop,
            )
        dataset = import_source(
            workbench,
            source,
            found,
            proposal,
            plan or found.plan,
            name=draft.name,
            actor=job.actor,
            progress=lambda share: control.progress("writing", begun + (1 - begun) * share),
            should_stop=control.should_stop,
        )
    forget_draft(workbench, draft)
    log.info("Imported %d samples as dataset %s.", dataset.num_samples, dataset.id)
    return "completed", {"dataset": dataset.id}


def run_derivation(workbench: Workbench, job: Job, control: JobControl) -> Ending:
    """Make a corrected version of a dataset.

    Raises:
        BadInput: the correction does not fit the dataset, or leaves nothing of it.
        Stopped: somebody asked; nothing was stored.
    """
    dataset = derive(
        workbench,
        job.payload["dataset"],
        parse_change(job.payload["change"]),
        name=job.payload["name"],
        actor=job.actor,
        progress=lambda share: control.progress("writing", share),
        should_stop=control.should_stop,
    )
    log.info("Made dataset %s of %s.", dataset.id, dataset.parent_id)
    return "completed", {"dataset": dataset.id}


def _plan_of(draft: Draft) -> ImportPlan | None:
    return None if draft.plan is None else parse_plan(draft.plan)


def _inspection_of(
    workbench: Workbench, draft: Draft, plan: ImportPlan | None
) -> Inspection | None:
    """What an earlier inspection found, if it looked at what the plan pairs."""
    path = workbench.files.path(inspection_key(draft.id))
    if plan is None or not path.exists():
        return None
    try:
        found = Inspection.load(path)
    except (LookupError, TypeError, ValueError):
        # Written by another version: look again.
        return None
    return found if found.plan.pairing == plan.pairing else None
