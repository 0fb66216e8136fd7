"""What a search must reach before it is published: rules over an evaluation, and the reasons why it does not. Pure.

- {measure: mrr, at_least: 0.70}
- {measure: recall@5, at_least: 0.80, bound: low}
- {measure: offered_wrongly, at_most: 0.15}
- {measure: mrr, noise: "mixed:0.2", at_least: 0.6}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import yaml

from copilot.domain.errors import InvalidInput
from kb.evaluation import ALL_FIELDS, CLEAN, Evaluation
from kb.measures import Estimate

Bound = Literal["value", "low", "high"]
_KEYS = {"measure", "noise", "bound", "at_least", "at_most"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``bound``: which number of the estimate counts (its value, or an end of its 95% interval). ``noise``: as evaluated, or ``heard``."""

    measure: str
    noise: str = CLEAN
    bound: Bound = "value"
    at_least: float | None = None
    at_most: float | None = None


def parse_gate(text: str) -> tuple[Rule, ...]:
    """Rules of a YAML list. Raises InvalidInput naming the rule that is none."""
    try:
        rows = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"The gate is not YAML ({error}).") from error
    if not isinstance(rows, list) or not rows:
        raise InvalidInput("The gate must be a list of rules, such as {measure: mrr, at_least: 0.7}.")
    return tuple(_rule(number, row) for number, row in enumerate(rows, 1))


def failures(rules: tuple[Rule, ...], evaluation: Evaluation) -> tuple[str, ...]:
    """A sentence for each rule that is not met, also for one whose measure was not taken."""
    found = (_failure(rule, evaluation) for rule in rules)
    return tuple(reason for reason in found if reason)


def _failure(rule: Rule, evaluation: Evaluation) -> str:
    name = rule.measure if rule.noise == CLEAN else f"{rule.measure} under {rule.noise}"
    estimate = _estimate(rule, evaluation)
    if estimate is None:
        return f"{name} was not measured with these queries and noises."
    value = {"value": estimate.value, "low": estimate.low, "high": estimate.high}[rule.bound]
    shown = f"{name} is {value:.3f}" + ("" if rule.bound == "value" else f" at the {rule.bound} end of its interval")
    if rule.at_least is not None and value < rule.at_least:
        return f"{shown}; it must be at least {rule.at_least:g}."
    if rule.at_most is not None and value > rule.at_most:
        return f"{shown}; it must be at most {rule.at_most:g}."
    return ""


def _estimate(rule: Rule, evaluation: Evaluation) -> Estimate | None:
    if rule.noise == CLEAN:
        return evaluation.metrics.get(rule.measure)
    for variant in evaluation.variants:
        if (variant.noise, variant.fields) == (rule.noise, ALL_FIELDS):
            return variant.metrics.get(rule.measure)
    return None


def _rule(number: int, row: Any) -> Rule:
    if not isinstance(row, dict) or not set(row) <= _KEYS or "measure" not in row:
        raise InvalidInput(f"Rule {number} of the gate must have a measure and of noise, bound, at_least and at_most what it needs.")
    limits = {name: row[name] for name in ("at_least", "at_most") if name in row}
    if not limits or any(isinstance(value, bool) or not isinstance(value, int | float) for value in limits.values()):
        raise InvalidInput(f"Rule {number} of the gate needs a number for at_least or at_most.")
    if row.get("bound", "value") not in {"value", "low", "high"}:
        raise InvalidInput(f"The bound of rule {number} of the gate must be value, low or high.")
    return Rule(measure=str(row["measure"]), noise=str(row.get("noise", CLEAN)), bound=row.get("bound", "value"), **limits)
