"""A real store on each supported database, for the contract tests: SQLite in a file, and a PostgreSQL server of our own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from copilot.domain.events import CallStarted, EventEnvelope, SuggestionOffered, UtteranceFinal
from copilot.domain.ids import CallId, OrgId
from copilot.domain.people import Role, Scope
from copilot.store.keyring import KeyRing
from copilot.store.passwords import Passwords
from copilot.store.store import Store, open_store
from copilot.telemetry.clock import ManualClock

ORG = OrgId("default")
CALL = CallId("c1")
AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def quick_passwords() -> Passwords:
    """Argon2 at its cheapest: the tests are about what surrounds it."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


def make_store(url: str, directory: Path, clock: ManualClock | None = None, rung: list[EventEnvelope] | None = None) -> Store:
    bell = rung.extend if rung is not None else None
    return open_store(url, KeyRing.open(directory / "master.key"), clock or ManualClock(AT), on_committed=bell, passwords=quick_passwords())


def sqlite_url(directory: Path) -> str:
    return f"sqlite:///{directory / 'store.db'}"


@contextmanager
def postgres_server() -> Iterator[str]:
    """``postgresql+psycopg://…`` of a server that lives as long as the block. Skips where PostgreSQL is missing."""
    programs = _postgres_programs()
    if programs is None:
        message = "PostgreSQL's initdb and pg_ctl are missing: THE STORE IS NOT TESTED ON POSTGRESQL HERE. Run: apt-get install postgresql"
        pytest.skip(message)
    # PostgreSQL refuses to run as root: there it runs as the user its package made, outside of pytest's directory, which is root's alone.
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    data = Path(tempfile.mkdtemp(prefix="pangting-pg-"))
    if account is not None:
        os.chown(data, account.pw_uid, account.pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account is not None else {}
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"

    def run(program: str, *arguments: str) -> None:
        subprocess.run([str(programs / program), "-D", str(data), *arguments], check=True, stdout=subprocess.DEVNULL, cwd=data, **user)

    try:
        run("initdb", "-U", "pangting", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        run("pg_ctl", "-w", "-l", str(data / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://pangting@127.0.0.1:{port}"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(data, ignore_errors=True)


@cache
def _postgres_programs() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


def new_database(server: str) -> str:
    """A fresh database on the server."""
    name = f"t{uuid.uuid4().hex}"
    engine = sa.create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


def started(agent_id: str | None = "u1", at: datetime = AT, metadata: dict[str, str] | None = None) -> CallStarted:
    return CallStarted(
        external_id="CA1",
        protocol="raw",
        legs=(),
        language="zh",
        started_at=at,
        agent_id=agent_id,
        metadata=metadata or {"ani": "【手机号#1】"},
    )


def said(text: str, number: int = 1) -> UtteranceFinal:
    return UtteranceFinal(
        utterance_id=f"customer-{number}",
        channel="customer",
        start_ms=number * 1000,
        end_ms=number * 1000 + 900,
        language="zh",
        confidence=0.9,
        text=text,
    )


def offered(number: int = 1) -> SuggestionOffered:
    return SuggestionOffered(
        suggestion_id=f"s{number}", kind="faq", confidence=0.9, trigger="customer-1", at_ms=2000, title="挂失", text="您好"
    )


def scope(user_id: str, *roles: Role, teams: tuple[str, ...] = (), org: str = ORG) -> Scope:
    return Scope(org_id=org, user_id=user_id, roles=frozenset(roles), team_ids=frozenset(teams))
