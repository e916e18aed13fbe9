"""What is asked before a removal: in words and numbers, what will be gone and what stays."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from engine.jobs.control import delete_run
from engine.jobs.storage import (
    DatasetStorage,
    RunStorage,
    remove_cache,
    remove_log,
    remove_training_state,
)
from pages.common import formats, reads
from pages.common.texts import _

_NAMES_SHOWN = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """A removal that a person is asked about."""

    title: str
    button: str
    sentences: Sequence[str]
    """What will be gone and what stays, as markdown."""
    steps: Sequence[Callable[[], int]]
    """Each removes one thing and says how many bytes became free; none: there is nothing to do."""


def state_removal(chosen: Sequence[RunStorage]) -> Removal:
    """Of the training states of some runs."""
    doomed = [each for each in chosen if each.state_bytes and not each.run.job.is_live]
    sentences = []
    if doomed:
        sentences = [
            _("The training states of **{num} runs**, **{size}**, are removed: {names}.").format(
                num=len(doomed),
                size=_size(each.state_bytes for each in doomed),
                names=_names(doomed),
            ),
            _(
                "These runs cannot be resumed or trained further. Their best weights, scores, "
                "pictures and logs stay."
            ),
        ]
    return Removal(
        title=_("Remove training states?"),
        button=_("Remove them"),
        sentences=[*sentences, *_left(chosen, doomed, _("no training state, or not ended"))],
        steps=[_state_step(each) for each in doomed],
    )


def log_removal(chosen: Sequence[RunStorage]) -> Removal:
    """Of the logs of some runs."""
    doomed = [each for each in chosen if each.log_bytes and not each.run.job.is_live]
    sentences = []
    if doomed:
        sentences = [
            _("The logs of **{num} runs**, **{size}**, are removed: {names}.").format(
                num=len(doomed), size=_size(each.log_bytes for each in doomed), names=_names(doomed)
            ),
            _("Everything else of these runs stays, also why one of them failed."),
        ]
    return Removal(
        title=_("Remove logs?"),
        button=_("Remove them"),
        sentences=[*sentences, *_left(chosen, doomed, _("no log, or not ended"))],
        steps=[_log_step(each) for each in doomed],
    )


def deletion(chosen: Sequence[RunStorage]) -> Removal:
    """Of whole runs."""
    doomed = [each for each in chosen if not each.run.job.is_live]
    sentences = []
    if doomed:
        sentences = [
            _(
                "**{num} runs** are deleted with their weights, scores, pictures and logs, "
                "**{size}**: {names}. This cannot be undone."
            ).format(
                num=len(doomed),
                size=_size(each.total_bytes for each in doomed),
                names=_names(doomed),
            ),
            _("Their datasets stay, and so do runs that have started from their weights."),
        ]
    return Removal(
        title=_("Delete runs?"),
        button=_("Delete for good"),
        sentences=[*sentences, *_left(chosen, doomed, _("not ended; stop them first"))],
        steps=[_deletion_step(each) for each in doomed],
    )


def cache_removal(chosen: Sequence[DatasetStorage]) -> Removal:
    """Of the prepared images of some datasets."""
    doomed = [(each, cache) for each in chosen for cache in each.caches if not cache.is_in_use]
    num_used = sum(cache.is_in_use for each in chosen for cache in each.caches)
    sentences = []
    if doomed:
        sentences = [
            _("The prepared images of **{num} datasets**, **{size}**, are removed.").format(
                num=len({each.dataset.id for each, _cache in doomed}),
                size=_size(cache.num_bytes for _each, cache in doomed),
            ),
            _(
                "Nothing is lost: the next training prepares them anew, which takes it some time. "
                "The datasets stay as they are."
            ),
        ]
    if num_used:
        sentences.append(
            _("Those at {num} sizes stay, because a training or a trial needs them.").format(
                num=num_used
            )
        )
    return Removal(
        title=_("Remove prepared images?"),
        button=_("Remove them"),
        sentences=sentences or [_("There are none.")],
        steps=[_cache_step(each, cache.name) for each, cache in doomed],
    )


def _left(chosen: Sequence[RunStorage], doomed: Sequence[RunStorage], why: str) -> list[str]:
    num_left = len(chosen) - len(doomed)
    return [_("Left as they are: {num} ({why}).").format(num=num_left, why=why)] if num_left else []


def _names(found: Sequence[RunStorage]) -> str:
    shown = ", ".join(formats.plain(each.run.name) for each in found[:_NAMES_SHOWN])
    more = len(found) - _NAMES_SHOWN
    return shown if more <= 0 else _("{names} and {num} more").format(names=shown, num=more)


def _size(sizes: Iterable[int]) -> str:
    return formats.file_size(sum(sizes))


def _state_step(each: RunStorage) -> Callable[[], int]:
    return lambda: remove_training_state(reads.workbench(), each.run.id, actor=reads.actor())


def _log_step(each: RunStorage) -> Callable[[], int]:
    return lambda: remove_log(reads.workbench(), each.run.job.id, actor=reads.actor())


def _deletion_step(each: RunStorage) -> Callable[[], int]:
    def delete() -> int:
        delete_run(reads.workbench(), each.run.id, actor=reads.actor())
        return each.total_bytes

    return delete


def _cache_step(each: DatasetStorage, name: str) -> Callable[[], int]:
    return lambda: remove_cache(reads.workbench(), each.dataset.id, name, actor=reads.actor())
