"""Run by alembic inside the transaction that copilot.store.migrate opened."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from copilot.store.tables import UtcDateTime, metadata


def _render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    # A migration is history: it must not change when our type does.
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.JSON):
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    render_item=_render,
)
context.run_migrations()
