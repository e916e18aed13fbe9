"""The end of a log, however long the log."""

import os

import pytest

from engine.files import Files
from engine.jobs.logs import log_key, tail


@pytest.fixture
def write_log(tmp_path):
    def write(content):
        files = Files(tmp_path)
        with files.writing(log_key("j")) as path:
            path.write_bytes(content)
        return files

    return write


def test_job_without_a_log_has_an_empty_one(tmp_path, write_log):
    assert tail(Files(tmp_path), "j", 5) == ""
    assert tail(write_log(b""), "j", 5) == ""


def test_tail_is_the_last_lines(write_log):
    files = write_log("".join(f"line {number}\n" for number in range(100)).encode())
    assert tail(files, "j", 3) == "line 97\nline 98\nline 99"
    assert tail(files, "j", 1000).startswith("line 0\n")


def test_line_that_is_still_being_written_is_shown(write_log):
    assert tail(write_log(b"done\nhalf"), "j", 2) == "done\nhalf"


def test_cost_does_not_grow_with_the_log(write_log):
    files = write_log(b"")
    path = files.path(log_key("j"))
    # Nothing but a hole on the disk; reading it all would take minutes and 64 GB of memory.
    os.truncate(path, 64 * 2**30)
    with open(path, "ab") as log:
        log.write(b"\nfirst\nsecond\n")
    assert tail(files, "j", 2) == "first\nsecond"


def test_broken_text_is_shown_as_far_as_it_goes(write_log):
    assert tail(write_log(b"\xff\xfe ok\n"), "j", 1) == "�� ok"
    # Cut in the middle of a character.
    content = "é".encode() * 40_000 + b"x\nend\n"
    assert tail(write_log(content), "j", 1) == "end"
    assert tail(write_log(content), "j", 2).endswith("éx\nend")
