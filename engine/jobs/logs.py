"""What a job's process printed."""

from engine.files import Files

_TAIL_BYTES = 64 * 1024


def log_key(job_id: str) -> str:
    """The file of a job's log."""
    return f"logs/{job_id}.txt"


def tail(files: Files, job_id: str, num_lines: int) -> str:
    """The last lines of a job's log, at a cost that does not grow with it; "" when it is empty."""
    path = files.path(log_key(job_id))
    if not path.exists():
        return ""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _TAIL_BYTES, 0))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(text.splitlines()[-num_lines:])
