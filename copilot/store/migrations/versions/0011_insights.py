"""What finished calls say to analytics: digests, figures by day, clusters of problems."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "call_digests",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.Column("lead", sa.String(), nullable=False),
        sa.Column("upset", sa.Integer(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["org_id", "call_id"], ["calls.org_id", "calls.call_id"], name=op.f("fk_call_digests_org_id_call_id")),
        sa.PrimaryKeyConstraint("org_id", "call_id", name=op.f("pk_call_digests")),
    )
    with op.batch_alter_table("call_digests", schema=None) as batch_op:
        batch_op.create_index(
            "ix_call_digests_counted",
            ["org_id", "day", "team_id", "product", "channel", "topic", "cluster_id", "cause", "lead", "upset"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_call_digests_org_id_started_at_call_id"), ["org_id", "started_at", "call_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_call_digests_org_id_agent_id_started_at"), ["org_id", "agent_id", "started_at"], unique=False)
        for name in ("topic", "cluster_id", "cause", "lead"):
            batch_op.create_index(
                batch_op.f(f"ix_call_digests_org_id_{name}_started_at"), ["org_id", name, "started_at"], unique=False
            )
    op.create_table(
        "insight_days",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("dimension", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "org_id", "dimension", "day", "team_id", "agent_id", "product", "channel", "key", name=op.f("pk_insight_days")
        ),
    )
    op.create_table(
        "problem_clusters",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("terms", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("middle", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "language", "cluster_id", name=op.f("pk_problem_clusters")),
    )
