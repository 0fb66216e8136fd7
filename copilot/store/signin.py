"""Signing in: sessions behind opaque tokens, throttled failures, and short-lived tickets for websockets and audio."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from copilot.domain.clock import Clock
from copilot.domain.errors import NotFound, Unauthenticated
from copilot.domain.ids import CallId, OrgId, UserId
from copilot.domain.people import AuditEntry, User
from copilot.store import tables as t
from copilot.store.audit import append_entry
from copilot.store.database import Database, insert_if_new
from copilot.store.passwords import Passwords
from copilot.store.people import forget_tokens, load_user, new_token, token_hash, username_key

TicketPurpose = Literal["feed", "audio", "microphone", "embed"]
SESSION_LIFE = timedelta(hours=12)
TICKET_LIFE: dict[TicketPurpose, timedelta] = {
    "feed": timedelta(seconds=30),
    "audio": timedelta(minutes=5),
    "microphone": timedelta(seconds=30),
    "embed": timedelta(seconds=60),
}
FREE_FAILURES = 5
LONGEST_WAIT_S = 900
_FORGET_FAILURES = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in user. ``token`` is known only here and to its holder."""

    token: str
    expires_at: datetime
    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    ticket: str
    expires_in_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemed:
    """Whose ticket it was. ``session_hash``: of the session that asked for it; None for a ticket of no session."""

    user: User
    session_hash: str | None


class SqlSignIn:
    """Sessions and tickets. Synchronous and thread-safe. Tokens are stored hashed only."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords

    def login(self, username: str, password: str) -> Session:
        """Raises Unauthenticated: the same sentence, after the same time, for an unknown name, a wrong password and an inactive user.

        After five failures in a row a name must wait: 2 s, 4 s, … up to 15 min. Names that do not exist are throttled alike.
        """
        self._check_throttle(username)
        users, secrets = t.users.c, t.credentials
        query = (
            sa.select(users.org_id, users.user_id, users.active, secrets.c.password_hash)
            .join(secrets, sa.and_(secrets.c.org_id == users.org_id, secrets.c.user_id == users.user_id))
            .where(users.username_key == username_key(username))
        )
        with self._database.read() as connection:
            found = connection.execute(query).one_or_none()
        # Outside any transaction: hashing takes long.
        right = self._passwords.check(found.password_hash if found is not None else None, password)
        with self._database.write() as connection:
            if found is None or not right or not found.active:
                self._count_failure(connection, username)
                if found is not None:
                    self._audit(connection, found.org_id, found.user_id, "login.refuse")
            else:
                connection.execute(sa.delete(t.login_throttle).where(t.login_throttle.c.username_hash == _name_hash(username)))
                self._audit(connection, found.org_id, found.user_id, "login")
                return self._start(connection, found.org_id, found.user_id)
        raise Unauthenticated("The username or the password is wrong.")

    def start_session(self, user: User, action: str = "login") -> Session:
        """A session for a user who has just proved who they are otherwise (enrolment, a host page). ``action``: as audited."""
        with self._database.write() as connection:
            self._audit(connection, user.org_id, user.user_id, action)
            return self._start(connection, user.org_id, user.user_id)

    def user_of(self, token: str) -> User:
        """Whose session it is. Raises Unauthenticated."""
        return self.session_user(token_hash(token))

    def logout(self, token: str) -> User | None:
        """Ends the session and voids the user's tickets; whose it was. An unknown token is no fault."""
        with self._database.write() as connection:
            row = connection.execute(sa.select(t.sessions).where(t.sessions.c.token_hash == token_hash(token))).one_or_none()
            if row is not None:
                connection.execute(sa.delete(t.sessions).where(t.sessions.c.token_hash == row.token_hash))
                connection.execute(sa.delete(t.tickets).where(t.tickets.c.org_id == row.org_id, t.tickets.c.user_id == row.user_id))
                self._audit(connection, row.org_id, row.user_id, "logout")
                return load_user(connection, row.org_id, row.user_id)
        return None

    def logout_everywhere(self, org_id: OrgId, user_id: UserId, *, actor: str) -> None:
        with self._database.write() as connection:
            forget_tokens(connection, org_id, user_id)
            entry = AuditEntry(org_id=org_id, at=self._clock.now(), actor=actor, action="logout.everywhere", target=user_id)
            append_entry(connection, entry)

    # -- tickets -----------------------------------------------------------------------------------------------------------------------

    def issue_ticket(
        self, user: User, purpose: TicketPurpose, origin: str, call_id: CallId | None = None, *, session: str | None = None
    ) -> Ticket:
        """What goes into a URL or a first message instead of the session token. ``origin``: the page's, as the browser sends it.

        ``session``: the token it is asked with; what the ticket opens ends with that session (see ``session_user``).
        """
        token, now, life = new_token(), self._clock.now(), TICKET_LIFE[purpose]
        row: dict[str, str | None] = {"token_hash": token_hash(token), "org_id": user.org_id, "user_id": user.user_id}
        row |= {"purpose": purpose, "origin": origin}
        row["session_hash"] = token_hash(session) if session is not None else None
        with self._database.write() as connection:
            connection.execute(sa.delete(t.tickets).where(t.tickets.c.expires_at <= now))
            connection.execute(sa.insert(t.tickets).values(**row, call_id=call_id, expires_at=now + life, used_at=None))
        return Ticket(ticket=token, expires_in_s=int(life.total_seconds()))

    def redeem_ticket(self, ticket: str, purpose: TicketPurpose, origin: str | None, call_id: CallId | None = None) -> User:
        """Whose ticket it is. It works once; an audio ticket until it expires, since players ask in ranges.

        ``origin`` None only where browsers send none (audio of the same origin). Raises Unauthenticated.
        """
        return self.redeem(ticket, purpose, origin, call_id).user

    def redeem(self, ticket: str, purpose: TicketPurpose, origin: str | None, call_id: CallId | None = None) -> Redeemed:
        """``redeem_ticket``, with the session behind the ticket."""
        table, now = t.tickets.c, self._clock.now()
        here = sa.and_(table.token_hash == token_hash(ticket), table.purpose == purpose, table.expires_at > now)
        with self._database.write() as connection:
            row = connection.execute(sa.select(t.tickets).where(here).with_for_update()).one_or_none()
            origin_fits = row is not None and (origin == row.origin or (origin is None and purpose == "audio"))
            if row is None or not origin_fits or row.call_id != call_id or (purpose != "audio" and row.used_at is not None):
                raise Unauthenticated("This ticket was used already, has expired or was made for something else; ask for a new one.")
            connection.execute(sa.update(t.tickets).where(table.token_hash == row.token_hash).values(used_at=now))
            return Redeemed(user=self._active(connection, row.org_id, row.user_id), session_hash=row.session_hash)

    def session_user(self, session_hash: str) -> User:
        """Whose session it still is, with the roles and teams of this moment. Raises Unauthenticated when it has ended."""
        table = t.sessions.c
        with self._database.read() as connection:
            fresh = sa.and_(table.token_hash == session_hash, table.expires_at > self._clock.now())
            row = connection.execute(sa.select(t.sessions).where(fresh)).one_or_none()
            return self._active(connection, row.org_id, row.user_id) if row is not None else _nobody()

    # -- inside a transaction ----------------------------------------------------------------------------------------------------------

    def _start(self, connection: Connection, org_id: OrgId, user_id: UserId) -> Session:
        token, now = new_token(), self._clock.now()
        connection.execute(sa.delete(t.sessions).where(t.sessions.c.expires_at <= now))
        row = {"token_hash": token_hash(token), "org_id": org_id, "user_id": user_id, "created_at": now, "expires_at": now + SESSION_LIFE}
        connection.execute(sa.insert(t.sessions).values(**row))
        return Session(token=token, expires_at=now + SESSION_LIFE, user=self._active(connection, org_id, user_id))

    def _active(self, connection: Connection, org_id: OrgId, user_id: UserId) -> User:
        try:
            user = load_user(connection, org_id, user_id)
        except NotFound:
            return _nobody()
        return user if user.active else _nobody()

    def _check_throttle(self, username: str) -> None:
        table = t.login_throttle.c
        with self._database.read() as connection:
            until = connection.execute(
                sa.select(table.locked_until).where(table.username_hash == _name_hash(username))
            ).scalar_one_or_none()
        wait = (until - self._clock.now()).total_seconds() if until is not None else 0
        if wait > 0:
            raise Unauthenticated(f"Too many failed sign-ins with this username; wait {int(wait) + 1} s and try again.")

    def _count_failure(self, connection: Connection, username: str) -> None:
        table, now = t.login_throttle.c, self._clock.now()
        connection.execute(sa.delete(t.login_throttle).where(table.last_at <= now - _FORGET_FAILURES))
        here = table.username_hash == _name_hash(username)
        insert_if_new(connection, t.login_throttle, username_hash=_name_hash(username), failures=0, last_at=now, locked_until=None)
        failures = 1 + connection.execute(sa.select(table.failures).where(here).with_for_update()).scalar_one()
        over = failures - FREE_FAILURES
        locked = now + timedelta(seconds=min(2 ** min(over + 1, 20), LONGEST_WAIT_S)) if over >= 0 else None
        values = {"failures": failures, "last_at": now, "locked_until": locked}
        connection.execute(sa.update(t.login_throttle).where(here).values(**values))

    def _audit(self, connection: Connection, org_id: OrgId, user_id: UserId, action: str) -> None:
        append_entry(connection, AuditEntry(org_id=org_id, at=self._clock.now(), actor=user_id, action=action, target=user_id))


def _name_hash(username: str) -> str:
    return hashlib.sha256(username_key(username).encode()).hexdigest()


def _nobody() -> User:
    raise Unauthenticated("You are not signed in, or your session has ended; sign in again.")
