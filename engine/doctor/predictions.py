"""Networks that say the same everywhere, or have given a class up."""

from collections.abc import Sequence

from engine.doctor import curves, remedies
from engine.doctor.case import Case, ClassRow, Diagnosis
from engine.notes import Note
from engine.scores.rules import class_values, dice

_LAST_EPOCHS, _LAST_LIVE_EPOCHS = 3, 5
_FEWEST_LIVE_EPOCHS = 8
_NOTHING = 1e-3
"""A lower Dice is that of a few stray pixels."""

Values = Sequence[Sequence[float | None]]
"""Dice by class index, of several epochs or once for all scored images; None: does not occur."""


def collapsed(case: Case) -> Diagnosis | None:
    """One class is all that is predicted."""
    values = _values(case)
    present = [row for row in case.classes if _occurs(values, row)]
    found = [row for row in present if _is_found(values, row)]
    if len(present) < 2 or len(found) != 1:
        return None
    (sole,) = found
    is_background = sole.background
    return Diagnosis(
        key="collapsed",
        severity="warning",
        saw=_saw(
            case,
            len(values),
            "no class but {names} was found." if is_background
            else "everything was taken for {names}.",
            [sole],
        ),
        cause=Note(
            "The network has settled for the commonest answer, which alone scores well on a "
            "frequent class, and finds no way out. Normalisation, and a loss in which classes "
            "weigh the same, lead out of it; so may more epochs, as plain networks are slow to "
            "leave."
        ),
        remedies=remedies.chosen(
            remedies.middle_threshold(case),
            remedies.normalisation(case),
            remedies.balanced_classes(case),
            remedies.dice_loss(case),
            remedies.foreground_patches(case) if is_background else None,
            remedies.lower_rate(case),
        ),
    )  # fmt: skip


def missing_class(case: Case) -> Diagnosis | None:
    """Some foreground classes are found, others never."""
    values = _values(case)
    foreground = [row for row in case.classes if not row.background and _occurs(values, row)]
    missing = [row for row in foreground if not _is_found(values, row)]
    if not missing or len(missing) == len(foreground):
        return None
    return Diagnosis(
        key="missing_class",
        severity="warning",
        saw=_saw(case, len(values), "no pixel of {names} was found.", missing),
        cause=Note(
            "What is rare is given up first, because the loss hardly notices. In a loss in which "
            "every class weighs the same, it shows."
        ),
        remedies=remedies.chosen(
            remedies.balanced_classes(case),
            remedies.dice_loss(case),
            remedies.foreground_patches(case),
        ),
    )


def _values(case: Case) -> Values:
    """What the classes scored last; () as long as it is too early to tell."""
    if case.counts is not None:
        return [class_values(case.counts, dice)]
    fewest = max(_FEWEST_LIVE_EPOCHS, case.num_planned // 2) if case.is_live else _LAST_EPOCHS
    if len(case.records) < fewest:
        return ()
    if curves.is_new(case):
        return ()
    num = _LAST_LIVE_EPOCHS if case.is_live else _LAST_EPOCHS
    return [record.val_class_dice for record in case.records[-num:]]


def _occurs(values: Values, row: ClassRow) -> bool:
    return any(each[row.index] is not None for each in values)


def _is_found(values: Values, row: ClassRow) -> bool:
    return any((each[row.index] or 0.0) > _NOTHING for each in values)


def _saw(case: Case, num: int, message: str, rows: Sequence[ClassRow]) -> Note:
    """What was seen, and where."""
    names = ", ".join(f"“{row.name}”" for row in rows)
    if case.counts is not None:
        return Note("In the scored images that it did not learn from, " + message, {"names": names})
    return Note(
        "In the last {num} epochs, over all validation images, " + message,
        {"num": num, "names": names},
    )
