"""Whether the values in masks number objects instead of naming classes."""

from engine.datasets.masks.statistics import View
from engine.datasets.masks.survey import MAX_VALUE_BESIDE_VOID, VOID_VALUE

MIN_NUMBERS = 32
"""So many values over all masks, each in one piece wherever it occurs, number objects."""
MIN_SPARSE_NUMBERS, MIN_SPREAD = 8, 3
"""So many are enough when the largest is so many times their number: classes have no such gaps."""
MIN_GAP_BELOW_VOID = 16
"""Of more than 63 values, all others end so far below void."""
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
    than fit there that end well below it."""
    if view.meaning == "colors" or VOID_VALUE not in view.values or len(view.values) < 3:
        return False
    largest = max(value for value in view.values if value != VOID_VALUE)
    if largest <= MAX_VALUE_BESIDE_VOID:
        return True
    return len(view.values) > MAX_VALUE_BESIDE_VOID and largest < VOID_VALUE - MIN_GAP_BELOW_VOID
