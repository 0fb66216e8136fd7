"""What became of every card: where its time went, whether the agent said it, what was done with it."""

import sqlalchemy as sa
from alembic import op

from copilot.store.tables import Json, UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "suggestions",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("suggestion_id", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("kind", "intent", "article_id")),
        sa.Column("article_version", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("generated", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("model", "replaces")),
        sa.Column("stages", Json, nullable=False),
        sa.Column("total_ms", sa.Float(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("outcome_confidence", "coverage")),
        sa.Column("feedback", Json, nullable=False),
        sa.Column("refused", sa.String(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["org_id", "call_id"], ["calls.org_id", "calls.call_id"], name=op.f("fk_suggestions_org_id_call_id")),
        sa.PrimaryKeyConstraint("org_id", "call_id", "suggestion_id", name=op.f("pk_suggestions")),
    )
    with op.batch_alter_table("suggestions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_suggestions_org_id_at"), ["org_id", "at"], unique=False)
        batch_op.create_index(batch_op.f("ix_suggestions_org_id_article_id_at"), ["org_id", "article_id", "at"], unique=False)
