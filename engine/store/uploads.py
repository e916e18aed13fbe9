"""Uploads: whose they are, and which of their chunks have arrived."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from engine.errors import NotFound
from engine.store import schema
from engine.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file on its way in, or arrived and not yet imported."""

    id: str
    actor: str
    file_name: str
    """As the browser gave it; not fit for a path."""
    size_bytes: int
    """Of the whole file."""
    created_at: float
    touched_at: float
    """When a chunk of it last arrived, or somebody went on with it."""
    digests: tuple[str, ...]
    """SHA-256 in hex of every chunk that is safely on the disk, in order."""

    def offset(self, chunk_bytes: int) -> int:
        """How many bytes have arrived, in chunks of this size."""
        return min(len(self.digests) * chunk_bytes, self.size_bytes)


def add(
    database: Database,
    *,
    upload_id: str,
    actor: str,
    file_name: str,
    size_bytes: int,
    limit_bytes: float,
) -> Upload | None:
    """Add an upload of which nothing has arrived.

    Returns None, adding nothing, when all uploads of the actor would exceed the limit together;
    the check and the adding are one transaction.
    """
    now = time.time()
    table = schema.uploads
    sum_of_actor = sa.select(sa.func.sum(table.c.size_bytes)).where(table.c.actor == actor)
    upload = Upload(
        id=upload_id,
        actor=actor,
        file_name=file_name,
        size_bytes=size_bytes,
        created_at=now,
        touched_at=now,
        digests=(),
    )
    with database.writing() as connection:
        if (connection.scalar(sum_of_actor) or 0) + size_bytes > limit_bytes:
            return None
        connection.execute(
            table.insert().values(asdict(upload) | {"digests": list(upload.digests)})
        )
    return upload


def get(database: Database, upload_id: str) -> Upload:
    """The upload with this id.

    Raises:
        NotFound: there is none.
    """
    query = sa.select(schema.uploads).where(schema.uploads.c.id == upload_id)
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(
            "There is no upload “{upload}”. It was cancelled or has been imported; choose the "
            "file again to upload it anew.",
            upload=upload_id,
        )
    return _upload(row._mapping)


def of_actor(database: Database, actor: str) -> list[Upload]:
    """All uploads of one user, oldest first."""
    query = sa.select(schema.uploads).where(schema.uploads.c.actor == actor)
    return _all(database, query)


def everybodys(database: Database) -> list[Upload]:
    """All uploads, oldest first."""
    return _all(database, sa.select(schema.uploads))


def add_digest(database: Database, upload_id: str, number: int, digest: str) -> bool:
    """Record that a chunk is on the disk.

    Args:
        number: the chunk's position, from 0.
        digest: its SHA-256 in hex.

    Returns False, changing nothing, when it is not the chunk that comes next, or when the upload
    is gone.
    """
    table = schema.uploads
    with database.writing() as connection:
        digests = connection.scalar(sa.select(table.c.digests).where(table.c.id == upload_id))
        if digests is None or len(digests) != number:
            return False
        connection.execute(
            table.update()
            .where(table.c.id == upload_id)
            .values(digests=[*digests, digest], touched_at=time.time())
        )
    return True


def touch(database: Database, upload_id: str) -> None:
    """Record that somebody goes on with an upload."""
    table = schema.uploads
    with database.writing() as connection:
        connection.execute(
            table.update().where(table.c.id == upload_id).values(touched_at=time.time())
        )


def remove(database: Database, upload_id: str) -> None:
    """Forget an upload; one that is not there is fine."""
    with database.writing() as connection:
        connection.execute(schema.uploads.delete().where(schema.uploads.c.id == upload_id))


def remove_untouched(database: Database, upload_id: str, since: float) -> bool:
    """Forget an upload unless it was touched since a time; returns whether it was forgotten."""
    table = schema.uploads
    with database.writing() as connection:
        outcome = connection.execute(
            table.delete().where(table.c.id == upload_id, table.c.touched_at < since)
        )
    return outcome.rowcount == 1


def _all(database: Database, query: sa.Select[Any]) -> list[Upload]:
    ordered = query.order_by(schema.uploads.c.created_at, schema.uploads.c.id)
    with database.reading() as connection:
        return [_upload(row._mapping) for row in connection.execute(ordered)]


def _upload(row: Mapping[Any, Any]) -> Upload:
    return Upload(**{**row, "digests": tuple(row["digests"])})
