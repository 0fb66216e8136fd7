"""How long a window the encoder sees, and how many tokens may come out of it. PURE.

Whisper's encoder has no padding mask, so every item of a batch needs the same length: audio is padded with zeros to one of a few buckets.
Too little silence after the words makes Whisper loop; the usual 30 s cost an order of magnitude more than speech needs.
"""

from __future__ import annotations

from typing import Literal

from copilot.domain.errors import EngineError
from copilot.domain.transcript import RecognizeRequest

BUCKETS_MS: tuple[int, ...] = (3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000, 10_000, 12_000, 15_000, 17_000, 20_000, 25_000, 30_000)
MAX_WINDOW_MS = 30_000
PARTIAL_SLACK_MS = 2_000
FINAL_SLACK_MS = 1_000
FINAL_MIN_MS = (10_000, 8_000, 6_000)
"""Least window of a final, by ``RecognizeRequest.economy``."""
FINAL_SLACK_SHORT_MS = 2_000
"""Padding of a final where its window may be shorter than 8 s: short padding makes Whisper loop."""
_MAX_LENGTH = 448


def audio_ms(request: RecognizeRequest) -> int:
    """Length of a request's audio in ms. Raises EngineError (not retryable) for half a sample or more than a window holds."""
    size = len(request.pcm16)
    if size % 2:
        raise EngineError(f"A window must hold whole 16-bit samples, not {size} bytes: send s16le audio.")
    if size // 32 > MAX_WINDOW_MS:
        raise EngineError(f"A window holds at most {MAX_WINDOW_MS} ms of audio, not {size // 32}: cut the utterance.")
    return size // 32


def bucket_ms(needed_ms: int) -> int:
    """The smallest bucket of at least ``needed_ms``; the largest when there is none."""
    return next((bucket for bucket in BUCKETS_MS if bucket >= needed_ms), MAX_WINDOW_MS)


def window_ms(audio_ms: int, lane: Literal["final", "partial"], economy: int = 0) -> int:
    """The encoder window for audio of ``audio_ms``: partials get 2 s of padding, finals 1 s and at least 10 s in all (less when saving)."""
    if audio_ms > MAX_WINDOW_MS:
        raise ValueError(f"A window holds at most {MAX_WINDOW_MS} ms of audio, not {audio_ms}.")
    if lane == "partial":
        return bucket_ms(audio_ms + PARTIAL_SLACK_MS)
    least = FINAL_MIN_MS[economy]
    return bucket_ms(max(least, audio_ms + (FINAL_SLACK_SHORT_MS if least < 8_000 and audio_ms < 6_000 else FINAL_SLACK_MS)))


def longer_window_ms(window: int) -> int:
    """The window to try again in when the decode looped: at least 15 s, else the full 30 s."""
    return 15_000 if window < 15_000 else MAX_WINDOW_MS


def max_new_tokens(audio_ms: int) -> int:
    """12 tokens a second of audio and 8: more than anyone speaks, and a bound on what a loop costs."""
    return 12 * audio_ms // 1000 + 8


def max_length(audio_ms: int, prompt_tokens: int = 0) -> int:
    """CTranslate2's ``max_length`` for that many new tokens, within the model's 448 positions.

    It grants min(max_length / 2, max_length − prompt): a long prompt before short audio needs more than twice the tokens.
    """
    new = max_new_tokens(audio_ms)
    return min(_MAX_LENGTH, max(2 * new, new + prompt_tokens))
