"""Safe reading of a zip, a tar or a folder.

Nothing is ever extracted: files are read into memory one at a time, by a name that was checked
when the source was opened. Uploads are hostile until proven otherwise, so a source with paths that
lead out, links, devices, encryption, a bomb, or names that collide is refused as a whole. What is
harmless but no data is left out, and told in `Source.skipped`.
"""

from contextlib import ExitStack
from pathlib import Path

from engine.datasets.archive.entry_names import Skipped, printable
from engine.datasets.archive.folder import FolderSource
from engine.datasets.archive.source import ArchiveFile, Source
from engine.datasets.archive.tar_headers import is_tar
from engine.datasets.archive.tar_reader import TarSource, compression_of, unpacked
from engine.datasets.archive.zip_directory import (
    has_end_record,
    is_called_like_a_part,
    split_zip,
)
from engine.datasets.archive.zip_reader import ZipSource
from engine.errors import BadArchive

__all__ = ["Skipped", "Source", "open_source"]

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_SPLIT_ZIP_START = b"PK\x07\x08"
_KNOWN_STARTS = {
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"(\xb5/\xfd": "a Zstandard file",
    b"LZIP": "an lzip file",
    b"MSCF": "a cabinet file",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"II*\x00": "a TIFF picture",
    b"MM\x00*": "a TIFF picture",
    b"%PDF": "a PDF document",
}


def open_source(path: Path, scratch: Path | None = None) -> Source:
    """Open a zip file, a tar file or a folder for reading; the content tells which, not the name.

    Args:
        scratch: the folder for the temporary file that a compressed tar is unpacked into, gone
            when the source is closed; None for the system's temporary folder.

    Raises:
        BadArchive: there is no such file or folder, it is damaged, it holds no files, or it holds
            something unsafe.
        Refused: the temporary file cannot be written.
    """
    try:
        if path.is_dir():
            return FolderSource(path)
        if path.is_file():
            return _open_file(path, scratch)
    except OSError as error:
        raise BadArchive(
            "“{path}” cannot be read: {reason}. Check its permissions.",
            path=printable(str(path)),
            reason=error.strerror or str(error),
        ) from error
    raise BadArchive(
        "There is no file or folder “{path}”. Give the path of a zip file, of a tar file or of a "
        "folder.",
        path=printable(str(path)),
    )


def _open_file(path: Path, scratch: Path | None) -> Source:
    with ExitStack() as opened:
        file = ArchiveFile(opened.enter_context(open(path, "rb")), printable(path.name))
        start = file.read_at(0, 1024)
        if not start.startswith(_ZIP_STARTS) and not is_tar(start):
            if compression := compression_of(start):
                return TarSource(unpacked(file, compression, scratch))
            # A program that unpacks itself has the zip behind it.
            if not has_end_record(file) or _known_kind(start):
                raise _not_an_archive(file.label, start)
        source = TarSource(file) if is_tar(start) else ZipSource(file)
        opened.pop_all()
        return source


def _not_an_archive(label: str, start: bytes) -> BadArchive:
    kind = _known_kind(start)
    if kind is None and (start.startswith(_SPLIT_ZIP_START) or is_called_like_a_part(label)):
        return split_zip(label)
    return BadArchive(
        "“{archive}” is neither a zip nor a tar file but {kind}. Put the images and masks into a "
        "zip file, or give the folder that holds them.",
        archive=label,
        kind=kind or ("something else" if start else "an empty file (0 bytes)"),
    )


def _known_kind(start: bytes) -> str | None:
    return next((kind for magic, kind in _KNOWN_STARTS.items() if start.startswith(magic)), None)
