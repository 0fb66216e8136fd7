"""Generation port. Everything works without one; with one, better."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from copilot.domain.artifacts import Turn
from copilot.domain.knowledge import Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyRequest:
    """What a grounded reply is written from: masked turns and the hits it may quote, nothing else."""

    language: str
    turns: Sequence[Turn]
    hits: Sequence[Hit]
    style: str = "standard"


class ReplyWriter(Protocol):
    @property
    def model_id(self) -> str: ...

    def stream(self, request: ReplyRequest) -> AsyncIterator[str]:
        """Pieces of the reply as they are written. Raises EngineError. Closing the iterator cancels the request."""
        ...

    async def aclose(self) -> None:
        """Gives connections back. Idempotent."""
        ...


class TextModel(Protocol):
    """A model that answers one prompt with one JSON object. Synchronous (after-call work)."""

    @property
    def model_id(self) -> str: ...

    def complete_json(self, prompt_name: str, variables: dict[str, object], schema: dict[str, object]) -> dict[str, object]:
        """The model's answer, valid against ``schema``. Raises EngineError."""
        ...
