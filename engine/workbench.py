"""The workbench as one handle: settings, database and files of one home."""

from dataclasses import dataclass

from engine.errors import Refused
from engine.files import Files
from engine.settings import Settings
from engine.store.database import Database, open_database


@dataclass(frozen=True, slots=True)
class Workbench:
    """What every job, command and page works on."""

    settings: Settings
    database: Database
    files: Files

    def close(self) -> None:
        """Release the database; may be called twice."""
        self.database.close()


def open_workbench(settings: Settings) -> Workbench:
    """Open a home, creating it when it is not there.

    Raises:
        Refused: the home cannot be written, or belongs to a newer version.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(
            "The home folder {home} cannot be created: {reason}. Set WORKBENCH_HOME to a folder "
            "you may write to.",
            home=str(settings.home),
            reason=error.strerror or str(error),
        ) from error
    return Workbench(settings, open_database(settings.database_url), Files(settings.home))
