"""Names of files inside an archive: which are junk, which are unsafe, and how they are shown."""

import re
import unicodedata
from collections.abc import Iterable
from typing import TypeVar

from engine.errors import BadArchive

MAX_NAME_CHARS = 1000
"""Length of a path inside a source; the store's column is as wide."""
MAX_ENTRIES = 200_000
"""Files in one source. A zip's table of contents of this size takes some 150 MB of memory."""

_JUNK_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "icon\r"})
_DRIVE_LETTER = re.compile(r"[A-Za-z]:")
_BAD_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})

Entry = TypeVar("Entry")


def printable(text: str) -> str:
    """The text with control characters and broken encodings escaped, fit for a message."""
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in _BAD_CATEGORIES
        else char
        for char in text
    )


def is_junk(name: str) -> bool:
    """Whether a path is, or lies in, something an operating system or a tool left behind."""
    return any(
        part.casefold() in _JUNK_NAMES or (part.startswith(".") and part not in (".", ".."))
        for part in _parts(name)
    )


def safe_name(name: str, archive: str) -> str:
    """The path as plain relative POSIX path in Unicode's composed form.

    Args:
        name: as the archive has it; backslashes count as separators.
        archive: what messages call the archive.

    Raises:
        BadArchive: the path is absolute, leads out, is too long, or holds control characters.
    """
    facts = {"archive": archive, "name": printable(name)}
    if name.startswith(("/", "\\")) or _DRIVE_LETTER.match(name):
        raise BadArchive(
            "“{archive}” holds a file with an absolute path, “{name}”. Paths must be relative. "
            "Make the archive again from inside the folder.",
            **facts,
        )
    parts = _parts(name)
    if ".." in parts:
        raise BadArchive(
            "“{archive}” holds a path that leads out of it, “{name}”. Make the archive again "
            "without “..” in its paths.",
            **facts,
        )
    if any(unicodedata.category(char) in _BAD_CATEGORIES for char in name):
        raise BadArchive(
            "“{archive}” holds a name with control characters or a broken encoding, “{name}”. "
            "Rename the file and make the archive again.",
            **facts,
        )
    if len(name) > MAX_NAME_CHARS:
        raise BadArchive(
            "“{archive}” holds a path of {num_chars} characters; at most {limit} are accepted. "
            "It begins with “{start}”. Shorten the folder names.",
            archive=archive,
            num_chars=len(name),
            limit=MAX_NAME_CHARS,
            start=name[:60],
        )
    return unicodedata.normalize("NFC", "/".join(parts))


def checked_entries(entries: Iterable[tuple[str, Entry]], archive: str) -> dict[str, Entry]:
    """The entries by safe name, sorted, without junk and folders.

    Args:
        entries: raw names, folders with a trailing slash, each with what belongs to it.
        archive: what messages call the archive.

    Raises:
        BadArchive: a name is unsafe, two names are equal or differ only in case, there are more
            than `MAX_ENTRIES` files, or there are none.
    """
    by_name: dict[str, Entry] = {}
    by_folded_name: dict[str, str] = {}
    for raw_name, entry in entries:
        if is_junk(raw_name):
            continue
        name = safe_name(raw_name, archive)
        if raw_name.endswith(("/", "\\")):
            continue
        _check_collision(name, by_folded_name.setdefault(name.casefold(), name), by_name, archive)
        by_name[name] = entry
        if len(by_name) > MAX_ENTRIES:
            raise BadArchive(
                "“{archive}” holds more than {limit} files. Split it into several datasets.",
                archive=archive,
                limit=MAX_ENTRIES,
            )
    if not by_name:
        raise BadArchive(
            "“{archive}” holds no files. A dataset is a zip or a folder with images and masks.",
            archive=archive,
        )
    return dict(sorted(by_name.items()))


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]


def _check_collision(name: str, first: str, seen: dict[str, Entry], archive: str) -> None:
    if name in seen:
        raise BadArchive(
            "“{archive}” holds the file “{name}” twice. Make the archive again.",
            archive=archive,
            name=name,
        )
    if first != name:
        raise BadArchive(
            "“{archive}” holds “{first}” and “{second}”, which many systems cannot tell apart. "
            "Rename one of them.",
            archive=archive,
            first=first,
            second=name,
        )
