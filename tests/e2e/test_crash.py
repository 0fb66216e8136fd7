"""kill -9 in the middle of a sentence: after a restart the call is closed as interrupted, whole, and worked up once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from loadtest.calls import all_artifacts, events_until, has_copy, new_call_id, of_type, send, signed_in
from loadtest.server_process import ServerProcess

pytestmark = [pytest.mark.anyio, pytest.mark.models]


async def test_a_killed_server_loses_no_final_no_word_and_no_job(tmp_path):
    server = ServerProcess(data_dir=tmp_path)
    server.prepare({"agent-a": ("agent", "坐席甲"), "inspector": ("inspector", "质检员")})
    server.start()
    try:
        await server.wait_ready_async()
        call_id = new_call_id("crash")
        playing = asyncio.create_task(send(server, call_id, "short"))
        async with signed_in(server, "agent-a") as agent:
            await events_until(
                agent, call_id, lambda events: any(final["channel"] == "customer" for final in of_type(events, "utterance_final"))
            )
            # The agent's answer has begun half a second after the customer's words: it is under way now.
            await asyncio.sleep(4)
            before = await events_until(agent, call_id, bool)
        server.kill()
        with contextlib.suppress(Exception):
            await playing
        server.start()
        await server.wait_ready_async()
        async with signed_in(server, "inspector") as inspector:
            events = await events_until(inspector, call_id, lambda events: all_artifacts(events) and has_copy(events))
            legs = (await inspector.get(f"/calls/{call_id}/audio"))["legs"]
        assert events[: len(before)] == before, "what was stored stays as it was"
        assert [event["reason"] for event in of_type(events, "call_ended")] == ["interrupted"]
        assert sorted(event["kind"] for event in of_type(events, "artifact_ready")) == ["qa", "recording", "summary", "ticket"]
        last = max(final["end_ms"] for final in of_type(before, "utterance_final"))
        assert all(leg["duration_ms"] >= last - 1000 for leg in legs), "at most a second of audio is lost"
        finals = of_type(events, "utterance_final")
        found = [final for final in finals if final["source"] == "recording"]
        assert found, "what was being said when the server died is in the transcript"
        assert [final["source"] for final in of_type(before, "utterance_final")] == ["live"] * len(of_type(before, "utterance_final"))
        assert min(final["start_ms"] for final in found if final["channel"] == "agent") >= last - 1500, "nothing is transcribed twice"
        spoken = "".join(final["text"] for final in finals if final["channel"] == "agent")
        assert spoken.count("忘记") == 1
        assert len({final["utterance_id"] for final in finals}) == len(finals)
    finally:
        server.stop()
