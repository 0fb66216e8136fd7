"""A peer whose line breaks in the middle of a word and that comes back: one call, no word twice, none missing, with the real models."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from loadtest.calls import all_artifacts, events_until, of_type, send_file, signed_in
from loadtest.scoring import edit_distance, normalise
from loadtest.server_process import ServerProcess
from streaming.callers import CALLERS
from streaming.calling import FRAME_MS
from streaming.play import load_recording
from tests.fakes.broken_line import audiohook_parts, line, raw_parts

pytestmark = [pytest.mark.anyio, pytest.mark.models, pytest.mark.timeout(600)]

CUT_MS = 11_510
"""In the middle of a sentence of the agent's."""
AWAY_S = 3.0
"""Longer than the silence that ends an utterance, and than the stall of a line that does."""
REPEATED_MS = 400
"""What the peer sends again, to be safe."""
MOST_CER = 0.03
PARTS = {"raw": raw_parts, "audiohook": audiohook_parts}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with ServerProcess(data_dir=tmp_path_factory.mktemp("reconnect"), protocols=tuple(PARTS)) as running:
        running.prepare({"agent-a": ("agent", "坐席甲"), "inspector": ("inspector", "质检员")})
        running.start()
        running.wait_ready()
        yield running


async def broken(server: ServerProcess, protocol: str, file: Path, call_id: str, end_ms: int) -> None:
    """The call with a line that breaks without a word in the middle of it."""
    recording = load_recording(file, CALLERS[protocol])
    first, second = PARTS[protocol](recording, call_id, CUT_MS, CUT_MS - REPEATED_MS, end_ms)
    async with line(server, protocol, first) as live:
        await live.speak()
        await live.break_off()
    await asyncio.sleep(AWAY_S)
    async with line(server, protocol, second, live.began) as live:
        await live.speak()
        await live.hang_up()
    assert second.caller.fault is None


@pytest.mark.parametrize("protocol", sorted(PARTS))
async def test_a_call_whose_line_broke_is_the_call_that_did_not_break(server: ServerProcess, short_call: tuple[Path, int], protocol: str):
    file, end_ms = short_call
    whole, cut = str(uuid.uuid4()), str(uuid.uuid4())
    await asyncio.gather(send_file(server, whole, file, protocol=protocol), broken(server, protocol, file, cut, end_ms))
    async with signed_in(server, "inspector") as inspector:
        expected = await events_until(inspector, whole, all_artifacts, timeout_s=120)
        events = await events_until(inspector, cut, all_artifacts, timeout_s=120)
        legs = (await inspector.get(f"/calls/{cut}/audio"))["legs"]
    (ended,) = of_type(events, "call_ended")
    assert ended["reason"] == "hangup"
    assert abs(ended["duration_ms"] - end_ms) <= FRAME_MS
    assert not of_type(events, "degraded")
    assert not of_type(events, "media_gap")
    assert all(not leg["gaps"] for leg in legs)
    for channel in ("customer", "agent"):
        finals, reference = (
            [final for final in of_type(told, "utterance_final") if final["channel"] == channel] for told in (events, expected)
        )
        assert len({final["utterance_id"] for final in finals}) == len(finals) == len(reference)
        for final, unbroken in zip(finals, reference, strict=True):
            assert abs(final["start_ms"] - unbroken["start_ms"]) <= 50
            assert abs(final["end_ms"] - unbroken["end_ms"]) <= 50
        said, wanted = (normalise("".join(final["text"] for final in some)) for some in (finals, reference))
        assert edit_distance(wanted, said) <= MOST_CER * len(wanted), f"{channel}: {wanted} became {said}"
