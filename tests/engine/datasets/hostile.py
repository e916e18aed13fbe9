"""Archives that no honest program makes, built byte by byte."""

import struct
import zlib
from dataclasses import dataclass

STORED, DEFLATED = 0, 8
ZIP_MODE = {"link": 0o120777, "character device": 0o020666, "pipe": 0o010666, "folder": 0o040755}


@dataclass(kw_only=True)
class Entry:
    """A member of a zip; what is None is told truthfully."""

    name: bytes
    data: bytes = b"x"
    method: int = STORED
    packed: bytes | None = None
    size: int | None = None
    crc: int | None = None
    flags: int = 0
    mode: int = 0
    disk: int = 0
    extra: bytes = b""
    local_name: bytes | None = None
    local_extra: bytes = b""
    offset: int | None = None

    def pack(self) -> bytes:
        if self.packed is not None:
            return self.packed
        if self.method == STORED:
            return self.data
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.data) + packer.flush()

    def fields(self, packed: bytes) -> tuple[int, ...]:
        size = len(self.data) if self.size is None else self.size
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        return self.flags, self.method, 0, 33, crc, len(packed), size

    def local(self) -> bytes:
        packed = self.pack()
        name = self.name if self.local_name is None else self.local_name
        lengths = (len(name), len(self.local_extra))
        header = struct.pack("<4s5H3L2H", b"PK\3\4", 20, *self.fields(packed), *lengths)
        return header + name + self.local_extra + packed

    def central(self, offset: int) -> bytes:
        offset = offset if self.offset is None else self.offset
        lengths = (len(self.name), len(self.extra), 0)
        places = (self.disk, 0, self.mode << 16, offset)
        fields = self.fields(self.pack())
        header = struct.pack("<4s6H3L5H2L", b"PK\1\2", 788, 20, *fields, *lengths, *places)
        return header + self.name + self.extra


def end_record(
    num_entries: int, directory_bytes: int, offset: int, disk: int = 0, comment: bytes = b""
) -> bytes:
    counts = (disk, disk, num_entries & 0xFFFF, num_entries & 0xFFFF)
    sizes = (directory_bytes, offset, len(comment))
    return struct.pack("<4s4H2LH", b"PK\5\6", *counts, *sizes) + comment


def end_record_64(num_entries: int, directory_bytes: int, offset: int, num_disks: int = 1) -> bytes:
    numbers = (44, 45, 45, 0, 0, num_entries, num_entries, directory_bytes, offset)
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", *numbers)
    return record + struct.pack("<4sLQL", b"PK\6\7", 0, offset + directory_bytes, num_disks)


def zip_of(
    *entries: Entry | bytes,
    comment: bytes = b"",
    disk: int = 0,
    claimed_entries: int | None = None,
    claimed_directory_bytes: int | None = None,
    num_disks_64: int | None = None,
    offset_64: int | None = None,
) -> bytes:
    """A zip; an entry given as bytes is its name."""
    whole = [Entry(name=each) if isinstance(each, bytes) else each for each in entries]
    body, directory = bytearray(), bytearray()
    for entry in whole:
        directory += entry.central(len(body))
        body += entry.local()
    num_entries = len(whole) if claimed_entries is None else claimed_entries
    num_bytes = len(directory) if claimed_directory_bytes is None else claimed_directory_bytes
    end = end_record(num_entries, num_bytes, len(body), disk, comment)
    if num_disks_64 is not None:
        offset = len(body) if offset_64 is None else offset_64
        end = end_record_64(num_entries, num_bytes, offset, num_disks_64) + end
    return bytes(body + directory) + end


def quoted_overlap() -> bytes:
    """Fifield's construction: each member unpacks the header of the next and then its data."""
    kernel = Entry(name=b"b.png", data=bytes(1000), method=DEFLATED)
    header = kernel.local()
    quote = struct.pack("<BHH", 0, len(header) - len(kernel.pack()), 0xFFFF & ~30)
    outer = Entry(name=b"a.png", data=bytes(1000), method=DEFLATED, packed=quote + header)
    body = outer.local()
    inner_at = len(body) - len(header)
    directory = outer.central(0) + kernel.central(inner_at)
    return body + directory + end_record(2, len(directory), len(body))


def hidden_directory() -> bytes:
    """A zip whose comment holds the table of contents and the end of another zip."""
    shown, hidden = Entry(name=b"shown.png"), Entry(name=b"hidden.png")
    body = shown.local() + hidden.local()
    directory = shown.central(0)
    fake = hidden.central(len(shown.local()))
    # Its offset counts from the file's start, and so does the one before it: both hold.
    fake_at = len(body) + len(directory) + 22
    comment = fake + end_record(1, len(fake), fake_at)
    return body + directory + end_record(1, len(directory), len(body), comment=comment)


def unicode_path(raw_name: bytes, name: bytes) -> bytes:
    """Info-ZIP's extra field 0x7075: the name in UTF-8, and which name it belongs to."""
    content = struct.pack("<BL", 1, zlib.crc32(raw_name)) + name
    return struct.pack("<HH", 0x7075, len(content)) + content


def zip64_sizes(*numbers: int) -> bytes:
    """The extra field 0x0001."""
    return struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers)


def tar_header(
    name: bytes, size: int | bytes = 0, type: bytes = b"0", link: bytes = b"", magic: bytes = b""
) -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[148:156] = b" " * 8
    block[156:157] = type
    block[157 : 157 + len(link)] = link
    block[257:265] = magic or b"ustar\00000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tar_entry(name: bytes, data: bytes = b"x", type: bytes = b"0", link: bytes = b"") -> bytes:
    return tar_header(name, len(data), type, link) + data + bytes(-len(data) % 512)


def pax(type: bytes = b"x", **records: bytes) -> bytes:
    """A header of extended attributes; `_` in a key stands for a dot."""
    data = b""
    for key, value in records.items():
        record = b" %s=%s\n" % (key.replace("_", ".").encode(), value)
        # The length counts its own digits.
        length = len(record) + len(str(len(record)))
        length = len(record) + len(str(length))
        data += str(length).encode() + record
    return tar_entry(b"pax", data, type)


def tar_of(*parts: bytes) -> bytes:
    """A tar of these headers and contents, with its end."""
    return b"".join(parts) + bytes(1024)
