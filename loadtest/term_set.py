"""Sentences with bank terms marked in them, as in ``tests/data/terms``: what was said, and which terms it holds. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_MARKED = re.compile(r"\[([^\[\]]+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TermSentence:
    """``terms``: in order, repeated when said twice; empty for a sentence without any."""

    sentence_id: str
    text: str
    terms: tuple[str, ...]


def parse_sentences(document: str) -> tuple[TermSentence, ...]:
    """Lines of ``id<TAB>text``, terms in square brackets; empty lines and those that begin with # are skipped.

    Raises ValueError for a line without a tab, an id that is there twice or a bracket without its partner.
    """
    sentences: list[TermSentence] = []
    seen: set[str] = set()
    for number, line in enumerate(document.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        sentence_id, tab, marked = line.partition("\t")
        text = _MARKED.sub(r"\1", marked)
        if not tab or not text or "[" in text or "]" in text:
            raise ValueError(f"line {number}: must be an id, a tab and a text whose brackets close")
        if sentence_id in seen:
            raise ValueError(f"line {number}: {sentence_id} is there twice")
        seen.add(sentence_id)
        sentences.append(TermSentence(sentence_id=sentence_id, text=text, terms=tuple(_MARKED.findall(marked))))
    return tuple(sentences)


def longest_terms(text: str, lexicon: Iterable[str]) -> tuple[str, ...]:
    """Terms of the lexicon in a text, leftmost and longest first, none inside another."""
    pattern = "|".join(sorted(map(re.escape, lexicon), key=len, reverse=True))
    return tuple(re.findall(pattern, text)) if pattern else ()


def spoken_form(text: str, said: Mapping[str, str]) -> str:
    """The text as the voices need it: words in Latin letters replaced by how they are said."""
    for written in sorted(said, key=len, reverse=True):
        text = text.replace(written, said[written])
    return text
