"""The rules of the class editor. Pure functions of the plan and of what a person edited.

The plan wants rules of the same name to agree in colour and role, and one background at most; an
editor of cells cannot keep that by itself, so what a person changes brings the rest along.
"""

from collections.abc import Mapping, Sequence
from typing import Any, get_args
from urllib.parse import quote

import numpy as np
import pandas as pd

from engine.datasets.masks import MaskStatistics
from engine.datasets.masks.colors import BACKGROUND_COLOR, class_color, distances
from engine.datasets.plan import ClassRule, MaskPlan, Role
from pages.common.texts import _

ROLES: tuple[Role, ...] = get_args(Role)
ROLES_IN_ORDER: tuple[Role, ...] = ("background", "class", "ignore")
"""The order in which the masks' own classes are numbered."""

Edits = Mapping[int, Mapping[str, Any]]
"""Changed cells by row and column, as `st.data_editor` keeps them."""

_VALUES_SHOWN = 6


def role_word(role: str) -> str:
    """A role among the classes."""
    return {"class": _("class"), "background": _("background"), "ignore": _("ignored")}[role]


def meaning_word(meaning: str) -> str:
    """How the values of masks are understood, in short."""
    return {
        "values": _("Values"),
        "colors": _("Colours"),
        "threshold": _("Threshold"),
        "instances": _("Instances"),
    }[meaning]


def meaning_sentence(meaning: str) -> str:
    """How the values of masks are understood."""
    return {
        "values": _("Each grey value or palette index is a class."),
        "colors": _("Each colour is a class."),
        "threshold": _("What is bright is foreground."),
        "instances": _("Each object has a number of its own; all objects are one class."),
    }[meaning]


def class_table(plan: MaskPlan, shares_of_rules: Sequence[float]) -> pd.DataFrame:
    """One row per rule.

    Args:
        shares_of_rules: as `shares` gives them.
    """
    return pd.DataFrame(
        {
            "color": [swatch(rule.color, rule.role) for rule in plan.classes],
            "values": [values_text(plan, rule) for rule in plan.classes],
            "share": pd.Series(list(shares_of_rules), dtype="float64"),
            "name": [rule.name for rule in plan.classes],
            "role": [rule.role for rule in plan.classes],
        }
    )


def shares(plan: MaskPlan, statistics: MaskStatistics) -> list[float]:
    """Share of the pixels of all masks that each rule has, 0 to 1."""
    found = pixels_by_value(plan, statistics)
    rule_of = {value: row for row, rule in enumerate(plan.classes) for value in rule.values}
    others = [value for value in found if value not in rule_of]
    if plan.nearest and others:
        known = list(rule_of)
        for value, place in zip(others, _nearest(plan, others, known), strict=True):
            rule_of[value] = rule_of[known[place]]
    sums = [0] * len(plan.classes)
    for value, num_pixels in found.items():
        if value in rule_of:
            sums[rule_of[value]] += num_pixels
    return [num_pixels / max(sum(found.values()), 1) for num_pixels in sums]


def pixels_by_value(plan: MaskPlan, statistics: MaskStatistics) -> dict[int, int]:
    """How many pixels have which value, as the rules of a plan name values."""
    if plan.meaning == "colors":
        view = statistics.view_as("colors")
    else:
        view = statistics.view() if plan.meaning == "instances" else statistics.view_as("values")
    counted = {value: found.num_pixels for value, found in view.values.items()}
    first = {"threshold": plan.threshold, "instances": 1}.get(plan.meaning)
    if first is None:
        return counted
    above = sum(num_pixels for value, num_pixels in counted.items() if value >= first)
    return {0: sum(counted.values()) - above, 1: above}


def highest_value(statistics: MaskStatistics) -> int:
    """The brightest value in the masks; at least 2, so that there is a threshold to choose."""
    return max(2, *statistics.view_as("values").values)


def values_text(plan: MaskPlan, rule: ClassRule) -> str:
    """The values of a rule: “0, 1, 2 … (17)”, a colour code, or what a threshold means."""
    if plan.meaning == "threshold":
        sign = "≥" if 1 in rule.values else "<"
        return f"{sign} {plan.threshold}"
    if plan.meaning == "instances":
        return _("every number") if 1 in rule.values else "0"
    texts = [
        f"#{value:06x}" if plan.meaning == "colors" else str(value)
        for value in rule.values[:_VALUES_SHOWN]
    ]
    if len(rule.values) > _VALUES_SHOWN:
        return ", ".join(texts) + f" … ({len(rule.values)})"
    return ", ".join(texts)


def swatch(color: str, role: str) -> str:
    """A small picture of a class's colour as a data URL; what masks do not show is hollow."""
    inside = f'fill="{color}"' if role == "class" else 'fill="none" stroke-dasharray="3 2"'
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="24" height="24">'
        f'<rect x="3" y="3" width="18" height="18" rx="4" stroke="#888" {inside}/></svg>'
    )
    return "data:image/svg+xml," + quote(picture)


def edited(rules: Sequence[ClassRule], edits: Edits) -> tuple[ClassRule, ...]:
    """The rules after a person changed names and roles.

    A rule that gets the name of another joins its class and takes over colour and role; one that
    leaves a class gets a colour of its own. A new role is that of the whole class, and a second
    background makes the first an ordinary class.
    """
    found = list(rules)
    for row, cells in edits.items():
        if not 0 <= row < len(found):
            continue
        name = " ".join(str(cells.get("name") or "").split())
        if name and name != found[row].name:
            found = _renamed(found, row, name)
        role = cells.get("role")
        if role in ROLES and role != found[row].role:
            found = _with_role(found, found[row].name, role)
    return tuple(found)


def is_only_what_was_edited(
    before: Sequence[ClassRule], after: Sequence[ClassRule], edits: Edits
) -> bool:
    """Whether the edited cells say all that has changed, so that the editor shows the truth."""
    for row, (old, new) in enumerate(zip(before, after, strict=True)):
        cells = edits.get(row, {})
        if new.name != cells.get("name", old.name) or new.role != cells.get("role", old.role):
            return False
    return True


def recolored(rules: Sequence[ClassRule], name: str, color: str) -> tuple[ClassRule, ...]:
    """The rules with another colour for a class."""
    return tuple(
        rule.model_copy(update={"color": color}) if rule.name == name else rule for rule in rules
    )


def can_swap(plan: MaskPlan) -> bool:
    """Whether there are exactly a background and one class to exchange."""
    kinds = {rule.name: rule.role for rule in plan.classes if rule.role != "ignore"}
    return sorted(kinds.values()) == ["background", "class"]


def swapped(plan: MaskPlan) -> tuple[ClassRule, ...]:
    """Background and foreground exchanged: each means the values of the other."""
    background = next(rule for rule in plan.classes if rule.role == "background")
    foreground = next(rule for rule in plan.classes if rule.role == "class")
    other = {"background": foreground, "class": background}
    exchanged = [
        other[rule.role].model_copy(update={"values": rule.values}) if rule.role in other else rule
        for rule in plan.classes
    ]
    if plan.meaning in ("threshold", "instances"):
        # The places of these two say what is below and what is above.
        return tuple(exchanged)
    return tuple(sorted(exchanged, key=lambda rule: ROLES_IN_ORDER.index(rule.role)))


def legend(plan: MaskPlan) -> dict[str, str]:
    """The colour of each class that a mask shows, by name."""
    return {rule.name: rule.color for rule in plan.classes if rule.role == "class"}


def num_classes(plan: MaskPlan) -> int:
    """Classes with the background, without what is ignored."""
    return len({rule.name for rule in plan.classes if rule.role != "ignore"})


def _renamed(rules: list[ClassRule], row: int, name: str) -> list[ClassRule]:
    rule = rules[row]
    joined = next((other for other in rules if other is not rule and other.name == name), None)
    changes: dict[str, Any] = {"name": name}
    if joined is not None:
        changes |= {"color": joined.color, "role": joined.role}
    elif any(other is not rule and other.name == rule.name for other in rules):
        changes["color"] = _free_color(rules)
        if rule.role == "background":
            # The others stay the background.
            changes["role"] = "class"
    return [*rules[:row], rule.model_copy(update=changes), *rules[row + 1 :]]


def _with_role(rules: list[ClassRule], name: str, role: Role) -> list[ClassRule]:
    found = []
    for rule in rules:
        if rule.name == name:
            rule = rule.model_copy(update={"role": role, "color": _color(rules, rule, role)})
        elif role == "background" and rule.role == "background":
            rule = rule.model_copy(update={"role": "class", "color": _color(rules, rule, "class")})
        found.append(rule)
    return found


def _color(rules: Sequence[ClassRule], rule: ClassRule, role: Role) -> str:
    """A class that masks show must not have the black of the background."""
    if role == "class" and rule.color.lower() == BACKGROUND_COLOR.lower():
        return _free_color(rules)
    return rule.color


def _free_color(rules: Sequence[ClassRule]) -> str:
    taken = {rule.color.lower() for rule in rules}
    candidates = (class_color(number) for number in range(len(taken) + 1))
    return next(color for color in candidates if color.lower() not in taken)


def _nearest(plan: MaskPlan, values: Sequence[int], known: Sequence[int]) -> list[int]:
    """For each value the place of the nearest known one."""
    if plan.meaning == "colors":
        apart = distances(values, known)
    else:
        apart = np.abs(np.subtract.outer(np.asarray(values), np.asarray(known)))
    return [int(place) for place in apart.argmin(axis=1)]
