"""Peers that are slow, rude, confused or gone: what each gets, that nothing of them stays, and that a call beside them is heard whole."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import threading
import uuid
from contextlib import asynccontextmanager

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from streaming.callers import CALLERS
from streaming.handshake import IntegrationConfig, hashed_key
from streaming.telephony.audiosocket import frame as socket_frame
from streaming.telephony.protocol import PROTOCOLS
from tests.fakes.conversations import messages_of, recording_of
from tests.fakes.tone_speech import silence, tone
from tests.unit.test_gateway import KEY, anyio_backend, make_bench, speak, start_call, stereo, the_rest, until  # noqa: F401 - fixtures

pytestmark = pytest.mark.anyio
NAMES = sorted(name for name in CALLERS if PROTOCOLS[name].transport == "websocket" and name not in ("asterisk", "audiohook"))
"""Those that a plain websocket client can speak for; the two that answer back have tests of their own."""
VENDORS = ("asterisk", "audiohook")
INTEGRATIONS = tuple(
    IntegrationConfig(name=name, protocol=name, org_id="org", keys=(hashed_key(KEY),), max_calls=1_000)
    for name in ("auto", *NAMES, *VENDORS, "audiosocket")
)
SPOKEN = stereo(tone("甲乙丙丁") + silence(700), silence(700) + tone("东南西北"))


@asynccontextmanager
async def witness(bench):
    """A call that runs beside whatever happens; at the end it must be whole, and nothing else may be left in the gateway."""
    before = asyncio.all_tasks()
    async with bench.connect("/v1/raw") as websocket:
        await start_call(websocket, call_id="witness")
        half = len(SPOKEN) // 128 * 64
        await speak(websocket, SPOKEN[:half])
        await bench.heard("witness", half // 64)
        during = asyncio.all_tasks()
        yield during
        await until(lambda: not (asyncio.all_tasks() - during))
        assert bench.gateway.live_calls == 1
        assert len(bench.gateway._connections) == 1
        await speak(websocket, SPOKEN[half:])
        await websocket.send('{"type":"stop"}')
        assert (await the_rest(websocket))[1] == 1000
    handle = await bench.ended("witness")
    assert handle.ended == ("hangup", len(SPOKEN) // 64)
    assert handle.texts("customer") == ["甲乙丙丁"]
    assert handle.texts("agent") == ["东南西北"]
    assert handle.degradations == []
    assert not [item for item in handle.told if isinstance(item, tuple) and item[0] == "gap"]
    assert bench.recording("witness").pcm16("customer").tolist() == np.frombuffer(SPOKEN, "<i2")[0::2].tolist()
    await until(lambda: not (asyncio.all_tasks() - before))


async def conversation(bench, name, messages):
    """Sends all of it, whatever comes back; the close code and reason."""
    spec = CALLERS[name]
    subprotocols = {"subprotocols": [spec.subprotocol]} if spec.subprotocol else {}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with connect(bench.url(f"/v1/{name}"), additional_headers=headers, proxy=None, compression=None, **subprotocols) as websocket:
        with contextlib.suppress(Exception):
            for message in messages:
                await websocket.send(message)
        return (await the_rest(websocket))[1:]


# ---------------------------------------------------------------------- slow, silent, gone


async def test_a_handshake_that_drips_is_cut_off(make_bench):  # noqa: F811
    async with make_bench(integrations=INTEGRATIONS, start_timeout_s=0.4) as bench, witness(bench):
        drips = []
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", bench.gateway.port)
            drips.append((reader, writer))
        for byte in b"GET /v1/raw HT":
            for _, writer in drips:
                writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
        for reader, writer in drips:
            async with asyncio.timeout(20):
                assert b"101" not in await reader.read()
            writer.close()


async def test_a_handshake_without_end_is_cut_off(make_bench):  # noqa: F811
    async with make_bench(integrations=INTEGRATIONS) as bench, witness(bench):
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.gateway.port)
        writer.write(b"GET /v1/raw HTTP/1.1\r\n")
        with contextlib.suppress(OSError):
            for _ in range(200):
                writer.write(b"X-Filler: " + b"x" * 8_000 + b"\r\n")
                await writer.drain()
        async with asyncio.timeout(20):
            with contextlib.suppress(OSError):
                assert b"101" not in await reader.read()
        writer.close()


async def test_a_start_that_never_comes_is_not_waited_for(make_bench):  # noqa: F811
    async with make_bench(integrations=INTEGRATIONS, start_timeout_s=0.3) as bench:
        sockets = [await bench.connect(f"/v1/{name}") for name in ("auto", *NAMES)]
        for websocket in sockets:
            assert (await the_rest(websocket))[1] == 4408
        assert bench.sink.calls == {}
        await until(lambda: bench.gateway._connections == set())


async def open_by_hand(bench, path="/v1/raw"):
    """A websocket of our own making, on which nothing answers pings."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.gateway.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Version: 13\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    )
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101")
    return reader, writer


async def test_a_message_that_drips_is_not_waited_for(make_bench):  # noqa: F811
    async with make_bench(integrations=INTEGRATIONS, start_timeout_s=0.5) as bench, witness(bench):
        reader, writer = await open_by_hand(bench)
        writer.write(frame(b'{"type":"start"' + b" " * 200, 1)[:-190])
        answer = asyncio.create_task(reader.readuntil((4408).to_bytes(2, "big")))
        async with asyncio.timeout(20):
            while not answer.done():
                writer.write(b" ")  # far fewer than would make it whole
                await asyncio.sleep(0.1)
        assert b"was not started" in await answer
        writer.close()


async def socket_of(bench, call_id):
    """An AudioSocket stream that was announced, before it says who it is; and what it must say."""
    taken = await bench.gateway.announce(
        f"Bearer {KEY}", "", call_id=call_id, legs=((None, "customer"),), metadata={}, language=None, wait_s=60
    )
    streams = await asyncio.open_connection("127.0.0.1", bench.gateway.audiosocket_port)
    return *streams, socket_frame(0x01, uuid.UUID(taken.legs[0].leg_id).bytes)


async def test_a_stream_that_drips_its_id_is_not_waited_for(make_bench):  # noqa: F811
    integrations = tuple(integration for integration in INTEGRATIONS if integration.protocol in ("audiosocket", "raw"))
    async with make_bench(integrations=integrations, start_timeout_s=0.5) as bench, witness(bench):
        reader, writer, identity = await socket_of(bench, "drip")
        gone = asyncio.create_task(reader.read())
        async with asyncio.timeout(20):
            for at in range(len(identity) - 1):
                writer.write(identity[at : at + 1])
                await asyncio.sleep(0.05)
            assert await gone == b""
        writer.close()
        assert "drip" not in bench.sink.calls
        assert [reason[:4] for _, reason in bench.sink.audits] == ["4408"]


async def test_a_stream_that_vanishes_without_a_word_ends_when_it_has_been_idle(make_bench):  # noqa: F811
    integrations = tuple(integration for integration in INTEGRATIONS if integration.protocol == "audiosocket")
    async with make_bench(integrations=integrations, idle_timeout_s=2) as bench:
        reader, writer, identity = await socket_of(bench, "idle")
        writer.write(identity + socket_frame(0x12, tone("甲乙丙丁")))
        # No FIN and no audio: TCP alone would not notice it, and the silence that is sent stays in the buffers.
        handle = await bench.ended("idle")
        assert handle.ended == ("error", 800)
        assert handle.texts("customer") == ["甲乙丙丁"]
        assert socket_frame(0x12, bytes(640)) in await reader.read()
        await until(lambda: not bench.gateway._connections)
        writer.close()


def frame(payload, opcode):
    """A masked frame with an all-zero mask."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0x80 | 126]) + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + bytes(4) + payload


async def test_a_peer_that_vanishes_without_a_word_is_noticed_and_what_it_said_is_kept(make_bench):  # noqa: F811
    async with make_bench(integrations=INTEGRATIONS, ping_s=0.3) as bench, witness(bench):
        reader, writer = await open_by_hand(bench, "/v1/vonage")
        writer.write(frame(b'{"event":"websocket:connected","content-type":"audio/l16;rate=16000","call_id":"gone"}', 1))
        pcm = tone("甲乙丙丁")
        for at in range(0, len(pcm), 640):
            writer.write(frame(pcm[at : at + 640], 2))
        # No FIN, no answer to pings, no audio: a pulled plug.
        await until(lambda: "gone" in bench.sink.calls)
        handle = await bench.ended("gone")
        assert handle.ended == ("peer_closed", len(pcm) // 32)
        assert handle.texts("customer") == ["甲乙丙丁"]
        assert len(await reader.read()) > 0  # the pings that nobody answered
        writer.close()


# ---------------------------------------------------------------------- rude


@pytest.mark.parametrize("name", [*NAMES, *VENDORS])
async def test_a_message_too_big_is_refused(make_bench, name):  # noqa: F811
    async with make_bench(integrations=INTEGRATIONS) as bench, witness(bench):
        for number, big in enumerate(("x" * 300_000, bytes(300_000))):
            opening = messages_of(name, recording_of(name, ms=100), call_id=f"big-{number}")[:6]
            code, _ = await conversation(bench, name, [*opening, big])
            assert code == 1009
            for call_id in set(bench.sink.calls) - {"witness"}:
                await bench.ended(call_id)
        assert [reason[:4] for _, reason in bench.sink.audits] == ["1009", "1009"]


@pytest.mark.parametrize("name", NAMES)
async def test_messages_in_a_wrong_order_and_a_second_start(make_bench, name):  # noqa: F811
    async with make_bench(integrations=INTEGRATIONS) as bench, witness(bench):
        messages = messages_of(name, recording_of(name, ms=100), call_id="odd")
        start = next((at for at, message in enumerate(messages) if isinstance(message, str) and '"start"' in message), None)
        wrong = {"backwards": messages[::-1], "garbage": [messages[0], *messages[2:4], "\x00garbage", b"\x01" * 7, "[]"]}
        if start is not None:
            wrong["second start"] = [*messages[: start + 3], messages[start]]
        for what, conversation_ in wrong.items():
            if name in ("freeswitch", "jambonz", "vonage") and what == "garbage":
                continue  # free text between the audio means nothing there, and is allowed
            code, reason = await conversation(bench, name, conversation_)
            assert code in (1002, 1003, 1007), what
            assert reason
            if "odd" in bench.sink.calls:
                assert (await bench.ended("odd")).ended[0] == "error"


@pytest.mark.parametrize("name", ["twilio", "signalwire", "telnyx", "plivo", "exotel"])
@pytest.mark.parametrize("jump_ms", [5 * 3_600_000, -5 * 3_600_000])
async def test_a_clock_that_is_set_during_a_call(make_bench, name, jump_ms):  # noqa: F811
    async with make_bench(integrations=INTEGRATIONS) as bench, witness(bench):
        recording = recording_of(name, ms=400)
        messages = []
        for message in messages_of(name, recording, call_id="clock"):
            body = json.loads(message)
            if body["event"] == "media":
                late = int(body["media"]["chunk"]) > 10
                begin = 0 if name == "plivo" or jump_ms > 0 else -jump_ms
                body["media"]["timestamp"] = str(int(body["media"]["timestamp"]) + begin + (jump_ms if late else 0))
            messages.append(json.dumps(body))
        assert (await conversation(bench, name, messages))[0] == 1000
        handle = await bench.ended("clock")
        assert handle.ended == ("hangup", 400)
        assert bench.recording("clock").pcm16("customer").tolist() == recording.samples[:, 0].tolist()


# ---------------------------------------------------------------------- many


async def knock(bench, number):
    """One connection that comes to nothing, each of several kinds."""
    match number % 5:
        case 0:  # the wrong key
            with pytest.raises(InvalidStatus):
                await bench.connect("/v1/raw", "wrong")
        case 1:  # comes and goes
            _, writer = await open_by_hand(bench)
            writer.close()
        case 2:  # breaks off in the middle of a call
            _, writer = await open_by_hand(bench, "/v1/freeswitch")
            writer.write(frame(b'{"uuid":"k-%d"}' % number, 1) + frame(bytes(320), 2))
            await writer.drain()
            writer.transport.abort()
        case 3:  # talks nonsense
            reader, writer = await open_by_hand(bench)
            writer.write(frame(b"nonsense", 1))
            async with asyncio.timeout(30):
                await reader.readuntil(b"must be JSON.")
            writer.close()  # without a word more: the server does not wait for it
        case _:  # is no websocket at all
            _, writer = await asyncio.open_connection("127.0.0.1", bench.gateway.port)
            writer.write(os.urandom(64))
            writer.transport.abort()


async def test_who_is_gone_holds_no_place_while_the_recording_is_sealed(make_bench):  # noqa: F811
    async with make_bench(integrations=INTEGRATIONS, max_connections=1) as bench:
        go_on = threading.Event()
        put = bench.media.put
        bench.media.put = lambda *arguments: go_on.wait(60) and put(*arguments)
        try:
            for number in range(3):
                await knock(bench, 5 * number + 2)
                await until(lambda: len(bench.sink.calls) == number + 1 and not bench.gateway._connections)  # noqa: B023 - awaited at once
            assert bench.gateway.live_calls == 3
        finally:
            go_on.set()
        for number in range(3):
            assert (await bench.ended(f"k-{5 * number + 2}")).ended == ("peer_closed", 20)
        await until(lambda: bench.gateway.live_calls == 0)


async def many(make_bench, count):  # noqa: F811
    async with make_bench(integrations=INTEGRATIONS, max_connections=300) as bench, witness(bench):
        for at in range(0, count, 25):
            async with asyncio.TaskGroup() as group:
                for number in range(at, at + 25):
                    group.create_task(knock(bench, number))
        await until(lambda: len(bench.gateway._connections) == 1)
        calls = [handle for call_id, handle in bench.sink.calls.items() if call_id.startswith("k-")]
        for handle in calls:
            await handle.over.wait()
        await until(lambda: bench.gateway.live_calls == 1)
        assert len(bench.sink.audits) <= 120


async def test_five_hundred_connections_leave_nothing_behind(make_bench):  # noqa: F811
    await many(make_bench, 500)


@pytest.mark.slow
async def test_ten_thousand_connections_leave_nothing_behind(make_bench):  # noqa: F811
    await many(make_bench, 10_000)
