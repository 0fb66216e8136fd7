"""Notes on calls, drafts and authors of after-call artifacts, people's preferences, and the session behind a ticket."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _of_call(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["org_id", "call_id"], ["calls.org_id", "calls.call_id"], name=op.f(f"fk_{table}_org_id_call_id"))


def upgrade() -> None:
    op.create_table(
        "artifact_drafts",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        _of_call("artifact_drafts"),
        sa.PrimaryKeyConstraint("org_id", "call_id", "kind", "user_id", name=op.f("pk_artifact_drafts")),
    )
    op.create_table(
        "call_notes",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        _of_call("call_notes"),
        sa.PrimaryKeyConstraint("org_id", "call_id", "user_id", name=op.f("pk_call_notes")),
    )
    op.create_table(
        "preferences",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("value", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["org_id", "user_id"], ["users.org_id", "users.user_id"], name=op.f("fk_preferences_org_id_user_id")),
        sa.PrimaryKeyConstraint("org_id", "user_id", name=op.f("pk_preferences")),
    )
    with op.batch_alter_table("artifacts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("author", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("base_version", sa.Integer(), nullable=True))
    with op.batch_alter_table("tickets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("session_hash", sa.String(), nullable=True))
