"""Making sure that somebody executes what is queued."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import psutil

from engine.store import workers
from engine.workbench import Workbench

_PROJECT = Path(__file__).parents[2]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

LOG_KEY = "logs/worker.txt"


def ensure_worker(workbench: Workbench) -> None:
    """Start a detached worker on this machine unless one lives or somebody else provides it.

    The worker belongs to no session and no server: closing either leaves it running. Starting one
    too many is harmless, a lock in the home lets only one in.
    """
    if workbench.settings.worker == "external" or worker_is_alive(workbench):
        return
    subprocess.run(
        [sys.executable, "-m", "engine", "worker", "--detach"],
        cwd=_PROJECT,
        env=os.environ | workbench.settings.to_environment(),
        stdin=subprocess.DEVNULL,
        check=True,
    )


def worker_is_alive(workbench: Workbench) -> bool:
    """Whether this machine has a worker for this home."""
    record = workers.get(workbench.database, platform.node())
    return record is not None and process_lives(record.pid, record.stamp)


def process_lives(pid: int, stamp: str) -> bool:
    """Whether the process with this number is still the one that had this stamp."""
    return stamp_of(pid) == stamp


def stamp_of(pid: int) -> str | None:
    """What tells a process from all others with its number, before and after a reboot; None when
    it has ended.

    Made of the machine's boot and of the time since then, so that a clock that is set does not
    turn it into another.
    """
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return None
        if not _BOOT_ID.exists():
            return str(psutil.Process(pid).create_time())
        # The name, in parentheses, may hold anything; the 22nd field is the start in clock ticks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return f"{_BOOT_ID.read_text().strip()}:{fields[19]}"
    except (psutil.Error, OSError):
        return None


def detach(workbench: Workbench) -> bool:
    """Become a daemon: True in the daemon, False in the process that was started.

    Twice forked, so that the daemon is nobody's child and no server has to wait for it.
    """
    log_path = workbench.files.path(LOG_KEY)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    workbench.close()
    if os.fork():
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    return True
