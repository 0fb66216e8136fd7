"""The language of rules: what a rule waits for, as typed data, and its parser with errors that name the place and the way out. Pure.

docs/reference/rules.md describes it. A fault is a sentence that begins with its path: ``rules[3] (soothe) › when › then › within_s: …``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

Channel = Literal["agent", "customer", "any"]
LANGUAGES = ("zh", "en")
CHANNELS = ("agent", "customer", "any")
AT_LEAST = 0.9
"""Cosine from which a sentence counts as saying the same, unless the rule says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """Somebody on ``channel`` says something: any one of patterns, words, sounds (zh) and sentences of the same meaning, and no ``unless``.

    ``negation``: what is denied in front ("不能保证…", "not …") does not count.
    """

    channel: Channel
    patterns: Mapping[str, tuple[re.Pattern[str], ...]] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sounds: tuple[str, ...] = ()
    like: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    at_least: float = AT_LEAST
    unless: Mapping[str, tuple[re.Pattern[str], ...]] = field(default_factory=dict)
    negation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """``next`` ends at most ``within_ms`` after ``first`` ended."""

    first: Says
    next: Says
    within_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Without:
    """After ``after`` (or from the beginning) ``expected`` is not said: ``within_ms``, or ``before`` something, or until the call's end."""

    expected: Says
    after: Says | None = None
    within_ms: int | None = None
    before: Says | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Nobody speaks for ``ms``, hold not counted."""

    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overtalk:
    """Two utterances lie over each other for ``ms``."""

    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """An utterance of at least three seconds is faster or slower: characters (zh) or words (en) a minute."""

    channel: Channel
    above: Mapping[str, float] = field(default_factory=dict)
    below: Mapping[str, float] = field(default_factory=dict)


Condition = Says | Then | Without | Silence | Overtalk | Rate
_KINDS = ("says", "then", "without", "silence", "overtalk", "rate")
_SAYS_KEYS = ("channel", "patterns", "words", "sounds", "like", "at_least", "unless", "negation")


class Reader:
    """Reads conditions and collects what is wrong with them in ``faults``."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def fault(self, path: str, problem: str) -> None:
        self.faults.append(f"{path}: {problem}")

    def condition(self, raw: Any, path: str, channel: Channel) -> Condition | None:
        """``when``: exactly one kind of condition. ``channel``: the rule's, for parts that name none."""
        kinds = [key for key in raw if key in _KINDS] if isinstance(raw, dict) else []
        if not isinstance(raw, dict) or len(kinds) != 1 or len(raw) != 1:
            self.fault(path, f"must hold exactly one of {', '.join(_KINDS)}")
            return None
        kind, body, where = kinds[0], raw[kinds[0]], f"{path} › {kinds[0]}"
        if not isinstance(body, dict):
            self.fault(where, "must be a mapping")
            return None
        match kind:
            case "says":
                return self.says(body, where, channel)
            case "then":
                return self._then(body, where, channel)
            case "without":
                return self._without(body, where, channel)
            case "rate":
                return self._rate(body, where, channel)
            case _:
                self._known(body, where, ("seconds",))
                ms = self._seconds(body, where, "seconds")
                return None if ms is None else Silence(ms=ms) if kind == "silence" else Overtalk(ms=ms)

    def says(self, raw: Any, path: str, channel: Channel) -> Says | None:
        if not isinstance(raw, dict):
            self.fault(path, "must be a mapping with patterns, words, sounds or like")
            return None
        self._known(raw, path, _SAYS_KEYS)
        chosen = self._channel(raw, path, channel)
        like, at_least = self._texts(raw, path, "like"), raw.get("at_least", AT_LEAST)
        if isinstance(at_least, bool) or not isinstance(at_least, int | float) or not 0 < at_least <= 1:
            self.fault(f"{path} › at_least", f"is {at_least!r}; give a similarity above 0 and at most 1, such as 0.9")
            at_least = AT_LEAST
        sounds = raw.get("sounds", [])
        if not isinstance(sounds, list) or not all(isinstance(word, str) and re.fullmatch(r"[㐀-鿿]{2,}", word) for word in sounds):
            self.fault(f"{path} › sounds", "must be a list of Chinese words of two characters or more")
            sounds = []
        patterns, words = self._patterns(raw, path, "patterns"), self._texts(raw, path, "words")
        if not (any(patterns.values()) or any(words.values()) or sounds or any(like.values())):
            self.fault(path, "says nothing; give patterns, words, sounds or like")
        return Says(
            channel=chosen,
            patterns=patterns,
            words=words,
            sounds=tuple(sounds),
            like=like,
            at_least=float(at_least),
            unless=self._patterns(raw, path, "unless"),
            negation=raw.get("negation") is True,
        )

    def _then(self, raw: dict[str, Any], path: str, channel: Channel) -> Then | None:
        self._known(raw, path, ("first", "next", "within_s"))
        first, following = (self.says(raw.get(key), f"{path} › {key}", channel) for key in ("first", "next"))
        within = self._seconds(raw, path, "within_s")
        return Then(first=first, next=following, within_ms=within) if first and following and within is not None else None

    def _without(self, raw: dict[str, Any], path: str, channel: Channel) -> Without | None:
        self._known(raw, path, ("after", "expected", "within_s", "before"))
        expected = self.says(raw.get("expected"), f"{path} › expected", channel)
        after = self.says(raw["after"], f"{path} › after", channel) if "after" in raw else None
        before_end = raw.get("before") == "end"
        before = self.says(raw["before"], f"{path} › before", channel) if "before" in raw and not before_end else None
        within = self._seconds(raw, path, "within_s") if "within_s" in raw else None
        if ("within_s" in raw) == ("before" in raw):
            self.fault(path, "needs exactly one of within_s and before (something said, or the word end)")
        if "within_s" in raw and after is None:
            self.fault(path, "within_s counts from something: give after")
        return Without(expected=expected, after=after, within_ms=within, before=before) if expected else None

    def _rate(self, raw: dict[str, Any], path: str, channel: Channel) -> Rate:
        self._known(raw, path, ("channel", "above", "below"))
        limits: dict[str, dict[str, float]] = {}
        for key in ("above", "below"):
            given = raw.get(key) or {}
            if not isinstance(given, dict) or not all(
                name in LANGUAGES and isinstance(value, int | float) and not isinstance(value, bool) for name, value in given.items()
            ):
                self.fault(f"{path} › {key}", "must give a number per language, such as {zh: 340, en: 200}")
                given = {}
            limits[key] = {name: float(value) for name, value in given.items()}
        if not limits["above"] and not limits["below"]:
            self.fault(path, "needs above or below")
        return Rate(channel=self._channel(raw, path, channel), above=limits["above"], below=limits["below"])

    def _known(self, raw: Mapping[str, Any], path: str, keys: Sequence[str]) -> None:
        for key in raw:
            if key not in keys:
                self.fault(f"{path} › {key}", f"is not known here; use {', '.join(keys)}")

    def _channel(self, raw: Mapping[str, Any], path: str, channel: Channel) -> Channel:
        given = raw.get("channel", channel)
        if given not in CHANNELS:
            self.fault(f"{path} › channel", f"is {given!r}; it must be one of {', '.join(CHANNELS)}")
            return channel
        return cast("Channel", given)

    def _seconds(self, raw: Mapping[str, Any], path: str, key: str) -> int | None:
        value = raw.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 3600:
            self.fault(f"{path} › {key}", f"is {value!r}; give seconds above 0 and at most 3600, such as 30")
            return None
        return round(value * 1000)

    def _texts(self, raw: Mapping[str, Any], path: str, key: str) -> dict[str, tuple[str, ...]]:
        given = raw.get(key) or {}
        if not isinstance(given, dict):
            self.fault(f"{path} › {key}", "must be lists under zh and en")
            return {}
        found: dict[str, tuple[str, ...]] = {}
        for language, texts in given.items():
            if language not in LANGUAGES or not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
                self.fault(f"{path} › {key} › {language}", "must be a list of texts under zh or en")
            else:
                found[language] = tuple(texts)
        return found

    def _patterns(self, raw: Mapping[str, Any], path: str, key: str) -> dict[str, tuple[re.Pattern[str], ...]]:
        found: dict[str, tuple[re.Pattern[str], ...]] = {}
        for language, texts in self._texts(raw, path, key).items():
            compiled = []
            for number, text in enumerate(texts):
                try:
                    compiled.append(re.compile(text, re.IGNORECASE))
                except re.error as error:
                    self.fault(f"{path} › {key} › {language}[{number}]", f"{text!r} is not a valid regular expression ({error})")
            found[language] = tuple(compiled)
        return found
