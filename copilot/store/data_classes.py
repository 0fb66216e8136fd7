"""The data class of every stored field: who may see it, whether it may leave in an export, and which models may read it.

公开 public · 内部 internal · 敏感 sensitive · 高敏感 restricted. Encrypted columns are classed by what is inside them.
A test keeps this list equal to the tables and to the content fields of the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

DataClass = Literal["public", "internal", "sensitive", "restricted"]
ORDER: tuple[DataClass, ...] = ("public", "internal", "sensitive", "restricted")
NAMES_ZH: Mapping[DataClass, str] = {"public": "公开", "internal": "内部", "sensitive": "敏感", "restricted": "高敏感"}


def _all(names: str, data_class: DataClass) -> dict[str, DataClass]:
    return dict.fromkeys(names.split(), data_class)


COLUMNS: Mapping[str, Mapping[str, DataClass]] = {
    "orgs": _all("org_id name created_at", "internal"),
    "teams": _all("org_id team_id name", "internal"),
    "users": {**_all("org_id user_id active created_at", "internal"), **_all("username username_key display_name", "sensitive")},
    "user_teams": _all("org_id user_id team_id", "internal"),
    "user_roles": _all("org_id user_id role", "internal"),
    "credentials": {**_all("org_id user_id changed_at", "internal"), "password_hash": "restricted"},
    "sessions": {**_all("org_id user_id created_at expires_at", "internal"), "token_hash": "restricted"},
    "enrolments": {**_all("org_id user_id created_at expires_at used_at", "internal"), "token_hash": "restricted"},
    "tickets": {**_all("org_id user_id purpose origin call_id session_hash expires_at used_at", "internal"), "token_hash": "restricted"},
    "preferences": _all("org_id user_id value updated_at", "internal"),
    "login_throttle": {"username_hash": "sensitive", **_all("failures last_at locked_until", "internal")},
    "audit": {**_all("org_id seq at action prev_hash hash", "internal"), **_all("actor target detail", "sensitive")},
    "calls": {
        **_all(
            "org_id call_id epoch owner team_id last_seq phase protocol language agent_id started_at duration_ms end_reason held",
            "internal",
        ),
        **_all("utterances suggestions suggestions_used alerts intents artifacts", "internal"),
        **_all("direction dnis skill", "internal"),
        **_all(
            "changed_at intent ticket_level1 ticket_level2 qa_state qa_score qa_fatal qa_confidence risk score_band risk_band", "internal"
        ),
        **_all("ani customer_id", "sensitive"),  # tokens: the values are in the vault
        "external_id": "sensitive",  # the peer's own id may hold a caller's number
    },
    "call_events": _all("org_id call_id seq epoch type schema_version at payload", "internal"),
    "call_contents": {**_all("org_id call_id seq data_class", "internal"), "ciphertext": "sensitive"},
    "suggestions": _all("org_id call_id suggestion_id at at_ms kind intent article_id article_version confidence generated", "internal")
    | _all("model replaces stages total_ms outcome outcome_confidence coverage feedback refused withdrawn", "internal"),
    "call_keys": {**_all("org_id call_id key_id", "internal"), "wrapped_key": "restricted"},
    "vault": {**_all("org_id call_id token", "internal"), "ciphertext": "restricted"},
    "jobs": _all("job_id org_id call_id kind version state priority attempts losses", "internal")
    | _all("created_at not_before begun_at lease_until closed_at error", "internal"),
    "artifacts": {
        **_all("org_id call_id kind version data_class created_at author base_version", "internal"),
        "ciphertext": "sensitive",
    },
    "artifact_drafts": {**_all("org_id call_id kind user_id base_version updated_at", "internal"), "ciphertext": "sensitive"},
    "call_notes": {**_all("org_id call_id user_id updated_at", "internal"), "ciphertext": "sensitive"},
    "webhook_subscriptions": {
        **_all("org_id subscription_id events description template authorization_env active created_at", "internal"),
        **_all("key_id old_key_id rotated_until", "internal"),
        "url": "sensitive",
        **_all("secret old_secret", "restricted"),
    },
    "webhook_messages": _all("org_id message_id subscription_id event call_id subject created_at", "internal")
    | _all("state attempts next_at lease_until status error", "internal"),
    "webhook_attempts": _all("org_id message_id number at status error duration_ms", "internal"),
    "articles": _all("org_id article_id language version state sha256 body created_at", "internal"),
    "article_work": {
        **_all(
            "org_id article_id language version revision base_version authors updated_at submitted_by decided_by decided_at", "internal"
        ),
        **_all("reason origin", "sensitive"),  # an origin quotes a call
    },
    "imports": _all(
        "org_id run_id state actor node name options inputs collections removed created_at started_at finished_at cancel_requested",
        "internal",
    ),
    "import_files": _all("org_id run_id number source path state body", "internal"),
    "import_sources": _all("org_id source sha256 state run_id imported_at removed", "internal"),
    "import_articles": _all("org_id source article_id language sha256 revision", "internal"),
    "packs": _all(
        "org_id name version language sha256 body created_at state author note base_version revision changed_at published_by published_at",
        "internal",
    ),
    "dry_runs": _all(
        "org_id run_id pack version revision base_version body choice state actor node created_at ended_at done total error result",
        "internal",
    ),
    "dry_run_calls": _all("org_id run_id number call_id changes", "internal"),
    "graph_edits": _all("org_id language kind target body author at", "internal"),
    "kv": _all("org_id key value", "internal"),
    "call_days": _all(
        "org_id day team_id dimension key calls scored reviewed fatal below60 below75 below85 below95 high_risk alerts duration_ms"
        " score_sum",
        "internal",
    ),
    "call_digests": {
        **_all("org_id call_id day started_at team_id agent_id language channel product topic cause cluster_id lead upset", "internal"),
        "ciphertext": "sensitive",
    },
    "insight_days": _all("org_id dimension day team_id agent_id product channel key calls hits", "internal"),
    "problem_clusters": _all("org_id language cluster_id position terms size middle made_at", "internal"),
    "reviews": _all("org_id review_id call_id kind plan session_id state assigned_to agent_id risk created_at due_at done_at", "internal"),
    "verdicts": _all(
        "org_id call_id number review_id kind reviewer_id at qa_version rubric_version machine_score score fatal answers", "internal"
    ),
    "review_notes": {**_all("org_id call_id note_id", "internal"), "ciphertext": "sensitive"},
    "appeals": _all(
        "org_id appeal_id call_id agent_id team_id filed_by state items score filed_at due_at reviewer_id forwarded_by assigned_to"
        " new_score",
        "internal",
    ),
    "appeal_steps": _all("org_id appeal_id seq at actor action state", "internal"),
    "calibrations": _all("org_id session_id name created_by created_at due_at closed_at", "internal"),
    "notices": _all("org_id notice_id user_id at kind target read_at", "internal"),
}
"""table → column → class."""

EVENT_CONTENT: Mapping[str, Mapping[str, DataClass]] = {
    "call_started": {"metadata": "sensitive"},
    "utterance_final": _all("text words corrections", "sensitive"),
    "intent_detected": {"why": "internal"},
    "slot_filled": _all("value spoken", "sensitive"),
    "next_action_proposed": {"script": "sensitive"},
    "compliance_alerted": {"quote": "sensitive"},
    "mood_changed": {"why": "sensitive"},
    "suggestion_offered": _all("title text citations options", "internal"),
    "utterance_translated": {"text": "sensitive"},
    "call_transferred": {"reason": "sensitive"},
    "suggestion_feedback": _all("text reason", "sensitive"),
    "whisper_sent": {"text": "sensitive"},
}
"""event type → content field → class. The row of ``call_contents`` carries the highest class of the fields in it."""

ARTIFACT: Mapping[str, DataClass] = {
    "summary": "sensitive",
    "ticket": "sensitive",  # its slots
    "qa": "sensitive",
    "mood": "internal",
    "keywords": "internal",
    "recording": "internal",
}
"""artifact kind → class of its body."""


def highest(classes: Iterable[DataClass]) -> DataClass:
    """The most protected of ``classes``; ``internal`` when there are none."""
    return max(classes, key=ORDER.index, default="internal")


def content_class(event_type: str, fields: Iterable[str]) -> DataClass:
    """The class of a content row holding these fields of an event. A field nobody classed counts as restricted."""
    known = EVENT_CONTENT.get(event_type, {})
    return highest(known.get(name, "restricted") for name in fields)
