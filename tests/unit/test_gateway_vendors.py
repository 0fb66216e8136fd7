"""Genesys and Asterisk over real sockets: the audio that went in is what was heard, on the right leg, at its time."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest
import soundfile
import soxr
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from copilot.assembly.telephony import TelephoneSystems
from copilot.domain.errors import ConfigError, EngineError, Forbidden, Overloaded, RemoteProtocolError
from copilot.domain.events import SuggestionOffered
from copilot.telemetry.clock import ManualClock
from streaming.audiohook_caller import AudioHookCaller, audiohook_headers, session_of
from streaming.calling import Credentials, Recording
from streaming.handshake import IntegrationConfig, hashed_key
from streaming.play import play
from streaming.telephony import g711
from streaming.telephony.audiosocket import frame
from tests.fakes.telephony_bench import TelephonyBench, until
from tests.fakes.tone_speech import silence, tone

pytestmark = pytest.mark.anyio

KEY, SECRET = "key-1", base64.b64encode(b"a secret of the client").decode()
GENESYS = IntegrationConfig(
    name="genesys", protocol="audiohook", org_id="org", keys=(hashed_key("older"), hashed_key(KEY)), secrets=("", SECRET), events=True
)
SOCKET = IntegrationConfig(name="pbx", protocol="audiosocket", org_id="org", keys=(hashed_key(KEY),), announced=True, language="en")
CHANNEL = IntegrationConfig(name="ast", protocol="asterisk", org_id="org", keys=(hashed_key(KEY),), legs=("customer", "agent"), max_calls=2)
ONE_LEG = IntegrationConfig(name="one", protocol="asterisk", org_id="org", keys=(hashed_key("other"),), connects_per_minute=2)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def bench(tmp_path):
    bench = TelephonyBench(
        tmp_path, ManualClock(datetime.now(UTC)), integrations=(GENESYS, SOCKET, CHANNEL, ONE_LEG), leg_wait_s=0.2, resume_window_s=5
    )
    async with bench.running():
        yield bench


def pcm(leg, size):
    return np.frombuffer(leg.ljust(size, b"\0"), "<i2")


@pytest.fixture
def call(tmp_path):
    """Both sides at 16 kHz: (file, samples [n, 2])."""
    sides = (silence(300) + tone("甲乙丙丁") + silence(700), silence(1200) + tone("东南西北") + silence(300))
    size = max(map(len, sides))
    samples = np.stack([pcm(side, size) for side in sides], axis=1)
    soundfile.write(tmp_path / "call.wav", samples, 16_000)
    return tmp_path / "call.wav", samples


async def announced(bench, call_id, channels, metadata):
    taken = await bench.gateway.announce(
        f"Bearer {KEY}", "127.0.0.1", call_id=call_id, legs=tuple((None, c) for c in channels), metadata=metadata, language="zh", wait_s=60
    )
    return [leg.leg_id for leg in taken.legs]


# ---------------------------------------------------------------------- Genesys


async def test_a_signed_session_is_heard_and_answered(bench, call):
    file, samples = call
    events = []
    result = await play(
        file,
        protocol="audiohook",
        url=bench.url("/v1/audiohook"),
        key=KEY,
        secret=SECRET,
        call_id="g-1",
        metadata={"agent": "li.na"},
        on_event=events.append,
        speed=20,
    )
    handle = await bench.ended(session_of("g-1"))
    assert (result.duration_ms, handle.ended) == (2300, ("hangup", 2300))
    assert handle.start.metadata["agent"] == "li.na"
    assert handle.integration.name == "genesys"
    # At 8 kHz the fake speech is heard, not understood: times and samples count.
    starts = {final.channel: final.start_ms for final in handle.finals}
    assert abs(starts["customer"] - 300) <= 50
    assert abs(starts["agent"] - 1200) <= 50
    narrow = soxr.resample(samples, 16_000, 8_000).astype(np.int16)
    reader = bench.recording(session_of("g-1"))
    for index, channel in enumerate(("customer", "agent")):
        assert reader.pcm16(channel).tolist() == g711.decode(g711.encode(narrow[:, index], "pcmu"), "pcmu").tolist()
    told = [e["parameters"]["entities"][0]["data"] for e in events if e["type"] == "event"]
    finals = [d for d in told if d["isFinal"]]
    assert [d["channelId"] for d in finals] == [0, 1]
    assert all(d["alternatives"][0]["interpretations"][0]["transcript"].startswith("【") for d in finals)
    assert [e["type"] for e in events if e["type"] not in ("event", "playing")] == ["opened", "closed"]
    assert [e["seq"] for e in events if "seq" in e] == list(range(1, len(events)))
    assert bench.sink.audits == []


@pytest.mark.parametrize(("key", "secret", "says"), [(KEY, "bm8=", "does not fit"), (KEY, "", "signature"), ("x", "", "X-API-KEY")])
async def test_a_session_without_its_credential_is_unauthorized_in_its_own_words(bench, call, key, secret, says):
    with pytest.raises(Forbidden, match=says):
        await play(call[0], protocol="audiohook", url=bench.url("/v1/audiohook"), key=key, secret=secret, call_id="g-2", speed=20)
    assert bench.sink.calls == {}
    ((name, reason),) = bench.sink.audits
    assert (name, reason[:4]) == ("genesys", "4401")


class Genesys:
    """One websocket of a client that a test drives itself."""

    def __init__(self, bench, name, recording, continues=None):
        url = bench.url("/v1/audiohook/genesys")
        headers = audiohook_headers(Credentials(url=url, key=KEY, secret=SECRET, call_id=name))
        self.caller = AudioHookCaller(recording, name, {}, continues=continues)
        self.socket = connect(url, additional_headers=headers, proxy=None, compression=None)
        self.heard = []

    async def __aenter__(self):
        self.socket = await self.socket
        for message in self.caller.opening():
            await self.socket.send(message)
        await self.until("opened")
        return self

    async def __aexit__(self, *_):
        await self.socket.close()

    async def until(self, kind):
        """The next message of this type."""
        while True:
            async with asyncio.timeout(20):
                message = await self.socket.recv()
            for answer in self.caller.hear(message):
                await self.socket.send(answer)
            self.heard.append(json.loads(message))
            if self.heard[-1]["type"] == kind:
                return self.heard[-1]

    async def speak(self, first=0, last=None):
        for messages in list(self.caller.frames())[first:last]:
            for message in messages:
                await self.socket.send(message)

    async def hang_up(self):
        for message in self.caller.closing():
            await self.socket.send(message)
        await self.until("closed")


def genesys_recording(*sides):
    size = max(map(len, sides))
    samples = np.stack([pcm(side, size) for side in sides], axis=1)[::2]
    return Recording(samples=np.ascontiguousarray(samples), rate_hz=8000, encoding="pcmu")


def wire(recording, index):
    return g711.decode(g711.encode(recording.samples[:, index], "pcmu"), "pcmu").tolist()


def rest_of(recording, samples):
    return Recording(samples=np.ascontiguousarray(recording.samples[samples:]), rate_hz=8000, encoding="pcmu")


@pytest.mark.parametrize(("repeated_ms", "lost_ms"), [(0, 0), (180, 0), (0, 400)])
async def test_a_broken_session_is_continued_by_another(bench, repeated_ms, lost_ms):
    recording = genesys_recording(tone("甲乙丙丁戊己庚辛") + silence(700), silence(1600) + tone("东南西北") + silence(700))
    first_id = session_of("g-3")
    async with Genesys(bench, "g-3", recording) as first:
        await first.speak(0, 25)
        await bench.heard(first_id, 500)
        first.socket.transport.abort()
    await until(lambda: bench.gateway.live_calls == 1 and bench.gateway.board.calls["genesys", first_id].connection is None)
    resumed = (500 - repeated_ms + lost_ms) * 8
    async with Genesys(bench, "g-4", rest_of(recording, resumed), continues=(first_id, resumed)) as second:
        assert second.heard[0]["parameters"].get("discardTo") == ("PT0.5S" if repeated_ms else None)
        await second.speak()
        await second.hang_up()
    handle = await bench.ended(first_id)
    assert list(bench.sink.calls) == [first_id], "one call"
    assert handle.ended == ("hangup", len(recording.samples) // 8)
    reader = bench.recording(first_id)
    for index, channel in enumerate(("customer", "agent")):
        expected = wire(recording, index)
        heard = reader.pcm16(channel).tolist()
        assert heard[: 500 * 8] == expected[: 500 * 8]
        assert heard[(500 + lost_ms) * 8 :] == expected[(500 + lost_ms) * 8 :]
        assert len(heard) == len(expected)
    gaps = [item for item in handle.told if isinstance(item, tuple) and item[0] == "gap"]
    assert gaps == ([("gap", c, 500, lost_ms, "reconnect") for c in ("customer", "agent")] if lost_ms else [])
    if not lost_ms:
        assert len(handle.texts("customer")) == 1, "the break is not heard"


async def test_a_new_session_does_not_wait_for_the_old_ones_farewell(bench):
    recording = genesys_recording(tone("甲乙丙丁") + silence(600), silence(1400))
    first_id = session_of("g-20")
    async with Genesys(bench, "g-20", recording) as first:  # it hears nothing any more, and nobody has noticed
        await first.speak(0, 10)
        await bench.heard(first_id, 200)
        async with Genesys(bench, "g-21", rest_of(recording, 1600), continues=(first_id, 1600)) as second:
            assert len(bench.gateway._connections) == 2, "the old connection is still being said goodbye to"
            await second.speak()
            await second.hang_up()
        await first.until("disconnect")
    assert (await bench.ended(first_id)).ended == ("hangup", 1400)
    assert bench.recording(first_id).pcm16("customer").tolist() == wire(recording, 0)


async def test_a_chain_of_sessions_is_one_call_and_a_dead_one_begins_anew(bench):
    recording = genesys_recording(tone("甲乙丙丁") + silence(600), silence(1400))
    first_id = session_of("g-5")
    async with Genesys(bench, "g-5", recording) as first:
        await first.speak(0, 10)
        await bench.heard(first_id, 200)
        await first.socket.send(first.caller._message("close", {"reason": "reconnect"}))
        await first.until("closed")
    async with Genesys(bench, "g-6", rest_of(recording, 1600), continues=(first_id, 1600)) as second:
        await second.speak(0, 10)
        await bench.heard(first_id, 400)
        second.socket.transport.abort()
    # It names only the session before it, which was known under another name.
    async with Genesys(bench, "g-7", rest_of(recording, 3200), continues=(session_of("g-6"), 3200)) as third:
        await third.speak()
        await third.hang_up()
    assert (await bench.ended(first_id)).ended == ("hangup", 1400)
    assert bench.recording(first_id).pcm16("customer").tolist() == wire(recording, 0)
    async with Genesys(bench, "g-8", recording, continues=(first_id, 8000)) as late:
        await late.speak()
        await late.hang_up()
    assert (await bench.ended(session_of("g-8"))).ended == ("hangup", 1400)


async def test_a_probe_leaves_no_call_and_no_audit(bench):
    null = "00000000-0000-0000-0000-000000000000"
    url = bench.url("/v1/audiohook")
    headers = audiohook_headers(Credentials(url=url, key=KEY, secret=SECRET, call_id="probe"))
    async with connect(url, additional_headers=headers, proxy=None) as socket:
        parameters = {"organizationId": session_of("organization"), "conversationId": null, "participant": {"id": null}, "media": []}
        body = {"version": "2", "id": session_of("probe"), "seq": 1, "serverseq": 0, "position": "PT0S"}
        await socket.send(json.dumps(body | {"type": "open", "parameters": parameters}))
        assert json.loads(await socket.recv())["parameters"] == {"media": []}
        await socket.send(json.dumps(body | {"type": "close", "seq": 2, "serverseq": 1, "parameters": {"reason": "end"}}))
        assert json.loads(await socket.recv())["type"] == "closed"
    await until(lambda: not bench.gateway._connections)
    assert (bench.sink.calls, bench.sink.audits) == ({}, [])


async def test_card_data_is_not_heard_while_the_call_is_paused(bench):
    recording = genesys_recording(tone("甲乙丙丁") + silence(600) + tone("东南西北") + silence(600), silence(2800))
    name = session_of("g-9")
    async with Genesys(bench, "g-9", recording) as client:
        await client.speak(0, 65)
        await bench.heard(name, 1300)
        bench.gateway.board.pause("genesys", name, paused=True)
        for messages in list(client.caller.frames())[65:70]:  # still on its way
            await client.socket.send(messages[0])
        await client.until("pause")
        await client.socket.send(client.caller._message("ping", {}))
        await client.until("pong")
        bench.gateway.board.pause("genesys", name, paused=False)
        await client.until("resume")
        await client.speak(70)
        await client.hang_up()
    handle = await bench.ended(name)
    assert ("gap", "customer", 1300, 100, "paused") in handle.told
    heard = bench.recording(name).pcm16("customer")
    assert np.abs(heard[1300 * 8 : 1400 * 8].astype(int)).max() == 0
    assert handle.ended[0] == "hangup"


async def test_cards_and_another_language_in_the_middle_of_a_call(bench):
    name = session_of("g-10")
    async with Genesys(bench, "g-10", genesys_recording(silence(400), silence(400))) as client:
        card = SuggestionOffered(suggestion_id="s1", kind="faq", confidence=0.8, trigger="customer-1", at_ms=10, title="问", text="答")
        bench.sink.calls[name].listener(card)
        event = await client.until("event")
        assert event["parameters"]["entities"][0]["data"]["suggestions"][0]["answer"] == "答"
        await client.socket.send(client.caller._message("update", {"language": "en-US"}))
        await client.until("updated")
        await client.socket.send(g711.encode(pcm(tone("甲乙丙丁") + silence(700), 0).repeat(2)[::2][::2].repeat(2), "pcmu"))
        await client.hang_up()
    assert {final.language for final in (await bench.ended(name)).finals} == {"en"}


# ---------------------------------------------------------------------- AudioSocket


async def socket_to(bench, identity=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.gateway.audiosocket_port)
    if identity is not None:
        writer.write(frame(0x01, uuid.UUID(identity).bytes))
    return reader, writer


def seats(bench, call_id):
    return {c._seat.channel: c._seat for c in bench.gateway.board.calls["pbx", call_id].connections if c._seat is not None}


def held(bench, call_id, channel):
    """Frames that wait for their place in time."""
    seat = seats(bench, call_id).get(channel)
    return len(seat._clocks[channel]._held) if seat is not None else 0


async def test_an_announced_call_of_two_streams(bench, call):
    file, samples = call

    async def announce(call_id, channels, metadata):
        return await announced(bench, call_id, channels, {"agent": metadata["agent"]})

    url = f"tcp://127.0.0.1:{bench.gateway.audiosocket_port}"
    await play(file, protocol="audiosocket", url=url, key="", call_id="a-1", metadata={"agent": "li.na"}, speed=20, announce=announce)
    handle = await bench.ended("a-1")
    assert handle.ended == ("hangup", 2300)
    assert handle.start.metadata["agent"] == "li.na"
    assert handle.start.language == "zh"
    assert (handle.texts("customer"), handle.texts("agent")) == (["甲乙丙丁"], ["东南西北"])
    for index, channel in enumerate(("customer", "agent")):
        assert bench.recording("a-1").pcm16(channel).tolist() == samples[:, index].tolist()
    assert bench.sink.audits == []


async def test_streams_that_were_not_announced_are_refused(bench, call):
    (identity,) = await announced(bench, "a-2", ["customer"], {})
    used, writer = await socket_to(bench, identity)
    writer.write(frame(0x12, tone("甲乙丙丁")) + frame(0x00))
    await bench.ended("a-2")
    assert await used.read() == b""
    for stranger in (identity, str(uuid.uuid4()), None):
        reader, writer = await socket_to(bench, stranger)
        writer.write(b"GET / HTTP/1.1\r\n" if stranger is None else frame(0x10, bytes(320)))
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()
    await until(lambda: len(bench.sink.audits) == 3)
    assert [reason[:4] for _, reason in bench.sink.audits] == ["4403", "4403", "1002"]
    assert list(bench.sink.calls) == ["a-2"]
    with pytest.raises(ConfigError, match="announced"):
        await play(call[0], protocol="audiosocket", url="tcp://127.0.0.1:1", key="", call_id="a-3")
    with pytest.raises(EngineError):
        await play(call[0], protocol="audiosocket", url="tcp://127.0.0.1:1", key="", call_id="a-3", announce=lambda *_: ids(2))


async def ids(count):
    return [str(uuid.uuid4()) for _ in range(count)]


async def test_silence_is_sent_while_nobody_speaks(bench):
    (identity,) = await announced(bench, "a-4", ["customer"], {})
    reader, writer = await socket_to(bench, identity)
    async with asyncio.timeout(20):
        assert await reader.readexactly(323) == frame(0x10, bytes(320))
        writer.write(frame(0x12, tone("甲乙丙丁")))
        while (header := await reader.readexactly(3)) != b"\x12\x02\x80":
            await reader.readexactly(int.from_bytes(header[1:], "big"))
    writer.close()  # a plain end of the stream
    assert (await bench.ended("a-4")).ended == ("hangup", 800)


async def test_legs_are_placed_by_their_arrival(bench):
    first, second = await announced(bench, "a-5", ["customer", "agent"], {})
    _, customer = await socket_to(bench, first)
    customer.write(frame(0x12, tone("甲乙丙丁") + silence(600)))
    await bench.heard("a-5", 1400)
    bench.clock.advance(2.0)
    _, agent = await socket_to(bench, second)
    agent.write(frame(0x12, tone("东南西北")))
    await until(lambda: held(bench, "a-5", "agent"))
    bench.clock.advance(0.3)
    await bench.heard("a-5", 2000)
    agent.write(frame(0x12, silence(600)))
    customer.write(frame(0x12, tone("春夏秋冬")))
    await until(lambda: held(bench, "a-5", "customer"))
    bench.clock.advance(0.3)
    await bench.heard("a-5", 2300)
    for writer in (customer, agent):
        writer.write(frame(0x00))
    handle = await bench.ended("a-5")
    starts = {final.text: final.start_ms for final in handle.finals}
    assert abs(starts["甲乙丙丁"] - 0) <= 50
    # What came at once at 2.0 s had been heard until then.
    assert abs(starts["东南西北"] - 1200) <= 50
    assert abs(starts["春夏秋冬"] - 1500) <= 50
    gaps = {(item[1], item[2], item[3]) for item in handle.told if isinstance(item, tuple) and item[0] == "gap"}
    assert gaps == {("agent", 0, 1200), ("customer", 1400, 100)}


# ---------------------------------------------------------------------- Asterisk's websocket channel


def asterisk(bench, path="/v1/asterisk/ast", user="ast", key=KEY, **more):
    token = base64.b64encode(f"{user}:{key}".encode()).decode()
    return connect(
        bench.url(path),
        additional_headers={"Authorization": f"Basic {token}"},
        subprotocols=["media"],
        proxy=None,
        compression=None,
        **more,
    )


def media_start(call_id, leg, form="slin16"):
    variables = {"PANGTING_CALL": call_id, "PANGTING_LEG": leg}
    start = {"event": "MEDIA_START", "channel_id": f"{call_id}.{leg}", "format": form, "channel_variables": variables}
    return json.dumps(start)


async def closing(socket):
    async with asyncio.timeout(20):
        await socket.wait_closed()
    return socket.close_code, socket.close_reason


async def test_two_channels_are_one_call(bench, call):
    file, samples = call
    url = bench.url("/v1/asterisk/ast")
    await play(file, protocol="asterisk", url=url, key=KEY, call_id="w-1", metadata={"agent": "li.na"}, speed=20)
    handle = await bench.ended("w-1")
    assert handle.ended == ("hangup", 2300)
    assert handle.start.metadata["agent"] == "li.na"
    assert (handle.texts("customer"), handle.texts("agent")) == (["甲乙丙丁"], ["东南西北"])
    for index, channel in enumerate(("customer", "agent")):
        assert bench.recording("w-1").pcm16(channel).tolist() == samples[:, index].tolist()
    assert bench.sink.audits == []


async def test_a_leg_that_leaves_does_not_end_the_call_of_the_other(bench):
    async with asterisk(bench) as customer, asterisk(bench) as agent:
        assert customer.subprotocol == "media"
        await customer.send(media_start("w-2", "customer"))
        await customer.send(tone("甲乙丙丁") + silence(600))
        await bench.heard("w-2", 1400)
        await customer.close()
        await agent.send(media_start("w-2", "agent"))
        await agent.send(tone("东南西北") + silence(600))
        await until(lambda: bench.sink.calls["w-2"].texts("agent") == ["东南西北"])
        assert bench.sink.calls["w-2"].ended is None
    assert (await bench.ended("w-2")).ended == ("hangup", 1400)


async def test_a_call_waits_for_a_missing_leg_only_for_a_while(bench):
    async with asterisk(bench) as customer:
        await customer.send(media_start("w-3", "customer"))
        await customer.send(tone("甲乙丙丁"))
        await bench.heard("w-3", 800)
    handle = await bench.ended("w-3")
    assert handle.ended == ("hangup", 800)
    assert [leg.channel for leg in handle.start.legs] == ["customer", "agent"]
    async with asterisk(bench) as late:
        await until(lambda: bench.gateway.live_calls == 0)
        bench.sink.refuse = None
        await late.send(media_start("w-4", "agent"))
        await bench.heard("w-4", 0)


async def test_legs_that_do_not_fit_are_refused_and_the_call_goes_on(bench):
    async with asterisk(bench) as customer:
        await customer.send(media_start("w-5", "customer"))
        await bench.heard("w-5", 0)
        for first, code in (
            (media_start("w-5", "customer"), 4409),
            (media_start("w-5", "agent", "ulaw"), 1003),
            (media_start("w-5", "mixed"), 1002),
            (media_start("w-5", "nobody"), 1007),
        ):
            async with asterisk(bench) as other:
                await other.send(first)
                assert (await closing(other))[0] == code
        async with asterisk(bench) as agent:
            await agent.send(media_start("w-5", "agent"))
            await customer.send(tone("甲乙丙丁"))
            await agent.send(tone("东南西北"))
            await bench.heard("w-5", 800)
    handle = await bench.ended("w-5")
    assert (handle.texts("customer"), handle.texts("agent")) == (["甲乙丙丁"], ["东南西北"])
    assert len(bench.sink.audits) == 4


async def test_two_legs_that_come_at_the_same_moment_open_one_call(bench):
    async with asterisk(bench) as customer, asterisk(bench) as agent:
        await asyncio.gather(customer.send(media_start("w-6", "customer")), agent.send(media_start("w-6", "agent")))
        await until(
            lambda: len(bench.gateway.board.calls.get(("ast", "w-6"), CHANNEL).connections if bench.gateway.live_calls else ()) == 2
        )
    assert (await bench.ended("w-6")).ended[0] == "hangup"
    assert bench.sink.audits == []


async def test_a_call_refused_at_its_opening_refuses_both_legs(bench):
    bench.sink.refuse = Overloaded("Full: try again later.")
    async with asterisk(bench) as customer, asterisk(bench) as agent:
        await asyncio.gather(customer.send(media_start("w-7", "customer")), agent.send(media_start("w-7", "agent")))
        assert [(await closing(s))[0] for s in (customer, agent)] == [1013, 1013]
    assert bench.gateway.live_calls == 0


async def test_an_announced_channel_gets_its_role_from_the_announcement(bench):
    taken = await bench.gateway.announce(
        f"Bearer {KEY}x", "127.0.0.1", call_id="w-8", legs=(("1.2", "customer"),), metadata={}, language=None, wait_s=60
    )
    assert taken.status == 403
    taken = await bench.gateway.announce(
        f"Basic {base64.b64encode(f'ast:{KEY}'.encode()).decode()}",
        "127.0.0.1",
        call_id="w-8",
        legs=(("1719.2", "agent"),),
        metadata={"ani": "1"},
        language="en",
        wait_s=60,
    )
    assert [leg.leg_id for leg in taken.legs] == ["1719.2"]
    async with asterisk(bench) as channel:
        await channel.send("MEDIA_START connection_id:c channel:WebSocket/c channel_id:1719.2 format:ulaw optimal_frame_size:160 ptime:20")
        await channel.send(bytes(800))
        await bench.heard("w-8", 100)
    start = (await bench.ended("w-8")).start
    assert ([leg.channel for leg in start.legs], start.language, start.metadata["ani"]) == (["agent"], "en", "1")


async def test_doors(bench):
    for user, key, status in (("ast", "wrong", 403), ("one", KEY, 403), ("", KEY, 403)):
        with pytest.raises(InvalidStatus) as caught:
            await asterisk(bench, user=user, key=key)
        assert caught.value.response.status_code == status
    for _ in range(2):
        async with asterisk(bench, "/v1/asterisk/one", "one", "other") as channel:
            await channel.ping()
    with pytest.raises(InvalidStatus) as caught:
        await asterisk(bench, "/v1/asterisk/one", "one", "other")
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"]
    async with asterisk(bench) as other:
        await other.ping()
    bench.clock.advance(61)
    async with asterisk(bench, "/v1/asterisk/one", "one", "other") as channel:
        await channel.ping()
    assert [reason[:3] for _, reason in bench.sink.audits] == ["403", "403", "403", "429"]


async def test_a_wrong_peer_on_the_right_port(bench, call):
    with pytest.raises(RemoteProtocolError):
        await play(call[0], protocol="raw", url=bench.url("/v1/asterisk/ast"), key=KEY, call_id="w-9", speed=20)
    assert bench.sink.calls == {}


# ---------------------------------------------------------------------- announcing over HTTP


async def test_calls_are_announced_over_the_api(bench):
    from copilot.api.app import create_app
    from copilot.api.context import ApiContext
    from copilot.cli.play import announce
    from copilot.cli.reference import _Unused

    systems = TelephoneSystems()
    fields = {name: _Unused() for name, field in ApiContext.__dataclass_fields__.items() if field.default_factory and field.init}
    context = ApiContext(
        **fields
        | {
            "telephony": systems,
            "web_dir": bench.recorder._config.spool_dir,
            "origins": (),
            "version": "1",
            "public_url": "",
            "heartbeat_s": 1,
        }
    )
    transport = httpx.ASGITransport(create_app(context))
    body = {"call_id": "h-1", "legs": [{"channel": "customer"}, {"channel": "agent"}], "metadata": {"agent": "li.na"}, "wait_s": 30}

    async def post(key=KEY, **changes):
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.post("/api/v1/telephony/calls", json=body | changes, headers={"Authorization": f"Bearer {key}"})

    assert (await post()).status_code == 503
    systems.gateway = bench.gateway
    answer = await post()
    assert answer.status_code == 201
    assert answer.json()["call_id"] == "h-1"
    assert [leg["channel"] for leg in answer.json()["legs"]] == ["customer", "agent"]
    for key, changes, status in (
        ("wrong", {}, 403),
        ("", {}, 401),
        (KEY, {"legs": []}, 422),
        (KEY, {"legs": [{"channel": "nobody"}]}, 422),
        (KEY, {"legs": [{"channel": "customer", "id": answer.json()["legs"][0]["id"]}]}, 409),
        (KEY, {"call_id": "../x"}, 422),
        (KEY, {"wait_s": 1e9}, 422),
    ):
        refused = await post(key, **changes)
        assert refused.status_code == status, changes
        assert refused.json()["detail"].endswith(".")
    assert [reason[:3] for _, reason in bench.sink.audits] == ["403", "401"]
    _, writer = await socket_to(bench, answer.json()["legs"][1]["id"])
    writer.write(frame(0x12, tone("甲乙丙丁")))
    await bench.heard("h-1", 800)

    async def pause(paused, key=KEY, call_id="h-1"):
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            body = {"paused": paused}
            return (
                await client.post(f"/api/v1/telephony/calls/{call_id}/pause", json=body, headers={"Authorization": f"Bearer {key}"})
            ).status_code

    assert [await pause(True, key="wrong"), await pause(True, call_id="h-9"), await pause(True)] == [403, 404, 204]
    writer.write(frame(0x12, tone("东南西北")))
    await until(lambda: seats(bench, "h-1")["agent"]._left_out)
    assert await pause(False) == 204
    writer.write(frame(0x12, silence(600)))
    writer.close()
    handle = await bench.ended("h-1")
    assert handle.texts("agent") == ["甲乙丙丁"], "what was said in the pause is not heard"
    assert ("gap", "agent", 800, 800, "paused") in handle.told
    assert np.abs(bench.recording("h-1").pcm16("agent")[800 * 16 : 1600 * 16].astype(int)).max() == 0
    with pytest.raises(EngineError):
        await announce("http://127.0.0.1:1", KEY, "h-2", ["customer"], {})
