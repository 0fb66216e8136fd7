"""One channel of one call, from 16 kHz samples to transcript events. Sans-I/O: it returns effects and never awaits, sleeps or reads a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass

from copilot.domain.transcript import RecognizeRequest, SpeechEnded, SpeechStarted, TranscriptFinal, TranscriptPartial


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribe:
    """Decode ``request`` and hand the outcome to ``receive_hypothesis(tag, …)``.

    None for a partial that was superseded, and for a final whose decode failed (the pipeline asks again once, then keeps what partials had).
    """

    request: RecognizeRequest
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitPartial:
    """Show this. A partial with neither stable nor unstable text withdraws the utterance: it turned out to be no speech."""

    partial: TranscriptPartial


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitFinal:
    """Store this. Finals of a channel come in media order."""

    final: TranscriptFinal


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitSpeech:
    """Voice activity began or ended."""

    event: SpeechStarted | SpeechEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPartial:
    """The outcome of ``tag`` (a partial, or a speculative final) is no longer wanted; cancelling its task saves the decode. Optional."""

    tag: str


PipelineEffect = Transcribe | EmitPartial | EmitFinal | EmitSpeech | CancelPartial
