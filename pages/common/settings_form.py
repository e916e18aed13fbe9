"""The form of all training settings, made from the configuration's own fields.

Title, choices and meaning come from `engine.config`, so a setting that is added there
appears here. `engine.config` validates.
"""

from typing import Any

import streamlit as st
from pydantic.fields import FieldInfo

from engine.config import RECIPES, TrainConfig, choices, leaf_fields, parts
from pages.common.texts import _, choice_word


def part_titles() -> dict[str, str]:
    """The groups of settings, in the order they are shown."""
    known = {
        "images": _("Images"),
        "split": _("Split"),
        "model": _("Network"),
        "loss": _("Loss"),
        "optimizer": _("Optimiser"),
        "augment": _("Augmentation"),
        "schedule": _("Schedule"),
        "compute": _("Computing"),
    }
    return {name: known.get(name, name) for name in parts()}


def settings_form(recipe_name: str, num_columns: int) -> dict[str, Any]:
    """Show every setting, filled in from the recipe; returns the values by leaf name."""
    recipe = RECIPES[recipe_name]
    columns = st.columns(num_columns)
    heights = [0] * num_columns
    changes: dict[str, Any] = {}
    for part, title in part_titles().items():
        # Each group goes below the column that is shortest so far.
        shortest = heights.index(min(heights))
        heights[shortest] += 1 + len(parts()[part].model_fields)
        with columns[shortest].container(border=True):
            st.markdown(f"**{title}**")
            for name, field in parts()[part].model_fields.items():
                changes[name] = _widget(recipe_name, name, field, _default(recipe, part, name))
    return changes


def changed_settings(recipe_name: str, values: dict[str, Any]) -> list[str]:
    """Titles of the settings that are no longer the recipe's."""
    recipe = RECIPES[recipe_name]
    return [
        _(field.title or name)
        for name, (part, field) in leaf_fields().items()
        if values.get(name) != _default(recipe, part, name)
    ]


def _default(recipe: TrainConfig, part: str, name: str) -> Any:
    return getattr(getattr(recipe, part), name)


def _widget(recipe_name: str, name: str, field: FieldInfo, value: Any) -> Any:
    label, meaning = _(field.title or name), _(field.description or "")
    # The recipe is part of the key: another recipe brings its own values.
    key = f"train_{recipe_name}_{name}"
    if choices(field):
        options = list(choices(field))
        return st.selectbox(
            label, options, options.index(value), format_func=choice_word, help=meaning, key=key
        )
    if isinstance(value, bool):
        return st.toggle(label, value, help=meaning, key=key)
    # Without limits of its own: the widget would keep its old value and say nothing to the engine.
    if field.annotation is int:
        return st.number_input(label, value=value, step=1, help=meaning, key=key)
    return st.number_input(
        label, value=value, step=_step(value), format="%g", help=meaning, key=key
    )


def _step(value: float | None) -> float:
    """A step that suits the size of the number: 0.05 for a share, 1e-5 for a rate of 1e-4."""
    if value is None:
        return 1.0
    return 0.05 if value == 0 or value >= 0.1 else value / 10
