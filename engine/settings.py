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

    retries: int = 3
    """How often a training whose process dies is started again by itself. `WORKBENCH_RETRIES`."""
    gpu_jobs: int = 1
    """Trainings at once on one GPU. `WORKBENCH_GPU_JOBS`."""
    cpu_jobs: int = 1
    """Trainings at once on a machine without a GPU; they share its cores. `WORKBENCH_CPU_JOBS`."""
    light_jobs: int = 2
    """Jobs at once of those that train nothing, such as imports. `WORKBENCH_LIGHT_JOBS`."""
    silence_seconds: float = 20.0
    """A job's process that shows no sign of life for so long is ended. `WORKBENCH_SILENCE_SECONDS`."""
    hang_seconds: float = 900.0
    """A job that makes no step for so long shows no sign of life any more. `WORKBENCH_HANG_SECONDS`."""
    keep_states_days: float = 30.0
    """What a run needs to be trained further is kept for so long after its end; its best weights stay. `WORKBENCH_KEEP_STATES_DAYS`, 0: for ever."""
    url: str = ""
    """Where people reach the server, for links in messages. `WORKBENCH_URL`, such as `https://lab.example/workbench`."""
    webhook_url: str = ""
    """Told as JSON by POST when a run ends. `WORKBENCH_WEBHOOK_URL`."""
    smtp_url: str = ""
    """The mail server that sends word when a run ends. `WORKBENCH_SMTP_URL`, such as `smtp://user:password@mail.example:587`; `smtps://` for TLS from the start."""
    mail_from: str = ""
    """The sender of these mails. `WORKBENCH_MAIL_FROM`."""
    mail_to: tuple[str, ...] = ()
    """Who gets these mails besides the owner of the run. `WORKBENCH_MAIL_TO`, separated by commas."""

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
            retries=_count(environ, "WORKBENCH_RETRIES", defaults.retries, at_least=0),
            gpu_jobs=_count(environ, "WORKBENCH_GPU_JOBS", defaults.gpu_jobs),
            cpu_jobs=_count(environ, "WORKBENCH_CPU_JOBS", defaults.cpu_jobs),
            light_jobs=_count(environ, "WORKBENCH_LIGHT_JOBS", defaults.light_jobs),
            silence_seconds=_number(
                environ, "WORKBENCH_SILENCE_SECONDS", defaults.silence_seconds, "seconds", 0.1
            ),
            hang_seconds=_number(
                environ, "WORKBENCH_HANG_SECONDS", defaults.hang_seconds, "seconds", 0.1
            ),
            keep_states_days=_number(
                environ, "WORKBENCH_KEEP_STATES_DAYS", defaults.keep_states_days, "days"
            ),
            url=environ.get("WORKBENCH_URL", "").rstrip("/"),
            webhook_url=environ.get("WORKBENCH_WEBHOOK_URL", ""),
            smtp_url=environ.get("WORKBENCH_SMTP_URL", ""),
            mail_from=environ.get("WORKBENCH_MAIL_FROM", ""),
            mail_to=_addresses(environ.get("WORKBENCH_MAIL_TO", "")),
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
            "WORKBENCH_RETRIES": str(self.retries),
            "WORKBENCH_GPU_JOBS": str(self.gpu_jobs),
            "WORKBENCH_CPU_JOBS": str(self.cpu_jobs),
            "WORKBENCH_LIGHT_JOBS": str(self.light_jobs),
            "WORKBENCH_SILENCE_SECONDS": str(self.silence_seconds),
            "WORKBENCH_HANG_SECONDS": str(self.hang_seconds),
            "WORKBENCH_KEEP_STATES_DAYS": str(self.keep_states_days),
            "WORKBENCH_URL": self.url,
            "WORKBENCH_WEBHOOK_URL": self.webhook_url,
            "WORKBENCH_SMTP_URL": self.smtp_url,
            "WORKBENCH_MAIL_FROM": self.mail_from,
            "WORKBENCH_MAIL_TO": ",".join(self.mail_to),
        }


def _number(
    environ: Mapping[str, str], name: str, default: float, unit: str, at_least: float = 0.0
) -> float:
    text = environ.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value >= at_least:
        raise BadSetting(
            "{name} is “{value}”; it must be a number of {unit}, {least:g} or more.",
            name=name,
            value=text,
            unit=unit,
            least=at_least,
        )
    return value


def _count(environ: Mapping[str, str], name: str, default: int, at_least: int = 1) -> int:
    text = environ.get(name, str(default))
    value = int(text) if text.isascii() and text.isdigit() else -1
    if value < at_least:
        raise BadSetting(
            "{name} is “{value}”; it must be a whole number, {least} or more.",
            name=name,
            value=text,
            least=at_least,
        )
    return value


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(address.strip() for address in text.split(",") if address.strip())


def _folders(text: str) -> tuple[Path, ...]:
    named = (name for name in text.split(os.pathsep) if name)
    return tuple(dict.fromkeys(map(_folder, named)))


def _folder(name: str) -> Path:
    return Path(name).expanduser().resolve()
