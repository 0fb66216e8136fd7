"""The schema that migrations make is the schema that the code uses; opening is safe to repeat and honest about what it cannot read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from copilot.domain import events
from copilot.domain.calls import Call
from copilot.domain.errors import ConfigError, EngineError
from copilot.store import data_classes
from copilot.store import tables as t
from copilot.store.database import Database
from copilot.store.keyring import CallCipher, KeyRing, call_context, new_call_key
from copilot.store.migrate import upgrade
from copilot.store.rows import CALL_FIELDS
from tests.fakes.stores import CALL, ORG, make_store, new_database, postgres_server, sqlite_url


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_url(tmp_path) if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))


def test_migrations_make_exactly_the_tables_of_the_code(url: str) -> None:
    database = Database(url)
    upgrade(database)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, t.metadata) == []
    database.close()


def test_opening_at_once_and_again_is_safe(url: str, tmp_path: Path) -> None:
    def open_once(_: int) -> None:
        make_store(url, tmp_path).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_once, range(8)))


def test_a_database_of_a_newer_version_is_refused(url: str, tmp_path: Path) -> None:
    store = make_store(url, tmp_path)
    with store.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(ConfigError, match="newer version"):
        make_store(url, tmp_path)


@pytest.mark.parametrize("wrong", ["nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "sqlite:///file.db?mode=memory"])
def test_a_wrong_url_is_refused_with_advice(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.url"):
        Database(wrong)


def test_an_unreachable_server_is_an_engine_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError):
        make_store("postgresql://x@127.0.0.1:1/none", tmp_path)


def test_sqlite_is_durable_private_and_lets_readers_read(tmp_path: Path) -> None:
    store = make_store(sqlite_url(tmp_path), tmp_path)
    with store.database.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    with store.database.write(), store.database.read() as reader:
        assert reader.execute(sa.select(t.orgs)).all() == []
    for path in tmp_path.glob("store.db*"):
        assert path.stat().st_mode & 0o077 == 0, path
    store.close()


def test_what_was_acknowledged_survives_a_killed_process(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from tests.fakes.stores import CALL, ORG, make_store, said, sqlite_url, started
        place = Path(sys.argv[1])
        store = make_store(sqlite_url(place), place)
        async def main():
            opened = await store.journal.open(ORG, CALL, "node")
            await store.journal.append(ORG, opened, [started()])
            for number in range(1, 100000):
                await store.journal.append(ORG, opened, [said(str(number), number)])
                print(number, flush=True)
        asyncio.run(main())
    """)
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert child.stdout is not None
    acknowledged = 0
    for line in child.stdout:
        acknowledged = int(line)
        if acknowledged == 25:
            child.send_signal(signal.SIGKILL)
            break
    acknowledged = max([acknowledged, *[int(line) for line in child.stdout.read().split()]])
    child.wait()
    store = make_store(sqlite_url(tmp_path), tmp_path)
    texts = [item.event.text for item in store.calls.events(ORG, CALL)[1:]]  # type: ignore[union-attr]
    assert texts == [str(number) for number in range(1, len(texts) + 1)]
    assert len(texts) >= acknowledged
    assert store.calls.rebuild_projections() == 0
    assert len(store.calls.close_interrupted("node")) == 1
    store.close()


# --- data classes ---------------------------------------------------------------------------------------------------------------------


def test_every_column_has_a_data_class() -> None:
    assert {name: set(columns) for name, columns in data_classes.COLUMNS.items()} == {
        table.name: set(table.columns.keys()) for table in t.metadata.sorted_tables
    }
    assert {value for columns in data_classes.COLUMNS.values() for value in columns.values()} <= set(data_classes.ORDER)


def test_every_content_field_of_an_event_has_a_data_class() -> None:
    import typing

    kinds = typing.get_args(events.CallEvent)
    declared = {kind.__dataclass_fields__["type"].default: set(kind.CONTENT) for kind in kinds if kind.CONTENT}
    assert {name: set(fields) for name, fields in data_classes.EVENT_CONTENT.items()} == declared


def test_a_row_has_the_highest_class_of_its_fields_and_strangers_the_highest_of_all() -> None:
    assert data_classes.content_class("intent_detected", ["why"]) == "internal"
    assert data_classes.content_class("utterance_final", ["text", "words"]) == "sensitive"
    assert data_classes.content_class("utterance_final", ["text", "new_field"]) == "restricted"
    assert data_classes.content_class("new_event", ["x"]) == "restricted"


def test_the_projection_has_every_field_of_a_call() -> None:
    assert set(CALL_FIELDS) <= set(t.calls.columns.keys())
    assert set(CALL_FIELDS) == set(Call.__dataclass_fields__)


# --- keys -----------------------------------------------------------------------------------------------------------------------------


def test_the_master_key_is_made_once_private_and_shared_by_who_starts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.key"
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: KeyRing.open(path), range(16)))
    assert len({ring.current for ring in rings}) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["master.key"]
    key = new_call_key()
    wrapped = rings[0].wrap(key, b"c1")
    assert rings[-1].unwrap(*wrapped, b"c1") == key
    with pytest.raises(EngineError):
        rings[-1].unwrap(*wrapped, b"c2")


def test_a_key_file_others_can_read_or_that_is_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    KeyRing.open(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        KeyRing.open(path)
    path.chmod(0o600)
    for damage in ("", "{}", '{"current": "a", "keys": {"a": "AAAA"}}', '{"current": "b", "keys": {}}', "[]"):
        path.write_text(damage)
        with pytest.raises(ConfigError, match="damaged"):
            KeyRing.open(path)


def test_an_older_master_key_still_opens_what_it_wrapped() -> None:
    old = KeyRing({"a": b"a" * 32}, "a")
    both = KeyRing({"a": b"a" * 32, "b": b"b" * 32}, "b")
    key = new_call_key()
    assert both.unwrap(*old.wrap(key, b"c"), b"c") == key
    assert both.wrap(key, b"c")[0] == "b"


@pytest.mark.anyio
async def test_a_database_without_its_key_file_is_refused(tmp_path: Path) -> None:
    store = make_store(sqlite_url(tmp_path), tmp_path)
    await store.journal.open(ORG, CALL, "node")
    store.close()
    (tmp_path / "master.key").unlink()
    with pytest.raises(ConfigError, match="key file"):
        make_store(sqlite_url(tmp_path), tmp_path)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_cipher_notices_every_change_and_every_wrong_place() -> None:
    cipher = CallCipher(new_call_key(), call_context("o", "c"))
    sealed = cipher.seal("我的卡".encode(), b"row 1")
    assert cipher.open(sealed, b"row 1") == "我的卡".encode()
    assert cipher.seal(b"x") != cipher.seal(b"x")
    for index in range(len(sealed)):
        damaged = sealed[:index] + bytes([sealed[index] ^ 1]) + sealed[index + 1 :]
        with pytest.raises(EngineError, match="damaged"):
            cipher.open(damaged, b"row 1")
    for wrong in (b"", b"short", sealed):
        with pytest.raises(EngineError):
            cipher.open(wrong, b"row 2")


def test_no_name_is_longer_than_postgresql_takes():
    names = [index.name for table in t.metadata.tables.values() for index in table.indexes]
    names += [constraint.name for table in t.metadata.tables.values() for constraint in table.constraints]
    assert [name for name in names if name and len(str(name)) > 63] == []
