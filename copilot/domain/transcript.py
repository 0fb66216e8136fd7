"""What was said: partials (ephemeral, may be revised) and finals (durable)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from copilot.domain.audio import ChannelName
from copilot.domain.ids import UtteranceId
from copilot.domain.moods import VoiceMeasure


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word (en) or character (zh). Times in ms of media time; ``confidence`` in [0, 1]."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A term the recogniser's output was corrected to; the original is kept. ``start``/``end`` index the corrected text."""

    start: int
    end: int
    original: str
    corrected: str
    reason: Literal["lexicon", "itn", "person"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AsrTimings:
    """Where the time of one final went, in ms. ``after_speech_ms``: from the end of speech to the final."""

    queue_ms: float = 0.0
    decode_ms: float = 0.0
    endpoint_ms: float = 0.0
    after_speech_ms: float = 0.0
    batch_size: int = 1
    window_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted:
    """Voice activity began on a channel."""

    channel: ChannelName
    utterance_id: UtteranceId
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEnded:
    """Voice activity ended on a channel (the endpoint was confirmed)."""

    channel: ChannelName
    utterance_id: UtteranceId
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptPartial:
    """The open utterance so far. ``stable`` is committed and only ever grows; ``unstable`` may change. Replaces the previous partial."""

    channel: ChannelName
    utterance_id: UtteranceId
    start_ms: int
    end_ms: int
    stable: str
    unstable: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptFinal:
    """One speaker's finished utterance. ``confidence`` in [0, 1] is the mean token probability. ``voice``: of customers, in memory only."""

    channel: ChannelName
    utterance_id: UtteranceId
    start_ms: int
    end_ms: int
    text: str
    language: str
    confidence: float
    words: tuple[Word, ...] = ()
    corrections: tuple[Correction, ...] = ()
    timings: AsrTimings = AsrTimings()
    voice: VoiceMeasure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedAnew:
    """An earlier final in which something personal was found later: the final as it must read now. Ephemeral.

    ``tokens``: (what stood there in clear, its token), for whatever quotes the final.
    """

    final: TranscriptFinal
    tokens: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """Earlier speech of the channel that may be decoded before a window for context. ``text``: what was published of it."""

    pcm16: bytes
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizeRequest:
    """One window to decode. ``pcm16``: mono 16 kHz s16le bytes. Never longer than 30 s.

    ``speculative``: a final asked for during a pause that may not be the end; it may be taken back, or confirmed. ``opening``: a partial
    of an utterance of which nothing is shown yet. ``onset_ms``: where speech begins in ``pcm16``. ``leads``: oldest first; engines that
    cannot use them leave them out, the hypothesis is of ``pcm16`` alone.
    """

    request_id: str
    call_id: str
    channel: ChannelName
    lane: Literal["final", "partial"]
    pcm16: bytes
    language: str
    previous_text: str = ""
    hotwords: tuple[str, ...] = ()
    beam_size: int = 1
    word_times: bool = False
    speculative: bool = False
    opening: bool = False
    onset_ms: int = 0
    leads: tuple[Lead, ...] = ()
    economy: int = 0
    """How much the decode may save: 0 nothing, 1 and 2 smaller beams and shorter windows, as the recogniser's load demands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """A decoded window. Word times are ms from the window's start. ``rejected`` names the gate that refused the text, if any."""

    text: str
    language: str
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    words: tuple[Word, ...] = ()
    rejected: str | None = None
    queue_ms: float = 0.0
    decode_ms: float = 0.0
    batch_size: int = 1
    window_ms: int = 0
