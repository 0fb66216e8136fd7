"""Any recording as a live call: a telephony peer that sends a file, paced on an absolute clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
import soundfile
import soxr
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

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
from streaming.callers import CALLERS, FRAME_MS, Caller, CallerSpec, Recording

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


def load_recording(file: Path, spec: CallerSpec) -> Recording:
    """Reads any file that libsndfile reads, in a rate and codec that the protocol carries; G.711 stays as it is where it may.

    Raises InvalidInput for what is no audio or has more than two channels.
    """
    try:
        info = soundfile.info(str(file))
        samples, rate = soundfile.read(str(file), dtype="int16", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InvalidInput(f"{file} cannot be read as audio: give a WAV, FLAC or other sound file.") from error
    if samples.shape[1] > 2 or not len(samples):
        raise InvalidInput(f"{file} must have some audio in one or two channels (customer, agent).")
    wanted = rate if rate in spec.rates_hz else spec.rates_hz[0]
    if rate != wanted:
        samples = soxr.resample(samples, rate, wanted)
    encoding: Encoding = spec.encoding or _WIRE_OF_FILE.get(info.subtype, "pcm_s16le")
    return Recording(samples=np.ascontiguousarray(samples[:, : spec.channels], dtype=np.int16), rate_hz=wanted, encoding=encoding)


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

    A protocol that carries one channel gets the first. ``on_event`` gets ``{"type": "playing"}`` as the first frame goes out, then what the
    server says (raw only: transcripts, ``stopped``).
    Raises InvalidInput, ConfigError (protocol, url), EngineError (no connection), and for refusals Unauthenticated, Forbidden, NotFound,
    Conflict, Overloaded or RemoteProtocolError with the server's sentence.
    """
    spec = CALLERS.get(protocol)
    if spec is None:
        raise ConfigError(f"Unknown protocol {protocol!r}: use one of {', '.join(sorted(CALLERS))}.")
    recording = await asyncio.to_thread(load_recording, Path(file), spec)
    tell = on_event or (lambda _event: None)
    caller = spec.make(recording, call_id, {"language": language} | dict(metadata or {}))
    query = urlencode(spec.query(recording, call_id))
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with connect(
            f"{url}{'&' if '?' in url else '?'}{query}" if query else url,
            additional_headers=headers,
            subprotocols=[Subprotocol(spec.subprotocol)] if spec.subprotocol else None,
            compression=None,
            proxy=None,
            open_timeout=20,
            user_agent_header=None,
        ) as websocket:
            return await _converse(websocket, recording, caller, tell, speed)
    except InvalidStatus as refused:
        status = refused.response.status_code
        body = (refused.response.body or b"").decode(errors="replace").strip()
        raise _ERROR_OF_STATUS.get(status, RemoteProtocolError)(body or f"The server answered with HTTP status {status}.") from None
    except InvalidURI as error:
        raise ConfigError(f"{url} is not a websocket address: it must begin with ws:// or wss://.") from error
    except (OSError, InvalidHandshake, TimeoutError) as error:
        raise EngineError(f"{url} cannot be reached ({type(error).__name__}): is the server running?", retryable=True) from error


async def _converse(
    websocket: ClientConnection, recording: Recording, caller: Caller, tell: Callable[[dict[str, Any]], None], speed: float
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
        for message in caller.opening():
            await websocket.send(message)
        if caller.answers:
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait({waiting, listening}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        tell({"type": "playing"})
        began = loop.time()
        for number, messages in enumerate(caller.frames()):
            due = began + number * FRAME_MS / 1000 / speed
            wait = due - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            late = max(late, loop.time() - due)
            for piece in messages:
                await websocket.send(piece)
        for message in caller.closing():
            await websocket.send(message)
        if not caller.hangs_up:
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
