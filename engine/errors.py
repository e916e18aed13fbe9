"""Everything that can go wrong, as one tree.

    WorkbenchError
    ├── BadInput             what a person gave cannot be used
    │   ├── BadArchive       the zip or folder as a whole
    │   ├── BadData          an image, a mask, or how they pair
    │   └── BadSetting       a training setting
    ├── NotFound             no such dataset, run or sample
    ├── Refused              a valid wish at the wrong time
    ├── Stopped              a job ended because somebody asked it to
    └── JobFailed            a job ended without a result
        ├── Diverged         a training's loss became infinite or undefined
        ├── OutOfMemory      a training did not fit into the memory of its device
        ├── DiskFull         what was to be written did not fit onto the disk
        └── ProcessDied      a job's process disappeared

Every message says what was seen, what was expected and what to do. It is a template:
the facts stay apart from the words, so that a page can show it in another language and
the database can keep it without losing the numbers.
"""

from typing import Any


class WorkbenchError(Exception):
    """Base of the tree.

    Args:
        message: a sentence with `{names}` for the facts.
        facts: what the names stand for; kept as `.facts`, must be JSON-serialisable.
    """

    def __init__(self, message: str, /, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        return self.message.format(**self.facts)

    def to_record(self) -> dict[str, Any]:
        """The error as JSON for the store: `{"type", "message", "facts"}`."""
        return {"type": type(self).__name__, "message": self.message, "facts": self.facts}


class BadInput(WorkbenchError):
    """What a person gave cannot be used."""


class BadArchive(BadInput):
    """The zip or folder as a whole cannot be used."""


class BadData(BadInput):
    """An image, a mask, or how they pair cannot be used."""


class BadSetting(BadInput):
    """A training setting is out of range, unknown, or contradicts another."""


class NotFound(WorkbenchError):
    """There is no such dataset, run or sample."""


class Refused(WorkbenchError):
    """A valid wish at the wrong time, such as stopping a finished run."""


class Stopped(WorkbenchError):
    """A job ended because somebody asked it to."""


class JobFailed(WorkbenchError):
    """A job ended without a result."""


class Diverged(JobFailed):
    """A training's loss became infinite or undefined."""


class OutOfMemory(JobFailed):
    """A training did not fit into the memory of its device."""


class DiskFull(JobFailed):
    """What was to be written did not fit onto the disk."""


class ProcessDied(JobFailed):
    """A job's process disappeared without saying why."""
