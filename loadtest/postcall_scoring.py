"""How good are summary, ticket and quality answers of the labelled calls? PURE: gold and artifacts in, counts with intervals out.

A key point is looked for in the overall text, in every statement, and in the statements together that cite the point's utterances. It is
covered if one of these texts holds all its terms and tells its act with the right polarity. It is *flipped*, which is worse than missed, if
the overall text or a statement that cites the point's utterances holds the terms and tells the opposite (未办理 for 已办理): then it does
not count as covered, whatever another text says. A statement that cites other utterances speaks of another moment of the call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cn2an
import numpy as np

from copilot.domain.artifacts import QaScorecard, Statement, Summary, TicketClassification
from copilot.domain.ids import UtteranceId
from copilot.llm.grounding import numbers_in, unsupported_numbers
from loadtest.call_labels import Judged, KeyPoint, Sheet

Found = Literal["covered", "flipped", "missed"]
Told = Literal["done", "plain", "intended", "not_done"]
NOT_EXHAUSTIVE = frozenset({"polite-words", "listening"})
"""Items whose evidence is some of many: a citation beside it is not wrong, so precision is not taken over them."""

_ZH_NOT = re.compile(r"(?:没有?|未|不|无法|尚未|别|勿|拒绝|免)[^，。；！？、,;]{0,4}$")
_ZH_ASKED = re.compile(r"(?:能不能|会不会|要不要|是不是|可不可以|有没有)[^，。；！？、,;]{0,6}$")
_ZH_QUESTION = re.compile(r"[^，。；！？、,;?]{0,6}(?:[？?]|[吗呢]|了没有?(?=$|[，。；？]))")
_ZH_FAILED = re.compile(r"^(?:不|失败|未成)")
_ZH_DONE_BEFORE = re.compile(r"(?:已经?|完成)[^，。；！？、,;]{0,8}$")
_ZH_DONE_AFTER = re.compile(r"^(?:了|成功|好了|完成|完毕|生效)")
_ZH_INTENDED = re.compile(
    r"(?:会|将|要|想|需|请|可以|可|待|建议|申请|要求|希望|准备|正在|如果|之后|[日天点号内]前?)[^，。；！？、,;]{0,6}$"
)
_EN_NOT = re.compile(r"(?:\bnot|n['’]t|\bnever|\bno|\bcannot|\bunable to|\bwithout)(?: \w+){0,3} ?$", re.IGNORECASE)
_EN_DONE = re.compile(r"(?:\b(?:has|have|had|is|was|were|been|now|already)|['’](?:s|ve|re))(?: \w+){0,2} ?$", re.IGNORECASE)
_EN_INTENDED = re.compile(
    r"\b(?:will|would|can|could|to|may|might|should|please|wants?|needs?|if|['’]ll|['’]d)(?: \w+){0,2} ?$", re.IGNORECASE
)


def has_term(term: str, text: str) -> bool:
    """``a|b``: either; ``=3000``: the number, however it is written."""
    numbers = numbers_in(text) if "=" in term else frozenset()
    folded = text.casefold()
    return any(
        alternative[1:] in numbers if alternative.startswith("=") else alternative.casefold() in folded for alternative in term.split("|")
    )


def told(text: str, start: int, end: int, language: str) -> Told:
    """How the act at ``text[start:end]`` is told."""
    before, after = text[:start], text[end:]
    if language == "zh":
        if _ZH_ASKED.search(before) or _ZH_QUESTION.match(after):
            return "intended"
        if _ZH_NOT.search(before) or _ZH_FAILED.match(after):
            return "not_done"
        if _ZH_DONE_BEFORE.search(before) or _ZH_DONE_AFTER.match(after):
            return "done"
        return "intended" if _ZH_INTENDED.search(before) else "plain"
    if _EN_NOT.search(before):
        return "not_done"
    if _EN_DONE.search(before):
        return "done"
    return "intended" if _EN_INTENDED.search(before) else "plain"


def says(point: KeyPoint, text: str, language: str) -> Found:
    """Does this text say the key point, its opposite, or neither? An act that is only intended is neither."""
    if not all(has_term(term, text) for term in point.terms):
        return "missed"
    if not point.act:
        return "covered"
    pattern = "|".join(re.escape(verb) for verb in sorted(point.act.split("|"), key=len, reverse=True))
    ways = {told(text, match.start(), match.end(), language) for match in re.finditer(pattern, text, re.IGNORECASE)}
    if not ways:
        return "missed"
    if point.polarity == "any":
        return "covered"
    right, wrong = ({"done", "plain"}, "not_done") if point.polarity == "done" else ({"not_done"}, "done")
    if ways & right:
        return "covered"
    return "flipped" if wrong in ways else "missed"


def statements(summary: Summary) -> tuple[Statement, ...]:
    return (*summary.problems, *summary.actions, *summary.commitments, *summary.follow_ups)


@dataclass(frozen=True, slots=True, kw_only=True)
class PointResult:
    """``linked``: of a covered point that a single statement says, whether such a statement cites one of its utterances; else None."""

    point: KeyPoint
    found: Found
    linked: bool | None


def score_point(point: KeyPoint, summary: Summary, ids: Sequence[UtteranceId]) -> PointResult:
    """``ids``: of the call's utterances, in order."""
    own = {ids[number - 1] for number in point.utterances}
    made = statements(summary)
    citing = [statement for statement in made if own & set(statement.utterance_ids)]
    joined = "；".join(statement.text for statement in citing)
    alone = [(statement, says(point, statement.text, summary.language)) for statement in made]
    elsewhere = {found for statement, found in alone if statement not in citing} - {"flipped"}
    here = {found for statement, found in alone if statement in citing}
    results = here | elsewhere | {says(point, text, summary.language) for text in (summary.overall, joined)}
    found: Found = "flipped" if "flipped" in results else "covered" if "covered" in results else "missed"
    saying = [statement for statement, result in alone if result == "covered"]
    linked = bool(own & {name for statement in saying for name in statement.utterance_ids}) if saying and found == "covered" else None
    return PointResult(point=point, found=found, linked=linked)


def unsupported(summary: Summary, texts: Mapping[UtteranceId, str]) -> tuple[str, ...]:
    """Numbers that the call does not say at all, and numbers of a statement that none of its own utterances says."""
    found = set(unsupported_numbers(summary.overall, texts.values()))
    for statement in statements(summary):
        found |= unsupported_numbers(statement.text, [texts[name] for name in statement.utterance_ids if name in texts])
    return tuple(sorted(found))


def wrong_numbers_said(sheet: Sheet, summary: Summary) -> tuple[str, ...]:
    """Which of the sheet's wrong numbers the summary says, in digits or in Chinese. Reads digits its own way, so as not to share the
    faults of the check that the summary itself runs."""
    text = " ".join([summary.overall, *(statement.text for statement in statements(summary))])
    said = []
    for number in sheet.wrong_numbers:
        forms = {number, f"{int(number):,}" if number.isdigit() else number}
        if number.isdigit():
            spoken = str(cn2an.an2cn(number, "low"))
            forms |= {spoken, spoken.removeprefix("一") if spoken.startswith("一十") else spoken}
        edge = r"[\d.,#零一二两三四五六七八九十百千万点]"
        if any(re.search(rf"(?<!{edge}){re.escape(form)}(?!{edge})", text) for form in forms):
            said.append(number)
    return tuple(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """One rubric item of one call. ``cited``: utterance numbers that the scorecard points at."""

    item: str
    gold: Judged
    answer: str
    cited: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """Everything about one call. ``ticket``: the level-2 id it got; ``level1``: the level-1 id."""

    call: str
    spoilt: bool
    points: tuple[PointResult, ...]
    unsupported: tuple[str, ...]
    wrong_numbers: tuple[str, ...]
    ticket: str
    level1: str
    expected: tuple[str, ...]
    expected_level1: tuple[str, ...]
    items: tuple[ItemResult, ...]


def score_call(
    *,
    call: str,
    spoilt: bool,
    sheet: Sheet,
    parents: Mapping[str, str],
    texts: Mapping[UtteranceId, str],
    artifacts: tuple[Summary, TicketClassification, QaScorecard],
) -> CallResult:
    """``texts``: utterance → its text as the pipeline got it, in the order of the call."""
    summary, ticket, scorecard = artifacts
    ids = tuple(texts)
    place = {name: number for number, name in enumerate(ids, start=1)}
    got = {item.item_id: item for item in scorecard.items}
    items = tuple(
        ItemResult(
            item=name,
            gold=judged,
            answer=got[name].answer if name in got else "missing",
            cited=tuple(dict.fromkeys(place[evidence.utterance_id] for evidence in got[name].evidence)) if name in got else (),
        )
        for name, judged in sheet.qa.items()
    )
    return CallResult(
        call=call,
        spoilt=spoilt,
        points=tuple(score_point(point, summary, ids) for point in sheet.points),
        unsupported=unsupported(summary, texts),
        wrong_numbers=wrong_numbers_said(sheet, summary),
        ticket=ticket.level2,
        level1=ticket.level1,
        expected=sheet.ticket,
        expected_level1=tuple(parents[leaf] for leaf in sheet.ticket),
        items=items,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """``hits`` of ``total`` with a 95% interval over calls; ``value`` is None for no cases."""

    hits: float
    total: float
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float | None:
        return self.hits / self.total if self.total else None


def rate(pairs: Sequence[tuple[float, float]], *, draws: int = 2_000, seed: int = 1) -> Rate:
    """Share over calls, each ``(hits, cases)``; whole calls are drawn with replacement, as the cases of one call hang together."""
    hits, total = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    if not total:
        return Rate(hits=0, total=0)
    table = np.asarray(pairs, dtype=np.float64)
    drawn = table[np.random.default_rng(seed).integers(0, len(table), size=(draws, len(table)))].sum(axis=1)
    shares = drawn[drawn[:, 1] > 0]
    low, high = np.quantile(shares[:, 0] / shares[:, 1], (0.025, 0.975))
    return Rate(hits=hits, total=total, low=float(low), high=float(high))


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa (1960) of two raters' answers. None where it is not defined: no cases, or both always give one and the same answer."""
    if not pairs:
        return None
    count = len(pairs)
    observed = sum(a == b for a, b in pairs) / count
    answers = {answer for pair in pairs for answer in pair}
    expected = sum((sum(a == x for a, _ in pairs) / count) * (sum(b == x for _, b in pairs) / count) for x in answers)
    return None if expected >= 1 else (observed - expected) / (1 - expected)


def kappa_interval(
    groups: Sequence[Sequence[tuple[str, str]]], *, draws: int = 1_000, seed: int = 1
) -> tuple[float | None, float | None, float | None]:
    """(kappa, low, high) over the pairs of all groups; whole groups (calls) are drawn with replacement; draws without a kappa are left."""
    value = kappa([pair for group in groups for pair in group])
    if value is None:
        return None, None, None
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        chosen = [pair for index in rng.integers(0, len(groups), size=len(groups)) for pair in groups[index]]
        again = kappa(chosen)
        if again is not None:
            drawn.append(again)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return value, float(low), float(high)


def _points(results: Sequence[CallResult], counts: Callable[[PointResult], bool], among: Callable[[PointResult], bool]) -> Rate:
    return rate(
        [
            (sum(counts(point) for point in result.points if among(point)), sum(among(point) for point in result.points))
            for result in results
        ]
    )


def _evidence(results: Sequence[CallResult], counts: Callable[[ItemResult], tuple[int, int]]) -> Rate:
    pairs = []
    for result in results:
        judged = [
            counts(item)
            for item in result.items
            if item.item not in NOT_EXHAUSTIVE and item.gold.evidence and item.answer == item.gold.answer and item.cited
        ]
        pairs.append((sum(pair[0] for pair in judged), sum(pair[1] for pair in judged)))
    return rate(pairs)


def figures(results: Sequence[CallResult]) -> dict[str, Rate]:
    """Every share of the report by its name."""
    made = {
        "key points covered": _points(results, lambda point: point.found == "covered", lambda _: True),
        "key points flipped": _points(results, lambda point: point.found == "flipped", lambda _: True),
    }
    for kind in ("need", "done", "commitment", "follow_up", "info"):
        covered = _points(results, lambda point: point.found == "covered", lambda point, kind=kind: point.point.kind == kind)  # type: ignore[misc]
        made[f"covered, {kind}"] = covered
    made |= {
        "links of covered points right": _points(results, lambda point: bool(point.linked), lambda point: point.linked is not None),
        "calls with an unsupported number": rate([(bool(result.unsupported), 1) for result in results]),
        "calls with a known wrong number": rate([(bool(result.wrong_numbers), 1) for result in results]),
        "ticket level 1": rate([(result.level1 == result.expected_level1[0], 1) for result in results]),
        "ticket level 2": rate([(result.ticket == result.expected[0], 1) for result in results]),
        "ticket level 1, acceptable": rate([(result.level1 in result.expected_level1, 1) for result in results]),
        "ticket level 2, acceptable": rate([(result.ticket in result.expected, 1) for result in results]),
        "QA answers agree": rate([(sum(item.answer == item.gold.answer for item in r.items), len(r.items)) for r in results]),
        "QA answers agree, item applies": rate([_where_it_applies(result) for result in results]),
        "QA fails found": rate([_among(result, "fail", gold=True) for result in results]),
        "QA fails right": rate([_among(result, "fail", gold=False) for result in results]),
        "QA not scorable": rate([(sum(item.answer == "not_scorable" for item in r.items), len(r.items)) for r in results]),
        "evidence precision": _evidence(results, lambda item: (len(set(item.cited) & set(item.gold.evidence)), len(item.cited))),
        "evidence touches": _evidence(results, lambda item: (bool(set(item.cited) & set(item.gold.evidence)), 1)),
    }
    return made


def _where_it_applies(result: CallResult) -> tuple[int, int]:
    applies = [item for item in result.items if item.gold.answer != "na"]
    return sum(item.answer == item.gold.answer for item in applies), len(applies)


def _among(result: CallResult, answer: str, *, gold: bool) -> tuple[int, int]:
    cases = [item for item in result.items if (item.gold.answer if gold else item.answer) == answer]
    return sum(item.answer == item.gold.answer for item in cases), len(cases)


def by_question(results: Sequence[CallResult]) -> dict[str, tuple[Rate, tuple[float | None, float | None, float | None]]]:
    """Item → (agreement, kappa with interval) over the calls in which the scorer gave an answer (not ``not_scorable``)."""
    made = {}
    for name in [item.item for item in results[0].items] if results else []:
        pairs = [
            (item.gold.answer, item.answer)
            for result in results
            for item in result.items
            if item.item == name and item.answer != "not_scorable"
        ]
        made[name] = rate([(a == b, 1) for a, b in pairs]), kappa_interval([[pair] for pair in pairs], draws=300)
    return made


def overall_kappa(results: Sequence[CallResult]) -> tuple[float | None, float | None, float | None]:
    """Kappa over all items of all calls."""
    return kappa_interval(
        [[(item.gold.answer, item.answer) for item in result.items if item.answer != "not_scorable"] for result in results], draws=300
    )
