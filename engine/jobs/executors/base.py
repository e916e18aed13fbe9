"""The seam between the worker, which knows the queue, and the place where processes run.

The worker decides what runs and when; an executor only starts, watches and stops. So the queue's
promises (order, no job twice, truthful ends) hold wherever the processes are.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from engine.store.jobs import Job, JobKind

Handle = dict[str, Any]
"""What an executor needs to find a process again, as JSON: it outlives the worker."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A process that is no more."""

    code: int | None
    """Exit status; negative for a signal; None when the process was not this worker's child."""


class Executor(Protocol):
    """Starts and watches the processes of jobs."""

    def free_slots(self, kind: JobKind, running: list[Job]) -> int:
        """How many more jobs of a kind may start beside the running ones."""
        ...

    def submit(self, job: Job, running: list[Job]) -> Handle:
        """Start the process of a job."""
        ...

    def poll(self, handle: Handle) -> Exit | None:
        """How the process ended; None while it runs."""
        ...

    def stop(self, handle: Handle) -> None:
        """Ask the process to end (SIGTERM)."""
        ...

    def log_tail(self, job_id: str, num_lines: int) -> str:
        """The last lines the process printed."""
        ...
