"""A third party in a call: legs on connections of their own stay apart, whatever protocol brings them, and nobody waits for the third."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import numpy as np
import pytest
from websockets.asyncio.client import connect

from copilot.telemetry.clock import ManualClock
from streaming.handshake import IntegrationConfig, hashed_key
from streaming.telephony.audiosocket import frame
from tests.fakes.telephony_bench import TelephonyBench, until
from tests.fakes.tone_speech import silence, tone
from tests.unit.test_gateway_vendors import GENESYS, Genesys, anyio_backend, genesys_recording, socket_to, wire  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio

EVERYBODY = ("customer", "agent", "mixed")
INTEGRATIONS = (
    GENESYS,
    *(
        IntegrationConfig(
            name=protocol, protocol=protocol, org_id="org", keys=(hashed_key(f"key-of-{protocol}"),), legs=EVERYBODY, announced=announced
        )
        for protocol, announced in (("asterisk", False), ("vonage", False), ("audiosocket", True))
    ),
)
SAID = {
    "customer": tone("甲乙丙丁") + silence(2600),
    "agent": silence(1000) + tone("东南西北") + silence(1600),
    "mixed": tone("春夏秋冬") + silence(600),
}
THIRD_COMES_MS = 2000


@pytest.fixture
async def bench(tmp_path):
    """Nobody is waited for: a call that waits for a leg would not end within a test."""
    bench = TelephonyBench(tmp_path, ManualClock(datetime.now(UTC)), integrations=INTEGRATIONS, leg_wait_s=3600)
    async with bench.running():
        yield bench


class WebsocketLeg:
    def __init__(self, bench, protocol, channel, stack):
        self._bench, self._protocol, self._channel, self._stack = bench, protocol, channel, stack

    async def arrive(self):
        start = (
            {
                "event": "MEDIA_START",
                "channel_id": f"c.{self._channel}",
                "format": "slin16",
                "channel_variables": {"PANGTING_CALL": "c", "PANGTING_LEG": self._channel},
            }
            if self._protocol == "asterisk"
            else {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "call_id": "c", "channel": self._channel}
        )
        url = self._bench.url(f"/v1/{self._protocol}")
        headers = {"Authorization": f"Bearer key-of-{self._protocol}"}
        self._socket = await self._stack.enter_async_context(connect(url, additional_headers=headers, proxy=None, compression=None))
        await self._socket.send(json.dumps(start))

    async def speak(self, pcm):
        await self._socket.send(pcm)

    async def leave(self):
        await self._socket.close()


class TcpLeg:
    def __init__(self, bench, identity):
        self._bench, self._identity = bench, identity

    async def arrive(self):
        _, self._writer = await socket_to(self._bench, self._identity)

    async def speak(self, pcm):
        for at in range(0, len(pcm), 640):
            self._writer.write(frame(0x12, pcm[at : at + 640]))
        await self._writer.drain()

    async def leave(self):
        self._writer.write(frame(0x00))
        await self._writer.drain()
        self._writer.close()


async def legs_of(bench, protocol, stack):
    if protocol != "audiosocket":
        return {channel: WebsocketLeg(bench, protocol, channel, stack) for channel in EVERYBODY}
    legs = tuple((None, channel) for channel in EVERYBODY)
    taken = await bench.gateway.announce("Bearer key-of-audiosocket", "", call_id="c", legs=legs, metadata={}, language="zh", wait_s=60)
    return {leg.channel: TcpLeg(bench, leg.leg_id) for leg in taken.legs}


def heard_ms(bench, channel):
    for call in bench.gateway.board.calls.values():
        leg = call.ingest._legs[channel]
        return leg.form.samples_to_ms(leg.end_sample)
    return 0


@pytest.mark.parametrize("protocol", ["asterisk", "vonage", "audiosocket"])
async def test_three_parties_are_heard_apart_each_at_its_time(bench, protocol):
    async with AsyncExitStack() as stack:
        legs = await legs_of(bench, protocol, stack)
        for channel in ("customer", "agent"):
            await legs[channel].arrive()
            await legs[channel].speak(SAID[channel][: THIRD_COMES_MS * 32])
            await until(lambda: heard_ms(bench, channel) == THIRD_COMES_MS)  # noqa: B023 - awaited at once
        bench.clock.advance(THIRD_COMES_MS / 1000 + 1.4)  # what comes at once now was said until now
        await legs["mixed"].arrive()
        await legs["mixed"].speak(SAID["mixed"])
        await legs["mixed"].leave()
        await until(lambda: heard_ms(bench, "mixed") == THIRD_COMES_MS + 1400)
        for channel in ("customer", "agent"):
            await legs[channel].speak(SAID[channel][THIRD_COMES_MS * 32 :])
        await until(lambda: all(heard_ms(bench, channel) == 3400 for channel in EVERYBODY))
        assert bench.sink.calls["c"].ended is None, "a third party that leaves ends nothing"
        for channel in ("customer", "agent"):
            await legs[channel].leave()
        handle = await bench.ended("c")
    assert handle.ended == ("hangup", 3400)
    assert [leg.channel for leg in handle.start.legs] == list(EVERYBODY)
    assert {channel: handle.texts(channel) for channel in EVERYBODY} == {
        "customer": ["甲乙丙丁"],
        "agent": ["东南西北"],
        "mixed": ["春夏秋冬"],
    }
    starts = {final.channel: final.start_ms for final in handle.finals}
    assert all(abs(starts[channel] - at) <= 50 for channel, at in (("customer", 0), ("agent", 1000), ("mixed", THIRD_COMES_MS)))
    reader = bench.recording("c")
    for channel in ("customer", "agent"):
        assert reader.pcm16(channel).tolist() == np.frombuffer(SAID[channel], "<i2").tolist()
    third = reader.pcm16("mixed")
    assert not third[: THIRD_COMES_MS * 16].any()
    assert third[THIRD_COMES_MS * 16 :].tolist() == np.frombuffer(SAID["mixed"], "<i2").tolist()
    assert bench.sink.audits == []


@pytest.mark.parametrize("protocol", ["asterisk", "vonage", "audiosocket"])
async def test_a_call_without_a_third_party_ends_with_its_two(bench, protocol):
    async with AsyncExitStack() as stack:
        legs = await legs_of(bench, protocol, stack)
        for channel in ("customer", "agent"):
            await legs[channel].arrive()
            await legs[channel].speak(SAID[channel])
            await until(lambda: heard_ms(bench, channel) == 3400)  # noqa: B023 - awaited at once
        for channel in ("customer", "agent"):
            await legs[channel].leave()
        assert (await bench.ended("c")).ended == ("hangup", 3400)
    assert bench.recording("c").pcm16("mixed").size == 0


async def test_a_stranger_to_the_conference_is_refused_and_the_call_goes_on(bench):
    async with AsyncExitStack() as stack:
        legs = await legs_of(bench, "asterisk", stack)
        again = (await legs_of(bench, "asterisk", stack))["mixed"]
        for leg in legs.values():
            await leg.arrive()
        await until(lambda: len(next(iter(bench.gateway.board.calls.values())).connections) == 3)
        await again.arrive()
        async with asyncio.timeout(20):
            await again._socket.wait_closed()
        assert again._socket.close_code == 4409
        assert bench.sink.calls["c"].ended is None


async def test_genesys_has_a_session_for_each_agent_and_names_their_conversation(bench):
    """Two sides a session, so a conference of a customer and two agents is two calls with one conversation_id."""
    customer = tone("甲乙丙丁") + silence(700)
    sessions = {"one": tone("东南西北") + silence(700), "two": silence(700) + tone("春夏秋冬")}
    recordings = {name: genesys_recording(customer, agent) for name, agent in sessions.items()}
    conversation = "3d5a6b0e-7c9d-4b43-9a55-6f1a4b1d9e10"
    ids = []
    for name, recording in recordings.items():
        client = Genesys(bench, name, recording)
        opening = json.loads(next(iter(client.caller.opening())))
        opening["parameters"]["conversationId"] = conversation
        client.caller.opening = lambda message=opening: [json.dumps(message)]
        async with client:
            await client.speak()
            await client.hang_up()
        ids.append(opening["id"])
    for call_id, recording in zip(ids, recordings.values(), strict=True):
        handle = await bench.ended(call_id)
        assert handle.start.metadata["conversation_id"] == conversation
        reader = bench.recording(call_id)
        assert [reader.pcm16(channel).tolist() for channel in ("customer", "agent")] == [wire(recording, index) for index in (0, 1)]
