"""Versions of packs have a state, an author and a note; dry runs of a draft over past calls."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dry_runs",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("pack", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("choice", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("result", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "run_id", name=op.f("pk_dry_runs")),
    )
    with op.batch_alter_table("dry_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dry_runs_org_id_pack_created_at"), ["org_id", "pack", "created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_dry_runs_node_state"), ["node", "state"], unique=False)
    op.create_table(
        "dry_run_calls",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("changes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["org_id", "run_id"], ["dry_runs.org_id", "dry_runs.run_id"], name=op.f("fk_dry_run_calls_org_id_run_id")),
        sa.PrimaryKeyConstraint("org_id", "run_id", "number", name=op.f("pk_dry_run_calls")),
    )
    with op.batch_alter_table("packs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("state", sa.String(), server_default="published", nullable=False))
        batch_op.add_column(sa.Column("author", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("note", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("base_version", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("published_by", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("published_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_packs_org_id_name_state_version"), ["org_id", "name", "state", "version"], unique=False)
    op.execute("UPDATE packs SET published_at = created_at, base_version = version - 1")
    op.execute(
        "UPDATE packs SET state = 'superseded' WHERE version < "
        "(SELECT MAX(newer.version) FROM packs AS newer WHERE newer.org_id = packs.org_id AND newer.name = packs.name)"
    )
