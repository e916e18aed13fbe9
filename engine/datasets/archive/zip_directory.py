"""A zip's table of contents, read strictly: where it lies, what it lists, and that it is sound.

`zipfile` guesses where an upload must be refused (of two tables it takes the last, and it does not
look at the part number of a split zip), and does so differently in each version of Python. The
numbers in comments are sections of PKWARE's APPNOTE.TXT 6.3.10.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from engine.datasets.archive.entry_names import MAX_LISTED, printable, too_many_entries
from engine.datasets.archive.source import ArchiveFile, damaged_archive
from engine.errors import BadArchive

MAX_DIRECTORY_BYTES = 64 * 1024**2
"""Size of the table of contents; checked before it is read."""
LOCAL_HEADER = struct.Struct("<4s5H3L2H")
"""4.3.7: signature, version, flags, method, time, date, CRC, sizes, lengths of name and extra."""

_FLAG_UTF8 = 0x800
_CENTRAL_HEADER = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_END = struct.Struct("<4s4H2LH")  # 4.3.16
_END_64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_LOCATOR_64 = struct.Struct("<4sLQL")  # 4.3.15
_END_MAGIC = b"PK\x05\x06"
_PART_SUFFIX = re.compile(r"\.(z\d\d|zip\.\d{3})$", re.IGNORECASE)
_MAX_COMMENT_BYTES = 0xFFFF
_EXTRA_ZIP64 = 0x0001  # 4.5.3
_EXTRA_UNICODE_PATH = 0x7075  # 4.6.9
_IN_ZIP64_16, _IN_ZIP64_32 = 0xFFFF, 0xFFFF_FFFF


@dataclass(slots=True)
class ZipMember:
    """A line of the table of contents."""

    raw_name: bytes
    """As it stands in the local header, too."""
    name: str | bytes
    """Bytes where the zip does not say the encoding."""
    offset: int
    """Of the local header in the file."""
    packed_bytes: int
    size_bytes: int
    crc: int
    flags: int
    method: int
    mode: int
    """Of Unix; 0 where there is none."""
    limit: int = field(default=0)
    """Where the next local header or the table of contents begins."""


@dataclass(frozen=True, slots=True)
class _End:
    """Where the table of contents is."""

    start: int
    """Its offset in the file."""
    num_bytes: int
    num_members: int
    shift: int
    """Bytes before the zip that its offsets do not count, such as an unpacking program."""
    is_64: bool


def has_end_record(file: ArchiveFile) -> bool:
    """Whether something at the end of a file may be that of a zip."""
    return _END_MAGIC in _tail(file)


def is_called_like_a_part(label: str) -> bool:
    """Whether a file's name is that of a part of a split zip."""
    return _PART_SUFFIX.search(label) is not None


def read_directory(file: ArchiveFile) -> list[ZipMember]:
    """All that a zip lists, in its order.

    Raises:
        BadArchive: the table is damaged, ambiguous, too large or of another part of a split zip, or
            two members share bytes.
    """
    end = _find_end(file)
    if end.num_bytes > MAX_DIRECTORY_BYTES:
        raise BadArchive(
            "The zip file “{archive}” claims a table of contents of {size_bytes} bytes; at "
            "most {limit_bytes} are accepted. Split it into several zip files.",
            archive=file.label,
            size_bytes=end.num_bytes,
            limit_bytes=MAX_DIRECTORY_BYTES,
        )
    directory = file.read_at(end.start, end.num_bytes)
    if len(directory) < end.num_bytes:
        raise damaged_archive(file.label, "its table of contents is cut off")
    members = list(_members(directory, end, file.label))
    num_listed = len(members)
    # Old tools count more than 65,535 from zero again.
    if num_listed != end.num_members and (end.is_64 or num_listed & 0xFFFF != end.num_members):
        raise damaged_archive(
            file.label, f"it lists {num_listed} files and claims {end.num_members}"
        )
    _set_limits(file, members, end.start)
    return members


def _tail(file: ArchiveFile) -> bytes:
    num_bytes = _END.size + _MAX_COMMENT_BYTES
    return file.read_at(max(0, file.size_bytes - num_bytes), num_bytes)


def _find_end(file: ArchiveFile) -> _End:
    tail = _tail(file)
    found = []
    position = tail.find(_END_MAGIC)
    while 0 <= position <= len(tail) - _END.size:
        found.append(position)
        position = tail.find(_END_MAGIC, position + 1)
    if not found and is_called_like_a_part(file.label):
        raise split_zip(file.label)
    if not found:
        raise damaged_archive(file.label, "its table of contents is missing")
    # A true one's comment reaches to the end of the file, unless something was added behind it.
    true = [each for each in found if each + _END.size + _comment_bytes(tail, each) == len(tail)]
    if true and true != [found[-1]]:
        raise _two_tables(file.label)
    record = _END.unpack_from(tail, found[-1])
    return _read_end(file, record, file.size_bytes - len(tail) + found[-1])


def _comment_bytes(tail: bytes, position: int) -> int:
    num_bytes: int = _END.unpack_from(tail, position)[-1]
    return num_bytes


def _read_end(file: ArchiveFile, record: tuple[Any, ...], position: int) -> _End:
    _, disk, directory_disk, _, num_members, num_bytes, offset, _ = record
    in_disks = {disk, directory_disk} - {0}
    wide = _read_end_64(file, position)
    if wide:
        claimed = ((num_bytes, wide[8]), (offset, wide[9]))
        if any(narrow not in (_IN_ZIP64_32, full) for narrow, full in claimed):
            raise _two_tables(file.label)
        in_disks = {wide[4], wide[5]} - {0}
        num_members, num_bytes, offset = wide[7:10]
        position -= _END_64.size + _LOCATOR_64.size
    if in_disks:
        raise split_zip(file.label)
    start = position - num_bytes
    if start - offset < 0:
        raise damaged_archive(file.label, "its beginning or its middle is missing")
    return _End(start, num_bytes, num_members, start - offset, bool(wide))


def _read_end_64(file: ArchiveFile, position: int) -> tuple[Any, ...]:
    """The record of 4.3.14, empty if there is none."""
    locator = file.read_at(position - _LOCATOR_64.size, _LOCATOR_64.size)
    if not locator.startswith(b"PK\x06\x07"):
        return ()
    *_, num_disks = _LOCATOR_64.unpack(locator)
    if num_disks > 1:
        raise split_zip(file.label)
    record = file.read_at(position - _LOCATOR_64.size - _END_64.size, _END_64.size)
    return _END_64.unpack(record) if record.startswith(b"PK\x06\x06") else ()


def _members(directory: bytes, end: _End, archive: str) -> Iterator[ZipMember]:
    position = number = 0
    while position < len(directory):
        number += 1
        if number > MAX_LISTED:
            raise too_many_entries(archive)
        header = directory[position : position + _CENTRAL_HEADER.size]
        if len(header) < _CENTRAL_HEADER.size or not header.startswith(b"PK\x01\x02"):
            raise damaged_archive(archive, f"line {number} of its table of contents is broken")
        position += _CENTRAL_HEADER.size
        fields = _CENTRAL_HEADER.unpack(header)
        name_bytes, extra_bytes, comment_bytes = fields[10:13]
        raw_name = directory[position : position + name_bytes]
        extra = directory[position + name_bytes : position + name_bytes + extra_bytes]
        position += name_bytes + extra_bytes + comment_bytes
        if position > len(directory):
            raise damaged_archive(archive, f"line {number} of its table of contents is broken")
        yield _member(fields, raw_name, _extra_fields(extra), end.shift, archive)


def _member(
    fields: tuple[Any, ...], raw_name: bytes, extra: dict[int, bytes], shift: int, archive: str
) -> ZipMember:
    _, _, _, flags, method, _, _, crc, packed_bytes, size_bytes, *_ = fields
    disk, _, attributes, offset = fields[13:17]
    # 4.5.3: in this order, and only those that do not fit into the header.
    wide = _numbers_64(extra.get(_EXTRA_ZIP64, b""))
    try:
        if size_bytes == _IN_ZIP64_32:
            size_bytes = next(wide)
        if packed_bytes == _IN_ZIP64_32:
            packed_bytes = next(wide)
        if offset == _IN_ZIP64_32:
            offset = next(wide)
    except StopIteration as error:
        raise damaged_archive(archive, f"the size of “{_shown(raw_name)}” is missing") from error
    if disk not in (0, _IN_ZIP64_16):
        raise split_zip(archive)
    return ZipMember(
        raw_name=raw_name,
        name=_name(raw_name, flags, extra),
        offset=offset + shift,
        packed_bytes=packed_bytes,
        size_bytes=size_bytes,
        crc=crc,
        flags=flags,
        method=method,
        mode=attributes >> 16,
    )


def _numbers_64(data: bytes) -> Iterator[int]:
    for position in range(0, len(data) - 7, 8):
        yield int.from_bytes(data[position : position + 8], "little")


def _name(raw_name: bytes, flags: int, extra: dict[int, bytes]) -> str | bytes:
    # Broken UTF-8 becomes surrogates, which no name may have.
    if flags & _FLAG_UTF8:
        return raw_name.decode("utf-8", "surrogateescape")
    told = extra.get(_EXTRA_UNICODE_PATH, b"")
    # 4.6.9: it holds only as long as nobody has renamed the file since.
    if told[:5] == struct.pack("<BL", 1, zlib.crc32(raw_name)):
        return told[5:].decode("utf-8", "surrogateescape")
    return raw_name


def _extra_fields(extra: bytes) -> dict[int, bytes]:
    """By id; the first of each. What does not fit its length is padding of some tools."""
    found: dict[int, bytes] = {}
    position = 0
    while position + 4 <= len(extra):
        key, num_bytes = struct.unpack_from("<HH", extra, position)
        position += 4
        if position + num_bytes > len(extra):
            break
        found.setdefault(key, extra[position : position + num_bytes])
        position += num_bytes
    return found


def _set_limits(file: ArchiveFile, members: Sequence[ZipMember], directory_start: int) -> None:
    in_order = sorted(members, key=lambda member: member.offset)
    for member, follower in pairwise(in_order):
        member.limit = follower.offset
    if in_order:
        in_order[-1].limit = directory_start
    for member in in_order:
        end = member.offset + LOCAL_HEADER.size + len(member.raw_name) + member.packed_bytes
        if end > member.limit:
            raise shared_bytes(file.label, _shown(member.raw_name))
    # Of what was put in front, only a program is meant to be there.
    if in_order and in_order[0].offset > 0 and file.read_at(0, 4) == b"PK\x03\x04":
        raise BadArchive(
            "“{archive}” begins with {num_bytes} bytes that its table of contents does not know: "
            "two zips were joined, or one was cut off. Make it again.",
            archive=file.label,
            num_bytes=in_order[0].offset,
        )


def _shown(raw_name: bytes) -> str:
    return raw_name.decode("utf-8", "backslashreplace")


def shared_bytes(archive: str, name: str) -> BadArchive:
    """The refusal of members that overlap, as in D. Fifield's zip bomb (WOOT 2019)."""
    return BadArchive(
        "“{name}” in “{archive}” reaches into the bytes of what follows it. The zip is damaged, or "
        "a bomb, and was not opened. Make it again.",
        archive=archive,
        name=printable(name),
    )


def split_zip(archive: str) -> BadArchive:
    """The refusal of a part of a split zip."""
    return BadArchive(
        "“{archive}” is one part of a split zip. Put all parts into one file first, with 7-Zip or "
        "with “zip -s 0 first.zip --out whole.zip”, and give that.",
        archive=archive,
    )


def _two_tables(archive: str) -> BadArchive:
    return BadArchive(
        "The zip file “{archive}” holds two tables of contents, one hidden from some programs. "
        "Make it again.",
        archive=archive,
    )
