"""The Train page: dataset and recipe, every setting, what the run will be, and its start."""

import dataclasses

import pytest

from engine.config import RECIPES, leaf_fields, with_changes
from engine.errors import BadSetting
from engine.store import datasets, runs
from tests.pages.support import MARKUP, MARKUP_SHOWN, links, metrics, title, words

START = "Start training"


def start_buttons(page):
    return [button for button in page.button if button.label == START]


def setting(page, recipe, name):
    return page.get_by_key(f"train_{recipe}_{name}")


def form_values(page, recipe):
    return {name: setting(page, recipe, name).value for name in leaf_fields()}


def recipe_values(recipe):
    config = RECIPES[recipe].to_dict()
    return {name: config[part][name] for name, (part, _field) in leaf_fields().items()}


def test_without_a_dataset_the_page_leads_to_the_datasets(open_page):
    page = open_page("train.py")
    assert not page.exception
    assert "Nothing to train on yet" in words(page)
    assert links(page).keys() == {"Go to Datasets"}
    assert not page.button
    assert not page.selectbox


def test_recipe_is_quick_until_another_one_is_chosen(open_page, dataset):
    page = open_page("train.py")
    assert not page.exception
    assert page.get_by_key("recipe").value == "quick"
    assert "Settings as in the recipe." in words(page)
    assert "Changed from the recipe" not in words(page)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_setting_shows_the_value_of_the_recipe(open_page, dataset, recipe):
    page = open_page("train.py", recipe=recipe)
    assert not page.exception
    assert form_values(page, recipe) == recipe_values(recipe)
    assert "Changed from the recipe" not in words(page)


def test_another_recipe_brings_its_own_values(open_page, dataset):
    page = open_page("train.py")
    setting(page, "quick", "epochs").set_value(7)
    page.get_by_key("recipe").set_value("tutorial").run()
    assert not page.exception
    assert form_values(page, "tutorial") == recipe_values("tutorial")
    assert "Changed from the recipe" not in words(page)


def test_every_setting_has_its_title_and_its_meaning(open_page, dataset):
    page = open_page("train.py")
    assert not page.exception
    for name, (_part, field) in leaf_fields().items():
        widget = setting(page, "quick", name)
        assert (widget.label, widget.help) == (field.title, field.description or "")
        assert not widget.disabled


def test_tutorial_network_has_as_many_parameters_as_the_tutorial_says(open_page, add_dataset):
    add_dataset(num_samples=20, rectangles=False)
    page = open_page("train.py", recipe="tutorial")
    assert not page.exception
    assert metrics(page) == {
        "Training": "14",
        "Validation": "3",
        "Test": "3",
        "Steps per epoch": "4",
        "Parameters": "7,697,345",
    }
    assert not page.warning
    assert not page.error


def test_changed_settings_change_the_numbers_and_are_named(open_page, add_dataset):
    add_dataset(num_samples=20, rectangles=False)
    page = open_page("train.py", recipe="tutorial")
    setting(page, "tutorial", "split_method").set_value("random")
    setting(page, "tutorial", "val_share").set_value(0.25)
    setting(page, "tutorial", "test_share").set_value(0.0)
    setting(page, "tutorial", "batch_size").set_value(8)
    setting(page, "tutorial", "color").set_value("grey")
    page.run()
    assert not page.exception
    assert metrics(page) == {
        "Training": "15",
        "Validation": "5",
        "Test": "0",
        "Steps per epoch": "2",
        # Two input channels less, each with 64 kernels of 3×3.
        "Parameters": f"{7_697_345 - 2 * 64 * 9:,}",
    }
    assert (
        "Changed from the recipe: Colour channels, Split method, Validation share, Test share, "
        "Batch size" in words(page)
    )
    assert "Settings as in the recipe." not in words(page)


def test_setting_put_back_is_no_longer_named(open_page, dataset):
    page = open_page("train.py")
    setting(page, "quick", "flips").set_value(False).run()
    named = words(page)
    setting(page, "quick", "flips").set_value(True).run()
    assert not page.exception
    assert "Changed from the recipe: Flips" in named
    assert "Changed from the recipe" not in words(page)


@pytest.mark.parametrize(
    "name, value", [("val_share", 0.0), ("max_minutes", 0.0), ("threshold", 1)]
)
def test_setting_that_cannot_be_used_blocks_the_start_with_the_engine_s_sentence(
    open_page, dataset, workbench, name, value
):
    page = open_page("train.py")
    setting(page, "quick", name).set_value(value).run()
    with pytest.raises(BadSetting) as refused:
        with_changes(RECIPES["quick"], {name: float(value)})
    assert not page.exception
    assert str(refused.value) in words(page)
    assert not start_buttons(page)
    assert not page.metric
    assert runs.all_newest_first(workbench.database) == []


def test_dataset_too_small_to_be_split_blocks_the_start(open_page, dataset, workbench):
    (first, *_others) = datasets.samples(workbench.database, dataset.id)
    page = open_page("train.py", dataset=add_version(workbench, dataset, [first]))
    setting(page, "quick", "split_method").set_value("random").run()
    assert not page.exception
    assert "The dataset has 1 sample; at least 2 are needed" in words(page)
    assert not start_buttons(page)


def add_version(workbench, dataset, samples):
    """A dataset with the pictures of another one, but not its split; returns its id."""
    datasets.add(
        workbench.database,
        dataset_id="1eaf1eaf",
        name="Version",
        content_hash="f" * 64,
        num_channels=1,
        classes=dataset.classes,
        samples=samples,
        report=datasets.report(workbench.database, dataset.id),
        actor="ada",
        plan=dataset.plan,
    )
    return "1eaf1eaf"


def add_leak(workbench, dataset):
    """A dataset in which two samples are copies in two parts of the split."""
    leaking = [
        dataclasses.replace(
            sample,
            split={0: "train", 1: "test", 2: "val"}.get(sample.position, "train"),
            twins=0 if sample.position < 2 else None,
        )
        for sample in datasets.samples(workbench.database, dataset.id)
    ]
    return add_version(workbench, dataset, leaking)


def test_leak_blocks_the_start_and_both_ways_out_are_there(open_page, dataset, workbench):
    leaking = add_leak(workbench, dataset)
    page = open_page("train.py", dataset=leaking)
    assert not page.exception
    assert "2 samples have copies in another part of the split" in words(page)
    assert not start_buttons(page)
    assert not page.metric
    assert f"dataset={leaking}&view=quality" in links(page)["See the leak and fix it"]
    setting(page, "quick", "accept_leaks").set_value(True).run()
    assert not page.exception
    assert not page.error
    assert "2 samples have copies in another part of the split; the scores will be too good." in (
        words(page)
    )
    start_buttons(page)[0].click().run()
    assert not page.exception
    (run,) = runs.all_newest_first(workbench.database)
    assert run.config.split.accept_leaks


def test_another_split_of_the_run_keeps_copies_together(open_page, dataset, workbench):
    page = open_page("train.py", dataset=add_leak(workbench, dataset))
    setting(page, "quick", "split_method").set_value("random").run()
    assert not page.exception
    assert start_buttons(page)
    assert not page.error
    assert "have copies in another part" not in words(page)


def test_split_of_the_run_is_the_dataset_s_unless_another_one_is_asked_for(
    open_page, dataset, workbench
):
    page = open_page("train.py", dataset=dataset.id)
    samples = datasets.samples(workbench.database, dataset.id)
    split = [sample.split for sample in samples]
    assert [metrics(page)[name] for name in ("Training", "Validation", "Test")] == [
        str(split.count(name)) for name in ("train", "val", "test")
    ]
    start_buttons(page)[0].click().run()
    (run,) = runs.all_newest_first(workbench.database)
    stored = runs.split_of(workbench.database, run.id)
    assert all(samples[position].split == name for name in stored for position in stored[name])


def test_corrected_setting_gives_the_start_back(open_page, dataset):
    page = open_page("train.py")
    setting(page, "quick", "val_share").set_value(0.0).run()
    setting(page, "quick", "val_share").set_value(0.2).run()
    assert not page.exception
    assert start_buttons(page)
    assert not page.error


def test_time_budget_warns_that_epochs_are_not_used(open_page, add_dataset):
    add_dataset(num_samples=20)
    page = open_page("train.py")
    setting(page, "quick", "max_minutes").set_value(5.0).run()
    assert not page.exception
    assert [warning.value for warning in page.warning] == [
        "A time budget is set, so the number of epochs is not used."
    ]
    assert start_buttons(page)
    assert not page.error


@pytest.mark.parametrize("num_samples, is_warned", [(16, True), (20, False)])
def test_few_validation_samples_are_warned_about(open_page, add_dataset, num_samples, is_warned):
    add_dataset(num_samples=num_samples)
    page = open_page("train.py")
    assert not page.exception
    assert ("the best epoch is chosen almost by chance" in words(page)) == is_warned
    assert start_buttons(page)


def test_start_queues_a_run_with_exactly_these_settings_and_leads_to_it(
    open_page, dataset, workbench
):
    changes = {
        "image_size_px": 64,
        "color": "rgb",
        "split_method": "interleaved",
        "split_seed": 2**31 - 1,
        "learning_rate": 0.00123,
        "weight_decay": 0.0,
        "brightness_contrast": 0.35,
        "rotate_90": False,
        "max_minutes": 1.5,
        "precision": "fp32",
    }
    page = open_page("train.py")
    for name, value in changes.items():
        setting(page, "quick", name).set_value(value)
    page.text_input(key="train_name").set_value("  My run ")
    start_buttons(page)[0].click().run()
    assert not page.exception
    (run,) = runs.all_newest_first(workbench.database)
    assert run.config == with_changes(RECIPES["quick"], changes)
    assert (run.name, run.dataset_id, run.actor) == ("My run", dataset.id, "test@example.com")
    assert title(page) == "My run"
    assert page.query_params == {"run": run.id}
    page.run()
    assert len(runs.all_newest_first(workbench.database)) == 1


def test_promised_numbers_are_those_of_the_run(open_page, dataset, workbench):
    page = open_page("train.py", recipe="tutorial")
    promised = metrics(page)
    start_buttons(page)[0].click().run()
    assert not page.exception
    (run,) = runs.all_newest_first(workbench.database)
    split = runs.split_of(workbench.database, run.id)
    assert promised["Parameters"] == f"{run.num_parameters:,}"
    assert [promised[name] for name in ("Training", "Validation", "Test")] == [
        str(len(split[name])) for name in ("train", "val", "test")
    ]


def test_run_without_a_name_is_named_after_dataset_and_recipe(open_page, dataset, workbench):
    page = open_page("train.py")
    page.text_input(key="train_name").set_value("   ")
    start_buttons(page)[0].click().run()
    assert not page.exception
    assert title(page) == "Cells quick 1"
    assert runs.all_newest_first(workbench.database)[0].name != ""


def test_newest_dataset_is_chosen_unless_the_address_names_one(open_page, add_dataset):
    older, newer = add_dataset("Older"), add_dataset("Newer")
    assert open_page("train.py").selectbox(key="train_dataset").value == newer.id
    page = open_page("train.py", dataset=older.id)
    assert not page.exception
    assert page.selectbox(key="train_dataset").value == older.id
    assert not page.error


@pytest.mark.parametrize(
    "query",
    [
        {"dataset": "deadbeef"},
        {"dataset": ""},
        {"recipe": "magic"},
        {"recipe": ""},
    ],
)
def test_unknown_dataset_and_recipe_in_the_address_are_ignored(open_page, dataset, query):
    page = open_page("train.py", **query)
    assert not page.exception
    assert page.selectbox(key="train_dataset").value == dataset.id
    assert form_values(page, "quick") == recipe_values("quick")
    assert not page.error


def test_chosen_dataset_is_kept_in_the_address(open_page, add_dataset):
    older = add_dataset("Older", 3)
    add_dataset("Newer", 4)
    page = open_page("train.py")
    page.selectbox(key="train_dataset").select(older.id).run()
    assert not page.exception
    assert page.query_params["dataset"] == older.id
    assert metrics(page)["Training"] == "1"


def test_datasets_of_the_same_name_and_size_are_told_apart(open_page, add_dataset, workbench):
    add_dataset("Toy", seed=1)
    newer = add_dataset("Toy", seed=2)
    page = open_page("train.py", dataset=newer.id)
    start_buttons(page)[0].click().run()
    assert not page.exception
    assert [run.dataset_id for run in runs.all_newest_first(workbench.database)] == [newer.id]


def test_names_with_markup_are_shown_literally(open_page, add_dataset):
    add_dataset(MARKUP)
    page = open_page("train.py")
    page.text_input(key="train_name").set_value(MARKUP)
    start_buttons(page)[0].click().run()
    assert not page.exception
    assert title(page) == MARKUP_SHOWN
    assert MARKUP not in [text.value for text in page.markdown]
