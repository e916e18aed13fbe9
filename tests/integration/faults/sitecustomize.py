"""What goes wrong in the processes of a test: loaded by Python itself in each of them.

`FAULTS` in the environment is a JSON list; see `tests.integration.faulty.Fault`. A fault is armed
while its flag file exists, and one that happens once takes it away.
"""

import errno
import fnmatch
import json
import os
import signal
import sqlite3
import sqlite3.dbapi2
import sys
import time
from pathlib import Path

FAULTS = json.loads(os.environ["FAULTS"]) if "FAULTS" in os.environ else []
ROLE = "process" if "engine.jobs.process" in sys.orig_argv else "other"


def meet(point: str, path: object) -> None:
    """Let happen what is to happen at a point, to a file."""
    for fault in FAULTS:
        flag = Path(fault["flag"])
        if (
            fault["at"] == point
            and fault["role"] in ("any", ROLE)
            and fnmatch.fnmatch(os.fspath(path), fault["name"])
            and flag.exists()
        ):
            if fault["once"]:
                flag.unlink(missing_ok=True)
            if fault["do"] == "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))
            os.kill(os.getpid(), getattr(signal, fault["do"]))


def journal(*event: object) -> None:
    """Note what was written safely, for a test that takes the rest away."""
    if "JOURNAL" in os.environ and ROLE == "process":
        with real_open(os.environ["JOURNAL"], "a") as file:
            file.write(json.dumps(event) + "\n")


real_open, real_replace, real_fsync, real_time = open, os.replace, os.fsync, time.time


def replace(source, target, **options):
    meet("before rename", target)
    real_replace(source, target, **options)
    journal("rename", os.fspath(source), os.fspath(target))
    meet("after rename", target)


def fsync(file):
    number = file if isinstance(file, int) else file.fileno()
    path = os.readlink(f"/proc/self/fd/{number}")
    meet("sync", path)
    real_fsync(number)
    if "JOURNAL" in os.environ and ROLE == "process":
        if os.path.isdir(path):
            journal("sync folder", path)
        else:
            copy = f"{os.environ['JOURNAL']}.{os.stat(path).st_ino}.{time.monotonic_ns()}"
            with real_open(path, "rb") as source, real_open(copy, "wb") as target:
                target.write(source.read())
            journal("sync", path, copy)


def now() -> float:
    clock = os.environ.get("CLOCK")
    set_back = float(Path(clock).read_text()) if clock and Path(clock).exists() else 0.0
    return real_time() - set_back


class Cursor(sqlite3.Cursor):
    """Writes nothing while the disk is full."""

    def execute(self, sql, *parameters):
        if sql.startswith(("INSERT", "UPDATE", "DELETE")):
            try:
                meet("database", "")
            except OSError:
                raise sqlite3.OperationalError("database or disk is full") from None
        return super().execute(sql, *parameters)


class Connection(sqlite3.Connection):
    """Makes such cursors."""

    def cursor(self, factory=Cursor):
        return super().cursor(factory)


def connect(*arguments, **options):
    return real_connect(*arguments, **({"factory": Connection} | options))


real_connect = sqlite3.connect
if FAULTS or "JOURNAL" in os.environ:
    os.replace, os.fsync = replace, fsync
if any(fault["at"] == "database" for fault in FAULTS):
    sqlite3.connect = sqlite3.dbapi2.connect = connect
if "CLOCK" in os.environ:
    time.time = now
