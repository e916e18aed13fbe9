"""Import from the server's own disk: what lies in the allow-listed folders, and nothing else."""

import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.errors import NotFound, Refused
from engine.settings import Settings

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerEntry:
    """Something in an allow-listed folder of the server that can be imported."""

    path: Path
    root: Path
    """The allow-listed folder it lies in."""
    size_bytes: int | None
    """None for a folder."""


def server_entries(settings: Settings) -> list[ServerEntry]:
    """The archives and folders directly below the allow-listed folders, by name.

    Hidden ones, and links that lead out of every allow-listed folder, are left out.
    """
    found = []
    for root in settings.import_roots:
        try:
            paths = sorted(root.iterdir(), key=lambda path: path.name.casefold())
        except OSError as error:
            log.warning("The import folder %s cannot be read: %s.", root, error)
            continue
        for path in paths:
            with suppress(Refused, NotFound, OSError):
                real = server_path(settings, str(path))
                is_archive = real.is_file() and path.name.lower().endswith(_ARCHIVES)
                if not path.name.startswith(".") and (is_archive or real.is_dir()):
                    size_bytes = real.stat().st_size if is_archive else None
                    found.append(ServerEntry(path=path, root=root, size_bytes=size_bytes))
    return found


def server_path(settings: Settings, text: str) -> Path:
    """The real path behind a path that somebody chose on the server.

    Raises:
        Refused: it does not lie in an allow-listed folder, or lies in the workbench's home.
        NotFound: there is nothing.
    """
    try:
        real = Path(os.path.realpath(text))
    except ValueError:
        # A null byte or a broken encoding, which nothing on a disk has in its path.
        real = Path()
    allowed = any(real.is_relative_to(os.path.realpath(root)) for root in settings.import_roots)
    # A root above the home must not open what the home keeps.
    if not allowed or real.is_relative_to(os.path.realpath(settings.home)):
        raise Refused(
            "“{path}” does not lie in a folder that may be imported from. Choose one that the "
            "page offers, or have its folder added to WORKBENCH_IMPORT_ROOTS.",
            path=text,
        )
    if not real.exists():
        raise NotFound("There is no “{path}” on the server any more.", path=text)
    return real
