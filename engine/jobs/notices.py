"""Telling people that a run has ended, by a webhook and by mail.

What is to be told stands in the database before it is sent, so that neither a worker's death nor
a dead server loses it. The price is that it may arrive twice: when a worker dies between sending
and saying so.
"""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from engine import messages
from engine.errors import NotFound, WorkbenchError
from engine.messages import NotSent
from engine.store import notices, runs
from engine.store.notices import Channel, Notice
from engine.store.runs import Run
from engine.workbench import Workbench

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
WAITS_SECONDS = (10.0, 30.0, 90.0, 240.0, 600.0, 1500.0, 3600.0)
"""Between one try and the next; after the last one it is given up."""
HOLD_SECONDS = 300.0
"""Longer than a try may take: a slow mail server, then a database that is locked."""

_LEAVE_SECONDS = 1.0


class _Nobody(NotSent):
    """There is nobody to be told, however often it is tried."""


class Notifier:
    """Tells what ends while it is entered, in a thread of its own; idle without a channel.

    Args:
        workbench: the home whose runs it tells of.
    """

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        self.channels = channels_of(workbench)
        self._leaving = threading.Event()
        self._is_troubled = False
        # A daemon, as a slow server must not keep the worker from leaving.
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)

    def __enter__(self) -> Self:
        if self.channels:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.set()
        if self.channels:
            self._thread.join(_LEAVE_SECONDS)

    def turn(self) -> None:
        """One round: note what has ended, and try everything that is due."""
        names = tuple(self.channels)
        notices.queue(self.workbench.database, names)
        while not self._leaving.is_set():
            notice = notices.take_due(self.workbench.database, names, hold_seconds=HOLD_SECONDS)
            if notice is None:
                return
            self._try(notice)

    def _work(self) -> None:
        while True:
            try:
                self.turn()
                self._is_troubled = False
            except Exception:
                # Whatever it is, such as a locked database, what comes later must still be told.
                # Until it is well again, one word is enough.
                if not self._is_troubled:
                    log.exception("A round of the notifier failed; the next one tries again.")
                self._is_troubled = True
            if self._leaving.wait(POLL_SECONDS):
                return

    def _try(self, notice: Notice) -> None:
        database = self.workbench.database
        try:
            run = runs.get(database, notice.run_id)
        except NotFound:
            return  # Deleted meanwhile, and the notice with it.
        try:
            remark = self.channels[notice.channel](run)
        except NotSent as error:
            is_last = notice.tries > len(WAITS_SECONDS) or isinstance(error, _Nobody)
            wait_seconds = None if is_last else WAITS_SECONDS[notice.tries - 1]
            notices.mark_failed(database, notice, str(error), wait_seconds=wait_seconds)
            log.warning(
                "The end of run %s could not be told (%s, try %d%s): %s",
                run.id, notice.channel, notice.tries, ", the last" if is_last else "", error,
            )  # fmt: skip
        else:
            notices.mark_sent(database, notice, remark)
            log.info("The end of run %s was told (%s).", run.id, notice.channel)


def channels_of(workbench: Workbench) -> dict[Channel, Callable[[Run], str | None]]:
    """How the end of a run is told by each channel that is set up; see `Settings`.

    The functions return a remark when not everybody was reached, and raise `NotSent`.
    """
    settings = workbench.settings
    found: dict[Channel, Callable[[Run], str | None]] = {}
    if settings.webhook_url:
        found["webhook"] = lambda run: messages.post_json(
            settings.webhook_url, to_json(run, settings.url)
        )
    if settings.smtp_url:
        found["mail"] = lambda run: _mail(workbench, run)
    return found


def to_json(run: Run, url: str) -> dict[str, Any]:
    """What a webhook is told of a run that has ended.

    Args:
        url: where people reach the server; "" where that is not known.
    """
    return {
        "event": "run.ended",
        "run": run.id,
        "name": run.name,
        "dataset": run.dataset_name,
        "status": run.status,
        "owner": run.actor,
        "reason": _reason(run),
        "best_val_dice": run.best_val_dice,
        "epochs": run.num_epochs_done,
        "run_seconds": run.job.ran_seconds,
        "queue_seconds": run.job.waited_seconds,
        "url": _link(run, url),
    }


def to_mail(run: Run, url: str) -> tuple[str, str]:
    """Subject and text of the mail about a run that has ended.

    Args:
        url: where people reach the server; "" where that is not known.
    """
    has_failed = run.status == "failed"
    subject = f"“{run.name}” " + ("has failed" if has_failed else "is completed")
    if run.best_val_dice is not None and not has_failed:
        subject += f": Dice {run.best_val_dice:.2f}"
    lines = [f"The run “{run.name}” on “{run.dataset_name}” of {run.actor} has ended."]
    if reason := _reason(run):
        lines += ["", reason]
    lines += ["", f"Status: {run.status}", f"Epochs: {run.num_epochs_done}"]
    if run.best_val_dice is not None:
        lines.append(f"Best validation Dice: {run.best_val_dice:.4f} (epoch {run.best_epoch})")
    lines += [
        f"Run time: {timedelta(seconds=round(run.job.ran_seconds))}",
        f"Time in the queue: {timedelta(seconds=round(run.job.waited_seconds))}",
    ]
    if link := _link(run, url):
        lines += ["", link]
    return subject, "\n".join(lines) + "\n"


def _mail(workbench: Workbench, run: Run) -> str | None:
    settings = workbench.settings
    recipients = [run.actor] if messages.is_address(run.actor) else []
    recipients = list(dict.fromkeys([*recipients, *settings.mail_to]))
    if not recipients:
        raise _Nobody(
            "Nobody can be written to: the owner's name “{owner}” is no e-mail address, and "
            "WORKBENCH_MAIL_TO names nobody else.",
            owner=run.actor,
        )
    subject, text = to_mail(run, settings.url)
    refused = messages.send_mail(
        settings.smtp_url,
        sender=settings.mail_from,
        recipients=recipients,
        subject=subject,
        text=text,
    )
    return f"The mail server refused {', '.join(refused)}." if refused else None


def _reason(run: Run) -> str | None:
    record = run.job.error
    return None if record is None else str(WorkbenchError(record["message"], **record["facts"]))


def _link(run: Run, url: str) -> str | None:
    return f"{url}/run?run={run.id}" if url else None
