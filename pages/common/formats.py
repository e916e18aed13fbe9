"""Numbers, times and names as they are shown."""

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile

MISSING = "–"
"""Shown where a value does not exist."""


_SYNTAX = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&=])")
_READ_AFTER_ESCAPES = re.compile(
    r"(?i)(?<=:)(?=//|material|streamlit)|(?<=www)(?=\.)|(?=@)|(?<=[-<>~])(?=[->=])"
)
"""Where bare addresses, icons and arrows begin: Streamlit looks for them in the finished text."""
_WORD_JOINER = "\u2060"


def plain(text: str) -> str:
    """A person's text, safe inside markdown: nothing in it formats, links or embeds.

    Backslashes stop the syntax. What is looked for later is broken by an invisible joiner.
    """
    one_line = " ".join(text.split())
    return _SYNTAX.sub(r"\\\1", _READ_AFTER_ESCAPES.sub(_WORD_JOINER, one_line))


def score(value: float | None) -> str:
    """A Dice or IoU: 0.898."""
    return MISSING if value is None else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """7 s, 3 min 20 s, 2 h 5 min."""
    if seconds is None:
        return MISSING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(unix_seconds: float) -> str:
    """A point in time of the server's day: 2026-03-01 14:05."""
    return datetime.fromtimestamp(unix_seconds).strftime("%Y-%m-%d %H:%M")


def count(number: int) -> str:
    """7,697,345"""
    return f"{number:,}"


def file_size(num_bytes: int) -> str:
    """820 kB, 12 MB, 3.4 GB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= size:
            value = num_bytes / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{max(1, round(num_bytes / 1e3))} kB" if num_bytes else "0 kB"


def without_shared_folders(paths: Sequence[str]) -> list[str]:
    """Paths without the folders at their beginning that all of them share."""
    folders = [path.split("/")[:-1] for path in paths]
    same = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
    num_shared = sum(1 for _level in same)
    return ["/".join(path.split("/")[num_shared:]) for path in paths]


def sizes(counts: dict[str, int]) -> str:
    """Image sizes in a few words: the size when all agree, else how many there are."""
    if len(counts) == 1:
        return f"{next(iter(counts))} px"
    widths_heights = sorted(counts, key=lambda size: tuple(map(int, size.split("×"))))
    return f"{widths_heights[0]} … {widths_heights[-1]} px"
