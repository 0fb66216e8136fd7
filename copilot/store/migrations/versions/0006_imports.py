"""Imports of knowledge files: runs, their files, and which articles came from which source."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "imports",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("org_id", "run_id", "state", "actor", "node", "name")),
        *(sa.Column(name, _JSON, nullable=False) for name in ("options", "inputs", "collections", "removed")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "run_id", name=op.f("pk_imports")),
    )
    op.create_index(op.f("ix_imports_org_id_created_at_run_id"), "imports", ["org_id", "created_at", "run_id"])
    op.create_index(op.f("ix_imports_node_state"), "imports", ["node", "state"])
    op.create_table(
        "import_files",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("source", "path", "state")),
        sa.Column("body", _JSON, nullable=False),
        sa.ForeignKeyConstraint(["org_id", "run_id"], ["imports.org_id", "imports.run_id"], name=op.f("fk_import_files_org_id_run_id")),
        sa.PrimaryKeyConstraint("org_id", "run_id", "number", name=op.f("pk_import_files")),
    )
    op.create_table(
        "import_sources",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("org_id", "source", "sha256", "state", "run_id")),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "source", name=op.f("pk_import_sources")),
    )
    op.create_table(
        "import_articles",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("org_id", "source", "article_id", "language", "sha256")),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "source", "article_id", "language", name=op.f("pk_import_articles")),
    )
    op.create_index(
        op.f("ix_import_articles_org_id_article_id_language"), "import_articles", ["org_id", "article_id", "language"]
    )


def downgrade() -> None:
    for name in ("import_articles", "import_sources", "import_files", "imports"):
        op.drop_table(name)
