"""What the values in a dataset's masks mean, decided over all masks together.

The questions, in their order; the first that is answered with yes decides.

1. Are there two values at all? Otherwise there is nothing to learn.
2. Do the values number objects (`objects`)? Then all objects are one class.
3. Are they exact: two values, class numbers up to 63 (255 beside them is void), or more numbers
   or colours that fill areas? Then each is a class.
4. Do they gather at a few levels or colours (`levels`), with strays or blurred edges between them?
   Two levels of grey are cut half-way; more, and colours, are snapped to the nearest.
5. Otherwise they are continuous: an image, not a mask.

Every decision that is not obvious leaves a `Note`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.datasets.masks.levels import (
    MAX_FEW,
    Levels,
    blurred_levels,
    color_levels,
    few_levels,
    slips,
)
from engine.datasets.masks.objects import (
    could_number_objects,
    has_void,
    number_objects,
)
from engine.datasets.masks.remarks import (
    continuous,
    image_note,
    lines_note,
    palettes_note,
    snapped_note,
    threshold_note,
    void_note,
)
from engine.datasets.masks.rules import MAX_CLASSES, binary_rules, value_rules, value_text
from engine.datasets.masks.statistics import MaskStatistics, View
from engine.datasets.masks.survey import MAX_VALUE_BESIDE_VOID, VOID_VALUE
from engine.datasets.plan import MaskPlan
from engine.errors import BadData
from engine.notes import Note

MAX_CLASSES_OF_A_MASK = 64
"""With numbers beyond 63: a mask with more different ones holds tones, not classes."""
VOC_VOID_COLOR = 0xE0E0C0
"""What Pascal VOC and its followers draw around objects: pixels that do not count."""
RARE_LEVEL_SHARE = 0.25
"""A middle level in no more than this share of blurred masks does not make a class."""

_MIN_SOLID_SHARE, _MIN_SHARE_OF_SOLID_VALUES = 0.05, 0.9
_MIN_DENSITY = 0.5
_MIN_FILES_FOR_RARE = 4


@dataclass(frozen=True, slots=True)
class Learned:
    """What masks mean."""

    plan: MaskPlan
    notes: tuple[Note, ...]
    """How the values were understood, the most important first."""


def learn_masks(statistics: MaskStatistics) -> Learned:
    """Decide what the values of all masks of a dataset mean.

    Raises:
        BadData: there is only one value, or the values are continuous or too many.
    """
    everything, statistics = statistics, statistics.without_images()
    view = statistics.view()
    _check_values(statistics, view)
    found = (
        _as_objects(statistics, view) or _as_exact(statistics, view) or _as_levels(statistics, view)
    )
    if found is None:
        raise continuous(statistics, view)
    notes = [
        image_note(everything) if statistics is not everything else None,
        *found.notes,
        palettes_note(statistics) if found.plan.meaning == "colors" else None,
        lines_note(view, found.plan),
    ]
    return Learned(found.plan, tuple(note for note in notes if note is not None))


def plan_as(statistics: MaskStatistics, meaning: str) -> MaskPlan:
    """A plan to start from when a person says that the values mean something else.

    Args:
        meaning: as `MaskPlan.meaning`.

    Raises:
        BadData: the masks cannot be read so.
    """
    if meaning == "instances":
        return MaskPlan(meaning="instances", classes=binary_rules())
    view = statistics.view_as("colors" if meaning == "colors" else "values")
    if not view.values or (meaning != "threshold" and len(view.values) < 2):
        raise BadData(
            "The masks hold no two values that could be read as “{meaning}”. Choose another "
            "reading.",
            meaning=meaning,
        )
    if meaning == "threshold":
        threshold = max(1, (max(view.values) + 1) // 2)
        return MaskPlan(meaning="threshold", threshold=threshold, classes=binary_rules())
    exact = sorted(view.values, key=lambda value: -view.values[value].num_pixels)[:MAX_CLASSES]
    return MaskPlan(
        meaning=view.meaning,
        nearest=len(view.values) > MAX_CLASSES,
        classes=value_rules(view, [[value] for value in exact]),
    )


def _check_values(statistics: MaskStatistics, view: View) -> None:
    if not view.values:
        raise BadData("There is no mask to learn from. Check that the masks can be read.")
    if len(view.values) == 1:
        raise BadData(
            "Every mask holds only the value {value}, so there is nothing to learn. Expected at "
            "least two values, such as 0 for background and 1 for the class. Check that the "
            "masks are the right files.",
            value=value_text(view, next(iter(view.values))),
        )
    if view.meaning == "colors" and any(value > 255 for value in statistics.greys):
        raise BadData(
            "Some masks hold colours and others values up to {value}, which are no colours. "
            "Expected one kind of mask. Import them apart.",
            value=max(statistics.greys),
        )


def _as_objects(statistics: MaskStatistics, view: View) -> Learned | None:
    if not number_objects(view):
        return None
    facts = {"num": view.objects.max_values, "num_values": len(view.values) - 1}
    note = Note(
        "The values number objects: up to {num} in one mask, each in one piece. All objects are "
        "one class. If the numbers are classes, choose “values” instead of “instances”.",
        facts,
    )
    if view.meaning == "colors":
        note = Note(
            "The colours tell objects apart: up to {num} in one mask, each in one piece. All "
            "objects are one class. If the colours are classes, choose “colors” instead of "
            "“instances”.",
            facts,
        )
    if not has_void(view):
        return Learned(MaskPlan(meaning="instances", classes=binary_rules()), (note,))
    numbers = [value for value in view.values if value not in (0, VOID_VALUE)]
    rules = value_rules(view, [[0], numbers], ignored=[VOID_VALUE])
    return Learned(MaskPlan(meaning="values", classes=rules), (note, void_note(view, VOID_VALUE)))


def _as_exact(statistics: MaskStatistics, view: View) -> Learned | None:
    strays = slips(view)
    values = [value for value in view.values if value not in strays]
    if strays and len(values) <= 2:
        return None
    notes: tuple[Note, ...] = ()
    ignored: list[int] = []
    groups = [[value] for value in values]
    if _are_two_spellings(statistics, view, values):
        groups = [[0], [1, VOID_VALUE]]
        notes = (_two_spellings_note(statistics),)
    elif not (len(values) == 2 or _are_class_numbers(statistics, view, values)):
        return None
    elif has_void(view):
        ignored = [VOID_VALUE]
        groups.pop()
        notes = (void_note(view, VOID_VALUE),)
    if could_number_objects(view):
        notes += (
            Note(
                "In each mask, every value is one piece, so the values could also number objects. "
                "They were taken as {num} classes; choose “instances” if they are objects.",
                {"num": len(groups)},
            ),
        )
    if strays:
        num_strays_px = sum(view.values[value].num_pixels for value in strays)
        levels = Levels(tuple(map(tuple, groups)), num_strays_px / view.num_pixels)
        notes += (snapped_note(statistics, view, levels, len(strays)),)
    rules = value_rules(view, groups, ignored)
    plan = MaskPlan(meaning=view.meaning, nearest=bool(strays), classes=rules)
    return Learned(plan, notes)


def _are_two_spellings(statistics: MaskStatistics, view: View, values: Sequence[int]) -> bool:
    """Whether 1 and 255 mean the same: some masks were stored with one, some with the other."""
    if view.meaning == "colors" or statistics.num_lossy or list(values) != [0, 1, VOID_VALUE]:
        return False
    return statistics.are_apart(1, VOID_VALUE)


def _two_spellings_note(statistics: MaskStatistics) -> Note:
    facts = {"value": VOID_VALUE, "num": statistics.num_together(1, VOID_VALUE)}
    if not facts["num"]:
        return Note(
            "Some masks mark the foreground with 1, others with {value}, and none with both: the "
            "two were taken as the same.",
            facts,
        )
    return Note(
        "Some masks mark the foreground with 1, others with {value}, and only {num} with both: "
        "the two were taken as the same.",
        facts,
    )


def _are_class_numbers(statistics: MaskStatistics, view: View, values: Sequence[int]) -> bool:
    """Whether each of the values is a class by itself."""
    if view.meaning == "colors" or statistics.num_lossy:
        return False
    values = [v for v in values if v != VOID_VALUE or not has_void(view)]
    solid = [view.values[value].solid_share >= _MIN_SOLID_SHARE for value in values]
    if values[-1] <= MAX_VALUE_BESIDE_VOID:
        # Dark images have small values as well, but hardly two neighbours are the same.
        return len(values) <= MAX_FEW or 2 * sum(solid) >= len(values)
    return (
        MAX_FEW < len(values) <= MAX_CLASSES
        and len(values) >= _MIN_DENSITY * values[-1]
        and statistics.max_values <= MAX_CLASSES_OF_A_MASK
        and sum(solid) >= _MIN_SHARE_OF_SOLID_VALUES * len(values)
    )


def _as_levels(statistics: MaskStatistics, view: View) -> Learned | None:
    if view.meaning == "colors":
        return _as_colors(statistics, view)
    if view.palette:
        # Neighbouring indices need not be neighbouring colours.
        return _as_colors(statistics, statistics.view_as("colors"))
    values = view.values
    if statistics.num_lossy and max(values) <= MAX_VALUE_BESIDE_VOID:
        raise BadData(
            "The masks hold {num_values} different values up to {top}, and lossy compression such "
            "as JPEG's has blurred them, most in “{name}”. Expected one exact value per class. "
            "Save the masks as PNG from their source.",
            num_values=len(values),
            top=max(values),
            name=statistics.max_values_name,
        )
    levels: Levels | None = None
    if len(values) <= MAX_FEW and not statistics.num_lossy:
        levels = few_levels(statistics, view)
    blurred = levels is None or len(levels.groups) < 2
    if levels is None or blurred:
        levels = blurred_levels(view)
        if levels is None:
            return None
    notes: tuple[Note, ...] = ()
    if blurred:
        levels, notes = _without_rare_level(statistics, view, levels)
    if len(levels.groups) <= 2:
        return _as_threshold(statistics, view, levels, notes)
    return _as_nearest(statistics, view, levels, notes)


def _without_rare_level(
    statistics: MaskStatistics, view: View, levels: Levels
) -> tuple[Levels, tuple[Note, ...]]:
    """Of three levels, the middle one is left out when few masks have it."""
    if len(levels.groups) != 3 or statistics.num_files < _MIN_FILES_FOR_RARE:
        return levels, ()
    low, middle, high = levels.groups
    holders = [key for key in statistics.combinations if middle[0] in key]
    num_files = sum(statistics.combinations[key] for key in holders)
    if num_files > RARE_LEVEL_SHARE * statistics.num_files:
        return levels, ()
    found = view.values[middle[0]]
    note = Note(
        "“{name}” holds a third level: {value} on {percent:.1f} % of its pixels. It occurs in "
        "{num} of {num_files} masks only, and is foreground only if the threshold is lowered to "
        "it; choose “values” with “snap to the nearest” if it is a class of its own.",
        {
            "name": found.max_name,
            "value": middle[0],
            "percent": 100 * found.max_share,
            "num": num_files,
            "num_files": statistics.num_files,
        },
    )
    return Levels((low, high), levels.share_between + found.num_pixels / view.num_pixels), (note,)


def _as_threshold(
    statistics: MaskStatistics, view: View, levels: Levels, notes: tuple[Note, ...]
) -> Learned:
    low = levels.firsts[0]
    high = levels.firsts[1] if len(levels.groups) == 2 else max(view.values)
    threshold = (low + high + 1) // 2
    note = threshold_note(statistics, view, levels, high, threshold)
    plan = MaskPlan(meaning="threshold", threshold=threshold, classes=binary_rules())
    return Learned(plan, (note, *notes))


def _as_nearest(
    statistics: MaskStatistics, view: View, levels: Levels, notes: tuple[Note, ...]
) -> Learned:
    rules = value_rules(view, levels.groups)
    for group in levels.groups:
        if len(group) > 1:
            others = ", ".join(str(value) for value in group[1:])
            notes += (
                Note(
                    "The value {value} is {others} in other masks: never both are frequent in one "
                    "mask, so they were taken as the same class.",
                    {"value": group[0], "others": others},
                ),
            )
    num_strays = len(view.values) - sum(len(group) for group in levels.groups)
    if num_strays:
        notes += (snapped_note(statistics, view, levels, num_strays),)
    return Learned(MaskPlan(meaning="values", nearest=num_strays > 0, classes=rules), notes)


def _as_colors(statistics: MaskStatistics, view: View) -> Learned | None:
    levels = color_levels(view, lossy=statistics.num_lossy > 0)
    if levels is None or len(levels.groups) < 2:
        return None
    if len(levels.groups) > MAX_CLASSES:
        return None
    groups, ignored = list(levels.groups), list[int]()
    notes: tuple[Note, ...] = ()
    if (VOC_VOID_COLOR,) in groups and len(groups) > 2:
        groups.remove((VOC_VOID_COLOR,))
        ignored = [VOC_VOID_COLOR]
        notes = (void_note(view, VOC_VOID_COLOR),)
    num_strays = len(view.values) - len(levels.groups)
    if num_strays:
        notes += (snapped_note(statistics, view, levels, num_strays),)
    rules = value_rules(view, groups, ignored)
    return Learned(MaskPlan(meaning="colors", nearest=num_strays > 0, classes=rules), notes)
