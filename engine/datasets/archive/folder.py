"""Reading a folder as if it were an archive."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from engine.datasets.archive.entry_names import checked_entries, printable, reason_to_skip
from engine.datasets.archive.source import (
    MAX_FILE_BYTES,
    Source,
    check_file_size,
    damaged_file,
    look_up,
    not_a_file,
)


class FolderSource(Source):
    """A folder with everything below it.

    Raises:
        BadArchive: it cannot be listed, it holds no files, or it holds something unsafe.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(printable(path.name or str(path)))
        self._paths, self.skipped = checked_entries(_walk(path, self.label), self.label)

    def names(self) -> list[str]:
        """See `Source`."""
        return list(self._paths)

    def read(self, name: str) -> bytes:
        """See `Source`."""
        path = look_up(self._paths, name, self.label)
        # The folder may have changed since it was listed: neither follow a link nor wait on a pipe.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            with open(os.open(path, flags), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise not_a_file(self.label, name)
                check_file_size(self.label, name, status.st_size)
                return file.read(MAX_FILE_BYTES)
        except OSError as error:
            raise damaged_file(self.label, name, error) from error

    def close(self) -> None:
        """See `Source`."""


def _walk(root: Path, archive: str) -> Iterator[tuple[str, Path]]:
    """Every file below a folder by its relative path; links and devices are refused.

    A folder that is left out is given like a file, and not entered.
    """

    def refuse(error: OSError) -> None:
        raise damaged_file(archive, os.path.relpath(error.filename, root), error) from error

    for folder, folder_names, file_names in os.walk(root, onerror=refuse):
        left_out = [name for name in folder_names if reason_to_skip(name)]
        folder_names[:] = [name for name in folder_names if not reason_to_skip(name)]
        for name in (*left_out, *folder_names, *file_names):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) or reason_to_skip(name):
                yield relative, path
            elif stat.S_ISDIR(mode):
                yield f"{relative}/", path
            else:
                raise not_a_file(archive, relative)
