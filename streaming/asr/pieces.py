"""Words from the tokens of engines that write no spaces or marks of their own accord: SenseVoice and Paraformer. PURE."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from copilot.domain.transcript import Word

MAX_WORD_MS = 600
"""A token's end is the next one's start, but nobody holds a syllable for longer than this."""

_NUMBER = re.compile(r"[0-9][.,]?$")


def words_of(
    tokens: Sequence[str], starts_ms: Sequence[int] | None, audio_ms: int, language: str, *, confidence: float, marked: bool
) -> list[Word]:
    """Characters (zh) or words (en) with marks attached to the one before.

    ``tokens``: with a leading space or ``▁`` where a Latin word begins (``marked``), or a trailing ``@@`` where it goes on. ``starts_ms``:
    the start of each token; None, or not one for each: spread evenly over the audio. Times never decrease and stay within ``audio_ms``.
    In zh the words' texts joined are the text (a space between Latin words belongs to the second); in en they are joined by spaces.
    """
    starts = _starts(len(tokens), starts_ms, audio_ms)
    words: list[Word] = []
    goes_on = False
    for index, token in enumerate(tokens):
        begins = token.startswith((" ", "▁"))
        text = token.replace("▁", " ").strip()
        continued, text = text.endswith("@@"), text.removesuffix("@@")
        if not text:
            continue
        start, end = starts[index], min(starts[index + 1], starts[index] + MAX_WORD_MS)
        mark = not any(character.isalnum() for character in text)
        if words and (mark or goes_on or (not begins and _continues(words[-1].text, text, marked))):
            before = words[-1]
            words[-1] = replace(before, text=before.text + text, end_ms=before.end_ms if mark else max(before.end_ms, end))
        else:
            words.append(Word(text=text, start_ms=start, end_ms=end, confidence=confidence))
        goes_on = continued
    if language != "zh":
        return words
    return [_spaced(words[index - 1].text, word) if index else word for index, word in enumerate(words)]


def simplified(words: Sequence[Word], convert: Callable[[str], str]) -> list[Word]:
    """The words in simplified characters. Converted as one text, where that keeps its length, so that context counts."""
    joined = "".join(word.text for word in words)
    converted = convert(joined)
    if len(converted) != len(joined):
        return [replace(word, text=convert(word.text)) for word in words]
    position, result = 0, []
    for word in words:
        result.append(replace(word, text=converted[position : position + len(word.text)]))
        position += len(word.text)
    return result


def _starts(count: int, starts_ms: Sequence[int] | None, audio_ms: int) -> list[int]:
    """Start of each token, and the end of the audio."""
    if starts_ms is None or len(starts_ms) != count:
        return [*(audio_ms * index // count for index in range(count)), audio_ms]
    result: list[int] = []
    least = 0
    for start in starts_ms:
        least = min(audio_ms, max(least, start))
        result.append(least)
    return [*result, audio_ms]


def _continues(before: str, text: str, marked: bool) -> bool:
    """True if ``text``, which no space precedes, goes on with ``before``: digits always, letters where spaces are ``marked``."""
    if not text[0].isascii():
        return False
    if text[0].isdigit() and _NUMBER.search(before):
        return True
    return marked and before[-1].isascii() and before[-1].isalnum()


def _spaced(before: str, word: Word) -> Word:
    """A space between two Latin words; none beside a Chinese character."""
    latin = word.text[0].isascii() and word.text[0].isalpha() and before[-1].isascii()
    return replace(word, text=f" {word.text}") if latin else word
