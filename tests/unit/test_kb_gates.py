"""The gate for publishing: rules over an evaluation."""

from __future__ import annotations

import pytest

from copilot.domain.errors import InvalidInput
from kb.evaluation import Evaluation, Variant
from kb.gates import failures, parse_gate
from kb.measures import Estimate

MEASURED = Evaluation(
    queries=10,
    metrics={"mrr": Estimate(value=0.8, low=0.7, high=0.9), "offered_wrongly": Estimate(value=0.2, low=0.1, high=0.3)},
    misses=(),
    variants=(
        Variant(noise="heard", fields="all", metrics={"mrr": Estimate(value=0.5, low=0.4, high=0.6)}),
        Variant(noise="heard", fields="only dense", metrics={"mrr": Estimate(value=0.9, low=0.9, high=0.9)}),
    ),
)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("{measure: mrr, at_least: 0.8}", ""),
        ("{measure: mrr, at_least: 0.81}", "mrr is 0.800; it must be at least 0.81."),
        ("{measure: mrr, at_least: 0.75, bound: low}", "mrr is 0.700 at the low end of its interval; it must be at least 0.75."),
        ("{measure: offered_wrongly, at_most: 0.2}", ""),
        (
            "{measure: offered_wrongly, at_most: 0.25, bound: high}",
            "offered_wrongly is 0.300 at the high end of its interval; it must be at most 0.25.",
        ),
        ("{measure: mrr, noise: heard, at_least: 0.6}", "mrr under heard is 0.500; it must be at least 0.6."),
        ("{measure: mrr, noise: 'drop:0.1', at_least: 0.1}", "mrr under drop:0.1 was not measured with these queries and noises."),
        ("{measure: brier, at_most: 1}", "brier was not measured with these queries and noises."),
    ],
)
def test_a_rule_is_met_or_says_why_not(rule: str, reason: str) -> None:
    assert failures(parse_gate(f"- {rule}"), MEASURED) == ((reason,) if reason else ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not YAML"),
        ("mrr: 0.7", "list of rules"),
        ("[]", "list of rules"),
        ("- {at_least: 0.7}", "Rule 1"),
        ("- {measure: mrr}", "at_least or at_most"),
        ("- {measure: mrr, at_least: true}", "number"),
        ("- {measure: mrr, at_least: 0.5, bound: middle}", "bound of rule 1"),
        ("- {measure: mrr, at_lest: 0.5}", "Rule 1"),
    ],
)
def test_what_is_no_gate_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_gate(text)
