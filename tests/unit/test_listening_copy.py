"""The listening copy: one sample of the file for each sample of media time, through gaps, pauses and nodes; hidden where it must be;
written and read block by block; made once."""

from __future__ import annotations

import hashlib
import io
import tracemalloc

import numpy as np
import pytest
import soundfile

from copilot.domain.artifacts import ListeningCopy
from copilot.domain.audio import LegFormat, MediaFrame, MediaGap
from copilot.domain.errors import EngineError, NotFound
from copilot.domain.events import ArtifactReady, CallEnded, CallStarted, UtteranceFinal
from copilot.domain.transcript import Word
from copilot.store.media import open_media
from copilot.telemetry.clock import ManualClock
from postcall.recording import PATIENT_ATTEMPTS, CopyMaker
from postcall.services import PostcallServices
from postcall.work import MOST_ATTEMPTS, work_on
from streaming.recording.listening import CopyReader, write_copies
from streaming.recording.masking import PAD_MS
from streaming.recording.reader import RecordingReader
from streaming.recording.recorder import Recorder, RecorderConfig
from streaming.recording.sealing import finish_leg
from streaming.recording.segment import ClearCipher, Segment, encode_index, segment_path, sidecar_path
from streaming.telephony import g711
from tests.fakes.stores import AT, CALL, ORG, make_store, sqlite_url

pytestmark = pytest.mark.anyio
CUSTOMER = LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=8000)
AGENT = LegFormat(channel="agent", encoding="pcmu", sample_rate_hz=8000)
MARK = 12_000
"""A value that speech here never has: where it is found is a moment of media time."""


def speech(samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-4000, 4000, samples).astype(np.int16)


class Bench:
    """A store, a media store, recorders of several nodes and the after-call worker."""

    def __init__(self, tmp_path) -> None:
        self.clock = ManualClock(AT)
        self.store = make_store(sqlite_url(tmp_path), tmp_path, self.clock)
        self.media = open_media(str(tmp_path / "media"))
        self.directory = tmp_path

    def maker(self) -> CopyMaker:
        return CopyMaker(self.media, self.store.call_cipher, self.store.calls, self.store.outbox, self.clock)

    def work(self) -> list[str]:
        """Every job of a recording that is due, done."""

        def no_tools(_org):
            raise AssertionError("a recording needs no packs")

        services = PostcallServices(outbox=self.store.outbox, calls=self.store.calls, copies=self.maker(), tools=no_tools, clock=self.clock)
        jobs = [job for job in self.store.outbox.lease(self.clock.now(), 60) if job.kind == "recording"]
        return [work_on(job.job_id, services) for job in jobs]

    async def begin(self, legs=(CUSTOMER, AGENT)):
        opened = await self.store.journal.open(ORG, CALL, "node")
        started = CallStarted(external_id="x", protocol="raw", legs=legs, language="zh", started_at=AT)
        await self.store.journal.append(ORG, opened, [started])
        return opened

    async def end(self, opened, *finals) -> None:
        await self.store.journal.append(ORG, opened, [*finals, CallEnded(reason="hangup", duration_ms=60_000)])
        self.clock.advance(2)

    def node(self, name: str) -> Recorder:
        return Recorder(RecorderConfig(spool_dir=self.directory / name, segment_s=1.0), self.media)

    def cipher(self):
        return self.store.call_cipher(ORG, CALL)

    def artifact(self):
        (found,) = [artifact for artifact in self.store.calls.artifacts(ORG, CALL) if artifact.kind == "recording"]
        return found

    def copy(self) -> ListeningCopy:
        return self.artifact().body

    def heard(self, version: str) -> np.ndarray:
        reader = CopyReader(self.media, self.cipher(), ORG, CALL, self.copy())
        data = b"".join(reader.read(version, 0, reader.size(version)))
        assert len(data) == reader.size(version)
        samples, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
        assert rate == self.copy().sample_rate_hz
        return samples

    def folders(self) -> set[str]:
        return {path.split("/")[3] for path in self.media.list(f"{ORG}/{CALL}/copy")}


async def record(recorder: Recorder, cipher, legs, frames, *, part: int = 1, start_ms: int = 0) -> None:
    await recorder.start()
    recording = recorder.open(ORG, CALL, legs, cipher, part=part, start_ms=start_ms)
    for item in frames:
        await (recording.gap(item) if isinstance(item, MediaGap) else recording.write(item))
    await recording.close()
    await recorder.stop()


def frame(leg: LegFormat, start: int, samples: np.ndarray) -> MediaFrame:
    payload = g711.encode(samples, leg.encoding) if leg.encoding != "pcm_s16le" else samples.tobytes()
    return MediaFrame(channel=leg.channel, start_sample=start, payload=payload)


def marked(samples: int, *at: int, seed: int = 1) -> np.ndarray:
    audio = speech(samples, seed)
    audio[list(at)] = MARK
    return audio


async def test_what_was_said_at_a_ms_is_at_its_sample_through_a_gap_a_pause_and_two_nodes(tmp_path):
    bench = Bench(tmp_path)
    opened = await bench.begin()
    # Customer: 3 s, lost to 5 s, until 11 s; 12 s of pause; then the second node from 20 s (which the first had heard until 25 s) to 40 s.
    customer = marked(8 * 40_000, 8 * 2500, 8 * 10_900, 8 * 24_000, 8 * 39_999)
    agent = marked(8 * 38_000, 8 * 1000, 8 * 30_000, seed=2)
    first = [
        frame(CUSTOMER, 0, customer[: 8 * 3000]),
        MediaGap(channel="customer", start_sample=8 * 3000, samples=8 * 2000, reason="lost"),
        frame(CUSTOMER, 8 * 5000, customer[8 * 5000 : 8 * 11_000]),
        MediaGap(channel="customer", start_sample=8 * 11_000, samples=8 * 12_000, reason="paused"),
        frame(CUSTOMER, 8 * 23_000, customer[8 * 23_000 : 8 * 25_000]),
        frame(AGENT, 0, agent[: 8 * 25_000]),
    ]
    second = [
        frame(CUSTOMER, 8 * 23_500, customer[8 * 23_500 :]),
        frame(AGENT, 8 * 20_000, agent[8 * 20_000 :]),
    ]
    await record(bench.node("a"), bench.cipher(), (CUSTOMER, AGENT), first)
    await record(bench.node("b"), bench.cipher(), (CUSTOMER, AGENT), second, part=2, start_ms=20_000)
    await bench.end(opened)
    assert bench.work() == ["done"]
    copy, heard = bench.copy(), bench.heard("original")
    assert (copy.channels, copy.sample_rate_hz, copy.duration_ms, copy.complete) == (("customer", "agent"), 8000, 40_000, True)
    assert heard.shape == (8 * 40_000, 2)
    assert np.flatnonzero(np.abs(heard[:, 0]) > 10_000).tolist() == [8 * 2500, 8 * 10_900, 8 * 24_000, 8 * 39_999]
    assert np.flatnonzero(np.abs(heard[:, 1]) > 10_000).tolist() == [8 * 1000, 8 * 30_000]
    reader = RecordingReader(bench.media, ORG, CALL, bench.cipher())
    assert np.array_equal(heard[:, 0], reader.pcm16("customer")), "the same samples as the segments"
    assert not heard[8 * 3000 : 8 * 5000, 0].any()
    assert not heard[8 * 11_000 : 8 * 23_000, 0].any()
    assert not heard[8 * 38_000 :, 1].any()
    assert np.array_equal(bench.heard("masked"), heard), "nothing personal was said"


async def test_legs_of_different_rates_are_brought_to_the_higher_without_a_shift(tmp_path):
    bench = Bench(tmp_path)
    wide = LegFormat(channel="agent", encoding="pcm_s16le", sample_rate_hz=16_000)
    opened = await bench.begin((CUSTOMER, wide))
    clicks = np.zeros(8 * 25_000, np.int16)
    clicks[8 * 12_345] = MARK
    said = marked(16 * 25_000, 16 * 20_001)
    await record(bench.node("a"), bench.cipher(), (CUSTOMER, wide), [frame(CUSTOMER, 0, clicks), frame(wide, 0, said)])
    await bench.end(opened)
    assert bench.work() == ["done"]
    heard = bench.heard("original")
    assert heard.shape == (16 * 25_000, 2)
    assert abs(int(np.abs(heard[:, 0]).argmax()) - 16 * 12_345) <= 1
    assert np.array_equal(heard[:, 1], said)


async def test_personal_data_is_not_in_the_masked_file_and_everything_else_is(tmp_path):
    bench = Bench(tmp_path)
    opened = await bench.begin()
    await record(
        bench.node("a"),
        bench.cipher(),
        (CUSTOMER, AGENT),
        [frame(CUSTOMER, 0, speech(8 * 20_000)), frame(AGENT, 0, speech(8 * 20_000, 2))],
    )
    words = (
        Word(text="卡号是", start_ms=9000, end_ms=9500, confidence=1.0),
        Word(text="【卡号#1】", start_ms=9600, end_ms=12_400, confidence=1.0),
    )
    said = UtteranceFinal(
        utterance_id="customer-1",
        channel="customer",
        start_ms=8900,
        end_ms=12_500,
        language="zh",
        confidence=0.9,
        text="卡号是【卡号#1】",
        words=words,
    )
    await bench.end(opened, said)
    assert bench.work() == ["done"]
    original, masked = bench.heard("original"), bench.heard("masked")
    low, high = 8 * (9600 - PAD_MS), 8 * (12_400 + PAD_MS)
    assert (np.abs(original[low:high]).max(axis=0) > 3500).all()
    assert np.abs(masked[low:high]).max() < 1000
    assert np.array_equal(masked[:low], original[:low])
    assert np.array_equal(masked[high:], original[high:])
    assert [(span.start_ms, span.end_ms) for span in bench.copy().hidden] == [(9600 - PAD_MS, 12_400 + PAD_MS)]


async def test_a_number_found_later_is_hidden_in_the_next_version_and_the_old_one_is_gone(tmp_path):
    bench = Bench(tmp_path)
    opened = await bench.begin((CUSTOMER,))
    await record(bench.node("a"), bench.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 9000))])
    said = UtteranceFinal(
        utterance_id="customer-1", channel="customer", start_ms=2000, end_ms=4000, language="zh", confidence=0.9, text="六二二二"
    )
    await bench.end(opened, said)
    assert bench.work() == ["done"]
    before, folders = bench.artifact(), bench.folders()
    assert np.array_equal(bench.heard("masked"), bench.heard("original"))
    rewritten = UtteranceFinal(
        utterance_id="customer-1", channel="customer", start_ms=2000, end_ms=4000, language="zh", confidence=0.9, text="【卡号#1】"
    )
    bench.store.calls.rewrite(ORG, CALL, {2: rewritten})
    assert bench.work() == ["done"]
    after = bench.artifact()
    assert (before.version, after.version) == (1, 2)
    assert after.body.through_seq > before.body.through_seq
    assert np.abs(bench.heard("masked")[8 * 2000 : 8 * 4000]).max() < 1000
    assert bench.folders() == {after.body.folder} != folders


async def test_a_job_that_is_delivered_again_leaves_one_copy(tmp_path):
    bench = Bench(tmp_path)
    opened = await bench.begin((CUSTOMER,))
    await record(bench.node("a"), bench.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 2000))])
    await bench.end(opened)
    (job,) = [job for job in bench.store.outbox.lease(bench.clock.now(), 60) if job.kind == "recording"]
    maker, events = bench.maker(), bench.store.calls.events(ORG, CALL)
    # Two workers at once: both have written when the first one finishes.
    one, two = maker.make(job, events), maker.make(job, events)
    assert len(bench.folders()) == 2
    assert [maker.finish(job, one), maker.finish(job, two)] == [True, False]
    assert bench.folders() == {one.folder}
    assert bench.copy() == one
    ready = [item for item in bench.store.calls.events(ORG, CALL) if isinstance(item.event, ArtifactReady)]
    assert len(ready) == 1


async def test_an_older_job_that_ends_late_does_not_take_the_newer_copy_away(tmp_path):
    bench = Bench(tmp_path)
    opened = await bench.begin((CUSTOMER,))
    await record(bench.node("a"), bench.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 2000))])
    await bench.end(opened)
    (old,) = [job for job in bench.store.outbox.lease(bench.clock.now(), 60) if job.kind == "recording"]
    maker, events = bench.maker(), bench.store.calls.events(ORG, CALL)
    first = maker.make(old, events)
    bench.store.calls.rewrite(ORG, CALL, {1: events[0].event})
    assert bench.work() == ["done"]
    newer = bench.copy()
    assert maker.finish(old, first)
    assert (bench.copy(), bench.folders()) == (newer, {newer.folder})


async def test_a_recording_that_is_not_sealed_is_waited_for_and_at_last_taken_as_it_is(tmp_path):
    bench = Bench(tmp_path)
    opened = await bench.begin()
    await record(bench.node("a"), bench.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 2000))])
    await bench.end(opened)
    tries = 1
    while bench.work() == ["retry"]:
        assert bench.folders() == set()
        bench.clock.advance(60)
        tries += 1
    assert tries == PATIENT_ATTEMPTS > MOST_ATTEMPTS
    assert not bench.copy().complete
    assert bench.copy().duration_ms == 2000


async def test_a_media_store_that_is_away_is_asked_again_and_nothing_half_is_left(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    opened = await bench.begin((CUSTOMER,))
    await record(bench.node("a"), bench.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 30_000))])
    await bench.end(opened)
    put = bench.media.put

    def failing(path, data):
        if path.endswith("masked/000000.blk"):
            raise EngineError("away", retryable=True)
        put(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(bench.media, "put", failing)
        assert bench.work() == ["retry"]
        assert bench.folders() == set()
    bench.clock.advance(60)
    assert bench.work() == ["done"]


async def test_erasing_a_call_stops_the_job_that_joins_it(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    opened = await bench.begin((CUSTOMER,))
    await record(bench.node("a"), bench.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 30_000))])
    await bench.end(opened)
    (job,) = [job for job in bench.store.outbox.lease(bench.clock.now(), 60) if job.kind == "recording"]
    events, get = bench.store.calls.events(ORG, CALL), bench.media.get

    def slow(path):
        bench.clock.advance(20)
        if path.endswith("000012.seg"):
            bench.store.calls.erase_call(ORG, CALL, "admin")
        return get(path)

    monkeypatch.setattr(bench.media, "get", slow)
    with pytest.raises(NotFound, match="not open any more"):
        bench.maker().make(job, events)
    assert bench.folders() == set()


async def test_a_call_without_a_sample_has_an_empty_copy(tmp_path):
    bench = Bench(tmp_path)
    opened = await bench.begin((CUSTOMER,))
    await record(bench.node("a"), bench.cipher(), (CUSTOMER,), [])
    await bench.end(opened)
    assert bench.work() == ["done"]
    assert (bench.copy().duration_ms, bench.copy().masked_bytes, bench.folders()) == (0, 0, set())


async def test_blocks_are_sealed_in_their_place_and_ranges_open_only_what_they_need(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    opened = await bench.begin((CUSTOMER,))
    await record(bench.node("a"), bench.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 12_000))])
    await bench.end(opened)
    reader = RecordingReader(bench.media, ORG, CALL, bench.cipher())
    place = f"{ORG}/{CALL}/copy/x"
    copy = write_copies(reader, bench.media, bench.cipher(), place, (), 0, lambda: None, block_bytes=10_000)
    copies = CopyReader(bench.media, bench.cipher(), ORG, CALL, copy)
    whole = b"".join(copies.read("original", 0, copy.original_bytes))
    assert len(whole) == copy.original_bytes > 50_000
    assert soundfile.info(io.BytesIO(whole)).frames == 8 * 12_000
    paths = sorted(bench.media.list(f"{place}/original"))
    assert len(paths) == -(-len(whole) // 10_000)
    assert not any(b"fLaC" in bench.media.get(path) for path in paths)
    opens = []
    get = bench.media.get
    monkeypatch.setattr(bench.media, "get", lambda path: opens.append(path) or get(path))
    for start, end in [(0, 1), (9999, 10_001), (10_000, 20_000), (len(whole) - 5, len(whole) + 99), (25_000, 25_000)]:
        opens.clear()
        assert b"".join(copies.read("original", start, end)) == whole[start:end]
        assert len(opens) <= 2
    bench.media.put(paths[1], get(paths[2]))
    with pytest.raises(EngineError, match="damaged or moved"):
        list(copies.read("original", 10_000, 10_001))


def sealed_hours(media, hours: int, rate: int = 8000) -> None:
    """Segments of ten seconds as a recorder seals them, for two legs, without the time it takes."""
    for leg in (CUSTOMER, AGENT):
        folder = f"{ORG}/{CALL}/{leg.channel}"
        segments = []
        count = hours * 360
        payload = g711.encode(speech(10 * rate, count), "pcmu")
        for number in range(count):
            start = number * 10 * rate
            segment = Segment(
                number=number,
                start_sample=start,
                end_sample=start + 10 * rate,
                samples=10 * rate,
                gaps=(),
                sha256=hashlib.sha256(payload).hexdigest(),
            )
            media.put(segment_path(folder, number), payload)
            media.put(sidecar_path(folder, number), encode_index(leg, [segment], complete=False))
            segments.append(segment)
        finish_leg(media._root / "none", folder, leg, segments, media)


def test_a_call_of_two_hours_is_never_held_whole(tmp_path, monkeypatch):
    media = open_media(str(tmp_path / "media"))
    monkeypatch.setattr("os.fsync", lambda _handle: None)
    sealed_hours(media, 2)
    reader = RecordingReader(media, ORG, CALL, ClearCipher())
    tracemalloc.start()
    try:
        copy = write_copies(reader, media, ClearCipher(), f"{ORG}/{CALL}/copy/x", (), 0, lambda: None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert copy.duration_ms == 7200 * 1000
    assert copy.original_bytes > 80_000_000
    assert peak < 20_000_000, "the samples alone are 230 MB, either file is more than 80"
