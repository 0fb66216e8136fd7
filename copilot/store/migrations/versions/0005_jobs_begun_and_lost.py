"""After-call jobs: priority, when a worker began, and how often none came back."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("losses", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.drop_index("ix_jobs_state_not_before")
        batch_op.create_index("ix_jobs_state_priority_not_before", ["state", "priority", "not_before"])
        batch_op.create_index("ix_jobs_org_id_state_created_at_job_id", ["org_id", "state", "created_at", "job_id"])
    # Attempts were counted when a job was sent; what is open is tried from the beginning.
    op.execute("UPDATE jobs SET attempts = 0 WHERE state IN ('queued', 'leased')")
    op.execute("UPDATE jobs SET state = 'discarded' WHERE state = 'failed' AND error = 'erased'")
