"""Generation port. Everything works without one; with one, better."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from copilot.domain.artifacts import Turn
from copilot.domain.knowledge import Hit
from copilot.domain.suggestions import ReplyStyle


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyRequest:
    """What a grounded reply is written from: masked turns and the hits it may quote, nothing else.

    ``forbidden``: wordings of the organisation that no reply may hold, beside those that hold for every bank.
    """

    language: str
    turns: Sequence[Turn]
    hits: Sequence[Hit]
    style: ReplyStyle = "standard"
    forbidden: Sequence[re.Pattern[str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPiece:
    """A clause that may be shown. ``sources``: which of the request's hits say it, from 0; empty for a courtesy.

    ``ends``: a sentence ends with it.
    """

    text: str
    sources: tuple[int, ...] = ()
    ends: bool = False


class ReplyWriter(Protocol):
    @property
    def model_id(self) -> str: ...

    def stream(self, request: ReplyRequest) -> AsyncGenerator[ReplyPiece, None]:
        """Pieces of the reply as they are written, each checked before it is given out; all of them together are the reply.

        Raises EngineError when the model fails, Refused when the rest may not be shown: what was shown before must then be taken back.
        Closing the iterator cancels the request.
        """
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
