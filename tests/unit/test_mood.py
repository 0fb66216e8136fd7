"""Mood, voice and dynamics of a call."""

from __future__ import annotations

import numpy as np
import pytest

from copilot.domain.artifacts import Turn
from copilot.domain.errors import InvalidInput
from copilot.domain.ids import UtteranceId
from copilot.domain.moods import MoodReading, MoodScore, VoiceMeasure
from copilot.live.dynamics import Dynamics
from copilot.live.frontier import OVERDUE_MS, Frontier
from copilot.live.mood import MoodTracker
from kb.moods import MoodReader
from streaming.audio.voice import measure
from tests.fakes.gram_embedder import GramEmbedder

PACK = """
moods:
  - {id: calm, name: {zh: 平静, en: Calm}, examples: {zh: [请问怎么办理, 多少钱一张], en: [how do I apply, how much is it]}}
  - {id: confused, name: {zh: 困惑, en: Confused}, examples: {zh: [我听不懂什么意思, 搞不清楚], en: [I do not understand, what is that]}}
  - {id: anxious, name: {zh: 着急, en: Anxious}, examples: {zh: [急死我了怎么办, 钱不见了好害怕], en: [please hurry, I am worried]}}
  - {id: angry, name: {zh: 生气, en: Angry}, examples: {zh: [你们太过分了, 什么态度], en: [this is ridiculous, useless people]},
     rules: {zh: [凭什么], en: [outrageous]}}
complaint: {zh: [投诉], en: [complain]}
"""


def tone(hertz: float, seconds: float, level: float = 0.3) -> bytes:
    at = np.arange(int(16_000 * seconds)) / 16_000
    wave = sum(np.sin(2 * np.pi * hertz * n * at) / n for n in (1, 2, 3)) * level / 2
    return (wave * 32767).astype("<i2").tobytes()


def reading(mood: str, confidence: float = 0.7, *, complaint: bool = False) -> MoodReading:
    rest = (1 - confidence) / 3
    moods = ("calm", "confused", "anxious", "angry")
    return MoodReading(
        scores=tuple(MoodScore(mood=name, confidence=confidence if name == mood else rest) for name in moods),  # type: ignore[arg-type]
        complaint=complaint,
    )


def turn(number: int, start: int, end: int, channel: str, text: str = "说了一些话") -> Turn:
    return Turn(utterance_id=UtteranceId(f"{channel}-{number}"), channel=channel, start_ms=start, end_ms=end, text=text)  # type: ignore[arg-type]


@pytest.mark.parametrize("hertz", [95.0, 150.0, 220.0, 330.0])
def test_the_pitch_of_a_tone_is_found_at_any_level(hertz: float) -> None:
    for level in (0.5, 0.02):
        found = measure(tone(hertz, 1.0, level))
        assert found is not None
        assert found.pitch_hz == pytest.approx(hertz, rel=0.02)
    loud, quiet = measure(tone(hertz, 1.0, 0.4)), measure(tone(hertz, 1.0, 0.2))
    assert loud is not None and quiet is not None  # noqa: PT018
    assert loud.level_db - quiet.level_db == pytest.approx(6.0, abs=0.2)


def test_noise_has_no_pitch_and_silence_no_voice() -> None:
    noise = (np.random.default_rng(1).normal(0, 0.1, 16_000) * 32767).astype("<i2").tobytes()
    found = measure(noise)
    assert found is not None
    assert found.pitch_hz is None
    assert measure(bytes(32_000)) is None
    assert measure(tone(150, 0.1)) is None


def test_the_words_are_read_with_their_reasons() -> None:
    reader = MoodReader(PACK, GramEmbedder(dimension=256))
    angry = reader.read("凭什么啊，你们太过分了，我要投诉", "zh")
    assert max(angry.scores, key=lambda score: score.confidence).mood == "angry"
    assert angry.complaint
    assert (angry.why[0].kind, angry.why[0].detail) == ("words", "凭什么")
    assert sum(score.confidence for score in angry.scores) == pytest.approx(1)
    calm = reader.read("how do I apply", "en")
    assert max(calm.scores, key=lambda score: score.confidence).mood == "calm"


def test_a_pack_without_one_of_the_moods_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"moods\.yaml"):
        MoodReader(PACK.replace("id: angry", "id: furious"), GramEmbedder())


def test_the_voice_counts_against_the_customers_own_beginning() -> None:
    tracker, plain = MoodTracker(), MoodTracker()
    normal, raised = VoiceMeasure(level_db=-30, pitch_hz=120, speech_ms=2_000), VoiceMeasure(level_db=-22, pitch_hz=150, speech_ms=1_500)
    for number in (1, 2):
        tracker.heard(UtteranceId(f"customer-{number}"), normal, 8)
    tracker.heard(UtteranceId("customer-3"), raised, 9)
    loud = tracker.read(reading("calm", 0.4), UtteranceId("customer-3"), customer_turn=3, at_ms=1, complains=False)
    without = plain.read(reading("calm", 0.4), UtteranceId("customer-3"), customer_turn=3, at_ms=1, complains=False)
    assert loud is not None and without is not None  # noqa: PT018
    assert loud.voice is not None
    assert (loud.voice.energy_db, round(loud.voice.pitch_semitones), loud.voice.rate) == (8.0, 4, 1.5)
    assert dict_of(loud)["angry"] > dict_of(without)["angry"]
    assert any(reason.kind == "voice" for reason in loud.why)
    assert without.voice is None


def test_a_doubled_pitch_is_an_error_of_measurement() -> None:
    tracker = MoodTracker()
    for number, pitch in ((1, 120.0), (2, 120.0), (3, 240.0)):
        tracker.heard(UtteranceId(f"customer-{number}"), VoiceMeasure(level_db=-30, pitch_hz=pitch, speech_ms=2_000), 8)
    changed = tracker.read(reading("calm"), UtteranceId("customer-3"), customer_turn=3, at_ms=1, complains=False)
    assert changed is not None and changed.voice is not None  # noqa: PT018
    assert changed.voice.pitch_semitones == 0


def test_trend_and_complaint_risk_over_the_turns() -> None:
    tracker = MoodTracker()
    moods = [("calm", False), ("anxious", False), ("angry", True), ("calm", False), ("calm", False)]
    told = [
        tracker.read(reading(mood, complaint=complaint), UtteranceId(f"customer-{at}"), customer_turn=at, at_ms=at, complains=False)
        for at, (mood, complaint) in enumerate(moods, 1)
    ]
    assert [changed.trend for changed in told] == ["steady", "rising", "rising", "easing", "easing"]
    risks = [changed.complaint_risk for changed in told]
    assert risks[0] < 0.2
    assert risks[2] > 0.6
    assert risks[2] > risks[3] > risks[4] > risks[0]


def test_a_turn_is_told_again_only_if_its_estimate_moves() -> None:
    tracker = MoodTracker()
    name = UtteranceId("customer-1")
    assert tracker.read(reading("calm"), name, customer_turn=1, at_ms=1, complains=False) is not None
    assert tracker.read(reading("calm", 0.72), name, customer_turn=1, at_ms=2, complains=False) is None
    again = tracker.read(reading("angry"), name, customer_turn=1, at_ms=3, complains=False)
    assert again is not None
    later = MoodTracker()
    later.restore(again)
    assert later.read(reading("angry"), name, customer_turn=1, at_ms=3, complains=False) is None
    assert MoodTracker().read(MoodReading(scores=()), name, customer_turn=1, at_ms=1, complains=False) is None


def dict_of(changed):
    return {score.mood: score.confidence for score in changed.scores}


def test_dynamics_count_speech_silence_overtalk_and_interruptions() -> None:
    talk = Dynamics(language="zh")
    for said in (
        turn(1, 0, 4_000, "agent", "您好" * 10),
        turn(1, 3_000, 8_000, "customer", "我想问" * 10),
        turn(2, 12_000, 15_000, "agent"),
        turn(3, 20_000, 22_000, "agent"),
    ):
        talk.heard(said)
    talk.held(16_000, held=True)
    talk.held(19_000, held=False)
    (found,) = talk.measure(22_000)
    assert (found.agent_speech_ms, found.customer_speech_ms) == (9_000, 5_000)
    assert (found.silence_ms, found.longest_silence_ms) == (6_000, 4_000)
    assert (found.overtalk_ms, found.agent_interruptions, found.customer_interruptions) == (1_000, 0, 1)
    assert found.customer_rate == 360.0
    assert talk.measure(60_000) == []
    talk.heard(turn(4, 23_000, 24_000, "agent"))
    assert talk.measure(24_000) == []
    assert len(talk.measure(24_000, last=True)) == 1


def test_the_frontier_waits_for_finals_and_not_forever() -> None:
    frontier = Frontier()
    frontier.began(UtteranceId("agent-1"), 1_000)
    frontier.passed(9_000)
    assert frontier.known_ms == 1_000
    frontier.ended(UtteranceId("agent-1"), 9_500)
    assert frontier.known_ms == 1_000
    frontier.final(UtteranceId("agent-1"), 9_500)
    assert frontier.known_ms == 9_500
    frontier.began(UtteranceId("customer-1"), 10_000)
    frontier.ended(UtteranceId("customer-1"), 10_200)
    frontier.passed(10_200 + OVERDUE_MS)
    assert frontier.known_ms == 10_200 + OVERDUE_MS
