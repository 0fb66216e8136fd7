"""What commands ask of the running server."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from copilot.assembly.admin import address, ask, serving
from copilot.domain.errors import Conflict, EngineError

pytestmark = pytest.mark.anyio


async def asked(data_dir: Path, request: dict, seen: list | None = None) -> dict | None:
    return await asyncio.to_thread(ask, data_dir, request, lambda *step: seen.append(step) if seen is not None else None)


def write(request, progress):
    progress(1, 2)
    progress(2, 2)
    return {"org": request["org"]}


def refuse(_request, _progress):
    raise Conflict("Process 7 is writing.")


def fail(_request, _progress):
    raise KeyError("secret customer text")


async def test_the_result_comes_after_the_progress(tmp_path: Path) -> None:
    seen: list = []
    async with serving(tmp_path, {"write": write}):
        assert await asked(tmp_path, {"do": "write", "org": "bank"}, seen) == {"org": "bank"}
    assert seen == [(1, 2), (2, 2)]


async def test_errors_are_said_and_nothing_of_unexpected_ones(tmp_path: Path) -> None:
    async with serving(tmp_path, {"refuse": refuse, "fail": fail}):
        with pytest.raises(EngineError, match="Process 7 is writing"):
            await asked(tmp_path, {"do": "refuse"})
        with pytest.raises(EngineError, match="KeyError") as failed:
            await asked(tmp_path, {"do": "fail"})
        assert "secret" not in str(failed.value)
        with pytest.raises(EngineError, match="knows no 'other'"):
            await asked(tmp_path, {"do": "other"})


async def test_no_server_is_no_answer_also_where_one_was_killed(tmp_path: Path) -> None:
    assert await asked(tmp_path, {"do": "write"}) is None
    server = await asyncio.start_unix_server(lambda _reader, _writer: None, path=str(address(tmp_path)))
    server.close()  # leaves the file
    assert await asked(tmp_path, {"do": "write"}) is None
    async with serving(tmp_path, {"write": write}):
        assert await asked(tmp_path, {"do": "write", "org": "b"}) == {"org": "b"}


async def test_the_socket_is_this_users_alone_and_a_long_path_has_one_too(tmp_path: Path) -> None:
    for data_dir in (tmp_path, tmp_path / ("a" * 60) / ("b" * 60)):
        data_dir.mkdir(parents=True, exist_ok=True)
        async with serving(data_dir, {"write": write}):
            where = address(data_dir)
            assert len(os.fsencode(where)) <= 100
            assert stat.S_IMODE(where.stat().st_mode) == 0o600
            assert await asked(data_dir, {"do": "write", "org": "b"}) == {"org": "b"}
        assert not where.exists()


async def test_a_request_that_is_none_harms_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path, {"write": write}):
        for junk in (b"", b"{\n", b"[]\n"):
            reader, writer = await asyncio.open_unix_connection(str(address(tmp_path)))
            writer.write(junk)
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
        assert await asked(tmp_path, {"do": "write", "org": "b"}) == {"org": "b"}
