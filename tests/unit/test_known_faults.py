"""Faults that streaming recognisers are known for, each tried on this one. A test is named after what goes wrong elsewhere.

Faults that a part's own tests cover already: hallucination on silence, music and ring-back, and hotwords leaking into silence
(tests/models/test_streaming_real.py, test_gates.py); options lost in a batch (test_schedule.py, test_streaming_real.py); slow readers
(test_bus.py, test_gateway.py); audio that is skipped without a word (test_ingest.py).
"""

from __future__ import annotations

import asyncio
import json
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot.bus.local import LocalBus
from copilot.domain.audio import CallStart, LegFormat, MediaFrame
from copilot.domain.errors import EngineError
from copilot.domain.ports.live import Integration
from copilot.domain.transcript import Hypothesis, RecognizeRequest
from copilot.telemetry.clock import SystemClock
from streaming.asr.dispatcher import Dispatcher
from streaming.asr.schedule import Schedule, ScheduleConfig, Ticket
from streaming.asr.window import FINAL_SLACK_MS, MAX_WINDOW_MS, max_length, max_new_tokens, window_ms
from streaming.audio.leg import LegAudio
from streaming.effects import EmitFinal, Transcribe
from streaming.ingest import CallIngest, IngestConfig, IngestServices
from streaming.pipeline import ChannelPipeline
from streaming.telephony import g711
from streaming.telephony.rawpcm import RawPcmProtocol
from tests.fakes.fake_sink import FakeSink
from tests.fakes.tone_speech import ToneRecognizer, ToneVad, recognise, silence, story, tone

LEG = LegFormat(channel="customer", encoding="pcm_s16le", sample_rate_hz=16_000)


@pytest.fixture
def anyio_backend():
    return "asyncio"


def request(call: str, lane="final", text="春夏秋") -> RecognizeRequest:
    return RecognizeRequest(request_id=call, call_id=call, channel="customer", lane=lane, pcm16=tone(text), language="zh")


class Channel:
    """A pipeline on a clock of its own that answers every window at once and keeps only what it costs."""

    def __init__(self, answer=recognise):
        self.now = 0.0
        self.answer = answer
        self.asked: list[tuple[str, int]] = []
        """(lane, ms of audio)"""
        self.languages: set[str] = set()
        self.finals = []
        self.pipeline = ChannelPipeline(call_id="c", channel="customer", language="zh", vad=ToneVad(), clock_ms=lambda: self.now)

    def take(self, effects):
        for effect in effects:
            if isinstance(effect, Transcribe):
                self.asked.append((effect.request.lane, len(effect.request.pcm16) // 32))
                self.languages.add(effect.request.language)
                self.take(self.pipeline.receive_hypothesis(effect.tag, self.answer(effect.request)))
            elif isinstance(effect, EmitFinal):
                self.finals.append(effect.final)

    def hear(self, pcm16: bytes, chunk_ms=100):
        for at in range(0, len(pcm16), 32 * chunk_ms):
            piece = pcm16[at : at + 32 * chunk_ms]
            self.take(self.pipeline.receive_audio(piece, round(self.now)))
            self.now += len(piece) / 32
        return self

    def decoded_ms(self, lane: str) -> int:
        """What the encoder sees, padding included."""
        return sum(window_ms(ms, lane) for asked, ms in self.asked if asked == lane)


# ---------------------------------------------------------------- parallel clients collapse


class Together(ToneRecognizer):
    """Answers only when ``count`` decodes are under way at once."""

    def __init__(self, count: int):
        super().__init__()
        self.meeting = threading.Barrier(count)

    def recognize(self, requests):
        self.meeting.wait(30)
        return super().recognize(requests)


@pytest.mark.anyio
async def test_parallel_clients_do_not_wait_for_each_other_under_a_lock():
    engine = Together(2)
    dispatcher = Dispatcher([engine, engine], config=ScheduleConfig(max_batch=1))
    await dispatcher.start()
    try:
        answers = await asyncio.gather(*(dispatcher.transcribe(request(f"c{n}")) for n in range(6)))
    finally:
        await dispatcher.stop()
    assert [answer.text for answer in answers] == ["春夏秋"] * 6


class Held(ToneRecognizer):
    """Holds the finals of calls named ``slow…`` until it is let go."""

    def __init__(self):
        super().__init__()
        self.let_go = threading.Event()

    def recognize(self, requests):
        if any(item.call_id.startswith("slow") and item.lane == "final" for item in requests):
            assert self.let_go.wait(30)
        return super().recognize(requests)


async def open_call(dispatcher, sink: FakeSink, name: str, **config) -> CallIngest:
    clock = SystemClock()

    def pipeline(wanted):
        return ChannelPipeline(
            call_id=wanted.call_id,
            channel=wanted.channel,
            language=wanted.language,
            vad=ToneVad(),
            clock_ms=lambda: clock.monotonic() * 1000,
        )

    services = IngestServices(sink=sink, transcriber=dispatcher, make_pipeline=pipeline, clock=clock, config=IngestConfig(**config))
    start = CallStart(external_id=name, legs=(LEG,), language="zh")
    return await CallIngest.open(services, start, Integration(org_id="org", name="bench", protocol="raw"))


async def say(ingest: CallIngest, pcm16: bytes, start=0):
    for at in range(0, len(pcm16) // 2, 1_600):
        await ingest.receive(MediaFrame(channel="customer", start_sample=start + at, payload=pcm16[2 * at : 2 * (at + 1_600)]))


@pytest.mark.anyio
async def test_a_slow_decode_freezes_neither_sockets_nor_other_calls():
    engine, sink = Held(), FakeSink()
    dispatcher = Dispatcher([engine, engine], config=ScheduleConfig(max_batch=1, cadence_ms=0, max_cadence_ms=0))
    await dispatcher.start()
    try:
        slow = await open_call(dispatcher, sink, "slow-1")
        await say(slow, tone("东南西北") + silence(700))
        quick = await open_call(dispatcher, sink, "quick-1")
        # The loop is free while a decode of the slow call is held: this call is heard from its first word to its end.
        await say(quick, tone("甲乙丙丁") + silence(700))
        async with asyncio.timeout(20):
            await quick.finish("hangup")
        assert sink.calls["quick-1"].texts("customer") == ["甲乙丙丁"]
        assert sink.calls["slow-1"].finals == []
        engine.let_go.set()
        await slow.finish("hangup")
        assert sink.calls["slow-1"].texts("customer") == ["东南西北"]
    finally:
        engine.let_go.set()
        await dispatcher.stop()


# ---------------------------------------------------------------- long utterances, long calls


def test_a_long_utterance_costs_in_proportion_to_its_length_not_to_its_square():
    costs = {}
    for seconds in (45, 90, 180):
        channel = Channel().hear(tone(story(5 * seconds)) + silence(700))
        costs[seconds] = channel.decoded_ms("partial"), channel.decoded_ms("final")
        assert "".join(final.text for final in channel.finals) == story(5 * seconds)
    for lane in (0, 1):
        assert costs[180][lane] <= 2.2 * costs[90][lane] <= 2.2 * 2.2 * costs[45][lane]
    # Every offered partial was decoded here (3 a second, windows of at most 10 s); the schedule lets through one in 0.8 s or fewer.
    assert costs[180][0] <= 180_000 * 10_000 / 320
    assert costs[180][1] <= 2 * 180_000


def test_memory_does_not_grow_with_the_length_of_a_call():
    turn = tone(story(20)) + silence(2_000)
    channel = Channel()

    def minutes(count: int) -> int:
        for _ in range(count * 10):
            channel.hear(turn, chunk_ms=200)
            channel.asked.clear()
            channel.finals.clear()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early = minutes(2)
        late = minutes(8)
    finally:
        tracemalloc.stop()
    assert late - early < 64_000, "under two seconds of audio"


def test_idle_channels_and_answered_requests_are_forgotten():
    schedule = Schedule(ScheduleConfig(decoders=1))
    for number in range(500):
        at = number * 1_000.0
        schedule.offer(Ticket(request=request(f"c{number}"), key=0, arrived_ms=at), at)
        decision = schedule.take(at)
        schedule.done(decision.batch, at + 10)
        assert schedule.live_channels(at) <= 31
    assert schedule.waiting() == (0, 0)


@pytest.mark.anyio
async def test_a_screen_that_never_reads_holds_a_bounded_queue_and_blocks_nobody():
    bus = LocalBus(queue_size=50)
    body = json.dumps({"type": "partial"})
    async with bus.subscribe("call") as screen:
        for _ in range(5_000):
            bus.publish("call", body)  # a publisher that had to wait would never come back here
        first = await anext(aiter(screen))
        assert first.lost == 4_950


@pytest.mark.parametrize("minutes", [1, 3, 5])
def test_a_forced_cut_neither_doubles_nor_swallows_what_is_said_across_it(minutes: int):
    channel = Channel().hear(tone(story(300 * minutes)) + silence(700))
    assert len(channel.finals) >= 2 * minutes
    assert "".join(final.text for final in channel.finals) == story(300 * minutes)


# ---------------------------------------------------------------- the tail of a long window


@pytest.mark.parametrize("seconds", [19, 22, 28, 29, 30, 31, 32, 45])
def test_no_final_window_is_so_full_that_its_tail_is_invented(seconds: int):
    """Clips of 29–32 s leave Whisper's 30 s window no silence to end in."""
    channel = Channel().hear(tone(story(5 * seconds)) + silence(700))
    longest = max(ms for lane, ms in channel.asked if lane == "final")
    assert longest + FINAL_SLACK_MS <= MAX_WINDOW_MS
    assert "".join(final.text for final in channel.finals) == story(5 * seconds)


@given(st.integers(0, MAX_WINDOW_MS), st.integers(0, 223))
def test_a_loop_ends_long_before_224_tokens(audio_ms: int, prompt: int):
    length = max_length(audio_ms, prompt)
    granted = min(length // 2, length - prompt)  # CTranslate2's rule
    assert 0 < granted <= 224
    assert granted <= max(max_new_tokens(audio_ms), (max_new_tokens(audio_ms) + prompt) // 2)
    if prompt == 0 and audio_ms <= 8_000:
        assert granted <= 104, "a looping partial costs under half of what the model would allow"


# ---------------------------------------------------------------- the wire misread


def heard_from(protocol_audio: bytes, encoding: str, rate: int, channels: int) -> list[np.ndarray]:
    """Bytes of the raw protocol as recognition gets them: 16 kHz samples of each leg."""
    protocol = RawPcmProtocol({})
    names = ["customer", "agent"][:channels]
    start = {"type": "start", "call_id": "c", "channels": names, "encoding": encoding, "sample_rate": rate}
    (opened,) = protocol.receive_text(json.dumps(start))
    protocol.accept("c", heard_samples=0, resume_window_ms=0)
    legs = {leg.channel: LegAudio(leg) for leg in opened.legs}
    lines: dict[str, list[bytes]] = {name: [] for name in names}
    step = rate // 50 * channels * (1 if encoding == "pcmu" else 2)
    for at in range(0, len(protocol_audio), step):
        for event in protocol.receive_bytes(protocol_audio[at : at + step]):
            lines[event.channel] += [chunk.pcm16 for chunk in legs[event.channel].receive(event)]
    for name in names:
        lines[name] += [chunk.pcm16 for chunk in legs[name].flush()]
    return [np.frombuffer(b"".join(lines[name]), "<i2").astype(np.float64) for name in names]


def pitch(samples: np.ndarray) -> float:
    """Hz of the loudest component of 16 kHz samples."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * 16_000 / len(samples)


def sine(hz: float, rate: int, amplitude: float = 8_000.0) -> np.ndarray:
    return np.rint(amplitude * np.sin(2 * np.pi * hz * np.arange(2 * rate) / rate)).astype(np.int16)


@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcmu", "pcma"])
@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_mu_law_is_not_read_as_linear_nor_8_khz_as_16_khz(encoding: str, rate: int):
    (line,) = heard_from(g711.encode(sine(440, rate), encoding), encoding, rate, 1)
    assert len(line) == pytest.approx(32_000, abs=16), "two seconds stay two seconds"
    middle = line[4_000:28_000]
    assert pitch(middle) == pytest.approx(440, abs=1)
    power = np.mean(middle**2)
    assert power == pytest.approx(8_000**2 / 2, rel=0.02), "as loud as it was sent"
    noise = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    tone_bin = round(440 * len(middle) / 16_000)
    rest = noise.sum() - noise[tone_bin - 4 : tone_bin + 5].sum()
    assert rest < 0.001 * noise.sum(), "a misread codec is loud noise: 30 dB of signal to noise are left by G.711"


@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcmu"])
def test_channels_are_not_swapped(encoding: str):
    stereo = np.stack([sine(300, 8_000), sine(700, 8_000)], axis=1).reshape(-1)
    customer, agent = heard_from(g711.encode(stereo, encoding), encoding, 8_000, 2)
    assert pitch(customer[4_000:28_000]) == pytest.approx(300, abs=1)
    assert pitch(agent[4_000:28_000]) == pytest.approx(700, abs=1)


# ---------------------------------------------------------------- time


def test_timestamps_do_not_drift_over_a_long_call():
    """Twenty minutes of 8 kHz audio: were the voice detector's delay counted with each utterance, the last would be seconds off."""
    leg = LegAudio(LegFormat(channel="customer", encoding="pcm_s16le", sample_rate_hz=8_000))
    channel = Channel()
    spoken, at = [], 0
    while at < 20 * 60 * 8_000:
        pause, speech = 8_000 + 1_234 * (len(spoken) % 5), 8_000 + 777 * (len(spoken) % 7)
        samples = np.zeros(pause + speech, np.int16)
        samples[pause:] = 3_000
        spoken.append(((at + pause) / 8, (at + pause + speech) / 8))
        for chunk in leg.receive(MediaFrame(channel="customer", start_sample=at, payload=samples.tobytes())):
            channel.take(channel.pipeline.receive_audio(chunk.pcm16, chunk.start_ms))
        at += len(samples)
    channel.take(channel.pipeline.flush())
    # Levels that spell a character; here only the times count, so the last utterance may be cut by the end of the audio.
    errors = [(final.start_ms - begin, final.end_ms - end) for final, (begin, end) in zip(channel.finals[:-1], spoken[:-1], strict=False)]
    assert len(errors) >= 400
    assert max(abs(error) for pair in errors for error in pair) <= 48
    early, late = np.array(errors[:50]), np.array(errors[-50:])
    assert np.abs(late.mean(axis=0) - early.mean(axis=0)).max() <= 8


# ---------------------------------------------------------------- a failed batch is no silence


class HangsOnce(ToneRecognizer):
    """The first final never comes back; the thread that asked for it is let go at the end of the test."""

    def __init__(self):
        super().__init__()
        self.hanging, self.let_go = threading.Event(), threading.Event()
        self.finals: list[bytes] = []

    def recognize(self, requests):
        finals = [item.pcm16 for item in requests if item.lane == "final"]
        self.finals += finals
        if finals and not self.hanging.is_set():
            self.hanging.set()
            assert self.let_go.wait(30)
        return super().recognize(requests)


@pytest.mark.anyio
async def test_a_batch_that_timed_out_is_asked_again_and_its_audio_is_not_lost():
    engine, sink, now = HangsOnce(), FakeSink(), [0.0]
    dispatcher = Dispatcher([engine], clock_ms=lambda: now[0], watch_every_s=3_600)
    await dispatcher.start()
    try:
        ingest = await open_call(dispatcher, sink, "c-1", drain_s=20.0)
        await say(ingest, tone("甲乙丙丁") + silence(700))
        assert await asyncio.to_thread(engine.hanging.wait, 20)
        now[0] = 31_000.0
        assert dispatcher.check_decoders() == 1
        await ingest.finish("hangup")
        handle = sink.calls["c-1"]
        assert handle.texts("customer") == ["甲乙丙丁"]
        assert handle.degradations[0] == ("recognition", "down"), "and the screen was told"
        stats = dispatcher.stats()
        assert (stats.failed, stats.finals) == (1, 1)
        first, again = engine.finals
        # The first may have been begun ahead of the endpoint, with less of the tail.
        assert again.startswith(first), "the same audio"
        assert not any(again[len(first) :]), "and silence"
    finally:
        engine.let_go.set()
        await dispatcher.stop()


def test_a_final_that_fails_twice_leaves_what_was_shown_rather_than_silence():
    def no_finals(asked: RecognizeRequest) -> Hypothesis | None:
        return None if asked.lane == "final" else recognise(asked)

    channel = Channel(no_finals).hear(tone(story(30)) + silence(700))
    (final,) = channel.finals
    assert story(30).startswith(final.text[:20])
    assert final.confidence < 0.5


# ---------------------------------------------------------------- start-up, language


@pytest.mark.anyio
async def test_a_window_before_the_recogniser_runs_is_refused_in_words_and_may_be_tried_again():
    dispatcher = Dispatcher([ToneRecognizer()])
    with pytest.raises(EngineError, match="start the dispatcher first") as refused:
        await dispatcher.transcribe(request("early"))
    assert refused.value.retryable
    await dispatcher.start()
    try:
        assert (await dispatcher.transcribe(request("early"))).text == "春夏秋"
    finally:
        await dispatcher.stop()


def test_one_utterance_taken_for_another_language_does_not_turn_the_call():
    answers = iter(["ko", "it", "en"])

    def drifting(asked: RecognizeRequest) -> Hypothesis:
        heard = recognise(asked)
        return replace(heard, language=next(answers, "ko")) if asked.lane == "final" else heard

    channel = Channel(drifting)
    for _ in range(5):
        channel.hear(tone("春夏秋冬") + silence(700))
    assert len(channel.finals) == 5
    assert channel.languages == {"zh"}
