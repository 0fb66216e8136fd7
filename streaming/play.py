"""Any recording as a live call: a telephony peer that sends a file, paced on an absolute clock."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from copilot.domain.audio import Encoding
from copilot.domain.errors import (
    ConfigError,
    Conflict,
    CopilotError,
    EngineError,
    Forbidden,
    InvalidInput,
    NotFound,
    Overloaded,
    RemoteProtocolError,
    Unauthenticated,
)
from streaming.telephony import g711

PlayProtocol = Literal["raw", "twilio"]
FRAME_MS: Final = 20
_CHANNELS: Final = ("customer", "agent")
_TRACKS: Final = ("inbound", "outbound")
_WIRE_OF_FILE: Final[Mapping[str, Encoding]] = {"ULAW": "pcmu", "ALAW": "pcma"}
_ERROR_OF_STATUS: Final[Mapping[int, type[CopilotError]]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    503: Overloaded,
}
_ERROR_OF_CLOSE: Final[Mapping[int, type[CopilotError]]] = {1013: Overloaded, 4404: NotFound, 4409: Conflict}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayResult:
    """How it went. ``duration_ms`` of audio was sent; ``late_ms`` is the worst delay of a frame against its due time."""

    duration_ms: int
    late_ms: float
    events: int
    close_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Samples [n, channels] at 8 or 16 kHz and the codec they go out in."""

    samples: NDArray[np.int16]
    rate_hz: int
    encoding: Encoding

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])


def load_recording(file: Path, protocol: PlayProtocol) -> Recording:
    """Reads any file that libsndfile reads. Twilio gets 8 kHz μ-law; raw keeps 8 and 16 kHz and G.711, and resamples the rest to 16 kHz.

    Raises InvalidInput for what is no audio or has more than two channels.
    """
    try:
        info = soundfile.info(str(file))
        samples, rate = soundfile.read(str(file), dtype="int16", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InvalidInput(f"{file} cannot be read as audio: give a WAV, FLAC or other sound file.") from error
    if samples.shape[1] > 2 or not len(samples):
        raise InvalidInput(f"{file} must have some audio in one or two channels (customer, agent).")
    wanted = 8_000 if protocol == "twilio" else rate if rate in (8_000, 16_000) else 16_000
    if rate != wanted:
        samples = soxr.resample(samples, rate, wanted)
    encoding: Encoding = "pcmu" if protocol == "twilio" else _WIRE_OF_FILE.get(info.subtype, "pcm_s16le")
    return Recording(samples=np.ascontiguousarray(samples, dtype=np.int16), rate_hz=wanted, encoding=encoding)


async def play(
    file: Path | str,
    *,
    protocol: str,
    url: str,
    key: str,
    call_id: str,
    metadata: Mapping[str, str] | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    speed: float = 1.0,
    language: str = "zh",
) -> PlayResult:
    """Sends ``file`` as a call and waits until the server has closed it. Frames are due at start + n · 20 ms / ``speed``, late or not.

    ``on_event`` gets ``{"type": "playing"}`` as the first frame goes out, then what the server says (raw only: transcripts, ``stopped``).
    Raises InvalidInput, ConfigError (protocol, url), EngineError (no connection), and for refusals Unauthenticated, Forbidden, NotFound,
    Conflict, Overloaded or RemoteProtocolError with the server's sentence.
    """
    if protocol not in ("raw", "twilio"):
        raise ConfigError(f"Unknown protocol {protocol!r}: use raw or twilio.")
    recording = await asyncio.to_thread(load_recording, Path(file), cast("PlayProtocol", protocol))
    tell = on_event or (lambda _event: None)
    sender = _Twilio if protocol == "twilio" else _Raw
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with connect(
            url, additional_headers=headers, compression=None, proxy=None, open_timeout=20, user_agent_header=None
        ) as websocket:
            return await _converse(websocket, recording, sender(recording, call_id, dict(metadata or {}), language), tell, speed)
    except InvalidStatus as refused:
        status = refused.response.status_code
        body = (refused.response.body or b"").decode(errors="replace").strip()
        raise _ERROR_OF_STATUS.get(status, RemoteProtocolError)(body or f"The server answered with HTTP status {status}.") from None
    except InvalidURI as error:
        raise ConfigError(f"{url} is not a websocket address: it must begin with ws:// or wss://.") from error
    except (OSError, InvalidHandshake, TimeoutError) as error:
        raise EngineError(f"{url} cannot be reached ({type(error).__name__}): is the server running?", retryable=True) from error


async def _converse(
    websocket: ClientConnection, recording: Recording, sender: _Raw | _Twilio, tell: Callable[[dict[str, Any]], None], speed: float
) -> PlayResult:
    events = 0
    ready = asyncio.Event()

    async def listen() -> None:
        nonlocal events
        async for message in websocket:
            event = json.loads(message)
            events += 1
            if event.get("type") == "started":
                ready.set()
            tell(event)

    listening = asyncio.create_task(listen(), name="play-listen")
    late = 0.0
    loop = asyncio.get_running_loop()
    try:
        for message in sender.opening():
            await websocket.send(message)
        if sender.answers:
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait({waiting, listening}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        tell({"type": "playing"})
        began = loop.time()
        for number, messages in enumerate(sender.frames()):
            due = began + number * FRAME_MS / 1000 / speed
            wait = due - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            late = max(late, loop.time() - due)
            for piece in messages:
                await websocket.send(piece)
        for message in sender.closing():
            await websocket.send(message)
        await asyncio.wait({listening}, timeout=120)
    except ConnectionClosed:
        pass  # the close frame, looked at below, says why
    finally:
        await websocket.close()
        (fault,) = await asyncio.gather(listening, return_exceptions=True)
    if isinstance(fault, Exception) and not isinstance(fault, ConnectionClosed):
        raise fault  # of on_event, or an answer that is no JSON
    code, reason = websocket.close_code or 1006, websocket.close_reason or ""
    if code != 1000:
        sentence = reason or f"The server broke the connection off (close code {code})."
        if code in _ERROR_OF_CLOSE:
            raise _ERROR_OF_CLOSE[code](sentence)
        raise RemoteProtocolError(sentence, code=code)
    duration_ms = len(recording.samples) * 1000 // recording.rate_hz
    return PlayResult(duration_ms=duration_ms, late_ms=late * 1000, events=events, close_code=code)


class _Raw:
    """Speaks our own protocol (docs/reference/raw-protocol.md)."""

    answers = True

    def __init__(self, recording: Recording, call_id: str, metadata: dict[str, str], language: str) -> None:
        self._recording = recording
        self._start = {
            "type": "start",
            "call_id": call_id,
            "channels": list(_CHANNELS[: recording.channels]),
            "encoding": recording.encoding,
            "sample_rate": recording.rate_hz,
            "language": language,
            "metadata": metadata,
            "events": True,
        }

    def opening(self) -> Iterator[str]:
        yield json.dumps(self._start)

    def frames(self) -> Iterator[list[str | bytes]]:
        step = self._recording.rate_hz * FRAME_MS // 1000
        for at in range(0, len(self._recording.samples), step):
            # Row by row: that is the interleaving.
            yield [g711.encode(self._recording.samples[at : at + step].reshape(-1), self._recording.encoding)]

    def closing(self) -> Iterator[str]:
        yield '{"type":"stop"}'


class _Twilio:
    """Speaks as Twilio Media Streams does, both tracks."""

    answers = False

    def __init__(self, recording: Recording, call_id: str, metadata: dict[str, str], language: str) -> None:
        self._recording = recording
        self._call_id = call_id
        self._metadata = {"language": language} | metadata
        self._stream = f"MZ{call_id}"
        self._sequence = 0

    def opening(self) -> Iterator[str]:
        yield '{"event":"connected","protocol":"Call","version":"1.0.0"}'
        start = {
            "accountSid": "AC0",
            "streamSid": self._stream,
            "callSid": self._call_id,
            "tracks": list(_TRACKS[: self._recording.channels]),
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": self._metadata,
        }
        yield self._message("start", start)

    def frames(self) -> Iterator[list[str | bytes]]:
        step = self._recording.rate_hz * FRAME_MS // 1000
        for chunk, at in enumerate(range(0, len(self._recording.samples), step)):
            messages: list[str | bytes] = []
            for channel in range(self._recording.channels):
                audio = g711.encode(self._recording.samples[at : at + step, channel], "pcmu")
                media = {
                    "track": _TRACKS[channel],
                    "chunk": str(chunk + 1),
                    "timestamp": str(chunk * FRAME_MS),
                    "payload": base64.b64encode(audio).decode(),
                }
                messages.append(self._message("media", media))
            yield messages

    def closing(self) -> Iterator[str]:
        yield self._message("stop", {"accountSid": "AC0", "callSid": self._call_id})

    def _message(self, event: str, body: dict[str, Any]) -> str:
        self._sequence += 1
        return json.dumps({"event": event, "sequenceNumber": str(self._sequence), event: body, "streamSid": self._stream})
