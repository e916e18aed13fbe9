"""The seam between the worker, which knows the queue, and the place where processes run.

The worker decides what runs and when; an executor only starts, watches and stops. So the queue's
promises (order, no job twice, truthful ends) hold wherever the processes are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engine.jobs.slots import Slot
from engine.store.jobs import Job

Handle = dict[str, Any]
"""What an executor needs to find a process again, as JSON: it outlives the worker."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A process that is no more."""

    code: int | None
    """Exit status; negative for a signal; None when the process was not this worker's child."""
    out_of_memory: bool = False
    """Whether the kernel is likely to have killed it because the machine's memory ran out."""


class Executor(Protocol):
    """Starts and watches the processes of jobs."""

    def free_slots(self, running: Sequence[Job]) -> list[Slot]:
        """Where more jobs may start beside the running ones."""
        ...

    def submit(self, job: Job, slot: Slot, running: Sequence[Job]) -> Handle:
        """Start the process of a job."""
        ...

    def poll(self, handle: Handle) -> Exit | None:
        """How the process ended; None while it runs."""
        ...

    def is_frozen(self, handle: Handle) -> bool:
        """Whether the process lives, but was stopped in its tracks (SIGSTOP)."""
        ...

    def stop(self, handle: Handle, *, at_once: bool = False) -> None:
        """Ask the process to hand over and end (SIGTERM), or end it (SIGKILL)."""
        ...

    def log_tail(self, job_id: str, num_lines: int) -> str:
        """The last lines the process printed."""
        ...
