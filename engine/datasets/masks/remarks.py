"""What is said about masks besides what they mean."""

from collections.abc import Mapping

from engine.datasets.masks.levels import Levels, in_lines
from engine.datasets.masks.rules import class_entries, value_text
from engine.datasets.masks.statistics import MaskStatistics, ValueStatistics, View
from engine.datasets.plan import MaskPlan
from engine.errors import BadData
from engine.notes import Note
from engine.store.datasets import ClassEntry

MAX_SHARE_OF_LINES = 0.01
"""Classes of lines that cover no more of the pixels may be blurred edges turned into numbers."""

_MIN_CLASSES_OF_LINES = 2
_MOST = 0.5


def remarks_on(statistics: MaskStatistics, view: View, plan: MaskPlan) -> tuple[Note, ...]:
    """What a person should know of masks that are read by a plan."""
    notes = [
        _empty_masks(statistics, view),
        _majority(view, plan),
        _no_background(view, plan),
        _lines(view, plan),
    ]
    return tuple(note for note in notes if note is not None)


def void_note(view: View, void: int) -> Note:
    """Pixels of a value do not count."""
    return Note(
        "The value {value} was taken as “does not count”: its pixels ({percent:.1f} %) are "
        "ignored in training and scores.",
        {
            "value": value_text(view, void),
            "percent": 100 * view.values[void].num_pixels / view.num_pixels,
        },
    )


def snapped_note(view: View, levels: Levels, num_strays: int) -> Note:
    """Values between the classes count as the nearest."""
    return Note(
        "The masks hold {num_strays} values besides {values}, on {num} pixels ({percent:.2f} %), "
        "as blurred edges or lossy compression give. They count as the nearest class.",
        {
            "num_strays": num_strays,
            "values": ", ".join(value_text(view, value) for value in levels.firsts),
            "num": round(levels.share_between * view.num_pixels),
            "percent": 100 * levels.share_between,
        },
    )


def continuous(statistics: MaskStatistics, view: View) -> BadData:
    """The error for masks that are images."""
    return BadData(
        "The masks hold {num_values} different values, most of them ({most}) in “{name}”, and "
        "they run into each other as in an image. Expected a few values, one per class, or "
        "numbered objects. Check that the masks are the right files, or make a class map of them.",
        num_values=max(len(view.values), statistics.max_values),
        most=statistics.max_values,
        name=statistics.max_values_name,
    )


def _empty_masks(statistics: MaskStatistics, view: View) -> Note | None:
    background = view.values.get(0)
    if background is None or not background.num_alone:
        return None
    return Note(
        "{num} of {total} masks hold nothing but background. They stay, as examples without an "
        "object.",
        {"num": background.num_alone, "total": statistics.num_files},
    )


def _majority(view: View, plan: MaskPlan) -> Note | None:
    """The only foreground class covers more than half of the pixels."""
    classes = class_entries(plan)
    foreground = [entry for entry in classes if not entry.background]
    if len(classes) != 2 or len(foreground) != 1:
        return None
    share, border_share = _shares(view, plan, foreground[0])
    if share <= _MOST:
        return None
    facts = {
        "name": foreground[0].name,
        "percent": 100 * share,
        # Predicted everywhere: tp = p, fp = 1 - p, fn = 0, so Dice = 2p / (2p + 1 - p).
        "dice": 2 * share / (1 + share),
    }
    if border_share <= _MOST:
        return Note(
            "The class “{name}” covers {percent:.0f} % of the pixels. A network that predicts it "
            "everywhere would score Dice {dice:.3f}, so look at the Dice of each class.",
            facts,
        )
    return Note(
        "The masks look inverted: the class “{name}” covers {percent:.0f} % of the pixels and "
        "{border_percent:.0f} % of the borders. A network that predicts it everywhere would score "
        "Dice {dice:.3f}. Swap background and foreground in the class editor if you are after "
        "the other parts.",
        facts | {"border_percent": 100 * border_share},
    )


def _shares(view: View, plan: MaskPlan, entry: ClassEntry) -> tuple[float, float]:
    """Share of all pixels, and of those on the borders, that a foreground class has."""
    if plan.meaning == "threshold":
        members = {value for value in view.values if value >= plan.threshold}
    elif plan.meaning == "instances":
        members = {value for value in view.values if value}
    else:
        members = {v for rule in plan.classes if rule.name == entry.name for v in rule.values}
    found = [statistics for value, statistics in view.values.items() if value in members]
    num_border = sum(each.num_border for each in view.values.values())
    return (
        sum(each.num_pixels for each in found) / view.num_pixels,
        sum(each.num_border for each in found) / num_border if num_border else 0.0,
    )


def _no_background(view: View, plan: MaskPlan) -> Note | None:
    if any(rule.role == "background" for rule in plan.classes):
        return None
    num_border = sum(found.num_border for found in view.values.values())
    owner, owned = _border_owner(view.values)
    name = next((rule.name for rule in plan.classes if owner in rule.values), "")
    if not name or owned <= _MOST * num_border:
        return Note(
            "No class is background, as no mask holds the value {value}. Make one the background "
            "in the class editor if it is what surrounds the others.",
            {"value": value_text(view, 0)},
        )
    return Note(
        "No class is background, as no mask holds the value {value}. “{name}” covers "
        "{percent:.0f} % of the masks' borders: make it the background in the class editor if it "
        "is what surrounds the others.",
        {"value": value_text(view, 0), "name": name, "percent": 100 * owned / num_border},
    )


def _border_owner(values: Mapping[int, ValueStatistics]) -> tuple[int, int]:
    owner = max(values, key=lambda value: values[value].num_border)
    return owner, values[owner].num_border


def _lines(view: View, plan: MaskPlan) -> Note | None:
    if plan.meaning not in ("values", "colors"):
        return None
    by_value = {v: rule.name for rule in plan.classes if rule.role == "class" for v in rule.values}
    suspects = in_lines(view, [v for v in by_value if v in view.values], MAX_SHARE_OF_LINES)
    if len(suspects) < _MIN_CLASSES_OF_LINES:
        return None
    return Note(
        "The classes {names} cover {percent:.2f} % of the pixels, all in lines one pixel wide, as "
        "blurred edges do that were turned into numbers. Merge them with their neighbours in the "
        "class editor if they are no classes.",
        {
            "names": ", ".join(f"“{by_value[value]}”" for value in suspects),
            "percent": 100 * sum(view.values[v].num_pixels for v in suspects) / view.num_pixels,
        },
    )
