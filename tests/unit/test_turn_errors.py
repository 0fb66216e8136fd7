"""Errors are given to the turn they happened in, and add up to the rate of the whole."""

from __future__ import annotations

import json

import numpy as np
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.offline import judge, recordings, summary
from loadtest.scoring import cer
from loadtest.turn_errors import TurnErrors, bootstrap_interval, turn_errors

TEXT = st.text(alphabet="好的银行卡钱三百零五36", max_size=12)


def test_an_error_belongs_to_the_turn_it_happened_in():
    scored = turn_errors(["我的卡丢了。", "好的，请稍等。", "谢谢你。"], "我的卡丢了，好的请烧等啊，谢谢你")
    assert [(turn.errors, turn.characters) for turn in scored] == [(0, 5), (2, 5), (0, 3)]
    assert scored[1].heard == "好的请烧等啊"


def test_a_turn_that_was_not_heard_is_all_errors_and_its_neighbours_are_clean():
    scored = turn_errors(["请说卡号。", "三六七八。", "谢谢。"], "请说卡号，谢谢。")
    assert [turn.errors for turn in scored] == [0, 4, 0]
    assert scored[1].heard == ""


def test_numbers_count_in_the_reading_that_was_spoken():
    scored = turn_errors(["刷了三千块", "尾号三六七八"], "刷了3000块尾号3678")
    assert [turn.errors for turn in scored] == [0, 0]


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=5), TEXT)
def test_turns_add_up_to_the_whole(turns, hypothesis):
    scored = turn_errors(turns, hypothesis)
    rate, length = cer("。".join(turns), hypothesis)
    assert sum(turn.characters for turn in scored) == length
    if length:
        assert abs(sum(turn.errors for turn in scored) / length - rate) < 1e-9


def test_the_interval_holds_the_rate_and_narrows_with_more_turns():
    few = [TurnErrors(errors=index % 3, characters=10, heard="") for index in range(9)]
    low, high = bootstrap_interval(few)
    assert low < 0.1 < high
    tight_low, tight_high = bootstrap_interval(few * 20)
    assert tight_high - tight_low < (high - low) / 3
    assert bootstrap_interval(few) == (low, high)


def test_a_scenario_is_judged_per_channel(tmp_path):
    call = tmp_path / "set" / "one"
    call.mkdir(parents=True)
    stereo = np.zeros((8000, 2), dtype=np.float32)
    stereo[:, 1] = 0.5
    soundfile.write(call / "call.wav", stereo, 8000, subtype="ULAW")
    turns = [
        {"channel": "customer", "start_ms": 0, "end_ms": 400, "text": "你好。"},
        {"channel": "agent", "start_ms": 400, "end_ms": 900, "text": "请说。"},
    ]
    (call / "gold.json").write_text(json.dumps({"turns": turns}), encoding="utf-8")
    ((name, wav, gold),) = recordings([tmp_path / "set"])
    result, everything = judge(name, wav, gold, lambda samples: "请说" if samples.max() > 0.1 else "", rounds=50)
    assert result["channels"]["customer"]["cer"] == 1.0
    assert result["channels"]["customer"]["turns_missed"] == 1
    assert result["channels"]["agent"]["cer"] == 0.0
    assert result["cer"] == summary(everything, 50)["cer"] == 0.5
