"""One engine, two ways in: ``read()`` and ``write()``, each one transaction.

SQLite: WAL, so that readers never wait for the writer; writers begin with ``BEGIN IMMEDIATE``, so that two of them queue (up to the busy
timeout) instead of failing half-way; ``synchronous=FULL``, so that **what a commit acknowledged survives a loss of power**, not only a
crash of the process. The journal's group commit pays that one fsync for many events at once.
PostgreSQL: its own defaults (``synchronous_commit=on`` promises the same).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from copilot.domain.errors import ConfigError, EngineError

BUSY_TIMEOUT_MS = 5000
_WRITES = "pangting_writes"


class Database:
    """Connections of one database. Thread-safe. ``close`` when done."""

    def __init__(self, url: str) -> None:
        """``url``: ``sqlite:////path/file.db`` or ``postgresql+psycopg://user@host/name``. Raises ConfigError."""
        parsed = _parse(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            _private_file(Path(str(parsed.database)))
        self.engine: Engine = sa.create_engine(
            parsed,
            pool_pre_ping=not self.is_sqlite,
            pool_size=5,
            max_overflow=15,
            hide_parameters=True,  # an error that is logged must not carry values
        )
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _configure_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        self._writers = self.engine.execution_options(**{_WRITES: True})

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that changes nothing."""
        with _translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back if the block raises. Raises EngineError if the database fails."""
        with _translated(), self._writers.begin() as connection:
            yield connection

    def scrub(self) -> None:
        """SQLite: moves the write-ahead log into the file and empties it, so that deleted bytes do not linger there."""
        if self.is_sqlite:
            raw = self.engine.raw_connection()
            try:
                cursor = raw.cursor()
                # Writers wait while this waits for readers, so it soon gives up: the next checkpoint does the work.
                cursor.execute("PRAGMA busy_timeout=100")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            finally:
                raw.close()

    def close(self) -> None:
        self.engine.dispose()


def insert_if_new(connection: Connection, table: sa.Table, **values: Any) -> bool:
    """Inserts the row unless its key is there already, also when another transaction inserts it at the same moment. True if it was new."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return connection.execute(statement).first() is not None


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(
            "store.url is not a database URL; use sqlite:////path/pangting.db or postgresql+psycopg://user@host/name."
        ) from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigError(f"store.url names {backend}, which is not supported; use sqlite:////path/pangting.db or postgresql+psycopg://…")
    if not parsed.database or parsed.database == ":memory:" or parsed.query:
        raise ConfigError("store.url must name a database file, such as sqlite:////var/lib/pangting/pangting.db; memory is not durable.")
    return parsed


def _private_file(path: Path) -> None:
    # The -wal and -shm files take over the mode of the database file.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigError(
            f"The database file {path} cannot be opened ({error.strerror}); check store.url and the directory's rights."
        ) from None


def _configure_sqlite(dbapi_connection: Any, record: object) -> None:  # noqa: ARG001
    assert isinstance(dbapi_connection, sqlite3.Connection)
    # Transactions begin where we say (see _begin_sqlite), not where the driver guesses.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # a deleted key is overwritten in the file
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        # Locked, disk full, server gone: the same statement may work later. The driver's text holds no parameters.
        raise EngineError(f"The database could not be used ({_cause(error)}); it will be tried again.", retryable=True) from error
    except DBAPIError as error:
        raise EngineError(f"The database refused a statement ({type(error).__name__}: {_cause(error)}).") from error


def _cause(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
