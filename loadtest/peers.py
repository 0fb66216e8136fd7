"""``python -m loadtest.peers``: the same calls into any streaming recogniser, this server among them, judged by the same scorer.

A server is tried as it runs at a URL its operator gives; how the known ones are started stands in ``loadtest/README-peers.md``. Audio goes
out in 100 ms pieces, each due on an absolute clock. After the last word the line stays open and silent (``--hold-s``), since some servers
settle a text only while audio comes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import psutil
import soxr
from numpy.typing import NDArray
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from copilot.domain.errors import ConfigError, CopilotError, EngineError
from loadtest.clip_calls import RATE_HZ, Leg, lay_out, load_clips, scenario_legs
from loadtest.feed_client import FeedClient
from loadtest.peer_screens import RawScreen, Screen, WhisperLiveKitScreen, WhisperLiveScreen, WhisperStreamingScreen, resolve
from loadtest.sampling import Sampler
from loadtest.screen_score import Heard, State, score, summarise
from loadtest.server_process import ROOT, ServerProcess
from streaming.telephony import g711

Json = dict[str, Any]
SERVERS: Final = ("pangting", "whisper_streaming", "whisperlive", "whisperlivekit")
PEER_HZ: Final = 16_000
PIECE_MS: Final = 100
_READY_S: Final = 60.0
_DRAIN_S: Final = 15.0


@dataclass(slots=True, kw_only=True)
class Line:
    """One connection: its legs, what it says at the start and the end, and what each leg's listener saw."""

    url: str
    legs: Sequence[Leg]
    screens: Sequence[Screen]
    opening: str | None = None
    closing: str | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    states: list[list[State]] = field(default_factory=list)
    began: float | None = None
    late_ms: float = 0.0

    def receive(self, message: str | bytes) -> None:
        """A message that arrived now; times count from the first audio byte."""
        at_ms = 0.0 if self.began is None else 1000 * (time.monotonic() - self.began)
        self.states = self.states or [[] for _ in self.screens]
        for screen, states in zip(self.screens, self.states, strict=True):
            state = screen.receive(message, at_ms)
            if state is not None:
                states.append(state)


def pieces(line: Line, server: str, hold_s: float) -> list[bytes]:
    """The audio of a line as its server wants it, in pieces of 100 ms, followed by ``hold_s`` of silence.

    This server gets 8 kHz μ-law, legs interleaved, as from a telephone system; the others mono 16 kHz, float32 (WhisperLive) or s16le.
    """
    length = max(len(leg.samples) for leg in line.legs) + int(hold_s * RATE_HZ)
    padded = np.zeros((length, len(line.legs)), dtype=np.int16)
    for column, leg in enumerate(line.legs):
        padded[: len(leg.samples), column] = leg.samples
    if server == "pangting":
        audio, step = g711.encode(padded.reshape(-1), "pcmu"), RATE_HZ * PIECE_MS // 1000 * len(line.legs)
    else:
        # In float, because libsoxr dithers integers: every server must get the same samples.
        resampled = soxr.resample(padded[:, 0].astype(np.float32), RATE_HZ, PEER_HZ)
        wide: NDArray[np.int16] = np.clip(np.rint(resampled), -32_768, 32_767).astype(np.int16)
        floats = server == "whisperlive"
        audio = (wide.astype("<f4") / np.float32(32768.0)).tobytes() if floats else wide.astype("<i2").tobytes()
        step = PEER_HZ * PIECE_MS // 1000 * (4 if floats else 2)
    return [audio[at : at + step] for at in range(0, len(audio), step)]


def lines_of(server: str, urls: Sequence[str], legs: Sequence[Leg], options: Json, key: str) -> list[Line]:
    """One connection a leg (two legs a connection for this server), over the URLs in turn. Raises ConfigError."""
    if not urls:
        raise ConfigError(f"Give the address of the running {server} with --url.")
    if server == "pangting":
        calls = [legs[at : at + 2] for at in range(0, len(legs), 2)]
        return [_raw_line(urls[0], call, number, key) for number, call in enumerate(calls)]
    lines = []
    for number, leg in enumerate(legs):
        url = urls[number % len(urls)]
        if server == "whisper_streaming":
            lines.append(Line(url=url, legs=[leg], screens=[WhisperStreamingScreen()]))
        elif server == "whisperlive":
            start = {"uid": f"leg-{number}", "language": "zh", "task": "transcribe", "model": "base", "use_vad": True, **options}
            lines.append(
                Line(
                    url=url,
                    legs=[leg],
                    screens=[WhisperLiveScreen()],
                    opening=json.dumps(start, ensure_ascii=False),
                    closing=b"END_OF_AUDIO",
                )
            )
        else:
            lines.append(Line(url=url, legs=[leg], screens=[WhisperLiveKitScreen()], closing=b""))
    return lines


def _raw_line(url: str, legs: Sequence[Leg], number: int, key: str) -> Line:
    names = ("customer", "agent")[: len(legs)]
    start = {
        "type": "start",
        "call_id": f"peers-{number}-{time.monotonic_ns():x}",
        "channels": names,
        "encoding": "pcmu",
        "sample_rate": RATE_HZ,
        "language": "zh",
        "metadata": {"agent": f"bench-{number}"},
        "events": True,
    }
    return Line(
        url=url,
        legs=legs,
        screens=[RawScreen(channel=name) for name in names],
        opening=json.dumps(start),
        closing='{"type":"stop"}',
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )


@dataclass(frozen=True, slots=True)
class Wire:
    """A websocket, or a bare TCP connection for ``tcp://`` addresses. ``finish``: nothing more will be sent."""

    send: Callable[[str | bytes], Awaitable[None]]
    receive: AsyncIterator[str | bytes]
    finish: Callable[[], Awaitable[None]]


@contextlib.asynccontextmanager
async def open_wire(line: Line) -> AsyncIterator[Wire]:
    """Raises EngineError when nobody answers at the address."""
    parts = urlsplit(line.url)
    try:
        if parts.scheme == "tcp":
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)

            async def send(piece: str | bytes) -> None:
                writer.write(piece.encode() if isinstance(piece, str) else piece)
                await writer.drain()

            async def receive() -> AsyncIterator[str | bytes]:
                while data := await reader.read(65_536):
                    yield data

            async def finish() -> None:
                writer.write_eof()

            try:
                yield Wire(send, receive(), finish)
            finally:
                writer.close()
            return
        async with connect(line.url, additional_headers=line.headers, compression=None, proxy=None, max_size=2**24) as socket:

            async def said() -> AsyncIterator[str | bytes]:
                async for message in socket:
                    yield message

            yield Wire(socket.send, said(), lambda: asyncio.sleep(0))
    except (OSError, InvalidHandshake) as error:
        raise EngineError(f"{line.url} cannot be reached ({type(error).__name__}): is the server running?", retryable=True) from error


async def converse(line: Line, audio: Sequence[bytes], together: asyncio.Barrier) -> None:
    """Plays one line; all lines begin together, once their servers are ready. Raises EngineError when this one will not listen."""
    first = line.screens[0]
    async with open_wire(line) as wire:
        ready, over = asyncio.Event(), asyncio.Event()

        async def listen() -> None:
            with contextlib.suppress(ConnectionClosed, ConnectionError):
                async for message in wire.receive:
                    line.receive(message)
                    if first.ready or first.refused:
                        ready.set()
                    if first.ended:
                        break
            over.set()

        listening = asyncio.create_task(listen())
        try:
            if line.opening is not None:
                await wire.send(line.opening)
            if not first.ready:
                async with asyncio.timeout(_READY_S):
                    await ready.wait()
            if first.refused:
                raise EngineError(f"{line.url} will not listen: {first.refused}", retryable=True)
            await together.wait()
            line.began = time.monotonic()
            await _play(line, wire, audio)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _DRAIN_S)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _play(line: Line, wire: Wire, audio: Sequence[bytes]) -> None:
    assert line.began is not None
    with contextlib.suppress(ConnectionClosed, ConnectionError):  # what it said until then is judged
        for number, piece in enumerate(audio):
            # A caller's piece leaves when its last sample has been spoken.
            due = line.began + (number + 1) * PIECE_MS / 1000
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            line.late_ms = max(line.late_ms, 1000 * (time.monotonic() - due))
            await wire.send(piece)
        if line.closing is not None:
            await wire.send(line.closing)
        await wire.finish()


def cpu_seconds(samplers: Sequence[Sampler]) -> float:
    """Of the processes watched, their children with them, so far."""
    looks = [sampler.look() for sampler in samplers]
    return sum(look.server_cpu + look.worker_cpu for look in looks)


def peak_rss(sampler: Sampler) -> int:
    """Bytes."""
    return max((sample.server_rss + sample.worker_rss for sample in sampler.samples), default=0)


async def measure(server: str, lines: Sequence[Line], pids: Sequence[int], hold_s: float, secrets: dict[str, str]) -> Json:
    """One row: waits, errors, and what the server's processes took while the audio ran."""
    audio = [pieces(line, server, hold_s) for line in lines]
    samplers = [Sampler(pid) for pid in pids]
    together = asyncio.Barrier(len(lines) + 1)
    playing = [asyncio.create_task(converse(line, sound, together)) for line, sound in zip(lines, audio, strict=True)]
    waiting = asyncio.create_task(together.wait())
    await asyncio.wait({waiting, *playing}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        await asyncio.gather(*playing)  # raises what went wrong
    watching = [asyncio.create_task(sampler.run()) for sampler in samplers]
    before, begun = cpu_seconds(samplers), time.monotonic()
    await asyncio.sleep(max(len(sound) for sound in audio) * PIECE_MS / 1000 - hold_s)
    cores = (cpu_seconds(samplers) - before) / (time.monotonic() - begun)
    await asyncio.gather(*playing)
    for task in watching:
        task.cancel()
    channels: list[list[Heard]] = []
    texts = []
    for line in lines:
        for leg, seen in zip(line.legs, line.states or [[] for _ in line.legs], strict=True):
            states = resolve(seen, secrets)
            channels.append(score(leg.utterances, states))
            texts.append(states[-1].committed if states else "")
    return {
        "channels": len(channels),
        **asdict(summarise(channels)),
        "cores": round(cores, 2) if pids else None,
        "rss_mb": round(sum(peak_rss(sampler) for sampler in samplers) / 1e6) if pids else None,
        "late_ms": round(max(line.late_ms for line in lines), 1),
        "refused": [line.screens[0].refused for line in lines if line.screens[0].refused],
        "waits": [
            [(heard.first_partial_ms, heard.final_ms, heard.outcome.errors, heard.outcome.characters) for heard in c] for c in channels
        ],
        "texts": texts,
    }


async def measure_own(legs: Sequence[Leg], hold_s: float) -> Json:
    """This server, started for the purpose with its sample bank; each call's agent is signed in and reads along, as in service."""
    with tempfile.TemporaryDirectory(prefix="pangting-peers-") as scratch:
        server = ServerProcess(data_dir=Path(scratch) / "data")
        calls = (len(legs) + 1) // 2
        await asyncio.to_thread(server.prepare, {f"bench-{n}": ("agent", f"Bench {n}") for n in range(calls)})
        await asyncio.to_thread(server.start)
        assert server.process is not None
        secrets: dict[str, str] = {}
        timings: list[Json] = []
        try:
            await server.wait_ready_async()
            async with contextlib.AsyncExitStack() as stack:
                for number in range(calls):
                    client = FeedClient(server.base)
                    await client.sign_in(f"bench-{number}", server.passwords[f"bench-{number}"])
                    messages = await stack.enter_async_context(client.feed())
                    task = asyncio.create_task(_read_feed(messages, secrets, timings))
                    stack.callback(task.cancel)
                lines = lines_of("pangting", [server.telephony_url("raw")], legs, {}, server.key)
                row = await measure("pangting", lines, [server.process.pid], hold_s, secrets)
                return {**row, "timings": timings}
        finally:
            await asyncio.to_thread(server.stop)


async def _read_feed(messages: AsyncIterator[Json], secrets: dict[str, str], timings: list[Json]) -> None:
    async for message in messages:
        if message["type"] == "secrets":
            secrets.update(message["values"])
        elif message["type"] == "event" and message["envelope"]["event"]["type"] == "utterance_final":
            timings.append(message["envelope"]["event"]["timings"])


def legs_of(options: argparse.Namespace) -> list[Leg]:
    """As many legs as ``--channels`` says. Raises InvalidInput or ConfigError."""
    if options.clips is not None:
        clips = load_clips(options.clips, "zh")
        return [
            lay_out(clips, name=f"leg-{n}", seconds=options.seconds, share=options.share, seed=options.seed + n)
            for n in range(options.channels)
        ]
    legs = [leg for name in options.scenario for leg in scenario_legs(ROOT / "loadtest" / "scenarios" / name, seconds=options.seconds)]
    if len(legs) < options.channels:
        raise ConfigError(f"The scenarios have {len(legs)} legs: name more of them for {options.channels} channels.")
    return legs[: options.channels]


def markdown(row: Json) -> str:
    """A line of the table in docs/explanation/peers.md."""

    def pair(waits: Sequence[float] | None) -> str:
        return "–" if waits is None else f"{waits[0] / 1000:.2f} / {waits[1] / 1000:.2f}"

    low, high = row["cer_interval"]
    cells = [
        row["config"],
        str(row["channels"]),
        pair(row["first_partial_ms"]),
        pair(row["final_ms"]),
        f"{row['missed']}/{row['utterances']}",
        f"{row['cer']:.3f} [{low:.2f}–{high:.2f}]",
        "–" if row["cores"] is None else f"{row['cores']:.2f}",
        "–" if row["rss_mb"] is None else str(row["rss_mb"]),
        "yes" if row["kept_up"] else "no",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.peers", description=__doc__)
    parser.add_argument("server", choices=SERVERS, help="pangting is started here; the others run already")
    parser.add_argument("--url", action="append", default=[], help="ws://… or, for whisper_streaming, tcp://…; again for more processes")
    parser.add_argument("--pid", action="append", type=int, default=[], help="the server's process, for cores and memory; may be repeated")
    parser.add_argument("--options", type=json.loads, default={}, help="WhisperLive: more fields of its start message, as JSON")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--scenario", nargs="+", default=["transfer"], help="folders of loadtest/scenarios")
    parser.add_argument("--clips", type=Path, help="a manifest.jsonl of clips to lay calls out from, instead of scenarios")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a call")
    parser.add_argument("--share", type=float, default=0.45, help="share of speech in calls laid out from clips")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hold-s", type=float, default=10.0, help="silence after the last word, not counted in cores")
    parser.add_argument("--config", default="default", help="what the row is called in the table")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "peers.jsonl", help="a line of JSON is added here")
    options = parser.parse_args()
    # A run that is broken off stops the server it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        legs = legs_of(options)
        loads = [os.getloadavg()[0]]
        if options.server == "pangting" and not options.url:
            row = asyncio.run(measure_own(legs, options.hold_s))
        else:
            key = os.environ.get("PANGTING_KEY", "")
            lines = lines_of(options.server, options.url, legs, options.options, key)
            row = asyncio.run(measure(options.server, lines, options.pid, options.hold_s, {}))
        loads.append(os.getloadavg()[0])
    except CopilotError as error:
        parser.exit(1, f"{error}\n")
    audio = f"clips, seed {options.seed}" if options.clips else "+".join(options.scenario)
    row = {
        "server": options.server,
        "config": f"{options.server}, {options.config}",
        "audio": audio,
        "seconds": options.seconds,
        "date": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "machine": {"cores": psutil.cpu_count(), "load_before_after": loads},
        **row,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("a", encoding="utf-8") as out:
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(markdown(row))


if __name__ == "__main__":
    main()
