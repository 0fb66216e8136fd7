"""Bad input at a real server: each gets its answer, what was heard is kept, other calls are untouched."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
import soundfile
import websockets

from loadtest.calls import audio, events_until, gold, has_ended, new_call_id, of_type, send, signed_in
from loadtest.gold import transcript_cer
from loadtest.server_process import ServerProcess
from streaming.telephony.g711 import encode

pytestmark = [pytest.mark.anyio, pytest.mark.models]


def connect(server: ServerProcess, protocol: str = "raw", **options):
    headers = {"Authorization": f"Bearer {server.key}"}
    return websockets.connect(server.telephony_url(protocol), additional_headers=headers, compression=None, **options)


def start(call_id: str, **changes) -> str:
    message = {
        "type": "start", "call_id": call_id, "channels": ["customer", "agent"], "encoding": "pcmu", "sample_rate": 8000,
        "language": "zh", "metadata": {"agent": "agent-a"},
    }  # fmt: skip
    return json.dumps({**message, **changes})


async def refused(server: ServerProcess, *messages: str | bytes) -> tuple[int, str]:
    """The close code and reason the server answers these messages with."""
    async with connect(server) as socket:
        for message in messages:
            await socket.send(message)
        return await closed(socket)


async def closed(socket: websockets.ClientConnection) -> tuple[int, str]:
    """Reads until the server closes; its code and reason."""
    async with asyncio.timeout(60):
        with contextlib.suppress(websockets.ConnectionClosed):
            async for _ in socket:
                pass
    return socket.close_code or 0, socket.close_reason or ""


async def test_without_a_key_or_with_a_wrong_one_nobody_connects(server: ServerProcess):
    for headers, status in (({}, 401), ({"Authorization": "Bearer wrong"}, 403)):
        with pytest.raises(websockets.InvalidStatus) as answer:
            async with websockets.connect(server.telephony_url("raw"), additional_headers=headers):
                pass
        assert answer.value.response.status_code == status


@pytest.mark.parametrize(
    "message",
    ["not json", "[]", '{"type":"stop"}', start("bad/../id"), start("x", channels=["customer"] * 3), start("x", sample_rate=7)],
)
async def test_a_malformed_start_is_refused_with_a_sentence(server: ServerProcess, message: str):
    code, reason = await refused(server, message)
    assert code in (1002, 1003, 1007, 1008)
    assert len(reason) > 10


async def test_a_wrong_codec_is_refused(server: ServerProcess):
    code, reason = await refused(server, start(new_call_id("codec"), encoding="opus"))
    assert code in (1002, 1003, 1008)
    assert "pcm" in reason


async def test_a_peer_that_never_starts_is_closed(server: ServerProcess):
    code, reason = await refused(server)
    assert (code, bool(reason)) == (4408, True)


def mulaw(name: str) -> bytes:
    """The scenario's call as the interleaved wire bytes of the raw protocol."""
    samples, _ = soundfile.read(audio(name), dtype="int16", always_2d=True)
    return encode(samples.reshape(-1), "pcmu")


async def test_garbage_after_the_start_ends_that_call_and_keeps_what_was_heard(server: ServerProcess):
    call_id, beside = new_call_id("garbage"), new_call_id("beside")
    other = asyncio.create_task(send(server, beside, "short", agent="agent-b"))
    data = mulaw("short")
    async with connect(server) as socket:
        await socket.send(start(call_id))
        for at in range(0, 8000 * 2 * 12, 3200):
            await socket.send(data[at : at + 3200])
            await asyncio.sleep(0.02)
        await socket.send('{"type":"no such thing"')
        code, _ = await closed(socket)
        assert code not in (0, 1000)
    async with signed_in(server, "inspector") as inspector:
        events = await events_until(inspector, call_id, has_ended)
        assert of_type(events, "utterance_final"), "what was said before the garbage is kept"
        assert of_type(events, "call_ended")[0]["reason"] in ("error", "peer_closed")
        legs = (await inspector.get(f"/calls/{call_id}/audio"))["legs"]
        assert all(leg["duration_ms"] >= 11_900 for leg in legs)
        await other
        finals = of_type(await events_until(inspector, beside, has_ended), "utterance_final")
        assert transcript_cer(gold("short"), finals) <= gold("short")["cer_bound"]


async def test_a_client_that_vanishes_is_closed_as_such_and_worked_up(server: ServerProcess):
    call_id = new_call_id("vanish")
    data = mulaw("short")
    socket = await connect(server)
    await socket.send(start(call_id))
    for at in range(0, 8000 * 2 * 12, 3200):
        await socket.send(data[at : at + 3200])
        await asyncio.sleep(0.02)
    socket.transport.abort()
    async with signed_in(server, "inspector") as inspector:
        events = await events_until(inspector, call_id, lambda e: has_ended(e) and bool(of_type(e, "artifact_ready")))
        assert of_type(events, "call_ended")[0]["reason"] == "peer_closed"
        assert of_type(events, "utterance_final")


async def test_ten_minutes_of_silence_are_a_legal_call_without_a_word(server: ServerProcess):
    call_id = new_call_id("silence")
    block = b"\xff" * 16_000  # one second of both channels, digital silence in μ-law
    async with connect(server) as socket:
        await socket.send(start(call_id))
        for _ in range(600):
            await socket.send(block)
            await asyncio.sleep(0.005)
        await socket.send('{"type":"stop"}')
        await closed(socket)
    async with signed_in(server, "inspector") as inspector:
        events = await events_until(inspector, call_id, has_ended)
        assert of_type(events, "utterance_final") == []
        assert 599_000 <= of_type(events, "call_ended")[0]["duration_ms"] <= 601_000


async def test_a_second_connection_with_the_same_call_id_is_refused_and_the_first_goes_on(server: ServerProcess):
    call_id = new_call_id("twice")
    first = asyncio.create_task(send(server, call_id, "short"))
    await asyncio.sleep(3)
    code, reason = await refused(server, start(call_id))
    assert code == 4409
    assert reason
    await first
    async with signed_in(server, "agent-a") as agent:
        events = await events_until(agent, call_id, has_ended)
        assert of_type(events, "call_ended")[0]["reason"] == "hangup"
        assert transcript_cer(gold("short"), of_type(events, "utterance_final")) <= gold("short")["cer_bound"]
