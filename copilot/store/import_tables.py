"""The tables of imports. Data classes are in ``copilot.store.data_classes``."""

from __future__ import annotations

import sqlalchemy as sa

from copilot.store.tables import Json, UtcDateTime, metadata


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, primary_key=True, nullable=False)


def _of_run() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["org_id", "run_id"], ["imports.org_id", "imports.run_id"])


imports = sa.Table(
    "imports",
    metadata,
    _key("org_id"),
    _key("run_id"),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("node", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("options", Json, nullable=False),
    sa.Column("inputs", Json, nullable=False),
    sa.Column("collections", Json, nullable=False),
    sa.Column("removed", Json, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Index(None, "org_id", "created_at", "run_id"),
    sa.Index(None, "node", "state"),
)

import_files = sa.Table(
    "import_files",
    metadata,
    _key("org_id"),
    _key("run_id"),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("path", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("body", Json, nullable=False),  # the rest of copilot.domain.imports.ImportFile
    _of_run(),
)

import_sources = sa.Table(
    "import_sources",
    metadata,
    _key("org_id"),
    _key("source"),
    sa.Column("sha256", sa.String, nullable=False),  # empty: something of it was held back
    sa.Column("state", sa.String, nullable=False),  # in which its articles were imported
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("imported_at", UtcDateTime, nullable=False),
    sa.Column("removed", sa.Boolean, nullable=False),
)

import_articles = sa.Table(
    "import_articles",
    metadata,
    _key("org_id"),
    _key("source"),
    _key("article_id"),
    _key("language"),
    sa.Column("sha256", sa.String, nullable=False),  # of the article as it was imported last
    sa.Column("revision", sa.Integer, nullable=False),  # of the draft that the import wrote; 0: it wrote none
    sa.Index(None, "org_id", "article_id", "language"),
)
