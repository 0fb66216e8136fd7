"""The machine's gate before publishing: personal information, forbidden promises, what is missing, what is too long, contradictions and
doubles among the articles in force. Pure; the neighbours and how near they are come from the caller."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from copilot.domain.article_checks import Finding, FindingCode
from copilot.domain.knowledge import Article
from copilot.privacy.find import find_pii
from copilot.privacy.spans import PiiType
from kb.comparison import Said, compare

MAX_TITLE = {"zh": 60, "en": 160}
MAX_ANSWER = {"zh": 160, "en": 420}
"""Characters that can be said in about half a minute; longer ones are found, and may be confirmed."""
MAX_TEXT = 20_000
_CERTAIN: frozenset[PiiType] = frozenset({"卡号", "手机号", "身份证", "护照", "客户号"})
"""No article has a reason to hold these. Names, addresses and tails may be the bank's own."""
_PUNCTUATION = re.compile(r"[\s，。！？、；：,.!?;:“”\"'…]")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseRule:
    """A rule of the compliance pack that an article must not break either. ``secret``: it is about asking for a password or the like."""

    rule_id: str
    name: str
    advice: str
    patterns: Sequence[re.Pattern[str]]
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An article in force that may be about the same. ``nearness``: cosine of its ``question`` and the article's ``mine``."""

    article: Article
    mine: str
    question: str
    nearness: float


def check(article: Article, rules: Sequence[PromiseRule], neighbours: Sequence[Neighbour], day: date) -> tuple[Finding, ...]:
    """Everything found, what blocks first, in the order of the fields."""
    found = [*_form(article, day), *_texts(article, rules), *_neighbours(article, neighbours)]
    return tuple(sorted(found, key=lambda finding: not finding.blocks))


def fields(article: Article) -> Iterator[tuple[str, str]]:
    """(name, text) of every field that a person reads."""
    yield "title", article.title
    yield from ((f"questions.{number}", text) for number, text in enumerate(article.questions))
    yield "answer", article.answer
    yield "body", article.body


def said(article: Article, question: str) -> Said:
    """A question of the article with what it answers."""
    return Said(question=question, answer=article.answer or article.body[:600])


def _form(article: Article, day: date) -> Iterator[Finding]:
    if not article.title.strip():
        yield Finding(code="no_title", field="title")
    elif len(article.title) > MAX_TITLE.get(article.language, 160):
        yield Finding(code="long_title", field="title", facts={"length": str(len(article.title))})
    if not article.answer.strip() and not article.body.strip():
        yield Finding(code="no_text", field="answer")
    longest = MAX_ANSWER.get(article.language, 420)
    if len(article.answer) > longest:
        yield Finding(
            code="long_answer",
            field="answer",
            quote=article.answer[longest:],
            start=longest,
            end=len(article.answer),
            facts={"length": str(len(article.answer)), "most": str(longest)},
        )
    if len(article.body) + len(article.answer) > MAX_TEXT:
        yield Finding(code="too_long", field="body", facts={"length": str(len(article.body)), "most": str(MAX_TEXT)})
    for code, value, name in (("no_source", article.source, "source"), ("no_owner", article.owner, "owner")):
        if not value.strip():
            yield Finding(code=_code(code), field=name)
    if article.kind == "faq" and not any(question.strip() for question in article.questions):
        yield Finding(code="no_question", field="questions")
    if article.valid_from and article.valid_to and article.valid_to < article.valid_from:
        yield Finding(code="dates_reversed", field="valid_to")
    elif article.valid_to and article.valid_to < day:
        yield Finding(code="already_over", field="valid_to", quote=article.valid_to.isoformat())


def _code(name: str) -> FindingCode:
    return "no_source" if name == "no_source" else "no_owner"


def _texts(article: Article, rules: Sequence[PromiseRule]) -> Iterator[Finding]:
    for name, text in fields(article):
        for span in find_pii(text):
            quote = text[span.start : span.end]
            if span.type == "邮箱" and "@" not in quote:
                continue  # "at once. Then": read out, this could be an address; in writing it is none
            code: FindingCode = "pii" if span.type in _CERTAIN else "pii_possible"
            yield Finding(code=code, field=name, quote=quote, start=span.start, end=span.end, facts={"kind": span.type})
        if name.startswith("questions."):
            continue  # customers say what they like
        for rule in rules:
            place = _broken(rule, text, article.language)
            if place is not None:
                start, end = place
                # Only the answer is said as it stands; the rest may tell what a swindler says, or what must not be said.
                certain: FindingCode = "asks_secret" if rule.secret else "forbidden"
                yield Finding(
                    code=certain if name == "answer" else "forbidden_possible",
                    field=name,
                    quote=text[start:end],
                    start=start,
                    end=end,
                    facts={"rule": rule.name, "advice": rule.advice, "kind": rule.rule_id},
                )


def _broken(rule: PromiseRule, text: str, language: str) -> tuple[int, int] | None:
    """Where the text breaks the rule, as written or, in Chinese, as spoken: without white space and punctuation."""
    for pattern in rule.patterns:
        if match := pattern.search(text):
            return match.span()
    if language != "zh":
        return None
    kept = [index for index, char in enumerate(text) if not _PUNCTUATION.match(char)]
    spoken = "".join(text[index] for index in kept)
    for pattern in rule.patterns:
        if (match := pattern.search(spoken)) and match.end() > match.start():
            return kept[match.start()], kept[match.end() - 1] + 1
    return None


def _neighbours(article: Article, neighbours: Sequence[Neighbour]) -> Iterator[Finding]:
    """Of each other article the nearest pair of questions that is one need, if there is one."""
    told: set[str] = set()
    for neighbour in sorted(neighbours, key=lambda one: -one.nearness):
        other = neighbour.article
        if other.article_id == article.article_id or other.article_id in told:
            continue
        verdict = compare(said(article, neighbour.mine), said(other, neighbour.question), neighbour.nearness, article.language)
        if verdict.relation == "neither":
            continue
        told.add(other.article_id)
        facts = {"article_id": other.article_id, "title": other.title, "question": neighbour.question, "version": str(other.version)}
        if verdict.relation == "duplicate":
            yield Finding(code="duplicate", field="title", quote=neighbour.mine, facts=facts)
            continue
        first = verdict.disagreements[0]
        yield Finding(
            code="contradiction",
            field="answer" if article.answer else "body",
            quote=first.mine,
            start=first.start,
            end=first.end,
            facts={**facts, "kind": first.kind, "theirs": first.theirs},
        )
