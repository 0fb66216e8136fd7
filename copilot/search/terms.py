"""What is looked for, and the terms an index holds. Does no I/O.

The words of calls are sealed in the store, so they do not stand in the index either: every term is a keyed hash (``Blinder``). Who has the
index without the key of the data directory learns how often unknown terms occur together, not which they are.

Chinese is indexed as pairs of neighbouring characters in their order, so that a run of characters is found as it was said, wherever words
begin and end; and again as pairs of folded syllables, so that a homophone the recogniser wrote can be found by its sound.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Literal

from kb.analysis import han_words, is_stop_word, pinyin_bigrams, runs

TERMS_VERSION = 1
"""Changes with whatever makes other terms of the same text."""

Field = Literal["text", "chars", "sounds"]
MOST_NEEDS = 16
_WHOLE = 4
"""A run of so many characters is looked for as it stands; the words of a longer one, each for itself."""

_REMEMBERED = 1 << 18
_PART = re.compile(r'(-?)(?:"([^"]*)"|“([^”]*)”|(\S+))')
_BREAK = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What must be said in one piece: a run of Han characters, or one or more words in Latin letters, stemmed."""

    han: str = ""
    latin: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was typed: all of ``words``, and none of ``without``."""

    words: tuple[Word, ...] = ()
    without: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Terms one behind the other in a field."""

    field: Field
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of a call, blinded. ``text`` and ``sounds`` in their order, with repetitions; ``chars``: each once."""

    text: tuple[str, ...]
    chars: tuple[str, ...]
    sounds: tuple[str, ...]


def wanted(query: str) -> Wanted:
    """Reads a query. Words apart, or in one run, must all be there; "…" in one piece; a minus before: must not.

    A run of up to four characters is taken as it stands; a longer one is cut into its words, and those that tell nothing are passed over.
    """
    must: dict[Word, None] = {}
    without: dict[Word, None] = {}
    for minus, straight, curved, plain in _PART.findall(query):
        quoted = straight or curved
        into = without if minus else must
        for word in _quoted(quoted) if quoted else _plain(plain):
            if len(into) < MOST_NEEDS:
                into[word] = None
    return Wanted(words=tuple(must), without=tuple(without))


def _plain(text: str) -> Iterator[Word]:
    for run in runs(text):
        if not _is_han(run):
            if not is_stop_word(run):
                yield Word(latin=(run,))
            continue
        words = [run] if len(run) <= _WHOLE else [word for word in han_words(run) if len(word) > 1 and not is_stop_word(word)]
        for word in words or [run]:
            yield Word(han=word)


def _quoted(text: str) -> Iterator[Word]:
    together: list[str] = []
    for run in runs(text):
        if not _is_han(run):
            together.append(run)
            continue
        if together:
            yield Word(latin=tuple(together))
            together = []
        yield Word(han=run)
    if together:
        yield Word(latin=tuple(together))


class Blinder:
    """Term → keyed hash. Thread-safe: two threads that reckon the same hash write the same one."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, str] = {}

    def __call__(self, term: str) -> str:
        known = self._known.get(term)
        if known is None:
            digest = blake2b(term.encode(), digest_size=9, key=self._key).digest()
            known = base64.urlsafe_b64encode(digest).decode()
            if len(self._known) < _REMEMBERED:
                self._known[term] = known
        return known

    def terms(self, texts: Iterable[str]) -> Terms:
        """The terms of the texts of a call, of which no phrase reaches from one into the next."""
        text: list[str] = []
        sounds: list[str] = []
        chars: dict[str, None] = {}
        for one in texts:
            for run in runs(one):
                if _is_han(run):
                    text += map(self, _pairs(run))
                    sounds += map(self, pinyin_bigrams(run))
                    chars |= dict.fromkeys(run)
                else:
                    text.append(self(run))
            text.append(_BREAK)
            sounds.append(_BREAK)
        return Terms(text=tuple(text), chars=tuple(map(self, chars)), sounds=tuple(sounds))

    def phrases(self, word: Word, by_sound: bool) -> tuple[Phrase, ...]:
        """The phrases of which one must be there."""
        if word.latin:
            return (Phrase(field="text", terms=tuple(map(self, word.latin))),)
        if len(word.han) == 1:
            return (Phrase(field="chars", terms=(self(word.han),)),)
        written = Phrase(field="text", terms=tuple(map(self, _pairs(word.han))))
        if not by_sound:
            return (written,)
        # The reading of a character depends on its neighbours: what is written alike is found in any case.
        return written, Phrase(field="sounds", terms=tuple(map(self, pinyin_bigrams(word.han))))


def _pairs(run: str) -> list[str]:
    return [left + right for left, right in pairwise(run)] or [run]


def _is_han(run: str) -> bool:
    return "㐀" <= run[0] <= "鿿"
