"""The labels of the labelled calls: labelling sheets, how two passes compare, and the gold that follows from them. PURE.

A sheet names the items of the rubric by two letters. ``og=1,3``: pass, with utterances 1 and 3 as evidence; ``=P``: pass, nothing to point
at; ``=F`` or ``=F9,11``: fail; ``=na``: does not apply. What a sheet does not name has its default: pass for what must not be said and for
what is measured by the clock, else na.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

Answer = Literal["pass", "fail", "na"]
Kind = Literal["need", "done", "commitment", "follow_up", "info"]
Polarity = Literal["none", "done", "not_done", "any"]

ITEMS: Mapping[str, str] = {
    "og": "opening-greeting",
    "sn": "staff-number",
    "pw": "polite-words",
    "hc": "hold-courtesy",
    "ni": "no-interruption",
    "sr": "speech-rate",
    "ae": "anything-else",
    "ss": "satisfaction-survey",
    "cl": "closing-phrase",
    "iv": "identity-verification",
    "nc": "need-confirmation",
    "fl": "fraud-loss-stopped",
    "dr": "dispute-registered",
    "tl": "time-limit-told",
    "ft": "fee-told",
    "rc": "result-confirmed",
    "rn": "recording-notice",
    "fp": "no-forbidden-promise",
    "sq": "no-sensitive-request",
    "wr": "wealth-risk-disclosure",
    "ir": "instalment-rate-told",
    "lr": "loan-rate-told",
    "in": "no-inducement",
    "fn": "full-number-not-spoken",
    "so": "soothing",
    "nb": "no-blaming",
    "li": "listening",
    "av": "action-after-verification",
    "dl": "no-customer-data-leak",
    "ab": "no-abuse",
    "ms": "no-mis-selling",
    "sa": "no-safe-account",
}
PASS_UNLESS_NAMED = frozenset({"ni", "sr", "fp", "sq", "in", "fn", "nb", "ab", "sa"})
BY_CLOCK = frozenset({"no-interruption", "speech-rate"})
"""Answered by arithmetic on the times, not by a reader: no part of the agreement between passes."""
OUTCOMES = ("resolved", "follow_up", "information", "unresolved", "refused")
_ENTRY = re.compile(r"(?P<code>[a-z]{2})=(?P<answer>P|F|na)?(?P<evidence>\d+(?:,\d+)*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An answer with the numbers (from 1) of the utterances that show it."""

    answer: Answer
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPoint:
    """What a summary of the call must say, and how to see without a model whether it does.

    Every entry of ``terms`` must be in the text; alternatives are separated by ``|``; ``=3000`` asks for the number, however written.
    ``act`` (alternatives) must be told with ``polarity``: as done, or as not done.
    """

    kind: Kind
    utterances: tuple[int, ...]
    statement: str
    terms: tuple[str, ...] = ()
    act: str = ""
    polarity: Polarity = "none"
    owner: str = ""
    due: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One pass over one call. ``ticket``: level-2 ids, the right one first, then those that are acceptable too."""

    outcome: str
    ticket: tuple[str, ...]
    points: tuple[KeyPoint, ...]
    qa: Mapping[str, Judged]
    wrong_numbers: tuple[str, ...] = ()


def parse_answers(text: str) -> dict[str, Judged]:
    """The ``qa`` line of a sheet → item id → answer, for all items of the rubric. Raises ValueError naming the entry."""
    answers = {name: Judged(answer="pass" if code in PASS_UNLESS_NAMED else "na") for code, name in ITEMS.items()}
    seen: set[str] = set()
    for entry in text.split():
        match = _ENTRY.fullmatch(entry)
        if match is None or match["code"] not in ITEMS or match["code"] in seen or not (match["answer"] or match["evidence"]):
            raise ValueError(f"The answer {entry!r} is none, or stands there twice.")
        if match["answer"] in ("P", "na") and match["evidence"]:
            raise ValueError(f"The answer {entry!r} has no evidence to name.")
        seen.add(match["code"])
        answer: Answer = "fail" if match["answer"] == "F" else "na" if match["answer"] == "na" else "pass"
        evidence = tuple(int(number) for number in match["evidence"].split(",")) if match["evidence"] else ()
        answers[ITEMS[match["code"]]] = Judged(answer=answer, evidence=evidence)
    return answers


def parse_point(data: Mapping[str, Any]) -> KeyPoint:
    """A key point of a sheet. Raises KeyError or ValueError."""
    if set(data) - {"k", "u", "s", "t", "act", "pol", "own", "due"} or not data["u"]:
        raise ValueError(f"The key point {data.get('s')!r} has an unknown field, or no utterance.")
    return KeyPoint(
        kind=cast("Kind", data["k"]),
        utterances=tuple(data["u"]),
        statement=data["s"],
        terms=tuple(str(term) for term in data.get("t", ())),
        act=data.get("act", ""),
        polarity=data.get("pol", "done" if data.get("act") else "none"),
        owner=data.get("own", ""),
        due=str(data.get("due", "")),
    )


def parse_sheets(data: Mapping[str, Mapping[str, Any]]) -> dict[str, Sheet]:
    """The sheets of one file by call. Raises ValueError naming the call."""
    sheets = {}
    for call, fields in data.items():
        try:
            sheets[call] = Sheet(
                outcome=fields["outcome"],
                ticket=tuple(fields["ticket"]),
                points=tuple(parse_point(point) for point in fields["points"]),
                qa=parse_answers(fields["qa"]),
                wrong_numbers=tuple(str(number) for number in fields.get("wrong_numbers", ())),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"The sheet of {call} cannot be read: {error}") from error
    return sheets


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where two passes give different answers to one question of one call."""

    call: str
    question: str
    first: str
    second: str


def differences(first: Mapping[str, Sheet], second: Mapping[str, Sheet]) -> list[Difference]:
    """Answers, tickets and outcomes that differ, over the calls that both passes label. Evidence is compared apart."""
    found = []
    for call in sorted(set(first) & set(second)):
        one, two = first[call], second[call]
        pairs: list[tuple[str, str, str]] = [(item, one.qa[item].answer, two.qa[item].answer) for item in one.qa if item not in BY_CLOCK]
        pairs += [("ticket", one.ticket[0], two.ticket[0]), ("outcome", one.outcome, two.outcome)]
        found += [Difference(call=call, question=question, first=a, second=b) for question, a, b in pairs if a != b]
    return found


def points_agree(first: Sequence[KeyPoint], second: Sequence[KeyPoint]) -> tuple[int, int]:
    """(points of either pass that rest on an utterance of some point of the other, points of both passes together)."""

    def met(points: Sequence[KeyPoint], others: Sequence[KeyPoint]) -> int:
        return sum(any(set(point.utterances) & set(other.utterances) for other in others) for point in points)

    return met(first, second) + met(second, first), len(first) + len(second)


def adjudicated(sheet: Sheet, decisions: Mapping[str, Any]) -> Sheet:
    """The gold of a call: the first pass, changed by what was decided where the passes differed (``adjudication.yaml``)."""
    changed = parse_answers(" ".join(decisions.get("qa", {})))
    codes = {entry.partition("=")[0] for entry in decisions.get("qa", {})}
    qa = {name: changed[name] if code in codes else sheet.qa[name] for code, name in ITEMS.items()}
    added = tuple(parse_point(point) for point in decisions.get("add_points", ()))
    return replace(sheet, qa=qa, ticket=tuple(decisions.get("ticket", sheet.ticket)), points=(*sheet.points, *added))


def as_gold(call: str, sheet: Sheet, parents: Mapping[str, str]) -> dict[str, Any]:
    """A call's gold as it stands in ``gold.jsonl``. ``parents``: level-2 id → level-1 id."""
    tickets = [{"level1": parents[leaf], "level2": leaf} for leaf in sheet.ticket]
    return {
        "id": call,
        "outcome": sheet.outcome,
        "ticket": tickets[0],
        "ticket_acceptable": tickets[1:],
        "wrong_numbers": list(sheet.wrong_numbers),
        "points": [
            {
                "kind": point.kind,
                "utterances": list(point.utterances),
                "statement": point.statement,
                "terms": list(point.terms),
                **({"act": point.act, "polarity": point.polarity} if point.act else {}),
                **({"owner": point.owner} if point.owner else {}),
                **({"due": point.due} if point.due else {}),
            }
            for point in sheet.points
        ],
        "qa": {name: {"answer": judged.answer, "evidence": list(judged.evidence)} for name, judged in sheet.qa.items()},
    }


def sheet_of(gold: Mapping[str, Any]) -> Sheet:
    """The inverse of ``as_gold``."""
    points = tuple(
        KeyPoint(
            kind=point["kind"],
            utterances=tuple(point["utterances"]),
            statement=point["statement"],
            terms=tuple(point["terms"]),
            act=point.get("act", ""),
            polarity=point.get("polarity", "none"),
            owner=point.get("owner", ""),
            due=point.get("due", ""),
        )
        for point in gold["points"]
    )
    return Sheet(
        outcome=gold["outcome"],
        ticket=tuple(ticket["level2"] for ticket in (gold["ticket"], *gold["ticket_acceptable"])),
        points=points,
        qa={name: Judged(answer=item["answer"], evidence=tuple(item["evidence"])) for name, item in gold["qa"].items()},
        wrong_numbers=tuple(gold["wrong_numbers"]),
    )
