"""Whether a text says what a rule or a step waits for: by pattern, word, sound or meaning. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from copilot.live.rule_language import Says
from copilot.live.sounds import find

_SPACE = re.compile(r"\s+")
_PUNCTUATION_ZH = re.compile(r"[\s，。！？、；：,.!?;:“”\"'…]+")
_WORD_EN = re.compile(r"[A-Za-z0-9']+")
_HAN_OR_WORD = re.compile(r"[㐀-鿿]|[A-Za-z0-9]+")
# What stands before a phrase and denies it, with at most a few characters between.
_DENIED = {
    "zh": re.compile(r"(?:不|没|没有|无法|不能|不会|不可|不敢|不得|不是|并非|谁也|很难|未必|禁止|严禁|别)[^，。！？,.!?]{0,4}$"),
    "en": re.compile(r"(?:\bnot|n't|\bnever|\bcannot|\bno one can|\bwithout)(?:\W+\w+){0,3}\W*$", re.IGNORECASE),
}


def spoken_form(text: str, language: str) -> str:
    """The text as the patterns see it: in Chinese without white space and punctuation, in English with single spaces."""
    if language == "zh":
        return _PUNCTUATION_ZH.sub("", text)
    return _SPACE.sub(" ", text).strip()


def said(says: Says, text: str, language: str, alike: Mapping[str, float]) -> str | None:
    """The words by which ``text`` says it, None if it does not. ``alike``: similarity of the text to the sentences of ``like``."""
    if any(pattern.search(form) for pattern in says.unless.get(language, ()) for form in (text, spoken_form(text, language))):
        return None
    for form, start, end in _spans(says, text, language):
        if not (says.negation and _DENIED.get(language, _DENIED["en"]).search(form[:start])):
            return form[start:end]
    for sentence in says.like.get(language, ()):
        if alike.get(sentence, 0.0) >= says.at_least:
            return text
    return None


def _spans(says: Says, text: str, language: str) -> Iterator[tuple[str, int, int]]:
    """(form of the text, start, end) of everything that matches."""
    for form in dict.fromkeys((text, spoken_form(text, language))):
        for pattern in says.patterns.get(language, ()):
            yield from ((form, *match.span()) for match in pattern.finditer(form))
        folded = form.casefold()
        for word in says.words.get(language, ()):
            at = folded.find(word.casefold())
            while at >= 0:
                yield form, at, at + len(word)
                at = folded.find(word.casefold(), at + 1)
    if language == "zh":
        for word in says.sounds:
            yield from ((text, *span) for span in find(word, text))


def units(text: str, language: str) -> int:
    """Characters (zh; a Latin word or number counts as one) or words (en) of a text."""
    return len((_HAN_OR_WORD if language == "zh" else _WORD_EN).findall(text))
