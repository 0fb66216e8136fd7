"""The feed cursor: whatever order messages come in, a screen sees every event once and in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from copilot.live.feed import FeedCursor


@given(total=st.integers(1, 40), resume=st.integers(0, 10), arrivals=st.lists(st.integers(1, 40), max_size=80))
def test_every_event_once_and_in_order(total: int, resume: int, arrivals: list[int]):
    resume = min(resume, total)
    cursor = FeedCursor()
    cursor.start("c", resume)
    seen: list[int] = []

    def deliver(seq: int) -> None:
        cursor.delivered("c", seq)
        seen.append(seq)

    for seq in [min(arrival, total) for arrival in arrivals] + [total]:
        match cursor.judge("c", seq):
            case "deliver":
                deliver(seq)
            case "gap":
                for missing in range(cursor.last("c") + 1, seq + 1):
                    deliver(missing)
            case "duplicate":
                assert seq <= cursor.last("c")
    assert seen == list(range(resume + 1, total + 1))
