"""From the events of ended calls: how often each article was offered, used, edited, rejected and said, and what found no answer. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from copilot.domain.events import CallEvent, SuggestionFeedback, SuggestionOffered, SuggestionWithdrawn, UtteranceFinal
from copilot.domain.knowledge_use import ArticleUse, Gap, Outcome
from kb.analysis import analyse, spoken_core

SAID_SHARE = 0.5
"""This much of a suggested sentence in what the agent says next: it was said, if not word for word."""
_TURNS_TO_SAY = 3
_ALIKE = 0.55
"""Questions that share this much (Dice, of sounds in Chinese, of words in English) are one gap."""
_EXAMPLES = 5
_WRONG = frozenset({"wrong_topic", "inaccurate", "outdated"})
"""Reasons that speak against the article or for a missing one; wording and lateness do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    article_id: str
    title: str
    outcomes: tuple[Outcome, ...]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """``rejected``: something was offered, and the agent said that it does not fit."""

    text: str
    intent: str
    rejected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDigest:
    """What one ended call says about the knowledge base."""

    call_id: str
    language: str
    day: date
    usages: tuple[Usage, ...]
    unanswered: tuple[Unanswered, ...]


def digest(call_id: str, language: str, day: date, events: Sequence[CallEvent]) -> CallDigest:
    """Of the events of one call, in order. An erased call says nothing: its cards have no citations."""
    utterances = {event.utterance_id: event.text for event in events if isinstance(event, UtteranceFinal)}
    feedback: dict[str, list[SuggestionFeedback]] = defaultdict(list)
    withdrawn = {event.suggestion_id for event in events if isinstance(event, SuggestionWithdrawn)}
    for event in events:
        if isinstance(event, SuggestionFeedback):
            feedback[event.suggestion_id].append(event)
    usages, unanswered = [], []
    for index, event in enumerate(events):
        if not isinstance(event, SuggestionOffered):
            continue
        about = feedback.get(event.suggestion_id, [])
        reasons = tuple(one.reason for one in about if one.action == "rejected" and one.reason)
        question = utterances.get(event.trigger, "")
        if event.kind == "nothing":
            unanswered.append(Unanswered(text=question, intent=event.intent, rejected=False))
            continue
        if _WRONG.intersection(reasons):
            unanswered.append(Unanswered(text=question, intent=event.intent, rejected=True))
        if event.citations:
            outcomes: list[Outcome] = [] if event.replaces is not None and event.generated else ["offered"]
            outcomes += [action for action in ("used", "copied", "edited", "rejected") if any(one.action == action for one in about)]
            if _said(event.text, events[index + 1 :], language):
                outcomes.append("said")
            if event.suggestion_id in withdrawn:
                outcomes.append("withdrawn")
            usages.append(Usage(article_id=event.citations[0].article_id, title=event.title, outcomes=tuple(outcomes), reasons=reasons))
    kept = tuple(one for one in unanswered if one.text.strip())
    return CallDigest(call_id=call_id, language=language, day=day, usages=tuple(usages), unanswered=kept)


def uses(digests: Iterable[CallDigest]) -> tuple[list[ArticleUse], dict[str, dict[Outcome, int]]]:
    """(per article, most offered first; per day)."""
    counts: dict[tuple[str, str], Counter[Outcome]] = defaultdict(Counter)
    reasons: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    days: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    titles: dict[tuple[str, str], tuple[date, str]] = {}
    by_day: dict[str, Counter[Outcome]] = defaultdict(Counter)
    for call in digests:
        for usage in call.usages:
            key = (usage.article_id, call.language)
            counts[key].update(usage.outcomes)
            reasons[key].update(usage.reasons)
            if "offered" in usage.outcomes:
                days[key][call.day.isoformat()] += 1
            titles[key] = max(titles.get(key, (date.min, "")), (call.day, usage.title))
            by_day[call.day.isoformat()].update(usage.outcomes)
    found = [
        ArticleUse(
            article_id=key[0],
            language=key[1],
            title=titles[key][1],
            counts=dict(counted),
            reasons=dict(reasons[key]),
            by_day=dict(days[key]),
            last=titles[key][0],
        )
        for key, counted in counts.items()
    ]
    found.sort(key=lambda one: (-one.counts.get("offered", 0), one.article_id))
    return found, {day: dict(counted) for day, counted in sorted(by_day.items())}


def gaps(digests: Iterable[CallDigest]) -> list[Gap]:
    """Questions alike put together, the most frequent first. Each goes to the first group whose opening question it is like."""
    groups: list[_Group] = []
    by_term: dict[str, list[int]] = defaultdict(list)
    for call in sorted(digests, key=lambda one: (one.day, one.call_id)):
        for question in call.unanswered:
            terms = _terms(question.text, call.language)
            if not terms:
                continue
            near = Counter(index for term in terms for index in by_term[f"{call.language} {term}"])
            best = next((index for index, shared in near.most_common(8) if groups[index].alike(terms, shared)), None)
            if best is None:
                best = len(groups)
                groups.append(_Group(call.language, terms))
                for term in terms:
                    by_term[f"{call.language} {term}"].append(best)
            groups[best].take(call, question)
    found = [group.gap(number) for number, group in enumerate(groups)]
    return sorted(found, key=lambda gap: (-gap.count, gap.last.toordinal() * -1, gap.key))


class _Group:
    """Questions like the one that opened it."""

    def __init__(self, language: str, terms: frozenset[str]) -> None:
        self._language = language
        self._terms = terms
        self._questions: list[tuple[CallDigest, Unanswered]] = []

    def alike(self, terms: frozenset[str], shared: int) -> bool:
        return 2 * shared / (len(terms) + len(self._terms)) >= _ALIKE

    def take(self, call: CallDigest, question: Unanswered) -> None:
        self._questions.append((call, question))

    def gap(self, number: int) -> Gap:
        intents = Counter(question.intent for _, question in self._questions if question.intent)
        texts = Counter(question.text for _, question in self._questions)
        rejected = sum(question.rejected for _, question in self._questions)
        days = [call.day for call, _ in self._questions]
        return Gap(
            key=f"g{number + 1}",
            language=self._language,
            intent=intents.most_common(1)[0][0] if intents else "",
            count=len(self._questions),
            nothing=len(self._questions) - rejected,
            rejected=rejected,
            examples=tuple(text for text, _ in texts.most_common(_EXAMPLES)),
            first=min(days),
            last=max(days),
            call_ids=tuple(dict.fromkeys(call.call_id for call, _ in self._questions))[:20],
        )


def _terms(text: str, language: str) -> frozenset[str]:
    terms = analyse(spoken_core(text, language), language)
    return frozenset(terms.pinyin or terms.bigrams) if language == "zh" else frozenset(terms.words)


def _said(text: str, later: Sequence[CallEvent], language: str) -> bool:
    """True if the agent's next turns hold enough of the suggested sentence."""
    wanted = _terms(text, language)
    spoken = [event.text for event in later if isinstance(event, UtteranceFinal) and event.channel == "agent"][:_TURNS_TO_SAY]
    if not wanted or not spoken:
        return False
    return len(wanted & _terms(" ".join(spoken), language)) / len(wanted) >= SAID_SHARE
