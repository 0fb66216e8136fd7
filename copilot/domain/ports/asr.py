"""Recognition ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from copilot.domain.transcript import Hypothesis, RecognizeRequest


class Recognizer(Protocol):
    """A speech engine. Called from decoder threads; one instance may be called by one thread at a time."""

    @property
    def model_id(self) -> str: ...

    def recognize(self, requests: Sequence[RecognizeRequest]) -> list[Hypothesis]:
        """Decode a batch; one hypothesis per request, in order. Raises EngineError."""
        ...


class Transcriber(Protocol):
    """Where a channel sends its windows: the dispatcher. Awaiting never blocks the loop."""

    async def transcribe(self, request: RecognizeRequest) -> Hypothesis | None:
        """The hypothesis; None when a partial was superseded or its deadline passed. Finals always come back or raise EngineError."""
        ...

    def confirm(self, request: RecognizeRequest) -> None:
        """The utterance of a speculative request is over: it becomes an ordinary final, with this request (same id, more audio) if its
        decode has not begun. Unknown and answered requests are ignored."""
        ...

    def admit(self) -> None:
        """Raises Overloaded when a further call would harm the running ones."""
        ...
