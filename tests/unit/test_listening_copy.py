"""The listening copy: one sample of the file for each sample of media time, through gaps, pauses and nodes; hidden where it must be;
written and read block by block; made once."""

from __future__ import annotations

import hashlib
import io
import tracemalloc

import numpy as np
import pytest
import soundfile

from copilot.assembly.recordings import join_again
from copilot.domain.audio import LegFormat, MediaGap
from copilot.domain.errors import EngineError, NotFound
from copilot.domain.events import ArtifactReady, UtteranceFinal
from copilot.store.media import open_media
from postcall.recording import PATIENT_ATTEMPTS
from postcall.work import MOST_ATTEMPTS, retry_wait_s
from streaming.recording.listening import CopyReader, write_copies
from streaming.recording.masking import PAD_MS
from streaming.recording.reader import RecordingReader
from streaming.recording.sealing import RecoveredLeg, finish_leg, recover
from streaming.recording.segment import ClearCipher, Segment, encode_index, segment_path, sidecar_path
from streaming.telephony import g711
from tests.fakes.recorded_call import AGENT, CUSTOMER, MARK, RecordedCall, card_number, frame, marked, record, speech
from tests.fakes.stores import CALL, ORG

pytestmark = pytest.mark.anyio


async def test_what_was_said_at_a_ms_is_at_its_sample_through_a_gap_a_pause_and_two_nodes(tmp_path):
    call = RecordedCall(tmp_path)
    opened = await call.begin()
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
    await record(call.node("a"), call.cipher(), (CUSTOMER, AGENT), first)
    await record(call.node("b"), call.cipher(), (CUSTOMER, AGENT), second, part=2, start_ms=20_000)
    await call.end(opened)
    assert call.work() == ["done"]
    copy, heard = call.copy(), call.heard("original")
    assert (copy.channels, copy.sample_rate_hz, copy.duration_ms, copy.complete) == (("customer", "agent"), 8000, 40_000, True)
    assert heard.shape == (8 * 40_000, 2)
    assert np.flatnonzero(np.abs(heard[:, 0]) > 10_000).tolist() == [8 * 2500, 8 * 10_900, 8 * 24_000, 8 * 39_999]
    assert np.flatnonzero(np.abs(heard[:, 1]) > 10_000).tolist() == [8 * 1000, 8 * 30_000]
    reader = RecordingReader(call.media, ORG, CALL, call.cipher())
    assert np.array_equal(heard[:, 0], reader.pcm16("customer")), "the same samples as the segments"
    assert not heard[8 * 3000 : 8 * 5000, 0].any()
    assert not heard[8 * 11_000 : 8 * 23_000, 0].any()
    assert not heard[8 * 38_000 :, 1].any()
    assert np.array_equal(call.heard("masked"), heard), "nothing personal was said"


async def test_legs_of_different_rates_are_brought_to_the_higher_without_a_shift(tmp_path):
    call = RecordedCall(tmp_path)
    wide = LegFormat(channel="agent", encoding="pcm_s16le", sample_rate_hz=16_000)
    opened = await call.begin((CUSTOMER, wide))
    clicks = np.zeros(8 * 25_000, np.int16)
    clicks[8 * 12_345] = MARK
    said = marked(16 * 25_000, 16 * 20_001)
    await record(call.node("a"), call.cipher(), (CUSTOMER, wide), [frame(CUSTOMER, 0, clicks), frame(wide, 0, said)])
    await call.end(opened)
    assert call.work() == ["done"]
    heard = call.heard("original")
    assert heard.shape == (16 * 25_000, 2)
    assert abs(int(np.abs(heard[:, 0]).argmax()) - 16 * 12_345) <= 1
    assert np.array_equal(heard[:, 1], said)


async def test_personal_data_is_not_in_the_masked_file_and_everything_else_is(tmp_path):
    call = RecordedCall(tmp_path)
    opened = await call.begin()
    await record(
        call.node("a"),
        call.cipher(),
        (CUSTOMER, AGENT),
        [frame(CUSTOMER, 0, speech(8 * 20_000)), frame(AGENT, 0, speech(8 * 20_000, 2))],
    )
    await call.end(opened, card_number(9600, 12_400))
    assert call.work() == ["done"]
    original, masked = call.heard("original"), call.heard("masked")
    low, high = 8 * (9600 - PAD_MS), 8 * (12_400 + PAD_MS)
    assert (np.abs(original[low:high]).max(axis=0) > 3500).all()
    assert np.abs(masked[low:high]).max() < 1000
    assert np.array_equal(masked[:low], original[:low])
    assert np.array_equal(masked[high:], original[high:])
    assert [(span.start_ms, span.end_ms) for span in call.copy().hidden] == [(9600 - PAD_MS, 12_400 + PAD_MS)]


async def test_a_number_found_later_is_hidden_in_the_next_version_and_the_old_one_is_gone(tmp_path):
    call = RecordedCall(tmp_path)
    opened = await call.begin((CUSTOMER,))
    await record(call.node("a"), call.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 9000))])
    said = UtteranceFinal(
        utterance_id="customer-1", channel="customer", start_ms=2000, end_ms=4000, language="zh", confidence=0.9, text="六二二二"
    )
    await call.end(opened, said)
    assert call.work() == ["done"]
    before, folders = call.artifact(), call.folders()
    assert np.array_equal(call.heard("masked"), call.heard("original"))
    rewritten = UtteranceFinal(
        utterance_id="customer-1", channel="customer", start_ms=2000, end_ms=4000, language="zh", confidence=0.9, text="【卡号#1】"
    )
    call.store.calls.rewrite(ORG, CALL, {2: rewritten})
    assert call.work() == ["done"]
    after = call.artifact()
    assert (before.version, after.version) == (1, 2)
    assert after.body.through_seq > before.body.through_seq
    assert np.abs(call.heard("masked")[8 * 2000 : 8 * 4000]).max() < 1000
    assert call.folders() == {after.body.folder} != folders


async def test_a_job_that_is_delivered_again_leaves_one_copy(tmp_path):
    call = RecordedCall(tmp_path)
    opened = await call.begin((CUSTOMER,))
    await record(call.node("a"), call.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 2000))])
    await call.end(opened)
    (job,) = [job for job in call.store.outbox.lease(call.clock.now(), 60) if job.kind == "recording"]
    maker, events = call.maker(), call.store.calls.events(ORG, CALL)
    # Two workers at once: both have written when the first one finishes.
    one, two = maker.make(job, events), maker.make(job, events)
    assert len(call.folders()) == 2
    assert [maker.finish(job, one), maker.finish(job, two)] == [True, False]
    assert call.folders() == {one.folder}
    assert call.copy() == one
    ready = [item for item in call.store.calls.events(ORG, CALL) if isinstance(item.event, ArtifactReady)]
    assert len(ready) == 1


async def test_an_older_job_that_ends_late_does_not_take_the_newer_copy_away(tmp_path):
    call = RecordedCall(tmp_path)
    opened = await call.begin((CUSTOMER,))
    await record(call.node("a"), call.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 2000))])
    await call.end(opened)
    (old,) = [job for job in call.store.outbox.lease(call.clock.now(), 60) if job.kind == "recording"]
    maker, events = call.maker(), call.store.calls.events(ORG, CALL)
    first = maker.make(old, events)
    call.store.calls.rewrite(ORG, CALL, {1: events[0].event})
    assert call.work() == ["done"]
    newer = call.copy()
    assert maker.finish(old, first)
    assert (call.copy(), call.folders()) == (newer, {newer.folder})


async def test_a_recording_that_is_not_sealed_is_waited_for_and_at_last_taken_as_it_is(tmp_path):
    call = RecordedCall(tmp_path)
    opened = await call.begin()
    await record(call.node("a"), call.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 2000))])
    await call.end(opened)
    tries = 1
    while call.work() == ["retry"]:
        assert call.folders() == set()
        call.clock.advance(retry_wait_s(tries, "recording"))
        tries += 1
    assert tries == PATIENT_ATTEMPTS > MOST_ATTEMPTS
    assert not call.copy().complete
    assert call.copy().duration_ms == 2000


async def test_what_a_dead_node_brings_back_is_joined_into_a_new_version(tmp_path):
    call = RecordedCall(tmp_path)
    opened = await call.begin((CUSTOMER,))
    dead = call.node("dead")
    await dead.start()
    recording = dead.open(ORG, CALL, (CUSTOMER,), call.cipher())
    await recording.write(frame(CUSTOMER, 0, speech(8 * 4500)))
    await recording.flush()
    (tmp_path / "dead").rename(tmp_path / "left behind")  # the process is gone, and with it what it had not sealed
    await record(call.node("b"), call.cipher(), (CUSTOMER,), [frame(CUSTOMER, 8 * 5000, speech(8 * 2000))], part=2, start_ms=5000)
    await call.end(opened)
    while call.work() == ["retry"]:
        call.clock.advance(300)
    assert not call.heard("original")[8 * 4000 : 8 * 4400].any(), "half a second of it was never sealed"
    recovered = recover(tmp_path / "left behind", call.media, lambda _org, _call: call.cipher())
    assert join_again(call.store, recovered) == 1
    assert call.work() == ["done"]
    assert call.artifact().version == 2
    assert np.abs(call.heard("original")[8 * 4000 : 8 * 4400]).max() > 3500
    assert join_again(call.store, []) == 0
    await dead.stop()


async def test_a_call_that_still_runs_needs_no_second_job(tmp_path):
    call = RecordedCall(tmp_path)
    await call.begin((CUSTOMER,))
    leg = RecoveredLeg(org_id=ORG, call_id=CALL, channel="customer", segments=1, duration_ms=1000)
    assert join_again(call.store, [leg]) == 0
    assert call.store.outbox.open_jobs() == []


async def test_a_media_store_that_is_away_is_asked_again_and_nothing_half_is_left(tmp_path, monkeypatch):
    call = RecordedCall(tmp_path)
    opened = await call.begin((CUSTOMER,))
    await record(call.node("a"), call.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 30_000))])
    await call.end(opened)
    put = call.media.put

    def failing(path, data):
        if path.endswith("masked/000000.blk"):
            raise EngineError("away", retryable=True)
        put(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(call.media, "put", failing)
        assert call.work() == ["retry"]
        assert call.folders() == set()
    call.clock.advance(60)
    assert call.work() == ["done"]


async def test_erasing_a_call_stops_the_job_that_joins_it(tmp_path, monkeypatch):
    call = RecordedCall(tmp_path)
    opened = await call.begin((CUSTOMER,))
    await record(call.node("a"), call.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 30_000))])
    await call.end(opened)
    (job,) = [job for job in call.store.outbox.lease(call.clock.now(), 60) if job.kind == "recording"]
    events, get = call.store.calls.events(ORG, CALL), call.media.get

    def slow(path):
        call.clock.advance(20)
        if path.endswith("000012.seg"):
            call.store.calls.erase_call(ORG, CALL, "admin")
        return get(path)

    monkeypatch.setattr(call.media, "get", slow)
    with pytest.raises(NotFound, match="not open any more"):
        call.maker().make(job, events)
    assert call.folders() == set()


async def test_a_call_without_a_sample_has_an_empty_copy(tmp_path):
    call = RecordedCall(tmp_path)
    opened = await call.begin((CUSTOMER,))
    await record(call.node("a"), call.cipher(), (CUSTOMER,), [])
    await call.end(opened)
    assert call.work() == ["done"]
    assert (call.copy().duration_ms, call.copy().masked_bytes, call.folders()) == (0, 0, set())


async def test_blocks_are_sealed_in_their_place_and_ranges_open_only_what_they_need(tmp_path, monkeypatch):
    call = RecordedCall(tmp_path)
    opened = await call.begin((CUSTOMER,))
    await record(call.node("a"), call.cipher(), (CUSTOMER,), [frame(CUSTOMER, 0, speech(8 * 12_000))])
    await call.end(opened)
    reader = RecordingReader(call.media, ORG, CALL, call.cipher())
    place = f"{ORG}/{CALL}/copy/x"
    copy = write_copies(reader, call.media, call.cipher(), place, (), 0, lambda: None, block_bytes=10_000)
    copies = CopyReader(call.media, call.cipher(), ORG, CALL, copy)
    whole = b"".join(copies.read("original", 0, copy.original_bytes))
    assert len(whole) == copy.original_bytes > 50_000
    assert soundfile.info(io.BytesIO(whole)).frames == 8 * 12_000
    paths = sorted(call.media.list(f"{place}/original"))
    assert len(paths) == -(-len(whole) // 10_000)
    assert not any(b"fLaC" in call.media.get(path) for path in paths)
    opens = []
    get = call.media.get
    monkeypatch.setattr(call.media, "get", lambda path: opens.append(path) or get(path))
    for start, end in [(0, 1), (9999, 10_001), (10_000, 20_000), (len(whole) - 5, len(whole) + 99), (25_000, 25_000)]:
        opens.clear()
        assert b"".join(copies.read("original", start, end)) == whole[start:end]
        assert len(opens) <= 2
    call.media.put(paths[1], get(paths[2]))
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
