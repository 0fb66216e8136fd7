"""A call with a recording, on the real parts: store, media store, recorder, after-call job."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NoReturn

import numpy as np
import soundfile

from copilot.domain.artifacts import Artifact, ListeningCopy
from copilot.domain.audio import LegFormat, MediaFrame, MediaGap
from copilot.domain.events import CallEnded, CallEvent, CallStarted, UtteranceFinal
from copilot.domain.ids import UserId
from copilot.domain.ports.media import MediaStore
from copilot.domain.ports.store import OpenedCall
from copilot.domain.transcript import Word
from copilot.store.media import open_media
from copilot.telemetry.clock import ManualClock
from postcall.recording import CopyMaker
from postcall.services import PostcallServices
from postcall.work import work_on
from streaming.recording.listening import CopyReader, Version
from streaming.recording.recorder import Recorder, RecorderConfig
from streaming.recording.segment import BlobCipher
from streaming.telephony import g711
from tests.fakes.stores import AT, CALL, ORG, make_store, sqlite_url

CUSTOMER = LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=8000)
AGENT = LegFormat(channel="agent", encoding="pcmu", sample_rate_hz=8000)
MARK = 12_000
"""A value that speech here never has: where it is found is a moment of media time."""


def speech(samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-4000, 4000, samples).astype(np.int16)


class RecordedCall:
    """A store, a media store, recorders of several nodes and the after-call worker, all real, around one call."""

    def __init__(self, tmp_path: Path, media: MediaStore | None = None) -> None:
        self.clock = ManualClock(AT)
        self.store = make_store(sqlite_url(tmp_path), tmp_path, self.clock)
        self.media = media or open_media(str(tmp_path / "media"))
        self.directory = tmp_path

    def maker(self) -> CopyMaker:
        return CopyMaker(self.media, self.store.call_cipher, self.store.calls, self.store.outbox, self.clock)

    def work(self) -> list[str]:
        """Every job of a recording that is due, done."""

        def no_tools(_org: object) -> NoReturn:
            raise AssertionError("a recording needs no packs")

        services = PostcallServices(outbox=self.store.outbox, calls=self.store.calls, copies=self.maker(), tools=no_tools, clock=self.clock)
        jobs = [job for job in self.store.outbox.lease(self.clock.now(), 60) if job.kind == "recording"]
        return [work_on(job.job_id, services) for job in jobs]

    async def begin(self, legs: tuple[LegFormat, ...] = (CUSTOMER, AGENT), agent_id: str | None = None) -> OpenedCall:
        opened = await self.store.journal.open(ORG, CALL, "node")
        started = CallStarted(
            external_id="x", protocol="raw", legs=legs, language="zh", started_at=AT, agent_id=UserId(agent_id) if agent_id else None
        )
        await self.store.journal.append(ORG, opened, [started])
        return opened

    async def end(self, opened: OpenedCall, *finals: CallEvent) -> None:
        await self.store.journal.append(ORG, opened, [*finals, CallEnded(reason="hangup", duration_ms=60_000)])
        self.clock.advance(2)

    def node(self, name: str) -> Recorder:
        return Recorder(RecorderConfig(spool_dir=self.directory / name, segment_s=1.0), self.media)

    def cipher(self) -> BlobCipher:
        return self.store.call_cipher(ORG, CALL)

    def artifact(self) -> Artifact:
        (found,) = [artifact for artifact in self.store.calls.artifacts(ORG, CALL) if artifact.kind == "recording"]
        return found

    def copy(self) -> ListeningCopy:
        body = self.artifact().body
        assert isinstance(body, ListeningCopy)
        return body

    def heard(self, version: Version) -> np.ndarray:
        reader = CopyReader(self.media, self.cipher(), ORG, CALL, self.copy())
        data = b"".join(reader.read(version, 0, reader.size(version)))
        assert len(data) == reader.size(version)
        samples, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
        assert rate == self.copy().sample_rate_hz
        return samples

    def folders(self) -> set[str]:
        return {path.split("/")[3] for path in self.media.list(f"{ORG}/{CALL}/copy")}


async def record(
    recorder: Recorder,
    cipher: BlobCipher,
    legs: tuple[LegFormat, ...],
    frames: list[MediaFrame | MediaGap],
    *,
    part: int = 1,
    start_ms: int = 0,
) -> None:
    """What one node records of the call, to its end."""
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


def card_number(start_ms: int, end_ms: int) -> UtteranceFinal:
    """A customer's line with a card number in it, said from ``start_ms`` to ``end_ms``, as the masker leaves it."""
    return UtteranceFinal(
        utterance_id="customer-1",
        channel="customer",
        start_ms=start_ms - 700,
        end_ms=end_ms + 700,
        language="zh",
        confidence=0.9,
        text="卡号是【卡号#1】对",
        words=(
            Word(text="卡号是", start_ms=start_ms - 600, end_ms=start_ms - 100, confidence=1.0),
            Word(text="【卡号#1】", start_ms=start_ms, end_ms=end_ms, confidence=1.0),
            Word(text="对", start_ms=end_ms + 100, end_ms=end_ms + 600, confidence=1.0),
        ),
    )
