"""A Transcriber that hears tone speech (see tone_speech) at once, or fails, waits or refuses when told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from copilot.domain.transcript import Hypothesis, RecognizeRequest
from tests.fakes.tone_speech import recognise


@dataclass(eq=False)
class FakeTranscriber:
    requests: list[RecognizeRequest] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    """Raised by the next finals, one each."""
    gate: asyncio.Event | None = None
    """If set, finals wait for it."""
    refuse: Exception | None = None

    async def transcribe(self, request: RecognizeRequest) -> Hypothesis | None:
        self.requests.append(request)
        await asyncio.sleep(0)
        if request.lane == "final":
            if self.gate is not None:
                await self.gate.wait()
            if self.failures:
                raise self.failures.pop(0)
        return recognise(request)

    def admit(self) -> None:
        if self.refuse is not None:
            raise self.refuse

    def confirm(self, request: RecognizeRequest) -> None:
        """Speculative finals are answered at once here."""
