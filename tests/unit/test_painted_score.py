"""The waits of an agent's screen from the moments of a call."""

from __future__ import annotations

import pytest

from loadtest.painted_score import map_clock, speech_end_ms, summary, table, waits

TURNS = [
    {"channel": "agent", "start_ms": 0, "end_ms": 4000},
    {"channel": "customer", "start_ms": 4500, "end_ms": 9000},
]


def final(number: int, end_ms: int, at_s: float, channel: str = "customer"):
    event = {"type": "utterance_final", "utterance_id": f"{channel}-{number}", "channel": channel, "end_ms": end_ms}
    return {"event": event, "at_s": at_s}


def offer(number: int, trigger: str, **more):
    stages = [{"name": "asr_decode", "ms": 200.0 * number}]
    event = {
        "type": "suggestion_offered",
        "suggestion_id": f"s{number}",
        "kind": "faq",
        "trigger": trigger,
        "stages": stages,
        "generated": False,
    }
    return {"event": event | more, "at_s": 0.0}


def test_the_clock_is_read_off_the_shortest_way():
    clock = map_clock([(100.0, 5.0, 101.0), (110.0, 15.04, 110.1), (120.0, 25.2, 120.5)])
    assert clock.offset_s == pytest.approx(95.01)
    assert clock.error_s == pytest.approx(0.05)


def test_speech_ends_where_the_gold_says_unless_the_customer_only_paused():
    assert speech_end_ms({"channel": "customer", "end_ms": 9100}, TURNS) == (9000, True)
    assert speech_end_ms({"channel": "customer", "end_ms": 6500}, TURNS) == (6500, False)
    assert speech_end_ms({"channel": "mixed", "end_ms": 9000}, TURNS) == (9000, False)


def test_waits_run_from_the_speech_end_and_from_the_final():
    events = [final(1, 9080, 1009.6), offer(1, "customer-1"), offer(2, "customer-1", generated=True), offer(3, "customer-1")]
    found, missing = waits(events, TURNS, 1000.0, {"s1": 1009.7, "s2": 1011.0})
    assert [(wait.suggestion_id, round(wait.wait_ms), round(wait.after_final_ms), wait.by_gold) for wait in found] == [
        ("s1", 700, 100, True)
    ]
    assert missing == ["s3"], "offered, not painted; the generated one is no new card"


def test_the_table_has_a_line_a_level_and_says_what_is_missing():
    found, _ = waits([final(1, 9000, 1009.5), offer(1, "customer-1")], TURNS, 1000.0, {"s1": 1009.9})
    levels = {1: summary(found, 0), 4: summary([], 2)}
    assert levels[1]["painted_ms"]["p95"] == pytest.approx(900)
    assert levels[1]["painted_ms"]["p95_interval"] == pytest.approx([900, 900])
    text = table(levels)
    assert "| 1 | 1 | 900 | 900 (900–900) | 400 | 400 | 0 |" in text
    assert "| 4 | 0 | – | – | – | – | 2 |" in text
    assert "| asr_decode | 200 | – |" in text
