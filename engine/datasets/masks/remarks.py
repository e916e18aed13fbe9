"""What is said of how the values in masks were understood."""

from engine.datasets.masks.levels import Levels, in_lines
from engine.datasets.masks.rules import value_text
from engine.datasets.masks.statistics import MaskStatistics, View
from engine.datasets.plan import MaskPlan
from engine.errors import BadData
from engine.notes import Note

MAX_SHARE_OF_LINES = 0.01
"""Classes of lines that cover no more of the pixels may be blurred edges turned into numbers."""

_MIN_CLASSES_OF_LINES = 2


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


def snapped_note(statistics: MaskStatistics, view: View, levels: Levels, num_strays: int) -> Note:
    """Values between the classes count as the nearest."""
    return Note(
        "The masks hold {num_strays} values besides {values}, on {num} pixels ({percent:.2f} %), "
        "as stray pixels, blurred edges or lossy compression give, most of them in “{name}”. They "
        "count as the nearest class.",
        {
            "num_strays": num_strays,
            "values": ", ".join(value_text(view, value) for value in levels.firsts),
            "num": round(levels.share_between * view.num_pixels),
            "percent": 100 * levels.share_between,
            "name": statistics.max_values_name,
        },
    )


def threshold_note(
    statistics: MaskStatistics, view: View, levels: Levels, high: int, threshold: int
) -> Note:
    """What is brighter is foreground.

    Args:
        high: the level of the foreground, or the brightest value where it has none.
    """
    low = levels.firsts[0]
    is_soft = statistics.num_soft > 0
    facts = {
        "num_values": len(view.values),
        "low": _share_text(low) if is_soft else low,
        "high": _share_text(high) if is_soft else high,
        "num": round(levels.share_between * view.num_pixels),
        "percent": 100 * levels.share_between,
        "threshold": _share_text(threshold) if is_soft else threshold,
    }
    if len(levels.groups) == 1:
        message = (
            "The masks hold {num_values} grey values; only {low} is frequent, the others run up to "
            "{high} ({percent:.2f} % of the pixels). Values from {threshold} on were taken as "
            "foreground. Look whether that is where objects end."
        )
    else:
        message = (
            "The masks hold {num_values} grey values. Nearly all pixels are {low} or {high}, and "
            "{num} ({percent:.2f} %) are not, as stray pixels, blurred edges or lossy compression "
            "give. Values from {threshold} on were taken as foreground."
        )
    if is_soft:
        message += " The threshold itself counts in steps of 1/255: {step}."
        facts["step"] = threshold
    return Note(message, facts)


def palettes_note(statistics: MaskStatistics) -> Note | None:
    """Palettes contradict each other."""
    if not statistics.palettes_differ:
        return None
    return Note(
        "The masks' palettes differ: the same index has several colours. The masks were read by "
        "colour; choose “values” if the index is what names the class."
    )


def image_note(statistics: MaskStatistics) -> Note:
    """Few masks look like images and were left aside."""
    return Note(
        "{num} of {total} masks look like an image instead of a mask, above all “{name}” with "
        "{num_values} different values. They were left aside when the values were interpreted, "
        "and are skipped where they fit no class.",
        {
            "num": statistics.num_images,
            "total": statistics.num_files,
            "name": statistics.image_name,
            "num_values": statistics.image_values,
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


def lines_note(view: View, plan: MaskPlan) -> Note | None:
    """Classes that may be blurred edges turned into numbers."""
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


def _share_text(value: int) -> str:
    """A value of 255 as the share from 0 to 1 that it stood for."""
    return f"{value / 255:.2g}"
