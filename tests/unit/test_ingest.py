"""One call's ingest, with the real pipeline and tone speech: order, degradation, back-pressure, and every kind of ending."""

from __future__ import annotations

import asyncio

import pytest

from copilot.domain.audio import CallStart, Dtmf, LegFormat, MediaFrame, MediaGap
from copilot.domain.errors import Conflict, EngineError, Overloaded
from copilot.domain.ports.live import Integration
from copilot.store.media import open_media
from copilot.telemetry.clock import SystemClock
from streaming.ingest import CallIngest, IngestConfig, IngestServices
from streaming.pipeline import ChannelPipeline
from streaming.recording.reader import RecordingReader
from streaming.recording.recorder import Recorder, RecorderConfig
from streaming.recording.segment import ClearCipher
from tests.fakes.fake_sink import FakeSink
from tests.fakes.fake_transcriber import FakeTranscriber
from tests.fakes.tone_speech import ToneVad, silence, tone

pytestmark = pytest.mark.anyio

LEGS = tuple(LegFormat(channel=channel, encoding="pcm_s16le", sample_rate_hz=16_000) for channel in ("customer", "agent"))
INTEGRATION = Integration(org_id="org", name="bench", protocol="raw")


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Bench:
    def __init__(self, **config):
        self.sink, self.transcriber = FakeSink(), FakeTranscriber()
        self.clock = SystemClock()
        self.requests = []
        self.config = IngestConfig(**{"store_retries_s": (0.0, 0.0), "drain_s": 5.0, **config})
        self.recorder, self.cipher_for = None, None
        self.accounts = []

    def make_pipeline(self, wanted):
        self.requests.append(wanted)
        return ChannelPipeline(
            call_id=wanted.call_id,
            channel=wanted.channel,
            language=wanted.language,
            vad=ToneVad(),
            clock_ms=lambda: self.clock.monotonic() * 1000,
            hotwords=wanted.hotwords,
        )

    async def open(self, call_id="c-1", legs=LEGS, language="zh"):
        services = IngestServices(
            sink=self.sink,
            transcriber=self.transcriber,
            make_pipeline=self.make_pipeline,
            clock=self.clock,
            recorder=self.recorder,
            cipher_for=self.cipher_for,
            config=self.config,
            on_account=self.accounts.append,
        )
        ingest = await CallIngest.open(services, CallStart(external_id=call_id, legs=legs, language=language), INTEGRATION)
        return ingest, self.sink.calls[call_id]


async def say(ingest, channel, pcm16, start=0, step=320):
    for at in range(0, len(pcm16) // 2, step):
        await ingest.receive(MediaFrame(channel=channel, start_sample=start + at, payload=pcm16[2 * at : 2 * (at + step)]))


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the fakes have no events for everything
            await asyncio.sleep(0.005)


async def test_a_call_is_heard_told_and_ended():
    bench = Bench()
    ingest, handle = await bench.open()
    shown = []
    ingest.publish = shown.append
    await say(ingest, "customer", silence(500) + tone("甲乙丙丁戊己庚") + silence(700) + tone("春夏秋冬"))
    await say(ingest, "agent", silence(3000) + tone("东南西北") + silence(200))
    assert await ingest.finish("hangup") == 4000
    assert handle.ended == ("hangup", 4000)
    assert handle.texts("customer") == ["甲乙丙丁戊己庚", "春夏秋冬"]
    assert handle.texts("agent") == ["东南西北"]
    first = handle.finals[0]
    assert abs(first.start_ms - 500) <= 64
    assert abs(first.end_ms - 1900) <= 64
    assert handle.partials
    # The peer gets what the handle returned: masked.
    assert [event.text for event in shown if hasattr(event, "text")] == [f"【{final.text}】" for final in handle.finals]
    assert {request.channel for request in bench.requests} == {"customer", "agent"}
    assert all(request.hotwords == ("星星",) for request in bench.transcriber.requests)


async def test_finals_of_a_channel_keep_their_order_when_decoding_does_not():
    bench = Bench()
    slow = asyncio.Event()
    plain = bench.transcriber.transcribe

    async def first_is_slow(request):
        if request.lane == "final" and "甲" in (text := (await plain(request)).text):
            assert text
            await slow.wait()
        return await plain(request)

    bench.transcriber.transcribe = first_is_slow
    ingest, handle = await bench.open()
    await say(ingest, "customer", tone("甲乙丙丁") + silence(700) + tone("春夏秋冬") + silence(700))
    await until(lambda: sum(r.lane == "final" for r in bench.transcriber.requests) >= 3)
    assert handle.finals == []
    slow.set()
    await ingest.finish("hangup")
    assert handle.texts("customer") == ["甲乙丙丁", "春夏秋冬"]


async def test_a_failing_recogniser_degrades_and_comes_back():
    bench = Bench()
    bench.transcriber.failures = [EngineError("The engine is away.", retryable=True)]
    ingest, handle = await bench.open()
    await say(ingest, "customer", tone("甲乙丙丁") + silence(700))
    await until(lambda: handle.finals)
    await ingest.finish("hangup")
    # The pipeline asked again: nothing of what was said is missing.
    assert handle.texts("customer") == ["甲乙丙丁"]
    assert handle.degradations[:2] == [("recognition", "down"), ("recognition", "up")]


async def test_a_pipeline_with_a_fault_costs_its_text_not_the_call():
    bench = Bench()

    class Broken:
        def receive_audio(self, _pcm16, _start_ms):
            raise RuntimeError("a fault")

        def receive_hypothesis(self, _tag, _hypothesis):
            return []

        def tick(self, _now_ms):
            return []

        def flush(self):
            return []

    healthy = bench.make_pipeline
    bench.make_pipeline = lambda wanted: Broken() if wanted.channel == "agent" else healthy(wanted)
    ingest, handle = await bench.open()
    await say(ingest, "agent", tone("甲乙"))
    await say(ingest, "customer", tone("东南西北") + silence(600))
    await ingest.finish("hangup")
    assert handle.texts("customer") == ["东南西北"]
    assert ("recognition", "down") in handle.degradations
    assert handle.ended == ("hangup", 1400)


async def test_the_last_words_are_waited_for_and_at_the_limit_given_up():
    bench = Bench(drain_s=0.2)
    bench.transcriber.gate = asyncio.Event()  # never set: the engine hangs
    ingest, handle = await bench.open()
    pcm = tone("甲乙丙丁戊己庚辛")
    for at in range(0, len(pcm), 6400):
        await say(ingest, "customer", pcm[at : at + 6400], start=at // 2)
        await asyncio.sleep(0.01)
    await until(lambda: handle.partials)
    async with asyncio.timeout(20):
        await ingest.finish("hangup")
    assert handle.ended == ("hangup", 1600)
    assert ("recognition", "down") in handle.degradations
    # What the partials had is kept rather than nothing.
    (text,) = handle.texts("customer")
    assert text.startswith("甲乙丙")


async def test_a_store_that_is_away_for_a_moment_loses_no_final():
    bench = Bench()
    ingest, handle = await bench.open()
    handle.fail_finals = [EngineError("The store is away.", retryable=True), EngineError("Still away.", retryable=True)]
    await say(ingest, "customer", tone("甲乙丙丁") + silence(700) + tone("春夏秋冬") + silence(700))
    await ingest.finish("hangup")
    assert handle.texts("customer") == ["甲乙丙丁", "春夏秋冬"]


async def test_a_call_that_another_node_owns_is_left_alone():
    bench = Bench()
    ingest, handle = await bench.open()
    handle.fail_finals = [Conflict("Another node owns this call now.")]
    await say(ingest, "customer", tone("甲乙丙丁") + silence(700))
    await until(lambda: not handle.fail_finals)
    await asyncio.sleep(0.01)
    with pytest.raises(Conflict, match="Another node"):
        await say(ingest, "customer", silence(100), start=32_000)
    await ingest.finish("duplicate")
    assert handle.finals == []


async def test_a_slow_store_never_loses_finals_and_recording_does_not_wait(tmp_path):
    bench = Bench(max_backlog_ms=2_000)
    media = open_media(str(tmp_path / "media"))
    bench.recorder = Recorder(RecorderConfig(spool_dir=tmp_path / "spool"), media)
    bench.cipher_for = lambda _org, _call: ClearCipher()
    await bench.recorder.start()
    ingest, handle = await bench.open()
    handle.gate = asyncio.Event()
    pcm = b"".join(tone("甲乙丙丁") + silence(700) for _ in range(300))
    async with asyncio.timeout(60):
        await say(ingest, "customer", pcm, step=4000)  # returns although the handle is stuck
        handle.gate.set()
        await ingest.finish("hangup")
    assert [part for part in handle.degradations if part[0] == "recording"] == []
    assert set(handle.texts("customer")) <= {"甲乙丙丁", "甲乙丙", "乙丙丁", "丙丁", "甲乙", "丁", "甲"}
    reader = RecordingReader(media, "org", "c-1", ClearCipher())
    assert reader.pcm16("customer").astype("<i2").tobytes() == pcm
    assert reader.leg("customer").complete
    await bench.recorder.stop()


async def test_recognition_that_is_far_behind_skips_and_says_so():
    bench = Bench(max_backlog_ms=1_000)
    ingest, handle = await bench.open()
    # Without a pause the recogniser's task gets no turn: everything past a second is too much.
    await say(ingest, "customer", tone("甲乙丙丁戊己庚辛子丑寅卯辰巳午未"))
    await asyncio.sleep(0.05)
    for at, part in enumerate((silence(600), tone("东南西"), tone("北") + silence(400), silence(600))):
        await say(ingest, "customer", part, start=16_000 * 10 + at * 9600)
        await asyncio.sleep(0.05)
    await ingest.finish("hangup")
    assert handle.degradations == [("recognition", "down"), ("recognition", "up")]
    assert handle.texts("customer")[-1] == "东南西北"


async def test_gaps_reach_the_record_and_move_the_clock():
    bench = Bench()
    ingest, handle = await bench.open()
    await say(ingest, "customer", tone("甲乙丙丁"))
    await ingest.receive(MediaGap(channel="customer", start_sample=12_800, samples=16_000 * 600, reason="paused"))
    await ingest.receive(MediaGap(channel="agent", start_sample=0, samples=320, reason="lost"))
    await say(ingest, "customer", tone("东南西北") + silence(600), start=12_800 + 9_600_000)
    assert await ingest.finish("hangup") == 800 + 600_000 + 1400
    assert handle.texts("customer") == ["甲乙丙丁", "东南西北"]
    assert abs(handle.finals[1].start_ms - 600_800) <= 64
    assert [item for item in handle.told if isinstance(item, tuple)] == [("gap", "customer", 800, 600_000, "paused")]


async def test_speech_that_stops_coming_is_finished_by_the_clock():
    bench = Bench(tick_s=0.01)
    now = [0.0]
    bench.clock.monotonic = lambda: now[0]
    ingest, handle = await bench.open()
    await say(ingest, "customer", tone("甲乙丙丁"))
    await until(lambda: any(r.lane == "partial" for r in bench.transcriber.requests) and not ingest._queue)
    now[0] = 2.0  # no audio for two seconds
    await until(lambda: handle.finals)
    await ingest.finish("hangup")
    assert handle.texts("customer") == ["甲乙丙丁"]


async def test_every_second_of_audio_is_accounted_for():
    bench = Bench()
    ingest, _ = await bench.open()
    await say(ingest, "customer", silence(500) + tone("甲乙丙丁戊己庚") + silence(700))
    await ingest.receive(MediaGap(channel="agent", start_sample=0, samples=16_000, reason="paused"))
    await say(ingest, "agent", tone("东南西北") + silence(200), start=16_000)
    await ingest.finish("hangup")
    (account,) = bench.accounts
    seconds = account.seconds()
    assert sum(seconds.values()) == pytest.approx(2.6 + 1.0 + 1.0)
    assert seconds["gap"] == pytest.approx(1.0)
    assert seconds["speech"] == pytest.approx(1.4 + 0.8, abs=0.2)
    assert seconds["skipped"] == seconds["failed"] == 0


async def test_key_presses_are_not_told():
    bench = Bench()
    ingest, handle = await bench.open()
    await ingest.receive(Dtmf(channel="customer", digit="7"))
    await ingest.finish("hangup")
    assert "7" not in repr(handle.told)


async def test_the_first_ending_counts_and_nothing_follows_it():
    bench = Bench()
    ingest, handle = await bench.open()
    await say(ingest, "customer", tone("甲乙"))
    both = await asyncio.gather(ingest.finish("peer_closed"), ingest.finish("hangup"))
    assert both == [400, 400]
    await say(ingest, "customer", tone("丙丁"), start=6400)
    assert handle.ended == ("peer_closed", 400)


async def test_no_room_no_call():
    bench = Bench()
    bench.transcriber.refuse = Overloaded("All channels are taken.")
    with pytest.raises(Overloaded):
        await bench.open()
    assert bench.sink.calls == {}


async def test_a_recording_that_cannot_be_opened_degrades_the_call(tmp_path):
    bench = Bench()
    bench.recorder = Recorder(RecorderConfig(spool_dir=tmp_path / "spool"), open_media(str(tmp_path / "media")))
    bench.cipher_for = lambda _org, _call: (_ for _ in ()).throw(EngineError("The key store is away."))
    ingest, handle = await bench.open()
    await say(ingest, "customer", tone("甲乙丙丁") + silence(600))
    await ingest.finish("hangup")
    assert handle.degradations == [("recording", "down")]
    assert handle.texts("customer") == ["甲乙丙丁"]
