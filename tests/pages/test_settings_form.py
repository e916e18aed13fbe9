"""Which settings are no longer those of the recipe."""

import pytest

from engine.config import RECIPES, leaf_fields
from pages.common.settings_form import changed_settings


def values_of(recipe):
    config = RECIPES[recipe].to_dict()
    return {name: config[part][name] for name, (part, _field) in leaf_fields().items()}


@pytest.mark.parametrize("recipe", RECIPES)
def test_values_of_the_recipe_are_not_changed(recipe):
    assert changed_settings(recipe, values_of(recipe)) == []


def test_changed_settings_are_named_by_title_in_the_order_of_the_form():
    values = values_of("quick") | {"threshold": 0.4, "max_minutes": 3.0, "image_size_px": 64}
    assert changed_settings("quick", values) == [
        "Image size",
        "Time budget (minutes)",
        "Threshold",
    ]


def test_values_of_another_recipe_are_changes():
    assert "Width" in changed_settings("quick", values_of("tutorial"))
    assert "Batch size" not in changed_settings("quick", values_of("tutorial"))


def test_same_number_of_another_kind_is_no_change():
    assert (
        changed_settings("quick", values_of("quick") | {"val_share": 0.150, "epochs": 30.0}) == []
    )
