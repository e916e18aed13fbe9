"""Whether the values in masks number objects instead of naming classes."""

from engine.datasets.masks.levels import MIN_SOLID_SHARE, is_slip
from engine.datasets.masks.statistics import View
from engine.datasets.masks.survey import MAX_VALUE_BESIDE_VOID, VOID_VALUE

MIN_NUMBERS = 32
"""So many values over all masks, each in one piece wherever it occurs, number objects."""
MIN_SPARSE_NUMBERS, MIN_SPREAD = 8, 3
"""So many are enough when the largest is so many times their number: classes have no such gaps."""
MIN_GAP_BELOW_VOID = 16
"""Of more than 63 values, all others end so far below void."""
MAX_TIMES_CLASSES = 10
"""Void that covers more than so many times what all classes cover, on a larger background, is
itself the class."""
MIN_GROWING_NUMBERS = 4
"""When the values are 1, 2, … up to an end that differs between masks, so many are enough."""
MIN_SHARE_OF_FILES = 0.9
"""Share of the masks that must show the signs."""
MAX_FILES_PER_COLOR = 1.2
"""Colours of objects are random: hardly one occurs in two masks."""


def number_objects(view: View) -> bool:
    """Whether the values are numbers, or random colours, of objects.

    Objects hang together, so each value is one piece in its mask, and 0 or black lies around
    them. Beyond that they are many, or far apart, or counted: 1, 2, … to an end that
    differs. Classes come in several pieces, or the same few of them are everywhere.
    """
    signs = view.objects
    if 0 not in view.values or signs.num_files == 0:
        return False
    if signs.num_single < MIN_SHARE_OF_FILES * signs.num_files:
        return False
    numbers = len(view.values) - 1 - has_void(view)
    if numbers >= MIN_NUMBERS:
        return True
    if view.meaning == "colors":
        num_uses = sum(found.num_files for color, found in view.values.items() if color)
        return signs.num_files > 2 and num_uses <= MAX_FILES_PER_COLOR * numbers
    sparse = max(view.values) >= MIN_SPREAD * numbers and not has_void(view)
    if numbers >= MIN_SPARSE_NUMBERS and sparse:
        return True
    return (
        signs.max_values >= MIN_GROWING_NUMBERS
        and signs.min_values < signs.max_values
        and signs.num_contiguous >= MIN_SHARE_OF_FILES * signs.num_files
    )


def could_number_objects(view: View) -> bool:
    """Whether objects are possible where `number_objects` said no: too few masks tell."""
    signs = view.objects
    return (
        0 in view.values
        and signs.num_files > 0
        and signs.num_single == signs.num_contiguous == signs.num_files
        and (signs.num_files == 1 or signs.min_values < signs.max_values)
    )


def has_void(view: View) -> bool:
    """Whether `VOID_VALUE` stands beside at least two values that are all small, or beside more
    than fit there that end well below it. Strays are none of them, and a class of lines is none
    beside a void of areas."""
    values = view.values
    if view.meaning == "colors" or VOID_VALUE not in values or len(values) < 3:
        return False
    classes = [v for v in values if v not in (0, VOID_VALUE) and not is_slip(values[v])]
    if not classes:
        return False
    void = values[VOID_VALUE]
    if void.solid_share >= MIN_SOLID_SHARE > max(values[v].solid_share for v in classes):
        return False
    num_classes_px = sum(values[v].num_pixels for v in classes)
    background_px = values[0].num_pixels if 0 in values else 0
    if void.num_pixels > MAX_TIMES_CLASSES * num_classes_px and background_px > void.num_pixels:
        return False
    largest = max(classes)
    if largest <= MAX_VALUE_BESIDE_VOID:
        return True
    return len(values) > MAX_VALUE_BESIDE_VOID and largest < VOID_VALUE - MIN_GAP_BELOW_VOID
