"""The mood report and the terms of a call."""

from __future__ import annotations

from copilot.domain.artifacts import Turn
from copilot.domain.events import MoodChanged
from postcall.keywords import MOST_TERMS, terms_of
from postcall.mood import report
from postcall.turns import Transcript
from tests.fakes.celery_target import sample_packs

TAXONOMY = sample_packs().taxonomy


def call(*lines: tuple[str, int, int, str], language: str = "zh", moods: tuple[MoodChanged, ...] = ()) -> Transcript:
    turns = tuple(
        Turn(utterance_id=f"{channel}-{number}", channel=channel, start_ms=start, end_ms=end, text=text)  # type: ignore[arg-type]
        for number, (channel, start, end, text) in enumerate(lines, start=1)
    )
    return Transcript(language=language, turns=turns, moods=moods)


def test_words_tell_anger_and_a_complaint_and_thanks_at_the_end_ease_it() -> None:
    angry = [
        ("customer", 0, 4000, "你们这是什么态度，我打了好几次了"),
        ("agent", 4500, 8000, "非常抱歉"),
        ("customer", 9000, 12_000, "再不解决我就投诉到银保监"),
    ]
    made = report(call(*angry))
    assert [(point.utterance_id, point.mood, point.heard) for point in made.points] == [
        ("customer-1", "angry", "words"),
        ("customer-3", "angry", "words"),
    ]
    assert made.risk_evidence == ("customer-1", "customer-3")
    assert made.complaint_risk > 0.6
    eased = report(call(*angry, ("customer", 20_000, 22_000, "好的谢谢你，那我放心了")))
    assert eased.complaint_risk < made.complaint_risk
    assert eased.trend == "easing"


def test_what_is_denied_is_not_said() -> None:
    assert report(call(("customer", 0, 3000, "我不是要投诉，就是问一下"))).points == ()
    assert report(call(("agent", 0, 3000, "您可以投诉"))).points == (), "the agent's words are not the customer's mood"


def test_the_live_loop_is_believed_before_words() -> None:
    heard = MoodChanged(
        customer_turn=1,
        utterance_id="customer-1",
        at_ms=1000,
        mood="anxious",
        confidence=0.8123456,
        complaint_risk=0.41,  # type: ignore[arg-type]
    )
    made = report(call(("customer", 0, 3000, "气死我了"), moods=(heard,)))
    assert [(point.mood, point.heard, point.confidence) for point in made.points] == [("anxious", "live", 0.812)]
    assert (made.complaint_risk, made.risk_evidence) == (0.41, ("customer-1",))


def test_times_tell_silence_overtalk_and_pace() -> None:
    made = report(
        call(
            ("customer", 0, 6000, "我想问一下我的信用卡账单为什么多了一笔钱呢"),
            ("agent", 5500, 9000, "请您稍等"),
            ("agent", 14_000, 16_000, "让您久等了"),
            ("customer", 17_000, 17_500, "嗯"),
        )
    )
    assert (made.silence_ms, made.longest_silence_ms, made.longest_silence_at_ms) == (5000, 5000, 9000)
    assert made.overtalk_ms == 500
    pace = {item.channel: item for item in made.pace}
    assert pace["customer"].speech_ms == 6500
    assert pace["customer"].units_per_minute == round(22 * 60_000 / 6500)
    assert report(call(("customer", 0, 500, "嗯"))).pace[0].units_per_minute == 0, "of a word the rate says nothing"
    assert report(call()).points == ()


def test_terms_of_the_bank_come_first_and_lead_to_where_they_were_said() -> None:
    made = terms_of(
        call(
            ("customer", 0, 3000, "我的卡被盗刷了，尾号【尾号#1】，三千块"),
            ("agent", 3000, 6000, "盗刷的话我先帮您冻结，再登记否认交易"),
            ("customer", 6000, 9000, "否认交易以后多久有结果，短信会有结果吗，结果短信"),
        ),
        TAXONOMY,
    )
    terms = {item.term: item for item in made.terms}
    assert made.terms[0].weight == 1.0
    assert terms["盗刷"].known
    assert terms["盗刷"].utterance_ids == ("customer-1", "agent-2")
    assert (terms["短信"].count, terms["短信"].known) == (2, False)
    assert not any("尾号" in term or "三千" in term or term.isdigit() for term in terms)
    assert len(made.terms) <= MOST_TERMS
    assert terms_of(call(("customer", 0, 1, "嗯")), TAXONOMY).terms == ()


def test_english_terms() -> None:
    made = terms_of(
        call(
            ("customer", 0, 3000, "I lost my card, please block my card"),
            ("agent", 3000, 5000, "A replacement takes a week, the replacement is free"),
            language="en",
        ),
        TAXONOMY,
    )
    assert "lost my card" in {item.term for item in made.terms}
