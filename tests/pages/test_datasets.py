"""The Datasets page: bring one in, watch what is on its way, open one."""

import json

import pytest

from engine import uploads
from engine.datasets.versions import Change
from engine.errors import BadData
from engine.jobs import imports
from engine.jobs.imports import describe_dataset, submit_change
from engine.store import attempts, drafts, jobs
from pages.common.texts import uploader_texts
from pages.common.uploader import TEXT_KEYS
from tests.pages.support import ACTOR, MARKUP, MARKUP_SHOWN, links, title, words

USER = "test@example.com"
"""Whom the page takes the reader for."""


@pytest.fixture
def add_draft(workbench):
    """Brings an archive in; its first job is queued, or started, or has ended."""

    def add_draft(
        name="Cells", *, kind="inspect", status="queued", error=None, names=("a.png", "b.png")
    ):
        draft_id = f"{len(drafts.all_newest_first(workbench.database)):08x}"
        job_id = drafts.add(
            workbench.database,
            draft_id=draft_id,
            name=name,
            source="uploads/0123/cells.zip",
            kind=kind,
            actor=ACTOR,
        )
        if names:
            with workbench.files.writing(imports.names_key(draft_id)) as path:
                path.write_text(json.dumps(names))
        if status != "queued":
            job = attempts.claim(workbench.database, [kind], "light")
            assert job.id == job_id
        if status not in ("queued", "running"):
            record = error.to_record() if error else None
            attempts.finish(workbench.database, job, status, error=record)
        return drafts.get(workbench.database, draft_id)

    return add_draft


def upload_data(page):
    """What the page hands to its uploader."""
    (component,) = page.get("bidi_component")
    return json.loads(component.proto.json)


def test_empty_workbench_offers_a_toy_dataset(open_page):
    page = open_page("datasets.py")
    assert not page.exception
    assert "No datasets yet" in words(page)
    assert [button.key for button in page.button] == ["datasets_toy"]
    assert not page.progress
    assert not page.text_input


def test_toy_button_queues_one_import_and_shows_it_waiting(open_page, workbench):
    page = open_page("datasets.py")
    page.button(key="datasets_toy").click().run()
    page.run()
    assert not page.exception
    (job,) = jobs.newest(workbench.database, "import", 10)
    (draft,) = drafts.all_newest_first(workbench.database)
    assert (job.status, job.actor) == ("queued", USER)
    assert draft.name == "Toy circles and rectangles"
    assert workbench.files.path(draft.source).stat().st_size > 0
    assert [bar.text for bar in page.progress] == [
        "Importing Toy circles and rectangles: Waiting for a free slot"
    ]
    assert "No datasets yet" not in words(page)


def test_uploader_may_upload_as_the_reader_and_knows_what_is_unfinished(open_page, workbench):
    mine = uploads.open_upload(workbench, "mine.zip", 100, actor=USER)
    uploads.open_upload(workbench, "other.zip", 100, actor=ACTOR)
    data = upload_data(open_page("datasets.py"))
    assert data["url"] == "/api/uploads"
    assert uploads.actor_of(workbench, data["ticket"]) == USER
    assert data["unfinished"] == [
        {"id": mine.id, "name": "mine.zip", "size_bytes": 100, "offset_bytes": 0}
    ]
    assert ".zip" in data["accepts"] and ".png" not in data["accepts"]


def test_file_that_has_arrived_opens_its_review(open_page, add_draft, monkeypatch):
    draft = add_draft()
    arrived = {"upload": "u1", "draft": draft.id, "name": "cells.zip"}
    monkeypatch.setattr("pages.common.review.arrivals.uploader", lambda **_: arrived)
    page = open_page("datasets.py")
    assert not page.exception
    assert title(page) == "Cells"
    assert page.query_params == {"import": draft.id}


def test_live_work_shows_its_progress_and_can_be_stopped(open_page, workbench, add_draft):
    draft = add_draft(status="running")
    attempts.set_progress(workbench.database, draft.job, "reading", 0.4)
    page = open_page("datasets.py")
    assert not page.exception
    assert [(bar.value, bar.text) for bar in page.progress] == [(40, "Looking into Cells: Reading")]
    assert not page.error
    assert "No datasets yet" not in words(page)
    page.button(key=f"datasets_stop_{draft.job.id}").click().run()
    assert jobs.get(workbench.database, draft.job.id).wish == "stop"
    assert page.button(key=f"datasets_stop_{draft.job.id}").disabled


def test_uploader_has_all_its_words():
    assert uploader_texts().keys() == set(TEXT_KEYS)
    assert all(uploader_texts().values())


def test_what_failed_says_why_with_its_log_and_can_still_be_reviewed(open_page, add_draft):
    error = BadData("“{file}” is no picture.", file="a_1.png", log="line 7\nline 8")
    draft = add_draft(status="failed", error=error)
    page = open_page("datasets.py")
    assert not page.exception
    assert "**Cells**" in words(page)
    assert [alert.value for alert in page.error] == [r"“a\_1\.png” is no picture\."]
    assert [code.value for code in page.code] == ["line 7\nline 8"]
    assert not page.progress
    page.button(key=f"datasets_review_{draft.id}").click().run()
    assert title(page) == "Cells"


def test_archive_that_could_not_be_opened_can_only_be_discarded(open_page, workbench, add_draft):
    draft = add_draft(status="failed", error=BadData("It is no zip."), names=())
    page = open_page("datasets.py")
    keys = [button.key for button in page.button]
    assert f"datasets_review_{draft.id}" not in keys
    page.button(key=f"datasets_discard_{draft.id}").click().run()
    assert not page.exception
    assert drafts.all_newest_first(workbench.database) == []
    assert "Cells" not in words(page)


def test_discarding_one_leaves_the_others(open_page, workbench, add_draft):
    kept, gone = add_draft("Kept", status="stopped"), add_draft("Gone", status="stopped")
    page = open_page("datasets.py")
    page.button(key=f"datasets_discard_{gone.id}").click().run()
    assert not page.exception
    assert [draft.id for draft in drafts.all_newest_first(workbench.database)] == [kept.id]
    assert "**Kept**" in words(page)
    assert "Gone" not in words(page)


def test_version_being_made_is_shown_and_can_be_stopped(open_page, workbench, dataset):
    job_id = submit_change(
        workbench, dataset.id, Change(leave_out=(1,)), name="Cells v2", actor=ACTOR
    )
    page = open_page("datasets.py")
    assert [bar.text for bar in page.progress] == ["Making Cells v2: Waiting for a free slot"]
    page.button(key=f"datasets_stop_{job_id}").click().run()
    page.run()
    assert not page.exception
    assert jobs.get(workbench.database, job_id).status == "stopped"
    assert not page.progress


def test_version_that_could_not_be_made_says_why_until_it_is_dismissed(
    open_page, workbench, dataset, clock
):
    job_id = submit_change(workbench, dataset.id, Change(leave_out=(1,)), name="v2", actor=ACTOR)
    job = attempts.claim(workbench.database, ["derive"], "light")
    attempts.finish(workbench.database, job, "failed", error=BadData("No.").to_record())
    page = open_page("datasets.py")
    assert "**v2** was not made." in words(page)
    page.button(key=f"datasets_dismiss_{job_id}").click().run()
    page.run()
    assert not page.exception
    assert "was not made" not in words(page)
    assert not page.error


def test_folders_of_the_server_are_not_offered_where_none_is_allowed(open_page):
    page = open_page("datasets.py")
    assert "datasets_server" not in page.session_state


def test_folder_of_the_server_is_looked_into(open_page, workbench, monkeypatch, tmp_path):
    (tmp_path / "shared" / "cells").mkdir(parents=True)
    (tmp_path / "shared" / "more.zip").write_bytes(bytes(2_000_000))
    (tmp_path / "shared" / "notes.txt").write_text("no archive")
    monkeypatch.setenv("WORKBENCH_IMPORT_ROOTS", str(tmp_path / "shared"))
    page = open_page("datasets.py")
    # Nothing on the disk is looked for while the list is closed.
    assert not page.selectbox
    page.session_state["datasets_server"] = True
    page.run()
    assert page.selectbox(key="datasets_server_entry").options == ["cells/", "more.zip · 2.0 MB"]
    page.button(key="datasets_server_import").click().run()
    assert not page.exception
    (draft,) = drafts.all_newest_first(workbench.database)
    assert draft.source == str(tmp_path / "shared" / "cells")
    assert (draft.name, draft.job.kind, draft.actor) == ("cells", "inspect", USER)
    assert page.query_params == {"import": draft.id}


def test_cards_stand_newest_first_and_say_what_the_dataset_holds(open_page, add_dataset):
    older, newer = add_dataset("Older", 3), add_dataset("Newer", 5, rectangles=False)
    page = open_page("datasets.py")
    assert not page.exception
    assert [text.value for text in page.markdown] == ["**Newer**", "**Older**"]
    counts = [caption.value.rsplit(" · ", 1)[0] for caption in page.caption]
    assert counts == ["5 samples · 2 classes", "3 samples · 3 classes"]
    assert f"datasets/{newer.id}/thumbs/000000.webp" in page.html[0].value
    assert newer.id not in page.html[1].value
    assert f"datasets/{older.id}/thumbs/000002.webp" in page.html[1].value
    assert "No datasets yet" not in words(page)
    assert not page.pagination


def test_card_opens_its_dataset(open_page, add_dataset):
    first = add_dataset("First")
    add_dataset("Second")
    page = open_page("datasets.py")
    page.button(key=f"datasets_open_{first.id}").click().run()
    assert not page.exception
    assert title(page) == "First"
    assert page.query_params == {"dataset": first.id}


def test_card_leads_to_a_training_on_its_dataset(open_page, add_dataset):
    first = add_dataset("First")
    add_dataset("Second")
    page = open_page("datasets.py")
    page.button(key=f"datasets_train_{first.id}").click().run()
    assert not page.exception
    assert title(page) == "Train"
    assert page.selectbox(key="train_dataset").value == first.id


def test_thirteenth_dataset_is_on_a_second_page(open_page, add_dataset):
    for number in range(13):
        add_dataset(f"Set {number}", 2)
    page = open_page("datasets.py")
    first_page = [text.value for text in page.markdown]
    page.pagination(key="datasets_page").set_value(2).run()
    assert not page.exception
    assert first_page == [f"**Set {number}**" for number in range(12, 0, -1)]
    assert [text.value for text in page.markdown] == ["**Set 0**"]
    linked = open_page("datasets.py", datasets_page="2")
    assert [text.value for text in linked.markdown] == ["**Set 0**"]


def test_page_that_does_not_exist_falls_back_to_the_first(open_page, add_dataset):
    for number in range(13):
        add_dataset(f"Set {number}", 2)
    for number in ("99", "0", "x", ""):
        page = open_page("datasets.py", datasets_page=number)
        assert not page.exception
        assert page.pagination(key="datasets_page").value == 1
        assert "**Set 0**" not in words(page)


def test_search_finds_names_and_tags_and_only_where_there_are_many(
    open_page, workbench, add_dataset
):
    for number in range(12):
        add_dataset(f"Set {number}", 2)
    assert not open_page("datasets.py").text_input
    tagged = add_dataset("Another", 2)
    describe_dataset(
        workbench, tagged.id, name="Another", tags=["Set of 2026"], notes="", actor=ACTOR
    )
    page = open_page("datasets.py")
    page.text_input(key="datasets_search").set_value("SET 7").run()
    assert [text.value for text in page.markdown] == ["**Set 7**"]
    page.text_input(key="datasets_search").set_value("set 2026").run()
    assert not page.exception
    assert [text.value for text in page.markdown] == ["**Another** :gray-badge[Set of 2026]"]
    page.text_input(key="datasets_search").set_value(tagged.id).run()
    assert len([text.value for text in page.markdown]) == 1
    page.text_input(key="datasets_search").set_value("nothing").run()
    assert not [text.value for text in page.markdown]
    assert "No dataset has these words" in words(page)


def test_name_with_markup_is_shown_literally(open_page, add_dataset, add_draft):
    add_dataset(MARKUP)
    add_draft(MARKUP, status="failed", error=BadData("No."))
    add_draft(MARKUP)
    page = open_page("datasets.py")
    assert not page.exception
    assert [text.value for text in page.markdown].count(f"**{MARKUP_SHOWN}**") == 2
    assert page.progress[0].text.startswith(f"Looking into {MARKUP_SHOWN}: ")
    shown = [
        element.value for kind in ("markdown", "caption", "html") for element in page.get(kind)
    ]
    assert not [text for text in shown if MARKUP in text]
    assert not links(page)
