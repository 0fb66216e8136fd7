"""Recordings brought in from files: recognised, masked, recorded as calls, and worked up behind the live ones.

A call's id is made from the bytes of its file, and its events are one append, so that doing it again, after a crash or on purpose, changes
nothing: a file whose call has ended is known, everything else of it is done anew.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from copilot.assembly import engines
from copilot.domain.audio import ChannelName, LegFormat, MediaFrame
from copilot.domain.calls import IMPORTED
from copilot.domain.errors import ConfigError, Conflict, CopilotError, InvalidInput, NotFound
from copilot.domain.events import CallEnded, CallStarted, UtteranceFinal
from copilot.domain.ids import CallId, OrgId, UserId, utterance_id
from copilot.domain.transcript import TranscriptFinal
from copilot.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import numpy as np
    import numpy.typing as npt

    from copilot.domain.ports.media import MediaStore
    from copilot.store.store import Store
    from postcall.diarize.speakers import Diarizer
    from streaming.recording.recorder import Recorder

SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".opus")
_OWNER = "import"
_BLOCK_S = 10
_MOST_RATE_HZ = 48_000
Outcome = Literal["imported", "known", "failed"]
Transcribe = Callable[[Path, str], list[TranscriptFinal]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file to bring in, with what is known of its call."""

    path: Path
    language: Literal["zh", "en"] = "zh"
    agent: str = ""
    started_at: datetime | None = None
    direction: Literal["inbound", "outbound"] = "inbound"
    skill: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a file. ``speakers``: how its lines got their speakers (channels, voices, or not at all)."""

    path: Path
    outcome: Outcome
    call_id: CallId | None = None
    duration_ms: int = 0
    utterances: int = 0
    speakers: Literal["channels", "voices", "unknown", ""] = ""
    overlap_ms: int = 0
    reason: str = ""


def recordings_of(source: Path, language: Literal["zh", "en"]) -> list[Recording]:
    """The files of a directory (in order of their names, with those below), one file, or the lines of a CSV file.

    CSV: a column ``file`` (relative to the CSV), and any of ``agent started_at language direction skill``. Raises InvalidInput naming
    the line.
    """
    if source.is_dir():
        return [Recording(path=path, language=language) for path in sorted(source.rglob("*")) if path.suffix.lower() in SOUNDS]
    if source.suffix.lower() != ".csv":
        return [Recording(path=source, language=language)]
    found = []
    with source.open(encoding="utf-8-sig", newline="") as file:
        for number, line in enumerate(csv.DictReader(file), start=2):
            found.append(_from_line(source, number, line, language))
    return found


def _from_line(source: Path, number: int, line: dict[str, str], language: Literal["zh", "en"]) -> Recording:
    fields = {name: (line.get(name) or "").strip() for name in ("file", "agent", "started_at", "language", "direction", "skill")}
    where = f"Line {number} of {source.name}"
    if not fields["file"]:
        raise InvalidInput(f"{where} names no file; the CSV needs a column `file`.")
    spoken, direction = fields["language"] or language, fields["direction"] or "inbound"
    if spoken not in ("zh", "en") or direction not in ("inbound", "outbound"):
        raise InvalidInput(f"{where}: language must be zh or en, direction inbound or outbound.")
    started = None
    if fields["started_at"]:
        try:
            started = datetime.fromisoformat(fields["started_at"])
        except ValueError:
            raise InvalidInput(f"{where}: started_at must be like 2026-11-27T09:30:00+08:00.") from None
        started = started.astimezone(UTC)
    return Recording(
        path=source.parent / fields["file"],
        language=cast("Literal['zh', 'en']", spoken),
        agent=fields["agent"],
        started_at=started,
        direction=cast("Literal['inbound', 'outbound']", direction),
        skill=fields["skill"],
    )


class RecordingImport:
    """``bring_in`` one file at a time. Raises nothing for what is wrong with one file."""

    def __init__(
        self, org_id: OrgId, store: Store, media: MediaStore, recorder: Recorder, transcribe: Transcribe, diarizer: Diarizer | None
    ) -> None:
        self._org_id = org_id
        self._store = store
        self._media = media
        self._recorder = recorder
        self._transcribe = transcribe
        self._diarizer = diarizer

    async def bring_in(self, recording: Recording) -> Imported:
        """Recognition takes the most of it; a file whose call is there already is only hashed."""
        try:
            call_id = CallId(f"file-{_digest(recording.path)[:32]}")
            if self._ended(call_id):
                return Imported(path=recording.path, outcome="known", call_id=call_id)
            return await self._made(recording, call_id)
        except (CopilotError, OSError) as error:
            reason = str(error) if isinstance(error, CopilotError) else f"The file cannot be read ({error.strerror})."
            return Imported(path=recording.path, outcome="failed", reason=reason)

    def _ended(self, call_id: CallId) -> bool:
        try:
            return self._store.calls.projected(self._org_id, call_id).phase == "ended"
        except NotFound:
            return False

    async def _made(self, recording: Recording, call_id: CallId) -> Imported:
        from copilot.assembly.interrupted import mask_finals
        from copilot.privacy.masker import Masker

        rate, frames, channels = _shape(recording.path)
        legs = tuple(LegFormat(channel=channel, encoding="pcm_s16le", sample_rate_hz=rate) for channel in channels)
        finals = self._transcribe(recording.path, recording.language)
        how, overlap = "channels", 0
        if channels == ("mixed",):
            finals, how, overlap = self._spoken(recording, finals)
        masker = Masker(recording.language)
        events, secrets = mask_finals(masker, finals)
        duration_ms = frames * 1000 // rate
        agent_id = self._agent(recording.agent)
        try:
            opened = await self._store.journal.open(self._org_id, call_id, _OWNER)
        except Conflict:
            return Imported(path=recording.path, outcome="known", call_id=call_id)
        try:
            await self._record(recording.path, call_id, legs)
            if secrets:
                await self._store.journal.put_secrets(self._org_id, call_id, secrets, epoch=opened.epoch)
            started = CallStarted(
                external_id=recording.path.name,
                protocol=IMPORTED,
                legs=legs,
                language=recording.language,
                started_at=recording.started_at or datetime.fromtimestamp(recording.path.stat().st_mtime, UTC),
                agent_id=agent_id,
                direction=recording.direction,
                skill=recording.skill,
            )
            ended = CallEnded(reason="hangup", duration_ms=duration_ms)
            await self._store.journal.append(self._org_id, opened, [started, *events, ended])
        finally:
            self._store.journal.release(self._org_id, call_id)
        return Imported(
            path=recording.path,
            outcome="imported",
            call_id=call_id,
            duration_ms=duration_ms,
            utterances=sum(isinstance(event, UtteranceFinal) for event in events),
            speakers=cast("Literal['channels', 'voices', 'unknown']", how),
            overlap_ms=overlap,
        )

    def _spoken(self, recording: Recording, finals: Sequence[TranscriptFinal]) -> tuple[list[TranscriptFinal], str, int]:
        """(finals of agent and customer, how they were told apart, ms in which both speak). As they were where nothing tells."""
        if self._diarizer is None:
            return list(finals), "unknown", 0
        from postcall.diarize.speakers import lines_by_speaker, overlap_ms, roles

        spans = self._diarizer.spans(_samples(recording.path))
        lines = lines_by_speaker(finals, spans)
        names = roles(lines, recording.language)
        if not names:
            return list(finals), "unknown", overlap_ms(spans)
        counts: dict[ChannelName, int] = {}
        told = []
        for line in lines:
            channel: ChannelName = names.get(line.speaker, "mixed")
            counts[channel] = counts.get(channel, 0) + 1
            told.append(replace(line.final, channel=channel, utterance_id=utterance_id(channel, counts[channel])))
        return told, "voices", overlap_ms(spans)

    async def _record(self, path: Path, call_id: CallId, legs: tuple[LegFormat, ...]) -> None:
        """The file as the recording of the call; what an attempt that was cut off left is removed first."""
        self._media.delete(f"{self._org_id}/{call_id}")
        recording = self._recorder.open(self._org_id, call_id, legs, self._store.call_cipher(self._org_id, call_id))
        for frame in _frames(path, legs):
            await recording.write(frame)
        await recording.close()

    def _agent(self, username: str) -> UserId | None:
        """Raises InvalidInput for a name that nobody has."""
        if not username:
            return None
        user = self._store.people.user_by_name(self._org_id, username)
        if user is None:
            raise InvalidInput(f"There is no user {username}; invite the agent first, or leave the column empty.")
        return user.user_id


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shape(path: Path) -> tuple[int, int, tuple[ChannelName, ...]]:
    """(sample rate, samples, channels). Raises InvalidInput for what is no recording of one or two channels."""
    import soundfile

    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError:
        raise InvalidInput(f"{path.name} is no audio that can be read (WAV, FLAC, MP3, OGG).") from None
    if info.channels not in (1, 2) or info.samplerate > _MOST_RATE_HZ or info.frames < info.samplerate // 10:
        raise InvalidInput(f"{path.name} must have one or two channels, at most {_MOST_RATE_HZ} Hz, and some sound.")
    channels: tuple[ChannelName, ...] = ("mixed",) if info.channels == 1 else ("customer", "agent")
    return info.samplerate, info.frames, channels


def _frames(path: Path, legs: tuple[LegFormat, ...]) -> Iterator[MediaFrame]:
    import soundfile

    at = 0
    for block in soundfile.blocks(str(path), blocksize=_BLOCK_S * legs[0].sample_rate_hz, dtype="int16", always_2d=True):
        for number, leg in enumerate(legs):
            yield MediaFrame(channel=leg.channel, start_sample=at, payload=block[:, number].astype("<i2").tobytes())
        at += len(block)


def _samples(path: Path) -> npt.NDArray[np.float32]:
    """A mono file at 16 kHz, for the diarizer."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(str(path), dtype="float32")
    return cast("npt.NDArray[np.float32]", soxr.resample(samples, rate, 16_000) if rate != 16_000 else samples)


def _diarizer(speakers: Literal["auto", "voices", "none"]) -> Diarizer | None:
    try:
        return None if speakers == "none" else engines.open_diarizer()
    except ConfigError:
        if speakers == "voices":
            raise
        return None


@asynccontextmanager
async def open_import(settings: Settings, *, speakers: Literal["auto", "voices", "none"]) -> AsyncIterator[RecordingImport]:
    """For a command. ``speakers``: whether those of mono files are told apart; ``voices`` raises ConfigError when the extra is missing,
    ``auto`` goes on without."""
    from copilot.assembly.tools import batch_transcriber
    from streaming.recording.recorder import Recorder, RecorderConfig

    org_id = OrgId(settings.org)
    store, media = engines.open_store(settings), engines.open_media(settings)
    recorder = Recorder(RecorderConfig(spool_dir=settings.data_dir / "import-spool"), media)
    try:
        diarizer = _diarizer(speakers)
        store.people.ensure_org(org_id)
        await recorder.start()
        await recorder.recover(store.call_cipher)
        with batch_transcriber(settings) as transcribe:
            yield RecordingImport(org_id, store, media, recorder, transcribe, diarizer)
    finally:
        await recorder.stop()
        store.close()
