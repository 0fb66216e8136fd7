"""Brings a database to this program's schema. The migrations travel inside the package, so it works from a wheel."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from copilot.domain.errors import ConfigError
from copilot.store.database import Database

_PLACE = Path(__file__).parent / "migrations"
_LOCK = 0x70616E67  # an advisory lock of our own on PostgreSQL


def upgrade(database: Database, revision: str = "head") -> None:
    """Runs what is missing, in one transaction; nothing if the database is up to date.

    Several processes may start at once: one migrates, the others wait for it. Raises ConfigError when a newer program wrote the database.
    """
    config = Config()
    config.set_main_option("script_location", str(_PLACE))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        current = MigrationContext.configure(connection).get_current_revision()
        if current == scripts.get_current_head() and revision == "head":
            return
        if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
            raise ConfigError("The database was written by a newer version of this program; start that version, or restore a backup.")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
