"""Runs a checked query on a read-only connection, within a time. Synchronous: call it from a worker thread."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from copilot.domain.errors import ConfigError, EngineError

_STEPS = 2_000
"""SQLite instructions between two looks at the clock."""
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION})
Rows = tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]
"""Column names, and rows."""


class ViewsDatabase:
    """The database of the views. ``url``: ``sqlite:///path`` or ``postgresql+psycopg://…`` (with a role that may only read)."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._engine: sa.Engine | None = None
        if url.startswith("sqlite:///"):
            self.dialect = "sqlite"
        elif url.startswith("postgresql"):
            self.dialect = "postgres"
        else:
            raise ConfigError("tools.database_url must be sqlite:///path or postgresql+psycopg://…")

    def rows(self, statement: str, values: Mapping[str, str], most_rows: int) -> Rows:
        """Runs a statement that ``copilot.tools.sql.checked`` wrote. Raises EngineError when it fails or takes too long."""
        try:
            return self._sqlite(statement, values, most_rows) if self.dialect == "sqlite" else self._postgres(statement, values, most_rows)
        except (sqlite3.Error, sa.exc.SQLAlchemyError) as error:
            raise EngineError(
                f"The question could not be answered: the database refused it or took too long ({type(error).__name__})."
            ) from None

    def _sqlite(self, statement: str, values: Mapping[str, str], most_rows: int) -> Rows:
        path = Path(self._url.removeprefix("sqlite:///")).resolve()
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=self._timeout_s)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY)
            until = time.monotonic() + self._timeout_s
            connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
            cursor = connection.execute(statement, dict(values))
            columns = tuple(column[0] for column in cursor.description or ())
            return columns, tuple(tuple(row) for row in cursor.fetchmany(most_rows))
        finally:
            connection.close()

    def _postgres(self, statement: str, values: Mapping[str, str], most_rows: int) -> Rows:
        if self._engine is None:
            self._engine = sa.create_engine(self._url, pool_size=2, pool_pre_ping=True)
        with self._engine.connect() as connection, connection.begin():
            connection.execute(sa.text("SET TRANSACTION READ ONLY"))
            connection.execute(sa.text(f"SET LOCAL statement_timeout = {int(1000 * self._timeout_s)}"))
            result = connection.execute(sa.text(statement), dict(values))
            columns = tuple(result.keys())
            return columns, tuple(tuple(row) for row in result.fetchmany(most_rows))

    def close(self) -> None:
        """Idempotent."""
        if self._engine is not None:
            self._engine.dispose()
