"""The reasoning model of docs/explanation/capacity.md."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.asr.capacity import Traffic, channels, cost_per_second

WORK = st.floats(min_value=0.1, max_value=10_000)


def test_a_worked_example():
    # 0.45 · (100 ms · 1.25 a second + 400 ms · 0.25 a second) = 101.25 decoder-ms a second; 2 decoders give 1600 at 80%.
    assert cost_per_second(100, 400, 800, Traffic()) == pytest.approx(101.25)
    assert channels(100, 400, 2, 800) == pytest.approx(1_600 / 101.25)


@given(partial=WORK, final=WORK, decoders=st.integers(1, 64))
def test_more_decoders_and_fewer_partials_carry_more(partial, final, decoders):
    assert channels(partial, final, decoders * 2, 800) == pytest.approx(2 * channels(partial, final, decoders, 800))
    assert channels(partial, final, decoders, 2_500) > channels(partial, final, decoders, 800)
    assert channels(partial, final, decoders, 800, Traffic(speech_share=0.9)) == pytest.approx(channels(partial, final, decoders, 800) / 2)
