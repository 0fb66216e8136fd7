"""A recorded call through every protocol into a real server: the transcript of the file itself, the same roles, the same times.

The calls are played in real time, a few at once, since the recogniser of a small machine carries few channels.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from copilot.domain.errors import Overloaded, RemoteProtocolError
from loadtest.calls import events_until, has_ended, of_type, send_file, signed_in
from loadtest.scoring import edit_distance, normalise
from loadtest.server_process import ServerProcess
from streaming.callers import CALLERS

pytestmark = [pytest.mark.models, pytest.mark.timeout(900)]

AT_ONCE = 3
"""Calls: five or six channels, so that finals are decoded as the file's are. On busier decoders they get a smaller beam."""
TRIES = 5
"""A call that was refused, or that recognition fell behind of, tells of the machine and not of the protocol: it is played again."""
MOST_CER = 0.03
"""Two characters of seventy. A live final is decoded at the pause, from the same samples but for the length of the silence after them, with
the words that its partials suggest; a greedy step may fall the other way. A lost or doubled second would cost five characters."""
MOST_MS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a call became: its legs' channels, its finals, and the gaps of each channel's recording as (start, duration) in ms."""

    channels: list[str]
    finals: list[dict]
    gaps: dict[str, list[tuple[int, int]]]
    duration_ms: int

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
def replayed(server: ServerProcess, short_call: tuple[Path, int]) -> dict[str, Heard]:
    free = asyncio.Semaphore(AT_ONCE)

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
                    return heard(events, legs)
                told = "Recognition was behind."
        pytest.fail(f"The machine is too busy to play a call by {protocol}: {told}")

    async def outcome(call_id: str) -> tuple[list[dict], list[dict]]:
        async with signed_in(server, "inspector") as inspector:
            events = await events_until(inspector, call_id, has_ended, timeout_s=120)
            return events, (await inspector.get(f"/calls/{call_id}/audio"))["legs"]

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
    assert "营业" in file_itself.text("agent")


@pytest.mark.parametrize("protocol", sorted(CALLERS))
def test_the_same_roles(protocol: str, replayed: dict[str, Heard]):
    spec = CALLERS[protocol]
    expected = ["customer", "agent"] if spec.per_leg or spec.channels == 2 else ["customer"]
    assert replayed[protocol].channels == expected
    assert {final["channel"] for final in replayed[protocol].finals} == set(expected)


@pytest.mark.parametrize("protocol", sorted(CALLERS))
def test_the_same_words(protocol: str, replayed: dict[str, Heard], file_itself: Heard):
    call = replayed[protocol]
    for channel in call.channels:
        reference = file_itself.text(channel)
        wrong = edit_distance(reference, call.text(channel))
        assert wrong <= MOST_CER * len(reference), f"{channel}: {reference} became {call.text(channel)}"


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
