"""Where the workbench lives and how it runs, from the `WORKBENCH_*` environment variables.

The environment is read when `Settings.from_environment` is called, never at import time,
so that a test or a script can pass a home of its own.
"""

import math
import os
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
    weights: Path
    """Folder with files of pretrained encoder weights. `WORKBENCH_WEIGHTS`, default `weights` in the home folder."""
    worker: WorkerMode = "local"
    """`local`: a worker is started when one is needed. `external`: it runs as its own service. `WORKBENCH_WORKER`."""
    worker_idle_seconds: float = 600.0
    """A worker started on demand ends after this long without a job. `WORKBENCH_WORKER_IDLE_SECONDS`."""
    upload_quota_gib: float = 50.0
    """Most GiB (1024³ bytes) of uploads a person may have that are on their way or not yet imported. `WORKBENCH_UPLOAD_QUOTA_GIB`."""
    min_free_gib: float = 2.0
    """GiB of the home's disk that uploads leave free. `WORKBENCH_MIN_FREE_GIB`."""
    import_roots: tuple[Path, ...] = ()
    """Folders of the server that the page may import from. `WORKBENCH_IMPORT_ROOTS`, separated as in `PATH`, default none."""

    @classmethod
    def for_home(cls, home: Path) -> "Settings":
        """The defaults for one home folder, whatever the environment says."""
        home = home.expanduser().resolve()
        # The two characters that would end the path within a URL.
        path = str(home / "workbench.db").replace("%", "%25").replace("?", "%3F")
        return cls(home=home, database_url=f"sqlite:///{path}", weights=home / "weights")

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
        return cls(
            home=defaults.home,
            database_url=environ.get("WORKBENCH_DATABASE_URL", defaults.database_url),
            weights=_folder(environ.get("WORKBENCH_WEIGHTS", str(defaults.weights))),
            worker=cast(WorkerMode, worker),
            worker_idle_seconds=_number(
                environ, "WORKBENCH_WORKER_IDLE_SECONDS", defaults.worker_idle_seconds, "seconds"
            ),
            upload_quota_gib=_number(
                environ, "WORKBENCH_UPLOAD_QUOTA_GIB", defaults.upload_quota_gib, "GiB"
            ),
            min_free_gib=_number(environ, "WORKBENCH_MIN_FREE_GIB", defaults.min_free_gib, "GiB"),
            import_roots=_folders(environ.get("WORKBENCH_IMPORT_ROOTS", "")),
        )

    def to_environment(self) -> dict[str, str]:
        """The variables that make a child process see these settings."""
        return {
            "WORKBENCH_HOME": str(self.home),
            "WORKBENCH_DATABASE_URL": self.database_url,
            "WORKBENCH_WEIGHTS": str(self.weights),
            "WORKBENCH_WORKER": self.worker,
            "WORKBENCH_WORKER_IDLE_SECONDS": str(self.worker_idle_seconds),
            "WORKBENCH_UPLOAD_QUOTA_GIB": str(self.upload_quota_gib),
            "WORKBENCH_MIN_FREE_GIB": str(self.min_free_gib),
            "WORKBENCH_IMPORT_ROOTS": os.pathsep.join(map(str, self.import_roots)),
        }


def _number(environ: Mapping[str, str], name: str, default: float, unit: str) -> float:
    text = environ.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value >= 0:
        raise BadSetting(
            "{name} is “{value}”; it must be a number of {unit}, 0 or more.",
            name=name,
            value=text,
            unit=unit,
        )
    return value


def _folders(text: str) -> tuple[Path, ...]:
    named = (name for name in text.split(os.pathsep) if name)
    return tuple(dict.fromkeys(map(_folder, named)))


def _folder(name: str) -> Path:
    return Path(name).expanduser().resolve()
