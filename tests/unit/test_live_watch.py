"""Rules, mood and dynamics on the running call: what comes of time, of meaning and of the voice."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from copilot.domain.moods import MoodReading, MoodScore, VoiceMeasure
from copilot.domain.transcript import SpeechStarted
from copilot.live.desk import BankRules
from copilot.live.rules import parse_compliance
from tests.fakes.live_bench import INTEGRATION, START, Bench, OneAnswer, final

pytestmark = pytest.mark.anyio
COMMON = {"severity": "warn", "kind": "forbidden", "channel": "any", "name": {"zh": "x"}, "advice": {"zh": "x"}}
RULES = {
    "meaning": {"says": {"like": {"zh": ["绝对亏不了"]}, "at_least": 0.9}},
    "silence": {"silence": {"seconds": 0.5}},
}


class Angry:
    """Reads every turn as angry."""

    def read(self, text: str, language: str) -> MoodReading:
        return MoodReading(scores=(MoodScore(mood="angry", confidence=0.8), MoodScore(mood="calm", confidence=0.2)), complaint=True)


def bench_with_rules(tmp_path, **services) -> Bench:
    bench = Bench(tmp_path, OneAnswer(0.9), **services)
    rules = parse_compliance(json.dumps({"rules": [{"id": name, **COMMON, "when": when} for name, when in RULES.items()]}))

    async def give(_org):
        return BankRules(compliance=rules)

    bench.desk.rules = give
    return bench


async def test_meaning_and_silence_raise_alerts_beside_the_loop(tmp_path):
    bench = bench_with_rules(tmp_path, alike=lambda text, _language, sentences: dict.fromkeys(sentences, 0.95 if "放心" in text else 0.1))
    call = await bench.desk.open_call(START, INTEGRATION)
    await call.final(final(1, "您就放心买吧"))

    told = await bench.until("compliance_alerted", 2)
    assert {event.rule_id for event in told} == {"meaning", "silence"}
    await call.end("hangup", 60_000)
    bench.store.close()


async def test_nothing_is_silence_while_somebody_speaks(tmp_path):
    bench = bench_with_rules(tmp_path)
    call = await bench.desk.open_call(START, INTEGRATION)
    spoken = final(1, "提前还款要违约金吗")
    await call.final(spoken)
    call.speech(SpeechStarted(channel="customer", utterance_id="customer-2", at_ms=spoken.end_ms + 100))
    await asyncio.sleep(2.5)  # the watch has ticked
    assert [event for event in bench.events() if event.type == "compliance_alerted"] == []
    await call.end("hangup", spoken.end_ms + 200)
    bench.store.close()


async def test_the_mood_is_told_and_of_the_voice_only_a_difference_is_stored(tmp_path):
    bench = Bench(tmp_path, OneAnswer(0.9), moods=Angry())
    call = await bench.desk.open_call(START, INTEGRATION)
    for number, level in ((10, -30.0), (20, -30.0), (30, -20.0)):
        voice = VoiceMeasure(level_db=level, pitch_hz=137.0, speech_ms=2_000)
        heard = await call.final(replace(final(number, "提前还款到底要不要违约金"), voice=voice))
        assert heard.voice is None
    await call.end("hangup", 60_000)
    moods = [event for event in bench.events() if event.type == "mood_changed"]
    assert moods[-1].mood == "angry"
    assert moods[-1].complaint_risk > 0.5
    assert moods[-1].voice is not None
    assert moods[-1].voice.energy_db == 10.0
    assert "137" not in repr(bench.events())
    bench.store.close()
