"""Recognition ports."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

from copilot.domain.transcript import Hypothesis, RecognizeRequest


class Recognizer(Protocol):
    """A speech engine. Called from decoder threads; one instance may be called by one thread at a time."""

    @property
    def model_id(self) -> str: ...

    def recognize(self, requests: Sequence[RecognizeRequest]) -> list[Hypothesis]:
        """Decode a batch; one hypothesis per request, in order. Raises EngineError."""
        ...


class RecognitionEngine(Recognizer, Protocol):
    """A recogniser on one device, as the dispatcher uses it. Every engine passes tests/contracts/test_recognizer.py.

    Any mix of requests is accepted. Text is simplified Chinese (zh) or English (en); word texts joined (with spaces in en) are the text.
    Audio of an odd number of bytes or of more than 30 s raises EngineError that is not retryable.
    """

    @property
    def workers(self) -> int:
        """How many threads may call ``recognize`` at once; each gets what it would get alone."""
        ...

    @property
    def max_batch(self) -> int:
        """Windows with equal keys that are worth decoding together on this device."""
        ...

    def batch_key(self, request: RecognizeRequest) -> Hashable:
        """Requests with equal keys are decoded together."""
        ...

    def warm_up(self) -> None:
        """Decodes a little silence, so that the first call does not pay for lazy initialisation. Raises EngineError."""
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
