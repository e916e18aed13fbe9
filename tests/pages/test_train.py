"""The Train page: dataset and recipe, every setting, what the run will be, and its start."""

import dataclasses

import pytest

from engine.config import AUGMENT_PRESETS, RECIPES, leaf_fields, parts, propose, with_changes
from engine.datasets.profile import profile_of
from engine.datasets.splits import split_of_run
from engine.errors import BadSetting
from engine.jobs.forecast import forecast
from engine.notes import Note
from engine.store import datasets, runs
from pages.common.train.form import without_effect
from tests.pages.support import (
    MACHINE,
    MARKUP,
    MARKUP_SHOWN,
    as_read,
    figures,
    links,
    metrics,
    title,
    words,
)

START = "Start training"


def start_buttons(page):
    return [button for button in page.button if button.label == START]


def setting(page, recipe, name):
    """The field of a setting that is filled in as in the recipe."""
    part, _field = leaf_fields()[name]
    return field_of(page, RECIPES[recipe], name, getattr(getattr(RECIPES[recipe], part), name))


def field_of(page, config, name, default):
    return page.get_by_key(f"train_{config.recipe}_{name}_{default!r}")


def proposal_of(workbench, dataset, recipe="auto", **wishes):
    samples = datasets.samples(workbench.database, dataset.id)
    split = split_of_run(samples, RECIPES[recipe].split)
    return propose(recipe, profile_of(dataset, samples, split), MACHINE, wishes)


def has_field(page, recipe, name):
    keys = [getattr(element, "key", None) or "" for element in page.main]
    return any(key.startswith(f"train_{recipe}_{name}_") for key in keys)


def shown_settings(config, num_classes=3):
    hidden = {"max_minutes", *without_effect(config, num_classes)}
    return [name for name in leaf_fields() if name not in hidden]


def values_of(config):
    values = {leaf: getattr(config, part) for leaf, (part, _field) in leaf_fields().items()}
    return {leaf: getattr(part, leaf) for leaf, part in values.items()}


def labels(page):
    return {each.key: as_read(each.label) for each in page.expander}


def test_without_a_dataset_the_page_leads_to_the_datasets(open_page):
    page = open_page("train.py")
    assert not page.exception
    assert "Nothing to train on yet" in words(page)
    assert links(page).keys() == {"Go to Datasets"}
    assert not page.button
    assert not page.selectbox


def test_recipe_is_auto_until_another_one_is_chosen(open_page, dataset):
    page = open_page("train.py")
    assert not page.exception
    assert page.get_by_key("recipe").value == "auto"
    assert "Settings as in the recipe." in words(page)
    assert "Changed from the recipe" not in words(page)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_setting_with_an_effect_shows_what_is_proposed(open_page, dataset, workbench, recipe):
    page = open_page("train.py", recipe=recipe)
    assert not page.exception
    proposed = proposal_of(workbench, dataset, recipe).config
    values = values_of(proposed)
    for name in shown_settings(proposed):
        assert field_of(page, proposed, name, values[name]).value == values[name], name
    assert "Changed from the recipe" not in words(page)


def test_every_setting_has_its_title_and_its_meaning(open_page, dataset):
    page = open_page("train.py", recipe="quick")
    assert not page.exception
    for name in shown_settings(RECIPES["quick"]):
        _part, field = leaf_fields()[name]
        widget = setting(page, "quick", name)
        assert (widget.label, widget.help) == (field.title, field.description or "")
        assert not widget.disabled


def test_every_part_is_closed_and_says_in_a_line_what_is_set(open_page, dataset):
    page = open_page("train.py", recipe="paper")
    assert not page.exception
    found = labels(page)
    assert set(found) == {f"train_part_{part}" for part in parts()}
    assert found["train_part_model"] == (
        "**Network** :gray[U-Net · 5 levels · width 64 · no padding · dropout 0.5]"
    )
    assert "result 388×388 px" in found["train_part_images"]
    assert not any(each.proto.expanded for each in page.expander)


def test_settings_without_effect_are_hidden_and_named(open_page, dataset):
    page = open_page("train.py", recipe="quick")
    assert not page.exception
    assert not has_field(page, "quick", "encoder")
    assert not has_field(page, "quick", "focal_gamma")
    assert "Without effect beside these: Encoder, Encoder weights." not in words(page)
    assert "Dropout after, Encoder, Encoder weights" in words(page)
    setting(page, "quick", "architecture").set_value("unet_plus_plus").run()
    assert not page.exception
    assert setting(page, "quick", "encoder").value == "resnet34"
    assert not has_field(page, "quick", "width")
    assert labels(page)["train_part_model"].endswith(":gray[U-Net++ · resnet34]")


def test_value_of_a_setting_that_loses_its_effect_is_dropped(open_page, dataset, workbench):
    page = open_page("train.py", recipe="quick")
    setting(page, "quick", "dropout").set_value(0.3).run()
    setting(page, "quick", "dropout_at").set_value("every_convolution").run()
    setting(page, "quick", "dropout").set_value(0.0).run()
    assert not page.exception
    assert "Changed from the recipe" not in words(page)
    assert "has no effect" not in words(page)
    start_buttons(page)[0].click().run()
    assert runs.all_newest_first(workbench.database)[0].config == RECIPES["quick"]


def test_auto_says_why(open_page, dataset, workbench):
    page = open_page("train.py")
    assert not page.exception
    proposal = proposal_of(workbench, dataset)
    assert proposal.reasons
    text = words(page)
    for note in proposal.reasons.values():
        explained = {
            leaf_fields()[leaf][0] for leaf, each in proposal.reasons.items() if each == note
        }
        # Once in the list of all reasons, once in each part that it explains something of.
        assert text.count(as_read(str(note))) == 1 + len(explained)
    assert labels(page)["train_why"].startswith("**Why these settings** :gray[")


def test_other_recipes_have_no_reasons(open_page, dataset):
    page = open_page("train.py", recipe="quick")
    assert not page.exception
    assert "train_why" not in labels(page)
    assert ":material/lightbulb:" not in words(page)


def test_reason_goes_with_the_value_it_explains(open_page, dataset, workbench):
    proposal = proposal_of(workbench, dataset)
    reason = as_read(str(proposal.reasons["batch_size"]))
    batch_size = proposal.config.schedule.batch_size
    page = open_page("train.py")
    field_of(page, proposal.config, "batch_size", batch_size).set_value(3).run()
    assert not page.exception
    assert reason not in words(page)
    start_buttons(page)[0].click().run()
    assert not page.exception
    (run,) = runs.all_newest_first(workbench.database)
    assert "batch_size" not in run.reasons
    assert run.reasons["num_levels"] == proposal.reasons["num_levels"]


def test_another_dataset_brings_what_suits_it_and_keeps_what_was_changed(
    open_page, add_dataset, workbench
):
    small, large = add_dataset("Small", 4), add_dataset("Large", 12)
    first, second = proposal_of(workbench, small).config, proposal_of(workbench, large).config
    assert first.images.passes_per_epoch != second.images.passes_per_epoch
    page = open_page("train.py", dataset=small.id)
    field_of(page, first, "learning_rate", first.optimizer.learning_rate).set_value(0.01).run()
    page.selectbox(key="train_dataset").select(large.id).run()
    assert not page.exception
    passes = second.images.passes_per_epoch
    assert field_of(page, second, "passes_per_epoch", passes).value == passes
    assert field_of(page, second, "learning_rate", second.optimizer.learning_rate).value == 0.01
    assert "Changed from the recipe: Learning rate" in words(page)


def test_another_recipe_brings_its_own_values(open_page, dataset):
    page = open_page("train.py", recipe="quick")
    setting(page, "quick", "epochs").set_value(7)
    page.get_by_key("recipe").set_value("tutorial").run()
    assert not page.exception
    assert setting(page, "tutorial", "epochs").value == 20
    assert "Changed from the recipe" not in words(page)


def test_strength_fills_in_the_augmentation(open_page, dataset, workbench):
    page = open_page("train.py", recipe="tutorial")
    assert page.get_by_key("train_preset_tutorial").value == "none"
    page.get_by_key("train_preset_tutorial").set_value("strong").run()
    assert not page.exception
    assert setting(page, "tutorial", "rotation_degrees").value == 45
    assert labels(page)["train_part_augment"] == "**Augmentation** :gray[strong]"
    start_buttons(page)[0].click().run()
    (run,) = runs.all_newest_first(workbench.database)
    assert run.config.augment == AUGMENT_PRESETS["strong"]
    assert run.config.model == RECIPES["tutorial"].model


def test_augmentation_of_one_s_own_has_no_strength(open_page, dataset):
    page = open_page("train.py", recipe="tutorial")
    page.get_by_key("train_preset_tutorial").set_value("light").run()
    setting(page, "tutorial", "noise").set_value(0.1).run()
    assert not page.exception
    assert page.get_by_key("train_preset_tutorial").value == "own"
    assert setting(page, "tutorial", "brightness").value == 0.1


def test_given_class_weights_have_a_field_for_each_class(open_page, dataset, workbench):
    page = open_page("train.py", recipe="quick")
    assert not [each for each in page.number_input if each.label.startswith("Weight of")]
    setting(page, "quick", "class_weighting").set_value("given").run()
    assert not page.exception
    fields = [each for each in page.number_input if each.label.startswith("Weight of")]
    assert [(each.label, each.value) for each in fields] == [
        ("Weight of background", 1.0),
        ("Weight of class 1", 1.0),
        ("Weight of class 2", 1.0),
    ]
    fields[2].set_value(4.0).run()
    start_buttons(page)[0].click().run()
    assert not page.exception
    (run,) = runs.all_newest_first(workbench.database)
    assert run.config.loss.class_weights == (1.0, 1.0, 4.0)


def test_training_starts_from_a_run_that_has_learned(open_page, dataset, make_runs, workbench):
    make_runs.ended(dataset, "Nothing learned", num_epochs=0)
    learned = make_runs.ended(dataset, "Learned")
    page = open_page("train.py", recipe="quick")
    field = setting(page, "quick", "start_from")
    assert field.options == ["a fresh network", f"Learned · Dice 0.700 · {learned.id}"]
    field.set_value(learned.id).run()
    assert labels(page)["train_part_model"].endswith("starts from a run]")
    start_buttons(page)[0].click().run()
    assert not page.exception
    assert runs.all_newest_first(workbench.database)[0].config.model.start_from == learned.id


def test_tutorial_network_has_as_many_parameters_as_the_tutorial_says(open_page, add_dataset):
    binary = add_dataset(num_samples=20, rectangles=False)
    page = open_page("train.py", recipe="tutorial")
    assert not page.exception
    costs = forecast(RECIPES["tutorial"], binary)
    assert metrics(page) == {
        "Training": "14",
        "Validation": "3",
        "Test": "3",
        "Steps per epoch": "4",
        "Parameters": "7,697,345",
        "Sees around a pixel": f"{costs.receptive_field_px} px",
        "Work per image": f"{costs.forward_flops / 1e9:.3g} GFLOP",
        "Memory": f"{costs.memory_bytes / 1e9:.1f} GB",
    }
    assert not page.error


def test_learning_rate_is_drawn_before_it_runs(open_page, dataset):
    page = open_page("train.py", recipe="quick")
    assert not page.exception
    (curve,) = figures(page)["train_rates"]["data"]
    assert max(curve["y"]) == pytest.approx(0.004, rel=0.01)
    assert curve["x"][-1] == pytest.approx(30)
    assert curve["y"][-1] < 0.0001


def test_changed_settings_change_the_numbers_and_are_named(open_page, add_dataset):
    add_dataset(num_samples=20, rectangles=False)
    page = open_page("train.py", recipe="tutorial")
    setting(page, "tutorial", "split_method").set_value("random").run()
    setting(page, "tutorial", "val_share").set_value(0.25)
    setting(page, "tutorial", "test_share").set_value(0.0)
    setting(page, "tutorial", "batch_size").set_value(8)
    setting(page, "tutorial", "color").set_value("grey")
    page.run()
    assert not page.exception
    found = metrics(page)
    assert [found[name] for name in ("Training", "Validation", "Test")] == ["15", "5", "0"]
    assert found["Steps per epoch"] == "2"
    # Two input channels less, each with 64 kernels of 3×3.
    assert found["Parameters"] == f"{7_697_345 - 2 * 64 * 9:,}"
    assert (
        "Changed from the recipe: Colour channels, Split method, Validation share, Test share, "
        "Batch size" in words(page)
    )
    assert "Settings as in the recipe." not in words(page)


def test_setting_put_back_is_no_longer_named(open_page, dataset):
    page = open_page("train.py", recipe="quick")
    setting(page, "quick", "flips").set_value("none").run()
    named = words(page)
    setting(page, "quick", "flips").set_value("both").run()
    assert not page.exception
    assert "Changed from the recipe: Flips" in named
    assert "Changed from the recipe" not in words(page)


@pytest.mark.parametrize(
    "name, value", [("learning_rate", 0.0), ("image_size_px", 8), ("batch_size", 0)]
)
def test_setting_that_cannot_be_used_blocks_the_start_with_the_engine_s_sentence(
    open_page, dataset, workbench, name, value
):
    page = open_page("train.py", recipe="quick")
    setting(page, "quick", name).set_value(value).run()
    with pytest.raises(BadSetting) as refused:
        with_changes(RECIPES["quick"], {name: value})
    assert not page.exception
    assert str(refused.value) in words(page)
    assert not start_buttons(page)
    assert not page.metric
    assert runs.all_newest_first(workbench.database) == []


def test_dataset_too_small_to_be_split_blocks_the_start(open_page, dataset, workbench):
    (first, *_others) = datasets.samples(workbench.database, dataset.id)
    page = open_page("train.py", recipe="quick", dataset=add_version(workbench, dataset, [first]))
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
    page = open_page("train.py", recipe="quick", dataset=leaking)
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
    page = open_page("train.py", recipe="quick", dataset=add_leak(workbench, dataset))
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


def test_setting_that_cannot_be_used_leaves_the_other_fields_where_they_are(open_page, dataset):
    page = open_page("train.py", recipe="quick")
    before = [each.key for each in [*page.number_input, *page.selectbox, *page.toggle]]
    setting(page, "quick", "batch_size").set_value(0).run()
    assert not page.exception
    assert [each.key for each in [*page.number_input, *page.selectbox, *page.toggle]] == before
    assert labels(page)["train_part_schedule"] == "**Schedule** :gray[30 epochs · batches of 4]"


def test_corrected_setting_gives_the_start_back(open_page, dataset):
    page = open_page("train.py", recipe="quick")
    setting(page, "quick", "batch_size").set_value(0).run()
    assert not start_buttons(page)
    setting(page, "quick", "batch_size").set_value(2).run()
    assert not page.exception
    assert start_buttons(page)
    assert not page.error


def test_time_budget_counts_in_every_recipe(open_page, dataset, workbench):
    page = open_page("train.py", recipe="quick")
    page.number_input(key="train_minutes").set_value(5.0).run()
    assert not page.exception
    assert "5 minutes, in place of 30 epochs" in labels(page)["train_part_schedule"]
    assert "Changed from the recipe" not in words(page)
    start_buttons(page)[0].click().run()
    (run,) = runs.all_newest_first(workbench.database)
    assert run.config == with_changes(RECIPES["quick"], {"max_minutes": 5.0})


def test_time_budget_that_cannot_be_used_blocks_the_start(open_page, dataset):
    page = open_page("train.py")
    page.number_input(key="train_minutes").set_value(0.0).run()
    assert not page.exception
    assert "Time budget (minutes) (max_minutes) is 0.0; it must be more than 0" in words(page)
    assert not start_buttons(page)


@pytest.mark.parametrize("num_samples, is_warned", [(16, True), (20, False)])
def test_few_validation_samples_are_warned_about(open_page, add_dataset, num_samples, is_warned):
    add_dataset(num_samples=num_samples)
    page = open_page("train.py", recipe="quick")
    assert not page.exception
    assert ("the best epoch is chosen almost by chance" in words(page)) == is_warned
    assert start_buttons(page)


def test_start_queues_a_run_with_exactly_these_settings_and_leads_to_it(
    open_page, dataset, workbench
):
    changes = {
        "image_size_px": 64,
        "color": "rgb",
        "split_method": "random",
        "split_seed": 2**31 - 1,
        "learning_rate": 0.00123,
        "weight_decay": 0.0,
        "brightness": 0.35,
        "rotate_90": False,
        "precision": "fp32",
    }
    page = open_page("train.py", recipe="quick")
    setting(page, "quick", "split_method").set_value("random").run()
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
    assert title(page) == "Cells auto 1"
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
    assert "fits itself to them" in words(page)
    assert has_field(page, "auto", "epochs")
    assert not has_field(page, "quick", "epochs")
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


CLONED = {
    "image_size_px": 64, "split_method": "random", "split_seed": 7, "learning_rate": 0.00123,
    "rotate_90": False, "precision": "fp32", "epochs": 12, "flips": "none", "max_minutes": 7.5,
    "class_weighting": "given", "class_weights": [1.0, 2.0, 3.0],
}  # fmt: skip


def clone_of(run):
    return {"clone": run.id, "dataset": run.dataset_id, "recipe": run.config.recipe}


def test_clone_is_a_run_with_every_setting_of_the_first(open_page, dataset, make_runs, workbench):
    reasons = {"epochs": Note("{num} samples.", {"num": 5})}
    first = make_runs.ended(dataset, "First", reasons=reasons, **CLONED)
    page = open_page("train.py", **clone_of(first))
    assert not page.exception
    assert links(page)["Settings of First"] == f"run?run={first.id}"
    assert "Settings as in the cloned run." in words(page)
    start_buttons(page)[0].click().run()
    assert not page.exception
    second = runs.all_newest_first(workbench.database)[0]
    assert second.id != first.id
    assert (second.config, second.reasons) == (first.config, first.reasons)
    assert runs.split_of(workbench.database, second.id) == runs.split_of(
        workbench.database, first.id
    )


def test_clone_says_in_what_it_differs_from_its_recipe(open_page, dataset, make_runs):
    first = make_runs.ended(dataset, epochs=12, flips="none", class_weighting="balanced")
    page = open_page("train.py", **clone_of(first))
    assert not page.exception
    (told,) = [each for each in page.expander if "Differs from the recipe" in each.label]
    assert told.label == "Differs from the recipe in 3 settings"
    lines = [as_read(line) for line in told.markdown[0].value.splitlines()]
    assert lines == [
        "- Class weights: **balanced** (recipe: none)",
        "- Flips: **none** (recipe: left-right and up-down)",
        "- Epochs: **12** (recipe: 30)",
    ]


def test_clone_shows_its_own_values_whatever_was_entered_before(
    open_page, dataset, make_runs, workbench
):
    first = make_runs.ended(dataset, epochs=RECIPES["quick"].schedule.epochs, width=8)
    page = open_page("train.py", recipe="quick")
    setting(page, "quick", "epochs").set_value(99).run()
    page.query_params = clone_of(first)
    page.run()
    assert not page.exception
    start_buttons(page)[0].click().run()
    assert runs.all_newest_first(workbench.database)[0].config == first.config


def test_cloned_settings_can_be_changed_and_are_named(open_page, dataset, make_runs, workbench):
    first = make_runs.ended(dataset, epochs=12)
    page = open_page("train.py", **clone_of(first))
    page.get_by_key(f"train_clone_{first.id}_epochs_12").set_value(13).run()
    assert "Changed from the cloned run: Epochs" in words(page)
    start_buttons(page)[0].click().run()
    assert not page.exception
    second = runs.all_newest_first(workbench.database)[0]
    assert second.config == with_changes(first.config, {"epochs": 13})


def test_clone_begins_with_what_worked_when_memory_ran_out(
    open_page, dataset, make_runs, workbench
):
    first = make_runs.ended(dataset, batch_size=8)
    runs.set_adjustments(workbench.database, first.id, {"batch_size": 4, "accumulation": 2})
    page = open_page("train.py", **clone_of(first))
    assert "With what was changed in it when memory ran out." in words(page)
    start_buttons(page)[0].click().run()
    assert not page.exception
    config = runs.all_newest_first(workbench.database)[0].config
    assert (config.schedule.batch_size, config.optimizer.accumulation) == (4, 2)


def test_clone_of_a_run_whose_start_is_gone_begins_afresh(open_page, dataset, make_runs, workbench):
    start = make_runs.ended(dataset)
    first = make_runs.ended(dataset, start_from=start.id)
    page = open_page("train.py", **clone_of(first))
    assert page.get_by_key(f"train_clone_{first.id}_start_from_{start.id!r}").value == start.id
    runs.delete(workbench.database, start.id)
    page = open_page("train.py", **clone_of(first))
    assert not page.exception
    start_buttons(page)[0].click().run()
    assert runs.all_newest_first(workbench.database)[0].config.model.start_from is None


def test_cloning_is_left_for_the_recipe(open_page, dataset, make_runs):
    first = make_runs.ended(dataset, epochs=12)
    page = open_page("train.py", **clone_of(first))
    page.button(key="train_clone_away").click().run()
    assert not page.exception
    assert "clone" not in page.query_params
    assert setting(page, "quick", "epochs").value == 30
    assert "Settings as in the recipe." in words(page)


def test_another_recipe_than_that_of_the_cloned_run_brings_its_own(open_page, dataset, make_runs):
    first = make_runs.ended(dataset, epochs=12)
    page = open_page("train.py", **clone_of(first) | {"recipe": "tutorial"})
    assert not page.exception
    assert setting(page, "tutorial", "epochs").value == 20
    assert "They are taken over with the recipe quick" in words(page)


def test_unknown_run_to_clone_is_ignored(open_page, dataset):
    page = open_page("train.py", clone="deadbeef", recipe="quick")
    assert not page.exception
    assert setting(page, "quick", "epochs").value == 30
    assert "Settings of" not in " ".join(links(page))
