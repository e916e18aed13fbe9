"""Reading a zip at any place of it, one file at a time."""

import stat
import zlib
from collections.abc import Iterable, Iterator

from engine.datasets.archive.entry_names import decode_names, printable
from engine.datasets.archive.source import (
    PackedSource,
    check_file_size,
    damaged_file,
    look_up,
    not_a_file,
)
from engine.datasets.archive.zip_directory import (
    LOCAL_HEADER,
    ZipMember,
    read_directory,
    shared_bytes,
)
from engine.errors import BadArchive

_ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000
_STORED, _DEFLATED, _AES = 0, 8, 99
_CHUNK_BYTES = 256 * 1024


class ZipSource(PackedSource[ZipMember]):
    """A zip file."""

    def _listed(self) -> tuple[Iterable[tuple[str, ZipMember]], int]:
        listed = read_directory(self._file)
        return _named(listed), sum(member.size_bytes for member in listed)

    def _check_members(self) -> None:
        for name, member in self._members.items():
            _check_member(name, member, self.label)

    def read(self, name: str) -> bytes:
        """See `Source`."""
        member = look_up(self._members, name, self.label)
        check_file_size(self.label, name, member.size_bytes)
        try:
            start = self._start_of_data(name, member)
            # One byte more than claimed, to see what exceeds the claim.
            data = b"".join(self._unpacked(member, start, member.size_bytes + 1))
        except (zlib.error, OSError) as error:
            raise damaged_file(self.label, name, error) from error
        if len(data) != member.size_bytes:
            raise BadArchive(
                "“{name}” in “{archive}” does not have the {claimed_bytes} bytes that the "
                "archive claims. Make the zip again.",
                name=name,
                archive=self.label,
                claimed_bytes=member.size_bytes,
            )
        if zlib.crc32(data) != member.crc:
            raise damaged_file(self.label, name, "its checksum is wrong")
        return data

    def _start_of_data(self, name: str, member: ZipMember) -> int:
        """Where a member's data begin, once its own header says the same as the table."""
        header = self._file.read_at(member.offset, LOCAL_HEADER.size)
        if len(header) < LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            raise damaged_file(self.label, name, "its header is missing")
        _, _, flags, method, *_, name_bytes, extra_bytes = LOCAL_HEADER.unpack(header)
        own_name = self._file.read_at(member.offset + LOCAL_HEADER.size, name_bytes)
        if own_name != member.raw_name:
            raise BadArchive(
                "“{name}” in “{archive}” is called “{other}” in its own header: the zip "
                "contradicts itself. Make it again.",
                name=name,
                archive=self.label,
                other=printable(own_name[:200].decode("utf-8", "backslashreplace")),
            )
        if method != member.method or flags & _ENCRYPTED_FLAGS:
            raise damaged_file(self.label, name, "its header contradicts the table of contents")
        start: int = member.offset + LOCAL_HEADER.size + name_bytes + extra_bytes
        if start + member.packed_bytes > member.limit:
            raise shared_bytes(self.label, name)
        return start

    def _unpacked(self, member: ZipMember, start: int, num_wanted: int) -> Iterator[bytes]:
        """At most so many bytes, in pieces."""
        if member.method == _STORED:
            yield self._file.read_at(start, min(member.packed_bytes, num_wanted))
            return
        decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        end = start + member.packed_bytes
        while num_wanted > 0 and not decoder.eof:
            packed = decoder.unconsumed_tail
            if not packed:
                packed = self._file.read_at(start, min(_CHUNK_BYTES, end - start))
                start += len(packed)
            data = decoder.decompress(packed, num_wanted)
            if not data and not packed:
                return
            num_wanted -= len(data)
            yield data


def _named(members: list[ZipMember]) -> Iterator[tuple[str, ZipMember]]:
    names = decode_names([member.name for member in members], "cp437")
    for name, member in zip(names, members, strict=True):
        yield f"{name}/" if stat.S_ISDIR(member.mode) else name, member


def _check_member(name: str, member: ZipMember, archive: str) -> None:
    if stat.S_IFMT(member.mode) not in (0, stat.S_IFREG):
        raise not_a_file(archive, name)
    if member.flags & _ENCRYPTED_FLAGS or member.method == _AES:
        raise BadArchive(
            "“{name}” in “{archive}” is encrypted. Make the zip again without a password.",
            name=name,
            archive=archive,
        )
    # bzip2, LZMA and others unpack without a limit on what one step may produce.
    if member.method not in (_STORED, _DEFLATED):
        raise BadArchive(
            "“{name}” in “{archive}” is compressed with method {method}; only the ordinary one, "
            "“Deflate”, is read. Make the zip again with default settings.",
            name=name,
            archive=archive,
            method=member.method,
        )
