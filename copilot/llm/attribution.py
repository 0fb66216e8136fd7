"""Which source says a sentence? Pure. By the sentence's own words: what a model claims to cite is no evidence.

Chinese is compared by characters and pairs of them, English by words, both without those that carry no meaning; numbers are another matter
(``copilot.llm.grounding``). A sentence that turns a source round ("不收" → "收") is not said by it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

ENOUGH = 0.6
"""Share of a clause's meaning that a source must hold to count as its source."""
_TOGETHER = 0.75
"""The same for two sources together."""
_LEAST = 0.3
"""What the second of two must hold itself."""
_COURTESY_ZH = re.compile(
    r"您好|你好|好的|感谢(?:您)?(?:的)?(?:来电|耐心|理解|支持|等待|配合)|请?(?:您)?(?:稍等|放心|知悉|谅解|理解)|谢谢(?:您)?|不客气"
    r"|(?:非常|很)?抱歉|给您带来(?:的)?不便|(?:非常|很|特别)?理解(?:您)?(?:的)?(?:心情|感受|担心|着急)?|祝您生活愉快"
    r"|(?:请问)?还有(?:其他|什么)?(?:可以)?帮(?:您|到您)的?吗?"
)
_COURTESY_EN = re.compile(
    r"\b(?:hello|hi|sure|certainly|of course|thank you(?: for (?:calling|waiting|your (?:call|patience)))?|thanks|please"
    r"|i(?:'m| am) (?:so |very )?sorry(?: to hear that| about that| for the inconvenience)?|sorry|you(?:'re| are) welcome"
    r"|i understand(?: your concern)?|is there anything else i can help you with)\b",
    re.IGNORECASE,
)
_GRAMMAR_ZH = "的了吗呢吧啊哦呀嘛么要会能可以是在就也都把被请为给让对将并且及和与或但而则其该这那个些"
_PLACES_ZH = "你您我他她它们有到从向由于因此所后前内上下中里等需须"
_NUMERALS_ZH = "一二三四五六七八九十两百千万零半"
_NO_MEANING_ZH = frozenset(_GRAMMAR_ZH + _PLACES_ZH + _NUMERALS_ZH)
_NO_MEANING_EN = frozenset(
    re.findall(
        r"\w+",
        "a an the is are was were be been being am do does did have has had will would shall should can could may might must to of "
        "in on at by for with from as and or but if then than that this these those it its you your yours we our us i my "
        "me they their them he she his her not no so also there here when which who what how all any some just only very about into after "
        "before within up out over under per ",
    )
)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_WORD = re.compile(r"[a-z]+|[\u4e00-\u9fff]", re.IGNORECASE)
_NUMBER = re.compile(r"\d[\d,.]*%?")
_NEGATION_ZH = re.compile(r"(?:不(?![同仅但过论管妨便足久良如])(?!动产)|没有?|未(?!来)|无(?![论线])|非(?!常))([\u4e00-\u9fff]{1,5})")
_NEGATION_EN = re.compile(r"\b(?:no|not|never|cannot|without|free of|waived?|[a-z]+n['’]t)\b((?:[ -]+[a-z]+){1,4})", re.IGNORECASE)
_SPAN = 3


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is compared of a text. ``denied``: what each of its negations denies; ``plain``: what stands somewhere without one."""

    pieces: frozenset[str]
    """Pairs of characters, and words."""
    singles: frozenset[str]
    """The characters of these pairs, and words."""
    denied: tuple[frozenset[str], ...]
    plain: frozenset[str]


def meaning(text: str) -> Meaning:
    """Its meaningful pieces, without courtesies and numbers."""
    text = _NUMBER.sub(" ", _COURTESY_EN.sub(" ", _COURTESY_ZH.sub("，", text)))
    denied: list[frozenset[str]] = []

    def cut(match: re.Match[str]) -> str:
        """Takes what is denied out of the text, and leaves the rest of what was matched."""
        span, rest = _denied(match[1])
        if span:
            denied.append(span)
        return f"，{rest}"

    plain = _NEGATION_EN.sub(cut, _NEGATION_ZH.sub(cut, text))
    pieces = _pieces(text)
    return Meaning(pieces, _singles(pieces), tuple(denied), _pieces(plain))


def _singles(pieces: frozenset[str]) -> frozenset[str]:
    return frozenset(part for piece in pieces for part in (piece if _HAN.match(piece) else (piece,)))


def _share(said: Meaning, pieces: frozenset[str]) -> float:
    """How much of what is said the pieces hold: the mean over pairs and over characters."""
    pairs = len(said.pieces & pieces) / len(said.pieces)
    return (pairs + len(said.singles & _singles(pieces)) / len(said.singles)) / 2


def _denied(after: str) -> tuple[frozenset[str], str]:
    """What the words after a negation deny, and the words beyond."""
    if not _HAN.match(after):
        for match in _WORD.finditer(after):
            if match[0].casefold() not in _NO_MEANING_EN:
                return frozenset({_stem(match[0].casefold())}), after[match.end() :]
        return frozenset(), after
    taken = [(at, character) for at, character in enumerate(after) if character not in _NO_MEANING_ZH][:_SPAN]
    if not taken:
        return frozenset(), after
    characters = "".join(character for _, character in taken)
    pairs = {characters[at : at + 2] for at in range(len(characters) - 1)} or {characters}
    return frozenset(pairs), after[taken[-1][0] + 1 :]


def _pieces(text: str) -> frozenset[str]:
    """Pairs of neighbouring Chinese characters (those without meaning skipped, no pair over a mark or a number) and stems of words."""
    found: set[str] = set()
    last, end = "", 0
    for match in _WORD.finditer(text):
        word = match[0]
        if match.start() != end:
            last = ""
        end = match.end()
        if not _HAN.match(word):
            last = ""
            if word.casefold() not in _NO_MEANING_EN:
                found.add(_stem(word.casefold()))
        elif word not in _NO_MEANING_ZH:
            if last:
                found.add(last + word)
            last = word
    return frozenset(found)


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def is_courtesy(text: str) -> bool:
    """True if nothing is left to be proved: greetings, thanks, an apology, marks."""
    left = _COURTESY_EN.sub("", _COURTESY_ZH.sub("", text))
    return not re.search(r"\w", left)


def support(text: str, sources: Sequence[str]) -> float:
    """How much of a text's meaning the sources hold together, 0 to 1; 1 for a text without any."""
    said = meaning(text)
    if not said.pieces:
        return 1.0
    return _share(said, frozenset[str]().union(*(meaning(source).pieces for source in sources)))


class Sources:
    """The sources of one reply, read once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._read = [meaning(text) for text in texts]

    def of(self, text: str) -> tuple[int, ...] | None:
        """The sources that say the text, best first: one, or two together; None if they do not say it, or say the opposite."""
        said = meaning(text)
        if not said.pieces:
            # Only words without meaning, or numbers: whether those are right is judged elsewhere.
            return ()
        shares = sorted(((_share(said, source.pieces), -at) for at, source in enumerate(self._read)), reverse=True)
        if not shares:
            return None
        best, first = shares[0][0], -shares[0][1]
        if best >= ENOUGH:
            return (first,) if self._agrees(said, [first]) else None
        if len(shares) > 1 and shares[1][0] >= _LEAST:
            second = -shares[1][1]
            if _share(said, self._read[first].pieces | self._read[second].pieces) >= _TOGETHER and self._agrees(said, [first, second]):
                return (first, second)
        return None

    def _agrees(self, said: Meaning, sources: Sequence[int]) -> bool:
        denied = [span for at in sources for span in self._read[at].denied]
        plain = frozenset[str]().union(*(self._read[at].plain for at in sources))
        if any(not any(_same(span, other) for other in denied) for span in said.denied):
            return False
        # What the source only denies must not be stated.
        return not any(piece in said.plain and piece not in plain for span in denied for piece in span)


def _same(span: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two negations deny the same: a common piece, or in Chinese the same first character ("不收取" and "不收")."""
    return bool(span & other) or any(piece[0] == known[0] and _HAN.match(piece) for piece in span for known in other)
