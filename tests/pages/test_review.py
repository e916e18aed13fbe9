"""The review of an import: what is shown, what can be corrected, and where corrections go."""

import io
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from engine import uploads
from engine.datasets.plan import parse_plan
from engine.errors import WorkbenchError
from engine.jobs.import_task import run_import, run_inspection
from engine.jobs.imports import stop_draft, submit_inspection, submit_plan
from engine.jobs.process import JobControl
from engine.store import attempts, datasets, drafts, jobs
from pages.common.review import archives
from tests.pages.support import ACTOR, MARKUP, links, metrics, title, words

TASKS = {"inspect": run_inspection, "import": run_import}


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, "PNG")
    return file.getvalue()


def members(num=8, values=(0, 255), image="images/{}.png", mask="masks/{}.png", size=24):
    """Noisy images with masks of upright stripes."""
    found = {}
    for number in range(num):
        noise = np.random.default_rng(number).integers(0, 256, (size, size))
        stripes = np.array(values)[np.arange(size) // 4 % len(values)]
        found[image.format(number)] = png(noise)
        found[mask.format(number)] = png(np.tile(stripes, (size, 1)))
    return found


@pytest.fixture
def work(workbench):
    """Does the job that is queued, as its process would."""

    def work(kind="inspect"):
        job = attempts.claim(workbench.database, [kind], "light")
        assert job is not None
        error = result = None
        status = "failed"
        try:
            status, result = TASKS[kind](workbench, job, JobControl(workbench, job))
        except WorkbenchError as caught:
            error = caught.to_record()
        attempts.finish(workbench.database, job, status, error=error, result=result)
        return jobs.get(workbench.database, job.id)

    return work


@pytest.fixture
def bring_in(workbench, work):
    """Brings in an archive with these files, and looks into it unless told otherwise."""

    def bring_in(content, name="Cells", *, look=True):
        draft_id = f"{len(drafts.all_newest_first(workbench.database)):08x}"
        source = f"uploads/{draft_id}/cells.zip"
        with (
            workbench.files.writing(source) as path,
            zipfile.ZipFile(path, "w") as archive,
        ):
            for member, data in content.items():
                archive.writestr(member, data)
        drafts.add(
            workbench.database,
            draft_id=draft_id,
            name=name,
            source=source,
            kind="inspect",
            actor=ACTOR,
        )
        if look:
            work()
        return drafts.get(workbench.database, draft_id)

    return bring_in


@pytest.fixture
def plan_of(workbench):
    """The plan of a draft as it lies in the store."""
    return lambda draft: parse_plan(drafts.get(workbench.database, draft.id).plan)


def open_review(open_page, draft, **query):
    page = open_page("review.py", **{"import": draft.id}, **query)
    assert not page.exception
    return page


def widget(draft, name):
    return f"review_{draft.id}_{name}"


def test_address_of_no_import_says_so_and_leads_back(open_page):
    for draft_id in ("", "0123abcd", "../etc", "<b>"):
        page = open_page("review.py", **{"import": draft_id})
        assert not page.exception
        assert "There is no such import" in words(page)
        assert "All datasets" in links(page)
        assert not page.button


def test_look_under_way_shows_its_progress_and_can_be_stopped(open_page, workbench, bring_in):
    draft = bring_in(members(), look=False)
    job = attempts.claim(workbench.database, ["inspect"], "light")
    attempts.set_progress(workbench.database, job, "reading", 0.3)
    page = open_review(open_page, draft)
    assert [bar.value for bar in page.progress] == [30]
    assert widget(draft, "import") not in [button.key for button in page.button]
    page.button(key=f"datasets_stop_{draft.job.id}").click().run()
    assert jobs.get(workbench.database, draft.job.id).wish == "stop"


def test_what_was_found_is_summed_up_and_can_be_imported_at_once(
    open_page, workbench, bring_in, work
):
    draft = bring_in(members(8))
    page = open_review(open_page, draft)
    assert title(page) == "Cells"
    assert "8 pairs · 2 classes · 24×24 px" in words(page)
    button = page.button(key=widget(draft, "import"))
    assert not button.disabled
    button.click().run()
    assert not page.exception
    assert page.progress
    job = work("import")
    assert job.status == "completed"
    (dataset,) = datasets.all_newest_first(workbench.database)
    assert (dataset.name, dataset.num_samples) == ("Cells", 8)
    page.run()
    assert title(page) == "Cells"
    assert page.query_params == {"dataset": dataset.id}


def test_draft_that_is_ready_says_so_among_the_datasets(open_page, bring_in):
    draft = bring_in(members(8))
    page = open_page("datasets.py")
    assert not page.exception
    assert "Ready: 8 pairs, 2 classes" in words(page)
    assert not page.progress
    page.button(key=f"datasets_review_{draft.id}").click().run()
    assert page.query_params == {"import": draft.id}


def test_import_that_has_become_a_dataset_leads_there_from_an_old_link(
    open_page, workbench, bring_in, work
):
    draft = bring_in(members(4))
    submit_plan(workbench, draft.id, parse_plan(draft.plan), name="Mine", actor=ACTOR)
    work("import")
    page = open_page("review.py", **{"import": draft.id})
    assert not page.exception
    assert title(page) == "Mine"
    assert "dataset" in page.query_params


def test_name_can_be_changed_and_is_shown_literally(open_page, workbench, bring_in):
    draft = bring_in(members(4))
    page = open_review(open_page, draft)
    page.text_input(key=widget(draft, "name")).set_value(MARKUP).run()
    assert MARKUP not in title(page)
    page.button(key=widget(draft, "import")).click().run()
    assert not page.exception
    assert drafts.get(workbench.database, draft.id).name == MARKUP


def two_sets():
    """Images with two sets of masks, of which one has three classes."""
    found = members(6, image="images/{}.jpg", mask="masks_cells/{}.png")
    for name, data in members(6, (0, 1, 2), mask="masks_parts/{}.png").items():
        if name.startswith("masks_parts"):
            found[name] = data
    return found


def test_competing_masks_are_asked_about_and_another_set_wants_another_look(
    open_page, workbench, bring_in, work, plan_of
):
    draft = bring_in(two_sets())
    page = open_review(open_page, draft)
    choice = page.radio(key=widget(draft, "proposal"))
    assert choice.label == "Which masks are the truth?"
    assert len(choice.options) == 3
    before = plan_of(draft).pairing.proposal
    other = next(each.key for each in archives.proposals(draft.id) if each.key != before)
    choice.set_value(other).run()
    assert not page.exception
    assert plan_of(draft).pairing.proposal == other
    assert page.button(key=widget(draft, "import")).disabled
    page.button(key=widget(draft, "look")).click().run()
    assert page.progress
    assert work().status == "completed"
    page.run()
    assert not page.exception
    assert not page.button(key=widget(draft, "import")).disabled
    assert widget(draft, "look") not in [button.key for button in page.button]


def test_rule_of_ones_own_starts_from_the_proposal_and_counts_at_once(open_page, bring_in, plan_of):
    draft = bring_in(members(6))
    page = open_review(open_page, draft)
    page.radio(key=widget(draft, "proposal")).set_value("own").run()
    assert not page.exception
    assert plan_of(draft).pairing.image_pattern
    assert "**6 pairs** · 0 unmatched · 0 ambiguous" in words(page)
    # The same pairs as were looked at need no other look.
    assert not page.button(key=widget(draft, "import")).disabled
    page.text_input(key=widget(draft, "image_pattern")).set_value("images/{id}.png").run()
    page.text_input(key=widget(draft, "mask_pattern")).set_value("masks/{id}0.png").run()
    assert not page.exception
    assert "**0 pairs** · 12 unmatched" in words(page)
    assert plan_of(draft).pairing.mask_pattern == "masks/{id}0.png"
    assert page.button(key=widget(draft, "import")).disabled


def test_pattern_that_cannot_be_used_is_explained_and_not_stored(open_page, bring_in, plan_of):
    draft = bring_in(members(4))
    page = open_review(open_page, draft)
    page.radio(key=widget(draft, "proposal")).set_value("own").run()
    before = plan_of(draft)
    page.text_input(key=widget(draft, "mask_pattern")).set_value("masks/*.png").run()
    assert not page.exception
    assert [alert for alert in page.error if "{id}" in alert.value.replace("\\", "")]
    assert plan_of(draft) == before
    assert page.text_input(key=widget(draft, "mask_pattern")).value == "masks/*.png"
    assert page.button(key=widget(draft, "import")).disabled
    page.text_input(key=widget(draft, "mask_pattern")).set_value("masks/{id}.png").run()
    assert not page.error
    assert not page.button(key=widget(draft, "import")).disabled


def test_folders_and_suffixes_write_the_patterns(open_page, bring_in, plan_of):
    draft = bring_in(members(4, image="x/{}_photo.png", mask="y/{}_done.png"))
    page = open_review(open_page, draft)
    page.radio(key=widget(draft, "proposal")).set_value("own").run()
    for name, value in (("image_folder", "x"), ("mask_folder", "y")):
        page.selectbox(key=widget(draft, f"{name}_0")).set_value(value).run()
    for name, value in (("image_suffix", "_photo"), ("mask_suffix", "_done")):
        page.text_input(key=widget(draft, f"{name}_0")).set_value(value).run()
    assert not page.exception
    assert "**4 pairs**" in words(page)
    pairing = plan_of(draft).pairing
    assert "_photo" in pairing.image_pattern and "_done" in pairing.mask_pattern
    assert page.text_input(key=widget(draft, "mask_pattern")).value == pairing.mask_pattern


def test_names_that_nothing_pairs_can_be_paired_by_a_pattern(
    open_page, workbench, bring_in, work, plan_of
):
    content = members(4, image="scan/{}a.png", mask="scan/{}b.png")
    del content["scan/3b.png"]
    draft = bring_in(content)
    page = open_review(open_page, draft)
    page.radio(key=widget(draft, "proposal")).set_value("own").run()
    page.text_input(key=widget(draft, "image_pattern")).set_value("scan/{id}a.png").run()
    page.text_input(key=widget(draft, "mask_pattern")).set_value("scan/{id}b.png").run()
    assert not page.exception
    assert "**3 pairs** · 1 unmatched" in words(page)
    if widget(draft, "look") in [button.key for button in page.button]:
        page.button(key=widget(draft, "look")).click().run()
        assert work().status == "completed"
        page.run()
    assert not page.exception
    assert not page.button(key=widget(draft, "import")).disabled


def test_mask_one_row_off_is_named_and_its_treatment_stored(open_page, bring_in, plan_of):
    content = members(4)
    content["masks/1.png"] = png(np.array([[0, 255]] * 25).repeat(12, axis=1))
    draft = bring_in(content)
    page = open_review(open_page, draft)
    assert "The mask “masks/1.png” is 24×25 px, its image 24×24 px" in words(page)
    assert plan_of(draft).images.on_size_mismatch == "crop"
    choice = next(
        each for each in page.get("button_group") if each.key == widget(draft, "size_mismatch")
    )
    choice.set_value("skip").run()
    assert not page.exception
    assert plan_of(draft).images.on_size_mismatch == "skip"
    assert "Left out: 1." in words(page)


def test_channels_are_chosen_where_there_are_many(open_page, bring_in, plan_of):
    content = members(4, image="images/{}.tif")
    for name in [name for name in content if name.endswith(".tif")]:
        file = io.BytesIO()
        tifffile.imwrite(
            file, np.zeros((5, 24, 24), np.uint8), photometric="minisblack", planarconfig="separate"
        )
        content[name] = file.getvalue()
    draft = bring_in(content)
    page = open_review(open_page, draft)
    assert "4 images with 5 channels" in words(page)
    channels = page.multiselect(key=widget(draft, "channels"))
    channels.set_value([4]).run()
    assert plan_of(draft).images.channels == (4,)
    # Two are no picture; they are on the way from one to three.
    page.multiselect(key=widget(draft, "channels")).set_value([4, 0]).run()
    assert not page.exception
    assert plan_of(draft).images.channels == (4,)
    page.multiselect(key=widget(draft, "channels")).set_value([4, 0, 2]).run()
    assert plan_of(draft).images.channels == (4, 0, 2)


def test_threshold_is_stored_as_it_is_drawn(open_page, bring_in, plan_of):
    draft = bring_in(members(4))
    page = open_review(open_page, draft, view="classes")
    switch = next(each for each in page.get("button_group") if each.key == widget(draft, "meaning"))
    switch.set_value("threshold").run()
    assert not page.exception
    assert plan_of(draft).masks.meaning == "threshold"
    page.slider(key=widget(draft, "threshold")).set_value(40).run()
    assert not page.exception
    assert plan_of(draft).masks.threshold == 40
    assert plan_of(draft).masks.classes[0].role == "background"


def test_grey_masks_can_be_read_as_colours_of_one_class_each(open_page, bring_in, plan_of):
    draft = bring_in(members(4))
    page = open_review(open_page, draft, view="classes")
    switch = next(each for each in page.get("button_group") if each.key == widget(draft, "meaning"))
    switch.set_value("colors").run()
    assert not page.exception
    masks = plan_of(draft).masks
    assert masks.meaning == "colors"
    assert {value for rule in masks.classes for value in rule.values} == {0x000000, 0xFFFFFF}
    assert not page.error


def test_background_and_foreground_are_swapped_and_back(open_page, bring_in, plan_of):
    draft = bring_in(members(4))
    before = plan_of(draft).masks
    page = open_review(open_page, draft, view="classes")
    page.button(key=widget(draft, "swap")).click().run()
    swapped = {rule.name: rule.values for rule in plan_of(draft).masks.classes}
    assert swapped == {"background": (255,), "foreground": (0,)}
    page.button(key=widget(draft, "reset")).click().run()
    assert not page.exception
    assert plan_of(draft).masks == before
    assert widget(draft, "reset") not in [button.key for button in page.button]


def test_colour_of_a_class_is_picked(open_page, bring_in, plan_of):
    draft = bring_in(members(4))
    page = open_review(open_page, draft, view="classes")
    page.color_picker(key=widget(draft, "color_0")).set_value("#123456").run()
    assert not page.exception
    assert [rule.color for rule in plan_of(draft).masks.classes][1] == "#123456"


def test_split_shows_what_its_settings_give(open_page, bring_in, plan_of):
    draft = bring_in(members(10))
    page = open_review(open_page, draft, view="split")
    assert sum(int(value) for value in metrics(page).values()) == 10
    page.number_input(key=widget(draft, "test_share")).set_value(0.3).run()
    assert not page.exception
    assert metrics(page)["Test"] == "3"
    assert plan_of(draft).split.test_share == 0.3
    page.number_input(key=widget(draft, "test_share")).set_value(3.0).run()
    assert not page.exception
    assert page.error
    assert plan_of(draft).split.test_share == 0.3
    assert page.button(key=widget(draft, "import")).disabled


def test_groups_by_a_pattern_are_counted_and_a_broken_pattern_is_explained(
    open_page, bring_in, plan_of
):
    draft = bring_in(members(10, image="images/p{}_x.png", mask="masks/p{}_x.png"))
    page = open_review(open_page, draft, view="split")
    by = next(each for each in page.get("button_group") if each.key == widget(draft, "groups_by"))
    by.set_value("pattern").run()
    assert plan_of(draft).groups.by == "auto"
    page.text_input(key=widget(draft, "group_pattern")).set_value(r"p(\d)").run()
    assert not page.exception
    assert plan_of(draft).groups.pattern == r"p(\d)"
    assert "10 groups" in words(page)
    page.text_input(key=widget(draft, "group_pattern")).set_value("p(").run()
    assert not page.exception
    assert page.error
    assert plan_of(draft).groups.pattern == r"p(\d)"


def test_what_somebody_else_began_meanwhile_is_not_overwritten(
    open_page, workbench, bring_in, plan_of
):
    draft = bring_in(members(4))
    page = open_review(open_page, draft, view="classes")
    submit_inspection(workbench, draft.id, plan_of(draft), actor="bob")
    before = plan_of(draft)
    page.button(key=widget(draft, "swap")).click().run()
    assert not page.exception
    assert plan_of(draft) == before
    assert [toast.value for toast in page.toast]
    assert page.progress


def test_second_press_on_import_queues_nothing(open_page, workbench, bring_in):
    draft = bring_in(members(4))
    one, other = open_review(open_page, draft), open_review(open_page, draft)
    one.button(key=widget(draft, "import")).click().run()
    other.button(key=widget(draft, "import")).click().run()
    assert not other.exception
    assert len(jobs.newest(workbench.database, "import", 10)) == 1


def test_failed_import_says_why_and_can_be_corrected(open_page, workbench, bring_in, work, plan_of):
    draft = bring_in(members(4, values=(0, 3, 9)))
    plan = plan_of(draft)
    masks = plan.masks.model_copy(update={"classes": plan.masks.classes[:2]})
    drafts.set_plan(
        workbench.database, draft.id, plan.model_copy(update={"masks": masks}).to_dict()
    )
    page = open_review(open_page, draft)
    page.button(key=widget(draft, "import")).click().run()
    assert work("import").status == "failed"
    page.run()
    assert not page.exception
    assert page.error
    assert not page.button(key=widget(draft, "import")).disabled
    assert datasets.all_newest_first(workbench.database) == []


def test_stopped_look_can_be_taken_up_again(open_page, workbench, bring_in, work):
    draft = bring_in(members(4), look=False)
    stop_draft(workbench, draft.id, actor=ACTOR)
    page = open_review(open_page, draft)
    assert "stopped" in words(page)
    page.button(key=widget(draft, "look")).click().run()
    assert work().status == "completed"
    page.run()
    assert not page.exception
    assert not page.button(key=widget(draft, "import")).disabled


def test_archive_that_is_none_says_why_and_can_be_discarded(open_page, workbench):
    source = uploads.key_of(uploads.open_upload(workbench, "x.zip", 6, actor=ACTOR))
    with workbench.files.writing(source) as path:
        path.write_bytes(b"no zip")
    drafts.add(
        workbench.database,
        draft_id="0000000a",
        name="x",
        source=source,
        kind="inspect",
        actor=ACTOR,
    )
    job = attempts.claim(workbench.database, ["inspect"], "light")
    attempts.finish(
        workbench.database,
        job,
        "failed",
        error={"type": "BadArchive", "message": "It is no zip.", "facts": {}},
    )
    draft = drafts.get(workbench.database, "0000000a")
    page = open_review(open_page, draft)
    assert [alert.value for alert in page.error] == [r"It is no zip\."]
    assert widget(draft, "import") not in [button.key for button in page.button]
    assert not page.radio
    page.button(key=widget(draft, "discard")).click().run()
    assert not page.exception
    assert title(page) == "Datasets"
    assert drafts.all_newest_first(workbench.database) == []
    assert not workbench.files.path(source).exists()
