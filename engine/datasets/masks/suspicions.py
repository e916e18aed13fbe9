"""What is doubtful about masks under a plan, told before anything is imported.

After the import the same doubts are findings, by what is stored; see
`engine.datasets.quality.class_findings`.
"""

from collections.abc import Iterable, Mapping

from engine.datasets.masks.rules import class_entries, value_text
from engine.datasets.masks.statistics import MaskStatistics, ValueStatistics, View
from engine.datasets.plan import MaskPlan
from engine.notes import Note

_MOST = 0.5


def suspicions(statistics: MaskStatistics, plan: MaskPlan) -> list[Note]:
    """What a person should look at before masks are imported by a plan.

    Args:
        plan: as it is now, whatever was learned.
    """
    statistics = statistics.without_images()
    view = _view(statistics, plan)
    if not view.values:
        return []
    notes = [_inverted(view, plan), _no_background(view, plan), _empty(statistics, view, plan)]
    return [note for note in notes if note is not None]


def _view(statistics: MaskStatistics, plan: MaskPlan) -> View:
    if plan.meaning == "instances":
        return statistics.view()
    return statistics.view_as("colors" if plan.meaning == "colors" else "values")


def _inverted(view: View, plan: MaskPlan) -> Note | None:
    """The only foreground class covers most of the pixels, and most of the borders."""
    classes = class_entries(plan)
    if len(classes) != 2 or sum(entry.background for entry in classes) != 1:
        return None
    members = _values_by_class(view, plan)
    (name,) = (entry.name for entry in classes if not entry.background)
    counted = [value for values in members.values() for value in values]
    share = _sum(view, members[name], "num_pixels") / max(1, _sum(view, counted, "num_pixels"))
    border = _sum(view, members[name], "num_border") / max(1, _sum(view, counted, "num_border"))
    if share <= _MOST or border <= _MOST:
        return None
    return Note(
        "The masks look inverted: the class “{name}” covers {percent:.0f} % of the pixels and "
        "{border_percent:.0f} % of the borders. Swap background and foreground if the other part "
        "is what you are after.",
        {"name": name, "percent": 100 * share, "border_percent": 100 * border},
    )


def _no_background(view: View, plan: MaskPlan) -> Note | None:
    if any(rule.role == "background" for rule in plan.classes):
        return None
    members = _values_by_class(view, plan)
    border = {name: _sum(view, values, "num_border") for name, values in members.items()}
    owner = max(border, key=lambda name: border[name])
    num_border = sum(found.num_border for found in view.values.values())
    if border[owner] <= _MOST * num_border:
        return Note(
            "No class is background. Make one the background if it is what surrounds the others."
        )
    return Note(
        "No class is background. “{name}” (value {value}) covers {percent:.0f} % of the masks' "
        "borders: make it the background if it is what surrounds the others.",
        {
            "name": owner,
            "value": value_text(view, members[owner][0]),
            "percent": 100 * border[owner] / num_border,
        },
    )


def _empty(statistics: MaskStatistics, view: View, plan: MaskPlan) -> Note | None:
    background = [rule.name for rule in plan.classes if rule.role == "background"]
    num = sum(
        _sum(view, values, "num_alone")
        for name, values in _values_by_class(view, plan).items()
        if name in background
    )
    if not num:
        return None
    return Note(
        "{num} of {total} masks hold nothing but background. They stay, as examples without an "
        "object.",
        {"num": num, "total": statistics.num_files},
    )


def _values_by_class(view: View, plan: MaskPlan) -> Mapping[str, list[int]]:
    """The values that occur and that a plan gives to each class, by the class's name."""
    members: dict[str, list[int]] = {entry.name: [] for entry in class_entries(plan)}
    first = {"threshold": plan.threshold, "instances": 1}.get(plan.meaning)
    for place, rule in enumerate(plan.classes):
        if rule.role == "ignore":
            continue
        if first is None:
            members[rule.name] += [value for value in rule.values if value in view.values]
        else:
            members[rule.name] += [v for v in view.values if (v >= first) == bool(place)]
    return members


def _sum(view: View, values: Iterable[int], name: str) -> int:
    found: Iterable[ValueStatistics] = (view.values[value] for value in values)
    return sum(int(getattr(each, name)) for each in found)
