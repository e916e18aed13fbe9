"""The bell: a notification of the browser when a run has ended, also while its tab is out of sight.

What a person waits for is kept in the browser, by run, and survives a reload. Nothing here
causes a rerun: the page that shows the bell must refresh itself while its runs are live.
"""

from collections.abc import Sequence
from typing import NamedTuple

from engine.store.jobs import LIVE
from engine.store.runs import Run
from pages.common import formats
from pages.common.components import component
from pages.common.texts import _, status_word


class Watched(NamedTuple):
    """A run that may be waited for."""

    id: str
    name: str
    status: str
    sentence: str
    """What the notification says below the run's name."""


_mount = component("notifier")


def watched(run: Run) -> Watched:
    """A run as the bell wants it."""
    sentence = status_word(run.status).capitalize()
    if run.best_val_dice is not None:
        sentence = _("{status}, best validation Dice {dice}").format(
            status=sentence, dice=formats.score(run.best_val_dice)
        )
    return Watched(run.id, run.name, run.status, sentence)


def notifier(runs: Sequence[Watched | tuple[str, str, str, str]], key: str) -> None:
    """Show the bell for the live ones of some runs, and notify of those that have ended.

    Args:
        runs: besides the live ones, those that ended of late: only of a run that is still given
            here after its end can be told that it has ended. Without a live one no bell is shown.
        key: of the component on its page.
    """
    words = {
        "one": _("Notify me when it ends"),
        "many": _("Notify me when these end"),
        "insecure": _(
            "Browsers show notifications only for pages that came by https or from this machine."
        ),
        "denied": _(
            "This browser does not allow notifications of this page. Allow them in what it opens "
            "beside the address, then try again."
        ),
        "unanswered": _("The browser's question was not answered. Try again."),
        "silent": _("This browser showed no notification. {name}: {sentence}"),
    }
    data = {
        "texts": words,
        "runs": [
            {"id": run_id, "name": name, "isLive": status in LIVE, "sentence": sentence}
            for run_id, name, status, sentence in runs
        ],
    }
    _mount(key=key, data=data, width="content")
