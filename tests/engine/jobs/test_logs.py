"""The end of a log, and a search in it, however long the log."""

import os

import pytest

from engine.files import Files
from engine.jobs.logs import Hits, LogSearch, log_key, size_bytes, tail, whole


@pytest.fixture
def write_log(tmp_path):
    def write(content):
        files = Files(tmp_path)
        with files.writing(log_key("j")) as path:
            path.write_bytes(content)
        return files

    return write


def append(files, content):
    with open(files.path(log_key("j")), "ab") as log:
        log.write(content)


def test_job_without_a_log_has_an_empty_one(tmp_path, write_log):
    nowhere = Files(tmp_path)
    assert (tail(nowhere, "j", 5), whole(nowhere, "j"), size_bytes(nowhere, "j")) == ("", b"", 0)
    assert tail(write_log(b""), "j", 5) == ""


def test_whole_log_is_all_of_it(write_log):
    files = write_log(b"one\ntwo \xff")
    assert whole(files, "j") == b"one\ntwo \xff"
    assert size_bytes(files, "j") == 9


def test_tail_is_the_last_lines(write_log):
    files = write_log("".join(f"line {number}\n" for number in range(100)).encode())
    assert tail(files, "j", 3) == "line 97\nline 98\nline 99"
    assert tail(files, "j", 1000).startswith("line 0\n")


def test_tail_holds_as_many_lines_as_are_asked_for_though_they_are_long(write_log):
    files = write_log("".join(f"{number} {'x' * 200}\n" for number in range(10_000)).encode())
    lines = tail(files, "j", 5000).splitlines()
    assert len(lines) == 5000
    assert lines[0].startswith("5000 ")


def test_line_that_is_still_being_written_is_shown(write_log):
    assert tail(write_log(b"done\nhalf"), "j", 2) == "done\nhalf"


def test_cost_does_not_grow_with_the_log(write_log):
    files = write_log(b"")
    # Nothing but a hole on the disk; reading it all would take minutes and 64 GB of memory.
    os.truncate(files.path(log_key("j")), 64 * 2**30)
    append(files, b"\nfirst\nsecond\n")
    assert tail(files, "j", 2) == "first\nsecond"
    assert tail(files, "j", 1000).endswith("first\nsecond")


def test_broken_text_is_shown_as_far_as_it_goes(write_log):
    assert tail(write_log(b"\xff\xfe ok\n"), "j", 1) == "�� ok"
    # Cut in the middle of a character.
    content = "é".encode() * 3_000_000 + b"x\nend\n"
    assert tail(write_log(content), "j", 1) == "end"
    assert tail(write_log(content), "j", 2).endswith("éx\nend")


def test_search_finds_lines_and_counts_those_it_does_not_keep(write_log):
    files = write_log("".join(f"Epoch {number}\r\nstep\n" for number in range(9)).encode())
    found = LogSearch(files, "j", "epoch", 2).look()
    assert found == Hits(9, ("Epoch 7", "Epoch 8"))
    assert LogSearch(files, "j", "nothing", 2).look() == Hits(0, ())


def test_search_takes_signs_for_what_they_are(write_log):
    files = write_log(b"a.b\naxb\n[1]\n")
    assert LogSearch(files, "j", "A.B", 9).look().last == ("a.b",)
    assert LogSearch(files, "j", "[1]", 9).look().last == ("[1]",)


def test_search_goes_on_where_it_stood(write_log, monkeypatch):
    files = write_log(b"loss 1\nlos")
    search = LogSearch(files, "j", "loss", 9)
    assert search.look().num_lines == 1
    append(files, b"s 2\n")
    assert search.look() == Hits(2, ("loss 1", "loss 2"))
    monkeypatch.setattr(search, "_take", lambda text: pytest.fail("read twice"))
    assert search.look().num_lines == 2


def test_search_begins_anew_where_the_log_did(write_log, tmp_path):
    search = LogSearch(write_log(b"old loss\nold loss\n"), "j", "loss", 9)
    assert search.look().num_lines == 2
    write_log(b"new loss\n")
    assert search.look() == Hits(1, ("new loss",))
    Files(tmp_path).path(log_key("j")).unlink()
    assert search.look() == Hits(0, ())


def test_search_in_an_endless_line_ends(write_log):
    files = write_log(b"x" * 9_000_000 + b"needle\nneedle\n")
    assert LogSearch(files, "j", "needle", 1).look().last == ("needle",)
