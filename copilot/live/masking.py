"""What a live call asks of its masker, and which of its stored events quote a final that is masked anew. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from copilot.domain.events import CallEvent, ComplianceAlerted, EventEnvelope, SlotFilled, UtteranceFinal, UtteranceTranslated
from copilot.domain.transcript import MaskedAnew, TranscriptFinal, TranscriptPartial

_KEPT = 64
"""Events of the last lines of a call; the masker looks back no further than eight of them."""


class CallMasker(Protocol):
    """PII → per-call tokens (copilot.privacy)."""

    def final(self, final: TranscriptFinal) -> tuple[TranscriptFinal, dict[str, str]]:
        """The masked final, and the vault values of tokens that are new."""
        ...

    def partial(self, partial: TranscriptPartial) -> TranscriptPartial: ...

    def take_rewritten(self) -> list[MaskedAnew]:
        """Earlier finals in which the newest one lets something personal be found; each once."""
        ...

    def metadata(self, metadata: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]: ...

    def resume(self, vault: Mapping[str, str], said: Sequence[tuple[str, str]] = ()) -> None:
        """Goes on with the tokens of a call that another masker began."""
        ...


@dataclass(slots=True)
class RecentQuotes:
    """The newest stored events that hold what was said, by seq."""

    _kept: deque[tuple[int, CallEvent]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def keep(self, envelopes: Iterable[EventEnvelope]) -> None:
        """Remembers those of the stored events that quote somebody."""
        quoting = (UtteranceFinal, SlotFilled, ComplianceAlerted, UtteranceTranslated)
        self._kept.extend((item.seq, item.event) for item in envelopes if isinstance(item.event, quoting))

    def rewritten(self, late: MaskedAnew) -> dict[int, CallEvent]:
        """The events of the final's utterance as they must read now; only those that change."""
        now = ((seq, event, _now(event, late)) for seq, event in self._kept)
        return {seq: new for seq, event, new in now if new != event}

    def accept(self, changed: Mapping[int, CallEvent]) -> None:
        """Remembers what the store holds now instead."""
        for at, (seq, event) in enumerate(self._kept):
            self._kept[at] = (seq, changed.get(seq, event))


def _now(event: CallEvent, late: MaskedAnew) -> CallEvent:
    final = late.final
    match event:
        case UtteranceFinal(utterance_id=final.utterance_id):
            return replace(event, text=final.text, words=final.words, corrections=final.corrections)
        case SlotFilled(utterance_id=final.utterance_id):
            return replace(event, value=_masked(event.value, late), spoken=_masked(event.spoken, late))
        case ComplianceAlerted(utterance_id=final.utterance_id):
            return replace(event, quote=_masked(event.quote, late))
        case UtteranceTranslated(utterance_id=final.utterance_id):
            # Where in the translation the value stands nobody knows.
            return replace(event, text="")
        case _:
            return event


def _masked(text: str, late: MaskedAnew) -> str:
    for clear, token in late.tokens:
        text = text.replace(clear, token)
    return text
