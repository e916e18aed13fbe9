"""The Datasets page: bring one in, watch the import, open one."""

import pytest

from engine.errors import BadData
from engine.store import jobs
from tests.pages.support import ACTOR, MARKUP, MARKUP_SHOWN, links, title, words

ZIP = b"PK\x05\x06" + bytes(18)
"""The smallest zip there is: it holds nothing."""


def import_jobs(workbench):
    return jobs.newest(workbench.database, "import", 100)


@pytest.fixture
def add_import(workbench):
    """Queues an import and, asked to, starts it."""

    def add_import(name="Cells", *, started=False):
        payload = {"source": "uploads/0123/cells.zip", "name": name}
        job_id = jobs.add(workbench.database, "import", payload, actor=ACTOR)
        if started:
            assert jobs.claim(workbench.database, "import").id == job_id
        return job_id

    return add_import


@pytest.fixture
def add_failed_import(workbench, add_import):
    def add_failed_import(name="Cells", error=None):
        job_id = add_import(name, started=True)
        failure = error or BadData("“{file}” is no picture.", file="a.png")
        jobs.finish(workbench.database, job_id, "failed", error=failure.to_record())
        return job_id

    return add_failed_import


def test_empty_workbench_offers_a_toy_dataset(open_page):
    page = open_page("datasets.py")
    assert not page.exception
    assert "No datasets yet" in words(page)
    assert [button.key for button in page.button] == ["datasets_toy"]
    assert not page.progress


def test_toy_button_queues_one_import_and_shows_it_waiting(open_page, workbench):
    page = open_page("datasets.py")
    page.button(key="datasets_toy").click().run()
    page.run()
    assert not page.exception
    (job,) = import_jobs(workbench)
    assert job.status == "queued"
    assert job.payload["name"] == "Toy circles and rectangles"
    assert workbench.files.path(job.payload["source"]).stat().st_size > 0
    assert [bar.text for bar in page.progress] == [
        "Importing Toy circles and rectangles: Waiting for a free slot"
    ]
    assert "No datasets yet" not in words(page)


def test_upload_queues_exactly_one_import_over_further_reruns(open_page, workbench):
    page = open_page("datasets.py")
    page.file_uploader[0].upload("my cells.zip", ZIP).run()
    for _ in range(3):
        page.run()
    assert not page.exception
    (job,) = import_jobs(workbench)
    assert job.payload["name"] == "my cells"
    assert job.actor == "test@example.com"
    assert workbench.files.path(job.payload["source"]).read_bytes() == ZIP
    assert page.file_uploader[0].value is None


def test_same_file_can_be_uploaded_again(open_page, workbench):
    page = open_page("datasets.py")
    for _ in range(2):
        page.file_uploader[0].upload("cells.zip", ZIP).run()
    assert not page.exception
    sources = [job.payload["source"] for job in import_jobs(workbench)]
    assert len(sources) == 2
    assert sources[0] != sources[1]


def test_live_import_shows_its_progress(open_page, workbench, add_import):
    job_id = add_import(started=True)
    jobs.set_progress(workbench.database, job_id, "writing", 0.4)
    page = open_page("datasets.py")
    assert not page.exception
    assert [(bar.value, bar.text) for bar in page.progress] == [(40, "Importing Cells: Writing")]
    assert not page.error
    assert "No datasets yet" not in words(page)


def test_import_that_has_ended_well_leaves_no_progress_bar(
    open_page, workbench, dataset, add_import
):
    job_id = add_import(started=True)
    jobs.finish(workbench.database, job_id, "completed", result={"dataset": dataset.id})
    page = open_page("datasets.py")
    assert not page.exception
    assert not page.progress
    assert not page.error


def test_failed_import_shows_reason_and_log(open_page, add_failed_import):
    error = BadData("“{file}” is no picture.", file="a_1.png", log="line 7\nline 8")
    add_failed_import(error=error)
    page = open_page("datasets.py")
    assert not page.exception
    assert "**Cells** was not imported." in words(page)
    assert [alert.value for alert in page.error] == [r"“a\_1\.png” is no picture\."]
    assert [code.value for code in page.code] == ["line 7\nline 8"]
    assert not page.progress


def test_failure_without_a_log_shows_none(open_page, add_failed_import):
    add_failed_import()
    page = open_page("datasets.py")
    assert not page.exception
    assert page.error
    assert not page.code


def test_dismissed_failure_stays_away_and_the_others_stay(open_page, add_failed_import):
    kept, dismissed = add_failed_import("Kept"), add_failed_import("Dismissed")
    page = open_page("datasets.py")
    page.button(key=f"datasets_dismiss_{dismissed}").click().run()
    page.run()
    assert not page.exception
    assert "**Kept** was not imported." in words(page)
    assert "Dismissed" not in words(page)
    assert page.button(key=f"datasets_dismiss_{kept}")


def test_failure_of_the_day_before_yesterday_is_not_shown(open_page, clock, add_failed_import):
    clock.now -= 2 * 24 * 3600
    add_failed_import()
    page = open_page("datasets.py")
    assert not page.exception
    assert not page.error


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


def test_name_with_markup_is_shown_literally(open_page, add_dataset, add_failed_import, add_import):
    add_dataset(MARKUP)
    add_failed_import(MARKUP)
    add_import(MARKUP)
    page = open_page("datasets.py")
    assert not page.exception
    assert f"**{MARKUP_SHOWN}** was not imported." in [text.value for text in page.markdown]
    assert f"**{MARKUP_SHOWN}**" in [text.value for text in page.markdown]
    assert page.progress[0].text.startswith(f"Importing {MARKUP_SHOWN}: ")
    shown = [
        element.value for kind in ("markdown", "caption", "html") for element in page.get(kind)
    ]
    assert not [text for text in shown if MARKUP in text]
    assert not links(page)
