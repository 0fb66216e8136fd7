"""Calls to send: scenarios, excerpts of them cut between turns, and lanes that keep a steady number of calls going. No network.

A scenario folder holds ``call.wav`` (one or two channels) and ``gold.json`` with ``turns`` (channel, start_ms, end_ms, text as spoken).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import soundfile

from loadtest.server_process import ROOT

Json = dict[str, Any]
SCENARIOS = ROOT / "loadtest" / "scenarios"
LEAD_MS = 300
TAIL_MS = 900
"""Audio kept before the first and after the last turn of an excerpt: the endpoint of the last one must be heard."""
LEAST_EXCERPT_S = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One turn of the gold. Times in ms from the start of the audio it belongs to."""

    channel: str
    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A recording and what is said in it, in order of beginning."""

    name: str
    audio: Path
    utterances: tuple[Utterance, ...]
    language: str
    duration_ms: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """[from_ms, to_ms) of a scenario, with the turns that lie within, in the excerpt's own time."""

    scenario: Scenario
    from_ms: int
    to_ms: int
    utterances: tuple[Utterance, ...]
    channel: int | None = None
    """Only this channel of the recording, sent as a one-channel call."""

    @property
    def name(self) -> str:
        side = "" if self.channel is None else f"-{('customer', 'agent')[self.channel]}"
        return f"{self.scenario.name}{side}-{self.from_ms // 1000}-{self.to_ms // 1000}"

    @property
    def duration_ms(self) -> int:
        return self.to_ms - self.from_ms

    @property
    def legs(self) -> int:
        return 1 if self.channel is not None else self.scenario.channels

    def side(self, channel: int) -> Excerpt:
        """The same stretch with one channel only."""
        name = ("customer", "agent")[channel]
        return replace(self, channel=channel, utterances=tuple(item for item in self.utterances if item.channel == name))

    def speech_ratio(self) -> float:
        """Share of the legs' time in which somebody speaks, by the gold."""
        spoken = sum(item.end_ms - item.start_ms for item in self.utterances)
        return spoken / max(1, self.duration_ms * self.legs)

    def write(self, directory: Path) -> Path:
        """The excerpt as a file of its own, in the codec of the recording; written once."""
        path = directory / f"{self.name}.wav"
        if not path.exists():
            info = soundfile.info(str(self.scenario.audio))
            begin, end = (at * info.samplerate // 1000 for at in (self.from_ms, self.to_ms))
            samples, rate = soundfile.read(str(self.scenario.audio), dtype="int16", always_2d=True, start=begin, stop=end)
            if self.channel is not None:
                samples = samples[:, self.channel : self.channel + 1]
            soundfile.write(str(path), samples, rate, subtype=info.subtype)
        return path


def load_scenario(folder: Path) -> Scenario:
    """Raises OSError or KeyError when the folder holds no scenario."""
    gold = json.loads((folder / "gold.json").read_text(encoding="utf-8"))
    audio = folder / "call.wav"
    info = soundfile.info(str(audio))
    turns = sorted(gold["turns"], key=lambda turn: turn["start_ms"])
    return Scenario(
        name=folder.name,
        audio=audio,
        utterances=tuple(
            Utterance(channel=turn["channel"], start_ms=turn["start_ms"], end_ms=turn["end_ms"], text=turn["text"]) for turn in turns
        ),
        language=gold.get("language", "zh"),
        duration_ms=info.frames * 1000 // info.samplerate,
        channels=info.channels,
    )


def find_scenarios(patterns: Sequence[str]) -> list[Scenario]:
    """Folders by name under ``loadtest/scenarios`` (globs such as ``load/*``) or by path. ValueError for one that matches nothing."""
    found: list[Scenario] = []
    for pattern in patterns:
        given = Path(pattern)
        folders = [given] if (given / "gold.json").is_file() else sorted(SCENARIOS.glob(pattern))
        folders = [folder for folder in folders if (folder / "gold.json").is_file() and (folder / "call.wav").is_file()]
        if not folders:
            raise ValueError(f"No scenario matches {pattern!r}: give a folder with call.wav and gold.json, or a name in {SCENARIOS}.")
        found += [load_scenario(folder) for folder in folders]
    return found


def default_scenarios() -> list[Scenario]:
    """The load set if it is there, else the three demonstration calls."""
    try:
        return find_scenarios(["load/*"])
    except ValueError:
        return find_scenarios(["demo", "transfer", "short"])


def excerpt(scenario: Scenario, first: int, seconds: float, *, channel: int | None = None) -> Excerpt:
    """From turn ``first`` on, as many whole turns as fit into ``seconds`` (at least that one). Turns that overlap a cut are left out."""
    side = None if channel is None else ("customer", "agent")[channel]
    turns = scenario.utterances
    from_ms = 0 if first == 0 else max(0, turns[first].start_ms - LEAD_MS)
    limit = from_ms + round(1000 * seconds) - TAIL_MS
    chosen = [turn for turn in turns[first:] if turn.end_ms <= limit] or [turns[first]]
    to_ms = min(scenario.duration_ms, max(turn.end_ms for turn in chosen) + TAIL_MS)
    within = [turn for turn in turns if from_ms <= turn.start_ms and turn.end_ms <= to_ms and side in (None, turn.channel)]
    return Excerpt(
        scenario=scenario,
        from_ms=from_ms,
        to_ms=to_ms,
        channel=channel,
        utterances=tuple(
            Utterance(channel=turn.channel, start_ms=turn.start_ms - from_ms, end_ms=turn.end_ms - from_ms, text=turn.text)
            for turn in within
        ),
    )


def lane(scenarios: Sequence[Scenario], number: int, seconds: float, *, channel: int | None = None) -> list[Excerpt]:
    """Calls one after the other, some ``seconds`` in all. Lanes begin in different scenarios and, once round, at different turns."""
    calls: list[Excerpt] = []
    left, at = seconds, number
    first_round = number // len(scenarios)
    while left >= LEAST_EXCERPT_S or not calls:
        scenario = scenarios[at % len(scenarios)]
        # 0.382 of the way a round: lanes of one scenario never begin near each other.
        first = int(len(scenario.utterances) * ((0.382 * first_round) % 1.0)) if not calls else 0
        taken = excerpt(scenario, first, max(left, LEAST_EXCERPT_S), channel=channel)
        calls.append(taken)
        left -= taken.duration_ms / 1000 + 1.0
        at += 1
    return calls
