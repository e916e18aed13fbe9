"""Settings: complete, bounded, and refused in words a person can act upon."""

import json
import math
import string

import pydantic
import pytest

from engine.config import (
    AUGMENT_PRESETS,
    TrainConfig,
    bounds,
    choices,
    is_list,
    is_optional,
    leaf_fields,
    parse_config,
    parts,
    recipe,
    with_changes,
)
from engine.errors import BadSetting

FIELDS = [(leaf, part, field) for leaf, (part, field) in leaf_fields().items()]
NUMBERS = [(leaf, name, limit) for leaf, _, f in FIELDS for name, limit in bounds(f).items()]
WORDS = [(leaf, field) for leaf, _, field in FIELDS if choices(field)]


def test_leaf_names_are_unique_across_the_parts():
    assert sum(len(part.model_fields) for part in parts().values()) == len(leaf_fields())


def test_every_part_of_the_config_is_listed():
    assert list(parts()) == [n for n in TrainConfig.model_fields if n not in ("version", "recipe")]


@pytest.mark.parametrize(("leaf", "part", "field"), FIELDS, ids=[each[0] for each in FIELDS])
def test_every_setting_has_a_title_a_meaning_and_limits(leaf, part, field):
    assert field.title and field.title[0] in string.ascii_uppercase
    assert field.description and field.description.strip().endswith(".")
    # A number without limits could not be refused, a word without choices not be offered.
    is_open = is_list(field) or leaf == "start_from"
    assert bounds(field) or choices(field) or field.annotation is bool or is_open


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
        "flips": "horizontal",
        "rotate_90": "false",
        "max_minutes": "0.5",
        "normalization": "none",
        "class_weights": "1, 2.5",
        "start_from": "cells quick 1",
    }
    config = with_changes(recipe("quick"), changes)
    assert config.schedule.epochs == 7
    assert config.optimizer.learning_rate == 1e-3
    assert (config.augment.flips, config.augment.rotate_90) == ("horizontal", False)
    assert config.schedule.max_minutes == 0.5
    assert config.model.normalization == "none"
    assert config.loss.class_weights == (1.0, 2.5)
    assert config.model.start_from == "cells quick 1"


@pytest.mark.parametrize("nothing", [None, "none", "None", " none ", ""])
def test_none_takes_away_what_need_not_be_there(nothing):
    optional = [leaf for leaf, _, field in FIELDS if is_optional(field)]
    assert optional == ["start_from", "class_weights", "max_minutes"]
    full = with_changes(
        recipe("quick"), {"max_minutes": 5, "class_weights": [1, 2], "start_from": "r0000001"}
    )
    emptied = with_changes(full, dict.fromkeys(optional, nothing))
    assert emptied == recipe("quick")


def test_list_is_written_with_commas_and_read_from_numbers_alike():
    written = with_changes(recipe("quick"), {"class_weights": "1,2"})
    assert written == with_changes(recipe("quick"), {"class_weights": [1, 2]})
    assert written == with_changes(recipe("quick"), {"class_weights": (1.0, 2.0)})


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("1,x", "holds 'x'; it must be numbers, separated by commas"),
        ("1,nan", "holds 'nan'; it must be numbers, separated by commas"),
        ([1, math.nan], "holds nan; it must be numbers, separated by commas"),
        ("inf,1", "holds 'inf'; it must be numbers, separated by commas"),
        ("1,,2", "holds ''; it must be numbers, separated by commas"),
        (3, "is 3; it must be numbers, separated by commas"),
        ("1", "is 1; it must be one number above 0 for each class, at least two"),
        ("1,-2", "is 1, -2; it must be one number above 0 for each class, at least two"),
        ("0,1", "is 0, 1; it must be one number above 0 for each class, at least two"),
    ],
)
def test_list_with_something_else_in_it_is_refused_by_its_name(value, problem):
    with pytest.raises(BadSetting) as raised:
        with_changes(recipe("quick"), {"class_weights": value})
    assert str(raised.value) == f"Given class weights (class_weights) {problem}."


def test_list_with_several_bad_numbers_is_refused_once():
    with pytest.raises(BadSetting) as raised:
        with_changes(recipe("quick"), {"class_weights": "x,x,1"})
    assert str(raised.value).count("class_weights") == 1


def test_text_that_is_too_long_is_refused_with_the_limit():
    with_changes(recipe("quick"), {"start_from": "x" * 100})
    with pytest.raises(BadSetting, match=r"\(start_from\) is 'x+'; .* at most 100 characters\."):
        with_changes(recipe("quick"), {"start_from": "x" * 101})


@pytest.mark.parametrize("name", AUGMENT_PRESETS)
def test_preset_of_augmentation_is_taken_whole(name):
    config = with_changes(recipe("quick"), {"augment": name})
    assert config.augment == AUGMENT_PRESETS[name]
    assert config.model_copy(update={"augment": recipe("quick").augment}) == recipe("quick")


def test_settings_beside_a_preset_change_it_in_whatever_order():
    for changes in [
        {"augment": "strong", "elastic": "none"},
        {"elastic": "none", "augment": "strong"},
        {"augment.elastic": "none", "augment": "strong"},
    ]:
        augment = with_changes(recipe("quick"), changes).augment
        assert augment == AUGMENT_PRESETS["strong"].model_copy(update={"elastic": "none"})


def test_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(BadSetting) as raised:
        with_changes(recipe("quick"), {"augment": "huge"})
    assert str(raised.value) == (
        "There is no augmentation “huge”. Presets: none, light, medium, strong."
    )


@pytest.mark.parametrize(
    "name",
    [
        "nonsense", "model.epochs", "schedule.", ".", "", "recipe", "version", "schedule",
        "schedule.threshold", "brightness_contrast",
    ],
)  # fmt: skip
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
    # Of a single part, because some limits are out of reach for the rest of the recipe.
    part = parts()[leaf_fields()[leaf][0]]
    assert getattr(part(**{leaf: inside}), leaf) == inside
    for refused in (beyond, *([limit] if kind in ("gt", "lt") else [])):
        with pytest.raises(BadSetting) as raised:
            with_changes(recipe("tutorial"), {leaf: refused})
        message = str(raised.value)
        assert f"{field.title} ({leaf}) is {refused!r}; it must be " in message
        words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
        assert f"{words[kind]} {limit}" in message


@pytest.mark.parametrize(("leaf", "field"), WORDS, ids=[each[0] for each in WORDS])
def test_word_that_is_no_choice_is_refused_and_the_choices_named(leaf, field):
    possible = 0
    for word in choices(field):
        part = parts()[leaf_fields()[leaf][0]]
        possible += getattr(part(**{leaf: word}), leaf) == word
    assert possible == len(choices(field)) >= 2
    with pytest.raises(BadSetting) as raised:
        with_changes(recipe("tutorial"), {leaf: "other"})
    expected = ", ".join(choices(field))
    assert str(raised.value) == (
        f"{field.title} ({leaf}) is 'other'; it must be one of {expected}."
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "nan", "inf"])
@pytest.mark.parametrize(
    "leaf", [leaf for leaf, _, f in FIELDS if "float" in str(f.annotation) and not is_list(f)]
)
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
        ("max_minutes", "long", "more than 0 and at most 20160"),
        ("rotate_90", "perhaps", "true or false"),
        ("rotate_90", 2, "true or false"),
        ("flips", True, "one of none, horizontal, both"),
        ("loss", None, "one of cross_entropy, dice"),
        ("loss", 1, "one of cross_entropy, dice"),
        ("start_from", 3, "a text of at most 100 characters"),
    ],
)
def test_value_of_the_wrong_kind_is_refused_and_the_kind_named(leaf, value, expected):
    title = leaf_fields()[leaf][1].title
    with pytest.raises(BadSetting) as raised:
        with_changes(recipe("tutorial"), {leaf: value})
    assert f"{title} ({leaf}) is {value!r}; it must be {expected}" in str(raised.value)


def test_several_problems_are_named_together():
    with pytest.raises(BadSetting) as raised:
        with_changes(recipe("tutorial"), {"epochs": 0, "width": 1, "class_weights": "1,x"})
    assert "(epochs) is 0" in str(raised.value)
    assert "(width) is 1" in str(raised.value)
    assert "(class_weights) holds 'x'" in str(raised.value)


def test_stored_config_is_read_back_as_it_was():
    config = with_changes(
        recipe("quick"),
        {
            "max_minutes": 1.5,
            "learning_rate": 1 / 3,
            "class_weighting": "given",
            "class_weights": [1, 1 / 7],
            "start_from": "r0000001",
        },
    )
    assert parse_config(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("stored", "named"),
    [
        ({"schedule": {"epochs": 0}}, "(epochs) is 0"),
        ({"schedule": {"speed": 1}}, "“schedule.speed” is not a known setting"),
        ({"schedule": {"threshold": 0.5}}, "“schedule.threshold” is not a known setting"),
        ({"schedule": None}, "schedule is None; it must be a group of settings"),
        ({"speed": 1}, "“speed” is not a known setting"),
        ({"version": 3}, "version is 3; it must be 2"),
        ({"version": "2"}, "version is '2'; it must be 2"),
        ({"recipe": "gone"}, "recipe is 'gone'; it must be one of auto, quick, tutorial, paper"),
    ],
)
def test_stored_config_that_cannot_be_used_is_refused(stored, named):
    with pytest.raises(BadSetting) as raised:
        parse_config(recipe("tutorial").to_dict() | stored)
    assert named in str(raised.value)


def test_configs_cannot_be_changed_in_place():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        recipe("tutorial").schedule.epochs = 1
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        recipe("tutorial").schedule = recipe("quick").schedule


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"num_levels": 7, "image_size_px": 64}, "ends at 1 px; at least 2 must remain"),
        ({"val_share": 0.5, "test_share": 0.5}, "take 1 of the samples; at most 0.8"),
        ({"kernel_size": 4}, r"\(kernel_size\) is 4; it must be odd.* Choose 3 or 5"),
        ({"padding": "none"}, "256 px does not pass through 4 levels.* Choose 252 or 260 px"),
        ({"class_weighting": "given"}, "given, but there are none. Set Given class weights"),
        ({"architecture": "fpn", "deep_supervision": True}, "needs the architecture unet with"),
        (
            {"padding": "none", "image_size_px": 252, "deep_supervision": True},
            "needs the architecture unet with padding",
        ),
    ],
)
def test_settings_that_cannot_go_together_are_refused(changes, sentence):
    with pytest.raises(BadSetting, match=sentence):
        with_changes(recipe("quick"), changes)


def test_settings_that_only_a_u_net_has_limit_no_other_architecture():
    config = with_changes(
        recipe("quick"), {"architecture": "fpn", "padding": "none", "image_size_px": 64}
    )
    assert with_changes(config, {"num_levels": 7}).model.num_levels == 7


FIRST_VERSION = {
    "version": 1,
    "recipe": "quick",
    "images": {"image_size_px": 128, "color": "rgb"},
    "split": {
        "split_method": "k_fold", "val_share": 0.2, "test_share": 0.1, "split_seed": 3,
        "num_folds": 4, "fold": 2, "accept_leaks": True,
    },
    "model": {"num_levels": 3, "width": 8, "normalization": "group", "upsampling": "bilinear"},
    "loss": {"loss": "dice_cross_entropy"},
    "optimizer": {
        "optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1, "lr_schedule": "cosine",
    },
    "augment": {"flips": True, "rotate_90": True, "brightness_contrast": 0.3},
    "schedule": {
        "epochs": 7, "max_minutes": 2.5, "batch_size": 2, "seed": 5, "threshold": 0.25,
    },
    "compute": {"device": "cpu", "precision": "fp32"},
}  # fmt: skip


def test_config_of_the_first_version_means_what_it_meant():
    config = parse_config(FIRST_VERSION)
    assert config.version == 2
    assert config.predict.threshold == 0.25
    assert config.augment.flips == "both"
    assert (config.augment.brightness, config.augment.contrast) == (0.3, 0.3)
    assert (config.schedule.epochs, config.schedule.max_minutes) == (7, 2.5)
    upgraded = config.to_dict()
    for part, values in FIRST_VERSION.items():
        if part in ("images", "split", "model", "loss", "optimizer", "compute"):
            assert {leaf: upgraded[part][leaf] for leaf in values} == values
    # What did not exist then is off: nothing is trained differently when it is repeated.
    fresh = TrainConfig().to_dict()
    for part, values in fresh.items():
        if isinstance(values, dict):
            new = values.keys() - FIRST_VERSION.get(part, {}).keys()
            new -= {"brightness", "contrast", "threshold"}
            assert {leaf: upgraded[part][leaf] for leaf in new} == {
                leaf: values[leaf] for leaf in new
            }


def test_config_of_the_first_version_is_left_as_it_is_stored():
    before = json.dumps(FIRST_VERSION)
    parse_config(FIRST_VERSION)
    assert json.dumps(FIRST_VERSION) == before


def test_config_of_the_first_version_without_flips_has_none():
    stored = FIRST_VERSION | {"augment": {"flips": False, "rotate_90": False}}
    assert parse_config(stored).augment.flips == "none"
    assert parse_config({"version": 1}) == TrainConfig()


def test_setting_that_the_first_version_did_not_know_is_refused_as_before():
    with pytest.raises(BadSetting, match="“speed” is not a known setting"):
        parse_config(FIRST_VERSION | {"speed": 3})
    with pytest.raises(BadSetting, match=r"\(threshold\) is 2"):
        parse_config(FIRST_VERSION | {"schedule": {"threshold": 2}})
