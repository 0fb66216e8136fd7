"""What a generated reply may not contain. Pure: text in, the cleared part out, clause by clause, before anybody sees it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from copilot.domain.errors import EngineError
from copilot.llm.grounding import numbers_in

NO_ANSWER = "NO_ANSWER"
MOST_CHARACTERS = 600
_CLAUSE_END = re.compile(r"[，。！？；\n]|[,;!?](?=\s)|\.(?=\s)")
_THINKING = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)

FORBIDDEN: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<!不)(?<!非)保(?:证)?本(?!人|行|次|月|年|期)",
        r"(?<!不)保(?:证)?收益|稳赚|只赚不赔|零风险|没有(?:任何|一点)?风险",
        r"(?<!不)(?<!不能)(?<!无法)(?:一定|肯定|绝对|保证|百分之?百)(?:能|会|可以).{0,6}(?:追回|退回|找回|批|通过|下款|放款)",
        r"安全账户|(?:告诉我|提供|说一下|发给我).{0,6}(?:密码|验证码|CVV|安全码)",
        r"(?<!not )\bguaranteed (?:return|profit|approval|principal)|\b(?:zero|no) risk\b|risk[- ]free",
        r"\b(?:definitely|certainly|guarantee)\b.{0,30}\b(?:recover|approved?|refund|get (?:it|your money) back)",
        r"\b(?:tell|give|send) me your .{0,20}(?:password|pin|cvv|one[- ]time|verification code)",
        r"\b(?:system prompt|as an ai)\b|系统提示词|作为(?:一个)?(?:AI|人工智能)",
    )
)
"""Never said for any bank, whatever its own rules add."""


class ReplyGuard:
    """``receive`` pieces as they come, get back text that may be shown; ``finish`` gives the rest. Raises EngineError when it may not.

    Text is held back to the end of a clause, so that a number is judged when it is whole.
    """

    def __init__(self, sources: Iterable[str], forbidden: Sequence[re.Pattern[str]] = ()) -> None:
        self._known: set[str] = set()
        for source in sources:
            self._known |= numbers_in(source)
        self._forbidden = (*FORBIDDEN, *forbidden)
        self._text = ""
        self._shown = 0

    def receive(self, piece: str) -> str:
        """The newly cleared text, often empty."""
        self._text += piece
        if self._text.lstrip().startswith("<think>"):
            if "</think>" not in self._text:
                return ""
            self._text = _THINKING.sub("", self._text, count=1)
        if len(self._text) > MOST_CHARACTERS:
            raise EngineError("The model's reply was too long and is not shown; the approved answer stands.")
        ends = [match.end() for match in _CLAUSE_END.finditer(self._text, self._shown)]
        return self._clear(ends[-1]) if ends else ""

    def finish(self) -> str:
        """What is left, cleared. Raises EngineError when the model said nothing or that it has no answer."""
        rest = self._clear(len(self._text))
        if not self._text.strip():
            raise EngineError("The model wrote nothing; the approved answer stands.", retryable=True)
        return rest

    def _clear(self, end: int) -> str:
        text = self._text[:end]
        if NO_ANSWER in self._text:
            raise EngineError("The model found no answer in the sources; the approved answer stands.")
        if numbers_in(text) - self._known:
            raise EngineError("The model's reply has a number that is not in its sources and is not shown; the approved answer stands.")
        if any(pattern.search(text) for pattern in self._forbidden):
            raise EngineError("The model's reply has a forbidden wording and is not shown; the approved answer stands.")
        shown, self._shown = self._shown, end
        return self._text[shown:end]
