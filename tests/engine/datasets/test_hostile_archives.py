"""A corpus of hostile archives, and exactly what each of them gets.

None may write anywhere, end in another error than a sentence, or leave a file open.
"""

import bz2
import gzip
import lzma
import os
import random
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.datasets.archive import entry_names, open_source, tar_headers, tar_reader, zip_directory
from engine.datasets.archive import source as archive_source
from engine.errors import BadArchive, NotFound
from tests.engine.datasets.hostile import (
    DEFLATED,
    ZIP_MODE,
    Entry,
    end_record,
    hidden_directory,
    pax,
    quoted_overlap,
    tar_entry,
    tar_header,
    tar_of,
    unicode_path,
    zip64_sizes,
    zip_of,
)

GOOD = tar_entry(b"a.png")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A hostile archive and what it gets: a refusal, or a source that left something out."""

    content: Callable[[], bytes]
    refusal: str = ""
    """What the sentence says, from its first word on."""
    while_reading: bool = False
    """Whether it opens, and is refused when its file is read."""
    names: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Names that are left out, with words of the reason."""
    file_name: str = "x.zip"
    limits: Mapping[str, int] = field(default_factory=dict)
    """Limits that are lowered, so that a small archive shows the same."""


LIMITED = (
    archive_source,
    tar_reader,
    tar_headers,
    zip_directory,
    entry_names,
)
"""Modules with limits; one may be known to several."""


def refused_name(name: bytes, refusal: str, **fields: int) -> Case:
    return Case(content=lambda: zip_of(b"ok.png", Entry(name=name, **fields)), refusal=refusal)


def refused_entry(refusal: str, while_reading: bool = False, **fields: object) -> Case:
    entry = Entry(**({"name": b"a.png"} | fields))  # type: ignore[arg-type]
    return Case(content=lambda: zip_of(entry), refusal=refusal, while_reading=while_reading)


def refused(refusal: str, content: Callable[[], bytes], **options: object) -> Case:
    return Case(content=content, refusal=refusal, **options)  # type: ignore[arg-type]


def accepted(content: Callable[[], bytes], *names: str, **options: object) -> Case:
    return Case(content=content, names=names, **options)  # type: ignore[arg-type]


_ABSOLUTE = "“x.zip” holds a file with an absolute path, “{}”."
_OUT = "“x.zip” holds a path that leads out of it, “{}”."
_CONTROL = "“x.zip” holds a name with control characters or a broken encoding, “{}”."
_LINK = "“{}” in “x.zip” is a link or a device, not a file."
_ENCRYPTED = "“a.png” in “x.zip” is encrypted. Make the zip again without a password."
_DAMAGED = "“x.zip” is damaged or cut off ({}"
_SPLIT = "“{}” is one part of a split zip. Put all parts into one file first"
_SHARED = "“{}” in “x.zip” reaches into the bytes of what follows it."
_TWO_TABLES = "The zip file “x.zip” holds two tables of contents, one hidden"
_BOMB = "“x.zip” would unpack to 2 MiB or more"
_OTHER = "“x.zip” is neither a zip nor a tar file but {}. Put the images and masks into"
_SINGLE = "“x.zip” is a single file compressed with {}, not a tar of several."
_EMPTY = "“x.zip” holds no files. A dataset is a zip, a tar or a folder"
_SPARSE = "“{}” in “x.zip” is a sparse file, stored without its zeros"

_NAMES = {
    "traversal": refused_name(b"../../etc/passwd", _OUT.format("../../etc/passwd")),
    "traversal from a folder": refused_name(b"a/../../b.png", _OUT.format("a/../../b.png")),
    "traversal with backslashes": refused_name(b"a\\..\\..\\b", _OUT.format("a\\..\\..\\b")),
    "traversal as a folder": refused_name(b"../out/", _OUT.format("../out/")),
    "absolute": refused_name(b"/etc/passwd", _ABSOLUTE.format("/etc/passwd")),
    "drive letter": refused_name(b"C:\\a.png", _ABSOLUTE.format("C:\\a.png")),
    "drive without separator": refused_name(b"c:a.png", _ABSOLUTE.format("c:a.png")),
    "drive of the kelvin sign": refused_name(
        "\u212a:a.png".encode(), _ABSOLUTE.format("K:a.png"), flags=0x800
    ),
    "UNC": refused_name(b"\\\\host\\share\\a", _ABSOLUTE.format("\\\\host\\share\\a")),
    "null byte": refused_name(b"a.png\0.exe", _CONTROL.format("a.png\\x00.exe")),
    "line break": refused_name(b"a\nb.png", _CONTROL.format("a\\nb.png")),
    "terminal sequence": refused_name(b"\x1b[2J.png", _CONTROL.format("\\x1b[2J.png")),
    "reversed text": refused_name(
        "\u202egnp.exe".encode(), _CONTROL.format("\\u202egnp.exe"), flags=0x800
    ),
    "broken UTF-8": refused_name(b"\xff.png", _CONTROL.format("\\udcff.png"), flags=0x800),
    "very long path": refused_name(b"a" * 60_000, "“x.zip” holds a path of 60000 characters"),
    "no name": refused_name(b"", "“x.zip” holds a file without a name."),
    "a dot as name": refused_name(b"./.", "“x.zip” holds a file without a name."),
    "the same name twice": refused_name(b"ok.png", "“x.zip” holds the file “ok.png” twice. Make"),
    "the same name by another way": refused_name(
        b".\\ok.png", "“x.zip” holds the file “ok.png” twice. Make"
    ),
    "upper and lower case": refused_name(b"OK.PNG", "“x.zip” holds “ok.png” and “OK.PNG”, which"),
    "composed and decomposed": refused(
        "“x.zip” holds the file “\u00e9” twice: its accents are stored in two ways.",
        lambda: zip_of("\u00e9".encode(), "e\u0301".encode()),
    ),
    "traversal in the Unicode path": refused_entry(
        _OUT.format("../a.png"), extra=unicode_path(b"a.png", b"../a.png")
    ),
}

_MEMBERS = {
    **{
        kind: refused_entry(_LINK.format("a.png"), data=b"/etc/passwd", mode=ZIP_MODE[kind])
        for kind in ("link", "character device", "pipe")
    },
    "encrypted": refused_entry(_ENCRYPTED, flags=0x1),
    "strongly encrypted": refused_entry(_ENCRYPTED, flags=0x41),
    "AES": refused_entry(_ENCRYPTED, flags=0x1, method=99),
    "AES without its flag": refused_entry(_ENCRYPTED, method=99),
    "encrypted table of contents": refused_entry(_ENCRYPTED, flags=0x2000),
    **{
        f"method {method}": refused_entry(
            f"“a.png” in “x.zip” is compressed with method {method}; only the ordinary one",
            method=method,
            packed=b"xxx",
        )
        for method in (1, 6, 9, 12, 14, 93, 97)
    },
    "smaller than it claims": refused_entry(
        "“a.png” in “x.zip” does not have the 5000 bytes that the archive claims.",
        while_reading=True, method=DEFLATED, data=bytes(1000), size=5000,
    ),
    "larger than it claims": refused_entry(
        "“a.png” in “x.zip” does not have the 10 bytes that the archive claims.",
        while_reading=True, method=DEFLATED, data=bytes(10**6), size=10, crc=zlib.crc32(bytes(10)),
    ),
    "stored and larger than it claims": refused_entry(
        "“a.png” in “x.zip” does not have the 10 bytes that the archive claims.",
        while_reading=True, data=bytes(1000), size=10, crc=zlib.crc32(bytes(10)),
    ),
    "wrong checksum": refused_entry(
        "“a.png” in “x.zip” cannot be read (its checksum is wrong).", while_reading=True, crc=1
    ),
    "no deflated data": refused_entry(
        "“a.png” in “x.zip” cannot be read (Error -3", while_reading=True,
        method=DEFLATED, packed=b"\xff" * 50,
    ),
    "another name in its own header": refused_entry(
        "“a.png” in “x.zip” is called “b.exe” in its own header", while_reading=True,
        local_name=b"b.exe",
    ),
    "local fields that reach into the next": refused(
        _SHARED.format("a.png"),
        lambda: zip_of(Entry(name=b"a.png", local_extra=bytes(100))).replace(
            struct.pack("<H", 100) + b"a.png", struct.pack("<H", 900) + b"a.png"
        ),
        while_reading=True,
    ),
    "no header where the table says": refused(
        "“b.png” in “x.zip” cannot be read (its header is missing)",
        lambda: zip_of(b"b.png").replace(b"PK\3\4", b"PK\3\5").join((b"MZ", b"")),
        while_reading=True,
    ),
    "zip64 size that is missing": refused_entry(
        _DAMAGED.format("the size of “a.png” is missing"), size=0xFFFF_FFFF
    ),
    "zip64 size of exabytes": refused(
        "“x.zip” would unpack to 1099511627776 MiB or more; at most 65536 MiB are",
        lambda: zip_of(Entry(name=b"a", size=0xFFFF_FFFF, extra=zip64_sizes(1 << 60))),
    ),
}  # fmt: skip

_STRUCTURE = {
    "cut off at the end": refused(
        _DAMAGED.format("its table of contents is missing"), lambda: zip_of(b"a", b"b")[:-30]
    ),
    "cut off at the beginning": refused(
        _DAMAGED.format("its beginning or its middle is missing"),
        lambda: b"PK\3\4" + zip_of(Entry(name=b"a", data=bytes(100)))[90:],
    ),
    "the rest of one, ending in a whole inner zip": refused(
        "“x.zip” begins with 32 bytes that its table of contents does not know",
        lambda: Entry(name=b"a").local() + zip_of(b"b.png"),
    ),
    "two joined zips": refused(
        "“x.zip” begins with 101 bytes that its table of contents does not know",
        lambda: zip_of(b"a") + zip_of(b"b"),
    ),
    "last part of a split zip": refused(_SPLIT.format("x.zip"), lambda: zip_of(b"a", disk=2)),
    "last part of a split zip64": refused(
        _SPLIT.format("x.zip"), lambda: zip_of(b"a", num_disks_64=3)
    ),
    "member on another part": refused_entry(_SPLIT.format("x.zip"), disk=1),
    "first part of a split zip": refused(
        _SPLIT.format("x.z01"),
        lambda: b"PK\7\x08" + Entry(name=b"a").local(),
        file_name="x.z01",
    ),
    "first part of a zip cut into pieces": refused(
        _SPLIT.format("x.zip.001"), lambda: zip_of(b"a")[:50], file_name="x.zip.001"
    ),
    "middle part of a split zip": refused(
        _SPLIT.format("x.zip.002"), lambda: b"\x13" * 3000, file_name="x.zip.002"
    ),
    "fake table of contents in the comment": refused(_TWO_TABLES, hidden_directory),
    "two ends": refused(
        _TWO_TABLES, lambda: zip_of(b"a", comment=end_record(0, 0, 0)),
    ),
    "zip64 end that says otherwise": refused(
        _TWO_TABLES, lambda: zip_of(b"a", num_disks_64=1, offset_64=5)
    ),
    "more files than claimed": refused(
        _DAMAGED.format("it lists 2 files and claims 1"),
        lambda: zip_of(b"a", b"b", claimed_entries=1),
    ),
    "broken line in the table": refused(
        _DAMAGED.format("line 2 of its table of contents is broken"),
        lambda: b"PK\1\3".join(zip_of(b"a", b"b").rsplit(b"PK\1\2", 1)),
    ),
    "table of contents of 4 GB": refused(
        _DAMAGED.format("its beginning or its middle is missing"),
        lambda: zip_of(b"a", claimed_directory_bytes=0xFFFF_FFFF),
    ),
    "table of contents larger than allowed": refused(
        "The zip file “x.zip” claims a table of contents of 94 bytes; at most 90 are",
        lambda: zip_of(b"a", b"b"),
        limits={"MAX_DIRECTORY_BYTES": 90},
    ),
    "quoted headers (Fifield)": refused(_SHARED.format("a.png"), quoted_overlap),
    "two names for the same bytes": refused(
        _SHARED.format("a.png"), lambda: zip_of(b"a.png", Entry(name=b"b.png", offset=0))
    ),
    "offset behind the end": refused_entry(_SHARED.format("a.png"), offset=10**9),
}  # fmt: skip

_AMOUNTS = {
    "ratio of a bomb": refused(
        _BOMB,
        lambda: zip_of(Entry(name=b"a", data=bytes(2 * 1024**2), method=DEFLATED)),
        limits={"RATIO_FREE_BYTES": 10**6},
    ),
    "ratio of a bomb in what is left out": refused(
        _BOMB,
        lambda: zip_of(b"a", Entry(name=b".b", data=bytes(2 * 1024**2), method=DEFLATED)),
        limits={"RATIO_FREE_BYTES": 10**6},
    ),
    "total": refused(
        _BOMB,
        lambda: zip_of(Entry(name=b"a", data=bytes(2 * 1024**2), method=DEFLATED)),
        limits={"MAX_TOTAL_BYTES": 2 * 1024**2 - 1},
    ),
    "number of files": refused(
        "“x.zip” holds more than 3 files. Split it",
        lambda: zip_of(b"a", b"b", b"c", b"d"),
        limits={"MAX_ENTRIES": 3},
    ),
    "number of folders": refused(
        "“x.zip” holds more than 200000 files. Split it",
        lambda: zip_of(b"a", b"b/", b"c/", b"d/"),
        limits={"MAX_LISTED": 3},
    ),
    "one large file": refused(
        "“a” in “x.zip” has 2 MiB; at most 1 MiB are accepted for one file.",
        lambda: zip_of(Entry(name=b"a", data=bytes(2 * 1024**2), method=DEFLATED)),
        while_reading=True,
        limits={"MAX_FILE_BYTES": 1024**2},
    ),
    "nothing": refused(_EMPTY, zip_of),
    "nothing but folders": refused(_EMPTY, lambda: zip_of(b"a/", b"a/b/")),
    "nothing but what systems leave": refused(_EMPTY, lambda: zip_of(b".DS_Store", b"__MACOSX/a")),
    "nothing but an archive": refused(
        "“x.zip” holds nothing but another archive, “data/b.zip”. Unpack it once, and give",
        lambda: zip_of(b"data/", Entry(name=b"data/b.zip", data=zip_of(b"a.png")), b".DS_Store"),
    ),
    "nothing but archives": refused(
        "“x.zip” holds nothing but 2 archives, the first is “a.tar.gz”; archives inside",
        lambda: zip_of(b"b.7z", b"a.tar.gz"),
    ),
}

_OTHER_FORMATS = {
    kind: refused(_OTHER.format(kind), lambda start=start: start + bytes(2000))
    for kind, start in {
        "a RAR archive": b"Rar!\x1a\7\1\0",
        "a 7z archive": b"7z\xbc\xaf\x27\x1c",
        "a Zstandard file": b"(\xb5/\xfd",
        "an lzip file": b"LZIP\1",
        "a cabinet file": b"MSCF\0\0\0\0",
        "a PDF document": b"%PDF-1.7",
        "something else": b"<!doctype html><script>alert(1)</script>",
    }.items()
} | {
    "an empty file": refused(_OTHER.format("an empty file (0 bytes)"), lambda: b""),
    "a picture that is a zip as well": refused(
        _OTHER.format("a PNG picture"), lambda: b"\x89PNG\r\n\x1a\n" + zip_of(b"a.png")
    ),
    "gzip of one file": refused(_SINGLE.format("gzip"), lambda: gzip.compress(b"x" * 5000)),
    "bzip2 of one file": refused(_SINGLE.format("bzip2"), lambda: bz2.compress(b"x")),
    "xz of one file": refused(_SINGLE.format("xz"), lambda: lzma.compress(b"")),
}

_TARS = {
    "tar, traversal": refused(_OUT.format("../a"), lambda: tar_of(GOOD, tar_entry(b"../a"))),
    "tar, traversal by a long name of pax": refused(
        _OUT.format("../b"), lambda: tar_of(pax(path=b"../b"), GOOD)
    ),
    "tar, traversal by a long name of GNU": refused(
        _OUT.format("b/../.."), lambda: tar_of(tar_entry(b"L", b"b/../..\0", b"L"), GOOD)
    ),
    "tar, absolute": refused(_ABSOLUTE.format("/etc/a"), lambda: tar_of(tar_entry(b"/etc/a"))),
    **{
        f"tar, {kind}": refused(
            _LINK.format("b"), lambda type=type: tar_of(GOOD, tar_entry(b"b", b"", type, b"a.png"))
        )
        for kind, type in {
            "hard link": b"1", "symbolic link": b"2", "character device": b"3",
            "block device": b"4", "pipe": b"6",
        }.items()
    },
    "tar, sparse": refused(_SPARSE.format("b"), lambda: tar_of(tar_entry(b"b", type=b"S"))),
    "tar, sparse by attributes": refused(
        _SPARSE.format("c"), lambda: tar_of(pax(GNU_sparse_major=b"1", path=b"c"), GOOD)
    ),
    "tar, part of several volumes": refused(
        "“b” in “x.zip” is of the kind “M”, which only some",
        lambda: tar_of(tar_entry(b"b", type=b"M")),
    ),
    "tar, the same name twice": refused(
        "“x.zip” holds the file “a.png” twice. Make", lambda: tar_of(GOOD, GOOD)
    ),
    "tar, cut off in a file": refused(
        _DAMAGED.format("“b” is not whole"), lambda: (GOOD + tar_entry(b"b", bytes(5000)))[:-999]
    ),
    "tar, cut off between files": refused(_DAMAGED.format("its end is missing"), lambda: GOOD),
    "tar, size of exabytes": refused(
        _DAMAGED.format("“b” is not whole"),
        lambda: tar_of(tar_header(b"b", b"\x80" + b"\x7f" * 11)),
    ),
    "tar, negative size": refused(
        _DAMAGED.format("the header at byte 1024 is broken"),
        lambda: tar_of(GOOD, tar_header(b"b", b"\xff" * 12)),
    ),
    "tar, size by attributes that leads on": refused(
        _DAMAGED.format("“a.png” is not whole"), lambda: tar_of(pax(size=b"9" * 19), GOOD)
    ),
    "tar, negative size by attributes": refused(
        _DAMAGED.format("the attributes at byte 512 are broken"),
        lambda: tar_of(pax(size=b"-1024"), GOOD),
    ),
    "tar, size of 5000 digits": refused(
        _DAMAGED.format("the attributes at byte 512 are broken"),
        lambda: tar_of(pax(size=b"9" * 5000), GOOD),
    ),
    "tar, broken checksum": refused(
        _DAMAGED.format("the header at byte 1024 is broken"),
        lambda: tar_of(GOOD, GOOD.replace(b"a.png", b"b.png")),
    ),
    "tar, broken attributes": refused(
        _DAMAGED.format("the attributes at byte 512 are broken"),
        lambda: tar_of(tar_entry(b"p", b"0 a=b\n", b"x"), GOOD),
    ),
    "tar, one name for all": refused(
        _DAMAGED.format("it gives all its files one name or one size"),
        lambda: tar_of(pax(b"g", path=b"b"), GOOD),
    ),
    "tar, a name of gigabytes": refused(
        "“x.zip” holds a name or attributes of 4294967296 bytes; at most 1048576 are",
        lambda: tar_of(tar_header(b"L", 1 << 32, b"L")),
    ),
    "tar, a name that is a megabyte long": refused(
        "“x.zip” holds a path of 1000000 characters; at most 1000 are",
        lambda: tar_of(tar_entry(b"L", b"a" * 10**6, b"L"), GOOD),
    ),
    "tar, two joined": refused(
        "“x.zip” goes on behind its end: perhaps several", lambda: tar_of(GOOD) + tar_of(GOOD)
    ),
    "tar, endless attributes": refused(
        "“x.zip” holds more than 200000 files.",
        lambda: tar_of(*[pax(comment=b"x")] * 4, GOOD),
        limits={"MAX_LISTED": 1},
    ),
    "tar, nothing": refused(_EMPTY, tar_of),
    "tar, nothing but an archive": refused(
        "“x.zip” holds nothing but another archive, “b.tgz”.", lambda: tar_of(tar_entry(b"b.tgz"))
    ),
}  # fmt: skip

_COMPRESSED_TARS = {
    "tar.gz, traversal": refused(
        _OUT.format("../a"), lambda: gzip.compress(tar_of(tar_entry(b"../a")))
    ),
    **{
        f"tar.{name}, bomb": refused(
            _BOMB,
            lambda compress=compress: compress(tar_of(tar_entry(b"a", bytes(3 * 1024**2)))),
            limits={"RATIO_FREE_BYTES": 2 * 1024**2, "MAX_RATIO": 20},
        )
        for name, compress in {
            "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress
        }.items()
    },
    "tar.gz, total": refused(
        _BOMB,
        lambda: gzip.compress(tar_of(tar_entry(b"a", bytes(3 * 1024**2)))),
        limits={"MAX_TOTAL_BYTES": 2 * 1024**2},
    ),
    "tar.gz, bomb of many streams": refused(
        _BOMB,
        lambda: gzip.compress(tar_of(GOOD)) + gzip.compress(bytes(10**5)) * 40,
        limits={"RATIO_FREE_BYTES": 2 * 1024**2},
    ),
    "tar.gz, streams without end": refused(
        _DAMAGED.format("it is made of more than 9 compressed streams"),
        lambda: gzip.compress(tar_of(GOOD)) + gzip.compress(b"") * 9,
        limits={"MAX_STREAMS": 9},
    ),
    "tar.gz, cut off": refused(
        _DAMAGED.format("the compressed data end too early"),
        lambda: gzip.compress(tar_of(GOOD))[:-5],
    ),
    "tar.bz2, cut off": refused(
        _DAMAGED.format("the compressed data end too early"),
        lambda: bz2.compress(tar_of(GOOD))[:-5],
    ),
    "tar.gz, wrong checksum": refused(
        _DAMAGED.format("Error -3 while decompressing data: incorrect data check"),
        lambda: gzip.compress(tar_of(GOOD))[:-8] + bytes(8),
    ),
    "tar.gz, rubbish behind it": refused(
        _DAMAGED.format("Error -3"), lambda: gzip.compress(tar_of(GOOD)) + b"rubbish"
    ),
    "tar.xz, more memory than allowed": refused(
        "“x.zip” needs more than 1 MiB of memory to unpack.",
        lambda: lzma.compress(tar_of(GOOD)),
        limits={"MAX_XZ_MEMORY_BYTES": 1024**2},
    ),
}  # fmt: skip

_SYSTEM = "An operating system left it there"
_HIDDEN = "begins with a dot: hidden files are left out"
_INNER = "Archives inside are not opened. Unpack it"

_HARMLESS = {
    "HTML in a name": accepted(
        lambda: zip_of(b"<img src=x onerror=alert(1)>.png"), "<img src=x onerror=alert(1)>.png"
    ),
    "names that Windows reserves": accepted(lambda: zip_of(b"CON", b"nul.png"), "CON", "nul.png"),
    "trailing dots and spaces": accepted(lambda: zip_of(b"a.png.", b"b.png "), "a.png.", "b.png "),
    "backslashes": accepted(lambda: zip_of(b"a\\b.png", b"c\\"), "a/b.png"),
    "a folder by its mode only": accepted(
        lambda: zip_of(b"a/b.png", Entry(name=b"a", data=b"", mode=ZIP_MODE["folder"])), "a/b.png"
    ),
    "an unpacking program in front": accepted(
        lambda: b"MZ" + bytes(5000) + zip_of(b"a.png", b"b.png"), "a.png", "b.png"
    ),
    "rubbish behind": accepted(lambda: zip_of(b"a.png") + b"rubbish", "a.png"),
    "a comment": accepted(lambda: zip_of(b"a.png", comment=b"made by hand"), "a.png"),
    "zip64": accepted(
        lambda: zip_of(
            Entry(name=b"a.png", size=0xFFFF_FFFF, extra=zip64_sizes(1)), num_disks_64=1
        ),
        "a.png",
    ),
    "what systems and tools leave": accepted(
        lambda: zip_of(b"a.png", b"__MACOSX/._a.png", b"Icon\r", b"b/.git/config", b"b/THUMBS.DB"),
        "a.png",
        skipped={
            "Icon\\r": _SYSTEM, "__MACOSX/._a.png": _SYSTEM, "b/.git/config": _HIDDEN,
            "b/THUMBS.DB": _SYSTEM,
        },
    ),
    "an absolute path that is left out": accepted(
        lambda: zip_of(b"a.png", b"/../.DS_Store"), "a.png", skipped={"/../.DS_Store": _SYSTEM}
    ),
    "a very long name that is left out": accepted(
        lambda: zip_of(b"a.png", b"." + b"b" * 9999), "a.png",
        skipped={"." + "b" * 998 + "…": _HIDDEN},
    ),
    "an archive inside": accepted(
        lambda: zip_of(b"a.png", Entry(name=b"more.zip", data=zip_of(b"../../evil"))), "a.png",
        skipped={"more.zip": _INNER},
    ),
    "tar with archives and hidden files": accepted(
        lambda: tar_of(
            tar_entry(b"./", b"", b"5"), GOOD, tar_entry(b"./._a.png"), tar_entry(b"b.gz")
        ),
        "a.png", skipped={"./._a.png": _SYSTEM, "b.gz": _INNER},
    ),
    "tar, folder with a size": accepted(
        lambda: tar_of(tar_header(b"b", 4096, b"5"), GOOD), "a.png"
    ),
    "tar of the seventies": accepted(
        lambda: tar_of(tar_header(b"b.png", 0, b"\0", magic=b"\0" * 8)), "b.png"
    ),
    "tar.gz in two streams and padded": accepted(
        lambda: gzip.compress(GOOD) + gzip.compress(bytes(1024)) + bytes(700), "a.png"
    ),
}  # fmt: skip

CORPUS: dict[str, Case] = (
    _NAMES | _MEMBERS | _STRUCTURE | _AMOUNTS | _OTHER_FORMATS | _TARS | _COMPRESSED_TARS
) | _HARMLESS
"""Every archive by what is wrong with it."""


@dataclass
class Writes:
    """What the interpreter was asked to write, as its audit events tell."""

    watching: bool = False
    found: list[str] = field(default_factory=list)

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.watching:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.found.append(str(path))
        elif re.match(
            r"os\.(mkdir|rename|link|symlink|remove|rmdir|truncate|chmod)|shutil|subp", event
        ):
            self.found.append(str(arguments[0]))


WRITES = Writes()
# Only once: a hook cannot be taken away again.
sys.addaudithook(WRITES.hear)


@pytest.fixture
def writes() -> Iterator[list[str]]:
    """The paths written to during the test, or the other ways to change a disk."""
    WRITES.found = []
    yield WRITES.found
    WRITES.watching = False


def everything_below(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path with its size and when it was last changed."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")
    }


@dataclass(frozen=True)
class Outcome:
    """What came of opening an archive and reading all of it."""

    error: BadArchive | None
    has_opened: bool
    names: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)


def outcome_of(path: Path, scratch: Path) -> Outcome:
    try:
        source = open_source(path, scratch)
    except BadArchive as error:
        return Outcome(error, False)
    with closing(source):
        names = tuple(source.names())
        try:
            for name in names:
                source.read(name)
        except BadArchive as error:
            return Outcome(error, True)
        return Outcome(None, True, names, {each.name: str(each.reason) for each in source.skipped})


@pytest.mark.parametrize("what", CORPUS)
def test_hostile_archive_gets_exactly_its_sentence_and_writes_nothing(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: list[str]
) -> None:
    case = CORPUS[what]
    folders = {name: tmp_path / name for name in ("uploads", "scratch", "temporary", "here")}
    for folder in folders.values():
        folder.mkdir()
    path = folders["uploads"] / case.file_name
    path.write_bytes(case.content())
    monkeypatch.chdir(folders["here"])
    monkeypatch.setattr(tempfile, "tempdir", str(folders["temporary"]))
    for module in LIMITED:
        for limit, value in case.limits.items():
            if hasattr(module, limit):
                monkeypatch.setattr(module, limit, value)
    before, num_open = everything_below(tmp_path), len(os.listdir("/proc/self/fd"))

    WRITES.watching = True
    outcome = outcome_of(path, folders["scratch"])
    WRITES.watching = False

    assert everything_below(tmp_path) == before
    assert len(os.listdir("/proc/self/fd")) == num_open
    is_compressed = "tar." in what or "of one file" in what
    assert all(Path(each).is_relative_to(folders["scratch"]) for each in writes), writes
    assert bool(writes) == is_compressed
    if case.refusal:
        assert outcome.error is not None, outcome
        assert str(outcome.error).startswith(case.refusal)
        assert str(outcome.error).isprintable() and len(str(outcome.error)) < 1500
        assert outcome.has_opened == case.while_reading
    else:
        assert outcome.error is None, str(outcome.error)
        assert outcome.names == tuple(sorted(case.names))
        assert outcome.skipped.keys() == case.skipped.keys()
        assert all(words in outcome.skipped[name] for name, words in case.skipped.items())


def test_the_corpus_is_large() -> None:
    assert sum(bool(case.refusal) for case in CORPUS.values()) >= 30


FUZZED = {
    "zip": lambda: zip_of(
        b"images/1.png", Entry(name="ä/2.png".encode(), data=bytes(999), method=DEFLATED)
    ),
    "zip64": lambda: zip_of(
        Entry(name=b"a.png", size=0xFFFF_FFFF, extra=zip64_sizes(1)),
        Entry(name=b"b.png", extra=unicode_path(b"b.png", "图.png".encode())),
        num_disks_64=1,
    ),
    "tar": lambda: tar_of(
        tar_entry(b"images/", b"", b"5"), GOOD, pax(path="图.png".encode(), size=b"1"), GOOD,
        tar_entry(b"L", b"long/name.png", b"L"), tar_entry(b"c.png", bytes(range(256)) * 3),
    ),
    "tar.gz": lambda: gzip.compress(tar_of(GOOD, pax(path=b"b.png"), tar_entry(b"b.png"))),
    "tar.bz2": lambda: bz2.compress(tar_of(GOOD)),
    "tar.xz": lambda: lzma.compress(tar_of(GOOD)),
}  # fmt: skip


@pytest.mark.parametrize("kind", FUZZED)
def test_whatever_is_broken_in_an_archive_ends_in_a_sentence(kind: str, tmp_path: Path) -> None:
    good = FUZZED[kind]()
    path = tmp_path / "x"
    path.write_bytes(good)
    assert outcome_of(path, tmp_path).error is None
    chance = random.Random(0)
    num_refused = 0
    for _ in range(250):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.choice([0, 1, 255, chance.randrange(256)])
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        # Any other error than BadArchive comes through and fails the test.
        num_refused += bool(outcome_of(path, tmp_path).error)
    assert num_refused > 40


def test_broken_headers_with_a_right_checksum_end_in_a_sentence(tmp_path: Path) -> None:
    """A flipped byte in a tar is met by the checksum; here it is made to fit again."""
    good = FUZZED["tar"]()
    headers = [at for at in range(0, len(good), 512) if good[at + 257 : at + 262] == b"ustar"]
    chance = random.Random(1)
    path = tmp_path / "x"
    num_refused = 0
    for _ in range(400):
        data = bytearray(good)
        start = chance.choice(headers)
        for _ in range(chance.randint(1, 3)):
            data[start + chance.choice([chance.randrange(512), *range(124, 136), 156])] = (
                chance.choice([*b"01234567xgLKS", 0, 128, 255])
            )
        data[start + 148 : start + 156] = b" " * 8
        data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
        path.write_bytes(data)
        num_refused += bool(outcome_of(path, tmp_path).error)
    assert num_refused > 40


def test_no_name_reaches_a_file_that_was_left_out_or_lies_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    path = tmp_path / "x.zip"
    for content in (zip_of(b"a.png", b".b"), tar_of(GOOD, tar_entry(b".b"))):
        path.write_bytes(content)
        with open_source(path) as source:
            for name in (".b", "../secret", str(tmp_path / "secret"), "./a.png", "A.PNG", ""):
                with pytest.raises(NotFound):
                    source.read(name)
