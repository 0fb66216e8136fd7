"""The telephony server over real sockets: who may come in, what bad input gets, and that other calls do not notice."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import numpy as np
import pytest
import soundfile
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from copilot.domain.errors import ConfigError, Conflict, EngineError, Forbidden, InvalidInput, NotFound, Overloaded, RemoteProtocolError
from streaming.gateway import Gateway, GatewayConfig
from streaming.handshake import IntegrationConfig, Refusal, hashed_key, identify
from streaming.ingest import IngestConfig
from streaming.play import play
from streaming.recording.reader import RecordingReader
from streaming.recording.segment import ClearCipher
from streaming.telephony.twilio import signature
from tests.fakes.telephony_bench import TelephonyBench, until
from tests.fakes.tone_speech import silence, tone

pytestmark = pytest.mark.anyio

KEY = "k-3f9a"
URL = "wss://bank.example/v1/twilio"
RAW = IntegrationConfig(name="bench", protocol="raw", org_id="org", keys=(hashed_key("old"), hashed_key(KEY)), max_calls=3)
TWILIO = IntegrationConfig(
    name="pbx", protocol="twilio", org_id="org", keys=(hashed_key(KEY),), twilio_auth_token="12345", public_url=URL, language="en"
)
START = {
    "type": "start",
    "call_id": "c-1",
    "channels": ["customer", "agent"],
    "encoding": "pcm_s16le",
    "sample_rate": 16000,
    "language": "zh",
    "events": True,
}


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Bench(TelephonyBench):
    def __init__(self, tmp_path, **config):
        super().__init__(tmp_path, **{"integrations": (RAW, TWILIO), **config})

    def connect(self, path="/v1/raw", key=KEY, **headers):
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return connect(self.url(path), additional_headers=headers, proxy=None, compression=None)


@pytest.fixture
async def make_bench(tmp_path):
    benches = []

    @asynccontextmanager
    async def running(**config):
        bench = Bench(tmp_path / str(len(benches)), **config)
        benches.append(bench)
        async with bench.running():
            yield bench

    return running


@pytest.fixture
async def bench(make_bench):
    async with make_bench() as bench:
        yield bench


def stereo(customer, agent):
    size = max(len(customer), len(agent))
    legs = [np.frombuffer(leg.ljust(size, b"\0"), "<i2") for leg in (customer, agent)]
    return np.stack(legs, axis=1).astype("<i2").tobytes()


async def start_call(websocket, **changes):
    await websocket.send(json.dumps(START | changes))
    answer = json.loads(await websocket.recv())
    assert answer["type"] == "started", answer
    return answer


async def speak(websocket, pcm, step=1280):
    for at in range(0, len(pcm), step):
        await websocket.send(pcm[at : at + step])
        await asyncio.sleep(0)


async def the_rest(websocket):
    """What still comes, and how it ended."""
    events = []
    try:
        async with asyncio.timeout(20):
            async for message in websocket:
                events.append(json.loads(message))
    except ConnectionClosed:
        pass
    return events, websocket.close_code, websocket.close_reason


# ---------------------------------------------------------------------- the main path


async def test_a_raw_call_is_heard_answered_recorded_and_ended(bench):
    pcm = stereo(silence(400) + tone("甲乙丙丁戊己庚") + silence(700), silence(2600) + tone("东南西北"))
    async with bench.connect() as websocket:
        assert (await start_call(websocket, metadata={"agent": "li.na"}))["call_id"] == "c-1"
        await speak(websocket, pcm[:33_333])
        await speak(websocket, pcm[33_333:], step=777)
        await websocket.send('{"type":"stop"}')
        events, code, _ = await the_rest(websocket)
    assert code == 1000
    handle = await bench.ended("c-1")
    assert handle.ended == ("hangup", len(pcm) // 64)
    assert handle.start.metadata == {"agent": "li.na"}
    assert handle.texts("customer") == ["甲乙丙丁戊己庚"]
    assert [(e["channel"], e["text"]) for e in events if e["type"] == "final"] == [
        ("customer", "【甲乙丙丁戊己庚】"),
        ("agent", "【东南西北】"),
    ]
    assert all(e["stable"].startswith("【") for e in events if e["type"] == "partial")
    assert any(e["type"] == "partial" for e in events)
    assert events[-1] == {"type": "stopped", "duration_ms": len(pcm) // 64}
    reader = RecordingReader(bench.media, "org", "c-1", ClearCipher())
    assert reader.pcm16("customer").tolist() == np.frombuffer(pcm, "<i2")[0::2].tolist()
    assert reader.pcm16("agent").tolist() == np.frombuffer(pcm, "<i2")[1::2].tolist()
    assert bench.sink.audits == []


async def test_a_file_is_played_over_both_protocols(bench, tmp_path):
    pcm = stereo(silence(300) + tone("甲乙丙丁"), silence(1200) + tone("东南西北") + silence(300))
    soundfile.write(tmp_path / "call.wav", np.frombuffer(pcm, "<i2").reshape(-1, 2), 16_000)
    events = []
    result = await play(
        tmp_path / "call.wav",
        protocol="raw",
        url=bench.url("/v1/raw"),
        key=KEY,
        call_id="raw-1",
        on_event=events.append,
        speed=20,
    )
    assert result.duration_ms == 2300
    assert [e["type"] for e in events if e["type"] in ("started", "playing", "final", "stopped")] == [
        "started",
        "playing",
        "final",
        "final",
        "stopped",
    ]
    assert bench.sink.calls["raw-1"].texts("customer") == ["甲乙丙丁"]
    soundfile.write(tmp_path / "ulaw.wav", np.frombuffer(pcm, "<i2").reshape(-1, 2)[::2], 8000, subtype="ULAW")
    metadata = {"agent": "li.na"}
    await play(
        tmp_path / "ulaw.wav", protocol="twilio", url=bench.url("/v1/twilio/pbx"), key=KEY, call_id="CA7", metadata=metadata, speed=20
    )
    handle = bench.sink.calls["CA7"]
    assert handle.ended == ("hangup", 2300)
    assert handle.start.metadata == {"language": "zh", "agent": "li.na"}
    assert handle.integration.protocol == "twilio"
    reader = RecordingReader(bench.media, "org", "CA7", ClearCipher())
    assert reader.leg("agent").leg.encoding == "pcmu"
    # μ-law is exact to 1/32 of a sample.
    sent = np.frombuffer(pcm, "<i2").reshape(-1, 2)[::2, 1].astype(int)
    assert (abs(reader.pcm16("agent").astype(int) - sent) <= abs(sent) // 16 + 8).all()


# ---------------------------------------------------------------------- who may come in


@pytest.mark.parametrize(
    ("path", "key", "headers", "status", "says"),
    [
        ("/v1/raw", "", {}, 401, "Bearer"),
        ("/v1/raw", "wrong", {}, 403, "key"),
        ("/v1/raw?key=k-3f9a", "", {}, 401, "URL"),
        ("/v1/raw?token=k-3f9a", KEY, {}, 401, "URL"),
        ("/v1/raw", "", {"Authorization": "Basic abc"}, 401, "Bearer"),
        ("/v1/fax", KEY, {}, 404, "/v1/raw"),
        ("/", KEY, {}, 404, "/v1/raw"),
        ("/v1/raw/other", KEY, {}, 404, "/v1/raw"),
        ("/v1/twilio", "", {"X-Twilio-Signature": "AAAA"}, 403, "X-Twilio-Signature"),
        ("/v1/raw", "", {"X-Twilio-Signature": "AAAA"}, 403, "X-Twilio-Signature"),
    ],
)
async def test_refusals_at_the_door(bench, path, key, headers, status, says):
    with pytest.raises(InvalidStatus) as caught:
        async with bench.connect(path, key, **headers):
            pass
    response = caught.value.response
    assert response.status_code == status
    body = response.body.decode().strip()
    assert says in body
    assert body.count("\n") == 0
    assert body.endswith(".")
    assert KEY not in body
    assert bench.sink.audits[-1][1].startswith(str(status))
    assert bench.sink.calls == {}


async def test_both_keys_of_a_rotation_and_a_signature_open_the_door(bench):
    for key in (KEY, "old"):
        async with bench.connect("/v1/raw/bench", key) as websocket:
            await websocket.ping()
    async with bench.connect("/v1/twilio", "", **{"X-Twilio-Signature": signature("12345", URL)}) as websocket:
        await websocket.ping()
    assert bench.sink.audits == []


def test_anonymous_peers_need_the_operators_word_and_no_browser():
    def asked(allow, **headers):
        return identify("/v1/raw", headers, [RAW], allow_anonymous=allow)

    assert asked(True) is RAW
    assert isinstance(asked(False), Refusal)
    assert isinstance(asked(True, origin="https://evil.example"), Refusal)
    assert asked(True, authorization="Bearer wrong").status == 403


def test_integrations_that_cannot_work_are_refused_at_start():
    def config(**changes):
        Gateway(GatewayConfig(integrations=(IntegrationConfig(**{"name": "x", "protocol": "raw", "org_id": "org", **changes}),)), None)

    for changes in (
        {"protocol": "fax"},
        {"keys": ("plain",)},
        {"keys": ("sha256:abc",)},
        {"twilio_auth_token": "t"},
        {"protocol": "twilio", "twilio_auth_token": "t", "public_url": "https://x"},
        {"protocol": "twilio", "channel_roles": {"inbound": "agent"}},
    ):
        with pytest.raises(ConfigError):
            config(**changes)
    with pytest.raises(ConfigError, match="Two"):
        Gateway(GatewayConfig(integrations=(RAW, RAW)), None)
    assert KEY not in repr(RAW)
    assert hashed_key(KEY) not in repr(RAW)
    assert "12345" not in repr(TWILIO)


async def test_a_port_in_use_is_said(bench):
    other = Gateway(GatewayConfig(port=bench.gateway.port), None)
    with pytest.raises(ConfigError, match=r"telephony\.port"):
        await other.start()


# ---------------------------------------------------------------------- bad input, another call untouched


async def bad_start(websocket):
    await websocket.send(json.dumps(START | {"channels": "customer"}))


async def wrong_codec(websocket):
    await websocket.send(json.dumps(START | {"encoding": "opus"}))


async def not_json(websocket):
    await websocket.send("hello")


async def audio_first(websocket):
    await websocket.send(bytes(640))


async def garbage_after_start(websocket):
    await start_call(websocket)
    await speak(websocket, stereo(tone("甲乙丙丁"), b""))
    await websocket.send("\x00garbage")


async def unknown_type(websocket):
    await start_call(websocket)
    await websocket.send('{"type":"dance"}')


async def too_big(websocket):
    await start_call(websocket)
    await websocket.send(bytes(400_000))


async def not_utf8(websocket):
    await start_call(websocket)
    await websocket.send(b"\xff\xfe", text=True)


@pytest.mark.parametrize(
    ("misbehave", "code", "heard"),
    [
        (bad_start, 1007, None),
        (wrong_codec, 1003, None),
        (not_json, 1007, None),
        (audio_first, 1002, None),
        (garbage_after_start, 1007, ["甲乙丙丁"]),
        (unknown_type, 1002, []),
        (too_big, 1009, []),
        (not_utf8, 1007, []),
    ],
)
async def test_bad_input_gets_its_answer_and_nobody_else_notices(bench, misbehave, code, heard):
    async with bench.connect() as good:
        await start_call(good, call_id="good")
        await speak(good, stereo(tone("春夏秋冬") + silence(700), b""))
        async with bench.connect() as bad:
            await misbehave(bad)
            events, close_code, reason = await the_rest(bad)
        assert close_code == code
        if code != 1009 and misbehave is not not_utf8:  # those the library answers before our parser sees them
            assert events[-1]["type"] == "error"
            assert events[-1]["code"] == code
            assert events[-1]["message"].endswith(".")
            assert events[-1]["message"].startswith(reason[:100])
        await until(lambda: bench.sink.audits)
        assert len(bench.sink.audits) == 1
        assert bench.sink.audits[0][0] == "bench"
        if heard is None:
            assert list(bench.sink.calls) == ["good"]
        else:
            ended = await bench.ended("c-1")
            assert ended.ended[0] == "error"
            assert ended.texts("customer") == heard
        await speak(good, stereo(tone("东南西北") + silence(700), b""))
        await good.send('{"type":"stop"}')
        await the_rest(good)
    assert (await bench.ended("good")).texts("customer") == ["春夏秋冬", "东南西北"]
    assert bench.sink.calls["good"].ended == ("hangup", 3000)


async def test_a_client_that_vanishes_leaves_what_it_said(bench):
    websocket = await bench.connect()
    await start_call(websocket)
    await speak(websocket, stereo(tone("甲乙丙丁"), b""))
    await bench.heard("c-1", 800)
    websocket.transport.abort()
    handle = await bench.ended("c-1")
    assert handle.ended == ("peer_closed", 800)
    assert handle.texts("customer") == ["甲乙丙丁"]
    assert RecordingReader(bench.media, "org", "c-1", ClearCipher()).leg("customer").duration_ms == 800
    assert bench.sink.audits == []


async def test_a_close_without_stop_ends_the_call(bench):
    async with bench.connect() as websocket:
        await start_call(websocket, resumable=True)
        await speak(websocket, stereo(tone("甲乙丙丁"), b""))
    assert (await bench.ended("c-1")).ended == ("peer_closed", 800)


async def test_two_clients_with_one_call_id(bench):
    async with bench.connect() as first:
        await start_call(first)
        async with bench.connect() as second:
            await second.send(json.dumps(START))
            events, code, reason = await the_rest(second)
        assert code == 4409
        assert "live already" in reason
        assert events[-1]["code"] == 4409
        await speak(first, stereo(tone("甲乙丙丁") + silence(600), b""))
        await first.send('{"type":"stop"}')
        await the_rest(first)
    assert bench.sink.calls["c-1"].texts("customer") == ["甲乙丙丁"]
    assert bench.sink.audits[0][1].startswith("4409")


async def test_no_room(make_bench):
    async with make_bench(max_connections=4) as bench:
        bench.transcriber.refuse = Overloaded("All channels are taken: try again later.")
        async with bench.connect() as websocket:
            await websocket.send(json.dumps(START))
            _, code, reason = await the_rest(websocket)
        assert (code, reason) == (1013, "All channels are taken: try again later.")
        bench.transcriber.refuse = None
        sockets = []
        for number in range(3):
            sockets.append(await bench.connect())
            await start_call(sockets[-1], call_id=f"c-{number}")
        async with bench.connect() as websocket:
            await websocket.send(json.dumps(START | {"call_id": "c-9"}))
            _, code, reason = await the_rest(websocket)
        assert code == 1013
        assert "3 calls" in reason
        sockets.append(await bench.connect())
        with pytest.raises(InvalidStatus) as caught:
            await bench.connect()
        assert caught.value.response.status_code == 503
        for websocket in sockets:
            await websocket.close()


async def test_a_start_that_does_not_come_and_audio_that_stops(make_bench):
    async with make_bench(start_timeout_s=0.2, idle_timeout_s=0.3) as bench:
        async with bench.connect() as websocket:
            events, code, _ = await the_rest(websocket)
        assert code == 4408
        assert "not started within 0.2 s" in events[0]["message"]
        async with bench.connect() as websocket:
            await start_call(websocket)
            await speak(websocket, stereo(tone("甲乙丙丁"), b""))
            events, code, reason = await the_rest(websocket)
        assert code == 4408
        assert "No audio" in reason
        assert bench.sink.calls["c-1"].texts("customer") == ["甲乙丙丁"]
        assert bench.sink.calls["c-1"].ended[0] == "error"


async def test_ten_minutes_of_silence_are_legal(bench):
    async with bench.connect() as websocket:
        await start_call(websocket, channels=["customer"])
        await speak(websocket, tone("甲乙丙丁") + silence(600_000) + tone("东南西北") + silence(600), step=64_000)
        await websocket.send('{"type":"stop"}')
        _, code, _ = await the_rest(websocket)
    assert code == 1000
    handle = await bench.ended("c-1")
    assert handle.texts("customer") == ["甲乙丙丁", "东南西北"]
    assert abs(handle.finals[1].start_ms - 600_800) <= 64
    assert handle.degradations == []


async def test_another_node_takes_the_call(bench):
    async with bench.connect() as websocket:
        await start_call(websocket)
        bench.sink.calls["c-1"].fail_finals = [Conflict("Another node owns this call now.")]
        await speak(websocket, stereo(tone("甲乙丙丁") + silence(700), b""))
        await until(lambda: not bench.sink.calls["c-1"].fail_finals)
        await asyncio.sleep(0.01)
        await websocket.send(bytes(64))
        _, code, reason = await the_rest(websocket)
    assert (code, reason) == (4409, "Another node owns this call now.")


async def test_a_fault_behind_the_door_is_no_riddle(bench):
    bench.sink.refuse = EngineError("The store is away: try again.", retryable=True)
    async with bench.connect() as websocket:
        await websocket.send(json.dumps(START))
        _, code, reason = await the_rest(websocket)
    assert (code, reason) == (1011, "The store is away: try again.")
    bench.sink.refuse = RuntimeError("secret detail")
    async with bench.connect() as websocket:
        await websocket.send(json.dumps(START))
        _, code, reason = await the_rest(websocket)
    assert code == 1011
    assert "secret" not in reason


async def test_a_peer_that_never_reads_does_not_stop_its_own_call(bench):
    async with connect(
        bench.url("/v1/raw"), additional_headers={"Authorization": f"Bearer {KEY}"}, proxy=None, compression=None, max_queue=1
    ) as deaf:
        await deaf.send(json.dumps(START | {"channels": ["customer"]}))
        for _ in range(60):
            await speak(deaf, tone("甲乙丙丁") + silence(600), step=12_800)
        await until(lambda: len(bench.sink.calls["c-1"].finals) == 60)
        deaf.transport.abort()
    assert set((await bench.ended("c-1")).texts("customer")) == {"甲乙丙丁"}


# ---------------------------------------------------------------------- resume, restart


@pytest.mark.parametrize("away_s", [0, 5])
async def test_a_dropped_socket_is_resumed_where_it_was(bench, away_s):
    pcm = stereo(tone("甲乙丙丁戊己庚辛") + silence(700), b"")
    first = await bench.connect()
    answer = await start_call(first, resumable=True)
    assert answer["resume_window_ms"] == 15_000
    await speak(first, pcm[:32_000])
    await bench.heard("c-1", 500)
    first.transport.abort()
    await until(lambda: next(iter(bench.gateway._calls.values())).connection is None)
    assert bench.gateway.live_calls == 1
    if away_s:  # long enough for a stalled utterance to be closed, were the peer not awaited: the third character would be heard twice
        bench.clock.advance(away_s)
        await asyncio.sleep(2 * IngestConfig().tick_s)
    async with bench.connect() as second:
        # The peer repeats a little to be safe: nothing is heard twice.
        answer = await start_call(second, resume={"offset_bytes": 25_600})
        assert answer["expected_offset_bytes"] == 32_000
        await speak(second, pcm[25_600:])
        await second.send('{"type":"stop"}')
        events, code, _ = await the_rest(second)
    assert code == 1000
    handle = await bench.ended("c-1")
    assert handle.ended == ("hangup", 2300)
    assert handle.texts("customer") == ["甲乙丙丁戊己庚辛"]
    assert [e["text"] for e in events if e["type"] == "final"] == ["【甲乙丙丁戊己庚辛】"]
    reader = RecordingReader(bench.media, "org", "c-1", ClearCipher())
    assert reader.pcm16("customer").tolist() == np.frombuffer(pcm, "<i2")[0::2].tolist()


async def test_a_resume_before_the_old_socket_is_noticed_to_be_dead_takes_over(bench):
    pcm = stereo(tone("甲乙丙丁戊己庚辛") + silence(700), b"")
    async with bench.connect() as first, bench.connect() as second:
        await start_call(first, resumable=True)
        await speak(first, pcm[:32_000])
        await bench.heard("c-1", 500)
        await start_call(second, resume={"offset_bytes": 38_400})  # 100 ms are lost
        _, code, _ = await the_rest(first)
        assert code == 4410
        await speak(second, pcm[38_400:])
        await second.send('{"type":"stop"}')
        await the_rest(second)
    handle = await bench.ended("c-1")
    assert handle.ended == ("hangup", 2300)
    assert ("gap", "customer", 500, 100, "reconnect") in handle.told


async def test_a_resume_that_comes_too_late_or_does_not_fit(make_bench):
    async with make_bench(resume_window_s=0.1) as bench:
        async with bench.connect() as websocket:
            await websocket.send(json.dumps(START | {"resume": {"offset_bytes": 0}}))
            events, code, _ = await the_rest(websocket)
        assert code == 4404
        assert "begin a new one" in events[0]["message"]
        first = await bench.connect()
        await start_call(first, resumable=True)
        await speak(first, stereo(tone("甲乙丙丁"), b""))
        async with bench.connect() as second:
            await second.send(json.dumps(START | {"channels": ["customer"], "resume": {"offset_bytes": 0}}))
            _, code, _ = await the_rest(second)
        assert code == 1007
        await bench.heard("c-1", 800)
        first.transport.abort()
        assert (await bench.ended("c-1")).ended == ("peer_closed", 800)
        await until(lambda: bench.gateway.live_calls == 0)


async def test_shutting_down_refuses_new_calls_and_ends_the_running_ones(make_bench):
    async with make_bench() as bench:
        async with bench.connect() as websocket, bench.connect() as idle:
            await start_call(websocket)
            await speak(websocket, stereo(tone("甲乙丙丁"), b""))
            await bench.heard("c-1", 800)
            stopping = asyncio.create_task(bench.gateway.stop(grace_s=0.3))
            await until(lambda: bench.gateway.draining)
            with pytest.raises(InvalidStatus) as caught:
                await bench.connect()
            assert caught.value.response.status_code == 503
            _, code, _ = await the_rest(websocket)
            assert code == 1012
            _, code, _ = await the_rest(idle)
            assert code == 1012
            await stopping
        assert bench.sink.calls["c-1"].ended == ("interrupted", 800)
        assert bench.sink.calls["c-1"].texts("customer") == ["甲乙丙丁"]


async def test_shutting_down_lets_a_call_end_by_itself(make_bench):
    async with make_bench() as bench:
        async with bench.connect() as websocket:
            await start_call(websocket)
            stopping = asyncio.create_task(bench.gateway.stop(grace_s=20))
            await until(lambda: bench.gateway.draining)
            await speak(websocket, stereo(tone("甲乙丙丁"), b""))
            await websocket.send('{"type":"stop"}')
            _, code, _ = await the_rest(websocket)
            assert code == 1000
            await stopping
        assert bench.sink.calls["c-1"].ended == ("hangup", 800)


# ---------------------------------------------------------------------- Twilio's dialect


async def test_twilio_binary_and_wrong_codec_are_refused(bench):
    form = {"encoding": "audio/opus", "sampleRate": 8000, "channels": 1}
    start = {"event": "start", "streamSid": "MZ1", "start": {"callSid": "CA1", "tracks": ["inbound"], "mediaFormat": form}}
    async with bench.connect("/v1/twilio") as websocket:
        await websocket.send('{"event":"connected"}')
        await websocket.send(json.dumps(start))
        events, code, reason = await the_rest(websocket)
    assert (events, code) == ([], 1003)
    assert "audio/x-mulaw" in reason
    async with bench.connect("/v1/twilio") as websocket:
        await websocket.send(b"\x00\x01")
        _, code, _ = await the_rest(websocket)
    assert code == 1003


async def test_nothing_is_ever_sent_to_twilio(bench):
    form = {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"}
    start = {"event": "start", "streamSid": "MZ1", "start": {"callSid": "CA1", "tracks": ["inbound"], "mediaFormat": form}}
    async with bench.connect("/v1/twilio") as websocket:
        await websocket.send('{"event":"connected"}')
        await websocket.send(json.dumps(start))
        payload = base64.b64encode(b"\xff" * 160).decode()
        for chunk in range(1, 50):
            media = {"track": "inbound", "chunk": str(chunk), "timestamp": str(20 * (chunk - 1)), "payload": payload}
            await websocket.send(json.dumps({"event": "media", "media": media, "streamSid": "MZ1"}))
        await websocket.send('{"event":"stop","streamSid":"MZ1"}')
        assert (await the_rest(websocket))[:2] == ([], 1000)
    handle = await bench.ended("CA1")
    assert handle.ended == ("hangup", 980)
    assert handle.integration.language == "en"


# ---------------------------------------------------------------------- the player's own manners


async def test_play_says_what_is_wrong(bench, tmp_path):
    soundfile.write(tmp_path / "ok.wav", np.zeros(1600, np.int16), 8000)
    (tmp_path / "bad.wav").write_text("no audio")
    good = {"protocol": "raw", "url": bench.url("/v1/raw"), "key": KEY, "call_id": "p-1"}
    for error, file, changes in (
        (InvalidInput, "bad.wav", {}),
        (InvalidInput, "missing.wav", {}),
        (ConfigError, "ok.wav", {"protocol": "sip"}),
        (ConfigError, "ok.wav", {"url": "http://127.0.0.1/"}),
        (Forbidden, "ok.wav", {"key": "wrong"}),
        (NotFound, "ok.wav", {"url": bench.url("/v1/nothing")}),
        (EngineError, "ok.wav", {"url": "ws://127.0.0.1:9/v1/raw"}),
        (RemoteProtocolError, "ok.wav", {"call_id": "not a call id"}),
    ):
        with pytest.raises(error):
            await play(tmp_path / file, **{**good, **changes})
    async with bench.connect() as websocket:
        await start_call(websocket, call_id="p-1")
        with pytest.raises(Conflict):
            await play(tmp_path / "ok.wav", **good)


async def test_play_resamples_what_the_wire_does_not_carry(bench, tmp_path):
    t = np.arange(44_100) / 44_100
    soundfile.write(tmp_path / "cd.flac", np.stack([np.sin(2 * np.pi * 400 * t) / 3] * 2, axis=1), 44_100)
    await play(tmp_path / "cd.flac", protocol="raw", url=bench.url("/v1/raw"), key=KEY, call_id="p-2", speed=20)
    leg = RecordingReader(bench.media, "org", "p-2", ClearCipher()).leg("customer")
    assert leg.leg.sample_rate_hz == 16_000
    assert abs(leg.duration_ms - 1000) <= 1


async def test_play_keeps_to_its_clock(bench, tmp_path):
    soundfile.write(tmp_path / "ok.wav", np.zeros(8000, np.int16), 8000)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await play(tmp_path / "ok.wav", protocol="raw", url=bench.url("/v1/raw"), key=KEY, call_id="p-3", speed=4)
    assert loop.time() - began >= 0.245  # the last of 50 frames is due at 980 ms / 4; never early
