"""Names of files inside an archive: which are left out, which are unsafe, how they are shown."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from engine.errors import BadArchive
from engine.notes import Note

MAX_NAME_CHARS = 1000
"""Length of a path inside a source; the store's column is as wide."""
MAX_ENTRIES = 200_000
"""Files in one source."""
MAX_LISTED = 2 * MAX_ENTRIES
"""Entries in one source with folders and what is left out: a Mac adds a hidden file to each."""

_LEFT_BY_SYSTEMS = re.compile(
    r"(^|[/\\])(\._|(__macosx|\.ds_store|thumbs\.db|desktop\.ini|icon\r)([/\\]|\Z))", re.IGNORECASE
)
_BEGINS_WITH_DOT = re.compile(r"(^|[/\\])\.(?!\.?([/\\]|\Z))")
_ARCHIVE_SUFFIX = re.compile(
    r"\.(zip|z\d\d|7z|rar|tar|tgz|tbz2?|txz|gz|bz2|xz|zst)$", re.IGNORECASE
)
_DRIVE_LETTER = re.compile(r"[A-Za-z]:")
_BAD_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They turn the direction of what follows: “gnp.exe” is shown as “exe.png”.
_BAD_CHARS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_SYSTEM = Note("An operating system left it there; it is no data.")
_HIDDEN = Note("Its name or that of its folder begins with a dot: hidden files are left out.")
_INNER_ARCHIVE = Note(
    "Archives inside are not opened. Unpack it, and put its files where it lies now."
)

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out."""

    name: str
    """Its path in the source, fit for a message."""
    reason: Note


def printable(text: str) -> str:
    """The text fit for a message: control characters and broken encodings escaped, not too long."""
    if len(text) > MAX_NAME_CHARS:
        text = f"{text[: MAX_NAME_CHARS - 1]}…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if _is_bad(char) else char for char in text
    )


def reason_to_skip(name: str) -> Note | None:
    """Why a path is left out, if it is, or lies in, what a system or a tool left behind."""
    if _LEFT_BY_SYSTEMS.search(name):
        return _SYSTEM
    if _BEGINS_WITH_DOT.search(name):
        return _HIDDEN
    return None


def is_junk(name: str) -> bool:
    """Whether a path is, or lies in, something an operating system or a tool left behind."""
    return reason_to_skip(name) is not None


def safe_name(name: str, archive: str) -> str:
    """The path as plain relative POSIX path in Unicode's composed form.

    Args:
        name: as the archive has it; backslashes count as separators.
        archive: what messages call the archive.

    Raises:
        BadArchive: the path is absolute, leads out, is too long, or holds control characters.
    """
    # First, so that what is checked is what is used: “K” for kelvin becomes the letter K.
    name = unicodedata.normalize("NFC", name)
    if len(name) > MAX_NAME_CHARS:
        raise BadArchive(
            "“{archive}” holds a path of {num_chars} characters; at most {limit} are accepted. "
            "It begins with “{start}”. Shorten the folder names.",
            archive=archive,
            num_chars=len(name),
            limit=MAX_NAME_CHARS,
            start=printable(name[:60]),
        )
    facts = {"archive": archive, "name": printable(name)}
    if name.startswith(("/", "\\")) or _DRIVE_LETTER.match(name):
        raise BadArchive(
            "“{archive}” holds a file with an absolute path, “{name}”. Paths must be relative. "
            "Make the archive again from inside the folder.",
            **facts,
        )
    parts = _parts(name)
    if ".." in parts:
        raise BadArchive(
            "“{archive}” holds a path that leads out of it, “{name}”. Make the archive again "
            "without “..” in its paths.",
            **facts,
        )
    if not (name.isascii() and name.isprintable()) and any(map(_is_bad, name)):
        raise BadArchive(
            "“{archive}” holds a name with control characters or a broken encoding, “{name}”. "
            "Rename the file and make the archive again.",
            **facts,
        )
    return "/".join(parts)


def checked_entries(
    entries: Iterable[tuple[str, Entry]], archive: str
) -> tuple[dict[str, Entry], tuple[Skipped, ...]]:
    """The files by safe name, and what was left out; both sorted by name.

    Args:
        entries: raw names, folders with a trailing slash, each with what belongs to it.
        archive: what messages call the archive.

    Raises:
        BadArchive: a name is unsafe, two names are equal or differ only in case or accents, there
            are more than `MAX_ENTRIES` files, or there are none.
    """
    by_name: dict[str, Entry] = {}
    raw_by_folded: dict[str, str] = {}
    skipped: list[Skipped] = []
    for number, (raw_name, entry) in enumerate(entries, 1):
        if number > MAX_LISTED or len(by_name) > MAX_ENTRIES:
            raise too_many_entries(archive)
        if raw_name.endswith(("/", "\\")):
            if reason_to_skip(raw_name) is None:
                safe_name(raw_name, archive)
            continue
        if reason := reason_to_skip(raw_name):
            skipped.append(Skipped(printable(raw_name), reason))
            continue
        name = safe_name(raw_name, archive)
        if not name:
            raise BadArchive(
                "“{archive}” holds a file without a name. Make the archive again.", archive=archive
            )
        if _ARCHIVE_SUFFIX.search(name):
            skipped.append(Skipped(name, _INNER_ARCHIVE))
            continue
        folded = name.casefold()
        if folded in raw_by_folded:
            raise _collision(raw_by_folded[folded], raw_name, archive)
        raw_by_folded[folded] = raw_name
        by_name[name] = entry
    if len(by_name) > MAX_ENTRIES:
        raise too_many_entries(archive)
    if not by_name:
        raise _nothing_to_read(skipped, archive)
    return dict(sorted(by_name.items())), tuple(sorted(skipped, key=lambda each: each.name))


def too_many_entries(archive: str) -> BadArchive:
    """The refusal of a source that lists more than `MAX_ENTRIES` files."""
    return BadArchive(
        "“{archive}” holds more than {limit} files. Split it into several datasets.",
        archive=archive,
        limit=MAX_ENTRIES,
    )


def decode_names(names: Sequence[str | bytes], western: Literal["cp437", "latin-1"]) -> list[str]:
    """All names of an archive as text.

    Old tools write names in the code page of their system without saying which. All such names of
    an archive are decided together: UTF-8 if all are, else GBK if they read as Chinese, else the
    western code page. A western letter before a Latin one also reads as GBK, but as a rare
    character outside the 6,763 of GB 2312, which make up nearly all of a Chinese text.

    Args:
        names: text where the archive says the encoding, else bytes.
        western: the code page of western systems for this kind of archive.
    """
    told_by = [name for name in names if isinstance(name, bytes) and not name.isascii()]
    encoding = _encoding_of(told_by, western) if told_by else "ascii"
    return [name if isinstance(name, str) else name.decode(encoding) for name in names]


def _encoding_of(names: Sequence[bytes], western: str) -> str:
    whole = b"\n".join(names)
    try:
        whole.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        chars = whole.decode("gbk")
    except UnicodeDecodeError:
        return western
    codes = [char.encode("gbk") for char in chars if not char.isascii()]
    num_common = sum(0xB0 <= code[0] <= 0xF7 and code[-1] >= 0xA1 for code in codes)
    # Rows A1 to A9 are punctuation, kana and the like: they speak for neither.
    num_rare = sum(code[0] < 0xA1 or code[-1] < 0xA1 for code in codes)
    return "gbk" if num_common and num_common >= num_rare else western


def _is_bad(char: str) -> bool:
    return unicodedata.category(char) in _BAD_CATEGORIES or char in _BAD_CHARS


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


def _collision(first: str, second: str, archive: str) -> BadArchive:
    first, second = "/".join(_parts(first)), "/".join(_parts(second))
    if first == second:
        return BadArchive(
            "“{archive}” holds the file “{name}” twice. Make the archive again.",
            archive=archive,
            name=first,
        )
    if unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", second):
        return BadArchive(
            "“{archive}” holds the file “{name}” twice: its accents are stored in two ways. "
            "Rename one of them.",
            archive=archive,
            name=first,
        )
    return BadArchive(
        "“{archive}” holds “{first}” and “{second}”, which many systems cannot tell apart. "
        "Rename one of them.",
        archive=archive,
        first=first,
        second=second,
    )


def _nothing_to_read(skipped: Sequence[Skipped], archive: str) -> BadArchive:
    inner = sorted(each.name for each in skipped if each.reason is _INNER_ARCHIVE)
    if len(inner) == 1:
        return BadArchive(
            "“{archive}” holds nothing but another archive, “{name}”. Unpack it once, and give "
            "“{name}” instead.",
            archive=archive,
            name=inner[0],
        )
    if inner:
        return BadArchive(
            "“{archive}” holds nothing but {num} archives, the first is “{name}”; archives inside "
            "are not opened. Unpack them all into one folder and give that.",
            archive=archive,
            num=len(inner),
            name=inner[0],
        )
    return BadArchive(
        "“{archive}” holds no files. A dataset is a zip, a tar or a folder with images and masks.",
        archive=archive,
    )
