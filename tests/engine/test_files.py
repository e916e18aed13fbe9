"""The files of a home: nobody meets half a file, and nobody leaves the root."""

import os
import subprocess
import sys
import threading

import pytest

from engine.errors import NotFound
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


def test_written_file_is_flushed_to_the_disk_before_it_gets_its_name(files, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    with files.writing("a") as path:
        path.touch()
    assert order == ["fsync", "replace"]
