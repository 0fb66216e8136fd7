"""A recorded call through every protocol into a real server: the transcript of the file itself, the same roles, the same times.

The calls are played in real time, a few at once, since the recogniser of a small machine carries few channels.
"""

from __future__ import annotations

import asyncio
import io
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from copilot.domain.errors import Overloaded, RemoteProtocolError
from loadtest.calls import events_until, has_ended, of_type, send_file, signed_in
from loadtest.scoring import edit_distance, normalise
from loadtest.server_process import ServerProcess
from streaming.callers import CALLERS

pytestmark = [pytest.mark.models, pytest.mark.alone, pytest.mark.timeout(900)]

AT_ONCE = 3
"""Calls: five or six channels, so that finals are decoded as the file's are. On busier decoders they get a smaller beam."""
TRIES = 5
"""A call that was refused, or that recognition fell behind of, tells of the machine and not of the protocol: it is played again."""
MOST_CER = 0.03
"""Of what is recorded, decoded as the file is: legs at 16 kHz went through another filter, and a step of the decoder may fall the other
way. A lost or doubled second would cost five characters of forty."""
MOST_LIVE_CER = 0.25
"""Of what was heard live: on busy decoders finals get a smaller beam, a shorter window and less of the silence after them."""
MOST_MS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a call became: its legs' channels, its finals, and the gaps of each channel's recording as (start, duration) in ms."""

    channels: list[str]
    finals: list[dict]
    gaps: dict[str, list[tuple[int, int]]]
    duration_ms: int
    recording: Path | None = None
    """Both legs (or the one) as they were recorded, as a file."""

    def text(self, channel: str) -> str:
        return normalise("".join(final["text"] for final in self.said(channel)))

    def said(self, channel: str) -> list[dict]:
        return sorted((final for final in self.finals if final["channel"] == channel), key=lambda final: final["start_ms"])

    def spans(self, channel: str) -> list[tuple[int, int]]:
        """When each utterance was said, counted in audio: what was not there before it is left out."""
        gaps = self.gaps.get(channel, [])

        def heard(at_ms: int) -> int:
            return at_ms - sum(duration for start, duration in gaps if start < at_ms)

        return [(heard(final["start_ms"]), heard(final["end_ms"])) for final in self.said(channel)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with ServerProcess(data_dir=tmp_path_factory.mktemp("replay"), protocols=tuple(CALLERS)) as running:
        running.prepare({"agent-a": ("agent", "坐席甲"), "inspector": ("inspector", "质检员")})
        running.start()
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def file_itself(server: ServerProcess, short_call: tuple[Path, int]) -> Heard:
    file, duration_ms = short_call
    (answer,) = server.transcripts(file)
    return Heard(channels=["customer", "agent"], finals=answer["utterances"], gaps={}, duration_ms=duration_ms)


@pytest.fixture(scope="module")
def replayed(server: ServerProcess, short_call: tuple[Path, int], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Heard]:
    free = asyncio.Semaphore(AT_ONCE)
    folder = tmp_path_factory.mktemp("recorded")

    async def one(protocol: str) -> Heard:
        async with free:
            for _ in range(TRIES):
                call_id = str(uuid.uuid4())
                try:
                    await send_file(server, call_id, short_call[0], protocol=protocol)
                except (Overloaded, RemoteProtocolError) as refused:
                    told = str(refused)  # not every protocol can say that there is no room
                    await asyncio.sleep(5)
                    continue
                events, legs = await outcome(call_id)
                if not of_type(events, "degraded"):
                    return replace(heard(events, legs), recording=await recorded(call_id, legs))
                told = "Recognition was behind."
        pytest.fail(f"The machine is too busy to play a call by {protocol}: {told}")

    async def outcome(call_id: str) -> tuple[list[dict], list[dict]]:
        async with signed_in(server, "inspector") as inspector:
            events = await events_until(inspector, call_id, has_ended, timeout_s=120)
            return events, (await inspector.get(f"/calls/{call_id}/audio"))["legs"]

    async def recorded(call_id: str, legs: list[dict]) -> Path:
        async with signed_in(server, "agent-a") as agent:
            answers = [await agent.http.get(f"/calls/{call_id}/audio/{leg['channel']}.wav", params={"original": "true"}) for leg in legs]
        sides = [soundfile.read(io.BytesIO(answer.raise_for_status().content), dtype="int16") for answer in answers]
        length = min(len(samples) for samples, _ in sides)
        file = folder / f"{call_id}.wav"
        soundfile.write(file, np.stack([samples[:length] for samples, _ in sides], axis=1), sides[0][1])
        return file

    def heard(events: list[dict], legs: list[dict]) -> Heard:
        (started,) = of_type(events, "call_started")
        (ended,) = of_type(events, "call_ended")
        assert ended["reason"] == "hangup"
        return Heard(
            channels=[leg["channel"] for leg in started["legs"]],
            finals=of_type(events, "utterance_final"),
            gaps={leg["channel"]: [(gap["start_ms"], gap["duration_ms"]) for gap in leg["gaps"]] for leg in legs},
            duration_ms=ended["duration_ms"],
        )

    async def all_of_them() -> dict[str, Heard]:
        return dict(zip(CALLERS, await asyncio.gather(*map(one, CALLERS)), strict=True))

    return asyncio.run(all_of_them())


def test_the_file_itself_is_understood(file_itself: Heard):
    """Else agreement with it would mean nothing."""
    assert "银行" in file_itself.text("customer")
    assert "周末" in file_itself.text("agent")


@pytest.mark.parametrize("protocol", sorted(CALLERS))
def test_the_same_roles(protocol: str, replayed: dict[str, Heard]):
    spec = CALLERS[protocol]
    expected = ["customer", "agent"] if spec.per_leg or spec.channels == 2 else ["customer"]
    assert replayed[protocol].channels == expected
    assert {final["channel"] for final in replayed[protocol].finals} == set(expected)


@pytest.fixture(scope="module")
def on_record(server: ServerProcess, replayed: dict[str, Heard]) -> dict[str, dict[str, str]]:
    """Protocol → channel → what ``pangting transcribe`` makes of the recording."""
    answers = server.transcripts(*(call.recording for call in replayed.values()))
    texts: dict[str, dict[str, str]] = {}
    for (protocol, call), answer in zip(replayed.items(), answers, strict=True):
        finals = sorted(answer["utterances"], key=lambda final: final["start_ms"])
        names = call.channels if len(call.channels) > 1 else ["mixed"]
        texts[protocol] = {
            channel: normalise("".join(final["text"] for final in finals if final["channel"] == name))
            for channel, name in zip(call.channels, names, strict=True)
        }
    return texts


def differ(heard: str, reference: str, most: float) -> str | None:
    wrong = edit_distance(reference, heard)
    return f"{reference} became {heard}" if wrong > most * len(reference) else None


@pytest.mark.parametrize("protocol", sorted(CALLERS))
def test_the_same_words(protocol: str, replayed: dict[str, Heard], on_record: dict[str, dict[str, str]], file_itself: Heard):
    for channel in replayed[protocol].channels:
        assert differ(on_record[protocol][channel], file_itself.text(channel), MOST_CER) is None, "recorded"
        assert differ(replayed[protocol].text(channel), file_itself.text(channel), MOST_LIVE_CER) is None, "live"


@pytest.mark.parametrize("protocol", sorted(CALLERS))
def test_the_same_times(protocol: str, replayed: dict[str, Heard], file_itself: Heard):
    call = replayed[protocol]
    for channel in call.channels:
        here, there = call.spans(channel), file_itself.spans(channel)
        assert len(here) == len(there)
        for span, reference in zip(here, there, strict=True):
            assert all(abs(a - b) <= MOST_MS for a, b in zip(span, reference, strict=True)), f"{channel}: {reference} became {span}"
    missing = max((sum(duration for _, duration in gaps) for gaps in call.gaps.values()), default=0)
    assert abs(call.duration_ms - missing - file_itself.duration_ms) <= MOST_MS
