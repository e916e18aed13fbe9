"""The files of a home: nobody meets half a file, and nobody leaves the root."""

import errno
import os
import shutil
import subprocess
import sys
import threading

import pytest

from engine.errors import DiskFull, NotFound
from engine.files import Files


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "root")


def names_below(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_file_appears_only_when_its_block_has_ended(files):
    with files.writing("runs/a/weights") as path:
        path.write_bytes(b"new")
        assert not files.path("runs/a/weights").exists()
        assert path.parent == files.path("runs/a")
    assert files.path("runs/a/weights").read_bytes() == b"new"
    assert names_below(files.path("runs/a")) == ["weights"]


def test_reader_sees_the_old_or_the_new_file_and_never_half(files):
    size = 200_000
    target = files.path("state")
    files.root.mkdir()
    target.write_bytes(b"0" * size)
    done = threading.Event()
    seen = []

    def read():
        while not done.is_set():
            content = target.read_bytes()
            seen.append((len(content), len(set(content))))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 40):
            with files.writing("state") as path, open(path, "wb") as file:
                for _ in range(10):
                    file.write(bytes([number]) * (size // 10))
                    file.flush()
    finally:
        done.set()
        reader.join()
    assert seen
    assert set(seen) == {(size, 1)}


def test_failed_block_leaves_nothing_of_a_new_file(files):
    with pytest.raises(ZeroDivisionError), files.writing("a/b") as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError
    assert names_below(files.root) == ["a"]


def test_failed_block_leaves_the_old_file_as_it_was(files):
    with files.writing("a") as path:
        path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), files.writing("a") as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError
    assert files.path("a").read_bytes() == b"old"
    assert names_below(files.root) == ["a"]


def test_block_that_writes_nothing_is_an_error_and_leaves_nothing(files):
    with pytest.raises(FileNotFoundError), files.writing("a"):
        pass
    assert names_below(files.root) == []


def test_staged_folder_appears_as_a_whole(files):
    with files.staging("datasets/x") as folder:
        (folder / "images").mkdir()
        (folder / "images" / "0.png").write_bytes(b"0")
        assert not files.path("datasets/x").exists()
    assert names_below(files.path("datasets")) == ["x", "x/images", "x/images/0.png"]


def test_failed_staging_leaves_nothing(files):
    with pytest.raises(ZeroDivisionError), files.staging("datasets/x") as folder:
        (folder / "0.png").write_bytes(b"0")
        raise ZeroDivisionError
    assert names_below(files.root) == ["datasets"]


def test_staging_over_a_folder_in_use_leaves_that_folder_alone(files):
    with files.staging("datasets/x") as folder:
        (folder / "first").touch()
    with pytest.raises(OSError), files.staging("datasets/x") as folder:
        (folder / "second").touch()
    assert names_below(files.path("datasets")) == ["x", "x/first"]


@pytest.mark.parametrize(
    "key", ["", ".", "..", "../a", "a/../../b", "a/..", "/etc/passwd", "//a", "a\0b"]
)
def test_key_that_leads_out_of_the_root_is_not_found(files, key):
    with pytest.raises(NotFound, match="There is no file"):
        files.path(key)
    with pytest.raises(NotFound), files.writing(key):
        pass
    with pytest.raises(NotFound):
        files.remove(key)


def test_ordinary_keys_lie_below_the_root(files):
    assert files.path("a/./b..c//d.png") == files.root / "a" / "b..c" / "d.png"


def test_remove_takes_files_folders_and_what_is_not_there(files):
    with files.writing("a/b") as path:
        path.touch()
    files.remove("a/b")
    files.remove("a/b")
    assert names_below(files.root) == ["a"]
    files.remove("a")
    assert names_below(files.root) == []


_DIE_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from engine.files import Files

files = Files(Path(sys.argv[1]))
with files.staging("datasets/x") as folder, files.writing("datasets/y") as path:
    (folder / "0.png").touch()
    path.touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_sweep_removes_what_dead_processes_left_and_nothing_else(files):
    subprocess.run([sys.executable, "-c", _DIE_HALF_WAY, str(files.root)], check=False)
    left_over = sorted(files.path("datasets").iterdir())
    assert len(left_over) == 2
    # On another machine a process with that number may well live.
    elsewhere = left_over[0].with_name(f".z.elsewhere-{2**22 + 1}.00000000.tmp")
    elsewhere.touch()
    for name in (".tmp", ".a.tmp", ".a.b.c.tmp", ".hidden", "kept.tmp"):
        (files.path("datasets") / name).touch()
    with files.staging("datasets/mine") as folder, files.writing("datasets/too") as path:
        path.touch()
        files.sweep("datasets")
        assert folder.exists()
        assert path.exists()
    assert not any(each.exists() for each in left_over)
    kept = {each.name for each in files.path("datasets").iterdir()}
    assert kept == {
        "mine", "too", elsewhere.name, ".tmp", ".a.tmp", ".a.b.c.tmp", ".hidden", "kept.tmp",
    }  # fmt: skip


def test_sweep_of_a_folder_that_is_not_there_is_fine(files):
    files.sweep("datasets")
    assert not files.root.exists()


@pytest.fixture
def calls(monkeypatch):
    """What reaches the disk, in order: files and folders that are synced, names that change."""
    seen = []
    fsync, replace = os.fsync, os.replace

    def synced(handle):
        path = os.readlink(f"/proc/self/fd/{handle}")
        seen.append("folder" if os.path.isdir(path) else "content")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append("name"), replace(a, b)))
    return seen


def test_written_file_is_flushed_to_the_disk_before_it_gets_its_name_and_the_name_after(
    files, calls
):
    files.root.mkdir()
    with files.writing("a") as path:
        path.touch()
    assert calls == ["content", "name", "folder"]


def test_new_folders_survive_a_loss_of_power_as_the_file_does(files, calls):
    files.root.mkdir()
    with files.writing("runs/a/b/c") as path:
        path.touch()
    assert calls == ["folder"] * 3 + ["content", "name", "folder"]


def test_name_of_a_staged_folder_is_flushed_too(files, calls):
    files.root.mkdir()
    with files.staging("x") as folder:
        (folder / "a").touch()
    assert calls == ["name", "folder"]


def write(files, key, content, **options):
    with files.writing(key, **options) as path:
        path.write_bytes(content)


def test_file_that_is_kept_gets_the_other_name_and_only_one_is_kept(files):
    for content in (b"1", b"2", b"3"):
        write(files, "a/last", content, keep_as="a/previous")
    assert files.path("a/last").read_bytes() == b"3"
    assert files.path("a/previous").read_bytes() == b"2"
    assert names_below(files.path("a")) == ["last", "previous"]


@pytest.mark.parametrize("num_renames", [0, 1])
def test_death_between_the_two_renames_leaves_one_of_the_files(files, monkeypatch, num_renames):
    write(files, "last", b"old")
    done, replace = [], os.replace

    def die_at_last(source, target):
        if len(done) == num_renames:
            raise KeyboardInterrupt
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", die_at_last)
    with pytest.raises(KeyboardInterrupt):
        write(files, "last", b"new", keep_as="previous")
    left = {path.name: path.read_bytes() for path in files.root.iterdir()}
    assert left == {("previous" if num_renames else "last"): b"old"}


def test_renamed_file_takes_the_place_of_what_has_its_new_name(files):
    write(files, "a", b"a")
    write(files, "b", b"b")
    files.rename("a", "b")
    assert files.path("b").read_bytes() == b"a"
    assert names_below(files.root) == ["b"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_said_in_a_sentence_and_leaves_the_old_file(files, code):
    write(files, "a", b"old")
    with (
        pytest.raises(DiskFull, match="Free some and try again") as full,
        files.writing("a") as path,
    ):
        path.write_bytes(b"half")
        raise OSError(code, os.strerror(code))
    assert os.strerror(code) in str(full.value)
    assert files.path("a").read_bytes() == b"old"
    assert names_below(files.root) == ["a"]


def test_other_errors_of_the_disk_stay_what_they_are(files):
    with pytest.raises(PermissionError), files.writing("a"):
        raise PermissionError(errno.EACCES, "not yours")


def test_room_is_asked_for_with_both_sizes(files):
    files.root.mkdir()
    files.require_free(1)
    free = shutil.disk_usage(files.root).free
    with pytest.raises(DiskFull) as refused:
        files.require_free(free + 2**40)
    assert refused.value.facts["need"] > refused.value.facts["free"] > 0
