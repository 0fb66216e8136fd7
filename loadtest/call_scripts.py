"""Labelled calls: from a script of invented lines to a transcript with times and, for half of the calls, recognition errors. PURE.

A script holds one line per utterance, ``12A text``: its number, who speaks (A agent, C customer), then ``!`` if it begins before the
other has finished, ``..`` if a wait comes before it. Everything else is drawn from a generator seeded with the call's name, so that the
same script always gives the same transcript. See tests/data/calls/README.md for the procedure.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cn2an

from copilot.llm.grounding import numbers_in

Channel = Literal["agent", "customer"]
Pace = Literal["normal", "fast", "slow"]

UNITS_PER_S: Mapping[str, Mapping[Pace, float]] = {
    "zh": {"normal": 4.3, "fast": 6.4, "slow": 1.75},
    "en": {"normal": 2.4, "fast": 3.6, "slow": 1.3},
}
"""Characters (zh) or words (en) a second. The customer always speaks at the normal pace."""
_HEAD = re.compile(r"== (?P<name>[a-z-]+-\d+) (?P<language>zh|en)(?: (?P<pace>fast|slow))?")
_LINE = re.compile(r"(?P<number>\d+)(?P<who>[AC])(?P<mark>!|\.\.)? (?P<text>\S.*)")
_TOKEN = re.compile(r"【[^】]+】")
_ZH_UNIT = re.compile(r"[\u4e00-\u9fff\d]")
_EN_UNIT = re.compile(r"[\w']+")
_NUMERAL_RUN = re.compile(r"[零一二两三四五六七八九十百千万]{2,}")
_NUMERALS = frozenset("零〇一二两三四五六七八九十百千万亿幺半点")
_CUT_IN_MS, _CUT_INTO_LEAST_MS = 1200, 3000
_WORD_P, _CHARACTER_P, _DELETED_P, _FILLER_P, _COMMA_P, _STOP_P, _DIGITS_P = 0.6, 0.16, 0.02, 0.3, 0.45, 0.3, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a script."""

    channel: Channel
    text: str
    cuts_in: bool = False
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A call as written. ``pace`` is the agent's."""

    name: str
    language: str
    pace: Pace
    lines: tuple[Line, ...]

    @property
    def scenario(self) -> str:
        return self.name.rpartition("-")[0]


def parse_scripts(text: str) -> tuple[Script, ...]:
    """The calls of one file. Raises ValueError naming the line."""
    scripts: list[Script] = []
    for place, raw in enumerate(text.splitlines(), start=1):
        head, line = _HEAD.fullmatch(raw), _LINE.fullmatch(raw)
        if head is not None:
            pace: Pace = "fast" if head["pace"] == "fast" else "slow" if head["pace"] == "slow" else "normal"
            scripts.append(Script(name=head["name"], language=head["language"], pace=pace, lines=()))
        elif line is not None and scripts:
            script = scripts[-1]
            if int(line["number"]) != len(script.lines) + 1:
                raise ValueError(f"Line {place}: utterance {len(script.lines) + 1} of {script.name} is numbered {line['number']}.")
            channel: Channel = "agent" if line["who"] == "A" else "customer"
            new = Line(channel=channel, text=line["text"], cuts_in=line["mark"] == "!", waits=line["mark"] == "..")
            scripts[-1] = Script(name=script.name, language=script.language, pace=script.pace, lines=(*script.lines, new))
        else:
            raise ValueError(f"Line {place} is neither `== name language` nor `12A text`.")
    return tuple(scripts)


def units(text: str, language: str) -> int:
    """Characters (zh) or words (en), as a speaking rate counts them."""
    return len((_ZH_UNIT if language == "zh" else _EN_UNIT).findall(text))


def timed(script: Script) -> list[dict[str, Any]]:
    """Utterances ``{channel, start_ms, end_ms, text}`` in the order of the script, which is the order of their starts."""
    draw = random.Random(f"{script.name}/times").random
    paces = UNITS_PER_S[script.language]
    utterances: list[dict[str, Any]] = []
    clock = 800
    for line in script.lines:
        pace = paces[script.pace] if line.channel == "agent" else paces["normal"]
        duration = max(700, int(1000 * units(line.text, script.language) / (pace * (0.94 + 0.12 * draw()))))
        start = clock + 250 + int(450 * draw())
        if line.waits:
            start += 8_000 + int(10_000 * draw())
        if line.cuts_in:
            before = utterances[-1]
            before["end_ms"] = max(before["end_ms"], before["start_ms"] + _CUT_INTO_LEAST_MS)
            start = before["end_ms"] - _CUT_IN_MS
        utterances.append({"channel": line.channel, "start_ms": start, "end_ms": start + duration, "text": line.text})
        clock = max(clock, start + duration)
    return utterances


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusions:
    """What is heard instead of a word or a character, and the sounds put in between."""

    words: Mapping[str, Sequence[str]]
    characters: Mapping[str, str]
    fillers: Sequence[str]


def misheard(text: str, language: str, confusions: Confusions, draw: random.Random) -> tuple[str, float]:
    """``text`` as a recogniser might have it, and the confidence it would give (0.4-0.97). The numbers of the text stay."""
    pieces: list[str] = []
    errors = last = 0
    for token in _TOKEN.finditer(text):
        piece, wrong = _spoilt(text[last : token.start()], language, confusions, draw)
        pieces += [piece, token[0]]
        errors += wrong
        last = token.end()
    piece, wrong = _spoilt(text[last:], language, confusions, draw)
    pieces.append(piece)
    errors += wrong
    if draw.random() < _FILLER_P and len(text) > 8:
        filler = confusions.fillers[int(draw.random() * len(confusions.fillers))]
        pieces.insert(0, filler + ("" if language == "zh" else " "))
        errors += 1
    heard = "".join(pieces).strip()
    if numbers_in(heard) != numbers_in(text) or not heard:
        heard, errors = text, 0
    share = errors / max(1, units(text, language))
    return heard, round(min(0.97, max(0.4, 0.97 - 1.5 * share)), 2)


def _spoilt(text: str, language: str, confusions: Confusions, draw: random.Random) -> tuple[str, int]:
    errors = 0
    for word, heard in confusions.words.items():
        pattern = re.escape(word) if language == "zh" else rf"\b{re.escape(word)}\b"
        if re.search(pattern, text) and draw.random() < _WORD_P:
            text = re.sub(pattern, heard[int(draw.random() * len(heard))], text)
            errors += len(word) if language == "zh" else 1
    kept: list[str] = []
    for character in text:
        chance = draw.random()
        if character in "，,、":
            kept.append("" if chance < _COMMA_P else character)
        elif character in "。？！?!." and language == "zh":
            kept.append("" if chance < _STOP_P else character)
        elif character in confusions.characters and chance < _CHARACTER_P:
            kept.append(confusions.characters[character])
            errors += 1
        elif language == "zh" and character not in _NUMERALS and _ZH_UNIT.match(character) and chance > 1 - _DELETED_P:
            errors += 1
        else:
            kept.append(character)
    text = "".join(kept)
    return (_with_digits(text, draw) if language == "zh" else text), errors


def _with_digits(text: str, draw: random.Random) -> str:
    """Some quantities as digits, as recognisers write them (三千 → 3000), where the value stays the same."""

    def written(match: re.Match[str]) -> str:
        if draw.random() >= _DIGITS_P or not re.search("[十百千万]", match[0]):
            return match[0]
        try:
            digits = str(cn2an.cn2an(match[0], "smart"))
        except ValueError:
            return match[0]
        return digits if numbers_in(digits) == numbers_in(match[0]) else match[0]

    return _NUMERAL_RUN.sub(written, text)


def rendered(script: Script, *, split: str, confusions: Confusions | None) -> dict[str, Any]:
    """The call as it stands in ``calls.jsonl``; with ``confusions`` every utterance also has ``asr_text`` and ``confidence``."""
    utterances = timed(script)
    if confusions is not None:
        draw = random.Random(f"{script.name}/errors")
        for utterance in utterances:
            heard, confidence = misheard(utterance["text"], script.language, confusions, draw)
            utterance |= {"asr_text": heard, "confidence": confidence}
    return {
        "id": script.name,
        "scenario": script.scenario,
        "split": split,
        "language": script.language,
        "asr_errors": confusions is not None,
        "utterances": utterances,
    }
