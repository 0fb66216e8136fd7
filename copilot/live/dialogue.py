"""The dialogue so far: turns, and what the customer is asking now. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from copilot.domain.artifacts import Turn

_MAX_QUERY_CHARS = 120
_TURN_PAUSE_MS = 5_000
_MIN_QUERY_CHARS = {"zh": 4, "en": 10}
_FILLERS = re.compile(
    r"(嗯+|啊+|呃+|那个|就是说|喂|你好|您好|请问一下|请问|我想问一下|想问一下|想问下|我想问|\buh+\b|\bum+\b|\bwell\b)", re.IGNORECASE
)
_CONNECTIVE = re.compile(r"^(那|然后|还有|另外|所以|and|so|then)[，,]?\s*", re.IGNORECASE)
_QUESTION = re.compile(
    r"(吗|呢|么|怎么|如何|多少|多久|几天|几个|什么|哪|能不能|可不可以|可以.{0,8}(吗|不)|要不要|会不会|是不是|有没有|为什么|\?|？|"
    r"\bhow\b|\bwhat\b|\bwhen\b|\bwhere\b|\bwhy\b|\bcan i\b|\bdo i\b|\bis there\b|\bcould\b|\bshould i\b)",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Dialogue:
    """The turns of a call in order, and the customer's words since the agent last spoke."""

    language: str
    turns: list[Turn] = field(default_factory=list)
    _open: list[Turn] = field(default_factory=list)
    _customer_turns: int = 0
    _agent_heard: bool = False

    def add(self, turn: Turn) -> None:
        """Appends a final. Consecutive utterances of the customer form one turn until the agent has spoken a final.

        Where the agent is not heard (one leg only, or nothing yet), a pause of five seconds ends the turn instead.
        """
        if turn.channel == "agent":
            self._agent_heard = True
            self._open = []
        else:
            if not self._agent_heard and self._open and turn.start_ms - self._open[-1].end_ms > _TURN_PAUSE_MS:
                self._open = []
            if not self._open:
                self._customer_turns += 1
            self._open.append(turn)
        self.turns.append(turn)

    def restate(self, turn: Turn) -> None:
        """Puts ``turn`` in the place of the one with its utterance id, whose text may no longer be shown to anybody."""
        for turns in (self.turns, self._open):
            for at, said in enumerate(turns):
                if said.utterance_id == turn.utterance_id:
                    turns[at] = turn

    @property
    def customer_turn(self) -> int:
        """The number of the customer's current turn, from 1."""
        return self._customer_turns

    def need(self, more: str = "") -> str:
        """What the customer is asking now: the words of the open turn, newest last, fillers removed, at most 120 characters.

        ``more``: words that the customer is saying and that are no final yet.
        """
        parts = [clean(text, self.language) for text in (*(turn.text for turn in self._open), more)]
        joiner = "，" if self.language == "zh" else " "
        text = joiner.join(part for part in parts if part)
        return text[-_MAX_QUERY_CHARS:]

    def earlier(self, limit: int = 3) -> tuple[Turn, ...]:
        """Earlier utterances of the customer, oldest first, without the open turn."""
        open_ids = {turn.utterance_id for turn in self._open}
        return tuple(turn for turn in self.turns if turn.channel != "agent" and turn.utterance_id not in open_ids)[-limit:]

    def recent(self, limit: int = 8) -> Sequence[Turn]:
        return self.turns[-limit:]


def clean(text: str, language: str) -> str:
    """The utterance without greetings and fillers, which carry no need."""
    text = _FILLERS.sub("", text)
    text = _CONNECTIVE.sub("", text.strip(" ，,。."))
    return text.strip(" ，,。.!！") if language == "zh" else re.sub(r"\s+", " ", text).strip(" ,.")


def worth_asking(text: str, language: str) -> bool:
    """False for acknowledgements and fragments that are too short to look up."""
    return len(text) >= _MIN_QUERY_CHARS.get(language, 4)


def is_question(text: str) -> bool:
    """True if the words ask for something (question words or a question mark)."""
    return _QUESTION.search(text) is not None
