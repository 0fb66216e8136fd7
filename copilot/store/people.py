"""Organisations, teams, users and their enrolment."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from copilot.domain.clock import Clock
from copilot.domain.errors import Conflict, InvalidInput, NotFound
from copilot.domain.ids import OrgId, TeamId, UserId
from copilot.domain.people import ROLES, AuditEntry, Role, User
from copilot.store import tables as t
from copilot.store.audit import append_entry
from copilot.store.database import Database, insert_if_new
from copilot.store.passwords import Passwords

DEFAULT_ORG = OrgId("default")
ENROLMENT_LIFE = timedelta(days=3)
FIRST_ADMIN_ROLES: frozenset[Role] = frozenset({"sys_admin", "ops_admin"})
SYSTEM = "system"
_USERNAME = re.compile(r"[\w.@-]{2,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """An open invitation: whom it is for and until when."""

    user: User
    expires_at: datetime


class SqlPeople:
    """Users and teams. Synchronous and thread-safe. ``actor`` is who does it, for the audit trail."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords

    # -- organisations and teams -------------------------------------------------------------------------------------------------------

    def ensure_org(self, org_id: OrgId, name: str = "") -> None:
        with self._database.write() as connection:
            self._ensure_org(connection, org_id, name)

    def create_team(self, org_id: OrgId, team_id: TeamId, name: str, *, actor: str = SYSTEM) -> None:
        """Raises Conflict when the id is taken."""
        with self._database.write() as connection:
            key = sa.and_(t.teams.c.org_id == org_id, t.teams.c.team_id == team_id)
            if connection.execute(sa.select(t.teams.c.team_id).where(key)).first() is not None:
                raise Conflict(f"There is a team {team_id} already.")
            connection.execute(sa.insert(t.teams).values(org_id=org_id, team_id=team_id, name=name))
            self._audit(connection, org_id, actor, "team.create", team_id)

    def teams(self, org_id: OrgId) -> dict[TeamId, str]:
        """id → name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(t.teams).where(t.teams.c.org_id == org_id).order_by(t.teams.c.team_id)).all()
        return {row.team_id: row.name for row in rows}

    # -- users -------------------------------------------------------------------------------------------------------------------------

    def create_user(
        self,
        org_id: OrgId,
        username: str,
        display_name: str,
        roles: Iterable[Role],
        team_ids: Iterable[TeamId] = (),
        *,
        user_id: UserId | None = None,
        actor: str = SYSTEM,
    ) -> User:
        """A user without a password: give them ``create_enrolment``'s link. Raises InvalidInput, Conflict, NotFound (team)."""
        user = User(
            org_id=org_id,
            user_id=user_id or UserId(uuid.uuid4().hex),
            username=_checked_username(username),
            display_name=display_name.strip() or username,
            roles=_checked_roles(roles),
            team_ids=frozenset(team_ids),
        )
        with self._database.write() as connection:
            self._insert_user(connection, user)
            self._audit(connection, org_id, actor, "user.create", user.user_id, f"roles {' '.join(sorted(user.roles))}")
        return user

    def user(self, org_id: OrgId, user_id: UserId) -> User:
        """Raises NotFound."""
        with self._database.read() as connection:
            return load_user(connection, org_id, user_id)

    def user_by_name(self, org_id: OrgId, username: str) -> User | None:
        """Whom a call's ``agent`` names, by username or user id."""
        table = t.users.c
        names = sa.or_(table.username_key == username_key(username), table.user_id == username)
        with self._database.read() as connection:
            found = (
                connection.execute(sa.select(table.user_id).where(table.org_id == org_id, names).order_by(table.user_id)).scalars().first()
            )
            return None if found is None else load_user(connection, org_id, UserId(found))

    def names(self, org_id: OrgId, user_ids: Iterable[str]) -> dict[str, str]:
        """Display names of those of these people that there are."""
        wanted = sorted(set(user_ids))
        if not wanted:
            return {}
        query = sa.select(t.users.c.user_id, t.users.c.display_name).where(t.users.c.org_id == org_id, t.users.c.user_id.in_(wanted))
        with self._database.read() as connection:
            return {row.user_id: row.display_name for row in connection.execute(query)}

    def users(self, org_id: OrgId) -> list[User]:
        with self._database.read() as connection:
            query = sa.select(t.users.c.user_id).where(t.users.c.org_id == org_id).order_by(t.users.c.username_key)
            return [load_user(connection, org_id, user_id) for user_id in connection.execute(query).scalars().all()]

    def update_user(
        self,
        org_id: OrgId,
        user_id: UserId,
        *,
        display_name: str | None = None,
        roles: Iterable[Role] | None = None,
        team_ids: Iterable[TeamId] | None = None,
        active: bool | None = None,
        actor: str = SYSTEM,
    ) -> User:
        """Changes what is given. Deactivating a user, or changing their roles, ends their sessions. Raises NotFound, InvalidInput."""
        key = sa.and_(t.users.c.org_id == org_id, t.users.c.user_id == user_id)
        with self._database.write() as connection:
            before = load_user(connection, org_id, user_id)
            values = {"display_name": display_name, "active": active}
            values = {name: value for name, value in values.items() if value is not None}
            if values:
                connection.execute(sa.update(t.users).where(key).values(**values))
            if roles is not None:
                _replace_roles(connection, org_id, user_id, _checked_roles(roles))
            if team_ids is not None:
                _replace_teams(connection, org_id, user_id, frozenset(team_ids))
            after = load_user(connection, org_id, user_id)
            if not after.active or after.roles != before.roles:
                forget_tokens(connection, org_id, user_id)
            detail = f"active {after.active}; roles {' '.join(sorted(after.roles))}; teams {' '.join(sorted(after.team_ids))}"
            self._audit(connection, org_id, actor, "user.update", user_id, detail)
        return after

    # -- enrolment ---------------------------------------------------------------------------------------------------------------------

    def create_enrolment(self, org_id: OrgId, user_id: UserId, *, actor: str = SYSTEM, life: timedelta = ENROLMENT_LIFE) -> str:
        """A one-time token with which the user sets a password; earlier ones of theirs are void. Stored hashed. Raises NotFound."""
        with self._database.write() as connection:
            load_user(connection, org_id, user_id)
            return self._enrol(connection, org_id, user_id, actor, life)

    def enrolment(self, token: str) -> Enrolment:
        """Raises NotFound when the token is unknown, used or too old."""
        with self._database.read() as connection:
            return self._open_enrolment(connection, token)

    def enrol(self, token: str, password: str, username: str | None = None) -> User:
        """Uses the token up; sets the password (and the username, if given). Raises NotFound, InvalidInput, Conflict (username taken)."""
        wanted = _checked_username(username) if username else None
        name = wanted or self.enrolment(token).user.username
        hashed = self._passwords.hash(password, name)
        now = self._clock.now()
        with self._database.write() as connection:
            user = self._open_enrolment(connection, token).user
            key = sa.and_(t.enrolments.c.token_hash == token_hash(token), t.enrolments.c.used_at.is_(None))
            if connection.execute(sa.update(t.enrolments).where(key).values(used_at=now)).rowcount != 1:
                raise NotFound(_NO_ENROLMENT)
            if wanted is not None and wanted != user.username:
                _free(connection, wanted, user.user_id)
                here = sa.and_(t.users.c.org_id == user.org_id, t.users.c.user_id == user.user_id)
                connection.execute(sa.update(t.users).where(here).values(username=wanted, username_key=username_key(wanted)))
            forget_tokens(connection, user.org_id, user.user_id)
            here = sa.and_(t.credentials.c.org_id == user.org_id, t.credentials.c.user_id == user.user_id)
            connection.execute(sa.delete(t.credentials).where(here))
            row = {"org_id": user.org_id, "user_id": user.user_id, "password_hash": hashed, "changed_at": now}
            connection.execute(sa.insert(t.credentials).values(**row))
            self._audit(connection, user.org_id, user.user_id, "user.enrol", user.user_id)
            return load_user(connection, user.org_id, user.user_id)

    def ensure_first_admin(self, org_id: OrgId = DEFAULT_ORG) -> str | None:
        """A one-time enrolment token for the administrator as long as nobody has a password; None afterwards.

        Asking again voids the previous token, so a token lost on the first run is no harm.
        """
        with self._database.write() as connection:
            # The organisation's row is the lock: two processes starting at once print one valid link.
            self._ensure_org(connection, org_id, "")
            connection.execute(sa.select(t.orgs.c.org_id).where(t.orgs.c.org_id == org_id).with_for_update())
            if connection.execute(sa.select(t.credentials.c.user_id).where(t.credentials.c.org_id == org_id).limit(1)).first() is not None:
                return None
            admin = connection.execute(
                sa.select(t.user_roles.c.user_id).where(t.user_roles.c.org_id == org_id, t.user_roles.c.role == "sys_admin").limit(1)
            ).scalar()
            if admin is None:
                user = User(
                    org_id=org_id, user_id=UserId(uuid.uuid4().hex), username="admin", display_name="管理员", roles=FIRST_ADMIN_ROLES
                )
                self._insert_user(connection, user)
                self._audit(connection, org_id, SYSTEM, "user.create", user.user_id, "the first administrator")
                admin = user.user_id
            return self._enrol(connection, org_id, UserId(admin), SYSTEM, ENROLMENT_LIFE)

    # -- inside a transaction ----------------------------------------------------------------------------------------------------------

    def _ensure_org(self, connection: Connection, org_id: OrgId, name: str) -> None:
        insert_if_new(connection, t.orgs, org_id=org_id, name=name or org_id, created_at=self._clock.now())

    def _insert_user(self, connection: Connection, user: User) -> None:
        self._ensure_org(connection, user.org_id, "")
        _free(connection, user.username, user.user_id)
        row: dict[str, Any] = {"org_id": user.org_id, "user_id": user.user_id}
        row |= {"username": user.username, "username_key": username_key(user.username)}
        row |= {"display_name": user.display_name, "active": user.active, "created_at": self._clock.now()}
        try:
            connection.execute(sa.insert(t.users).values(**row))
        except IntegrityError:
            raise Conflict(f"There is a user {user.user_id} already.") from None
        _replace_roles(connection, user.org_id, user.user_id, user.roles)
        _replace_teams(connection, user.org_id, user.user_id, user.team_ids)

    def _enrol(self, connection: Connection, org_id: OrgId, user_id: UserId, actor: str, life: timedelta) -> str:
        token, now = new_token(), self._clock.now()
        open_ones = sa.and_(t.enrolments.c.org_id == org_id, t.enrolments.c.user_id == user_id, t.enrolments.c.used_at.is_(None))
        connection.execute(sa.delete(t.enrolments).where(open_ones))
        row = {"token_hash": token_hash(token), "org_id": org_id, "user_id": user_id, "created_at": now, "expires_at": now + life}
        connection.execute(sa.insert(t.enrolments).values(**row, used_at=None))
        self._audit(connection, org_id, actor, "user.invite", user_id)
        return token

    def _open_enrolment(self, connection: Connection, token: str) -> Enrolment:
        table = t.enrolments.c
        fresh = sa.and_(table.token_hash == token_hash(token), table.used_at.is_(None), table.expires_at > self._clock.now())
        row = connection.execute(sa.select(t.enrolments).where(fresh)).one_or_none()
        if row is None:
            raise NotFound(_NO_ENROLMENT)
        return Enrolment(user=load_user(connection, row.org_id, row.user_id), expires_at=row.expires_at)

    def _audit(self, connection: Connection, org_id: OrgId, actor: str, action: str, target: str, detail: str = "") -> None:
        append_entry(connection, AuditEntry(org_id=org_id, at=self._clock.now(), actor=actor, action=action, target=target, detail=detail))


_NO_ENROLMENT = "This enrolment link was used already, has expired or never existed; ask an administrator for a new one."


def load_user(connection: Connection, org_id: OrgId, user_id: UserId) -> User:
    """Raises NotFound."""
    row = connection.execute(sa.select(t.users).where(t.users.c.org_id == org_id, t.users.c.user_id == user_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no user {user_id}.")
    roles = sa.select(t.user_roles.c.role).where(t.user_roles.c.org_id == org_id, t.user_roles.c.user_id == user_id)
    teams = sa.select(t.user_teams.c.team_id).where(t.user_teams.c.org_id == org_id, t.user_teams.c.user_id == user_id)
    return User(
        org_id=org_id,
        user_id=user_id,
        username=row.username,
        display_name=row.display_name,
        roles=frozenset(connection.execute(roles).scalars()),
        team_ids=frozenset(connection.execute(teams).scalars()),
        active=row.active,
    )


def forget_tokens(connection: Connection, org_id: OrgId, user_id: UserId) -> None:
    """Ends every session of the user and voids their tickets."""
    for table in (t.sessions, t.tickets):
        connection.execute(sa.delete(table).where(table.c.org_id == org_id, table.c.user_id == user_id))


def new_token() -> str:
    """256 random bits, safe in a URL fragment."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    # The tokens are random and long, so a plain hash suffices: nothing to guess, nothing to slow down.
    return hashlib.sha256(token.encode()).hexdigest()


def username_key(username: str) -> str:
    return username.strip().casefold()


def _checked_username(username: str) -> str:
    username = username.strip()
    if _USERNAME.fullmatch(username) is None:
        raise InvalidInput("A username has 2 to 64 letters, digits or . _ - @ characters.")
    return username


def _checked_roles(roles: Iterable[Role]) -> frozenset[Role]:
    chosen = frozenset(roles)
    unknown = sorted(chosen - set(ROLES))
    if unknown or not chosen:
        raise InvalidInput(f"Roles must be some of: {', '.join(ROLES)}.")
    return chosen


def _free(connection: Connection, username: str, user_id: UserId) -> None:
    taken = sa.and_(t.users.c.username_key == username_key(username), t.users.c.user_id != user_id)
    if connection.execute(sa.select(t.users.c.user_id).where(taken)).first() is not None:
        raise Conflict("This username is taken; choose another one.")


def _replace_roles(connection: Connection, org_id: OrgId, user_id: UserId, roles: Iterable[Role]) -> None:
    table = t.user_roles
    connection.execute(sa.delete(table).where(table.c.org_id == org_id, table.c.user_id == user_id))
    connection.execute(sa.insert(table), [{"org_id": org_id, "user_id": user_id, "role": role} for role in sorted(roles)])


def _replace_teams(connection: Connection, org_id: OrgId, user_id: UserId, team_ids: frozenset[TeamId]) -> None:
    table = t.user_teams
    known = set(connection.execute(sa.select(t.teams.c.team_id).where(t.teams.c.org_id == org_id)).scalars())
    if not team_ids <= known:
        raise NotFound(f"There is no team {', '.join(sorted(team_ids - known))}; create it first.")
    connection.execute(sa.delete(table).where(table.c.org_id == org_id, table.c.user_id == user_id))
    if team_ids:
        connection.execute(sa.insert(table), [{"org_id": org_id, "user_id": user_id, "team_id": team} for team in sorted(team_ids)])
