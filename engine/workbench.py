"""The workbench as one handle: settings, database and files of one home."""

from dataclasses import dataclass

from engine import messages
from engine.errors import Refused
from engine.files import Files
from engine.settings import Settings
from engine.store.database import BUSY_SECONDS, Database, open_database


@dataclass(frozen=True, slots=True)
class Workbench:
    """What every job, command and page works on."""

    settings: Settings
    database: Database
    files: Files

    def close(self) -> None:
        """Release the database; may be called twice."""
        self.database.close()


def open_workbench(settings: Settings, busy_seconds: float = BUSY_SECONDS) -> Workbench:
    """Open a home, creating it when it is not there.

    Args:
        busy_seconds: how long a write waits for a database that somebody else writes.

    Raises:
        BadSetting: a setting of the messages it sends cannot be used.
        Refused: the home cannot be written, or belongs to a newer version.
    """
    messages.check(settings)
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(
            "The home folder {home} cannot be created: {reason}. Set WORKBENCH_HOME to a folder "
            "you may write to.",
            home=str(settings.home),
            reason=error.strerror or str(error),
        ) from error
    database = open_database(settings.database_url, busy_seconds)
    return Workbench(settings, database, Files(settings.home))
