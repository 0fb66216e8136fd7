"""How people write articles: who, when, which revision, what was decided. The state ``reviewed`` is called ``in_review``."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "article_work",
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("article_id", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("authors", _JSON, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_by", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("origin", _JSON, nullable=True),
        sa.PrimaryKeyConstraint("org_id", "article_id", "language", "version", name=op.f("pk_article_work")),
    )
    articles = sa.table(
        "articles",
        *(sa.column(name, sa.String()) for name in ("org_id", "article_id", "language", "state")),
        sa.column("version", sa.Integer()),
        sa.column("body", _JSON),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(articles).where(articles.c.state == "reviewed")).all():
        here = [articles.c[name] == getattr(row, name) for name in ("org_id", "article_id", "language", "version")]
        body = {**row.body, "state": "in_review"}
        connection.execute(sa.update(articles).where(*here).values(state="in_review", body=body))


def downgrade() -> None:
    op.drop_table("article_work")
