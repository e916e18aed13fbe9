"""Uploads: what counts as arrived is on the disk, whatever fails in between."""

import dataclasses
import errno
import hashlib
import os
import shutil
import stat
import threading
import time
from collections import namedtuple
from io import FileIO
from pathlib import Path

import pytest

from engine import uploads
from engine.errors import BadInput, NotFound, Refused
from engine.settings import Settings
from engine.store import uploads as rows
from engine.workbench import Workbench

CHUNK = 8
CONTENT = b"twenty bytes of zip."
GIB = 1 << 30


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def chunks(content: bytes = CONTENT) -> list[bytes]:
    return [content[start : start + CHUNK] for start in range(0, len(content), CHUNK)]


def digest_of_all(content: bytes = CONTENT) -> str:
    return sha256(b"".join(hashlib.sha256(chunk).digest() for chunk in chunks(content)))


class Desk:
    """One user's uploads, with small chunks."""

    def __init__(self, workbench: Workbench, actor: str = "ann"):
        self.workbench, self.actor = workbench, actor

    def open(self, name: str = "cells.zip", size_bytes: int = len(CONTENT)):
        return uploads.open_upload(self.workbench, name, size_bytes, actor=self.actor)

    def append(self, upload, offset: int, content: bytes, digest: str | None = None) -> int:
        return uploads.append(
            self.workbench, upload.id, offset, content, digest or sha256(content),
            actor=self.actor, chunk_bytes=CHUNK,
        )  # fmt: skip

    def fill(self, upload, content: bytes = CONTENT) -> None:
        offset = self.offset(upload)
        while offset < len(content):
            offset = self.append(upload, offset, content[offset : offset + CHUNK])

    def finish(self, upload, digest: str | None = None):
        return uploads.finish(
            self.workbench, upload.id, digest or digest_of_all(), actor=self.actor,
            chunk_bytes=CHUNK,
        )  # fmt: skip

    def offset(self, upload) -> int:
        return uploads.find(self.workbench, upload.id, actor=self.actor).offset(CHUNK)

    def discard(self, upload) -> None:
        uploads.discard(self.workbench, upload.id, actor=self.actor)

    def part(self, upload) -> Path:
        return self.workbench.files.path(f"{uploads.key_of(upload)}.part")


@pytest.fixture
def desk(workbench: Workbench) -> Desk:
    return Desk(workbench)


def with_settings(workbench: Workbench, **changes) -> Workbench:
    return dataclasses.replace(
        workbench, settings=dataclasses.replace(workbench.settings, **changes)
    )


def files_of(workbench: Workbench) -> list[str]:
    root = workbench.files.path("uploads")
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


# --- From the first chunk to the last ---


def test_file_arrives_chunk_by_chunk_and_is_identical(desk, workbench):
    upload = desk.open()
    assert (upload.file_name, upload.actor, upload.digests) == ("cells.zip", "ann", ())
    offsets = [desk.append(upload, start * CHUNK, chunk) for start, chunk in enumerate(chunks())]
    assert offsets == [8, 16, 20]
    assert not uploads.is_finished(workbench, upload)
    assert uploads.of_actor(workbench, "ann") == [uploads.find(workbench, upload.id, actor="ann")]
    finished = desk.finish(upload)
    assert uploads.key_of(finished) == f"uploads/{upload.id}/cells.zip"
    assert workbench.files.path(uploads.key_of(finished)).read_bytes() == CONTENT
    assert uploads.is_finished(workbench, finished)
    assert files_of(workbench) == [f"{upload.id}/cells.zip"]
    assert uploads.of_actor(workbench, "ann") == []


def test_same_file_is_gone_on_with_and_any_other_is_not(desk, workbench):
    upload = desk.open()
    desk.append(upload, 0, chunks()[0])
    again = desk.open()
    assert again.id == upload.id
    assert again.digests == (sha256(chunks()[0]),)
    others = [desk.open("cells2.zip"), desk.open(size_bytes=21), Desk(workbench, "bob").open()]
    assert len({upload.id, *(other.id for other in others)}) == 4
    assert all(other.digests == () for other in others)


def test_finished_file_is_not_written_to_when_its_twin_is_uploaded(desk, workbench):
    first = desk.open()
    desk.fill(first)
    desk.finish(first)
    second = desk.open()
    assert second.id != first.id
    with pytest.raises(uploads.WrongOffset):
        desk.append(first, len(CONTENT), b"more")
    assert workbench.files.path(uploads.key_of(first)).read_bytes() == CONTENT


def test_finishing_twice_is_fine(desk, workbench):
    upload = desk.open()
    desk.fill(upload)
    assert desk.finish(upload) == desk.finish(upload)
    assert files_of(workbench) == [f"{upload.id}/cells.zip"]


@pytest.mark.parametrize("offset", [0, 4, 9, 16])
def test_chunk_at_another_place_is_refused_with_the_right_one(desk, offset):
    upload = desk.open()
    desk.append(upload, 0, chunks()[0])
    with pytest.raises(uploads.WrongOffset, match="8 of 20 bytes") as raised:
        desk.append(upload, offset, chunks()[1])
    assert raised.value.facts["offset"] == 8
    assert desk.part(upload).read_bytes() == chunks()[0]


@pytest.mark.parametrize("content", [b"", b"short", b"too long for it"])
def test_chunk_of_another_length_is_refused(desk, content):
    upload = desk.open()
    with pytest.raises(BadInput, match=rf"has {len(content)} bytes; 8 were expected"):
        desk.append(upload, 0, content)
    assert desk.offset(upload) == 0
    assert desk.part(upload).read_bytes() == b""


def test_last_chunk_may_not_make_the_file_longer(desk):
    upload = desk.open()
    desk.append(upload, 0, chunks()[0])
    desk.append(upload, 8, chunks()[1])
    with pytest.raises(BadInput, match="4 were expected"):
        desk.append(upload, 16, b"8 bytes!")
    assert desk.offset(upload) == 16


def test_damaged_chunk_leaves_nothing(desk):
    upload = desk.open()
    desk.append(upload, 0, chunks()[0])
    with pytest.raises(uploads.Damaged, match="Send it again"):
        desk.append(upload, 8, chunks()[1], digest=sha256(b"something else"))
    assert desk.offset(upload) == 8
    assert desk.part(upload).read_bytes() == chunks()[0]
    assert desk.append(upload, 8, chunks()[1]) == 16


def test_incomplete_file_is_not_finished(desk, workbench):
    upload = desk.open()
    desk.append(upload, 0, chunks()[0])
    with pytest.raises(uploads.WrongOffset) as raised:
        desk.finish(upload)
    assert raised.value.facts["offset"] == 8
    assert files_of(workbench) == [f"{upload.id}/cells.zip.part"]


def test_file_with_another_digest_is_not_finished(desk, workbench):
    upload = desk.open()
    desk.fill(upload)
    with pytest.raises(uploads.Damaged, match="Upload it anew"):
        desk.finish(upload, digest_of_all(CONTENT[::-1]))
    assert files_of(workbench) == [f"{upload.id}/cells.zip.part"]
    desk.finish(upload, digest_of_all().upper())


def test_discarded_upload_leaves_nothing(desk, workbench):
    upload, other = desk.open(), desk.open("other.zip")
    desk.append(upload, 0, chunks()[0])
    desk.discard(upload)
    assert files_of(workbench) == [f"{other.id}/other.zip.part"]
    with pytest.raises(NotFound):
        desk.append(upload, 8, chunks()[1])
    with pytest.raises(NotFound):
        desk.discard(upload)
    assert files_of(workbench) == [f"{other.id}/other.zip.part"]


def test_uploads_of_another_user_are_not_there(desk, workbench):
    upload = desk.open()
    desk.fill(upload)
    eve = Desk(workbench, "eve")
    for attempt in (
        lambda: eve.append(upload, 0, chunks()[0]),
        lambda: eve.finish(upload),
        lambda: eve.discard(upload),
        lambda: eve.offset(upload),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert uploads.of_actor(workbench, "eve") == []
    assert desk.offset(upload) == len(CONTENT)
    assert not uploads.is_finished(workbench, upload)


@pytest.mark.parametrize(
    ("given", "shown", "on_disk"),
    [
        ("../../etc/passwd", "passwd", "passwd"),
        ("C:\\data\\cells.zip", "cells.zip", "cells.zip"),
        ("细胞 <b>.zip", "细胞 <b>.zip", "细胞 _b_.zip"),
        ("a\nb\x00\u202egpj.zip", "a_b__gpj.zip", "a_b__gpj.zip"),
        ("\ud800.zip", "?.zip", "_.zip"),
        ("...", "...", "upload"),
        ("n" * 300 + ".zip", "n" * 251 + ".zip", "n" * 96 + ".zip"),
        ("数" * 90 + ".zip", "数" * 90 + ".zip", "数" * 32 + ".zip"),
    ],
)
def test_name_of_a_browser_becomes_a_harmless_one(desk, workbench, given, shown, on_disk):
    upload = desk.open(given)
    assert upload.file_name == shown
    assert files_of(workbench) == [f"{upload.id}/{on_disk}.part"]
    assert desk.open(given).id == upload.id


@pytest.mark.parametrize(("name", "size"), [("", 20), ("a/", 20), ("a.zip", 0), ("a.zip", -1)])
def test_file_without_name_or_content_is_refused(desk, workbench, name, size):
    with pytest.raises(BadInput):
        desk.open(name, size)
    assert files_of(workbench) == []
    assert uploads.of_actor(workbench, "ann") == []


# --- What fails in between ---


def test_bytes_of_a_server_that_died_while_writing_do_not_count(desk, workbench):
    upload = desk.open()
    desk.append(upload, 0, chunks()[0])
    with open(desk.part(upload), "ab") as file:
        file.write(b"half of a chunk, or far more than one")
    assert desk.offset(upload) == 8
    desk.fill(upload)
    desk.finish(upload)
    assert workbench.files.path(uploads.key_of(upload)).read_bytes() == CONTENT


@pytest.mark.parametrize("written", [0, 5])
def test_full_disk_is_said_with_numbers_and_corrupts_nothing(desk, workbench, monkeypatch, written):
    upload = desk.open()
    desk.append(upload, 0, chunks()[0])

    class Full(FileIO):
        left = written

        def write(self, content):
            if not self.left:
                raise OSError(errno.ENOSPC, "No space left on device")
            num, self.left = self.left, 0
            return super().write(bytes(content[:num]))

    with monkeypatch.context() as patched:
        patched.setattr(uploads.life, "FileIO", Full)
        with pytest.raises(uploads.NoRoom, match=r"needs 0\.000 GiB more.*GiB free"):
            desk.append(upload, 8, chunks()[1])
    assert desk.offset(upload) == 8
    assert desk.part(upload).read_bytes() == chunks()[0]
    desk.fill(upload)
    desk.finish(upload)
    assert workbench.files.path(uploads.key_of(upload)).read_bytes() == CONTENT


def test_write_that_takes_only_some_bytes_is_gone_on_with(desk, workbench, monkeypatch):
    class Slow(FileIO):
        def write(self, content):
            return super().write(bytes(content[:3]))

    monkeypatch.setattr(uploads.life, "FileIO", Slow)
    upload = desk.open()
    desk.fill(upload)
    desk.finish(upload)
    assert workbench.files.path(uploads.key_of(upload)).read_bytes() == CONTENT


def test_other_failures_of_the_disk_leave_the_offset(desk, monkeypatch):
    upload = desk.open()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        with pytest.raises(OSError, match="broken"):
            desk.append(upload, 0, chunks()[0])
    assert desk.offset(upload) == 0
    assert desk.append(upload, 0, chunks()[0]) == 8


def test_upload_whose_file_was_cut_off_begins_anew(desk, workbench):
    upload = desk.open()
    desk.append(upload, 0, chunks()[0])
    os.truncate(desk.part(upload), 3)
    with pytest.raises(NotFound, match="Upload it anew"):
        desk.append(upload, 8, chunks()[1])
    again = desk.open()
    assert again.id != upload.id
    assert again.digests == ()
    assert files_of(workbench) == [f"{again.id}/cells.zip.part"]


def test_upload_whose_file_is_gone_begins_anew(desk):
    upload = desk.open()
    desk.append(upload, 0, chunks()[0])
    desk.part(upload).unlink()
    with pytest.raises(NotFound, match="no longer on the disk"):
        desk.append(upload, 8, chunks()[1])
    assert desk.open().id != upload.id


def test_chunk_sent_many_times_at_once_is_written_once(desk, workbench):
    upload = desk.open()
    outcomes = []
    for number, chunk in enumerate(chunks()):
        start = threading.Barrier(6)

        def send(number=number, chunk=chunk, start=start):
            start.wait()
            try:
                outcomes.append(desk.append(upload, number * CHUNK, chunk))
            except uploads.WrongOffset:
                outcomes.append("refused")

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(map(str, outcomes)) == sorted(["8", "16", "20"] + ["refused"] * 15)
    desk.finish(upload)
    assert workbench.files.path(uploads.key_of(upload)).read_bytes() == CONTENT


def test_chunk_that_arrives_while_its_upload_is_cancelled_leaves_nothing(
    desk, workbench, monkeypatch
):
    upload = desk.open()

    def cancel_first(descriptor: int) -> None:
        desk.discard(upload)

    monkeypatch.setattr(os, "fsync", cancel_first)
    with pytest.raises(NotFound):
        desk.append(upload, 0, chunks()[0])
    assert files_of(workbench) == []
    assert rows.everybodys(workbench.database) == []


# --- Quota and disk ---


def test_quota_counts_everything_not_yet_imported(workbench):
    small = Desk(with_settings(workbench, upload_quota_gib=50 / GIB))
    first = small.open("a.zip", 20)
    small.fill(first)
    small.finish(first)
    second = small.open("b.zip", 30)
    with pytest.raises(uploads.OverQuota, match="Finish or cancel another"):
        small.open("c.zip", 1)
    assert files_of(workbench) == sorted([f"{first.id}/a.zip", f"{second.id}/b.zip.part"])
    assert small.open("b.zip", 30).id == second.id
    Desk(small.workbench, "bob").open("c.zip", 50)
    small.discard(first)
    small.open("c.zip", 20)


def test_quota_is_said_in_gib(workbench):
    desk = Desk(with_settings(workbench, upload_quota_gib=2.5, min_free_gib=0))
    desk.open("a.zip", GIB)
    with pytest.raises(uploads.OverQuota) as raised:
        desk.open("b.zip", 2 * GIB)
    assert "has 2.0 GiB" in str(raised.value)
    assert "may have 2.5 GiB" in str(raised.value)
    assert "have 1.0 GiB" in str(raised.value)


def free_space(monkeypatch, free_bytes: int) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, free_bytes))


def test_file_that_would_fill_the_disk_is_refused_before_it_is_sent(workbench, monkeypatch):
    desk = Desk(with_settings(workbench, min_free_gib=2.0))
    free_space(monkeypatch, 3 * GIB)
    desk.open("a.zip", GIB)
    with pytest.raises(uploads.NoRoom) as raised:
        desk.open("b.zip", GIB + 1)
    for part in ("needs 1.0 GiB more", "has 3.0 GiB free", "2.0 GiB must stay so"):
        assert part in str(raised.value)
    assert [upload.file_name for upload in uploads.of_actor(workbench, "ann")] == ["a.zip"]


def test_disk_that_fills_up_meanwhile_stops_the_upload_and_keeps_what_arrived(
    workbench, monkeypatch
):
    desk = Desk(with_settings(workbench, min_free_gib=1.0))
    upload = desk.open()
    desk.append(upload, 0, chunks()[0])
    with monkeypatch.context() as patched:
        free_space(patched, GIB + CHUNK - 1)
        with pytest.raises(uploads.NoRoom):
            desk.append(upload, 8, chunks()[1])
        free_space(patched, GIB + CHUNK)
        assert desk.append(upload, 8, chunks()[1]) == 16
    assert desk.part(upload).read_bytes() == CONTENT[:16]


# --- Sweeping ---


def age(path: Path, seconds: float) -> None:
    old = time.time() - seconds
    for each in [*path.rglob("*"), path]:
        os.utime(each, (old, old))


def test_sweeping_deletes_what_nobody_goes_on_with_and_nothing_else(desk, workbench):
    stale, fresh, finished = desk.open("stale.zip"), desk.open("fresh.zip"), desk.open()
    lost = desk.open("lost.zip")
    desk.fill(finished)
    desk.finish(finished)
    shutil.rmtree(desk.part(lost).parent)
    time.sleep(0.01)
    before = time.time()
    uploads.open_upload(workbench, "fresh.zip", len(CONTENT), actor="ann")
    assert uploads.sweep_stale(workbench, time.time() - before, actor="worker") == 2
    assert files_of(workbench) == sorted([f"{fresh.id}/fresh.zip.part", f"{finished.id}/cells.zip"])
    assert {row.id for row in rows.everybodys(workbench.database)} == {fresh.id, finished.id}
    with pytest.raises(NotFound):
        desk.append(stale, 0, chunks()[0])
    assert uploads.sweep_stale(workbench, actor="worker") == 0


def test_sweeping_deletes_parts_without_a_row_when_they_are_old(workbench):
    root = workbench.files.path("uploads")
    for name in ("old/a.zip.part", "young/a.zip.part", "waiting/a.zip", "both/a.zip.part",
                 "both/a.zip"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "empty").mkdir()
    for name in ("old", "waiting", "both", "empty"):
        age(root / name, 3700)
    age(root / "young", 3500)
    assert uploads.sweep_stale(workbench, actor="worker") == 2
    assert sorted(path.name for path in root.iterdir()) == ["both", "waiting", "young"]


def test_sweeping_a_home_without_uploads_is_fine(workbench):
    assert uploads.sweep_stale(workbench, actor="worker") == 0


# --- Tickets ---


def test_ticket_is_good_for_its_actor_until_it_runs_out(workbench):
    for actor in ("ann", "", "安 <b>@lab.org"):
        assert uploads.actor_of(workbench, uploads.ticket(workbench, actor, 60)) == actor
    with pytest.raises(uploads.BadTicket, match="Reload the page"):
        uploads.actor_of(workbench, uploads.ticket(workbench, "ann", -1))


def test_forged_ticket_is_refused(workbench, tmp_path):
    good = uploads.ticket(workbench, "ann", 60)
    content, _, signature = good.partition(".")
    other = uploads.ticket(workbench, "eve", 60).partition(".")[0]
    forged = [
        "", ".", "ann", content, f"{content}.", f".{signature}", f"{other}.{signature}",
        f"{content}.{'0' * 64}", good[:-1], good + "0", f"{content}.é", "\ud800.\ud800",
        "e30=." + signature,
    ]  # fmt: skip
    for each in forged:
        with pytest.raises(uploads.BadTicket):
            uploads.actor_of(workbench, each)
    assert uploads.actor_of(workbench, good) == "ann"


def test_ticket_of_another_home_is_refused(workbench, tmp_path):
    files = type(workbench.files)(tmp_path / "other")
    (tmp_path / "other").mkdir()
    other = dataclasses.replace(workbench, files=files)
    with pytest.raises(uploads.BadTicket):
        uploads.actor_of(workbench, uploads.ticket(other, "ann", 60))


def test_secret_is_readable_by_its_owner_only_and_made_once(workbench):
    first = uploads.ticket(workbench, "ann", 60)
    path = workbench.files.path("secret.key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_bytes()
    assert len(secret) == 32
    assert uploads.actor_of(workbench, first) == "ann"
    assert path.read_bytes() == secret
    assert not list(workbench.files.root.glob(".secret*"))
    assert secret.hex() not in first


def test_secret_made_by_two_at_once_is_the_same(workbench, monkeypatch):
    link = os.link
    theirs = b"their secret, made a moment before."

    def overtaken(source, target):
        Path(target).write_bytes(theirs)
        link(source, target)

    monkeypatch.setattr(os, "link", overtaken)
    given = uploads.ticket(workbench, "ann", 60)
    assert workbench.files.path("secret.key").read_bytes() == theirs
    assert uploads.actor_of(workbench, given) == "ann"


def test_emptied_secret_lets_nobody_in(workbench):
    good = uploads.ticket(workbench, "ann", 60)
    workbench.files.path("secret.key").write_bytes(b"")
    for attempt in (lambda: uploads.actor_of(workbench, good),
                    lambda: uploads.ticket(workbench, "ann", 60)):  # fmt: skip
        with pytest.raises(Refused, match="0 bytes instead of 32"):
            attempt()


# --- Server folders ---


@pytest.fixture
def server(tmp_path: Path) -> Settings:
    """A root with archives, folders and traps, and a second root that is not there."""
    root, outside = tmp_path / "data", tmp_path / "outside"
    (root / "Cells").mkdir(parents=True)
    (root / "Cells" / "a.png").touch()
    for name in ("b.zip", "A.ZIP", "c.tar.gz", "notes.txt", ".hidden.zip"):
        (root / name).write_bytes(b"12345")
    (root / ".git").mkdir()
    outside.mkdir()
    (outside / "secret.zip").touch()
    (root / "inside.zip").symlink_to(root / "b.zip")
    (root / "out.zip").symlink_to(outside / "secret.zip")
    (root / "out").symlink_to(outside)
    (root / "dangling.zip").symlink_to(root / "nothing.zip")
    os.mkfifo(root / "pipe.zip")
    settings = Settings.for_home(tmp_path / "home")
    return dataclasses.replace(settings, import_roots=(root, tmp_path / "missing"))


def test_archives_and_folders_of_the_roots_are_offered_and_no_way_out(server, tmp_path):
    entries = uploads.server_entries(server)
    assert [(entry.path.name, entry.size_bytes) for entry in entries] == [
        ("A.ZIP", 5), ("b.zip", 5), ("c.tar.gz", 5), ("Cells", None), ("inside.zip", 5),
    ]  # fmt: skip
    assert {entry.root for entry in entries} == {tmp_path / "data"}


def test_without_roots_nothing_is_offered_and_nothing_allowed(tmp_path):
    settings = Settings.for_home(tmp_path / "home")
    assert uploads.server_entries(settings) == []
    with pytest.raises(Refused):
        uploads.server_path(settings, str(tmp_path))


def test_chosen_path_within_a_root_is_its_real_path(server, tmp_path):
    root = tmp_path / "data"
    for entry in uploads.server_entries(server):
        assert uploads.server_path(server, str(entry.path)) == entry.path.resolve()
    assert uploads.server_path(server, f"{root}/Cells/../b.zip") == root / "b.zip"
    assert uploads.server_path(server, f"{root}/Cells/a.png") == root / "Cells" / "a.png"


@pytest.mark.parametrize(
    "text",
    ["{tmp}/outside/secret.zip", "{tmp}/data/out.zip", "{tmp}/data/out", "{tmp}/data/../outside",
     "{tmp}/data/out/secret.zip", "{tmp}/database", "{tmp}/data2/x.zip", "{tmp}", "/", "", ".",
     "data/b.zip", "{tmp}/data/b.zip\0", "\ud800", "~/b.zip", "/dev/null"],
)  # fmt: skip
def test_path_outside_is_refused_whether_or_not_it_exists(server, tmp_path, text):
    with pytest.raises(Refused, match="WORKBENCH_IMPORT_ROOTS"):
        uploads.server_path(server, text.format(tmp=tmp_path))


def test_what_is_gone_from_a_root_is_not_found(server, tmp_path):
    with pytest.raises(NotFound, match="on the server any more"):
        uploads.server_path(server, f"{tmp_path}/data/gone.zip")


def test_root_above_the_home_does_not_open_the_home(tmp_path):
    settings = Settings.for_home(tmp_path / "kept")
    (tmp_path / "kept" / "uploads").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    settings = dataclasses.replace(settings, import_roots=(tmp_path,))
    assert [entry.path.name for entry in uploads.server_entries(settings)] == ["data"]
    for key in ("kept", "kept/uploads", "data/../kept/secret.key"):
        with pytest.raises(Refused):
            uploads.server_path(settings, f"{tmp_path}/{key}")


def test_root_that_is_itself_a_link_is_allowed(server, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "data")
    settings = dataclasses.replace(server, import_roots=(tmp_path / "link",))
    assert "b.zip" in [entry.path.name for entry in uploads.server_entries(settings)]
    chosen = uploads.server_path(settings, f"{tmp_path}/link/b.zip")
    assert chosen == tmp_path / "data" / "b.zip"
