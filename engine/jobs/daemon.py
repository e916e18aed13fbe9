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
    return record is not None and process_lives(record.pid, record.process_started_at)


def process_lives(pid: int, started_at: float) -> bool:
    """Whether the process with this number is still the one that started then.

    Numbers are used again after a reboot; the start time tells the two apart.
    """
    try:
        process = psutil.Process(pid)
        # A second of slack: the start time is derived from the boot time, which clocks adjust.
        same = abs(process.create_time() - started_at) < 1
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


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
