"""What a tar holds, told from its headers, read strictly.

`tarfile` keeps a kilobyte for each member, reads names of any length into memory, and in some
versions of Python loops for ever on a hostile size, so it is not used. Formats: POSIX.1-2017
“pax” with its older “ustar”, and the long names and large numbers of GNU tar.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.datasets.archive.entry_names import MAX_LISTED, printable, too_many_entries
from engine.datasets.archive.source import ArchiveFile, damaged_archive, not_a_file
from engine.errors import BadArchive

BLOCK_BYTES = 512
"""Unit of a tar: headers and contents begin at multiples of it."""
MAX_ATTRIBUTE_BYTES = 1024**2
"""Size of a long name or of a member's extended attributes; checked before they are read."""

_SIZE = re.compile(rb"[0-9]{1,20}")
_CHECKED_PADDING_BYTES = 1024**2
_FOLDER, _SPARSE = b"5", b"S"
_FILES = frozenset({b"0", b"\0", b"7"})
_LINKS_AND_DEVICES = frozenset({b"1", b"2", b"3", b"4", b"6"})
_LONG_NAME, _LONG_LINK = b"L", b"K"
_PAX_GLOBAL, _PAX = b"g", frozenset({b"x", b"X"})
_ATTRIBUTES = _PAX | {_PAX_GLOBAL, _LONG_NAME, _LONG_LINK}


@dataclass(slots=True)
class TarMember:
    """A file or a folder in a tar."""

    name: str | bytes
    """Bytes where the tar does not say the encoding."""
    is_folder: bool
    offset: int
    """Of its content in the file."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Header:
    name: bytes
    type: bytes
    size_bytes: int


@dataclass(slots=True)
class _Told:
    """What headers before a member's own say about it."""

    name: str | bytes | None = None
    size_bytes: int | None = None


def is_tar(start: bytes) -> bool:
    """Whether a file that starts like this, with 1024 bytes, is a tar, perhaps an empty one."""
    is_empty = len(start) >= 2 * BLOCK_BYTES and not any(start[: 2 * BLOCK_BYTES])
    return is_empty or _parse(start[:BLOCK_BYTES]) is not None


def read_headers(file: ArchiveFile) -> list[TarMember]:
    """All files and folders of a tar, in its order.

    Raises:
        BadArchive: it is damaged or cut off, or holds links, devices, sparse files or too many
            entries.
        OSError: the disk fails.
    """
    members: list[TarMember] = []
    told = _Told()
    offset = num_headers = 0
    while (header := _header_at(file, offset)) is not None:
        num_headers += 1
        # A member may have a header for its attributes and one for its name before its own.
        if num_headers > 3 * MAX_LISTED:
            raise too_many_entries(file.label)
        offset += BLOCK_BYTES
        if header.type in _ATTRIBUTES:
            _take_attributes(file, header, offset, told)
            offset += _padded(header.size_bytes)
            continue
        member = _member(header, offset, told, file)
        members.append(member)
        if len(members) > MAX_LISTED:
            raise too_many_entries(file.label)
        offset += _padded(member.size_bytes)
        told = _Told()
    return members


def _header_at(file: ArchiveFile, offset: int) -> _Header | None:
    """The header there, None at the end of the tar."""
    block = file.read_at(offset, BLOCK_BYTES)
    if len(block) < BLOCK_BYTES:
        raise damaged_archive(file.label, "its end is missing")
    if any(block):
        header = _parse(block)
        if header is None:
            raise damaged_archive(file.label, f"the header at byte {offset} is broken")
        return header
    if any(file.read_at(offset, _CHECKED_PADDING_BYTES)):
        raise BadArchive(
            "“{archive}” goes on behind its end: perhaps several tars were joined. Unpack it with "
            "“tar --ignore-zeros” and make one archive of it.",
            archive=file.label,
        )
    return None


def _parse(block: bytes) -> _Header | None:
    """A header of 512 bytes, None if it is none: its checksum tells."""
    if len(block) < BLOCK_BYTES:
        return None
    checked = block[:148] + b" " * 8 + block[156:]
    expected = sum(checked)
    # Old programs add up the bytes as signed numbers.
    expected_if_signed = expected - 256 * sum(byte >= 128 for byte in checked)
    if _number(block[148:156]) not in (expected, expected_if_signed):
        return None
    size_bytes = _number(block[124:136])
    if size_bytes is None:
        return None
    name, prefix = (_until_null(each) for each in (block[:100], block[345:500]))
    # GNU tar keeps times where POSIX keeps the first part of a long name.
    if prefix and block[257:263] == b"ustar\0":
        name = prefix + b"/" + name
    return _Header(name, block[156:157], size_bytes)


def _number(data: bytes) -> int | None:
    """An octal number in ASCII, or GNU tar's binary one; None if it is neither or negative."""
    if data[0] == 0x80:
        return int.from_bytes(data[1:], "big")
    digits = _until_null(data).strip(b" ")
    if digits.strip(b"01234567"):
        return None
    return int(digits or b"0", 8)


def _take_attributes(file: ArchiveFile, header: _Header, offset: int, told: _Told) -> None:
    """Remember what a header says about the member after it."""
    if header.size_bytes > MAX_ATTRIBUTE_BYTES:
        raise BadArchive(
            "“{archive}” holds a name or attributes of {size_bytes} bytes; at most {limit_bytes} "
            "are accepted. Make the archive again.",
            archive=file.label,
            size_bytes=header.size_bytes,
            limit_bytes=MAX_ATTRIBUTE_BYTES,
        )
    data = file.read_at(offset, header.size_bytes)
    if len(data) < header.size_bytes:
        raise damaged_archive(file.label, "its end is missing")
    if header.type == _LONG_NAME:
        told.name = _until_null(data)
    elif header.type in _PAX or header.type == _PAX_GLOBAL:
        records = _pax_records(data)
        if records is None or not _SIZE.fullmatch(records.get(b"size", b"0")):
            raise damaged_archive(file.label, f"the attributes at byte {offset} are broken")
        _take_pax(records, header, told, file.label)


def _take_pax(records: Mapping[bytes, bytes], header: _Header, told: _Told, archive: str) -> None:
    path, size = records.get(b"path"), records.get(b"size")
    if any(key.startswith(b"GNU.sparse.") for key in records):
        raise _sparse(archive, header.name if path is None else path)
    if header.type == _PAX_GLOBAL:
        if path is not None or size is not None:
            raise damaged_archive(archive, "it gives all its files one name or one size")
        return
    if path is not None:
        is_utf8 = b"hdrcharset" not in records
        # Broken UTF-8 becomes surrogates, which no name may have.
        told.name = path.decode("utf-8", "surrogateescape") if is_utf8 else path
    if size is not None:
        told.size_bytes = int(size)


def _pax_records(data: bytes) -> dict[bytes, bytes] | None:
    """The attributes of `"<length> <key>=<value>\\n"…`, None if broken."""
    records = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 8)
        digits = data[position:space]
        if space < 0 or not digits.isdigit():
            return None
        end = position + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not key or not equals or end > len(data) or data[end - 1 : end] != b"\n":
            return None
        records[key] = value
        position = end
    return records


def _member(header: _Header, offset: int, told: _Told, file: ArchiveFile) -> TarMember:
    name = header.name if told.name is None else told.name
    if header.type == _FOLDER:
        # Its size, where there is one, is a wish for space: nothing follows.
        return TarMember(name, True, offset, 0)
    if header.type in _LINKS_AND_DEVICES:
        raise not_a_file(file.label, _shown(name))
    if header.type == _SPARSE:
        raise _sparse(file.label, name)
    if header.type not in _FILES:
        raise BadArchive(
            "“{name}” in “{archive}” is of the kind “{kind}”, which only some programs know. Make "
            "the archive again of plain files and folders.",
            name=printable(_shown(name)),
            archive=file.label,
            kind=printable(_shown(header.type)),
        )
    size_bytes = header.size_bytes if told.size_bytes is None else told.size_bytes
    if offset + size_bytes > file.size_bytes:
        raise damaged_archive(file.label, f"“{_shown(name)}” is not whole")
    return TarMember(name, False, offset, size_bytes)


def _sparse(archive: str, name: str | bytes) -> BadArchive:
    return BadArchive(
        "“{name}” in “{archive}” is a sparse file, stored without its zeros, which is not read. "
        "Make the archive again without the option “--sparse”.",
        name=printable(_shown(name)),
        archive=archive,
    )


def _padded(num_bytes: int) -> int:
    return -(-num_bytes // BLOCK_BYTES) * BLOCK_BYTES


def _until_null(data: bytes) -> bytes:
    return data.partition(b"\0")[0]


def _shown(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("utf-8", "backslashreplace")
