"""Any recording as a live call: a telephony peer that sends a file, paced on an absolute clock."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
import soundfile
import soxr
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
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
from streaming.callers import CALLERS
from streaming.calling import CHANNELS, FRAME_MS, Caller, CallerSpec, Credentials, Recording
from streaming.line import Line, LineClosed, TcpLine, WebsocketLine

Announce = Callable[[str, list[str], Mapping[str, str]], Awaitable[list[str]]]
"""Announces a call (its id, its legs' channels, its metadata) to the server; the id that each leg's connection must give."""
_WIRE_OF_FILE: Final[Mapping[str, Encoding]] = {"ULAW": "pcmu", "ALAW": "pcma"}
_ERROR_OF_STATUS: Final[Mapping[int, type[CopilotError]]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    429: Overloaded,
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
    channels = len(CHANNELS) if spec.per_leg else spec.channels
    return Recording(samples=np.ascontiguousarray(samples[:, :channels], dtype=np.int16), rate_hz=wanted, encoding=encoding)


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
    secret: str = "",
    announce: Announce | None = None,
) -> PlayResult:
    """Sends ``file`` as a call and waits until the server has closed it. Frames are due at start + n · 20 ms / ``speed``, late or not.

    A protocol that carries one channel gets the first, or a connection for each. ``secret`` (base64) signs the handshake (audiohook).
    ``announce`` is needed for peers that must be announced (audiosocket). ``on_event`` gets ``{"type": "playing"}`` as the first frame
    goes out, then what the server says (raw and audiohook).
    Raises InvalidInput, ConfigError (protocol, url), EngineError (no connection), and for refusals Unauthenticated, Forbidden, NotFound,
    Conflict, Overloaded or RemoteProtocolError with the server's sentence.
    """
    spec = CALLERS.get(protocol)
    if spec is None:
        raise ConfigError(f"Unknown protocol {protocol!r}: use one of {', '.join(sorted(CALLERS))}.")
    recording = await asyncio.to_thread(load_recording, Path(file), spec)
    told = {"language": language} | dict(metadata or {})
    legs = list(CHANNELS[: recording.channels]) if spec.per_leg else []
    ids = [call_id] * max(1, len(legs))
    if announce is not None:
        ids = await announce(call_id, legs or list(CHANNELS[: recording.channels]), told)
    elif spec.transport == "tcp":
        raise ConfigError(f"A call by {protocol} must be announced first: say where, with --api.")
    parts = [(recording.channel(i), told | {"leg": leg}) for i, leg in enumerate(legs)] if spec.per_leg else [(recording, told)]
    together = asyncio.Barrier(len(parts))
    results: list[PlayResult] = []

    async def one(part: Recording, leg_id: str, about: Mapping[str, str]) -> None:
        where = Credentials(url=_with_query(url, spec.query(part, leg_id)), key=key, secret=secret, call_id=leg_id)
        caller = spec.make(part, leg_id, about)
        line = await _dial(spec, where)
        try:
            results.append(await _converse(line, part, caller, on_event or (lambda _event: None), speed, together))
        finally:
            await line.close()

    try:
        async with asyncio.TaskGroup() as group:
            for (part, about), leg_id in zip(parts, ids, strict=True):
                group.create_task(one(part, leg_id, about), name=f"play-{protocol}")
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return PlayResult(
        duration_ms=len(recording.samples) * 1000 // recording.rate_hz,
        late_ms=max(result.late_ms for result in results),
        events=sum(result.events for result in results),
        close_code=max(result.close_code for result in results),
    )


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url


async def _dial(spec: CallerSpec, where: Credentials) -> Line:
    """Raises ConfigError, EngineError, and the refusals of ``play``."""
    try:
        if spec.transport == "tcp":
            return await TcpLine.dial(where.url)
        return WebsocketLine(
            await connect(
                where.url,
                additional_headers=spec.headers(where),
                subprotocols=[Subprotocol(spec.subprotocol)] if spec.subprotocol else None,
                compression=None,
                proxy=None,
                open_timeout=20,
                user_agent_header=None,
            )
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        body = (refused.response.body or b"").decode(errors="replace").strip()
        raise _ERROR_OF_STATUS.get(status, RemoteProtocolError)(body or f"The server answered with HTTP status {status}.") from None
    except InvalidURI as error:
        raise ConfigError(f"{where.url} is not a websocket address: it must begin with ws:// or wss://.") from error
    except (OSError, InvalidHandshake, TimeoutError) as error:
        raise EngineError(f"{where.url} cannot be reached ({type(error).__name__}): is the server running?", retryable=True) from error


async def _converse(
    line: Line, recording: Recording, caller: Caller, tell: Callable[[dict[str, Any]], None], speed: float, together: asyncio.Barrier
) -> PlayResult:
    events = 0
    ready = asyncio.Event()

    async def listen() -> None:
        nonlocal events
        while True:
            message = await line.receive()
            for answer in caller.hear(message):
                await line.send(answer)
            if isinstance(message, str):
                events += 1
                tell(json.loads(message))
            if caller.ready:
                ready.set()
            if caller.finished:
                return

    listening = asyncio.create_task(listen(), name="play-listen")
    late = 0.0
    loop = asyncio.get_running_loop()
    try:
        for message in caller.opening():
            await line.send(message)
        if caller.answers:
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait({waiting, listening}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        await together.wait()
        tell({"type": "playing"})
        began = loop.time()
        for number, messages in enumerate(caller.frames()):
            due = began + number * FRAME_MS / 1000 / speed
            wait = due - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            late = max(late, loop.time() - due)
            if caller.fault is not None:
                break
            for piece in messages:
                await line.send(piece)
        if caller.fault is None:
            for message in caller.closing():
                await line.send(message)
        if not caller.hangs_up:
            await asyncio.wait({listening}, timeout=120)
    except LineClosed:
        pass  # the close frame, looked at below, says why
    finally:
        await line.close()
        if not listening.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await asyncio.wait({listening})
            listening.cancel()
        (fault,) = await asyncio.gather(listening, return_exceptions=True)
    if isinstance(fault, Exception) and not isinstance(fault, LineClosed):
        raise fault  # of on_event, or an answer that is no JSON
    if caller.fault is not None:
        raise caller.fault
    code, reason = line.ending
    if code != 1000:
        sentence = reason or f"The server broke the connection off (close code {code})."
        if code in _ERROR_OF_CLOSE:
            raise _ERROR_OF_CLOSE[code](sentence)
        raise RemoteProtocolError(sentence, code=code)
    duration_ms = len(recording.samples) * 1000 // recording.rate_hz
    return PlayResult(duration_ms=duration_ms, late_ms=late * 1000, events=events, close_code=code)
