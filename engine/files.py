"""The only way to the files of datasets and runs.

Keys are relative POSIX paths such as `datasets/1f2e3d4c/images/000007.png`. Every write goes to
a temporary name first and is renamed when complete, so a reader never meets half a file.
Today the root is a local folder; the seam is here so that it can become object storage,
which is why callers hand over keys and not paths.
"""

import errno
import os
import platform
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import psutil

from engine.errors import DiskFull, NotFound

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Files:
    """Files below one root folder.

    Args:
        root: an existing or creatable local folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """The local path of a key, whether or not the file exists.

        Raises:
            NotFound: the key is absolute or leads out of the root.
        """
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or ".." in parts or "\0" in key:
            raise NotFound("There is no file “{key}”.", key=key)
        return self.root.joinpath(*parts)

    @contextmanager
    def writing(self, key: str, *, keep_as: str | None = None) -> Iterator[Path]:
        """Yield a temporary path; when the block ends well it is synced and becomes `key`.

        Args:
            keep_as: a key in the same folder that the file that is there before is given; in
                between, for a moment, there is only that one. None: it is replaced.

        Raises:
            DiskFull: there was no room for it.
        """
        target = self.path(key)
        temporary = _temporary_name(target)
        with self._full_disk_said():
            _make_folder(target.parent)
            try:
                yield temporary
                with open(temporary, "rb") as file:
                    os.fsync(file.fileno())
                if keep_as is not None and target.exists():
                    os.replace(target, self.path(keep_as))
                os.replace(temporary, target)
                _sync_folder(target.parent)
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def staging(self, key: str) -> Iterator[Path]:
        """Yield an empty folder; when the block ends well it becomes the folder `key`.

        When the block fails, nothing of it remains.
        """
        target = self.path(key)
        _make_folder(target.parent)
        temporary = _temporary_name(target)
        temporary.mkdir()
        try:
            yield temporary
            os.replace(temporary, target)
            _sync_folder(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def require_free(self, num_bytes: int) -> None:
        """Make sure that so much can be written.

        Raises:
            DiskFull: the disk has less left.
        """
        free = shutil.disk_usage(self.root).free
        if free < num_bytes:
            raise DiskFull(
                "The disk of the home folder has {free} MiB left, and {need} MiB are to be "
                "written. Free some and try again.",
                free=free >> 20,
                need=-(-num_bytes >> 20),
            )

    @contextmanager
    def removed_on_error(self, key: str) -> Iterator[None]:
        """Delete a file or folder when the block fails: the row that would refer to it."""
        try:
            yield
        except BaseException:
            self.remove(key)
            raise

    def sweep(self, folders: str) -> None:
        """Delete what dead processes of this machine left half-written directly below folders.

        Args:
            folders: key of a folder, or of several with `*` for a part: `runs/*/checkpoints`.
        """
        for path in list(self.root.glob(f"{folders}/.*.tmp")):
            host, _, pid = path.name.split(".")[-3].rpartition("-")
            if host == _host() and not psutil.pid_exists(int(pid)):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def rename(self, key: str, new_key: str) -> None:
        """Give a file another name in the same folder, in place of what has it."""
        target = self.path(new_key)
        os.replace(self.path(key), target)
        _sync_folder(target.parent)

    def remove(self, key: str) -> None:
        """Delete a file or a whole folder; a missing one is fine."""
        path = self.path(key)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    @contextmanager
    def _full_disk_said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise DiskFull(
                "The disk of the home folder is full ({reason}); {free} MiB are left. Free some "
                "and try again.",
                reason=os.strerror(error.errno),
                free=shutil.disk_usage(self.root).free >> 20,
            ) from error


def _make_folder(folder: Path) -> None:
    """Create a folder, and those it lies in, so that they survive a loss of power."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in reversed(missing):
        _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    """Bring what a folder lists to the disk: without, a new name may be lost with the power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _temporary_name(target: Path) -> Path:
    """A name beside the target that tells whose it is, so that a dead process's can be swept."""
    owner = f"{_host()}-{os.getpid()}"
    return target.with_name(f".{target.name}.{owner}.{secrets.token_hex(4)}.tmp")


def _host() -> str:
    return platform.node().replace(".", "_")
