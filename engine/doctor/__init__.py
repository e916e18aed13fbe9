"""The doctor: what is wrong with a run, what it likely comes from, and what one click may change.

Every rule is a small function from a `Case` to a `Diagnosis` or None. `failures` looks at what
befell the run's processes, `learning` at its curves, `predictions` at what it finds, `data` at
what it learns from. Nothing here opens a file or a database.
"""

from collections.abc import Callable

from engine.doctor import data, failures, learning, predictions
from engine.doctor.case import SEVERITIES, Case, ClassRow, Diagnosis, Remedy, Severity, Status

__all__ = [
    "SEVERITIES",
    "Case",
    "ClassRow",
    "Diagnosis",
    "Remedy",
    "Severity",
    "Status",
    "diagnose",
]

Rule = Callable[[Case], Diagnosis | None]

_GROUPS: tuple[tuple[Rule, ...], ...] = (
    (
        failures.diverged,
        learning.rate_too_high,
        learning.rate_too_low,
        learning.too_short,
        predictions.collapsed,
        learning.no_improvement,
        predictions.missing_class,
        learning.overfitting,
        learning.still_improving,
    ),
    (failures.out_of_memory,),
    (failures.killed,),
    (failures.disk_full,),
    (data.tiny_validation,),
    (data.data_bound,),
)
"""Rules by what they would have as cause: of each group the first that finds something speaks, so
that a run that diverged is not also said not to improve."""


def diagnose(case: Case) -> list[Diagnosis]:
    """What is to be said about a run, the gravest first; [] when all is well."""
    found = [_first(rules, case) for rules in _GROUPS]
    said = [diagnosis for diagnosis in found if diagnosis is not None]
    return sorted(said, key=lambda diagnosis: SEVERITIES.index(diagnosis.severity))


def _first(rules: tuple[Rule, ...], case: Case) -> Diagnosis | None:
    return next((found for rule in rules if (found := rule(case)) is not None), None)
