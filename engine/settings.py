"""Where the workbench lives and how it runs, from the `WORKBENCH_*` environment variables.

The environment is read when `Settings.from_environment` is called, never at import time,
so that a test or a script can pass a home of its own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from engine.errors import BadSetting

WorkerMode = Literal["local", "external"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one workbench."""

    home: Path
    """Folder that holds the database, uploads, datasets and runs. `WORKBENCH_HOME`, default `./workbench`."""
    database_url: str
    """SQLAlchemy URL of the store. `WORKBENCH_DATABASE_URL`, default SQLite in the home folder."""
    worker: WorkerMode = "local"
    """`local`: a worker is started when one is needed. `external`: it runs as its own service. `WORKBENCH_WORKER`."""
    worker_idle_seconds: float = 600.0
    """A worker started on demand ends after this long without a job. `WORKBENCH_WORKER_IDLE_SECONDS`."""

    @classmethod
    def for_home(cls, home: Path) -> "Settings":
        """The defaults for one home folder, whatever the environment says."""
        home = home.expanduser().resolve()
        # The two characters that would end the path within a URL.
        path = str(home / "workbench.db").replace("%", "%25").replace("?", "%3F")
        return cls(home=home, database_url=f"sqlite:///{path}")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings, filling in defaults; an empty variable counts as not set.

        Raises:
            BadSetting: a variable holds a value that cannot be used.
        """
        environ = {name: value for name, value in environ.items() if value}
        defaults = cls.for_home(Path(environ.get("WORKBENCH_HOME", "workbench")))
        worker = environ.get("WORKBENCH_WORKER", defaults.worker)
        if worker not in ("local", "external"):
            raise BadSetting(
                "WORKBENCH_WORKER is “{value}”; it can be “local” or “external”.", value=worker
            )
        idle = environ.get("WORKBENCH_WORKER_IDLE_SECONDS", str(defaults.worker_idle_seconds))
        try:
            idle_seconds = float(idle)
        except ValueError:
            idle_seconds = math.nan
        if not idle_seconds >= 0:
            raise BadSetting(
                "WORKBENCH_WORKER_IDLE_SECONDS is “{value}”; it must be a number of seconds, "
                "0 or more.",
                value=idle,
            )
        return cls(
            home=defaults.home,
            database_url=environ.get("WORKBENCH_DATABASE_URL", defaults.database_url),
            worker=cast(WorkerMode, worker),
            worker_idle_seconds=idle_seconds,
        )

    def to_environment(self) -> dict[str, str]:
        """The variables that make a child process see these settings."""
        return {
            "WORKBENCH_HOME": str(self.home),
            "WORKBENCH_DATABASE_URL": self.database_url,
            "WORKBENCH_WORKER": self.worker,
            "WORKBENCH_WORKER_IDLE_SECONDS": str(self.worker_idle_seconds),
        }
