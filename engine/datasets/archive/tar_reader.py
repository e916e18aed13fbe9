"""Reading a tar at any place of it; a compressed one is unpacked into a temporary file first."""

import bz2
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from engine.datasets.archive.entry_names import decode_names
from engine.datasets.archive.source import (
    ArchiveFile,
    PackedSource,
    check_file_size,
    check_total,
    damaged_archive,
    damaged_file,
    look_up,
)
from engine.datasets.archive.tar_headers import BLOCK_BYTES, TarMember, is_tar, read_headers
from engine.datasets.disk import disk_errors
from engine.errors import BadArchive

MAX_XZ_MEMORY_BYTES = 128 * 1024**2
"""What unpacking an xz file may take; `xz -9` makes files that need 65 MiB."""
MAX_STREAMS = 1_000_000
"""Compressed streams in one file; `bgzip` begins a new one every 64 KiB."""

_PACKED_CHUNK_BYTES = 64 * 1024
_CHUNK_BYTES = 256 * 1024


class TarSource(PackedSource[TarMember]):
    """A plain tar file."""

    def _listed(self) -> tuple[Iterable[tuple[str, TarMember]], int]:
        members = read_headers(self._file)
        return _named(members), sum(member.size_bytes for member in members)

    def read(self, name: str) -> bytes:
        """See `Source`."""
        member = look_up(self._members, name, self.label)
        check_file_size(self.label, name, member.size_bytes)
        try:
            data = self._file.read_at(member.offset, member.size_bytes)
        except OSError as error:
            raise damaged_file(self.label, name, error) from error
        if len(data) < member.size_bytes:
            raise damaged_file(self.label, name, "it is cut off")
        return data


def compression_of(start: bytes) -> str | None:
    """The compression that a file starts with, of those that a tar is read from."""
    return next((name for name, magic in _MAGICS.items() if start.startswith(magic)), None)


def unpacked(file: ArchiveFile, compression: str, scratch: Path | None) -> ArchiveFile:
    """The tar in a compressed file, in a nameless temporary file that goes when it is closed.

    Args:
        compression: as `compression_of` names it.
        scratch: the folder for the temporary file; None for the system's.

    Raises:
        BadArchive: it is not a tar, damaged, or a bomb.
        Refused: the temporary file cannot be written.
        OSError: the disk fails on reading.
    """
    with ExitStack() as opened:
        plain = _new_file(scratch)
        opened.callback(_discard, plain)
        num_bytes = 0
        for data in _unpack_tar(file, compression):
            num_bytes += len(data)
            check_total(file.label, file.size_bytes, num_bytes)
            with disk_errors():
                plain.write(data)
        with disk_errors():
            plain.flush()
        opened.pop_all()
        return ArchiveFile(plain, file.label)


def _new_file(folder: Path | None) -> IO[bytes]:
    with disk_errors():
        return tempfile.TemporaryFile(dir=folder)


def _discard(file: IO[bytes]) -> None:
    # On a full disk, closing would try once more to write what is left, and fail again.
    with suppress(OSError):
        file.close()


class _Gunzip:
    """`zlib` with the interface that `bz2` and `lzma` have."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


_MAGICS = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\0"}
_DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": _Gunzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY_BYTES),
}


def _unpack_tar(file: ArchiveFile, compression: str) -> Iterator[bytes]:
    """The tar in pieces; the first is large enough to tell that it is one."""
    start = b""
    pieces = _unpack(file, compression)
    while len(start) < 2 * BLOCK_BYTES and (piece := next(pieces, b"")):
        start += piece
    if not is_tar(start):
        raise BadArchive(
            "“{archive}” is a single file compressed with {compression}, not a tar of several. Put "
            "the images and masks into a zip or a tar file.",
            archive=file.label,
            compression=compression,
        )
    yield start
    yield from pieces


def _unpack(file: ArchiveFile, compression: str) -> Iterator[bytes]:
    try:
        yield from _decompress(_chunks(file), _DECODERS[compression])
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if isinstance(error, lzma.LZMAError) and "emory" in str(error):
            raise BadArchive(
                "“{archive}” needs more than {limit_mib:.0f} MiB of memory to unpack. Compress it "
                "again with default settings.",
                archive=file.label,
                limit_mib=MAX_XZ_MEMORY_BYTES / 1024**2,
            ) from error
        raise damaged_archive(file.label, error) from error


def _decompress(chunks: Iterator[bytes], new_decoder: Callable[[], Any]) -> Iterator[bytes]:
    """What compressed streams, one behind the other, unpack to, in bounded pieces."""
    packed = next(chunks, b"")
    num_streams = 0
    while packed:
        num_streams += 1
        if num_streams > MAX_STREAMS:
            raise EOFError(f"it is made of more than {MAX_STREAMS} compressed streams")
        decoder = new_decoder()
        while not decoder.eof:
            if decoder.needs_input and not packed:
                packed = next(chunks, b"")
                if not packed:
                    raise EOFError("the compressed data end too early")
            data = decoder.decompress(packed, _CHUNK_BYTES)
            packed = b""
            if data:
                yield data
        packed = decoder.unused_data
        # Zeros fill up the last block of a tape.
        while not (packed := packed.lstrip(b"\0")) and (chunk := next(chunks, b"")):
            packed = chunk


def _chunks(file: ArchiveFile) -> Iterator[bytes]:
    for offset in range(0, file.size_bytes, _PACKED_CHUNK_BYTES):
        yield file.read_at(offset, _PACKED_CHUNK_BYTES)


def _named(members: list[TarMember]) -> Iterator[tuple[str, TarMember]]:
    names = decode_names([member.name for member in members], "latin-1")
    for name, member in zip(names, members, strict=True):
        yield f"{name}/" if member.is_folder else name, member
