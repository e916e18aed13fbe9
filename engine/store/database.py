"""Opening the database by its URL, and the two kinds of transaction."""

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.errors import BadSetting, Refused
from engine.store.schema import SCHEMA_REVISION

BUSY_SECONDS = 30.0
"""How long a writer waits for another one before SQLite gives up, unless told otherwise."""

DatabaseTrouble = sa.exc.OperationalError
"""What is raised when the database cannot be read or written: locked for too long, disk full,
connection lost. Nothing was changed."""

_MIGRATIONS = Path(__file__).with_name("migrations")


class Database:
    """A handle on the store. Thread-safe; `close()` may be called twice.

    Args:
        url: an SQLAlchemy URL.
        busy_seconds: how long a writer waits for another one.
    """

    def __init__(self, url: str, busy_seconds: float = BUSY_SECONDS) -> None:
        self.url = url
        self.engine = sa.create_engine(url, connect_args=_connect_args(url, busy_seconds))
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        self._immediate = self.engine.execution_options(immediate=True)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that sees one consistent state."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that takes the write lock at once: what it reads cannot change under it."""
        with self._immediate.begin() as connection:
            yield connection

    def close(self) -> None:
        """Release all connections."""
        self.engine.dispose()


def open_database(url: str, busy_seconds: float = BUSY_SECONDS) -> Database:
    """Open the store, creating or upgrading its schema when needed.

    Args:
        busy_seconds: how long a writer waits for another one.

    Raises:
        BadSetting: the URL names no database that this installation can speak to.
        Refused: the database cannot be opened, or was written by a newer version of the workbench.
    """
    try:
        database = Database(url, busy_seconds)
    except (sa.exc.ArgumentError, ImportError) as error:
        raise BadSetting(
            "WORKBENCH_DATABASE_URL cannot be used: {reason}. It must be an SQLAlchemy URL, such "
            "as sqlite:////srv/lab/workbench.db.",
            reason=str(error),
        ) from error
    try:
        if _revision(database) != SCHEMA_REVISION:
            _upgrade(database)
    except sa.exc.DBAPIError as error:
        database.close()
        raise Refused(
            "The database {url} cannot be opened: {reason}. Check WORKBENCH_HOME and "
            "WORKBENCH_DATABASE_URL, and that you may write there.",
            url=database.engine.url.render_as_string(hide_password=True),
            reason=str(error.orig),
        ) from error
    except BaseException:
        database.close()
        raise
    return database


def new_id() -> str:
    """A fresh, short, URL-safe identifier."""
    return secrets.token_hex(4)


def _connect_args(url: str, busy_seconds: float) -> dict[str, Any]:
    return {"timeout": busy_seconds} if url.startswith("sqlite") else {}


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction handling starts transactions late and as readers; the two
    # listeners take it over (SQLAlchemy, "Serializable isolation / Savepoints with pysqlite").
    connection.isolation_level = None
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; needed once in a database's life, and harmless afterwards."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # The busy timeout does not cover this switch: of several processes that open a new
            # database, all but one are refused at once.
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _revision(database: Database) -> str | None:
    with database.reading() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return None if revision is None else str(revision)


def _upgrade(database: Database) -> None:
    # Imported here because a database at the current revision, the ordinary case, needs no Alembic.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    # The write lock makes a second process wait and then find nothing left to do.
    with database.writing() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise Refused(
                "The database was written by a newer version of the workbench than this one "
                "(schema {known}): {detail}. Update the workbench, or choose another "
                "WORKBENCH_HOME.",
                known=SCHEMA_REVISION,
                detail=str(error),
            ) from error
