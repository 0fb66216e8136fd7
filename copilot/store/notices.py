"""What people are told in the application: a list each, with what they have not read yet."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from copilot.domain.clock import Clock
from copilot.domain.ids import OrgId, UserId
from copilot.store import tables as t
from copilot.store.database import Database

MOST_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """``kind`` names the text on the screen; ``target`` is the path of the page it leads to. Neither holds what was said in a call."""

    notice_id: str
    at: datetime
    kind: str
    target: str
    read: bool = False


class SqlNotices:
    """Synchronous and thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of(self, org_id: OrgId, user_id: UserId, limit: int = 30) -> tuple[list[Notice], int]:
        """(newest first, how many are unread in all)."""
        table = t.notices.c
        mine = sa.and_(table.org_id == org_id, table.user_id == user_id)
        query = sa.select(t.notices).where(mine).order_by(table.at.desc(), table.notice_id).limit(min(limit, MOST_SHOWN))
        with self._database.read() as connection:
            found = [
                Notice(notice_id=row.notice_id, at=row.at, kind=row.kind, target=row.target, read=row.read_at is not None)
                for row in connection.execute(query)
            ]
            unread = connection.execute(sa.select(sa.func.count()).where(mine, table.read_at.is_(None))).scalar_one()
        return found, unread

    def mark_read(self, org_id: OrgId, user_id: UserId, notice_ids: Iterable[str] | None = None) -> int:
        """Marks these (None: all) of the user's own notices as read; how many were unread."""
        table = t.notices.c
        mine = sa.and_(table.org_id == org_id, table.user_id == user_id, table.read_at.is_(None))
        if notice_ids is not None:
            mine = sa.and_(mine, table.notice_id.in_(list(notice_ids)))
        with self._database.write() as connection:
            return connection.execute(sa.update(t.notices).where(mine).values(read_at=self._clock.now())).rowcount


def tell(connection: Connection, org_id: str, user_ids: Iterable[str | None], kind: str, target: str, at: datetime) -> None:
    """One notice for each of the people, in the caller's transaction; None is nobody."""
    rows = [
        {"org_id": org_id, "notice_id": uuid.uuid4().hex, "user_id": user_id, "at": at, "kind": kind, "target": target, "read_at": None}
        for user_id in dict.fromkeys(user_ids)
        if user_id is not None
    ]
    if rows:
        connection.execute(sa.insert(t.notices), rows)


def with_role(connection: Connection, org_id: str, role: str, team_id: str | None = None) -> list[str]:
    """The active people of a role; with ``team_id`` those of the team only."""
    users, roles = t.users.c, t.user_roles.c
    query = (
        sa.select(users.user_id)
        .join_from(t.users, t.user_roles, sa.and_(users.org_id == roles.org_id, users.user_id == roles.user_id))
        .where(users.org_id == org_id, roles.role == role, users.active)
        .order_by(users.user_id)
    )
    if team_id is not None:
        teams = t.user_teams.c
        inside = sa.exists().where(teams.org_id == users.org_id, teams.user_id == users.user_id, teams.team_id == team_id)
        query = query.where(inside)
    return list(connection.execute(query).scalars())
