"""Translation by the configured language model: one line at a time, as data, each within a time of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from copilot.domain.errors import EngineError
from copilot.domain.ports.llm import TextModel
from copilot.llm.instructions import without_instructions
from copilot.llm.resilience import CircuitBreaker

_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"translation": {"type": "string", "maxLength": 2000}},
    "required": ["translation"],
    "additionalProperties": False,
}
_LONGER = 6
"""A translation this many times as long as the line is none."""


class LlmTranslator:
    """``copilot.domain.ports.translation.Translator`` over a text model; the model has a deadline of its own."""

    def __init__(self, model: TextModel, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._model = model
        self._monotonic = monotonic
        self._breaker = CircuitBreaker()

    @property
    def model_id(self) -> str:
        return self._model.model_id

    async def translate(self, text: str, source: str, target: str) -> str:
        """See ``Translator.translate``. What a caller says to a machine is not translated."""
        line = without_instructions(text)
        if not line:
            raise EngineError("The line speaks to a machine and is not translated.")
        if not self._breaker.allows(self._monotonic()):
            raise EngineError("The model server failed several times in a row and is left alone for a while.", retryable=True)
        variables: dict[str, object] = {"language": target, "from": source, "to": target, "line": line}
        try:
            answer = await asyncio.to_thread(self._model.complete_json, "translate", variables, _SCHEMA)
        except EngineError:
            self._breaker.failed(self._monotonic())
            raise
        self._breaker.succeeded()
        made = str(answer["translation"]).strip()
        if not made or len(made) > _LONGER * len(line) + 40:
            raise EngineError("The model's translation is empty or far too long; the line stands as it was said.")
        return made
