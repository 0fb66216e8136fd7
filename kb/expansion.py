"""Other ways to ask a question: words in one another's place, spoken beginnings, what a recogniser may hear. Deterministic."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from kb.analysis import normalise
from kb.noise import Noise, noisy
from kb.wordings import wordings

Embed = Callable[[Sequence[str], Literal["query", "passage"]], npt.NDArray[np.float32]]
NEAR = 0.9
"""Least cosine with the question: below it the words have changed what is asked."""
MOST = 8
_MISHEARD = Noise(kind="homophone", rate=0.2)


def variants(question: str, language: str) -> list[str]:
    """Candidates, none of them the question itself, in a fixed order; not yet filtered by meaning."""
    question = question.strip().rstrip("?？。.")
    found = dict.fromkeys((*_synonyms(question, language), *_openings(question, language), *_heard(question, language)))
    known = {normalise(question)}
    return [text for text in found if text and normalise(text) not in known]


def expanded(question: str, language: str, embed: Embed, most: int = MOST) -> list[str]:
    """At most ``most`` variants that still ask the same, by cosine with the question."""
    candidates = variants(question, language)
    if not candidates:
        return []
    vectors = embed([question, *candidates], "query")
    near = vectors[1:] @ vectors[0]
    return [text for text, cosine in zip(candidates, near, strict=True) if cosine >= NEAR][:most]


def _synonyms(question: str, language: str) -> Iterator[str]:
    for group in wordings(language).synonyms:
        # The longest first, so that 银行卡 is not read as 银行 and 卡.
        for word in sorted(group, key=len, reverse=True):
            pattern = re.compile(rf"\b{re.escape(word)}\b" if word.isascii() else re.escape(word), re.IGNORECASE)
            if pattern.search(question):
                yield from (pattern.sub(other, question, count=1) for other in group if other != word and other not in question)
                break


def _openings(question: str, language: str) -> Iterator[str]:
    yield from (opening.replace("{q}", question) for opening in wordings(language).openings)


def _heard(question: str, language: str) -> Iterator[str]:
    """A homophone in a fifth of the places, as a recogniser would write it."""
    if language == "zh":
        yield from (noisy(question, _MISHEARD, seed) for seed in (1, 2))
