"""Drafts: an archive, its plan, and the job that works on it."""

import pytest

from engine.errors import NotFound, Refused
from engine.store import attempts, drafts, jobs


def add(database, draft_id="f0000001", name="cells", kind="inspect"):
    return drafts.add(
        database,
        draft_id=draft_id,
        name=name,
        source="uploads/u1/cells.zip",
        kind=kind,
        actor="ann",
    )


def finish(database, job_id, status="completed"):
    claimed = attempts.claim(database, [jobs.get(database, job_id).kind], "light")
    assert claimed is not None and claimed.id == job_id
    attempts.finish(database, claimed, status)


def test_draft_is_read_back_with_its_first_job(database):
    job_id = add(database)
    draft = drafts.get(database, "f0000001")
    assert (draft.name, draft.actor, draft.source) == ("cells", "ann", "uploads/u1/cells.zip")
    assert draft.plan is None
    assert draft.job == jobs.get(database, job_id)
    assert (draft.job.kind, draft.job.payload["draft"]) == ("inspect", "f0000001")


def test_drafts_come_newest_first(database):
    add(database, "f0000001")
    add(database, "f0000002")
    assert [draft.id for draft in drafts.all_newest_first(database)] == ["f0000002", "f0000001"]


def test_next_job_takes_name_and_plan_along(database):
    first = add(database)
    finish(database, first)
    drafts.set_plan(database, "f0000001", {"version": 1})
    second = drafts.submit(
        database, "f0000001", "import", name="nuclei", plan={"version": 1, "a": 2}, actor="bob"
    )
    draft = drafts.get(database, "f0000001")
    assert (draft.name, draft.plan) == ("nuclei", {"version": 1, "a": 2})
    assert (draft.job.id, draft.job.kind, draft.job.actor) == (second, "import", "bob")
    assert draft.actor == "ann"


def test_draft_that_is_worked_on_takes_no_second_job(database):
    first = add(database)
    with pytest.raises(Refused, match="being worked on"):
        drafts.submit(database, "f0000001", "import", name="x", plan={}, actor="bob")
    assert drafts.get(database, "f0000001").job.id == first
    assert drafts.get(database, "f0000001").name == "cells"
    assert len(jobs.newest(database, "import", 10)) == 0


def test_draft_that_is_gone_says_what_may_have_become_of_it(database):
    finish(database, add(database))
    drafts.delete(database, "f0000001")
    drafts.delete(database, "f0000001")
    assert drafts.all_newest_first(database) == []
    with pytest.raises(NotFound, match="become a dataset"):
        drafts.get(database, "f0000001")
    with pytest.raises(NotFound, match="become a dataset"):
        drafts.submit(database, "f0000001", "import", name="x", plan={}, actor="bob")
