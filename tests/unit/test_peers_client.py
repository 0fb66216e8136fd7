"""The client that plays calls into other servers: audio as each wants it, calls laid out from clips, and a conversation with a stand-in."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
import soundfile
from websockets.asyncio.server import serve

from copilot.domain.errors import ConfigError, EngineError, InvalidInput
from loadtest.calls import SCENARIOS
from loadtest.clip_calls import Leg, lay_out, load_clips, scenario_legs
from loadtest.excerpts import Utterance
from loadtest.peers import Line, lines_of, markdown, measure, pieces
from streaming.telephony import g711


@pytest.fixture
def anyio_backend():
    return "asyncio"


def leg(name="leg-0", ms=400, level=3_000) -> Leg:
    samples = g711.decode(g711.encode(np.full(8 * ms, level, np.int16), "pcmu"), "pcmu")
    said = Utterance(channel=name, start_ms=0, end_ms=ms // 2, text="我想查余额")
    return Leg(name=name, samples=samples, utterances=(said,))


def test_each_server_gets_audio_in_the_form_it_wants():
    one, two = leg("a"), leg("b", level=-9_000)
    own = pieces(Line(url="", legs=[one, two], screens=[]), "pangting", hold_s=0.1)
    assert [len(piece) for piece in own] == [1_600] * 5, "100 ms of two μ-law channels at 8 kHz"
    assert b"".join(own)[: 2 * 3_200] == g711.encode(np.stack([one.samples, two.samples], axis=1).reshape(-1), "pcmu")
    floats = pieces(Line(url="", legs=[one], screens=[]), "whisperlive", hold_s=0.1)
    assert [len(piece) for piece in floats] == [6_400] * 5
    linear = pieces(Line(url="", legs=[one], screens=[]), "whisperlivekit", hold_s=0.1)
    assert [len(piece) for piece in linear] == [3_200] * 5
    as_floats, as_linear = np.frombuffer(b"".join(floats), "<f4"), np.frombuffer(b"".join(linear), "<i2")
    assert np.array_equal(np.rint(as_floats * 32_768), as_linear)
    assert as_linear[3_000] == pytest.approx(one.samples[1_500], rel=0.02)
    assert not as_linear[-800:].any(), "the line stays open and silent"


def test_peers_get_a_connection_a_leg_and_this_server_one_a_call():
    legs = [leg(f"leg-{n}") for n in range(3)]
    peers = lines_of("whisper_streaming", ["tcp://a:1", "tcp://b:2"], legs, {}, "")
    assert [line.url for line in peers] == ["tcp://a:1", "tcp://b:2", "tcp://a:1"]
    own = lines_of("pangting", ["ws://a/v1/raw"], legs, {}, "secret")
    assert [len(line.legs) for line in own] == [2, 1]
    assert json.loads(own[0].opening)["channels"] == ["customer", "agent"]
    assert own[0].headers == {"Authorization": "Bearer secret"}
    live = lines_of("whisperlive", ["ws://a"], legs[:1], {"same_output_threshold": 2}, "")
    assert json.loads(live[0].opening)["same_output_threshold"] == 2
    with pytest.raises(ConfigError, match="--url"):
        lines_of("whisperlivekit", [], legs, {}, "")


@pytest.fixture
def manifest(tmp_path):
    rng = np.random.default_rng(3)
    lines = [{"file": "silent.wav", "lang": "zh", "text": None}, {"file": "en.wav", "lang": "en", "text": "hello"}]
    for number in range(4):
        samples = np.zeros(16_000, np.float32)
        samples[4_000:12_000] = 0.3 * rng.standard_normal(8_000)
        soundfile.write(tmp_path / f"{number}.wav", samples, 16_000)
        lines.append({"file": f"{number}.wav", "lang": "zh", "text": f"第{'甲乙丙丁'[number]}句"})
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_calls_laid_out_from_clips_say_when_each_was_spoken(manifest):
    clips = load_clips(manifest, "zh")
    assert len(clips) == 4
    call = lay_out(clips, name="leg-0", seconds=10, share=0.3, seed=5)
    assert len(call.samples) == 80_000
    spoken = sum(item.end_ms - item.start_ms for item in call.utterances)
    assert 0.2 * 10_000 <= spoken <= 0.3 * 10_000
    loud = np.abs(call.samples.astype(int)) > 100
    for said, following in zip(call.utterances, [*call.utterances[1:], None], strict=True):
        assert loud[8 * said.start_ms : 8 * said.end_ms].mean() > 0.8
        assert not loud[8 * said.end_ms + 160 : 8 * (following.start_ms if following else 10_000) - 160].any()
    again = lay_out(clips, name="leg-0", seconds=10, share=0.3, seed=5)
    assert again.utterances == call.utterances
    assert np.array_equal(again.samples, call.samples)
    assert lay_out(clips, name="leg-0", seconds=10, share=0.3, seed=6).utterances != call.utterances
    with pytest.raises(InvalidInput, match="no clip"):
        load_clips(manifest, "yue")


def test_a_scenario_is_cut_between_turns():
    customer, agent = scenario_legs(SCENARIOS / "transfer", seconds=40)
    assert len(customer.samples) == len(agent.samples) <= 40 * 8_000
    turns = json.loads((SCENARIOS / "transfer" / "gold.json").read_text(encoding="utf-8"))["turns"]
    assert [item.text for item in agent.utterances] == [
        turn["text"] for turn in turns if turn["channel"] == "agent" and turn["end_ms"] <= 39_000
    ]


async def stand_in(websocket):
    """Talks as WhisperLive does; knows what will be said."""
    start = json.loads(await websocket.recv())
    if start["language"] == "xx":
        await websocket.send(json.dumps({"uid": start["uid"], "status": "WAIT", "message": 5.0}))
        await websocket.wait_closed()
        return
    await websocket.send(json.dumps({"uid": start["uid"], "message": "SERVER_READY", "backend": "faster_whisper"}))
    heard = 0
    async for message in websocket:
        if message == b"END_OF_AUDIO":
            return
        heard += len(message) // 4
        text, done = ("我想查", False) if heard < 8_000 else ("我想查余额", True)
        segment = {"start": "0.000", "end": "0.400", "text": text, "completed": done}
        await websocket.send(json.dumps({"uid": start["uid"], "segments": [segment]}))


@pytest.mark.anyio
async def test_a_conversation_is_paced_timed_and_scored():
    async with serve(stand_in, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        lines = lines_of("whisperlive", [url], [leg(ms=800), leg(ms=800)], {}, "")
        row = await asyncio.wait_for(measure("whisperlive", lines, [], 0.2, {}), 30)
    assert (row["channels"], row["utterances"], row["missed"], row["cer"]) == (2, 2, 0, 0.0)
    # The first piece leaves when it has been spoken; the fifth brings the whole text.
    assert row["first_partial_ms"][0] >= 100
    assert row["final_ms"][0] >= 500 - 400
    assert row["texts"] == ["我想查余额"] * 2
    cells = markdown({"config": "whisperlive, x", **row}).split("|")
    assert cells[2].strip() == "2"
    assert cells[5].strip() == "0/2"


@pytest.mark.anyio
async def test_a_server_that_will_not_listen_or_is_not_there_is_said():
    async with serve(stand_in, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(EngineError, match="will not listen: WAIT"):
            await measure("whisperlive", lines_of("whisperlive", [url], [leg()], {"language": "xx"}, ""), [], 0.1, {})
    for address in (url, url.replace("ws", "tcp")):
        kind = "whisperlive" if address.startswith("ws") else "whisper_streaming"
        with pytest.raises(EngineError, match="cannot be reached"):
            await measure(kind, lines_of(kind, [address], [leg()], {}, ""), [], 0.1, {})
