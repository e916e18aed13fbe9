"""Runs that something ended or held up: a loss that is no number, memory, disk, a dead process."""

from collections.abc import Mapping
from typing import Any

from engine.doctor import remedies
from engine.doctor.case import Case, Diagnosis, Remedy
from engine.notes import Note

_OFTEN = 2
"""Deaths of a process from which on it is no chance."""


def diverged(case: Case) -> Diagnosis | None:
    """The loss is no number any more."""
    error = _error_of_type(case, "Diverged")
    if error is None:
        return None
    config, facts = case.config, error["facts"]
    return Diagnosis(
        key="diverged",
        severity="error",
        saw=_sentence(error),
        cause=Note(
            "A step was too long: the weights grew until numbers in {precision} could not hold "
            "them. The learning rate, {rate:g} at its peak, is the likeliest reason.",
            {
                "precision": facts.get("precision", config.compute.precision),
                "rate": config.optimizer.learning_rate,
            },
        ),
        remedies=remedies.chosen(
            remedies.lower_rate(case),
            remedies.clipping(case),
            None if facts.get("precision") == "fp32" else remedies.full_precision(case),
        ),
    )


def out_of_memory(case: Case) -> Diagnosis | None:
    """Memory ran out, for good or until settings were changed."""
    error = _error_of_type(case, "OutOfMemory")
    num_times = sum(each["type"] == "OutOfMemory" for each in case.incidents)
    if error is not None:
        return Diagnosis(
            key="out_of_memory",
            severity="error",
            saw=_sentence(error),
            cause=_memory_cause(case),
            remedies=_memory_remedies(case),
        )
    if not num_times:
        return None
    if not case.adjustments:
        return Diagnosis(
            key="out_of_memory",
            severity="warning",
            saw=Note("Memory ran out; times: {num}.", {"num": num_times}),
            cause=_memory_cause(case),
            remedies=_memory_remedies(case),
        )
    return Diagnosis(
        key="out_of_memory",
        severity="note",
        saw=Note(
            "Memory ran out, and the training went on with other settings: {settings}.",
            {"settings": _written(case.adjustments)},
        ),
        cause=Note(
            "The device has too little memory for the settings it was given. A run that begins "
            "with those that fit is the same from its first step to its last."
        ),
        remedies=remedies.chosen(
            remedies.change(case, Note("the settings that fit"), case.adjustments)
        ),
    )


def disk_full(case: Case) -> Diagnosis | None:
    """There was no room for what had to be written."""
    error = _error_of_type(case, "DiskFull")
    if error is None:
        return None
    return Diagnosis(
        key="disk_full",
        severity="error",
        saw=_sentence(error),
        cause=Note(
            "The disk of the home folder filled up. What was trained until then is kept: make room "
            "on the Storage page, then resume the run."
        ),
    )


def killed(case: Case) -> Diagnosis | None:
    """Its process died, for good or more than once."""
    deaths = [each for each in case.incidents if _is_death(each)]
    has_failed = case.error is not None and _is_death(case.error)
    if case.error is not None and has_failed:
        deaths.append(case.error)
    if not has_failed and len(deaths) < _OFTEN:
        return None
    facts = deaths[-1]["facts"]
    stood_still = "phase" in facts
    saw = (
        Note("Attempts whose process died: {num}; the last one stood still while its phase was "
             "“{phase}”.", {"num": len(deaths), "phase": facts["phase"]})
        if stood_still
        else Note("Attempts whose process died: {num}; the last one: {cause}.",
                  {"num": len(deaths), "cause": facts["cause"]})
    )  # fmt: skip
    return Diagnosis(
        key="killed",
        severity="error" if has_failed else "warning",
        saw=saw,
        cause=_hang_cause() if stood_still else _death_cause(facts),
        remedies=remedies.chosen(
            remedies.smaller_batch(case) if _was_killed(facts) else None,
            None if stood_still or _was_killed(facts) else remedies.uncompiled(case),
        ),
    )


def _error_of_type(case: Case, kind: str) -> Mapping[str, Any] | None:
    return case.error if case.error is not None and case.error["type"] == kind else None


def _is_death(record: Mapping[str, Any]) -> bool:
    # A process that was told to end, and handed over, says neither how it died nor where it stood.
    return record["type"] == "ProcessDied" and bool({"cause", "phase"} & record["facts"].keys())


def _was_killed(facts: Mapping[str, Any]) -> bool:
    return "SIGKILL" in str(facts.get("cause", ""))


def _hang_cause() -> Note:
    return Note(
        "It stood still for longer than any step should take: a disk or network folder that does "
        "not answer, or a driver that hangs. The log says what it did last. Where steps are that "
        "long, raise WORKBENCH_HANG_SECONDS."
    )


def _death_cause(facts: Mapping[str, Any]) -> Note:
    if _was_killed(facts):
        return Note(
            "SIGKILL comes from outside: an administrator, a batch system's limit, or a container "
            "whose memory ran out. The machine's memory at that time is on the run's Machine view; "
            "if it was full, a smaller batch helps."
        )
    return Note(
        "A library crashed, or the machine was restarted. If it is always at the same place, the "
        "computation itself is at fault: try it plainly. The end of the log, and the support "
        "bundle, help to find out."
    )


def _memory_cause(case: Case) -> Note:
    config = case.config
    return Note(
        "Batches of {batch} images of {size} px, or what else runs on this machine, need more "
        "memory than there is. Smaller batches of which several make one step learn alike and need "
        "less; smaller images need less still, and show less.",
        {"batch": config.schedule.batch_size, "size": config.images.image_size_px},
    )


def _memory_remedies(case: Case) -> tuple[Remedy, ...]:
    return remedies.chosen(
        remedies.smaller_batch(case), remedies.half_size(case), remedies.narrower_network(case)
    )


def _sentence(error: Mapping[str, Any]) -> Note:
    """What an error said, without the lines of its log."""
    facts = {name: value for name, value in error["facts"].items() if name != "log"}
    return Note(error["message"], facts)


def _written(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{leaf} = {value}" for leaf, value in changes.items())
