"""What an archive may hold, and that everything else is refused with a sentence."""

import gzip
import io
import os
import random
import stat
import struct
import tarfile
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.datasets.archive import Source, entry_names, open_source, zip_directory
from engine.datasets.archive import source as archive_source
from engine.errors import BadArchive, NotFound, Refused
from tests.engine.datasets.hostile import Entry, tar_entry, tar_of, unicode_path, zip_of

MakeZip = Callable[..., Path]


def patched(path: Path, **fields: int) -> Path:
    """Overwrite header fields of a zip's only member, in its local and its central header."""
    # Offsets in the local and in the central header (PKWARE APPNOTE 4.3.7 and 4.3.12).
    offsets = {
        "flags": (6, 8, "<H"),
        "crc": (14, 16, "<L"),
        "size": (22, 24, "<L"),
        "attributes": (None, 38, "<L"),
    }
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    for field, value in fields.items():
        local_offset, central_offset, form = offsets[field]
        struct.pack_into(form, data, central + central_offset, value)
        if local_offset is not None:
            struct.pack_into(form, data, local_offset, value)
    path.write_bytes(data)
    return path


def renamed(path: Path, placeholder: bytes, name: bytes) -> Path:
    """Put raw bytes in the place of a member's name, which must be as long."""
    assert len(placeholder) == len(name)
    path.write_bytes(path.read_bytes().replace(placeholder, name))
    return path


def refusal(path: Path) -> str:
    """The sentence that a source is refused with, when it is opened or when it is read."""
    with pytest.raises(BadArchive) as caught, open_source(path) as source:
        for name in source.names():
            source.read(name)
    return str(caught.value)


def test_files_of_a_zip_are_listed_in_order_and_read_unchanged(make_zip: MakeZip) -> None:
    path = make_zip({"b/2.png": b"two", "a.txt": b"", "b/1.png": b"one"})
    with open_source(path) as source:
        assert source.names() == ["a.txt", "b/1.png", "b/2.png"]
        assert [source.read(name) for name in source.names()] == [b"", b"one", b"two"]


def test_a_folder_reads_like_a_zip_of_it(tmp_path: Path) -> None:
    (tmp_path / "set" / "b").mkdir(parents=True)
    (tmp_path / "set" / "b" / "1.png").write_bytes(b"one")
    (tmp_path / "set" / "a.txt").write_bytes(b"")
    with open_source(tmp_path / "set") as source:
        assert source.names() == ["a.txt", "b/1.png"]
        assert source.read("b/1.png") == b"one"


JUNK = ["__MACOSX/._1.png", ".DS_Store", "a/.hidden/1.png", "a/Thumbs.db", "desktop.ini"]
BY_A_SYSTEM = "An operating system left it there"
HIDDEN = "begins with a dot"
INNER_ARCHIVE = "Archives inside are not opened."


def reasons(source: Source) -> dict[str, str]:
    return {each.name: str(each.reason) for each in source.skipped}


def test_what_operating_systems_leave_behind_is_left_out_and_told(
    make_zip: MakeZip, tmp_path: Path
) -> None:
    members = dict.fromkeys([*JUNK, "a/1.png"], b"x")
    with open_source(make_zip(members)) as source:
        assert source.names() == ["a/1.png"]
        told = reasons(source)
        assert list(told) == sorted(JUNK)
        assert HIDDEN in told.pop("a/.hidden/1.png")
        assert all(BY_A_SYSTEM in reason for reason in told.values())
        with pytest.raises(NotFound):
            source.read(".DS_Store")
    for name in members:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(b"x")
    with open_source(tmp_path / "set") as source:
        assert source.names() == ["a/1.png"]
        # A folder that is left out is told once: it may be a “.git” with a million files.
        assert sorted(reasons(source)) == [
            ".DS_Store", "__MACOSX", "a/.hidden", "a/Thumbs.db", "desktop.ini"
        ]  # fmt: skip


def test_archives_inside_are_told_and_not_opened(make_zip: MakeZip, tmp_path: Path) -> None:
    inner = ["b.zip", "c.TAR", "d.7z", "e.rar", "f.tar.gz", "g.gz", "h/i.tgz"]
    members = dict.fromkeys(["a.png", *inner], b"x")
    (tmp_path / "set" / "h").mkdir(parents=True)
    for name in members:
        (tmp_path / "set" / name).write_bytes(b"x")
    for path in (make_zip(members), tmp_path / "set"):
        with open_source(path) as source:
            assert source.names() == ["a.png"]
            told = reasons(source)
            assert list(told) == inner
            assert all(INNER_ARCHIVE in reason for reason in told.values())


def test_a_picture_named_after_an_archive_is_not_left_out(make_zip: MakeZip) -> None:
    names = ["a.zip.png", "gz", "scan.zip/1.png", "tar.gz.d/1.png", "..a/1.png"]
    with open_source(make_zip(dict.fromkeys(names, b"x"))) as source:
        assert source.names() == sorted(names)[1:]
        assert list(reasons(source)) == ["..a/1.png"]


def test_backslashes_and_dots_are_plain_separators(make_zip: MakeZip) -> None:
    with open_source(make_zip({".\\images\\1.png": b"x"})) as source:
        assert source.names() == ["images/1.png"]
        assert source.read("images/1.png") == b"x"


def test_an_unknown_name_is_not_found(make_zip: MakeZip) -> None:
    with open_source(make_zip({"a": b"x"})) as source, pytest.raises(NotFound, match="“b”"):
        source.read("b")


def test_closing_twice_is_fine(make_zip: MakeZip) -> None:
    source = open_source(make_zip({"a": b"x"}))
    source.close()
    source.close()


def test_many_threads_read_the_same_zip(make_zip: MakeZip) -> None:
    members = {f"{n}.bin": random.Random(n).randbytes(20_000) for n in range(50)}
    with open_source(make_zip(members)) as source, ThreadPoolExecutor(8) as pool:
        names = source.names() * 4
        assert list(pool.map(source.read, names)) == [members[name] for name in names]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty file"),
        (b"Rar!\x1a\x07", "RAR"),
        (b"\x89PNG\r\n", "PNG picture"),
        (b"hello", "something else"),
    ],
)
def test_a_file_that_is_no_archive_is_named_with_what_it_is(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    (tmp_path / "data.zip").write_bytes(content)
    message = refusal(tmp_path / "data.zip")
    assert "“data.zip” is neither a zip nor a tar file but" in message and kind in message


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert "no file or folder" in refusal(tmp_path / "nothing")
    assert "no file or folder" in refusal(Path("a\0b"))
    assert "cannot be read" in refusal(Path("a" * 5000))


def test_a_truncated_zip_is_refused(make_zip: MakeZip) -> None:
    path = make_zip({"a": b"x" * 1000, "b": b"y"})
    path.write_bytes(path.read_bytes()[:-30])
    assert "damaged or cut off" in refusal(path)


def test_an_empty_zip_and_an_empty_folder_are_refused(make_zip: MakeZip, tmp_path: Path) -> None:
    assert "holds no files" in refusal(make_zip({}))
    assert "holds no files" in refusal(make_zip(dict.fromkeys(JUNK, b"x")))
    (tmp_path / "empty").mkdir()
    assert "holds no files" in refusal(tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../a.png", "leads out"),
        ("a/../../b.png", "leads out"),
        ("a\\..\\..\\b.png", "leads out"),
        ("/etc/passwd", "absolute path"),
        ("\\\\server\\share", "absolute path"),
        ("C:\\a.png", "absolute path"),
        ("c:a.png", "absolute path"),
        ("a\x1b[31m.png", "control characters"),
        ("a\nb.png", "control characters"),
        ("a\u2028b.png", "control characters"),
        ("a" * 1001, "1001 characters"),
    ],
)
def test_unsafe_names_are_refused(make_zip: MakeZip, name: str, reason: str) -> None:
    message = refusal(make_zip({"ok.png": b"x", name: b"x"}))
    assert reason in message
    assert message.isprintable()


def test_a_name_that_goes_on_behind_a_null_byte_is_refused(make_zip: MakeZip) -> None:
    assert "control characters" in refusal(renamed(make_zip({"a.png_x": b""}), b"_x", b"\0x"))


def test_a_folder_with_an_undecodable_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    message = refusal(tmp_path / "set")
    assert "broken encoding" in message
    message.encode("utf-8")


def test_two_files_of_one_name_are_refused(make_zip: MakeZip, tmp_path: Path) -> None:
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(tmp_path / "d.zip", "w") as z,
    ):
        z.writestr("a.png", b"one")
        z.writestr("a.png", b"two")
    assert "“a.png” twice" in refusal(tmp_path / "d.zip")
    assert "twice" in refusal(make_zip({"a/b.png": b"", "a\\b.png": b""}))


def test_names_that_differ_only_in_case_are_refused(make_zip: MakeZip) -> None:
    assert "“a.png” and “A.PNG”" in refusal(make_zip({"a.png": b"", "A.PNG": b""}))


def test_names_that_differ_only_in_how_an_accent_is_stored_are_refused(make_zip: MakeZip) -> None:
    message = refusal(make_zip({"\u00e9.png": b"", "e\u0301.png": b""}))
    assert "twice: its accents are stored in two ways" in message


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(make_zip: MakeZip, kind: int) -> None:
    path = patched(make_zip({"a.png": b"/etc/passwd"}), attributes=(kind | 0o777) << 16)
    assert "“a.png” in “data.zip” is a link or a device" in refusal(path)


def test_links_in_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "set" / "images").symlink_to(tmp_path / "secret")
    assert "“images” in “set” is a link" in refusal(tmp_path / "set")
    (tmp_path / "set" / "images").unlink()
    (tmp_path / "set" / "a.png").symlink_to("/etc/passwd")
    assert "“a.png” in “set” is a link" in refusal(tmp_path / "set")


def test_a_file_that_becomes_a_link_after_listing_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    path = tmp_path / "set" / "a.png"
    path.write_bytes(b"x")
    with open_source(tmp_path / "set") as source:
        path.unlink()
        path.symlink_to("/etc/passwd")
        with pytest.raises(BadArchive, match=r"a\.png"):
            source.read("a.png")
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(BadArchive, match="device"):
            source.read("a.png")


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_encrypted_zips_are_refused(make_zip: MakeZip, flag: int) -> None:
    assert "encrypted" in refusal(patched(make_zip({"a.png": b"x"}), flags=flag))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_without_a_limit_per_step_is_refused(make_zip: MakeZip, method: int) -> None:
    assert f"method {method}" in refusal(make_zip({"a.png": b"x" * 100}, method=method))


def test_a_bomb_is_refused_by_its_ratio_before_anything_is_unpacked(
    make_zip: MakeZip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_source, "RATIO_FREE_BYTES", 1_000_000)
    path = make_zip({"a.png": bytes(2_000_000)})
    with pytest.raises(BadArchive, match="bomb"):
        open_source(path)
    with open_source(make_zip({"a.png": bytes(900_000)})) as source:
        assert len(source.read("a.png")) == 900_000


def test_totals_counts_and_tables_of_contents_have_limits(
    make_zip: MakeZip, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_zip({f"{n}.png": b"x" * 1000 for n in range(5)})
    for module, limit, value, words in (
        (archive_source, "MAX_TOTAL_BYTES", 4999, "at most 0 MiB"),
        (zip_directory, "MAX_DIRECTORY_BYTES", 100, "table of contents"),
        (entry_names, "MAX_ENTRIES", 4, "more than 4 files"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, value)
            assert words in refusal(path)


def test_a_large_file_is_refused_only_when_it_is_read(
    make_zip: MakeZip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_source, "MAX_FILE_BYTES", 1000)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").write_bytes(bytes(1001))
    for path in (make_zip({"a.png": bytes(1001)}), tmp_path / "set"):
        with open_source(path) as source:
            assert source.names() == ["a.png"]
            with pytest.raises(BadArchive, match="at most 0 MiB"):
                source.read("a.png")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("claimed_bytes", [10, 2000])
def test_a_member_of_another_size_than_it_claims_is_refused(
    make_zip: MakeZip, method: int, claimed_bytes: int
) -> None:
    content = bytes(1000)
    # The checksum of what `zipfile` would hand out, so that only the size can tell.
    crc = zlib.crc32(content[:claimed_bytes])
    path = patched(make_zip({"a.png": content}, method=method), size=claimed_bytes, crc=crc)
    assert "“a.png” in “data.zip”" in refusal(path)


def test_a_damaged_member_is_named(make_zip: MakeZip) -> None:
    path = make_zip({"a.png": b"hello world"}, method=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"hello", b"jello"))
    assert "“a.png” in “data.zip” cannot be read" in refusal(path)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("图像/1.png".encode("gbk"), "图像/1.png"),
        ("é图/1.png".encode(), "é图/1.png"),
        (b"\xff\xff/1.png", "\u00a0\u00a0/1.png"),
    ],
)
def test_names_of_old_windows_tools_are_understood(
    make_zip: MakeZip, raw: bytes, name: str
) -> None:
    placeholder = b"_" * len(raw)
    path = renamed(make_zip({placeholder.decode(): b"x"}), placeholder, raw)
    with open_source(path) as source:
        assert source.names() == [name]
        assert source.read(name) == b"x"


def tar_file(path: Path, members: Mapping[str, bytes], mode: str = "w", format: int = 1) -> Path:
    """A tar of these members by the standard library."""
    with tarfile.open(path, mode, format=format) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


MEMBERS = {
    "images/1.png": bytes(range(256)) * 10,
    "empty.txt": b"",
    "deep/" * 20 + "n" * 90 + ".png": b"long",
    "图像/é.png": b"unicode",
    "block.bin": bytes(512),
}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_of_any_kind_reads_like_a_zip_of_it_whatever_it_is_called(
    tmp_path: Path, mode: str, format: int
) -> None:
    path = tar_file(tmp_path / "data.zip", MEMBERS, mode, format)
    with open_source(path) as source:
        assert source.label == "data.zip"
        assert source.names() == sorted(MEMBERS)
        assert {name: source.read(name) for name in source.names()} == MEMBERS
        assert source.skipped == ()


def test_a_zip_called_tar_reads_as_a_zip(make_zip: MakeZip) -> None:
    with open_source(make_zip(MEMBERS, "data.tar.gz")) as source:
        assert {name: source.read(name) for name in source.names()} == MEMBERS


def test_many_threads_read_the_same_tar(tmp_path: Path) -> None:
    members = {f"{n:02}.bin": random.Random(n).randbytes(20_000) for n in range(50)}
    path = tar_file(tmp_path / "data.tgz", members, "w:gz")
    with open_source(path) as source, ThreadPoolExecutor(8) as pool:
        names = source.names() * 4
        assert list(pool.map(source.read, names)) == [members[name] for name in names]


def test_a_compressed_tar_is_unpacked_into_the_scratch_folder_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tar_file(tmp_path / "data.tgz", MEMBERS, "w:gz")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "there is no such folder"))
    source = open_source(path, tmp_path / "scratch")
    assert source.read("images/1.png") == MEMBERS["images/1.png"]
    source.close()
    source.close()
    assert list((tmp_path / "scratch").iterdir()) == []
    with pytest.raises(Refused, match="Free disk space"):
        open_source(path)
    # A plain tar and a zip need no such folder.
    with open_source(tar_file(tmp_path / "data.tar", MEMBERS)) as plain:
        assert plain.names() == sorted(MEMBERS)


@pytest.mark.parametrize("num_bytes", [1, 10**5, 10**6])
def test_a_full_disk_while_unpacking_is_not_blamed_on_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_bytes: int
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    content = tar_of(tar_entry(b"a", random.Random(0).randbytes(num_bytes)))
    (tmp_path / "x").write_bytes(gzip.compress(content))
    full = io.BufferedRandom(io.FileIO("/dev/full", "r+"))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: full)
    with pytest.raises(Refused, match="No space left"):
        open_source(tmp_path / "x")
    assert full.closed


CHINESE = ["图像/细胞_1.png", "掩膜/细胞_1.png", "朱镕/a.png", "肿瘤（左）.png", "数据1.png"]
WESTERN = ["Zelle_ä.png", "Bär.png", "Größe/Süß.png", "10µm.png", "peñón.png", "naïve.png"]


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        *((names, "utf-8") for names in (CHINESE, WESTERN)),
        *(([name], "gbk") for name in CHINESE),
        *(([name], "cp437") for name in WESTERN),
        (CHINESE, "gbk"),
        (WESTERN, "cp437"),
        # One name alone would read as GBK.
        ([*WESTERN, "áéíóú.png"], "cp437"),
        # A character that only GBK has, among common ones.
        ([*CHINESE, "镕.png", "學.png"], "gbk"),
    ],
)
def test_names_without_encoding_are_decided_together(
    tmp_path: Path, names: list[str], encoding: str
) -> None:
    (tmp_path / "x.zip").write_bytes(zip_of(*[name.encode(encoding) for name in names]))
    with open_source(tmp_path / "x.zip") as source:
        assert source.names() == sorted(names)
        assert all(source.read(name) == b"x" for name in names)


def test_names_with_an_encoding_keep_it_among_names_without(tmp_path: Path) -> None:
    raw = "Bär".encode("cp437")
    renamed_since = unicode_path(b"another name", "没有".encode())
    content = zip_of(
        Entry(name="图.png".encode(), flags=0x800),
        Entry(name=raw, extra=unicode_path(raw, "图像".encode())),
        Entry(name="Zelle_ä".encode("cp437"), extra=renamed_since),
    )
    (tmp_path / "x.zip").write_bytes(content)
    with open_source(tmp_path / "x.zip") as source:
        assert source.names() == sorted(["图.png", "图像", "Zelle_ä"])


@pytest.mark.parametrize(
    ("names", "encoding"), [(CHINESE, "gbk"), (WESTERN, "latin-1"), (CHINESE, "utf-8")]
)
def test_names_in_a_tar_are_decided_together(
    tmp_path: Path, names: list[str], encoding: str
) -> None:
    (tmp_path / "x").write_bytes(tar_of(*[tar_entry(name.encode(encoding)) for name in names]))
    with open_source(tmp_path / "x") as source:
        assert source.names() == sorted(names)


def test_a_zip_of_200_000_files_opens(tmp_path: Path) -> None:
    # As in a large data set: long names, 64-bit fields where the count needs them.
    names = [b"training/images/patient_%06d/slice.png" % number for number in range(200_000)]
    (tmp_path / "x.zip").write_bytes(zip_of(*names, num_disks_64=1))
    with open_source(tmp_path / "x.zip") as source:
        assert len(source.names()) == 200_000
        assert source.read(source.names()[-1]) == b"x"
    (tmp_path / "x.zip").write_bytes(zip_of(*names, b"one more", num_disks_64=1))
    assert "more than 200000 files" in refusal(tmp_path / "x.zip")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_is_never_in_memory_as_a_whole(tmp_path: Path, kind: str) -> None:
    members = {"large.bin": random.Random(0).randbytes(24_000_000), "small.bin": b"x"}
    path = tmp_path / f"data.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    else:
        tar_file(path, members, "w:gz" if kind == "tar.gz" else "w")
    tracemalloc.start()
    try:
        with open_source(path, tmp_path) as source:
            assert source.read("small.bin") == b"x"
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3_000_000
