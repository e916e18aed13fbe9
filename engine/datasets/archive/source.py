"""What the readers of all kinds of archives share: the promise, the limits, and the sentences."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import IO, Any, Generic, Self, TypeVar

from engine.datasets.archive.entry_names import Skipped, checked_entries, printable
from engine.errors import BadArchive, NotFound

MAX_FILE_BYTES = 256 * 1024**2
"""Size of one file once unpacked; checked when the file is read."""
MAX_TOTAL_BYTES = 64 * 1024**3
"""Size of all files of an archive once unpacked."""
MAX_RATIO = 200
"""Unpacked bytes per byte of the archive, over all of it: a single empty mask may reach 1000."""
RATIO_FREE_BYTES = 100 * 1024**2
"""An archive that unpacks to less than this may have any ratio."""

Entry = TypeVar("Entry")


class Source(ABC):
    """The files of an archive or a folder. A context manager; `read` may be called from any thread.

    Args:
        label: what messages call it.
    """

    skipped: tuple[Skipped, ...]
    """The files that were left out and why, sorted; `names()` does not have them."""

    def __init__(self, label: str) -> None:
        self.label = label

    @abstractmethod
    def names(self) -> list[str]:
        """Relative POSIX paths of the files, sorted."""

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


class ArchiveFile:
    """An open file that any thread reads at any offset.

    Args:
        file: must be seekable; closed with this.
        label: what messages call the archive.
    """

    def __init__(self, file: IO[bytes], label: str) -> None:
        self.label = label
        self.size_bytes = file.seek(0, 2)
        self._file = file
        self._lock = threading.Lock()

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        """So many bytes from an offset on; fewer only where the file ends.

        Raises:
            OSError: the disk fails.
        """
        # What a header claims may be beyond what a file can have.
        num_bytes = min(num_bytes, self.size_bytes - offset)
        if offset < 0 or num_bytes <= 0:
            return b""
        with self._lock:
            self._file.seek(offset)
            return self._file.read(num_bytes)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()


class PackedSource(Source, Generic[Entry]):
    """The files of one archive file, told by its table of contents.

    Args:
        file: becomes the source's, which closes it also where it refuses it.

    Raises:
        BadArchive: it is damaged, it holds no files, or it holds something unsafe.
        OSError: the disk fails.
    """

    def __init__(self, file: ArchiveFile) -> None:
        super().__init__(file.label)
        self._file = file
        try:
            named, total_bytes = self._listed()
            self._members, self.skipped = checked_entries(named, self.label)
            check_total(self.label, file.size_bytes, total_bytes)
            self._check_members()
        except BaseException:
            file.close()
            raise

    @abstractmethod
    def _listed(self) -> tuple[Iterable[tuple[str, Entry]], int]:
        """Every member with its name, and the bytes they unpack to."""

    def _check_members(self) -> None:
        """Refuse members that a kind of archive may have and that cannot be read."""

    def names(self) -> list[str]:
        """See `Source`."""
        return list(self._members)

    def close(self) -> None:
        """See `Source`."""
        self._file.close()


def look_up(entries: Mapping[str, Entry], name: str, archive: str) -> Entry:
    """The entry of that name.

    Raises:
        NotFound: there is none.
    """
    if name not in entries:
        raise NotFound("There is no file “{name}” in “{archive}”.", name=name, archive=archive)
    return entries[name]


def check_file_size(archive: str, name: str, size_bytes: int) -> None:
    """Refuse to read a file larger than `MAX_FILE_BYTES`.

    Raises:
        BadArchive: it is.
    """
    if size_bytes > MAX_FILE_BYTES:
        raise BadArchive(
            "“{name}” in “{archive}” has {size_mib:.0f} MiB; at most {limit_mib:.0f} MiB are "
            "accepted for one file. Cut the picture into tiles, or leave it out.",
            name=name,
            archive=archive,
            size_mib=size_bytes / 1024**2,
            limit_mib=MAX_FILE_BYTES / 1024**2,
        )


def check_total(archive: str, archive_bytes: int, total_bytes: int) -> None:
    """Refuse an archive by what it unpacks to.

    Raises:
        BadArchive: it is more than `MAX_TOTAL_BYTES`, or than `MAX_RATIO` times the archive.
    """
    facts: dict[str, Any] = {"archive": archive, "total_mib": total_bytes / 1024**2}
    if total_bytes > MAX_TOTAL_BYTES:
        raise BadArchive(
            "“{archive}” would unpack to {total_mib:.0f} MiB or more; at most {limit_mib:.0f} MiB "
            "are accepted. Split it into several datasets.",
            **facts,
            limit_mib=MAX_TOTAL_BYTES / 1024**2,
        )
    if total_bytes > RATIO_FREE_BYTES and total_bytes > MAX_RATIO * archive_bytes:
        raise BadArchive(
            "“{archive}” would unpack to {total_mib:.0f} MiB or more, {ratio:.0f} times its own "
            "size; images and masks stay below {limit}. It looks like a bomb and was not opened.",
            **facts,
            ratio=total_bytes / archive_bytes,
            limit=MAX_RATIO,
        )


def not_a_file(archive: str, name: str) -> BadArchive:
    """The refusal of a link or a device."""
    return BadArchive(
        "“{name}” in “{archive}” is a link or a device, not a file. Links are not followed: put "
        "the file itself there.",
        name=printable(name),
        archive=archive,
    )


def damaged_file(archive: str, name: str, error: BaseException | str) -> BadArchive:
    """The refusal of one file that cannot be read."""
    return BadArchive(
        "“{name}” in “{archive}” cannot be read ({reason}). The file or the archive is damaged: "
        "copy it again, or leave it out.",
        name=printable(name),
        archive=archive,
        reason=_reason(error),
    )


def damaged_archive(archive: str, error: BaseException | str) -> BadArchive:
    """The refusal of an archive whose structure cannot be read."""
    return BadArchive(
        "“{archive}” is damaged or cut off ({reason}). Copy or upload it again, or make it again.",
        archive=archive,
        reason=_reason(error),
    )


def _reason(error: BaseException | str) -> str:
    return printable(getattr(error, "strerror", None) or str(error) or type(error).__name__)
