"""The tables. Every key and index begins with the organisation; SQLite first, the same on PostgreSQL.

The data class of every column is in ``copilot.store.data_classes``. Changes go through a migration; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes on every database. SQLite keeps no offset, so it is put back on the way out; naive ones are refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored; use an aware one")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = sa.JSON().with_variant(JSONB(), "postgresql")

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _org(*, primary_key: bool = True) -> sa.Column[str]:
    return sa.Column("org_id", sa.String, primary_key=primary_key, nullable=False)


# --- people ---------------------------------------------------------------------------------------------------------------------------

orgs = sa.Table(
    "orgs", metadata, _org(), sa.Column("name", sa.String, nullable=False), sa.Column("created_at", UtcDateTime, nullable=False)
)

teams = sa.Table(
    "teams",
    metadata,
    _org(),
    sa.Column("team_id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.ForeignKeyConstraint(["org_id"], ["orgs.org_id"]),
)

users = sa.Table(
    "users",
    metadata,
    _org(),
    sa.Column("user_id", sa.String, primary_key=True),
    sa.Column("username", sa.String, nullable=False),
    sa.Column("username_key", sa.String, nullable=False, unique=True),  # case-folded; signing in names no organisation
    sa.Column("display_name", sa.String, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.ForeignKeyConstraint(["org_id"], ["orgs.org_id"]),
)


def _user_key() -> tuple[sa.Column[str], sa.Column[str]]:
    return _org(), sa.Column("user_id", sa.String, primary_key=True)


def _of_user() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["org_id", "user_id"], ["users.org_id", "users.user_id"])


user_teams = sa.Table(
    "user_teams",
    metadata,
    *_user_key(),
    sa.Column("team_id", sa.String, primary_key=True),
    _of_user(),
    sa.ForeignKeyConstraint(["org_id", "team_id"], ["teams.org_id", "teams.team_id"]),
)

user_roles = sa.Table("user_roles", metadata, *_user_key(), sa.Column("role", sa.String, primary_key=True), _of_user())

credentials = sa.Table(
    "credentials",
    metadata,
    *_user_key(),
    sa.Column("password_hash", sa.String, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    _of_user(),
)


def _token_columns() -> tuple[sa.Column[str], sa.Column[str], sa.Column[str]]:
    # The hash finds the row, so it alone is the key; the organisation comes out of it.
    return (
        sa.Column("token_hash", sa.String, primary_key=True),
        sa.Column("org_id", sa.String, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
    )


sessions = sa.Table(
    "sessions",
    metadata,
    *_token_columns(),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    _of_user(),
    sa.Index(None, "org_id", "user_id"),
)

enrolments = sa.Table(
    "enrolments",
    metadata,
    *_token_columns(),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("used_at", UtcDateTime),
    _of_user(),
    sa.Index(None, "org_id", "user_id"),
)

tickets = sa.Table(
    "tickets",
    metadata,
    *_token_columns(),
    sa.Column("purpose", sa.String, nullable=False),
    sa.Column("origin", sa.String, nullable=False),
    sa.Column("call_id", sa.String),
    sa.Column("session_hash", sa.String),  # of the session it was asked with: what it opened ends with that session
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("used_at", UtcDateTime),
    _of_user(),
    sa.Index(None, "expires_at"),
)

preferences = sa.Table(
    "preferences",
    metadata,
    *_user_key(),
    sa.Column("value", Json, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    _of_user(),
)

login_throttle = sa.Table(
    "login_throttle",
    metadata,
    sa.Column("username_hash", sa.String, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False),
    sa.Column("locked_until", UtcDateTime),
)

audit = sa.Table(
    "audit",
    metadata,
    _org(),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("target", sa.String, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("prev_hash", sa.String, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
)

# --- calls ----------------------------------------------------------------------------------------------------------------------------


def _call_key() -> tuple[sa.Column[str], sa.Column[str]]:
    return _org(), sa.Column("call_id", sa.String, primary_key=True)


def _of_call() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["org_id", "call_id"], ["calls.org_id", "calls.call_id"])


calls = sa.Table(
    "calls",
    metadata,
    *_call_key(),
    # ownership
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("team_id", sa.String),
    # projection: the fields of copilot.domain.calls.Call
    sa.Column("last_seq", sa.Integer, nullable=False),
    sa.Column("phase", sa.String, nullable=False),
    sa.Column("external_id", sa.String, nullable=False),
    sa.Column("protocol", sa.String, nullable=False),
    sa.Column("language", sa.String, nullable=False),
    sa.Column("agent_id", sa.String),
    *(sa.Column(name, sa.String, nullable=False, server_default="") for name in ("ani", "dnis", "customer_id", "skill")),
    sa.Column("direction", sa.String, nullable=False, server_default="inbound"),
    sa.Column("held", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("started_at", UtcDateTime),
    sa.Column("duration_ms", sa.BigInteger, nullable=False),
    sa.Column("end_reason", sa.String, nullable=False),
    sa.Column("utterances", sa.Integer, nullable=False),
    sa.Column("suggestions", sa.Integer, nullable=False),
    sa.Column("suggestions_used", sa.Integer, nullable=False),
    sa.Column("alerts", sa.Integer, nullable=False),
    sa.Column("intents", Json, nullable=False),
    sa.Column("artifacts", Json, nullable=False),
    # facts for lists and figures, of the artifacts and of reviews: see copilot.store.facts
    sa.Column("changed_at", UtcDateTime),
    *(sa.Column(name, sa.String, nullable=False, server_default="") for name in ("intent", "ticket_level1", "ticket_level2", "qa_state")),
    *(sa.Column(name, sa.String, nullable=False, server_default="") for name in ("score_band", "risk_band")),
    sa.Column("qa_score", sa.Float),
    sa.Column("qa_fatal", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("qa_confidence", sa.Float),
    sa.Column("risk", sa.Integer, nullable=False, server_default="0"),
    sa.Index(None, "org_id", "changed_at", "call_id"),
    *(sa.Index(None, "org_id", name, "started_at", "call_id") for name in ("intent", "ticket_level1", "ticket_level2", "qa_state")),
    # Bands, not numbers: a range of numbers cannot be read in the order of time from an index.
    *(sa.Index(None, "org_id", name, "started_at", "call_id") for name in ("score_band", "risk_band")),
    sa.Index(None, "org_id", "started_at", "call_id"),
    sa.Index(None, "org_id", "agent_id", "started_at", "call_id"),
    sa.Index(None, "org_id", "team_id", "started_at", "call_id"),
    sa.Index(None, "org_id", "phase", "started_at", "call_id"),
    sa.Index(None, "owner", "phase"),
)

call_events = sa.Table(
    "call_events",
    metadata,
    *_call_key(),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("type", sa.String, nullable=False),
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("payload", Json, nullable=False),
    _of_call(),
)

call_contents = sa.Table(
    "call_contents",
    metadata,
    *_call_key(),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("data_class", sa.String, nullable=False),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    _of_call(),
)

suggestions = sa.Table(
    "suggestions",
    metadata,
    *_call_key(),
    sa.Column("suggestion_id", sa.String, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    *(sa.Column(name, sa.String, nullable=False) for name in ("kind", "intent", "article_id")),
    sa.Column("article_version", sa.Integer, nullable=False),
    sa.Column("confidence", sa.Float, nullable=False),
    sa.Column("generated", sa.Boolean, nullable=False),
    *(sa.Column(name, sa.String, nullable=False) for name in ("model", "replaces")),
    sa.Column("stages", Json, nullable=False),
    sa.Column("total_ms", sa.Float, nullable=False),
    sa.Column("outcome", sa.String, nullable=False),
    *(sa.Column(name, sa.Float, nullable=False) for name in ("outcome_confidence", "coverage")),
    sa.Column("feedback", Json, nullable=False),
    sa.Column("refused", sa.String, nullable=False),
    sa.Column("withdrawn", sa.Boolean, nullable=False),
    _of_call(),
    sa.Index(None, "org_id", "at"),
    sa.Index(None, "org_id", "article_id", "at"),
)

call_keys = sa.Table(
    "call_keys",
    metadata,
    *_call_key(),
    sa.Column("key_id", sa.String, nullable=False),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
    _of_call(),
    sa.Index(None, "key_id"),
)

vault = sa.Table(
    "vault",
    metadata,
    *_call_key(),
    sa.Column("token", sa.String, primary_key=True),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    _of_call(),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("org_id", sa.String, nullable=False),
    sa.Column("call_id", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),  # of the artifact this job makes
    sa.Column("state", sa.String, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),  # the least goes first
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("losses", sa.Integer, nullable=False, server_default="0"),  # begun, and never heard of again
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("not_before", UtcDateTime, nullable=False),
    sa.Column("begun_at", UtcDateTime),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("closed_at", UtcDateTime),
    sa.Column("error", sa.String, nullable=False),
    _of_call(),
    sa.UniqueConstraint("org_id", "call_id", "kind", "version"),
    sa.Index(None, "state", "priority", "not_before"),
    sa.Index(None, "org_id", "state", "created_at", "job_id"),
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    *_call_key(),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("data_class", sa.String, nullable=False),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("author", sa.String, nullable=False, server_default=""),  # a person's edit; empty: made by after-call work
    sa.Column("base_version", sa.Integer),  # what the edit began from
    _of_call(),
)

artifact_drafts = sa.Table(
    "artifact_drafts",
    metadata,
    *_call_key(),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("user_id", sa.String, primary_key=True),
    sa.Column("base_version", sa.Integer, nullable=False),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    _of_call(),
)

call_notes = sa.Table(
    "call_notes",
    metadata,
    *_call_key(),
    sa.Column("user_id", sa.String, primary_key=True),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    _of_call(),
)

# --- webhooks -------------------------------------------------------------------------------------------------------------------------

webhook_subscriptions = sa.Table(
    "webhook_subscriptions",
    metadata,
    _org(),
    sa.Column("subscription_id", sa.String, primary_key=True),
    sa.Column("url", sa.String, nullable=False),
    sa.Column("events", Json, nullable=False),
    sa.Column("description", sa.String, nullable=False),
    sa.Column("template", sa.String, nullable=False),
    sa.Column("authorization_env", sa.String, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("key_id", sa.String, nullable=False),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("old_key_id", sa.String),
    sa.Column("old_secret", sa.LargeBinary),
    sa.Column("rotated_until", UtcDateTime),
    sa.ForeignKeyConstraint(["org_id"], ["orgs.org_id"]),
)

webhook_messages = sa.Table(
    "webhook_messages",
    metadata,
    _org(),
    sa.Column("message_id", sa.String, primary_key=True),
    sa.Column("subscription_id", sa.String, nullable=False),
    sa.Column("event", sa.String, nullable=False),
    sa.Column("call_id", sa.String, nullable=False),
    sa.Column("subject", Json, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", UtcDateTime, nullable=False),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.String, nullable=False),
    sa.Index(None, "state", "next_at"),
    sa.Index("ix_webhook_messages_of_a_subscription", "org_id", "subscription_id", "created_at", "message_id"),
)

webhook_attempts = sa.Table(
    "webhook_attempts",
    metadata,
    _org(),
    sa.Column("message_id", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.String, nullable=False),
    sa.Column("duration_ms", sa.Integer, nullable=False),
)

# --- knowledge ------------------------------------------------------------------------------------------------------------------------

articles = sa.Table(
    "articles",
    metadata,
    _org(),
    sa.Column("article_id", sa.String, primary_key=True),
    sa.Column("language", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),  # of the body, to tell whether anything changed
    sa.Column("body", Json, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

article_work = sa.Table(
    "article_work",
    metadata,
    _org(),
    sa.Column("article_id", sa.String, primary_key=True),
    sa.Column("language", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("base_version", sa.Integer, nullable=False),
    sa.Column("authors", Json, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("submitted_by", sa.String, nullable=False),
    sa.Column("decided_by", sa.String, nullable=False),
    sa.Column("decided_at", UtcDateTime),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("origin", Json),
)
"""How versions that people write came about; imported ones have no row."""

packs = sa.Table(
    "packs",
    metadata,
    _org(),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("language", sa.String, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.String, nullable=False, server_default="published"),
    sa.Column("author", sa.String, nullable=False, server_default=""),
    sa.Column("note", sa.String, nullable=False, server_default=""),
    sa.Column("base_version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
    sa.Column("changed_at", UtcDateTime),
    sa.Column("published_by", sa.String),
    sa.Column("published_at", UtcDateTime),
    sa.Index(None, "org_id", "name", "state", "version"),
)

dry_runs = sa.Table(
    "dry_runs",
    metadata,
    _org(),
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("pack", sa.String, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("base_version", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("choice", Json, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("node", sa.String, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("error", sa.String, nullable=False),
    sa.Column("result", Json),
    sa.Index(None, "org_id", "pack", "created_at"),
    sa.Index(None, "node", "state"),
)

dry_run_calls = sa.Table(
    "dry_run_calls",  # which calls would be judged differently: ids and answers, never words
    metadata,
    _org(),
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("call_id", sa.String, nullable=False),
    sa.Column("changes", Json, nullable=False),
    sa.ForeignKeyConstraint(["org_id", "run_id"], ["dry_runs.org_id", "dry_runs.run_id"]),
)

graph_edits = sa.Table(
    "graph_edits",  # the newest decision of an editor about each thing
    metadata,
    _org(),
    sa.Column("language", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),  # verdict, fact, name, merge
    sa.Column("target", sa.String, primary_key=True),
    sa.Column("body", Json, nullable=False),
    sa.Column("author", sa.String, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

kv = sa.Table("kv", metadata, _org(), sa.Column("key", sa.String, primary_key=True), sa.Column("value", sa.String, nullable=False))

call_days = sa.Table(
    "call_days",  # rolled up from calls: see copilot.store.rollups
    metadata,
    _org(),
    sa.Column("day", sa.String, primary_key=True),  # at the bank, YYYY-MM-DD
    sa.Column("team_id", sa.String, primary_key=True),  # empty: of no team
    sa.Column("dimension", sa.String, primary_key=True),  # all, ticket, intent, agent
    sa.Column("key", sa.String, primary_key=True),
    *(
        sa.Column(name, sa.Integer, nullable=False)
        for name in ("calls", "scored", "reviewed", "fatal", "below60", "below75", "below85", "below95", "high_risk", "alerts")
    ),
    sa.Column("duration_ms", sa.BigInteger, nullable=False),
    sa.Column("score_sum", sa.Float, nullable=False),
)

# --- analytics ------------------------------------------------------------------------------------------------------------------------

call_digests = sa.Table(
    "call_digests",  # what a finished call says to analytics: see copilot.store.insights
    metadata,
    *_call_key(),
    sa.Column("day", sa.String, nullable=False),  # at the bank, YYYY-MM-DD
    sa.Column("started_at", UtcDateTime, nullable=False),
    *(sa.Column(name, sa.String, nullable=False) for name in ("team_id", "agent_id", "language", "channel")),
    *(sa.Column(name, sa.String, nullable=False) for name in ("product", "topic", "cause", "cluster_id", "lead")),
    sa.Column("upset", sa.Integer, nullable=False),  # 0 or 1, to be summed
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    _of_call(),
    # Everything that is counted stands in one index, so that a window is read without its rows.
    sa.Index("ix_call_digests_counted", "org_id", "day", "team_id", "product", "channel", "topic", "cluster_id", "cause", "lead", "upset"),
    sa.Index(None, "org_id", "started_at", "call_id"),
    sa.Index(None, "org_id", "agent_id", "started_at"),
    *(sa.Index(None, "org_id", name, "started_at") for name in ("topic", "cluster_id", "cause", "lead")),
)

insight_days = sa.Table(
    "insight_days",  # rolled up from the sealed part of call_digests
    metadata,
    _org(),
    sa.Column("dimension", sa.String, primary_key=True),  # term, question
    sa.Column("day", sa.String, primary_key=True),
    *(sa.Column(name, sa.String, primary_key=True) for name in ("team_id", "agent_id", "product", "channel", "key")),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("hits", sa.Integer, nullable=False),  # of a term: upset calls; of a question: failed ones
)

problem_clusters = sa.Table(
    "problem_clusters",
    metadata,
    _org(),
    sa.Column("language", sa.String, primary_key=True),
    sa.Column("cluster_id", sa.String, primary_key=True),  # empty: the mean that is taken from every vector
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("terms", Json, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("middle", sa.LargeBinary, nullable=False),
    sa.Column("made_at", UtcDateTime, nullable=False),
)

# --- quality review -------------------------------------------------------------------------------------------------------------------

reviews = sa.Table(
    "reviews",
    metadata,
    _org(),
    sa.Column("review_id", sa.String, primary_key=True),
    sa.Column("call_id", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),  # sample, manual, appeal, calibration
    sa.Column("plan", sa.String, nullable=False),
    sa.Column("session_id", sa.String, nullable=False),  # of a calibration, else empty
    sa.Column("state", sa.String, nullable=False),  # open, claimed, done, cancelled
    sa.Column("assigned_to", sa.String),
    sa.Column("agent_id", sa.String),
    sa.Column("risk", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("done_at", UtcDateTime),
    _of_call(),
    sa.Index(None, "org_id", "state", "due_at", "review_id"),
    sa.Index(None, "org_id", "assigned_to", "state", "due_at"),
    sa.Index(None, "org_id", "call_id"),
    sa.Index(None, "org_id", "session_id"),
    sa.Index(None, "org_id", "plan", "created_at"),
)

verdicts = sa.Table(
    "verdicts",  # append-only
    metadata,
    *_call_key(),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("review_id", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("reviewer_id", sa.String, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("qa_version", sa.Integer, nullable=False),
    sa.Column("rubric_version", sa.String, nullable=False),
    sa.Column("machine_score", sa.Float, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("fatal", sa.Boolean, nullable=False),
    sa.Column("answers", Json, nullable=False),  # question → [machine, person]
    _of_call(),
    sa.Index(None, "org_id", "at"),
    sa.Index(None, "org_id", "review_id"),
)

review_notes = sa.Table(
    "review_notes",  # what people wrote about a call: sealed with its key, gone with it
    metadata,
    *_call_key(),
    sa.Column("note_id", sa.String, primary_key=True),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    _of_call(),
)

appeals = sa.Table(
    "appeals",
    metadata,
    _org(),
    sa.Column("appeal_id", sa.String, primary_key=True),
    sa.Column("call_id", sa.String, nullable=False),
    sa.Column("agent_id", sa.String, nullable=False),
    sa.Column("team_id", sa.String),
    sa.Column("filed_by", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("items", Json, nullable=False),  # the questions appealed against
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("filed_at", UtcDateTime, nullable=False),
    sa.Column("due_at", UtcDateTime),
    sa.Column("reviewer_id", sa.String),
    sa.Column("forwarded_by", sa.String),
    sa.Column("assigned_to", sa.String),
    sa.Column("new_score", sa.Float),
    _of_call(),
    sa.Index(None, "org_id", "state", "due_at"),
    sa.Index(None, "org_id", "agent_id", "filed_at"),
    sa.Index(None, "org_id", "call_id"),
)

appeal_steps = sa.Table(
    "appeal_steps",  # append-only
    metadata,
    _org(),
    sa.Column("appeal_id", sa.String, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.ForeignKeyConstraint(["org_id", "appeal_id"], ["appeals.org_id", "appeals.appeal_id"]),
)

calibrations = sa.Table(
    "calibrations",
    metadata,
    _org(),
    sa.Column("session_id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("created_by", sa.String, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("closed_at", UtcDateTime),
)

notices = sa.Table(
    "notices",
    metadata,
    _org(),
    sa.Column("notice_id", sa.String, primary_key=True),
    sa.Column("user_id", sa.String, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("target", sa.String, nullable=False),  # where it leads: a path of the web app
    sa.Column("read_at", UtcDateTime),
    sa.Index(None, "org_id", "user_id", "at"),
)
