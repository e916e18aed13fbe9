"""States on disk: what was saved comes back, and nothing that was damaged or foreign does."""

import os
import pickle
import shutil

import pytest
import torch

from engine.errors import BadData, DiskFull
from engine.files import Files
from engine.run_files import last_key, previous_key
from engine.training import checkpoint
from engine.training.checkpoint import (
    STATE_FORMAT,
    load_newest,
    load_state,
    save_last,
    save_state,
)

FOLDER = "runs/a"


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def state(number):
    return {"number": number, "tensors": [torch.arange(5) * number], "plain": (1.5, None, "ä")}


@pytest.fixture
def saved(files):
    """A run that has saved three times: `last` is 3, `previous` is 2."""
    for number in (1, 2, 3):
        save_last(files, FOLDER, state(number))
    return files.path(last_key(FOLDER)), files.path(previous_key(FOLDER))


def test_last_and_previous_are_the_two_newest(files, saved):
    last, previous = map(load_state, saved)
    assert (last["number"], previous["number"]) == (3, 2)
    assert torch.equal(last["tensors"][0], torch.arange(5) * 3)
    assert last["plain"] == (1.5, None, "ä")
    found, note = load_newest(files, FOLDER)
    assert (found["number"], note) == (3, None)
    assert sorted(path.name for path in saved[0].parent.iterdir()) == ["last.pt", "previous.pt"]


def test_nothing_is_newest_where_nothing_was_saved(files):
    assert load_newest(files, FOLDER) is None


def test_every_single_bit_counts(files):
    """One bit of every byte, another one each time."""
    path = files.path("a.pt")
    save_state(files, "a.pt", {"x": torch.tensor([1.0])})
    whole = path.read_bytes()
    for index in range(len(whole)):
        damaged = bytearray(whole)
        damaged[index] ^= 1 << index % 8
        path.write_bytes(damaged)
        with pytest.raises(BadData, match=r"a\.pt cannot be read"):
            load_state(path)


def test_every_length_but_the_whole_is_refused(files):
    path = files.path("a.pt")
    save_state(files, "a.pt", {"x": torch.tensor([1.0])})
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 7), *range(len(whole) - 80, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(BadData, match="cannot be read"):
            load_state(path)
    path.write_bytes(whole)
    assert load_state(path)["x"].tolist() == [1.0]


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [cut, os.unlink, lambda path: path.write_bytes(b"")])
def test_previous_state_takes_the_place_of_a_damaged_last_one_and_says_so(files, saved, damage):
    damage(saved[0])
    found, note = load_newest(files, FOLDER)
    assert found["number"] == 2
    assert "previous" in str(note) and "last.pt cannot be read" in str(note)


def test_two_damaged_states_are_refused_and_left_where_they_are(files, saved):
    for path in saved:
        cut(path)
    with pytest.raises(BadData, match=r"Neither the last checkpoint last\.pt.*best weights"):
        load_newest(files, FOLDER)
    assert all(path.exists() for path in saved)
    saved[1].unlink()
    with pytest.raises(BadData, match="No such file"):
        load_newest(files, FOLDER)


@pytest.mark.parametrize("seen", [1, STATE_FORMAT + 1])
def test_state_of_another_version_is_refused_and_not_passed_over(files, saved, seen, monkeypatch):
    monkeypatch.setattr(checkpoint, "STATE_FORMAT", seen)
    save_last(files, FOLDER, state(4))
    monkeypatch.undo()
    with pytest.raises(BadData, match=f"format {seen}; this version reads {STATE_FORMAT}"):
        load_newest(files, FOLDER)
    torch.save({"format": seen}, saved[0])
    with pytest.raises(BadData, match=f"format {seen}"):
        load_newest(files, FOLDER)


def test_state_of_the_version_before_is_read_without_a_sum(files):
    files.path("runs/a/checkpoints").mkdir(parents=True)
    torch.save({"format": 2, "number": 7}, files.path(last_key(FOLDER)))
    assert load_newest(files, FOLDER)[0]["number"] == 7


def test_nothing_in_a_state_is_executed(files, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    torch.save({"format": 2, "evil": Evil()}, files.path("a.pt"))
    files.path("b.pt").write_bytes(pickle.dumps(Evil(), protocol=2))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(BadData, match="cannot be read"):
            load_state(files.path(name))
    assert not (tmp_path / "executed").exists()


def disk_with(monkeypatch, files, num_bytes):
    """A disk that has room for so much beside what is there at first."""

    def usage(_path):
        used = sum(path.stat().st_size for path in files.root.rglob("*") if path.is_file())
        return shutil._ntuple_diskusage(0, used, num_bytes - used)

    monkeypatch.setattr(shutil, "disk_usage", usage)


LARGE = {"x": torch.zeros(2**20)}
"""4 MiB."""
MIB = 2**20


def test_previous_state_makes_room_for_a_new_one_before_the_disk_is_called_full(files, monkeypatch):
    for _ in range(2):
        save_last(files, FOLDER, LARGE)
    # Two of them and what is written, but not three.
    disk_with(monkeypatch, files, 10 * MIB)
    save_last(files, FOLDER, LARGE)
    assert load_newest(files, FOLDER)[1] is None
    assert files.path(previous_key(FOLDER)).exists()
    disk_with(monkeypatch, files, 8 * MIB)
    with pytest.raises(DiskFull, match="Free some and try again"):
        save_last(files, FOLDER, LARGE)
    assert load_newest(files, FOLDER)[1] is None
    assert [path.name for path in files.path(last_key(FOLDER)).parent.iterdir()] == ["last.pt"]


def test_disk_that_fills_up_while_a_state_is_written_leaves_the_last_one(files, saved, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(DiskFull):
        save_last(files, FOLDER, state(4))
    monkeypatch.undo()
    found, note = load_newest(files, FOLDER)
    assert (found["number"], note) == (3, None)


def test_damaged_last_state_is_not_kept_in_place_of_a_sound_previous_one(files, saved):
    cut(saved[0])
    save_last(files, FOLDER, state(4), keep_last=False)
    assert load_state(saved[0])["number"] == 4
    assert load_state(saved[1])["number"] == 2
