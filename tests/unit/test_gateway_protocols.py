"""Every protocol over real sockets: the same audio in gives the same samples per channel, in the right roles, and the right ending."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import soxr
from websockets.asyncio.client import connect

from streaming.callers import CALLERS
from streaming.handshake import IntegrationConfig, hashed_key
from streaming.play import play
from streaming.telephony import g711
from streaming.telephony.auto import DETECTABLE
from tests.fakes.conversations import CALL_ID
from tests.fakes.tone_speech import silence, tone
from tests.unit.test_gateway import KEY, anyio_backend, make_bench, stereo, the_rest  # noqa: F401 - fixtures

pytestmark = pytest.mark.anyio
WEBSOCKETS = sorted(name for name, spec in CALLERS.items() if spec.transport == "websocket")
WAYS = [(name, name) for name in WEBSOCKETS] + [(name, "auto") for name in sorted(DETECTABLE)]


def integration(name, protocol=None, **changes):
    return IntegrationConfig(**{"name": name, "protocol": protocol or name, "org_id": "org", "keys": (hashed_key(KEY),), **changes})


@pytest.mark.parametrize(("name", "path"), WAYS)
async def test_the_samples_are_the_same_whatever_carried_them(make_bench, tmp_path, name, path):  # noqa: F811
    spec = CALLERS[name]
    rate = spec.rates_hz[0]
    pcm = stereo(silence(200) + tone("甲乙丙丁") + silence(500), silence(1000) + tone("东南西北") + silence(300))
    samples = np.frombuffer(pcm, "<i2").reshape(-1, 2)[:: 16_000 // rate]
    soundfile.write(tmp_path / "call.wav", samples, rate)
    legs = ("customer", "agent") if spec.per_leg else ()
    async with make_bench(integrations=(integration("pbx", path, legs=legs),)) as bench:
        url = bench.url(f"/v1/{path}/pbx")
        await play(tmp_path / "call.wav", protocol=name, url=url, key=KEY, call_id=CALL_ID, metadata={"agent": "lina"}, speed=20)
        handle = await bench.ended(CALL_ID)
        assert handle.ended == ("hangup", len(samples) * 1000 // rate)
        assert handle.start.metadata["agent"] == "lina"
        assert bench.sink.audits == []
        reader = bench.recording(CALL_ID)
        encoding = spec.encoding or "pcm_s16le"
        for index, channel in enumerate(("customer", "agent")[: 2 if spec.per_leg else spec.channels]):
            sent = g711.decode(g711.encode(np.ascontiguousarray(samples[:, index]), encoding), encoding)
            assert reader.pcm16(channel).tolist() == sent.tolist()
            leg = reader.leg(channel).leg
            assert (leg.encoding, leg.sample_rate_hz) == (encoding, rate)
        assert handle.texts("customer") == ["甲乙丙丁"]


@pytest.mark.parametrize("rate", [24_000, 32_000, 48_000])
async def test_wide_audio_is_recorded_as_it_came_and_recognised_at_16_khz(make_bench, tmp_path, rate):  # noqa: F811
    narrow = np.frombuffer(stereo(silence(200) + tone("甲乙丙丁") + silence(500), silence(1000)), "<i2").reshape(-1, 2)
    samples = soxr.resample(narrow, 16_000, rate)
    soundfile.write(tmp_path / "wide.wav", samples, rate)
    async with make_bench(integrations=(integration("pbx", "freeswitch"),)) as bench:
        await play(tmp_path / "wide.wav", protocol="freeswitch", url=bench.url("/v1/freeswitch"), key=KEY, call_id="c-1", speed=20)
        handle = await bench.ended("c-1")
        leg = bench.recording("c-1").leg("customer")
        assert leg.leg.sample_rate_hz == rate
        assert abs(leg.duration_ms - len(narrow) // 16) <= 1
        assert handle.texts("customer") == ["甲乙丙丁"]


async def test_a_call_without_an_id_gets_one_and_metadata_is_mapped(make_bench):  # noqa: F811
    keys = {"agent": "user", "ani": "from"}
    async with make_bench(integrations=(integration("pbx", "freeswitch", metadata_keys=keys),)) as bench:
        async with bench.connect("/v1/freeswitch") as websocket:
            await websocket.send(json.dumps({"user": "li.na", "from": "+86"}))
            await websocket.send(bytes(640))
            await websocket.send(b"")
            assert (await the_rest(websocket))[1] == 1000
        ((call_id, handle),) = bench.sink.calls.items()
        assert len(call_id) == 32
        assert handle.start.metadata == {"agent": "li.na", "ani": "+86"}


async def test_a_mapped_call_id_that_is_missing_is_refused_with_its_name(make_bench):  # noqa: F811
    async with make_bench(integrations=(integration("pbx", "freeswitch", metadata_keys={"call_id": "uuid"}),)) as bench:
        async with bench.connect("/v1/freeswitch") as websocket:
            await websocket.send("{}")
            _, code, reason = await the_rest(websocket)
        assert code == 1007
        assert '"uuid"' in reason
        assert bench.sink.calls == {}


async def test_subprotocols_are_agreed_to(make_bench):  # noqa: F811
    async with make_bench(integrations=(integration("a", "jambonz"), integration("b", "auto"), integration("c", "vonage"))) as bench:
        for path, offered, agreed in (
            ("/v1/jambonz", "audio.jambonz.org", "audio.jambonz.org"),
            ("/v1/auto", "audio.drachtio.org", "audio.drachtio.org"),
            ("/v1/vonage", "chat", None),
        ):
            headers = {"Authorization": f"Bearer {KEY}"}
            async with connect(bench.url(path), additional_headers=headers, subprotocols=[offered], proxy=None) as websocket:
                assert websocket.subprotocol == agreed


async def test_what_nobody_recognises_is_refused_with_the_way_out(make_bench):  # noqa: F811
    async with make_bench(integrations=(integration("any", "auto"),)) as bench:
        for message in ("{}", b"\x00\x00", '{"event":"start","start":{}}'):
            async with bench.connect("/v1/auto") as websocket:
                await websocket.send(message)
                _, code, reason = await the_rest(websocket)
            assert code == 1002
            assert "/v1/auto" in reason
        assert bench.sink.calls == {}
