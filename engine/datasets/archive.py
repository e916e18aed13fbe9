"""Safe reading of a zip or a folder.

Nothing is ever extracted: files are read into memory one at a time, by a name that was checked
when the source was opened. Uploads are hostile until proven otherwise, so a source with paths that
lead out, links, devices, encryption, a bomb, or names that collide is refused as a whole.
"""

import copy
import os
import stat
import struct
import threading
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from engine.datasets.entry_names import checked_entries, is_junk, printable
from engine.errors import BadArchive, NotFound

MAX_DIRECTORY_BYTES = 32 * 1024**2
"""Size of a zip's table of contents; checked before it is read."""
MAX_FILE_BYTES = 256 * 1024**2
"""Size of one file once unpacked; checked when the file is read."""
MAX_TOTAL_BYTES = 64 * 1024**3
"""Size of all files of a zip once unpacked."""
MAX_RATIO = 200
"""Unpacked bytes per byte of the zip, over the whole zip: a single empty mask may reach 1000."""
RATIO_FREE_BYTES = 100 * 1024**2
"""A zip that unpacks to less than this may have any ratio."""

_ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000
_UTF8_FLAG = 0x800
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_KNOWN_STARTS = {
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"II*\x00": "a TIFF picture",
    b"MM\x00*": "a TIFF picture",
    b"%PDF": "a PDF document",
}
# All that `zipfile` raises on broken input; a test mutates archives to hold this list complete.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    OverflowError,
    ValueError,
    OSError,
)

Entry = TypeVar("Entry")


class Source(ABC):
    """The files of a zip or a folder. A context manager; `read` may be called from any thread.

    Args:
        label: what messages call it.
    """

    def __init__(self, label: str) -> None:
        self.label = label

    @abstractmethod
    def names(self) -> list[str]:
        """Relative POSIX paths of the files, sorted; what operating systems leave is left out."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of one file.

        Raises:
            NotFound: `names()` does not have it.
            BadArchive: it is damaged, larger than `MAX_FILE_BYTES`, or larger than it claims.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the source; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_source(path: Path) -> Source:
    """Open a zip file or a folder for reading.

    Raises:
        BadArchive: there is no such file or folder, it is damaged, it holds no files, or it holds
            something unsafe.
    """
    try:
        if path.is_dir():
            return FolderSource(path)
        if path.is_file():
            return ZipSource(path)
    except OSError as error:
        raise BadArchive(
            "“{path}” cannot be read: {reason}. Check its permissions.",
            path=printable(str(path)),
            reason=error.strerror or str(error),
        ) from error
    raise BadArchive(
        "There is no file or folder “{path}”. Give the path of a zip file or of a folder.",
        path=printable(str(path)),
    )


class ZipSource(Source):
    """A zip file; opening it raises what `open_source` raises."""

    def __init__(self, path: Path) -> None:
        super().__init__(printable(path.name))
        _check_start(path, self.label)
        self._file = _GuardedFile(path, self.label)
        self._lock = threading.Lock()
        try:
            self._zip = self._open()
            infos = self._zip.infolist()
            self._infos = checked_entries(((_entry_name(info), info) for info in infos), self.label)
            _check_limits(infos, path.stat().st_size, self.label)
            for name, info in self._infos.items():
                _check_member(name, info, self.label)
        except BaseException:
            self._file.close()
            raise

    def names(self) -> list[str]:
        return list(self._infos)

    def read(self, name: str) -> bytes:
        info = _look_up(self._infos, name, self.label)
        _check_file_size(self.label, name, info.file_size)
        # One byte more than claimed, because `zipfile` silently cuts what exceeds the claim.
        generous = copy.copy(info)
        generous.file_size = info.file_size + 1
        try:
            data = self._inflate(generous)
        except _ZIP_ERRORS as error:
            raise _damaged(self.label, name, error) from error
        if len(data) != info.file_size:
            raise BadArchive(
                "“{name}” in “{archive}” does not have the {claimed_bytes} bytes that the "
                "archive claims. Make the zip again.",
                name=name,
                archive=self.label,
                claimed_bytes=info.file_size,
            )
        return data

    def close(self) -> None:
        self._zip.close()
        self._file.close()

    def _open(self) -> zipfile.ZipFile:
        try:
            opened = zipfile.ZipFile(self._file)
        except _ZIP_ERRORS as error:
            raise BadArchive(
                "The zip file “{archive}” is damaged or cut off ({reason}). Copy or upload it "
                "again, or make it again.",
                archive=self.label,
                reason=printable(str(error)),
            ) from error
        self._file.max_read_bytes = None
        return opened

    def _inflate(self, info: zipfile.ZipInfo) -> bytes:
        # `ZipFile` counts its open members without a lock of its own.
        with self._lock:
            stream = self._zip.open(info)
        try:
            return stream.read(info.file_size)
        finally:
            with self._lock:
                stream.close()


class FolderSource(Source):
    """A folder with everything below it; opening it raises what `open_source` raises."""

    def __init__(self, path: Path) -> None:
        super().__init__(printable(path.name or str(path)))
        self._paths = checked_entries(_walk(path, self.label), self.label)

    def names(self) -> list[str]:
        return list(self._paths)

    def read(self, name: str) -> bytes:
        path = _look_up(self._paths, name, self.label)
        # The folder may have changed since it was listed: neither follow a link nor wait on a pipe.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            with open(os.open(path, flags), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise _not_a_file(self.label, name)
                _check_file_size(self.label, name, status.st_size)
                return file.read(MAX_FILE_BYTES)
        except OSError as error:
            raise _damaged(self.label, name, error) from error

    def close(self) -> None:
        pass


class _GuardedFile(FileIO):
    """A file that refuses a read larger than `max_read_bytes`.

    `zipfile` reads a zip's table of contents in one piece, of whatever size the zip claims.
    """

    def __init__(self, path: Path, label: str) -> None:
        super().__init__(path)
        self.max_read_bytes: int | None = MAX_DIRECTORY_BYTES
        self.label = label

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and self.max_read_bytes is not None and size > self.max_read_bytes:
            raise BadArchive(
                "The zip file “{archive}” claims a table of contents of {size_bytes} bytes; at "
                "most {limit_bytes} are accepted. Split it into several zip files.",
                archive=self.label,
                size_bytes=size,
                limit_bytes=self.max_read_bytes,
            )
        return super().read(size) or b""


def _check_start(path: Path, archive: str) -> None:
    """Refuse what does not start like a zip, saying what it looks like."""
    with open(path, "rb") as file:
        start = file.read(8)
    if start.startswith(_ZIP_STARTS):
        return
    kinds = (kind for magic, kind in _KNOWN_STARTS.items() if start.startswith(magic))
    kind = next(kinds, "something else") if start else "an empty file (0 bytes)"
    raise BadArchive(
        "“{archive}” is not a zip file but {kind}. Put the images and masks into a zip file, or "
        "give the folder that holds them.",
        archive=archive,
        kind=kind,
    )


def _entry_name(info: zipfile.ZipInfo) -> str:
    """The name an entry was meant to have; old Windows tools write it in their own code page."""
    raw = info.orig_filename
    if info.flag_bits & _UTF8_FLAG:
        return raw
    data = raw.encode("cp437")
    for encoding in ("utf-8", "gbk"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw


def _check_limits(infos: Sequence[zipfile.ZipInfo], archive_bytes: int, archive: str) -> None:
    total_bytes = sum(info.file_size for info in infos)
    facts: dict[str, Any] = {"archive": archive, "total_mib": total_bytes / 1024**2}
    if total_bytes > MAX_TOTAL_BYTES:
        raise BadArchive(
            "“{archive}” would unpack to {total_mib:.0f} MiB; at most {limit_mib:.0f} MiB are "
            "accepted. Split it into several datasets.",
            **facts,
            limit_mib=MAX_TOTAL_BYTES / 1024**2,
        )
    if total_bytes > RATIO_FREE_BYTES and total_bytes > MAX_RATIO * archive_bytes:
        raise BadArchive(
            "“{archive}” would unpack to {total_mib:.0f} MiB, {ratio:.0f} times its own size; "
            "images and masks stay below {limit}. It looks like a zip bomb and was not opened.",
            **facts,
            ratio=total_bytes / archive_bytes,
            limit=MAX_RATIO,
        )


def _check_member(name: str, info: zipfile.ZipInfo, archive: str) -> None:
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _not_a_file(archive, name)
    if info.flag_bits & _ENCRYPTED_FLAGS:
        raise BadArchive(
            "“{name}” in “{archive}” is encrypted. Make the zip again without a password.",
            name=name,
            archive=archive,
        )
    # bzip2 and LZMA unpack without a limit on what one step may produce.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadArchive(
            "“{name}” in “{archive}” is compressed with method {method}; only the ordinary one, "
            "“Deflate”, is read. Make the zip again with default settings.",
            name=name,
            archive=archive,
            method=info.compress_type,
        )


def _walk(root: Path, archive: str) -> Iterator[tuple[str, Path]]:
    """Every file below a folder by its relative path; links and devices are refused."""

    def refuse(error: OSError) -> None:
        raise _damaged(archive, os.path.relpath(error.filename, root), error) from error

    for folder, folder_names, file_names in os.walk(root, onerror=refuse):
        folder_names[:] = [name for name in folder_names if not is_junk(name)]
        for name in (*folder_names, *file_names):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                yield relative, path
            elif not stat.S_ISDIR(mode) and not is_junk(name):
                raise _not_a_file(archive, relative)


def _look_up(entries: Mapping[str, Entry], name: str, archive: str) -> Entry:
    if name not in entries:
        raise NotFound("There is no file “{name}” in “{archive}”.", name=name, archive=archive)
    return entries[name]


def _check_file_size(archive: str, name: str, size_bytes: int) -> None:
    if size_bytes > MAX_FILE_BYTES:
        raise BadArchive(
            "“{name}” in “{archive}” has {size_mib:.0f} MiB; at most {limit_mib:.0f} MiB are "
            "accepted for one file. Cut the picture into tiles, or leave it out.",
            name=name,
            archive=archive,
            size_mib=size_bytes / 1024**2,
            limit_mib=MAX_FILE_BYTES / 1024**2,
        )


def _not_a_file(archive: str, name: str) -> BadArchive:
    return BadArchive(
        "“{name}” in “{archive}” is a link or a device, not a file. Links are not followed: put "
        "the file itself there.",
        name=printable(name),
        archive=archive,
    )


def _damaged(archive: str, name: str, error: BaseException) -> BadArchive:
    return BadArchive(
        "“{name}” in “{archive}” cannot be read ({reason}). The file or the archive is damaged: "
        "copy it again, or leave it out.",
        name=printable(name),
        archive=archive,
        reason=printable(getattr(error, "strerror", None) or str(error) or type(error).__name__),
    )
