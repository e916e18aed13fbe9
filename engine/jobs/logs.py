"""What a job's process printed."""

import threading
from collections import deque
from dataclasses import dataclass
from typing import BinaryIO

from engine.files import Files

_BLOCK_BYTES = 64 * 1024
_TAIL_BYTES = 4 * 1024 * 1024
"""As much as is looked through for the last lines, however long they are."""
_SEARCH_BYTES = 4 * 1024 * 1024

REASON_LINES = 15
"""How many of the last lines are kept beside the reason of a failure."""


def log_key(job_id: str) -> str:
    """The file of a job's log."""
    return f"logs/{job_id}.txt"


def size_bytes(files: Files, job_id: str) -> int:
    """How large a job's log is; 0 when there is none."""
    try:
        return files.path(log_key(job_id)).stat().st_size
    except FileNotFoundError:
        return 0


def whole(files: Files, job_id: str) -> bytes:
    """All of a job's log; empty when there is none."""
    try:
        return files.path(log_key(job_id)).read_bytes()
    except FileNotFoundError:
        return b""


def tail(files: Files, job_id: str, num_lines: int) -> str:
    """The last lines of a job's log, at a cost that does not grow with it; "" when it is empty."""
    try:
        with open(files.path(log_key(job_id)), "rb") as file:
            text = _end_of(file, num_lines).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-num_lines:])


def _end_of(file: BinaryIO, num_lines: int) -> bytes:
    """At least the last lines, unless they are very long."""
    position, blocks, num_ends = file.seek(0, 2), list[bytes](), 0
    first = max(position - _TAIL_BYTES, 0)
    while position > first and num_ends <= num_lines:
        start = max(position - _BLOCK_BYTES, first)
        file.seek(start)
        blocks.insert(0, file.read(position - start))
        num_ends += blocks[0].count(b"\n")
        position = start
    return b"".join(blocks)


@dataclass(frozen=True, slots=True)
class Hits:
    """The lines in which something was found."""

    num_lines: int
    """How many there are in the whole log."""
    last: tuple[str, ...]
    """The last of them."""


class LogSearch:
    """A search in a log that grows: each look reads only what is new.

    Small letters find large ones too, of the Latin alphabet without accents.

    Args:
        text: what a line must hold; not empty.
        max_lines: how many of the last lines found are kept.
    """

    def __init__(self, files: Files, job_id: str, text: str, max_lines: int) -> None:
        self._path = files.path(log_key(job_id))
        # Bytes rather than text: nothing is decoded but what is shown.
        self._wanted = text.encode().lower()
        self._last: deque[bytes] = deque(maxlen=max_lines)
        self._num_lines = self._read_to = 0
        self._lock = threading.Lock()

    def look(self) -> Hits:
        """What has been found up to the last complete line of the log as it is now."""
        with self._lock:
            try:
                with open(self._path, "rb") as file:
                    self._read_on(file)
            except FileNotFoundError:
                self._forget()
            lines = tuple(line.decode("utf-8", errors="replace") for line in self._last)
            return Hits(self._num_lines, lines)

    def _read_on(self, file: BinaryIO) -> None:
        if file.seek(0, 2) < self._read_to:
            self._forget()
        file.seek(self._read_to)
        rest = b""
        while block := file.read(_SEARCH_BYTES):
            text = rest + block
            # An endless line is cut, so that the cost stays in proportion.
            is_cut = len(text) - text.rfind(b"\n") > _SEARCH_BYTES
            num_bytes = len(text) if is_cut else text.rfind(b"\n") + 1
            rest = text[num_bytes:]
            self._read_to += num_bytes
            self._take(text[:num_bytes])

    def _take(self, lines: bytes) -> None:
        lowered = lines.lower()
        if self._wanted not in lowered:
            return
        for line, low in zip(lines.split(b"\n"), lowered.split(b"\n"), strict=True):
            if self._wanted in low:
                self._num_lines += 1
                self._last.append(line.rstrip(b"\r"))

    def _forget(self) -> None:
        self._last.clear()
        self._num_lines = self._read_to = 0
