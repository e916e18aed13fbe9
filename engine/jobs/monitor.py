"""Writing down, while a worker runs, what its machine is doing."""

import logging
import threading
import time
from dataclasses import asdict
from types import TracebackType
from typing import Self

from engine.monitor import read_state
from engine.store import machine_samples
from engine.store.machine_samples import MachineSample
from engine.workbench import Workbench

log = logging.getLogger(__name__)

SAMPLE_SECONDS = 10.0
SWEEP_SECONDS = 3600.0

_FIRST_SECONDS = 1.0
"""The load of a processor is known after a while only."""
_LEAVE_SECONDS = 1.0


class Monitor:
    """Takes a sample of the machine every ten seconds while it is entered, in a thread of its own.

    Args:
        workbench: the home that the samples are kept in, and whose disk is looked at.
        host: the name of this machine.
    """

    def __init__(self, workbench: Workbench, host: str) -> None:
        self.workbench = workbench
        self.host = host
        self._leaving = threading.Event()
        self._is_troubled = False
        self._swept_at: float | None = None
        # A daemon, as a database that is locked must not keep the worker from leaving.
        self._thread = threading.Thread(target=self._work, name="monitor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.set()
        self._thread.join(_LEAVE_SECONDS)

    def turn(self) -> None:
        """Take one sample, and from time to time forget old ones."""
        database = self.workbench.database
        state = read_state(self.workbench.settings.home)
        sample = MachineSample(host=self.host, at=time.time(), **asdict(state))
        machine_samples.add(database, sample)
        now = time.monotonic()
        if self._swept_at is None or now - self._swept_at >= SWEEP_SECONDS:
            machine_samples.sweep(database, self.host)
            self._swept_at = now

    def _work(self) -> None:
        read_state(self.workbench.settings.home)
        wait_seconds = _FIRST_SECONDS
        while not self._leaving.wait(wait_seconds):
            wait_seconds = SAMPLE_SECONDS
            try:
                self.turn()
                self._is_troubled = False
            except Exception:
                # Whatever it is, such as a full disk: the worker has better things to do than to
                # end, and one word is enough until it is well again.
                if not self._is_troubled:
                    log.exception("What the machine does could not be recorded; it is tried again.")
                self._is_troubled = True
