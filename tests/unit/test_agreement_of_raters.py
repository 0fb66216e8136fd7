"""The figures of agreement are those that scikit-learn computes, and undefined where it would divide by nothing."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from copilot.review.agreement import ORDERED_ANSWERS, agreement, kappa, pairs_of, percent_agreement

SCALE = list(ORDERED_ANSWERS)
answer = st.sampled_from(SCALE)


@given(st.lists(st.tuples(answer, answer), min_size=1, max_size=60), st.sampled_from(["none", "linear", "quadratic"]))
def test_kappa_is_scikit_learns(pairs: list[tuple[str, str]], weights: str) -> None:
    ours = kappa(pairs, SCALE, weights)  # type: ignore[arg-type]
    first, second = zip(*pairs, strict=True)
    if len(set(first) | set(second)) == 1:
        assert ours is None
        return
    theirs = cohen_kappa_score(first, second, labels=SCALE, weights=None if weights == "none" else weights)
    if math.isnan(theirs):
        assert ours is None
    else:
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_figures_of_one_question() -> None:
    pairs = [("pass", "pass")] * 6 + [("fail", "fail")] * 2 + [("pass", "fail")] + [("na", "pass")]
    found = agreement(pairs)
    assert found.pairs == 10
    assert found.percent == percent_agreement(pairs) == 0.8
    assert found.kappa == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)))
    assert found.weighted == pytest.approx(cohen_kappa_score(*zip(*pairs[:9], strict=True), labels=SCALE, weights="linear"))


def test_where_nothing_can_be_said() -> None:
    assert agreement([]) == agreement([("na", "na")][:0])
    assert (percent_agreement([]), kappa([])) == (None, None)
    only = agreement([("pass", "pass")] * 5)
    assert (only.percent, only.kappa, only.weighted) == (1.0, None, None)
    with pytest.raises(ValueError, match="na is not on the scale"):
        kappa([("na", "pass")], SCALE, "linear")


def test_pairs_of_three_raters() -> None:
    assert pairs_of({"b": {"x": "fail", "y": "pass"}, "a": {"x": "pass", "z": "na"}, "c": {"x": "fail"}}) == [
        ("pass", "fail"),
        ("pass", "fail"),
        ("fail", "fail"),
    ]


def test_random_raters_have_no_kappa() -> None:
    rng = random.Random(7)
    pairs = [(rng.choice(SCALE), rng.choice(SCALE)) for _ in range(20_000)]
    assert abs(kappa(pairs) or 1) < 0.02
