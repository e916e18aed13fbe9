"""Rules for class tables: names, colours and roles of what was found in masks."""

from collections.abc import Sequence

from engine.datasets.masks.colors import (
    BACKGROUND_COLOR,
    are_distinct,
    class_color,
    color_text,
)
from engine.datasets.masks.statistics import View
from engine.datasets.plan import ClassRule, MaskPlan, Role
from engine.store.datasets import ClassEntry

MAX_CLASSES = 250
"""Class indices that fit a stored mask beside the special ones; more values are no classes."""
IGNORED_COLOR = "#808080"
BACKGROUND, FOREGROUND, IGNORED = "background", "foreground", "ignored"


def value_rules(
    view: View, groups: Sequence[Sequence[int]], ignored: Sequence[int] = ()
) -> tuple[ClassRule, ...]:
    """A class for each group of values, and one rule for the values that do not count.

    0 or black is the background; beside it, a single other class is the foreground. Colours are
    the masks' own where they have some that can be told apart.

    Args:
        groups: the values of each class; the first names it.
    """
    groups = sorted(groups, key=lambda group: (0 not in group, group[0]))
    is_binary = len(groups) == 2 and 0 in groups[0]
    colors = _colors(view, groups)
    rules = []
    for group, color in zip(groups, colors, strict=True):
        role: Role = "background" if 0 in group else "class"
        if role == "background":
            name = BACKGROUND
        else:
            name = FOREGROUND if is_binary else class_name(view, group[0])
        rules.append(ClassRule(name=name, color=color, role=role, values=tuple(group)))
    if ignored:
        rules.append(
            ClassRule(name=IGNORED, color=IGNORED_COLOR, role="ignore", values=tuple(ignored))
        )
    return tuple(rules)


def binary_rules() -> tuple[ClassRule, ClassRule]:
    """The two classes of a threshold or of numbered objects."""
    return (
        ClassRule(name=BACKGROUND, color=BACKGROUND_COLOR, role="background", values=(0,)),
        ClassRule(name=FOREGROUND, color=class_color(0), role="class", values=(1,)),
    )


def class_name(view: View, value: int) -> str:
    """What a class is called before a person names it."""
    return f"class {value_text(view, value)}"


def value_text(view: View, value: int) -> str:
    """A value as a person reads it."""
    return color_text(value) if view.meaning == "colors" else str(value)


def class_entries(plan: MaskPlan) -> tuple[ClassEntry, ...]:
    """The classes that a plan gives, by index: rules of one name merged, ignored ones left out."""
    merged: dict[str, ClassRule] = {}
    for rule in plan.classes:
        if rule.role != "ignore":
            merged.setdefault(rule.name, rule)
    return tuple(
        ClassEntry(
            index=index,
            name=rule.name,
            color=rule.color,
            background=rule.role == "background",
            source_value=rule.values[0] if rule.values else 0,
        )
        for index, rule in enumerate(merged.values())
    )


def _colors(view: View, groups: Sequence[Sequence[int]]) -> list[str]:
    """Colour of each class: the masks' own, or as `class_color` gives them."""
    own: list[int] = []
    for group in groups:
        if view.meaning == "colors":
            own.append(group[0])
        elif group[0] in view.palette:
            own.append(view.palette[group[0]])
    # The overlay shows the background black, so no class may look like it.
    seen = own if any(0 in group for group in groups) else [0, *own]
    if len(own) == len(groups) and are_distinct(seen):
        return [
            BACKGROUND_COLOR if 0 in group else color_text(color)
            for group, color in zip(groups, own, strict=True)
        ]
    colors: list[str] = []
    for group in groups:
        num_given = len(colors) - (BACKGROUND_COLOR in colors)
        colors.append(BACKGROUND_COLOR if 0 in group else class_color(num_given))
    return colors
