"""Facts of calls for lists, figures by day, the review of calls by people, appeals, calibrations and notices."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calibrations",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "session_id", name=op.f("pk_calibrations")),
    )
    op.create_table(
        "call_days",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("dimension", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("scored", sa.Integer(), nullable=False),
        sa.Column("reviewed", sa.Integer(), nullable=False),
        sa.Column("fatal", sa.Integer(), nullable=False),
        sa.Column("below60", sa.Integer(), nullable=False),
        sa.Column("below75", sa.Integer(), nullable=False),
        sa.Column("below85", sa.Integer(), nullable=False),
        sa.Column("below95", sa.Integer(), nullable=False),
        sa.Column("high_risk", sa.Integer(), nullable=False),
        sa.Column("alerts", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("score_sum", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "day", "team_id", "dimension", "key", name=op.f("pk_call_days")),
    )
    op.create_table(
        "notices",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("notice_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("org_id", "notice_id", name=op.f("pk_notices")),
    )
    with op.batch_alter_table("notices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_notices_org_id_user_id_at"), ["org_id", "user_id", "at"], unique=False)

    op.create_table(
        "appeals",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("appeal_id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("team_id", sa.String(), nullable=True),
        sa.Column("filed_by", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("items", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewer_id", sa.String(), nullable=True),
        sa.Column("forwarded_by", sa.String(), nullable=True),
        sa.Column("assigned_to", sa.String(), nullable=True),
        sa.Column("new_score", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["org_id", "call_id"], ["calls.org_id", "calls.call_id"], name=op.f("fk_appeals_org_id_call_id")),
        sa.PrimaryKeyConstraint("org_id", "appeal_id", name=op.f("pk_appeals")),
    )
    with op.batch_alter_table("appeals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_appeals_org_id_agent_id_filed_at"), ["org_id", "agent_id", "filed_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_appeals_org_id_call_id"), ["org_id", "call_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_appeals_org_id_state_due_at"), ["org_id", "state", "due_at"], unique=False)

    op.create_table(
        "review_notes",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("note_id", sa.String(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["org_id", "call_id"], ["calls.org_id", "calls.call_id"], name=op.f("fk_review_notes_org_id_call_id")),
        sa.PrimaryKeyConstraint("org_id", "call_id", "note_id", name=op.f("pk_review_notes")),
    )
    op.create_table(
        "reviews",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("review_id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("assigned_to", sa.String(), nullable=True),
        sa.Column("agent_id", sa.String(), nullable=True),
        sa.Column("risk", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["org_id", "call_id"], ["calls.org_id", "calls.call_id"], name=op.f("fk_reviews_org_id_call_id")),
        sa.PrimaryKeyConstraint("org_id", "review_id", name=op.f("pk_reviews")),
    )
    with op.batch_alter_table("reviews", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_reviews_org_id_assigned_to_state_due_at"), ["org_id", "assigned_to", "state", "due_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_reviews_org_id_call_id"), ["org_id", "call_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_reviews_org_id_plan_created_at"), ["org_id", "plan", "created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_reviews_org_id_session_id"), ["org_id", "session_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_reviews_org_id_state_due_at_review_id"), ["org_id", "state", "due_at", "review_id"], unique=False
        )

    op.create_table(
        "verdicts",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("review_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reviewer_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("qa_version", sa.Integer(), nullable=False),
        sa.Column("rubric_version", sa.String(), nullable=False),
        sa.Column("machine_score", sa.Float(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("fatal", sa.Boolean(), nullable=False),
        sa.Column("answers", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["org_id", "call_id"], ["calls.org_id", "calls.call_id"], name=op.f("fk_verdicts_org_id_call_id")),
        sa.PrimaryKeyConstraint("org_id", "call_id", "number", name=op.f("pk_verdicts")),
    )
    with op.batch_alter_table("verdicts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_verdicts_org_id_at"), ["org_id", "at"], unique=False)
        batch_op.create_index(batch_op.f("ix_verdicts_org_id_review_id"), ["org_id", "review_id"], unique=False)

    op.create_table(
        "appeal_steps",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("appeal_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "appeal_id"], ["appeals.org_id", "appeals.appeal_id"], name=op.f("fk_appeal_steps_org_id_appeal_id")
        ),
        sa.PrimaryKeyConstraint("org_id", "appeal_id", "seq", name=op.f("pk_appeal_steps")),
    )
    with op.batch_alter_table("calls", schema=None) as batch_op:
        batch_op.add_column(sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("intent", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("ticket_level1", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("ticket_level2", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("qa_state", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("score_band", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("risk_band", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("qa_score", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("qa_fatal", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("qa_confidence", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("risk", sa.Integer(), server_default="0", nullable=False))
        batch_op.create_index(batch_op.f("ix_calls_org_id_changed_at_call_id"), ["org_id", "changed_at", "call_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_calls_org_id_intent_started_at_call_id"), ["org_id", "intent", "started_at", "call_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_calls_org_id_qa_state_started_at_call_id"), ["org_id", "qa_state", "started_at", "call_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_calls_org_id_risk_band_started_at_call_id"), ["org_id", "risk_band", "started_at", "call_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_calls_org_id_score_band_started_at_call_id"), ["org_id", "score_band", "started_at", "call_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_calls_org_id_ticket_level1_started_at_call_id"),
            ["org_id", "ticket_level1", "started_at", "call_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_calls_org_id_ticket_level2_started_at_call_id"),
            ["org_id", "ticket_level2", "started_at", "call_id"],
            unique=False,
        )
    for table in ("verdicts", "appeal_steps"):
        _make_append_only(table)


def _make_append_only(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
    )
