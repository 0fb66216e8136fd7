"""What the machine finds in an article before a person looks at it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FindingCode = Literal[
    "no_title", "no_text", "no_source", "no_owner", "no_question", "long_title", "long_answer", "too_long", "dates_reversed",
    "already_over", "pii", "pii_possible", "forbidden", "asks_secret", "forbidden_possible", "contradiction", "duplicate",
]  # fmt: skip
BLOCKING: frozenset[FindingCode] = frozenset(
    {"no_title", "no_text", "no_source", "too_long", "dates_reversed", "already_over", "pii", "forbidden", "asks_secret"}
)
"""These have to be mended. The others a reviewer may confirm one by one: the machine can be wrong about them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``field``: title, answer, body or questions.N, whose ``[start:end]`` is ``quote`` (0, 0: the field as a whole).

    ``facts`` are what the sentence about it needs: a rule's name, the other article, what it says.
    """

    code: FindingCode
    field: str
    quote: str = ""
    start: int = 0
    end: int = 0
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def blocks(self) -> bool:
        return self.code in BLOCKING

    @property
    def key(self) -> str:
        """Names the finding as long as what it is about stays: what a reviewer confirms."""
        return "|".join((self.code, self.field, self.quote, self.facts.get("article_id", ""), self.facts.get("kind", "")))
