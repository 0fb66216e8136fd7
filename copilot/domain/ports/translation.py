"""Translation of lines of a call, for an agent who does not speak the caller's language."""

from __future__ import annotations

from typing import Protocol


class Translator(Protocol):
    """Asynchronous; used from one event loop."""

    @property
    def model_id(self) -> str: ...

    async def translate(self, text: str, source: str, target: str) -> str:
        """The text in ``target`` (``zh`` or ``en``); tokens such as ``【卡号#1】`` are to be kept. Raises EngineError."""
        ...
