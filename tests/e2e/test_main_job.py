"""The main job over the public interfaces: a call comes in, is transcribed, answered, and worked up after hang-up."""

from __future__ import annotations

import asyncio
import contextlib
import io

import httpx
import numpy as np
import pytest
import soundfile

from loadtest.calls import all_artifacts, events_until, gold, has_copy, new_call_id, of_type, send, signed_in
from loadtest.gold import judge
from loadtest.server_process import ServerProcess

pytestmark = [pytest.mark.anyio, pytest.mark.models]


async def test_a_call_is_heard_answered_and_worked_up_as_its_gold_says(server: ServerProcess):
    call_id = new_call_id("short")
    async with signed_in(server, "agent-a") as agent:
        messages: list[dict] = []
        async with agent.feed() as feed:

            async def follow() -> None:
                async for message in feed:
                    messages.append(message)

            following = asyncio.create_task(follow())
            await send(server, call_id, "short", protocol="twilio")
            events = await events_until(agent, call_id, all_artifacts)
            await asyncio.sleep(0.5)
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
        artifacts = {item["kind"]: item["body"] for item in (await agent.get(f"/calls/{call_id}/artifacts"))["artifacts"]}
    checks = judge(gold("short"), of_type(events, "utterance_final"), of_type(events, "suggestion_offered"), artifacts)
    assert all(check.passed for check in checks), [f"{check.name}: {check.detail}" for check in checks if not check.passed]

    mine = [message for message in messages if message.get("call_id") == call_id]
    partials = [message["partial"] for message in mine if message["type"] == "partial"]
    assert any(partial["stable"] for partial in partials)
    seqs = [message["envelope"]["seq"] for message in mine if message["type"] == "event"]
    assert seqs == list(range(1, len(events) + 1)), "the feed shows every event once, in order"
    for card in of_type(events, "suggestion_offered"):
        if card["kind"] != "nothing":
            assert card["citations"][0]["version"] >= 1
            assert {stage["name"] for stage in card["stages"]} >= {"asr_decode", "mask", "store", "intent", "retrieve"}


async def test_a_feed_that_was_cut_off_resumes_without_loss_or_duplicate(server: ServerProcess):
    call_id = new_call_id("resume")
    seen: list[int] = []
    async with signed_in(server, "agent-a") as agent:
        playing = asyncio.create_task(send(server, call_id, "short"))

        async def read(stop_after: int | None) -> None:
            async with agent.feed({call_id: seen[-1]} if seen else None) as feed:
                taken = 0
                async for message in feed:
                    if message.get("type") == "event" and message["call_id"] == call_id:
                        seen.append(message["envelope"]["seq"])
                        taken += 1
                        if message["envelope"]["event"]["type"] == "call_ended" or taken == stop_after:
                            return

        async with asyncio.timeout(120):
            for _ in range(4):
                await read(stop_after=3)
                await asyncio.sleep(2)
            await read(stop_after=None)
            await playing
    assert seen == list(range(1, len(seen) + 1))


async def test_people_see_only_what_is_theirs(server: ServerProcess):
    call_id = new_call_id("scope")
    await send(server, call_id, "short", speed=8)
    async with signed_in(server, "agent-a") as own, signed_in(server, "agent-b") as other, signed_in(server, "inspector") as inspector:
        await events_until(own, call_id, all_artifacts)
        assert (await own.get(f"/calls/{call_id}"))["call_id"] == call_id
        assert (await other.http.get(f"/calls/{call_id}")).status_code == 404
        assert (await other.http.get(f"/calls/{call_id}/audio/customer.wav")).status_code == 404
        assert call_id not in {call["call_id"] for call in (await other.get("/calls"))["calls"]}
        assert (await inspector.get(f"/calls/{call_id}"))["call_id"] == call_id
        events = (await inspector.get(f"/calls/{call_id}/events"))["events"]
        cards = [e["event"] for e in events if e["event"]["type"] == "suggestion_offered"]
        refused = await inspector.http.post(
            f"/calls/{call_id}/feedback", json={"suggestion_id": cards[0]["suggestion_id"], "action": "used"}
        )
        assert refused.status_code == 403
    async with httpx.AsyncClient(base_url=f"{server.base}/api/v1") as nobody:
        answer = await nobody.get(f"/calls/{call_id}")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"


async def test_feedback_is_kept_once_and_changes_the_call(server: ServerProcess):
    call_id = new_call_id("feedback")
    await send(server, call_id, "short", speed=8)
    async with signed_in(server, "agent-a") as agent:
        events = await events_until(agent, call_id, all_artifacts)
        card = of_type(events, "suggestion_offered")[0]["suggestion_id"]
        for _ in range(2):
            answer = await agent.http.post(f"/calls/{call_id}/feedback", json={"suggestion_id": card, "action": "used"})
            assert answer.status_code == 204
        assert (await agent.get(f"/calls/{call_id}"))["suggestions_used"] == 1
        unknown = await agent.http.post(f"/calls/{call_id}/feedback", json={"suggestion_id": "s99", "action": "used"})
        assert unknown.status_code == 404


async def test_both_legs_are_recorded_and_played_in_ranges(server: ServerProcess):
    call_id = new_call_id("audio")
    await send(server, call_id, "short", speed=8)
    script = gold("short")
    async with signed_in(server, "inspector") as inspector:
        await events_until(inspector, call_id, all_artifacts)
        legs = {leg["channel"]: leg for leg in (await inspector.get(f"/calls/{call_id}/audio"))["legs"]}
        assert set(legs) == {"customer", "agent"}
        length = max(turn["end_ms"] for turn in script["turns"])
        assert all(leg["duration_ms"] >= length - 50 for leg in legs.values())
        whole = await inspector.http.get(f"/calls/{call_id}/audio/customer.wav")
        assert whole.status_code == 200
        assert whole.content[:4] == b"RIFF"
        part = await inspector.http.get(f"/calls/{call_id}/audio/customer.wav", headers={"Range": "bytes=100-299"})
        assert (part.status_code, part.content) == (206, whole.content[100:300])
        peaks = (await inspector.get(f"/calls/{call_id}/audio/customer/peaks", buckets=100))["peaks"]
        assert len(peaks) == 100
        assert max(peaks) > 0.1
        ticket = (await inspector.http.post("/tickets", json={"purpose": "audio", "call_id": call_id})).json()["ticket"]
    async with httpx.AsyncClient(base_url=f"{server.base}/api/v1") as player:
        assert (await player.get(f"/calls/{call_id}/audio/agent.wav", params={"ticket": ticket})).status_code == 200
        assert (await player.get(f"/calls/{call_id}/audio/agent.wav")).status_code == 401
        assert (await player.get("/calls/other/audio/agent.wav", params={"ticket": ticket})).status_code == 401


async def test_after_the_call_there_is_one_file_to_listen_to_and_the_original_is_the_agents(server: ServerProcess):
    call_id = new_call_id("copy")
    await send(server, call_id, "demo", speed=4)
    async with signed_in(server, "inspector") as inspector, signed_in(server, "agent-a") as agent:
        events = await events_until(inspector, call_id, has_copy)
        copy = (await inspector.get(f"/calls/{call_id}/audio"))["copy"]
        query = {"version": copy["version"]}
        masked = await inspector.http.get(f"/calls/{call_id}/audio/copy.flac", params=query)
        refused = await inspector.http.get(f"/calls/{call_id}/audio/copy.flac", params={**query, "original": True})
        original = await agent.http.get(f"/calls/{call_id}/audio/copy.flac", params={**query, "original": True})
        wavs = {
            channel: await agent.http.get(f"/calls/{call_id}/audio/{channel}.wav", params={"original": True})
            for channel in ("customer", "agent")
        }
    assert (masked.status_code, refused.status_code, original.status_code) == (200, 403, 200)
    heard, whole = (soundfile.read(io.BytesIO(answer.content), dtype="int16")[0] for answer in (masked, original))
    for side, channel in enumerate(copy["channels"]):
        leg = soundfile.read(io.BytesIO(wavs[channel].content), dtype="int16")[0]
        assert np.array_equal(whole[: len(leg), side], leg), "sample by sample the segments"
    rate = copy["sample_rate_hz"]
    inside = np.zeros(len(whole), bool)
    for span in (span for span in copy["hidden"] if span["channel"] is None):
        inside[span["start_ms"] * rate // 1000 : span["end_ms"] * rate // 1000] = True
    tokens = [final for final in of_type(events, "utterance_final") if "【" in final["text"]]
    assert tokens, "the customer reads out a card tail and a telephone number"
    for final in tokens:
        assert inside[final["start_ms"] * rate // 1000 : final["end_ms"] * rate // 1000].any()
    assert np.abs(heard[inside]).max() < 1000 < np.abs(whole[inside]).max()
    assert inside.mean() < 0.5, "most of the call can be heard"
    if all(span["channel"] is None for span in copy["hidden"]):  # unless recognition fell behind
        assert np.array_equal(heard[~inside], whole[~inside])


async def test_no_personal_value_reaches_store_or_log(server: ServerProcess):
    """The customer of the demo call reads out a card tail and a phone number; neither may be found in any file of the server."""
    call_id = new_call_id("privacy")
    await send(server, call_id, "demo", speed=4)
    async with signed_in(server, "agent-a") as agent:
        events = await events_until(agent, call_id, all_artifacts)
    texts = "".join(final["text"] for final in of_type(events, "utterance_final"))
    assert "【" in texts, "the call holds personal data, so tokens must appear"
    for secret in ("13900005678", "幺三九零零零零五六七八"):
        assert secret not in texts
        for path in server.data_dir.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), f"{path.name} holds a phone number in clear"
