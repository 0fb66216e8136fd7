"""Two server processes on one store: a call whose peer goes to the other node goes on there, and the first can write nothing more of it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from loadtest.calls import all_artifacts, events_until, of_type, signed_in
from loadtest.scoring import edit_distance, normalise
from loadtest.server_process import ServerProcess
from streaming.callers import CALLERS
from streaming.calling import FRAME_MS
from streaming.play import load_recording
from tests.fakes.broken_line import line, raw_parts
from tests.fakes.stores import new_database, postgres_server, sqlite_url

pytestmark = [pytest.mark.anyio, pytest.mark.models, pytest.mark.timeout(600)]

CUT_MS = 11_510
"""In the middle of a sentence of the agent's; earlier ones are in the record."""
MOST_CER = 0.03


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
        return
    with postgres_server() as server:
        yield new_database(server)


@pytest.fixture
def nodes(store_url: str, tmp_path: Path) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Store, recordings and master key are shared; spool, index and worker are each node's own."""
    shared = {"PANGTING_STORE__URL": store_url, "PANGTING_MEDIA__URL": f"file://{tmp_path / 'media'}"}
    with (
        ServerProcess(data_dir=tmp_path / "a", settings=shared, protocols=("raw",)) as a,
        ServerProcess(data_dir=tmp_path / "b", settings=shared, protocols=("raw",), key=a.key) as b,
    ):
        a.prepare({"agent-a": ("agent", "坐席甲"), "inspector": ("inspector", "质检员")})
        b.data_dir.mkdir()
        shutil.copy(a.data_dir / "master.key", b.data_dir / "master.key")
        b.passwords = a.passwords
        for node in (a, b):
            node.start()
            node.wait_ready()
        yield a, b


async def stale_words(first, part) -> int:
    """What the old connection, which nobody cut, sends on: the close code that it gets."""
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(60):
            while True:
                for messages in part.caller.frames():
                    for message in messages:
                        await first.websocket.send(message)
                    await asyncio.sleep(FRAME_MS / 1000)
    return first.websocket.close_code


async def test_a_call_moves_to_the_other_node(nodes, short_call: tuple[Path, int]):
    a, b = nodes
    file, end_ms = short_call
    call_id = str(uuid.uuid4())
    # The peer kept all that it said; the new node says from where on it needs it.
    one, two = raw_parts(load_recording(file, CALLERS["raw"]), call_id, CUT_MS, 0, end_ms)
    async with signed_in(b, "inspector") as inspector, line(a, "raw", one) as first:
        await first.speak()
        before = await events_until(inspector, call_id, lambda events: len(of_type(events, "utterance_final")) >= 2)
        async with line(b, "raw", two, first.began) as second:
            code, _ = await asyncio.gather(stale_words(first, one), second.speak())
            assert code == 4409
            # The old owner dies and starts again while the call is live elsewhere: it must not close what is not its own any more.
            a.kill()
            a.start()
            await a.wait_ready_async()
            assert not of_type(await events_until(inspector, call_id, bool), "call_ended")
            await second.hang_up()
        events = await events_until(inspector, call_id, all_artifacts, timeout_s=120)
        envelopes = (await inspector.get(f"/calls/{call_id}/events", limit=5000))["events"]
        legs = (await inspector.get(f"/calls/{call_id}/audio"))["legs"]
    assert events[: len(before)] == before, "what was stored stays as it was"
    assert [envelope["seq"] for envelope in envelopes] == list(range(1, len(envelopes) + 1))
    epochs = [envelope["epoch"] for envelope in envelopes if envelope["event"]["type"] != "artifact_ready"]
    assert epochs == sorted(epochs), "the old owner wrote nothing after the new one came"
    assert set(epochs) == {1, 2}
    assert len(of_type(events, "call_started")) == 1
    (ended,) = of_type(events, "call_ended")
    assert ended["reason"] == "hangup"
    assert abs(ended["duration_ms"] - end_ms) <= FRAME_MS
    kinds = sorted(event["kind"] for event in of_type(events, "artifact_ready"))
    assert [kind for kind in kinds if kind != "recording"] == ["keywords", "mood", "qa", "summary", "ticket"], "each once"
    assert all(not leg["gaps"] for leg in legs)
    # What the old node was still told lies beneath what the new one heard, and may reach further.
    assert all(leg["duration_ms"] >= end_ms - FRAME_MS for leg in legs)
    finals = of_type(events, "utterance_final")
    assert len({final["utterance_id"] for final in finals}) == len(finals)
    (answer,) = b.transcripts(file)
    for channel in ("customer", "agent"):
        said, wanted = (
            normalise("".join(final["text"] for final in some if final["channel"] == channel)) for some in (finals, answer["utterances"])
        )
        assert edit_distance(wanted, said) <= MOST_CER * len(wanted), f"{channel}: {wanted} became {said}"
