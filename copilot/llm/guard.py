"""What a generated reply may not contain. Pure: text in, the cleared part out, clause by clause, before anybody sees it.

A clause is cleared when a source says it (``copilot.llm.attribution``), with that source's numbers and their units, without a forbidden
wording, a promise, a claim that something was done, an address or a personal value of its own. It does not matter who asked for what:
an order that a model obeyed is caught by what came of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from copilot.domain.errors import EngineError, Refused
from copilot.domain.ports.llm import ReplyPiece
from copilot.llm.attribution import Sources, is_courtesy
from copilot.llm.grounding import numbers_in, quantities_in
from copilot.privacy.find import find_pii

NO_ANSWER = "NO_ANSWER"
MOST_CHARACTERS = 600
_CLAUSE_END = re.compile(r"[，。！？；\n]|[,;!?](?=\s)|\.(?=\s)")
_SENTENCE_END = re.compile(r"[。！？；\n!?.;]\s*$")
_THINKING = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
_MARK = re.compile(r"\s*[\[【(（](?:来源|source)?\s*\d{1,2}[\]】)）]", re.IGNORECASE)
_ADDRESS = re.compile(
    r"https?:|www\.|\b[\w-]+\.(?:com|cn|net|org|top|xyz|info|io|cc|vip)\b|点(?:com|cn|net)|微信|QQ群?|telegram|whatsapp", re.IGNORECASE
)

_LINK = re.compile(r"https?:|www\.|微信号|加(?:一下|我)?.{0,2}微信\s*[a-z0-9_]", re.IGNORECASE)

FORBIDDEN: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<!不)(?<!非)保(?:证)?本(?!人|行|次|月|年|期)",
        r"(?<!不)保(?:证)?收益|稳赚|只赚不赔|零风险|没有(?:任何|一点)?风险|无风险",
        r"(?<!不)(?<!不能)(?<!无法)(?:一定|肯定|绝对|保证|百分之?百|包)(?:能|会|可以|帮|给)?.{0,6}"
        r"(?:追回|退回|找回|批|通过|下款|放款|成功)",
        r"(?:肯定|绝对|一定)(?:没|不会有?)(?:有)?(?:问题|事)|包在我身上|走.{0,2}后门|特殊关系",
        r"安全账户|(?:告诉我|提供|说一下|发给我|报一下|念一下).{0,6}(?:密码|验证码|CVV|安全码)",
        r"(?<!not )\bguaranteed? (?:return|profit|approval|principal|capital|interest)"
        r"|\b(?:returns?|principal|capital|profits?|approval) (?:is|are) (?:fully )?guaranteed|\b(?:zero|no) risk\b|risk[- ]free",
        r"\b(?:definitely|certainly|surely|guaranteed?|promise)\b.{0,30}"
        r"\b(?:recover|approved?|refund(?:ed)?|get (?:it|your money) back|work)",
        r"\b(?:tell|give|send|read) me your .{0,20}(?:password|pin|cvv|one[- ]time|verification code)|\bsafe account\b",
        r"\b(?:system prompt|as an ai)\b|系统提示词|作为(?:一个)?(?:AI|人工智能)|开发者模式|developer mode",
    )
)
"""Never said for any bank, whatever its own rules add."""
_DONE_ZH = "办理|办好|处理|开通|关闭|取消|核实|核验|验证|通过|登记|提交|冻结|解冻|转账|转出|退款|退还|免除|减免|删除|修改|调整|上报"
_DONE_EN = (
    "processed|cancell?ed|closed|waived|refunded|verified|approved|transferred|frozen|unlocked|changed|updated|deleted|raised|submitted"
    "|recorded|authenticated"
)
_CLAIMS = re.compile(
    r"(?<!如)(?<!若)(?<!是否)已经?(?:成功)?(?:为|帮|给|替|将|把)(?:您|你|客户)?"
    rf"|(?<!如)(?<!若)(?<!是否)(?:已经?|已成功)(?:全部|完全)?(?:{_DONE_ZH})"
    rf"|\b(?:i|we)(?: have|'ve) (?:\w+ ){{0,2}}(?:{_DONE_EN})\b|\b(?:has|have) (?:now |already |just )?been (?:\w+ )?(?:{_DONE_EN})\b"
    rf"|\b(?:your|my|the|this|that) (?:\w+ ){{1,3}}(?:is|are) (?:now |already )?(?:{_DONE_EN})\b",
    re.IGNORECASE,
)
"""A reply answers; whether something was done is not for a model to say, unless the source says just that."""

_MESSAGES = {
    "no_answer": "The model found no answer in the sources; the approved answer stands.",
    "number": "The model's reply has a number that is not in its sources and is not shown; the approved answer stands.",
    "forbidden": "The model's reply has a forbidden wording and is not shown; the approved answer stands.",
    "unsupported": "The model's reply says what no source says and is not shown; the approved answer stands.",
    "personal": "The model's reply has personal data of its own and is not shown; the approved answer stands.",
    "claim": "The model's reply claims that something was done and is not shown; the approved answer stands.",
    "too_long": "The model's reply was too long and is not shown; the approved answer stands.",
}


def fit_to_quote(text: str) -> bool:
    """Whether a passage that nobody approved as an answer may be put before an agent: nothing forbidden, no address, nobody's data."""
    return not (any(pattern.search(text) for pattern in FORBIDDEN) or _ADDRESS.search(text) or _numbers_of_people(text))


def fit_to_say(answer: str) -> bool:
    """Whether an approved answer has no link and no number of a person in it."""
    return not (_LINK.search(answer) or _numbers_of_people(answer))


def _numbers_of_people(text: str) -> bool:
    return any(any(character.isdigit() for character in text[span.start : span.end]) for span in find_pii(text))


def refused(reason: str) -> Refused:
    """The refusal for a reason of ``Refused.REFUSALS``."""
    return Refused(_MESSAGES[reason], reason=reason)


class ReplyGuard:
    """``receive`` text as it comes, get back pieces that may be shown; ``finish`` gives the rest.

    Raises Refused when the text may not be shown. Text is held back to the end of a clause, so that a number is judged when it is whole.
    ``forbidden``: the organisation's own wordings.
    """

    def __init__(self, sources: Sequence[str], forbidden: Sequence[re.Pattern[str]] = ()) -> None:
        self._sources = tuple(sources)
        self._said_by = Sources(self._sources)
        self._numbers = [numbers_in(source) for source in self._sources]
        self._quantities = [quantities_in(source) for source in self._sources]
        self._forbidden = (*FORBIDDEN, *forbidden)
        self._text = ""
        self._shown = 0

    def receive(self, text: str) -> list[ReplyPiece]:
        """The newly cleared pieces, often none."""
        self._text += text
        if self._text.lstrip().startswith("<think>"):
            if "</think>" not in self._text:
                return []
            self._text = _THINKING.sub("", self._text, count=1)
        if len(self._text) > MOST_CHARACTERS:
            raise refused("too_long")
        return [self._clear(match.end()) for match in list(_CLAUSE_END.finditer(self._text, self._shown))]

    def finish(self) -> list[ReplyPiece]:
        """What is left, cleared. Raises EngineError when the model said nothing, Refused when it says that it has no answer."""
        rest = [self._clear(len(self._text))] if self._shown < len(self._text) else []
        if not self._text.strip():
            raise EngineError("The model wrote nothing; the approved answer stands.", retryable=True)
        return [piece for piece in rest if piece.text.strip()]

    def _clear(self, end: int) -> ReplyPiece:
        if NO_ANSWER in self._text:
            raise refused("no_answer")
        so_far = self._text[:end]
        clause = _MARK.sub("", self._text[self._shown : end])
        if any(pattern.search(so_far) for pattern in self._forbidden):
            raise refused("forbidden")
        # Against the whole so far: a value or an address may go over the end of a clause.
        self._check_addresses(so_far)
        sources = self._cite(clause)
        self._shown = end
        return ReplyPiece(text=clause, sources=sources, ends=bool(_SENTENCE_END.search(clause)) or end == len(self._text))

    def _check_addresses(self, text: str) -> None:
        folded = "\n".join(self._sources).casefold()
        if any(match[0].casefold() not in folded for match in _ADDRESS.finditer(text)):
            raise refused("unsupported")
        if any(text[span.start : span.end].casefold() not in folded for span in find_pii(text)) or "【" in text:
            raise refused("personal")
        if any(match[0].casefold() not in folded for match in _CLAIMS.finditer(text)):
            raise refused("claim")

    def _cite(self, clause: str) -> tuple[int, ...]:
        if is_courtesy(clause):
            return ()
        numbers = numbers_in(clause)
        if numbers - frozenset[str]().union(*self._numbers):
            raise refused("number")
        found = self._said_by.of(clause)
        if found is None:
            raise refused("unsupported")
        if not found:
            # Numbers and words without meaning: whichever source has all of them.
            found = next(((at,) for at, known in enumerate(self._numbers) if numbers and numbers <= known), ())
            if not found:
                raise refused("unsupported")
        quantities = frozenset[tuple[str, str]]().union(*(self._quantities[at] for at in found))
        if numbers - frozenset[str]().union(*(self._numbers[at] for at in found)) or quantities_in(clause) - quantities:
            raise refused("number")
        return found
