"""Words and their times from a Whisper decode and its alignment. PURE."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from copilot.domain.transcript import Word

_TOKENS_PER_SECOND = 50


def words_of(tokenizer: Any, tokens: list[int], aligned: Any, audio_ms: int, confidence: float) -> list[Word]:
    """Characters (zh) or words (en) with marks attached to the one before; joined they make the text."""
    pieces, piece_tokens = tokenizer.split_to_word_tokens(list(tokens))
    if not pieces:
        return []
    ends = np.cumsum([len(piece) for piece in piece_tokens])
    starts = ends - np.array([len(piece) for piece in piece_tokens])
    times, probabilities = _token_times(aligned, len(tokens), audio_ms)
    words: list[Word] = []
    for piece, start, end in zip(pieces, starts, ends, strict=True):
        text = piece.replace("\ufffd", "")
        if words and not any(character.isalnum() for character in text):
            words[-1] = replace(words[-1], text=words[-1].text + text)
            continue
        if not text.strip():
            continue
        if words and _continues(words[-1].text, text):
            words[-1] = replace(words[-1], text=words[-1].text + text, end_ms=max(words[-1].end_ms, int(times[end])))
            continue
        chance = float(np.mean(probabilities[start:end])) if probabilities is not None else confidence
        words.append(
            Word(
                text=text,
                start_ms=int(times[start]),
                end_ms=max(int(times[start]), int(times[end])),
                confidence=max(0.0, min(1.0, chance)),
            )
        )
    if not words:
        return []
    if tokenizer.language_code == "en":
        return [replace(word, text=word.text.strip()) for word in words]
    words[0] = replace(words[0], text=words[0].text.lstrip())
    words[-1] = replace(words[-1], text=words[-1].text.rstrip())
    return words


def _continues(before: str, text: str) -> bool:
    """True if ``text`` goes on with the number or Latin word that ``before`` ends with."""
    return text[0].isascii() and text[0].isalnum() and before[-1].isascii() and (before[-1].isalnum() or before[-1] == ".")


def _token_times(aligned: Any, count: int, audio_ms: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
    """Start of each token, and of the end after the last, in ms; token probabilities if the alignment gave them."""
    even = np.linspace(0.0, float(audio_ms), count + 1)
    if aligned is None or not aligned.alignments:
        return even, None
    path = np.array(aligned.alignments)
    jumps = np.pad(np.diff(path[:, 0]), (1, 0), constant_values=1).astype(bool)
    times = path[jumps, 1] * (1000.0 / _TOKENS_PER_SECOND)
    probabilities = np.array(aligned.text_token_probs, dtype=np.float64)
    if len(times) < count:
        return even, probabilities if len(probabilities) >= count else None
    times = np.append(times[:count], times[count] if len(times) > count else float(path[-1, 1]) * 1000.0 / _TOKENS_PER_SECOND + 20.0)
    return np.clip(times, 0.0, float(audio_ms)), probabilities
