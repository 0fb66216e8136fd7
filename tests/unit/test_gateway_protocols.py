"""Every protocol over real sockets: the same audio in gives the same samples per channel, in the right roles, and the right ending."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from websockets.asyncio.client import connect

from copilot.domain.audio import LegFormat, MediaFrame
from streaming.audio.leg import LegAudio
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
        # The fake recogniser reads pitches, and every second sample alone shifts some: then only where speech was is compared.
        assert [len(text) for text in handle.texts("customer")] == [4]
        assert rate < 16_000 or handle.texts("customer") == ["甲乙丙丁"]


@pytest.mark.parametrize("rate", [24_000, 32_000, 48_000])
async def test_wide_audio_is_recorded_as_it_came(make_bench, tmp_path, rate):  # noqa: F811
    noise = np.random.default_rng(1).integers(-9_000, 9_000, (rate // 2, 2)).astype(np.int16)
    soundfile.write(tmp_path / "wide.wav", noise, rate)
    async with make_bench(integrations=(integration("pbx", "freeswitch"),)) as bench:
        await play(tmp_path / "wide.wav", protocol="freeswitch", url=bench.url("/v1/freeswitch"), key=KEY, call_id="c-1", speed=20)
        handle = await bench.ended("c-1")
        assert handle.ended == ("hangup", 500)
        assert handle.degradations == []
        for index, channel in enumerate(("customer", "agent")):
            assert bench.recording("c-1").pcm16(channel).tolist() == noise[:, index].tolist()


@pytest.mark.parametrize("rate", [24_000, 32_000, 48_000, 64_000])
def test_wide_audio_reaches_recognition_at_16_khz_in_its_place_and_without_images(rate):
    def at_16_khz(hz):
        audio = LegAudio(LegFormat(channel="customer", encoding="pcm_s16le", sample_rate_hz=rate))
        wave = (8_000 * np.sin(2 * np.pi * hz * np.arange(rate) / rate)).astype("<i2")
        frames = [
            MediaFrame(channel="customer", start_sample=at, payload=wave[at : at + rate // 50].tobytes())
            for at in range(0, rate, rate // 50)
        ]
        chunks = [chunk for frame in frames for chunk in audio.receive(frame)] + audio.flush()
        return np.frombuffer(b"".join(chunk.pcm16 for chunk in chunks), "<i2").astype(float)[1_000:15_000]

    heard = at_16_khz(440)
    times = np.arange(1_000, 15_000)
    lags = {lag: np.abs(heard - 8_000 * np.sin(2 * np.pi * 440 * (times - lag) / 16_000)).max() for lag in np.arange(-2, 2.1, 0.1)}
    assert min(lags.values()) < 200  # within an eighth of a millisecond, and as loud
    assert np.sqrt((at_16_khz(10_000) ** 2).mean()) < 2  # above the half of 16 kHz nothing may fold back


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


async def test_two_websockets_of_vonage_make_one_call(make_bench):  # noqa: F811
    async with make_bench(integrations=(integration("pbx", "vonage", legs=("customer", "agent")),)) as bench:
        said = {"customer": tone("甲乙丙丁") + silence(600), "agent": silence(600) + tone("东南西北")}
        async with bench.connect("/v1/vonage") as first, bench.connect("/v1/vonage") as second:
            for websocket, channel in ((first, "customer"), (second, "agent")):
                start = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "call_id": "CON-1", "channel": channel}
                await websocket.send(json.dumps(start))
            for websocket, channel in ((first, "customer"), (second, "agent")):
                for at in range(0, len(said[channel]), 640):
                    await websocket.send(said[channel][at : at + 640])
            await bench.heard("CON-1", 1_400)
        handle = await bench.ended("CON-1")
        assert list(bench.sink.calls) == ["CON-1"]
        assert handle.ended == ("hangup", 1_400)
        assert handle.texts("customer") == ["甲乙丙丁"]
        assert handle.texts("agent") == ["东南西北"]


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
