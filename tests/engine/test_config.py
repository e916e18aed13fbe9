"""Settings and recipes: complete, bounded, and refused in words a person can act upon."""

import json
import math
import string
from typing import get_args

import pydantic
import pytest

from engine.config import (
    RECIPES,
    RecipeName,
    TrainConfig,
    bounds,
    choices,
    config_warnings,
    leaf_fields,
    parse_config,
    parts,
    recipe,
    with_changes,
)
from engine.errors import BadSetting
from engine.models.arithmetic import num_parameters

FIELDS = [(leaf, part, field) for leaf, (part, field) in leaf_fields().items()]
NUMBERS = [(leaf, name, limit) for leaf, _, f in FIELDS for name, limit in bounds(f).items()]
WORDS = [(leaf, field) for leaf, _, field in FIELDS if choices(field)]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_complete_valid_and_knows_its_name(name):
    config = recipe(name)
    assert config.recipe == name
    assert parse_config(config.to_dict()) == config
    assert config_warnings(config, 3) == []


def test_recipes_are_the_names_a_config_may_have():
    assert tuple(RECIPES) == get_args(RecipeName)


def test_tutorial_recipe_is_the_tutorial():
    assert recipe("tutorial").to_dict() == {
        "version": 1,
        "recipe": "tutorial",
        "images": {"image_size_px": 256, "color": "rgb"},
        "split": {
            "split_method": "dataset",
            "val_share": 0.15,
            "test_share": 0.15,
            "split_seed": 0,
            "num_folds": 5,
            "fold": 1,
            "accept_leaks": False,
        },
        "model": {
            "num_levels": 4,
            "width": 64,
            "normalization": "none",
            "upsampling": "transposed",
        },
        "loss": {"loss": "cross_entropy"},
        "optimizer": {
            "optimizer": "adam",
            "learning_rate": 1e-4,
            "weight_decay": 0.0,
            "lr_schedule": "constant",
        },
        "augment": {"flips": False, "rotate_90": False, "brightness_contrast": 0.0},
        "schedule": {
            "epochs": 20,
            "max_minutes": None,
            "batch_size": 4,
            "seed": 0,
            "threshold": 0.5,
        },
        "compute": {"device": "auto", "precision": "auto"},
    }
    assert num_parameters(recipe("tutorial").model, 3, 1) == 7_697_345


def test_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(BadSetting) as raised:
        recipe("best")
    assert str(raised.value) == "There is no recipe “best”. Recipes: tutorial, quick."


def test_leaf_names_are_unique_across_the_parts():
    assert sum(len(part.model_fields) for part in parts().values()) == len(leaf_fields())


def test_every_part_of_the_config_is_listed():
    assert list(parts()) == [n for n in TrainConfig.model_fields if n not in ("version", "recipe")]


@pytest.mark.parametrize(("leaf", "part", "field"), FIELDS, ids=[each[0] for each in FIELDS])
def test_every_setting_has_a_title_a_meaning_and_limits(leaf, part, field):
    assert field.title and field.title[0] in string.ascii_uppercase
    assert field.description and field.description.strip().endswith(".")
    # A number without limits could not be refused, a word without choices not be offered.
    assert bounds(field) or choices(field) or field.annotation is bool


def test_leaf_name_and_dotted_name_mean_the_same():
    by_leaf = with_changes(recipe("tutorial"), {"epochs": 3, "width": 8})
    dotted = with_changes(recipe("tutorial"), {"schedule.epochs": 3, "model.width": 8})
    assert by_leaf == dotted
    assert (by_leaf.schedule.epochs, by_leaf.model.width) == (3, 8)


def test_changes_leave_everything_else_as_it_was():
    before = recipe("quick").to_dict()
    after = with_changes(recipe("quick"), {"epochs": 3}).to_dict()
    before["schedule"]["epochs"] = 3
    assert after == before


def test_values_are_read_from_the_words_of_a_command_line():
    changes = {
        "epochs": "7",
        "learning_rate": "1e-3",
        "flips": "true",
        "rotate_90": "false",
        "max_minutes": "0.5",
        "normalization": "group",
    }
    config = with_changes(recipe("quick"), changes)
    assert config.schedule.epochs == 7
    assert config.optimizer.learning_rate == 1e-3
    assert (config.augment.flips, config.augment.rotate_90) == (True, False)
    assert config.schedule.max_minutes == 0.5
    assert config.model.normalization == "group"
    assert with_changes(config, {"max_minutes": None}).schedule.max_minutes is None


@pytest.mark.parametrize(
    "name", ["nonsense", "model.epochs", "schedule.", ".", "", "recipe", "version", "schedule"]
)
def test_unknown_setting_is_refused_with_the_known_ones(name):
    with pytest.raises(BadSetting) as raised:
        with_changes(recipe("tutorial"), {name: 1})
    assert f"There is no setting “{name}”." in str(raised.value)
    assert "epochs" in str(raised.value)
    assert "learning_rate" in str(raised.value)


@pytest.mark.parametrize(("leaf", "kind", "limit"), NUMBERS)
def test_number_beyond_its_limit_is_refused_and_the_limit_named(leaf, kind, limit):
    field = leaf_fields()[leaf][1]
    whole = field.annotation is int
    beyond = limit + (1 if whole else 1e-3) * (1 if kind in ("le", "lt") else -1)
    inside = limit if kind in ("ge", "le") else limit + (1e-3 if kind == "gt" else -1e-3)
    with_changes(recipe("tutorial"), {leaf: inside})
    for refused in (beyond, *([limit] if kind in ("gt", "lt") else [])):
        with pytest.raises(BadSetting) as raised:
            with_changes(recipe("tutorial"), {leaf: refused})
        message = str(raised.value)
        assert f"{field.title} ({leaf}) is {refused!r}; it must be " in message
        words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
        assert f"{words[kind]} {limit}" in message


@pytest.mark.parametrize(("leaf", "field"), WORDS, ids=[each[0] for each in WORDS])
def test_word_that_is_no_choice_is_refused_and_the_choices_named(leaf, field):
    for word in choices(field):
        with_changes(recipe("tutorial"), {leaf: word})
    with pytest.raises(BadSetting) as raised:
        with_changes(recipe("tutorial"), {leaf: "other"})
    expected = ", ".join(choices(field))
    assert str(raised.value) == (
        f"{field.title} ({leaf}) is 'other'; it must be one of {expected}."
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "nan", "inf"])
@pytest.mark.parametrize("leaf", [leaf for leaf, _, f in FIELDS if "float" in str(f.annotation)])
def test_number_that_is_none_is_refused(leaf, value):
    with pytest.raises(BadSetting) as raised:
        with_changes(recipe("tutorial"), {leaf: value})
    assert f"({leaf}) is {value!r}; it must be " in str(raised.value)


@pytest.mark.parametrize(
    ("leaf", "value", "expected"),
    [
        ("epochs", "many", "a whole number, at least 1 and at most 100000"),
        ("epochs", 2.5, "a whole number, at least 1"),
        ("epochs", None, "a whole number, at least 1"),
        ("epochs", [3], "a whole number, at least 1"),
        ("learning_rate", "fast", "more than 0 and at most 10"),
        ("flips", "perhaps", "true or false"),
        ("flips", 2, "true or false"),
        ("loss", None, "one of cross_entropy, dice_cross_entropy"),
        ("loss", 1, "one of cross_entropy, dice_cross_entropy"),
    ],
)
def test_value_of_the_wrong_kind_is_refused_and_the_kind_named(leaf, value, expected):
    title = leaf_fields()[leaf][1].title
    with pytest.raises(BadSetting) as raised:
        with_changes(recipe("tutorial"), {leaf: value})
    assert f"{title} ({leaf}) is {value!r}; it must be {expected}" in str(raised.value)


def test_several_problems_are_named_together():
    with pytest.raises(BadSetting) as raised:
        with_changes(recipe("tutorial"), {"epochs": 0, "width": 1})
    assert "(epochs) is 0" in str(raised.value)
    assert "(width) is 1" in str(raised.value)


def test_stored_config_is_read_back_as_it_was():
    config = with_changes(recipe("quick"), {"max_minutes": 1.5, "learning_rate": 1 / 3})
    assert parse_config(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("stored", "named"),
    [
        ({"schedule": {"epochs": 0}}, "(epochs) is 0"),
        ({"schedule": {"speed": 1}}, "“schedule.speed” is not a known setting"),
        ({"speed": 1}, "“speed” is not a known setting"),
    ],
)
def test_stored_config_that_cannot_be_used_is_refused(stored, named):
    with pytest.raises(BadSetting) as raised:
        parse_config(stored)
    assert named in str(raised.value)


def test_stored_config_of_another_version_is_refused_with_both_versions():
    with pytest.raises(BadSetting) as raised:
        parse_config(recipe("tutorial").to_dict() | {"version": 2})
    assert "version is 2; it must be 1" in str(raised.value)


def test_stored_config_of_a_recipe_that_is_gone_names_it():
    with pytest.raises(BadSetting) as raised:
        parse_config(recipe("tutorial").to_dict() | {"recipe": "gone"})
    assert "recipe is 'gone'; it must be one of tutorial, quick" in str(raised.value)


def test_configs_cannot_be_changed_in_place():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        recipe("tutorial").schedule.epochs = 1
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        recipe("tutorial").schedule = recipe("quick").schedule


def test_setting_that_another_one_disables_is_warned_about():
    def warnings(num_classes, **changes):
        return config_warnings(with_changes(recipe("quick"), changes), num_classes)

    budget = "A time budget is set, so the number of epochs is not used."
    assert warnings(2, max_minutes=5) == [budget]
    assert warnings(2, threshold=0.9) == []
    assert "threshold is not used" in warnings(3, threshold=0.9)[0]
    assert "seed is not used" in warnings(2, split_method="interleaved", split_seed=1)[0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"num_levels": 7, "image_size_px": 64}, "ends at 1 px; at least 2 must remain"),
        ({"val_share": 0.5, "test_share": 0.5}, "take 1 of the samples; at most 0.8"),
    ],
)
def test_settings_that_cannot_go_together_are_refused(changes, sentence):
    with pytest.raises(BadSetting, match=sentence):
        with_changes(recipe("quick"), changes)
