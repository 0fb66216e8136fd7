"""What one channel's pipeline asks of whoever runs it. PURE."""

from __future__ import annotations

from dataclasses import dataclass

from copilot.domain.transcript import RecognizeRequest, SpeechEnded, SpeechStarted, TranscriptFinal, TranscriptPartial


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribe:
    """Decode ``request`` and hand the outcome to ``receive_hypothesis(tag, …)``.

    None for a partial that was superseded, and for a final whose decode failed (it is asked for once more, then what partials had is kept).
    """

    request: RecognizeRequest
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """The pause was the end: the speculative final of this id is wanted for certain, with this longer audio if it still waits."""

    request: RecognizeRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitPartial:
    """Show this. A partial with neither stable nor unstable text withdraws the utterance: no speech after all."""

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


PipelineEffect = Transcribe | Confirm | EmitPartial | EmitFinal | EmitSpeech | CancelPartial
