"""Speech that can be recognised exactly: each character is 200 ms at a level of its own. The VAD and the engine read the levels.

So a pipeline can be tried with real audio arithmetic (windows, pre-roll, overlap, times) and no model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from copilot.domain.transcript import Hypothesis, RecognizeRequest, Word

CHARACTER_MS = 200
_BASE, _STEP = 2000, 100
_ALPHABET = "甲乙丙丁戊己庚辛子丑寅卯辰巳午未申酉戌亥春夏秋冬东南西北金木水火土日月星风云山川"


def tone(text: str) -> bytes:
    """``text`` as 16 kHz s16le; a space is 200 ms of silence. Neighbouring characters must differ."""
    levels = [0 if character == " " else _BASE + _STEP * _ALPHABET.index(character) for character in text]
    return np.repeat(np.array(levels, dtype="<i2"), CHARACTER_MS * 16).tobytes()


def silence(ms: int) -> bytes:
    return bytes(ms * 32)


def story(count: int) -> str:
    """``count`` characters, neighbours different."""
    return "".join(_ALPHABET[(i * 7) % len(_ALPHABET)] for i in range(count))


def heard(pcm16: bytes) -> list[Word]:
    """The characters of which at least a quarter is there."""
    levels = np.frombuffer(pcm16, dtype="<i2")
    if not levels.size:
        return []
    edges = np.flatnonzero(np.diff(levels)) + 1
    words: list[Word] = []
    for start, end in zip([0, *edges], [*edges, len(levels)], strict=True):
        if levels[start] and end - start >= CHARACTER_MS * 4:
            text = _ALPHABET[(int(levels[start]) - _BASE) // _STEP]
            words.append(Word(text=text, start_ms=int(start) // 16, end_ms=int(end) // 16, confidence=0.9))
    return words


def recognise(request: RecognizeRequest) -> Hypothesis:
    words = heard(request.pcm16)
    text = "".join(word.text for word in words)
    return Hypothesis(
        text=text,
        language=request.language,
        avg_logprob=-0.1,
        no_speech_prob=0.0,
        compression_ratio=1.0,
        words=tuple(words) if request.word_times else (),
        rejected=None if text else "empty",
    )


class ToneVad:
    """Speech where most of the window is not silent."""

    def __init__(self) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def __call__(self, window: np.ndarray) -> float:
        assert window.shape == (512,)
        return 0.99 if np.count_nonzero(window) > 256 else 0.01


class ToneRecognizer:
    """A Recognizer over ``recognise`` that remembers its batches."""

    model_id = "tone"

    def __init__(self) -> None:
        self.batches: list[list[RecognizeRequest]] = []

    def recognize(self, requests: Sequence[RecognizeRequest]) -> list[Hypothesis]:
        self.batches.append(list(requests))
        return [recognise(request) for request in requests]
