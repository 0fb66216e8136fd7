"""A scorecard as a person answered it, and how two scorecards differ. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from copilot.domain.artifacts import QaItem, QaScorecard
from copilot.domain.errors import InvalidInput

Answer = Literal["pass", "fail", "na", "not_scorable"]
ANSWERS: tuple[Answer, ...] = ("pass", "fail", "na", "not_scorable")


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanAnswer:
    """A person's answer to one question. ``reason`` is needed where it differs from the machine's."""

    item_id: str
    answer: Answer
    reason: str = ""


def total(items: Sequence[QaItem]) -> tuple[float, bool]:
    """(score in [0, 100], fatal) by the rule of the rubric: docs/reference/qa-rubric.md."""
    counted = [item for item in items if item.answer in ("pass", "fail")]
    reachable = sum(item.max_points for item in counted)
    fatal = any(item.fatal and item.answer == "fail" for item in items)
    deductions = sum(item.deduction for item in items if item.answer == "fail")
    reached = 100 * sum(item.points for item in counted) / reachable if reachable else 0.0
    return (0.0 if fatal else round(max(0.0, reached - deductions), 1)), fatal


def reviewed(machine: QaScorecard, answers: Sequence[HumanAnswer]) -> QaScorecard:
    """The scorecard with the person's answers; questions that were not answered keep the machine's. Evidence stays.

    Raises InvalidInput for a question the scorecard does not have, one answered twice, and a change without a reason.
    """
    given: dict[str, HumanAnswer] = {}
    known = {item.item_id for item in machine.items}
    for answer in answers:
        if answer.item_id not in known:
            raise InvalidInput(f"The scorecard has no question {answer.item_id}; read it again.")
        if answer.item_id in given:
            raise InvalidInput(f"The question {answer.item_id} is answered twice.")
        given[answer.item_id] = answer
    items = tuple(_answered(item, given.get(item.item_id)) for item in machine.items)
    score, fatal = total(items)
    return replace(machine, score=score, fatal=fatal, items=items)


def _answered(item: QaItem, given: HumanAnswer | None) -> QaItem:
    if given is None or given.answer == item.answer:
        return item
    if not given.reason.strip():
        raise InvalidInput(f"Give a reason for changing {item.item_id} from {item.answer} to {given.answer}.")
    points = item.max_points if given.answer == "pass" else 0.0
    return replace(item, answer=given.answer, points=points, confidence=1.0)


def blind(machine: QaScorecard, answers: Sequence[HumanAnswer]) -> QaScorecard:
    """As ``reviewed``, for an inspector who did not see the machine's answers: every question must be answered, none needs a reason."""
    given = {answer.item_id: answer for answer in answers}
    missing = [item.item_id for item in machine.items if item.item_id not in given]
    if missing:
        raise InvalidInput(f"Every question is answered in a calibration; missing: {', '.join(missing)}.")
    return reviewed(machine, [replace(answer, reason=answer.reason or "blind") for answer in answers])


def answers_of(card: QaScorecard) -> dict[str, Answer]:
    """question → answer."""
    return {item.item_id: item.answer for item in card.items}


def changes(machine: Mapping[str, str], human: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """question → (machine, human), where they differ."""
    return {item: (machine[item], human[item]) for item in machine if item in human and machine[item] != human[item]}
