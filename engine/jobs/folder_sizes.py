"""How large files and folders are, while others write and remove them.

What is not there, or not any more, has no size.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

_FOLDERS_REMEMBERED = 65_536


def settled_bytes(folder: Path) -> int:
    """Size of the files in a folder that are written once and under temporary names.

    They are counted once in a process and for each change of the folder.
    """
    try:
        return _counted_bytes(folder, folder.stat().st_mtime_ns)
    except FileNotFoundError:
        return 0


@lru_cache(maxsize=_FOLDERS_REMEMBERED)
def _counted_bytes(folder: Path, modified_at_ns: int) -> int:
    # Every file that comes or goes changes the folder's time of modification.
    return sum(size for _name, size in file_sizes(folder))


def bytes_below(folder: Path) -> int:
    """Size of all files in a folder and in those below it; links are not followed."""
    own = sum(size for _name, size in file_sizes(folder))
    return own + sum(bytes_below(folder / name) for name in folder_names(folder))


def file_sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Names and sizes of the files in a folder."""
    for entry in _entries(folder):
        with suppress(FileNotFoundError):
            if entry.is_file(follow_symlinks=False):
                yield entry.name, entry.stat(follow_symlinks=False).st_size


def folder_names(folder: Path) -> list[str]:
    """The folders in a folder."""
    return [entry.name for entry in _entries(folder) if entry.is_dir(follow_symlinks=False)]


def file_bytes(path: Path) -> int:
    """Size of a file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def modified_at(path: Path) -> float:
    """When a file or folder was last changed, in Unix seconds; 0 when it is not there."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def unlink(path: Path) -> int:
    """Remove a file, and say how large it was."""
    try:
        size = path.lstat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
