"""The rules give the same alerts live, whatever the order of finals and ticks of the clock, as after the call."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from copilot.domain.artifacts import Turn
from copilot.domain.ids import UtteranceId
from copilot.live.frontier import Frontier
from copilot.live.rule_monitor import RuleMonitor, evaluate
from copilot.live.rules import parse_compliance

A, B, C = ({"channel": "any", "words": {"zh": [word]}} for word in "甲乙丙")
WHEN = {
    "says": {"says": {"patterns": {"zh": ["甲"]}, "like": {"zh": ["像甲"]}}},
    "then": {"then": {"first": A, "next": B, "within_s": 5}},
    "within": {"without": {"after": A, "expected": B, "within_s": 4}},
    "before": {"without": {"expected": B, "before": C}},
    "between": {"without": {"after": A, "expected": B, "before": C}},
    "never": {"without": {"after": A, "expected": C, "before": "end"}},
    "silence": {"silence": {"seconds": 3}},
    "overtalk": {"overtalk": {"seconds": 1}},
    "rate": {"rate": {"channel": "any", "above": {"zh": 60}}},
}
COMMON = {"severity": "warn", "kind": "must_say", "channel": "agent", "name": {"zh": "x"}, "advice": {"zh": "x"}}
RULES = parse_compliance(json.dumps({"rules": [{"id": name, **COMMON, "when": when} for name, when in WHEN.items()]}))


@st.composite
def calls(draw: st.DrawFn) -> tuple[list[Turn], list[tuple[int, int]], dict[UtteranceId, dict[str, float]]]:
    turns = []
    for channel in ("agent", "customer"):
        at = 0
        for number in range(draw(st.integers(0, 6))):
            at += draw(st.integers(0, 6)) * 700
            end = at + draw(st.integers(1, 8)) * 600
            text = draw(st.sampled_from(["甲", "乙", "丙", "丁", "甲乙", "丁丁丁丁丁丁丁丁"]))
            turns.append(Turn(utterance_id=UtteranceId(f"{channel}-{number}"), channel=channel, start_ms=at, end_ms=end, text=text))
            at = end
    hold = draw(st.one_of(st.just([]), st.tuples(st.integers(0, 20), st.integers(1, 9)).map(lambda x: [(x[0] * 500, (x[0] + x[1]) * 500)])))
    alike = {turn.utterance_id: {"像甲": draw(st.sampled_from([0.5, 0.95]))} for turn in turns}
    return turns, hold, alike


@settings(deadline=None)
@given(calls(), st.randoms(use_true_random=False))
def test_live_is_as_after_the_call(call, random) -> None:
    turns, holds, alike = call
    end_ms = max((turn.end_ms for turn in turns), default=0) + 2_500
    after = evaluate(RULES, turns, "zh", end_ms=end_ms, holds=holds, alike=alike)
    monitor, frontier, live = RuleMonitor(language="zh", rules=RULES), Frontier(), []
    events = [(start, 0, "hold", True) for start, _ in holds] + [(stop, 0, "hold", False) for _, stop in holds]
    for turn in turns:
        late = random.choice([0, 300, 2_000])
        events += [(turn.start_ms, 1, "began", turn), (turn.end_ms, 2, "ended", turn), (turn.end_ms + late, 3, "final", turn)]
        events.append((turn.end_ms + late + random.choice([0, 900]), 4, "weighed", turn))
    events += [(random.randrange(0, end_ms + 1), 5, "tick", None) for _ in range(random.randrange(12))]
    for at, _, what, item in sorted(events, key=lambda event: event[:2]):
        if what == "hold":
            monitor.held(at, held=item)
        elif what == "began":
            frontier.began(item.utterance_id, at)
        elif what == "ended":
            frontier.ended(item.utterance_id, at)
        elif what == "final":
            live += monitor.heard(item)
            frontier.final(item.utterance_id, item.end_ms)
        elif what == "weighed":
            live += monitor.weighed(item.utterance_id, alike[item.utterance_id])
        else:
            frontier.passed(at)
        live += monitor.known_until(min(frontier.known_ms, end_ms))
    live += monitor.end(end_ms)
    assert sorted(live, key=lambda alert: (alert.at_ms, alert.rule_id)) == after


def test_what_is_said_again_by_another_node_is_told_once() -> None:
    turn = Turn(utterance_id=UtteranceId("agent-1"), channel="agent", start_ms=0, end_ms=900, text="甲")
    first = RuleMonitor(language="zh", rules=RULES)
    (alert,) = first.heard(turn)
    second = RuleMonitor(language="zh", rules=RULES)
    second.recall(alert)
    assert second.heard(turn) == []


def test_what_begins_in_the_same_millisecond_counts_as_said_in_time() -> None:
    late = Turn(utterance_id=UtteranceId("customer-1"), channel="customer", start_ms=1_400, end_ms=2_000, text="丙")
    expected = Turn(utterance_id=UtteranceId("agent-1"), channel="agent", start_ms=1_400, end_ms=2_600, text="乙")
    monitor = RuleMonitor(language="zh", rules=[rule for rule in RULES if rule.rule_id == "before"])
    told = [*monitor.heard(late), *monitor.known_until(1_400), *monitor.heard(expected), *monitor.known_until(3_000), *monitor.end(3_000)]
    assert told == []
