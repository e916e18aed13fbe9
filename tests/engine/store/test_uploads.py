"""Uploads: whose they are, what has arrived, and which may be forgotten."""

import json
import time

import pytest

from engine.errors import NotFound
from engine.store import uploads

COUNT_ONE_CHUNK = """
import json, sys
from engine.store import uploads
from engine.store.database import open_database

database = open_database(sys.stdin.readline().strip())
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps([uploads.add_digest(database, "0a", n, f"{n:064x}") for n in range(20)]))
"""


@pytest.fixture
def add(database):
    def add(upload_id="0a", actor="ann", size_bytes=20, limit_bytes=100.0):
        return uploads.add(
            database,
            upload_id=upload_id,
            actor=actor,
            file_name="cells.zip",
            size_bytes=size_bytes,
            limit_bytes=limit_bytes,
        )

    return add


def test_new_upload_has_nothing_and_is_read_as_it_was_added(database, add):
    added = add(size_bytes=1 << 40, limit_bytes=1 << 41)
    assert added == uploads.get(database, "0a")
    assert (added.actor, added.file_name, added.size_bytes) == ("ann", "cells.zip", 1 << 40)
    assert added.digests == ()
    assert added.offset(8) == 0


def test_offset_counts_whole_chunks_and_never_exceeds_the_file(database, add):
    add(size_bytes=20)
    offsets = []
    for number in range(3):
        assert uploads.add_digest(database, "0a", number, f"{number:064x}")
        offsets.append(uploads.get(database, "0a").offset(8))
    assert offsets == [8, 16, 20]
    assert uploads.get(database, "0a").digests == tuple(f"{n:064x}" for n in range(3))


def test_chunk_that_is_not_the_next_changes_nothing(database, add):
    add()
    assert uploads.add_digest(database, "0a", 0, "00")
    before = uploads.get(database, "0a")
    for number in (0, 2, -1):
        assert not uploads.add_digest(database, "0a", number, "ff")
    assert not uploads.add_digest(database, "ff", 0, "ff")
    assert uploads.get(database, "0a") == before


def test_of_two_processes_only_one_counts_each_chunk(database, url, add, talk_to):
    add()
    children = talk_to(2, COUNT_ONE_CHUNK)
    for child in children:
        child.stdin.write(url + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    counted = [json.loads(child.stdout.readline()) for child in children]
    # A process that is ahead may find its chunk not to be next; none is ever counted twice.
    assert all(first + second <= 1 for first, second in zip(*counted, strict=True))
    assert len(uploads.get(database, "0a").digests) == sum(map(sum, counted)) > 0


def test_limit_holds_for_all_uploads_of_one_user_and_for_nobody_else(database, add):
    assert add("0a", size_bytes=60)
    assert add("0b", size_bytes=41) is None
    with pytest.raises(NotFound):
        uploads.get(database, "0b")
    assert add("0b", size_bytes=40)
    assert add("0c", actor="bob", size_bytes=100)
    uploads.remove(database, "0a")
    assert add("0d", size_bytes=60)


def test_uploads_are_listed_by_age_and_by_user(database, add):
    for upload_id, actor in (("0c", "ann"), ("0b", "bob"), ("0a", "ann")):
        add(upload_id, actor=actor)
    assert [upload.id for upload in uploads.of_actor(database, "ann")] == ["0c", "0a"]
    assert [upload.id for upload in uploads.everybodys(database)] == ["0c", "0b", "0a"]
    assert uploads.of_actor(database, "eve") == []


def test_touched_upload_is_not_forgotten_as_stale(database, add):
    add()
    add("0b")
    since = time.time()
    uploads.touch(database, "0a")
    assert not uploads.remove_untouched(database, "0a", since)
    assert uploads.remove_untouched(database, "0b", since)
    assert not uploads.remove_untouched(database, "0b", since)
    assert [upload.id for upload in uploads.everybodys(database)] == ["0a"]


def test_arriving_chunk_counts_as_touch(database, add):
    first = add().touched_at
    uploads.add_digest(database, "0a", 0, "00")
    assert uploads.get(database, "0a").touched_at > first
    assert uploads.get(database, "0a").created_at == first


def test_forgotten_upload_is_not_found_with_what_to_do(database, add):
    add()
    uploads.remove(database, "0a")
    uploads.remove(database, "0a")
    with pytest.raises(NotFound, match="choose the file again"):
        uploads.get(database, "0a")
