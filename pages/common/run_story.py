"""What befell a run, in words: attempts that died, memory that ran out; pure functions of it."""

from collections.abc import Mapping
from typing import Any

from engine.config import leaf_fields
from engine.errors import OutOfMemory, ProcessDied
from engine.store.runs import Run
from pages.common import formats
from pages.common.tables import setting_text
from pages.common.texts import _, record_text
from pages.common.train.fields import setting_title


def story(run: Run, num_retries: int) -> list[str]:
    """One sentence for each thing that befell the run, in their order, and what became of it.

    Args:
        num_retries: how often a run is started again by itself.
    """
    told = [incident_text(record) for record in run.job.incidents]
    changed = adjustments_text(run)
    if changed:
        told.append(changed)
    if run.job.is_live and run.job.retries:
        told.append(_going_on(run))
    if run.job.retries and run.job.status != "completed":
        told.append(
            _("Started again by itself {count} of at most {limit} times.").format(
                count=run.job.retries, limit=num_retries
            )
        )
    return told


def incident_text(record: Mapping[str, Any]) -> str:
    """What befell one attempt, and when."""
    facts = {"attempt": record["attempt"], "moment": formats.moment(record["at"])}
    cause = record["facts"].get("cause")
    if record["type"] == OutOfMemory.__name__:
        return _("{moment}: memory ran out in attempt {attempt}.").format(**facts)
    if record["type"] == ProcessDied.__name__ and cause is not None:
        return _(
            "{moment}: the process of attempt {attempt} ended without a result: {cause}."
        ).format(cause=cause, **facts)
    return _("{moment}, attempt {attempt}: {sentence}").format(
        sentence=record_text(dict(record)), **facts
    )


def adjustments_text(run: Run) -> str | None:
    """The settings that were changed since memory ran out; None where none were."""
    changes = [
        _("{setting} {before} → {after}").format(
            setting=setting_title(name).lower(),
            before=setting_text(_value(run, name)),
            after=setting_text(value),
        )
        for name, value in run.adjustments.items()
    ]
    if not changes:
        return None
    return _("Memory ran out, so it is trained with other settings: {changes}.").format(
        changes=", ".join(changes)
    )


def _value(run: Run, name: str) -> Any:
    part, _field = leaf_fields()[name]
    return getattr(getattr(run.config, part), name)


def _going_on(run: Run) -> str:
    if run.job.status == "queued":
        sentence = _(
            "It waits to go on by itself from what it had saved; {epochs} epochs are done."
        )
    else:
        sentence = _("It goes on by itself from what it had saved; {epochs} epochs are done.")
    return sentence.format(epochs=formats.count(run.num_epochs_done))
