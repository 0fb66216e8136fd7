"""kill -9 in the middle of a sentence: after a restart the call is closed as interrupted, whole, and worked up once."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from itertools import pairwise
from pathlib import Path

import pytest

from loadtest.calls import all_artifacts, events_until, of_type, send_file, signed_in
from loadtest.feed_client import FeedClient
from loadtest.measures import common
from loadtest.scoring import edit_distance, normalise
from loadtest.server_process import ServerProcess

pytestmark = [pytest.mark.anyio, pytest.mark.models, pytest.mark.timeout(600)]

MOST_LOST_MS = 1000
MOST_CER = 0.03


async def last_heard_ms(agent: FeedClient, call_id: str, after_ms: int, speaking: asyncio.Event) -> dict[str, int]:
    """Until when each channel has been recognised, kept up to date until it is cancelled: partials say it between the finals.

    ``speaking`` is set when the agent has been recognised beyond ``after_ms``.
    """
    heard = {"customer": 0, "agent": 0}
    async with agent.feed() as feed:
        with contextlib.suppress(asyncio.CancelledError):
            async for message in feed:
                if message.get("call_id") == call_id and message["type"] == "partial":
                    partial = message["partial"]
                    heard[partial["channel"]] = max(heard[partial["channel"]], partial["end_ms"])
                    if partial["channel"] == "agent" and partial["end_ms"] > after_ms:
                        speaking.set()
    return heard


def said(events: list[dict], channel: str) -> list[dict]:
    finals = [final for final in of_type(events, "utterance_final") if final["channel"] == channel]
    return sorted(finals, key=lambda final: final["start_ms"])


async def test_a_killed_server_loses_no_final_no_word_and_no_job(tmp_path, short_call: tuple[Path, int]):
    file, _ = short_call
    server = ServerProcess(data_dir=tmp_path)
    server.prepare({"agent-a": ("agent", "坐席甲"), "inspector": ("inspector", "质检员")})
    (file_itself,) = server.transcripts(file)
    longest = max((u for u in file_itself["utterances"] if u["channel"] == "agent"), key=lambda u: u["end_ms"] - u["start_ms"])
    speaking = asyncio.Event()
    server.start()
    try:
        await server.wait_ready_async()
        call_id = str(uuid.uuid4())
        async with signed_in(server, "agent-a") as agent:
            hearing = asyncio.create_task(last_heard_ms(agent, call_id, longest["start_ms"] + 2000, speaking))
            playing = asyncio.create_task(send_file(server, call_id, file, protocol="raw"))
            await asyncio.wait_for(speaking.wait(), 60)  # in the middle of the agent's longest sentence
            before = await events_until(agent, call_id, bool)
            hearing.cancel()
            heard = await hearing
            server.kill()
        with contextlib.suppress(Exception):
            await playing
        server.start()
        await server.wait_ready_async()
        async with signed_in(server, "inspector") as inspector:
            events = await events_until(inspector, call_id, all_artifacts, timeout_s=120)
            legs = {leg["channel"]: leg for leg in (await inspector.get(f"/calls/{call_id}/audio"))["legs"]}
        assert events[: len(before)] == before, "what was stored stays as it was"
        (ended,) = of_type(events, "call_ended")
        assert ended["reason"] == "interrupted"
        kinds = sorted(event["kind"] for event in of_type(events, "artifact_ready"))
        assert [kind for kind in kinds if kind != "recording"] == ["keywords", "mood", "qa", "summary", "ticket"], "each once"
        for channel, at_ms in heard.items():
            assert legs[channel]["duration_ms"] >= at_ms - MOST_LOST_MS, "at most a second of audio is lost"
            assert not legs[channel]["gaps"]
        assert heard["agent"] > 0
        live = of_type(before, "utterance_final")
        assert {final["source"] for final in live} == {"live"}
        found = [final for final in of_type(events, "utterance_final") if final["source"] == "recording"]
        rest = normalise("".join(final["text"] for final in found if final["channel"] == "agent"))
        assert common(normalise(longest["text"]), rest) >= 4, "what was being said when the server died is in the transcript"
        assert len({final["utterance_id"] for final in of_type(events, "utterance_final")}) == len(of_type(events, "utterance_final"))
        for channel, leg in legs.items():
            finals = said(events, channel)
            assert all(later["start_ms"] >= earlier["end_ms"] - 100 for earlier, later in pairwise(finals)), "twice"
            whole = [u for u in file_itself["utterances"] if u["channel"] == channel and u["end_ms"] <= leg["duration_ms"] - 700]
            wanted = normalise("".join(utterance["text"] for utterance in whole))
            if not whole:
                continue
            heard_of_it = normalise("".join(final["text"] for final in finals if final["end_ms"] <= whole[-1]["end_ms"] + 100))
            assert edit_distance(wanted, heard_of_it) <= MOST_CER * len(wanted), f"{channel}: {wanted} became {heard_of_it}"

        assert server.stop() == 0
        server.start()
        await server.wait_ready_async()
        async with signed_in(server, "inspector") as inspector:
            assert await events_until(inspector, call_id, bool) == events, "another start finds nothing left to do"
    finally:
        server.stop()
