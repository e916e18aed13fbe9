"""What to say when the workbench's own disk fails."""

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import Refused


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn an operating-system error while writing into Refused.

    Raises:
        Refused: the disk is full, broken or may not be written.
    """
    try:
        yield
    except OSError as error:
        raise Refused(
            "The files of the dataset cannot be written: {reason}. Free disk space, or check the "
            "permissions of the home folder, and try again.",
            reason=error.strerror or str(error),
        ) from error
