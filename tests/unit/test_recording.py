"""Recording: what came is what is read, through gaps, ten-second segments, crashes, full disks and refusing stores."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
import soundfile

from copilot.domain.audio import LegFormat, MediaFrame, MediaGap
from copilot.domain.errors import ConfigError, Conflict, EngineError, InvalidInput, NotFound
from copilot.store.media import open_media
from streaming.recording.reader import RecordingReader, read_leg
from streaming.recording.recorder import Recorder, RecorderConfig
from streaming.recording.sealing import recover
from streaming.recording.segment import ClearCipher
from streaming.recording.spool import LegSpool
from streaming.telephony import g711

pytestmark = pytest.mark.anyio

CUSTOMER = LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=8000)
AGENT = LegFormat(channel="agent", encoding="pcm_s16le", sample_rate_hz=16000)


@pytest.fixture
def anyio_backend():
    return "asyncio"


class XorCipher:
    """Stands in for the call's key: what is on disk is not what was said, and a changed blob is refused."""

    def seal(self, data, place=b""):
        return b"sealed:" + place + b":" + bytes(b ^ 0x5A for b in data)

    def open(self, data, place=b""):
        head = b"sealed:" + place + b":"
        if not data.startswith(head):
            raise EngineError("not sealed with this key for this place")
        return bytes(b ^ 0x5A for b in data[len(head) :])


@pytest.fixture
def media(tmp_path):
    return open_media(str(tmp_path / "media"))


@pytest.fixture
async def recorder(tmp_path, media):
    recorder = Recorder(RecorderConfig(spool_dir=tmp_path / "spool", flush_s=0.05, segment_s=1.0, retry_s=0.01), media)
    await recorder.start()
    yield recorder
    await recorder.stop()


def speech(samples, seed=1):
    return np.random.default_rng(seed).integers(-9000, 9000, samples).astype(np.int16)


async def send(recording, leg, payload, start=0, step=160):
    width = leg.bytes_per_sample
    for at in range(0, len(payload), step * width):
        frame = MediaFrame(channel=leg.channel, start_sample=start + at // width, payload=payload[at : at + step * width])
        await recording.write(frame)


async def test_both_legs_come_back_sample_by_sample(recorder, media, tmp_path):
    customer, agent = g711.encode(speech(28_000), "pcmu"), speech(40_000, seed=2)
    recording = recorder.open("org", "call-1", (CUSTOMER, AGENT), XorCipher())
    await send(recording, CUSTOMER, customer)
    await send(recording, AGENT, agent.tobytes(), step=333)
    await recording.close()
    leg, heard = read_leg(media, "org", "call-1", "customer", XorCipher())
    assert leg.leg == CUSTOMER
    assert leg.complete
    assert leg.duration_ms == 3500
    assert [s.samples for s in leg.segments] == [8000, 8000, 8000, 4000]
    assert heard.tolist() == g711.decode(customer, "pcmu").tolist()
    assert read_leg(media, "org", "call-1", "agent", XorCipher())[1].tolist() == agent.tolist()
    assert sorted(leg.leg.channel for leg in RecordingReader(media, "org", "call-1", XorCipher()).legs()) == ["agent", "customer"]
    assert list((tmp_path / "spool").rglob("*.spool")) == []
    assert all(customer[:100] not in media.get(path) for path in media.list("org"))


async def test_gaps_are_silence_in_their_place(recorder, media):
    tone = g711.encode(np.full(800, 8000, np.int16), "pcmu")
    level = int(g711.decode(tone[:1], "pcmu")[0])
    recording = recorder.open("org", "call-1", (CUSTOMER,), ClearCipher())
    await send(recording, CUSTOMER, tone)
    await recording.gap(MediaGap(channel="customer", start_sample=800, samples=8000 * 600, reason="paused"))
    await send(recording, CUSTOMER, tone, start=800 + 4_800_000)
    await send(recording, CUSTOMER, tone, start=4_801_600 + 400)  # a jump nobody announced
    await recording.close()
    leg, heard = read_leg(media, "org", "call-1", "customer", ClearCipher())
    assert [(g.start_sample, g.samples, g.reason) for g in leg.gaps] == [
        (800, 4_800_000, "paused"),
        (4_801_600, 400, "silence_suppressed"),
    ]
    assert leg.samples == 4_802_800
    assert np.flatnonzero(heard).tolist() == [*range(800), *range(4_800_800, 4_801_600), *range(4_802_000, 4_802_800)]
    assert set(heard[:800].tolist()) == {level}


async def test_ranges_wav_and_peaks(recorder, media):
    samples = speech(24_000)
    samples[20_000] = -32_768
    leg = LegFormat(channel="agent", encoding="pcm_s16le", sample_rate_hz=8000)
    recording = recorder.open("org", "call-1", (leg,), XorCipher())
    await send(recording, leg, samples[:12_000].tobytes())
    await send(recording, leg, samples[16_000:].tobytes(), start=16_000)
    await recording.close()
    samples[12_000:16_000] = 0
    reader = RecordingReader(media, "org", "call-1", XorCipher())
    assert reader.pcm16("agent", 11_990, 16_010).tolist() == samples[11_990:16_010].tolist()
    assert reader.pcm16("agent", 23_000, 99_000).tolist() == samples[23_000:].tolist()
    heard, rate = soundfile.read(io.BytesIO(reader.wav("agent", 1000, 2500)), dtype="int16")
    assert rate == 8000
    assert heard.tolist() == samples[8000:20_000].tolist()
    whole = reader.wav("agent")
    assert len(whole) == reader.wav_size("agent")
    for start, end in [(0, 10), (0, 44), (43, 47), (44, 46), (45, 46), (15_999, 16_050), (48_000, 60_000), (0, 99_999), (50, 50)]:
        assert reader.wav_bytes("agent", start, end) == whole[start:end], (start, end)
    peaks = reader.peaks("agent", 6)
    assert len(peaks) == 6
    assert peaks[3] == 0.0
    assert peaks[5] == 1.0
    assert peaks[0] == round(int(abs(samples[:4000].astype(int)).max()) / 32768, 3)
    assert len(reader.peaks("agent", 10_000)) == 10_000
    with pytest.raises(InvalidInput):
        reader.peaks("agent", 0)
    with pytest.raises(NotFound):
        reader.pcm16("customer")


async def test_a_range_between_two_gaps_of_one_segment(recorder, media):
    samples = speech(4_000)
    leg = LegFormat(channel="agent", encoding="pcm_s16le", sample_rate_hz=8000)
    recording = recorder.open("org", "call-1", (leg,), XorCipher())
    for at in (0, 2_000, 3_000):
        await send(recording, leg, samples[at : at + 500].tobytes(), start=at)
    await recording.close()
    whole = np.zeros(3_500, np.int16)
    for at in (0, 2_000, 3_000):
        whole[at : at + 500] = samples[at : at + 500]
    reader = RecordingReader(media, "org", "call-1", XorCipher())
    for start in range(0, 3_500, 250):
        for end in range(start, 3_500, 250):
            assert np.array_equal(reader.pcm16("agent", start, end), whole[start:end]), (start, end)


async def test_what_was_said_a_second_ago_survives_a_crash(recorder, media, tmp_path):
    audio = g711.encode(speech(12_000), "pcmu")
    recording = recorder.open("org", "call-1", (CUSTOMER,), XorCipher())
    await send(recording, CUSTOMER, audio)
    await recording.flush()
    # The process dies here: its spool is all there is. Its last record may be torn.
    crashed = tmp_path / "crashed"
    (tmp_path / "spool").rename(crashed)
    (tmp_path / "spool").mkdir()
    open_spool = max((crashed / "org" / "call-1" / "customer").glob("*.spool"))
    assert b"sealed:" in open_spool.read_bytes()
    with open_spool.open("ab") as file:
        file.write((5000).to_bytes(4, "big") + b"half a rec")
    (leg,) = recover(crashed, media, lambda org, call: XorCipher())
    assert (leg.org_id, leg.call_id, leg.channel, leg.segments, leg.duration_ms) == ("org", "call-1", "customer", 2, 1500)
    recovered, heard = read_leg(media, "org", "call-1", "customer", XorCipher())
    assert recovered.complete
    assert heard.tolist() == g711.decode(audio, "pcmu").tolist()
    assert list(crashed.rglob("*.spool")) == []
    assert recover(crashed, media, lambda org, call: XorCipher()) == []


async def test_samples_reach_the_disk_without_being_asked(recorder, tmp_path):
    recording = recorder.open("org", "call-1", (CUSTOMER,), ClearCipher())
    await send(recording, CUSTOMER, b"\x10" * 160)
    written = threading.Event()

    def look():
        while not written.is_set():
            if any(path.stat().st_size for path in (tmp_path / "spool").rglob("*.spool")):
                written.set()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    import anyio

    with anyio.fail_after(30):
        await anyio.to_thread.run_sync(written.wait)
    await recording.close()


async def test_one_leg_that_cannot_be_recovered_does_not_stop_the_rest(tmp_path, media):
    for call in ("call-1", "call-2"):
        spool = LegSpool(
            tmp_path / "spool" / "org" / call / "customer", f"org/{call}/customer", CUSTOMER, XorCipher(), segment_s=1, keep_s=1
        )
        spool.add_audio(0, b"\x01" * 100)
        spool.flush()
    (damaged,) = (tmp_path / "spool" / "org" / "call-1" / "customer").glob("*.spool")
    damaged.write_bytes((10).to_bytes(4, "big") + b"0123456789")
    (leg,) = recover(tmp_path / "spool", media, lambda org, call: XorCipher())
    assert leg.call_id == "call-2"
    assert damaged.exists()


async def test_an_erased_call_is_not_recovered(tmp_path, media):
    directory = tmp_path / "spool" / "org" / "call-1" / "customer"
    spool = LegSpool(directory, "org/call-1/customer", CUSTOMER, XorCipher(), segment_s=1, keep_s=1)
    spool.add_audio(0, b"\x01" * 100)
    spool.flush()

    def gone(_org, _call):
        raise NotFound("The key of this call is gone.")

    assert recover(tmp_path / "spool", media, gone) == []
    assert not directory.exists()
    assert list(media.list("org")) == []


async def test_a_refusing_store_is_tried_again(tmp_path, media):
    class Sulking:
        refusals = 2

        def __getattr__(self, name):
            return getattr(media, name)

        def put(self, path, data):
            if path.endswith(".seg") and self.refusals:
                self.refusals -= 1
                raise EngineError("The store is away.", retryable=True)
            media.put(path, data)

    recorder = Recorder(RecorderConfig(spool_dir=tmp_path / "spool", segment_s=1.0, retry_s=0.01), Sulking())
    await recorder.start()
    recording = recorder.open("org", "call-1", (CUSTOMER,), ClearCipher())
    audio = g711.encode(speech(20_000), "pcmu")
    await send(recording, CUSTOMER, audio)
    await recording.close()
    await recorder.stop()
    leg, heard = read_leg(media, "org", "call-1", "customer", ClearCipher())
    assert heard.tolist() == g711.decode(audio, "pcmu").tolist()
    assert leg.complete


async def test_a_full_disk_is_said_and_nothing_is_lost_when_it_comes_back(tmp_path, media, monkeypatch):
    states = []
    recorder = Recorder(RecorderConfig(spool_dir=tmp_path / "spool", flush_s=0.01, segment_s=1.0), media)
    await recorder.start()
    recording = recorder.open("org", "call-1", (CUSTOMER,), ClearCipher(), lambda state, reason: states.append(state))
    audio = g711.encode(speech(20_000), "pcmu")
    broken = threading.Event()
    flush = LegSpool.flush

    def failing(self):
        if broken.is_set():
            raise OSError(28, "No space left on device")
        flush(self)

    monkeypatch.setattr(LegSpool, "flush", failing)
    await send(recording, CUSTOMER, audio[:4000])
    await recording.flush()
    broken.set()
    await send(recording, CUSTOMER, audio[4000:16_000], start=4000)
    await recording.flush()
    broken.clear()
    await send(recording, CUSTOMER, audio[16_000:], start=16_000)
    await recording.close()
    await recorder.stop()
    assert states == ["down", "up"]
    assert read_leg(media, "org", "call-1", "customer", ClearCipher())[1].tolist() == g711.decode(audio, "pcmu").tolist()


def test_a_write_that_failed_half_way_is_written_over(tmp_path, media):
    spool = LegSpool(tmp_path / "org" / "c" / "customer", "org/c/customer", CUSTOMER, ClearCipher(), segment_s=10, keep_s=1)
    spool.add_audio(0, b"\x01" * 100)
    spool.flush()
    spool._file.write(b"half of a rec")  # what a full disk leaves
    spool.add_audio(100, b"\x02" * 50)
    spool.flush()
    spool.close()
    recover(tmp_path, media, lambda org, call: ClearCipher())
    assert media.get("org/c/customer/000000.seg") == b"\x01" * 100 + b"\x02" * 50


def test_memory_is_bounded_when_the_disk_never_comes_back(tmp_path):
    spool = LegSpool(tmp_path / "x", "x", CUSTOMER, ClearCipher(), segment_s=10, keep_s=1)
    for n in range(100):
        spool.add_audio(n * 160, b"\x01" * 160)
        spool.give_up_oldest()
    assert len(spool._payload) <= 8160
    assert spool.end_sample == 16_000


async def test_repeated_samples_are_recorded_once(recorder, media):
    recording = recorder.open("org", "call-1", (CUSTOMER,), ClearCipher())
    await send(recording, CUSTOMER, b"\x01" * 100)
    await send(recording, CUSTOMER, b"\x02" * 100, start=50)
    await recording.gap(MediaGap(channel="customer", start_sample=100, samples=100, reason="lost"))
    await recording.close()
    assert media.get("org/call-1/customer/000000.seg") == b"\x01" * 100 + b"\x02" * 50
    assert RecordingReader(media, "org", "call-1", ClearCipher()).leg("customer").samples == 200


async def test_damage_is_refused(recorder, media):
    recording = recorder.open("org", "call-1", (CUSTOMER,), ClearCipher())
    await send(recording, CUSTOMER, b"\x01" * 100)
    await recording.close()
    media.put("org/call-1/customer/000000.seg", b"\x03" * 100)
    with pytest.raises(EngineError, match="damaged"):
        read_leg(media, "org", "call-1", "customer", ClearCipher())


async def test_a_leg_of_which_nothing_came_is_empty(recorder, media):
    recording = recorder.open("org", "call-1", (CUSTOMER,), ClearCipher())
    await recording.close()
    leg, heard = read_leg(media, "org", "call-1", "customer", ClearCipher())
    assert leg.duration_ms == 0
    assert len(heard) == 0
    assert RecordingReader(media, "org", "call-1", ClearCipher()).peaks("customer", 3) == [0.0, 0.0, 0.0]


async def test_one_call_is_recorded_once_and_one_process_owns_the_spool(recorder, media, tmp_path):
    recorder.open("org", "call-1", (CUSTOMER,), ClearCipher())
    with pytest.raises(Conflict):
        recorder.open("org", "call-1", (CUSTOMER,), ClearCipher())
    with pytest.raises(ValueError):
        recorder.open("org", "../call", (CUSTOMER,), ClearCipher())
    with pytest.raises(ConfigError, match="Another process"):
        await Recorder(RecorderConfig(spool_dir=tmp_path / "spool"), media).start()


# ---------------------------------------------------------------------- a call that went on elsewhere


async def test_the_parts_of_two_nodes_are_one_recording(tmp_path, media):
    nodes = []
    for name in ("a", "b"):
        nodes.append(Recorder(RecorderConfig(spool_dir=tmp_path / name, segment_s=1.0), media))
        await nodes[-1].start()
    audio = speech(16_000 * 5)
    first = nodes[0].open("org", "call-1", (AGENT,), XorCipher())
    await first.write(MediaFrame(channel="agent", start_sample=0, payload=audio[:40_000].tobytes()))
    # The second node knows of two seconds and gets its peer's word for the rest: half a second is repeated, half a second is lost.
    second = nodes[1].open("org", "call-1", (AGENT,), XorCipher(), part=2, start_ms=2000)
    await second.write(MediaFrame(channel="agent", start_sample=32_000, payload=audio[32_000:56_000].tobytes()))
    await second.gap(MediaGap(channel="agent", start_sample=56_000, samples=8_000, reason="reconnect"))
    await second.write(MediaFrame(channel="agent", start_sample=64_000, payload=audio[64_000:].tobytes()))
    await second.close()
    await first.close()
    for node in nodes:
        await node.stop()
    reader = RecordingReader(media, "org", "call-1", XorCipher())
    leg, samples = reader.leg("agent"), reader.pcm16("agent")
    whole = audio.copy()
    whole[56_000:64_000] = 0
    assert np.array_equal(samples, whole)
    assert leg.complete
    assert [(gap.start_sample, gap.samples, gap.reason) for gap in leg.gaps] == [(56_000, 8_000, "reconnect")]
    assert reader.wav_size("agent") == 44 + 2 * len(audio)


async def test_a_part_that_another_node_filled_is_no_gap(tmp_path, media):
    audio = speech(48_000)
    for name, part, start, low in (("a", 1, 0, 0), ("b", 2, 1000, 32_000)):
        recorder = Recorder(RecorderConfig(spool_dir=tmp_path / name), media)
        await recorder.start()
        recording = recorder.open("org", "call-1", (AGENT,), ClearCipher(), part=part, start_ms=start)
        if part == 2:
            await recording.gap(MediaGap(channel="agent", start_sample=16_000, samples=16_000, reason="reconnect"))
        high = 32_000 if part == 1 else 48_000
        await recording.write(MediaFrame(channel="agent", start_sample=low, payload=audio[low:high].tobytes()))
        await recording.close()
        await recorder.stop()
    leg, samples = read_leg(media, "org", "call-1", "agent", ClearCipher())
    assert np.array_equal(samples, audio)
    assert leg.gaps == ()


async def test_a_later_part_is_recovered_beside_the_first(tmp_path, media):
    recorder = Recorder(RecorderConfig(spool_dir=tmp_path / "spool"), media)
    await recorder.start()
    audio = speech(16_000)
    for part, start in ((1, 0), (3, 500)):
        recorder._open.clear()
        recording = recorder.open("org", "call-1", (AGENT,), ClearCipher(), part=part, start_ms=start)
        low = start * 16
        await recording.write(MediaFrame(channel="agent", start_sample=low, payload=audio[low : low + 8000].tobytes()))
        await recording.flush()
    recorder._lock.release()
    assert [leg.duration_ms for leg in recover(tmp_path / "spool", media, lambda _org, _call: ClearCipher())] == [500, 1000]
    assert np.array_equal(read_leg(media, "org", "call-1", "agent", ClearCipher())[1], audio)
