"""Whatever is said in whatever order, a summary, a ticket and a scorecard cite only the call and say no number that it does not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from copilot.llm.grounding import numbers_in, unsupported_numbers
from postcall.classify import classify
from postcall.needs import find_intents
from postcall.qa.score import score
from postcall.summary import extract
from postcall.turns import Transcript, turns_from_json
from tests.fakes.celery_target import sample_packs

PACKS = sample_packs()
PHRASES = (
    "我的信用卡丢了",
    "要挂失",
    "被人刷了三千块",
    "尾号【尾号#1】",
    "已经帮您冻结了",
    "五到七个工作日寄到",
    "工本费15元",
    "每个月3.5元",
    "您打开手机银行",
    "我们会短信通知您",
    "一定能追回来",
    "请稍等",
    "好的",
    "多久能到",
    "一万二",
    "百分之十二",
    "I've blocked your card",
    "within 5 working days",
    "twenty five hundred yuan",
    "how much is it?",
    "，",
    "。",
    "？",
    " ",
)
LINES = st.lists(
    st.tuples(
        st.sampled_from(["customer", "agent", "mixed"]),
        st.one_of(st.lists(st.sampled_from(PHRASES), min_size=1, max_size=8).map("".join), st.text(max_size=40)),
        st.integers(0, 9000),
        st.integers(0, 9000),
        st.floats(0, 1),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(lines=LINES, language=st.sampled_from(["zh", "en"]))
def test_nothing_is_invented(lines: list[tuple[str, str, int, int, float]], language: str) -> None:
    spoken = [
        {"channel": channel, "start_ms": start, "end_ms": start + length, "text": text, "confidence": confidence}
        for channel, text, start, length, confidence in lines
    ]
    transcript = Transcript(language=language, turns=tuple(turns_from_json(spoken)))
    texts = {turn.utterance_id: turn.text for turn in transcript.turns}
    intents = find_intents(transcript, PACKS, None)
    made = extract(transcript, intents, PACKS)
    for statement in (*made.problems, *made.actions, *made.commitments, *made.follow_ups):
        assert statement.utterance_ids
        assert not unsupported_numbers(statement.text, [texts[name] for name in statement.utterance_ids])
    assert not unsupported_numbers(made.overall, texts.values())
    assert made.overall

    ticket = classify(PACKS.taxonomy, transcript, intents)
    assert set(ticket.evidence) <= set(texts)
    assert 0 <= ticket.confidence < 1

    card = score(PACKS.rubric, transcript.turns, language, {found.intent for found in intents})
    assert 0 <= card.score <= 100
    for item in card.items:
        assert 0 <= item.confidence <= 1
        for evidence in item.evidence:
            assert len(evidence.quote) <= 60
            assert texts[evidence.utterance_id]
        assert item.points == (item.max_points if item.answer == "pass" else 0)


@given(value=st.integers(1, 99_999_999))
def test_a_number_is_the_same_in_digits_and_in_chinese(value: int) -> None:
    import cn2an

    assert numbers_in(f"共{value}元") == numbers_in(f"共{cn2an.an2cn(value, 'low')}元") == {str(value)}


@given(text=st.text(max_size=60))
def test_numbers_of_any_text_are_supported_by_it(text: str) -> None:
    assert unsupported_numbers(text, [text]) == frozenset()
