"""What the live calls of one organisation share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import date

from copilot.domain.clock import Clock
from copilot.domain.ids import UserId
from copilot.domain.ports.bus import Bus
from copilot.domain.ports.knowledge import IntentClassifier, KnowledgeSearch, MoodClassifier
from copilot.domain.ports.llm import ReplyWriter
from copilot.domain.ports.store import CallJournal
from copilot.domain.ports.translation import Translator
from copilot.domain.suggestions import ReplyStyle


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServices:
    """What live calls share. ``executor`` runs the blocking lookups; ``today`` is the day on which answers must be valid.

    ``in_force`` says what the store holds at this moment (see ``ArticleStore.in_force``): an index may lag behind it.
    """

    journal: CallJournal
    bus: Bus
    clock: Clock
    executor: Executor
    knowledge: KnowledgeSearch
    intents: IntentClassifier
    reply_writer: ReplyWriter | None = None
    reply_always: bool = False
    """Also beside an approved answer that clearly fits."""
    reply_timeout_s: float = 8.0
    forbidden: Callable[[], Sequence[re.Pattern[str]]] = tuple
    """What no reply of this organisation may say; blocking."""
    style_of: Callable[[UserId], ReplyStyle] | None = None
    """How replies for an agent are worded, as that agent prefers; blocking."""
    in_force: Callable[[Iterable[tuple[str, str]]], Mapping[tuple[str, str], int]] | None = None

    translator: Translator | None = None
    agents_language: str = "zh"
    """Into which the other side's lines are translated, where there is a translator."""
    moods: MoodClassifier | None = None
    alike: Callable[[str, str, Sequence[str]], Mapping[str, float]] | None = None
    """(text, language, sentences) → how similar the text is to each, in [-1, 1]; blocking."""

    def today(self) -> date:
        return self.clock.now().astimezone().date()
