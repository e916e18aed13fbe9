"""The life of an upload: opened, filled chunk by chunk, finished or discarded.

A chunk counts once its digest has been checked, its bytes are on the disk and the digest is in
the row, in this order; so whatever dies in between, going on from the counted bytes is right.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from engine.errors import BadInput, NotFound
from engine.store import uploads
from engine.store.database import new_id
from engine.store.uploads import Upload
from engine.uploads.errors import Damaged, WrongOffset
from engine.uploads.limits import check_room, no_room, over_quota, quota_bytes
from engine.workbench import Workbench

CHUNK_BYTES = 8 << 20
"""Every chunk but a file's last has this size; digests in the store are of such chunks."""

_MAX_SHOWN_CHARS = 255
_MAX_FILE_NAME_BYTES = 100


def open_upload(workbench: Workbench, file_name: str, size_bytes: int, *, actor: str) -> Upload:
    """Begin an upload, or find the unfinished one of the same user, file name and size.

    Raises:
        BadInput: the file is empty or has no name.
        OverQuota: the user has, or would have, too much waiting.
        NoRoom: the disk has no room for it.
    """
    shown = _shown_name(file_name)
    if size_bytes < 1:
        raise BadInput("“{name}” is empty. Choose another file.", name=shown)
    for upload in of_actor(workbench, actor):
        if (upload.file_name, upload.size_bytes) == (shown, size_bytes):
            uploads.touch(workbench.database, upload.id)
            return upload
    check_room(workbench, shown, size_bytes, size_bytes)
    upload_id = new_id()
    folder = workbench.files.path(f"uploads/{upload_id}")
    folder.mkdir(parents=True)
    try:
        (folder / f"{harmless_name(shown)}.part").touch()
        added = uploads.add(
            workbench.database,
            upload_id=upload_id,
            actor=actor,
            file_name=shown,
            size_bytes=size_bytes,
            limit_bytes=quota_bytes(workbench),
        )
        if added is None:
            raise over_quota(workbench, shown, size_bytes, actor)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return added


def find(workbench: Workbench, upload_id: str, *, actor: str) -> Upload:
    """An upload of this user.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    upload = uploads.get(workbench.database, upload_id)
    if upload.actor != actor:
        raise NotFound("There is no upload “{upload}”.", upload=upload_id)
    return upload


def append(
    workbench: Workbench,
    upload_id: str,
    offset: int,
    content: bytes,
    sha256: str,
    *,
    actor: str,
    chunk_bytes: int = CHUNK_BYTES,
) -> int:
    """Add the next chunk and return the new offset; when it fails, the offset is as before.

    Args:
        content: the whole chunk.
        sha256: its digest in hex.

    Raises:
        NotFound: the user has no such upload, or its file is lost.
        WrongOffset: another chunk comes next, or none.
        BadInput: the chunk has the wrong length.
        Damaged: the chunk does not have this digest.
        NoRoom: the disk is full.
    """
    with _locked(workbench, find(workbench, upload_id, actor=actor)) as part:
        # Read again under the lock, which another chunk may have been holding.
        upload = uploads.get(workbench.database, upload_id)
        arrived = upload.offset(chunk_bytes)
        if offset != arrived or arrived == upload.size_bytes:
            raise _wrong_offset(upload, arrived)
        expected = min(chunk_bytes, upload.size_bytes - offset)
        if len(content) != expected:
            raise BadInput(
                "A chunk of “{name}” has {num} bytes; {expected} were expected. Send it again.",
                name=upload.file_name,
                num=len(content),
                expected=expected,
            )
        digest = hashlib.sha256(content).hexdigest()
        if digest != sha256.lower():
            raise Damaged(
                "A chunk of “{name}” was damaged on its way. Send it again.", name=upload.file_name
            )
        check_room(workbench, upload.file_name, upload.size_bytes - offset, len(content))
        _check_length(workbench, upload, part, at_least=offset)
        _write(workbench, upload, part, offset, content)
        if not uploads.add_digest(workbench.database, upload_id, len(upload.digests), digest):
            raise NotFound("The upload of “{name}” was cancelled.", name=upload.file_name)
    return offset + len(content)


def finish(
    workbench: Workbench,
    upload_id: str,
    sha256: str,
    *,
    actor: str,
    chunk_bytes: int = CHUNK_BYTES,
) -> Upload:
    """Check that all of a file has arrived and give it its final name.

    To finish twice is fine, because the answer to the first time may have got lost.

    Args:
        sha256: in hex, of the binary digests of all chunks one after the other.

    Raises:
        NotFound: the user has no such upload, or its file is lost.
        WrongOffset: something is missing.
        Damaged: what has arrived is another file.
    """
    upload = find(workbench, upload_id, actor=actor)
    arrived = upload.offset(chunk_bytes)
    if arrived < upload.size_bytes:
        raise _wrong_offset(upload, arrived)
    digests = b"".join(bytes.fromhex(digest) for digest in upload.digests)
    if hashlib.sha256(digests).hexdigest() != sha256.lower():
        raise Damaged(
            "What has arrived as “{name}” is not the file that was sent. Upload it anew.",
            name=upload.file_name,
        )
    if is_finished(workbench, upload):
        return upload
    with _locked(workbench, upload) as part:
        _check_length(workbench, upload, part, at_least=upload.size_bytes)
        with suppress(FileNotFoundError):
            # Missing only when another finish held the lock before this one.
            os.replace(part_of(workbench, upload), workbench.files.path(key_of(upload)))
    return upload


def discard(workbench: Workbench, upload_id: str, *, actor: str) -> None:
    """Delete an upload and its file, whether it was finished or not.

    Raises:
        NotFound: the user has no such upload.
    """
    find(workbench, upload_id, actor=actor)
    workbench.files.remove(f"uploads/{upload_id}")
    uploads.remove(workbench.database, upload_id)


def of_actor(workbench: Workbench, actor: str) -> list[Upload]:
    """The uploads of a user that can be gone on with, oldest first."""
    found = uploads.of_actor(workbench.database, actor)
    return [upload for upload in found if part_of(workbench, upload).exists()]


def is_finished(workbench: Workbench, upload: Upload) -> bool:
    """Whether the file is there as a whole, under its final name."""
    return workbench.files.path(key_of(upload)).exists()


def key_of(upload: Upload) -> str:
    """Key of the finished file, for `engine.files`."""
    return f"uploads/{upload.id}/{harmless_name(upload.file_name)}"


def part_of(workbench: Workbench, upload: Upload) -> Path:
    """Path of an unfinished upload's file."""
    return workbench.files.path(f"{key_of(upload)}.part")


def harmless_name(file_name: str) -> str:
    """A name for a file on disk that resembles the one a browser gave."""
    harmless = re.sub(r"[^\w .()-]", "_", file_name).encode(errors="replace")
    # Cut in bytes, as file systems count them, and from the left: the suffix says what it is.
    return harmless[-_MAX_FILE_NAME_BYTES:].decode(errors="ignore").strip(" .") or "upload"


def _shown_name(file_name: str) -> str:
    """The name without folders, broken encodings and invisible characters, at most 255 long."""
    last = re.split(r"[/\\]", file_name)[-1].encode(errors="replace").decode()
    visible = "".join("_" if unicodedata.category(char)[0] == "C" else char for char in last)
    shown = visible.strip()[-_MAX_SHOWN_CHARS:]
    if not shown:
        raise BadInput("The file has no name. Rename it and choose it again.")
    return shown


@contextmanager
def _locked(workbench: Workbench, upload: Upload) -> Iterator[FileIO]:
    """The part of an upload, opened for this thread alone among all of all processes."""
    try:
        part = FileIO(part_of(workbench, upload), "r+")
    except FileNotFoundError:
        if is_finished(workbench, upload):
            raise _wrong_offset(upload, upload.size_bytes) from None
        raise _lost(upload) from None
    with part:
        fcntl.flock(part, fcntl.LOCK_EX)
        yield part


def _write(workbench: Workbench, upload: Upload, part: FileIO, offset: int, content: bytes) -> None:
    try:
        # What lies behind was written and never counted, because the server died.
        part.truncate(offset)
        part.seek(offset)
        rest = memoryview(content)
        while rest:
            rest = rest[part.write(rest) :]
        os.fsync(part.fileno())
    except OSError as error:
        with suppress(OSError):
            part.truncate(offset)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            missing = upload.size_bytes - offset
            raise no_room(workbench, upload.file_name, missing) from error
        raise


def _check_length(workbench: Workbench, upload: Upload, part: FileIO, *, at_least: int) -> None:
    if os.fstat(part.fileno()).st_size < at_least:
        # Somebody cut the file off. Nothing can be gone on with, so the next try begins anew.
        discard(workbench, upload.id, actor=upload.actor)
        raise _lost(upload)


def _wrong_offset(upload: Upload, arrived: int) -> WrongOffset:
    return WrongOffset(
        "{offset} of {size} bytes of “{name}” have arrived. Go on from there.",
        offset=arrived,
        size=upload.size_bytes,
        name=upload.file_name,
    )


def _lost(upload: Upload) -> NotFound:
    return NotFound(
        "What had arrived of “{name}” is no longer on the disk. Upload it anew.",
        name=upload.file_name,
    )
