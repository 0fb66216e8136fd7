"""Recordings brought in: one call a content, whole or not at all, behind live calls; what is wrong with one file is said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from copilot.assembly.recording_import import Recording, RecordingImport, recordings_of
from copilot.domain.errors import EngineError, InvalidInput
from copilot.domain.events import CallEnded, CallStarted, UtteranceFinal
from copilot.domain.transcript import TranscriptFinal, Word
from copilot.store.media import open_media
from copilot.telemetry.clock import ManualClock
from postcall.diarize.speakers import SpeakerSpan
from streaming.recording.reader import RecordingReader
from streaming.recording.recorder import Recorder, RecorderConfig
from tests.fakes.stores import AT, ORG, make_store, scope, sqlite_url

pytestmark = pytest.mark.anyio
RATE = 8000


def final(channel: str, number: int, start_ms: int, text: str, step_ms: int = 200) -> TranscriptFinal:
    words = tuple(
        Word(text=char, start_ms=start_ms + at * step_ms, end_ms=start_ms + (at + 1) * step_ms, confidence=0.9)
        for at, char in enumerate(text)
    )
    end_ms = words[-1].end_ms
    about = {"channel": channel, "utterance_id": f"{channel}-{number}", "start_ms": start_ms, "end_ms": end_ms}
    return TranscriptFinal(**about, text=text, words=words, language="zh", confidence=0.9)  # type: ignore[arg-type]


class Desk:
    """An import over a real store and recorder; recognition answers as told."""

    def __init__(self, tmp_path: Path, finals: list[TranscriptFinal], spans: list[SpeakerSpan] | None = None) -> None:
        self.clock = ManualClock(AT)
        self.store = make_store(sqlite_url(tmp_path), tmp_path, self.clock)
        self.store.people.ensure_org(ORG)
        self.store.people.create_user(ORG, "lin", "林晓", ["agent"], user_id="u1")
        self.media = open_media(f"file://{tmp_path / 'media'}")
        self.recorder = Recorder(RecorderConfig(spool_dir=tmp_path / "spool", segment_s=1.0), self.media)
        self.heard = 0
        self.fault: Exception | None = None
        self._finals, self._spans = finals, spans
        self.desk = RecordingImport(ORG, self.store, self.media, self.recorder, self._transcribe, self if spans is not None else None)

    def _transcribe(self, _path: Path, _language: str) -> list[TranscriptFinal]:
        self.heard += 1
        if self.fault is not None:
            raise self.fault
        return self._finals

    def spans(self, _samples: object, _speakers: int | None = 2) -> list[SpeakerSpan]:
        return self._spans or []

    def finals(self, call_id: str) -> list[UtteranceFinal]:
        return [item.event for item in self.store.calls.events(ORG, call_id) if isinstance(item.event, UtteranceFinal)]


def sound(path: Path, channels: int, seconds: float = 3.0, seed: int = 1) -> Path:
    samples = (np.random.default_rng(seed).standard_normal((int(RATE * seconds), channels)) * 3000).astype(np.int16)
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return path


STEREO = [final("customer", 1, 200, "我的卡丢了号码六二二二零二一二三四五六七八九零"), final("agent", 1, 5000, "帮您挂失")]


async def test_a_stereo_file_becomes_one_call_with_its_recording_and_its_jobs_wait_behind(tmp_path: Path) -> None:
    desk = Desk(tmp_path, STEREO)
    await desk.recorder.start()
    path = sound(tmp_path / "a.wav", 2)
    when = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
    done = await desk.desk.bring_in(Recording(path=path, agent="lin", started_at=when, skill="cards"))
    assert (done.outcome, done.utterances, done.speakers, done.duration_ms) == ("imported", 2, "channels", 3000)
    call = desk.store.calls.call(scope("u1", "agent"), done.call_id)
    assert (call.phase, call.protocol, call.started_at, call.skill, call.duration_ms) == ("ended", "import", when, "cards", 5800)
    said = desk.finals(done.call_id)
    assert "六二二二" not in said[0].text, "personal data is masked before it is stored"
    assert "【" in said[0].text
    reader = RecordingReader(desk.media, ORG, done.call_id, desk.store.call_cipher(ORG, done.call_id))
    assert [(leg.leg.channel, leg.complete) for leg in reader.legs()] == [("customer", True), ("agent", True)]
    original, _ = soundfile.read(path, dtype="int16", always_2d=True)
    np.testing.assert_array_equal(reader.pcm16("agent", 0, 3 * RATE), original[:, 1])
    desk.clock.advance(3)
    assert all(job.background for job in desk.store.outbox.lease(desk.clock.now(), 60))
    await desk.recorder.stop()


async def test_the_same_bytes_again_change_nothing_whatever_the_file_is_called(tmp_path: Path) -> None:
    desk = Desk(tmp_path, STEREO)
    await desk.recorder.start()
    first = await desk.desk.bring_in(Recording(path=sound(tmp_path / "a.wav", 2)))
    (tmp_path / "copy.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    before = desk.store.calls.events(ORG, first.call_id)
    again = await desk.desk.bring_in(Recording(path=tmp_path / "copy.wav"))
    assert (again.outcome, again.call_id, desk.heard) == ("known", first.call_id, 1)
    assert desk.store.calls.events(ORG, first.call_id) == before
    other = await desk.desk.bring_in(Recording(path=sound(tmp_path / "b.wav", 2, seed=2)))
    assert other.outcome == "imported"
    assert other.call_id != first.call_id
    await desk.recorder.stop()


async def test_a_file_that_was_cut_off_is_done_anew_and_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, STEREO)
    await desk.recorder.start()
    path = sound(tmp_path / "a.wav", 2)
    append = desk.store.journal.append

    async def killed(*_arguments: object) -> object:
        raise EngineError("killed")

    desk.store.journal.append = killed  # type: ignore[method-assign]
    assert (await desk.desk.bring_in(Recording(path=path))).outcome == "failed"
    desk.store.journal.append = append  # type: ignore[method-assign]
    done = await desk.desk.bring_in(Recording(path=path))
    assert done.outcome == "imported"
    types = [type(item.event) for item in desk.store.calls.events(ORG, done.call_id)]
    assert types == [CallStarted, UtteranceFinal, UtteranceFinal, CallEnded]
    reader = RecordingReader(desk.media, ORG, done.call_id, desk.store.call_cipher(ORG, done.call_id))
    assert [leg.samples for leg in reader.legs()] == [3 * RATE] * 2, "the recording is there once"
    await desk.recorder.stop()


async def test_what_is_wrong_with_a_file_is_said_and_nothing_of_it_stays(tmp_path: Path) -> None:
    desk = Desk(tmp_path, STEREO)
    await desk.recorder.start()
    (tmp_path / "text.wav").write_text("no sound")
    for path in (tmp_path / "text.wav", tmp_path / "missing.wav", sound(tmp_path / "three.wav", 3)):
        done = await desk.desk.bring_in(Recording(path=path))
        assert (done.outcome, bool(done.reason)) == ("failed", True)
    assert (await desk.desk.bring_in(Recording(path=sound(tmp_path / "a.wav", 2), agent="nobody"))).outcome == "failed"
    desk.fault = EngineError("out of memory")
    assert (await desk.desk.bring_in(Recording(path=tmp_path / "a.wav"))).reason == "out of memory"
    assert desk.store.outbox.open_jobs() == []
    await desk.recorder.stop()


MIXED = [final("mixed", 1, 0, "请问有什么可以帮您我的卡丢了"), final("mixed", 2, 4000, "我帮您挂失请稍等")]


async def test_voices_tell_agent_and_customer_of_one_channel_apart(tmp_path: Path) -> None:
    spans = [
        SpeakerSpan(start_ms=0, end_ms=1850, speaker="B"),
        SpeakerSpan(start_ms=1750, end_ms=3000, speaker="A"),
        SpeakerSpan(start_ms=4000, end_ms=6000, speaker="B"),
    ]
    desk = Desk(tmp_path, MIXED, spans)
    await desk.recorder.start()
    done = await desk.desk.bring_in(Recording(path=sound(tmp_path / "m.wav", 1)))
    assert (done.speakers, done.overlap_ms) == ("voices", 100)
    assert [(item.channel, item.utterance_id, item.text) for item in desk.finals(done.call_id)] == [
        ("agent", "agent-1", "请问有什么可以帮您"),
        ("customer", "customer-1", "我的卡丢了"),
        ("agent", "agent-2", "我帮您挂失请稍等"),
    ]
    await desk.recorder.stop()


async def test_without_voices_a_mono_call_stays_one_channel_and_says_so(tmp_path: Path) -> None:
    desk = Desk(tmp_path, MIXED)
    await desk.recorder.start()
    done = await desk.desk.bring_in(Recording(path=sound(tmp_path / "m.wav", 1)))
    assert done.speakers == "unknown"
    assert {item.channel for item in desk.finals(done.call_id)} == {"mixed"}
    await desk.recorder.stop()


def test_a_csv_names_files_agents_and_times(tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text(
        "file,agent,started_at,language,direction\na.wav,lin,2026-01-02T03:04:05+08:00,en,outbound\nb.wav,,,,\n", encoding="utf-8"
    )
    first, second = recordings_of(tmp_path / "calls.csv", "zh")
    assert (first.path, first.agent, first.language, first.direction) == (tmp_path / "a.wav", "lin", "en", "outbound")
    assert first.started_at == datetime(2026, 1, 1, 19, 4, 5, tzinfo=UTC)
    assert (second.language, second.started_at) == ("zh", None)
    for bad in ("file\n\n,\n", "file,language\na.wav,fr\n", "file,started_at\na.wav,yesterday\n"):
        (tmp_path / "bad.csv").write_text(bad, encoding="utf-8")
        with pytest.raises(InvalidInput, match="Line"):
            recordings_of(tmp_path / "bad.csv", "zh")
    sound(tmp_path / "z.wav", 1)
    assert [item.path.name for item in recordings_of(tmp_path, "zh")] == ["z.wav"]
