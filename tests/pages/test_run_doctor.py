"""What the doctor says on the page of a run, and what a click on a remedy does."""

import io
import zipfile
from dataclasses import replace

import pytest

from engine.datasets.importer import MAX_NAME_CHARS
from engine.errors import DiskFull, Diverged, JobFailed, OutOfMemory
from engine.jobs.bundle import support_bundle
from engine.notes import Note
from engine.store import epochs, runs
from pages.common import reads, run_doctor
from tests.pages.support import ACTOR, MARKUP, MARKUP_SHOWN, as_read, epoch_record, links, words

DIVERGED = Diverged("No number ({loss}).", loss="nan", precision="fp32").to_record()
MEMORY = OutOfMemory("Too little memory.").to_record()


@pytest.fixture
def dataset(add_dataset):
    """Enough pictures for five to validate."""
    return add_dataset(num_samples=12)


def split(**changes):
    """Settings with which enough images validate."""
    return {"split_method": "random", "val_share": 0.45, **changes}


def remedies(page):
    """The buttons of the remedies, by what is written on them."""
    return {
        as_read(button.label): button
        for button in page.button
        if (button.key or "").startswith("run_remedy_")
    }


def all_runs(workbench):
    return runs.all_newest_first(workbench.database)


def improving(workbench, make_runs, dataset, num=10, **changes):
    """A completed run whose Dice still rose when it ended."""
    run = make_runs.running(dataset, "Slow", **split(epochs=num, **changes))
    for epoch in range(1, num + 1):
        record = replace(
            epoch_record(epoch, len(dataset.classes)), val_dice=0.3 + 0.04 * epoch, num_steps=50
        )
        epochs.add(workbench.database, run.id, record)
    return make_runs.end(run)


def test_failed_run_shows_cause_and_remedies(open_page, make_runs, dataset):
    run = make_runs.ended(dataset, "Hot", status="failed", error=DIVERGED, **split())
    page = open_page("run.py", run=run.id, view="doctor")
    assert not page.exception
    assert "No number (nan)." in words(page)
    assert "A step was too long" in words(page)
    assert list(remedies(page)) == [
        "Clone with learning rate 0.0004",
        "Clone with gradient clipping at 1",
    ]
    assert "Nothing to report" not in words(page)


def test_clone_is_a_new_run_with_one_setting_changed_and_is_gone_to(
    open_page, make_runs, dataset, workbench
):
    why = {name: Note("Because.") for name in ("learning_rate", "width")}
    run = make_runs.ended(
        dataset, "Hot", status="failed", error=DIVERGED, reasons=why, **split(width=8)
    )
    page = open_page("run.py", run=run.id, view="doctor")
    remedies(page)["Clone with learning rate 0.0004"].click().run()
    assert not page.exception
    clone, original = all_runs(workbench)
    assert clone.name == "Hot · learning rate 0.0004"
    assert clone.config.optimizer.learning_rate == 4e-4
    assert clone.config.model.width == 8
    assert clone.dataset_id == dataset.id and clone.status == "queued"
    assert set(clone.reasons) == {"width"}
    assert page.query_params["run"] in (clone.id, [clone.id])
    assert original.config == run.config and original.status == "failed"


def test_clone_of_a_long_name_has_a_name_that_can_be_had(open_page, make_runs, dataset, workbench):
    name = "x" * MAX_NAME_CHARS
    run = make_runs.ended(dataset, name, status="failed", error=DIVERGED, **split())
    page = open_page("run.py", run=run.id, view="doctor")
    remedies(page)["Clone with learning rate 0.0004"].click().run()
    assert not page.exception
    clone = all_runs(workbench)[0]
    assert len(clone.name) == MAX_NAME_CHARS
    assert clone.name.endswith("x · learning rate 0.0004")


def test_clone_that_is_refused_says_why_and_stays(
    open_page, make_runs, dataset, workbench, monkeypatch
):
    run = make_runs.ended(dataset, "Hot", status="failed", error=DIVERGED, **split())
    page = open_page("run.py", run=run.id, view="doctor")
    monkeypatch.setattr("engine.jobs.queue.MAX_NAME_CHARS", 3)
    remedies(page)["Clone with learning rate 0.0004"].click().run()
    assert not page.exception
    assert len(all_runs(workbench)) == 1
    assert "3" in as_read(page.toast[0].value)


def test_run_that_was_still_improving_is_trained_further_and_not_cloned(
    open_page, make_runs, dataset, workbench
):
    run = improving(workbench, make_runs, dataset)
    make_runs.keep_state(run)
    page = open_page("run.py", run=run.id, view="doctor")
    assert list(remedies(page)) == ["Train 5 more epochs"]
    remedies(page)["Train 5 more epochs"].click().run()
    assert not page.exception
    (again,) = all_runs(workbench)
    assert again.status == "queued" and again.config.schedule.epochs == 15


def test_run_without_its_state_cannot_be_trained_further(open_page, make_runs, dataset, workbench):
    run = improving(workbench, make_runs, dataset)
    button = remedies(open_page("run.py", run=run.id, view="doctor"))["Train 5 more epochs"]
    assert button.disabled
    assert "state was removed" in button.help


def test_full_disk_leads_to_the_storage_page(open_page, make_runs, dataset):
    error = DiskFull("{free} MiB are left.", free=3).to_record()
    run = make_runs.ended(dataset, status="failed", error=error, **split())
    page = open_page("run.py", run=run.id, view="doctor")
    assert "Make room" in links(page)
    assert not remedies(page)


def test_run_that_is_well_is_left_in_peace(open_page, make_runs, dataset):
    page = open_page("run.py", run=make_runs.ended(dataset, **split()).id, view="doctor")
    assert "Nothing to report" in words(page)
    assert "“Doctor” says" not in words(page)
    assert not remedies(page)


def test_failed_run_of_which_the_doctor_knows_nothing_is_not_called_well(
    open_page, make_runs, dataset
):
    error = JobFailed("Something went wrong.").to_record()
    run = make_runs.ended(dataset, status="failed", error=error, **split())
    page = open_page("run.py", run=run.id, view="doctor")
    assert "nothing to add to the error above" in words(page)
    assert "Nothing to report" not in words(page)


def test_live_run_in_its_first_epochs_is_not_praised(open_page, make_runs, dataset):
    run = make_runs.running(dataset, num_epochs=2, **split(epochs=20))
    page = open_page("run.py", run=run.id, view="doctor")
    assert "too early to tell" in words(page)
    assert "Nothing to report" not in words(page)


def test_names_of_classes_are_no_markdown(open_page, make_runs, add_dataset, workbench):
    dataset = add_dataset(num_samples=12)
    run = make_runs.running(dataset, **split(epochs=12))
    for epoch in range(1, 13):
        record = replace(
            epoch_record(epoch, 3), val_dice=0.0, val_class_dice=(0.9, 0.0, 0.0), num_steps=50
        )
        epochs.add(workbench.database, run.id, record)
    run = make_runs.end(run)
    named = [replace(dataset.classes[0], name=MARKUP), *dataset.classes[1:]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reads, "dataset", lambda key: replace(dataset, classes=tuple(named)))
        page = open_page("run.py", run=run.id, view="doctor")
    assert not page.exception
    shown = [each.value for each in page.markdown if MARKUP_SHOWN in each.value]
    assert len(shown) == 1
    assert not [each for each in page.markdown if "<b>x</b>" in each.value.replace("\\", "x")]


def test_hint_is_one_line_for_what_is_grave_and_nothing_for_a_note(
    open_page, make_runs, dataset, workbench
):
    open_page("runs.py")
    hot = make_runs.ended(dataset, status="failed", error=DIVERGED, **split())
    full = make_runs.ended(dataset, status="failed", error=MEMORY, **split())
    slow = improving(workbench, make_runs, dataset)
    # The error itself stands beside it.
    assert as_read(run_doctor.hint(hot)).startswith("A step was too long")
    assert "Batches of 4 images" in as_read(run_doctor.hint(full))
    assert "\n" not in run_doctor.hint(hot)
    assert run_doctor.hint(slow) is None
    assert [each.key for each in reads.diagnoses(slow)] == ["still_improving"]


def test_diagnoses_follow_a_run_that_goes_on(open_page, make_runs, dataset, workbench):
    open_page("runs.py")
    run = make_runs.running(dataset, num_epochs=1, **split(epochs=20))
    assert reads.diagnoses(run) == ()
    failed = make_runs.end(run, "failed", error=DIVERGED)
    assert [each.key for each in reads.diagnoses(failed)] == ["diverged"]


def test_support_bundle_is_offered_and_made_only_when_it_is_asked_for(
    open_page, make_runs, dataset, workbench, monkeypatch
):
    made = []
    monkeypatch.setattr(run_doctor, "support_bundle", lambda *given: made.append(given) or b"")
    run = make_runs.ended(dataset, **split())
    page = open_page("run.py", run=run.id)
    assert "run_support_bundle" in [button.key for button in page.get("download_button")]
    assert made == []
    with zipfile.ZipFile(io.BytesIO(support_bundle(workbench, run.id))) as archive:
        assert "diagnoses.txt" in archive.namelist()
    assert run.actor == ACTOR
