"""Finding words by how they sound, since a recogniser errs towards homophones: folded toneless pinyin, character by character. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from kb.analysis import syllables

_HAN = re.compile(r"[㐀-鿿]+")


@dataclass(frozen=True, slots=True)
class Sounds:
    """The syllables of a text's Han characters, and where each stands. Punctuation between characters is passed over."""

    syllables: tuple[str, ...]
    places: tuple[int, ...]


@lru_cache(maxsize=4096)
def sounds(text: str) -> Sounds:
    """``你好，卡丢了`` → ni hao ka diu ne at 0 1 3 4 5."""
    heard: list[str] = []
    places: list[int] = []
    for run in _HAN.finditer(text):
        found = syllables(run.group())
        # A character without a reading comes back joined to its neighbours: then each is read alone.
        if len(found) != len(run.group()):
            found = tuple(next(iter(syllables(character)), character) for character in run.group())
        heard += found
        places += range(*run.span())
    return Sounds(tuple(heard), tuple(places))


def find(phrase: str, text: str) -> Iterator[tuple[int, int]]:
    """Spans of ``text`` that sound like ``phrase`` (Han characters only), whatever characters are written."""
    wanted = sounds(phrase).syllables
    heard = sounds(text)
    size = len(wanted)
    if not size:
        return
    first = wanted[0]
    for at in range(len(heard.syllables) - size + 1):
        if heard.syllables[at] == first and heard.syllables[at : at + size] == wanted:
            yield heard.places[at], heard.places[at + size - 1] + 1
