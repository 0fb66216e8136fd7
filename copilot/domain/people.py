"""Who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from copilot.domain.ids import OrgId, TeamId, UserId

Role = Literal["agent", "team_lead", "inspector", "qa_lead", "editor", "ops_admin", "sys_admin", "auditor"]
"""坐席, 班组长, 质检员, 质检主管, 知识专员, 运营管理员, 系统管理员, 审计员."""
ROLES: tuple[Role, ...] = (
    "agent",
    "team_lead",
    "inspector",
    "qa_lead",
    "editor",
    "ops_admin",
    "sys_admin",
    "auditor",
)
REVIEWERS: frozenset[Role] = frozenset({"inspector", "qa_lead", "ops_admin"})
"""Roles that may open every call of their organisation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    org_id: OrgId
    user_id: UserId
    username: str
    display_name: str
    roles: frozenset[Role]
    team_ids: frozenset[TeamId] = frozenset()
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the caller may see. Every query is bounded by it: org always; then all calls, the teams' calls, or one's own."""

    org_id: OrgId
    user_id: UserId
    roles: frozenset[Role]
    team_ids: frozenset[TeamId] = frozenset()

    @property
    def sees_all_calls(self) -> bool:
        return bool(self.roles & REVIEWERS)

    @property
    def sees_team_calls(self) -> bool:
        return "team_lead" in self.roles


def may_hear_values(user_id: UserId, agent_id: UserId | None) -> bool:
    """Who may have the values behind a call's tokens, read or heard: the agent of the call, and nobody else."""
    return agent_id is not None and agent_id == user_id


def scope_of(user: User) -> Scope:
    return Scope(org_id=user.org_id, user_id=user.user_id, roles=user.roles, team_ids=user.team_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the append-only audit trail. ``detail`` never holds PII or transcript text."""

    org_id: OrgId
    at: datetime
    actor: str
    action: str
    target: str
    detail: str = ""
