"""The scorers of after-call work, by cases worked out by hand."""

from __future__ import annotations

import pytest

from copilot.domain.artifacts import Evidence, QaItem, QaScorecard, Statement, Summary, TicketClassification
from copilot.domain.ids import UtteranceId
from loadtest import call_set, postcall_eval
from loadtest.call_labels import KeyPoint, Sheet, parse_answers
from loadtest.postcall_scoring import (
    CallResult,
    by_question,
    figures,
    has_term,
    kappa,
    kappa_interval,
    rate,
    says,
    score_call,
    told,
    unsupported,
    wrong_numbers_said,
)

IDS = [UtteranceId(name) for name in ("agent-1", "customer-1", "agent-2", "agent-3")]
TEXTS = dict(zip(IDS, ("您好", "被盗刷三千块", "卡片已经冻结", "十五个工作日短信通知"), strict=True))


def point(*terms: str, act: str = "", polarity: str = "none", utterances: tuple[int, ...] = (2,), kind: str = "need") -> KeyPoint:
    return KeyPoint(kind=kind, utterances=utterances, statement="…", terms=terms, act=act, polarity=polarity)  # type: ignore[arg-type]


def summary(overall: str = "", language: str = "zh", **sections: tuple[tuple[str, tuple[int, ...]], ...]) -> Summary:
    made = {
        name: tuple(Statement(text=text, utterance_ids=tuple(IDS[number - 1] for number in numbers)) for text, numbers in entries)
        for name, entries in sections.items()
    }
    return Summary(language=language, overall=overall, **made)


def judged(
    made: Summary, *points: KeyPoint, qa: str = "", card: tuple[QaItem, ...] = (), ticket: str = "card-loss-replacement"
) -> CallResult:
    expected = ("card-fraud-dispute", "card-loss-replacement")
    parents = {"card-fraud-dispute": "credit-card", "card-loss-replacement": "credit-card", "complaint-fee": "complaint"}
    return score_call(
        call="x-1",
        spoilt=False,
        sheet=Sheet(outcome="resolved", ticket=expected, points=points, qa=parse_answers(qa), wrong_numbers=("5000",)),
        parents=parents,
        texts=TEXTS,
        artifacts=(
            made,
            TicketClassification(level1=parents[ticket], level2=ticket, confidence=0.5, taxonomy_version="1"),
            QaScorecard(rubric_version="1", score=0, fatal=False, items=card),
        ),
    )


def item(name: str, answer: str, *cited: int) -> QaItem:
    evidence = tuple(Evidence(utterance_id=IDS[number - 1], channel="agent", start_ms=0, end_ms=1, quote="") for number in cited)
    return QaItem(item_id=name, section="s", answer=answer, points=0, max_points=1, evidence=evidence)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("term", "text", "expected"),
    [
        ("盗刷|被刷", "信用卡被刷了", True),
        ("盗刷", "信用卡被刷了", False),
        ("=3000", "被刷三千块", True),
        ("=3000", "被刷3,000元", True),
        ("=3000", "被刷30000元", False),
        ("=15|两周", "大约两周", True),
        ("Japan|trip", "a trip to japan", True),
    ],
)
def test_a_term_is_words_or_a_number_by_its_value(term: str, text: str, expected: bool) -> None:
    assert has_term(term, text) is expected


@pytest.mark.parametrize(
    ("text", "act", "expected"),
    [
        ("卡片已经冻结", "冻结", "done"),
        ("冻结了卡片", "冻结", "done"),
        ("为客户冻结卡片", "冻结", "plain"),
        ("卡片未冻结", "冻结", "not_done"),
        ("卡片没有给客户冻结", "冻结", "not_done"),
        ("还没能登记上", "登记", "not_done"),
        ("登记不了", "登记", "not_done"),
        ("登记失败", "登记", "not_done"),
        ("没有收费，已登记", "登记", "done"),
        ("客户要求冻结", "冻结", "intended"),
        ("能不能冻结", "冻结", "intended"),
        ("登记了没有？", "登记", "intended"),
        ("登记了吗，冻结了", "登记", "intended"),
        ("登记了吗，冻结了", "冻结", "done"),
        ("明天会登记", "登记", "intended"),
        ("客户要求后已冻结", "冻结", "done"),
    ],
)
def test_how_an_act_is_told_in_chinese(text: str, act: str, expected: str) -> None:
    start = text.index(act)
    assert told(text, start, start + len(act), "zh") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The card has been blocked", "done"),
        ("that's blocked now", "done"),
        ("The card was not blocked", "not_done"),
        ("the card hasn't been blocked", "not_done"),
        ("the card will be blocked", "intended"),
        ("blocked the card", "plain"),
    ],
)
def test_how_an_act_is_told_in_english(text: str, expected: str) -> None:
    start = text.index("blocked")
    assert told(text, start, start + len("blocked"), "en") == expected


def test_polarity_decides_between_covered_and_flipped() -> None:
    done = point("卡", act="冻结", polarity="done")
    not_done = point("卡", act="冻结", polarity="not_done")
    assert says(done, "卡片已冻结", "zh") == "covered"
    assert says(done, "卡片未冻结", "zh") == "flipped"
    assert says(done, "客户要求冻结卡片", "zh") == "missed"
    assert says(done, "未冻结", "zh") == "missed", "without the terms it speaks of something else"
    assert says(not_done, "卡片未冻结", "zh") == "covered"
    assert says(not_done, "卡片已冻结", "zh") == "flipped"
    assert says(not_done, "将冻结卡片", "zh") == "missed"
    assert says(point(act="冻结", polarity="any"), "未冻结", "zh") == "covered"


def test_a_point_is_found_in_one_statement_in_the_overall_text_or_in_those_that_cite_it() -> None:
    need = point("盗刷", "=3000", utterances=(2,))
    assert judged(summary(problems=(("被盗刷三千元", (2,)),)), need).points[0].found == "covered"
    assert judged(summary("被盗刷3000元"), need).points[0].found == "covered"
    assert judged(summary(problems=(("被盗刷", (2,)), ("金额三千", (2,)))), need).points[0].found == "covered"
    assert judged(summary(problems=(("被盗刷", (2,)), ("金额三千", (4,)))), need).points[0].found == "missed"
    assert judged(summary(), need).points[0].found == "missed"


def test_a_flip_about_the_same_moment_spoils_the_point() -> None:
    done = point(act="冻结", polarity="done", utterances=(3,))
    assert judged(summary("卡片没有冻结", actions=(("卡片已冻结", (3,)),)), done).points[0].found == "flipped"
    assert judged(summary("卡片已冻结", actions=(("卡片没有冻结", (2,)),)), done).points[0].found == "covered"
    assert judged(summary(actions=(("卡片没有冻结", (2,)),)), done).points[0].found == "missed"
    assert judged(summary("卡片已冻结", actions=(("卡片没有冻结", (3,)),)), done).points[0].found == "flipped"


def test_a_covered_point_is_linked_if_a_statement_that_says_it_cites_it() -> None:
    done = point(act="冻结", polarity="done", utterances=(3,))
    assert judged(summary(actions=(("已冻结", (3,)),)), done).points[0].linked is True
    assert judged(summary(actions=(("已冻结", (1,)),)), done).points[0].linked is False
    assert judged(summary("已冻结"), done).points[0].linked is None


def test_numbers_are_checked_against_the_call_and_against_what_is_cited() -> None:
    assert unsupported(summary("被盗刷三千块", commitments=(("15个工作日", (4,)),)), TEXTS) == ()
    assert unsupported(summary("被盗刷三万块"), TEXTS) == ("30000",)
    assert unsupported(summary(problems=(("15个工作日", (2,)),)), TEXTS) == ("15",)


def test_wrong_numbers_are_found_however_they_are_written() -> None:
    sheet = Sheet(outcome="resolved", ticket=("x",), points=(), qa={}, wrong_numbers=("5000", "15", "3.5"))
    assert wrong_numbers_said(sheet, summary("五千元，三点，3.5")) == ("5000", "3.5")
    assert wrong_numbers_said(sheet, summary("5,000元，十五天")) == ("5000", "15")
    assert wrong_numbers_said(sheet, summary("50000元，一百十五，13.55，二十五")) == ()


def test_tickets_count_on_both_levels_and_with_alternatives() -> None:
    made = figures([judged(summary()), judged(summary(), ticket="card-fraud-dispute"), judged(summary(), ticket="complaint-fee")])
    assert [made[f"ticket level {level}"].hits for level in ("1", "2", "1, acceptable", "2, acceptable")] == [2, 1, 2, 2]


def test_answers_and_evidence() -> None:
    card = (
        item("opening-greeting", "pass", 1),
        item("staff-number", "pass", 1),
        item("no-blaming", "fail", 3, 4),
        item("polite-words", "pass", 4),
        item("hold-courtesy", "not_scorable"),
    )
    result = judged(summary(), qa="og=1 sn=F nb=F3 pw=1 hc=3", card=card)
    made = figures([result])
    assert (made["QA answers agree"].hits, made["QA answers agree"].total) == (3, 32)
    assert (made["QA fails found"].hits, made["QA fails found"].total) == (1, 2)
    assert (made["QA fails right"].hits, made["QA fails right"].total) == (1, 1)
    assert made["QA not scorable"].hits == 1
    assert (made["evidence precision"].hits, made["evidence precision"].total) == (2, 3), "polite words are some of many"
    assert (made["evidence touches"].hits, made["evidence touches"].total) == (2, 2)
    questions = by_question([result])
    assert questions["staff-number"][0].hits == 0
    assert questions["hold-courtesy"][0].total == 0


def test_kappa_by_hand() -> None:
    # Observed 0.7; expected 0.5·0.6 + 0.5·0.4 = 0.5; (0.7 - 0.5) / 0.5.
    pairs = [("pass", "pass")] * 4 + [("pass", "fail")] + [("fail", "pass")] * 2 + [("fail", "fail")] * 3
    assert kappa(pairs) == pytest.approx(0.4)
    assert kappa([("pass", "pass"), ("fail", "fail")]) == 1
    assert kappa([("pass", "fail"), ("fail", "pass")]) == -1
    assert kappa([("pass", "pass")] * 3) is None
    assert kappa([]) is None
    value, low, high = kappa_interval([[pair] for pair in pairs])
    assert value == pytest.approx(0.4)
    assert low is not None and high is not None and low < 0.4 < high  # noqa: PT018


def test_rates_have_intervals_over_calls() -> None:
    share = rate([(1, 2), (3, 3)])
    assert (share.value, share.low, share.high) == (0.8, 0.5, 1.0)
    assert rate([(2, 2)] * 5).low == 1.0
    assert rate([]).value is None
    assert rate([(0, 0)]).low is None


def test_todays_code_runs_over_a_call_and_everything_is_answered() -> None:
    calls, gold = call_set.load("calls"), {entry["id"]: entry for entry in call_set.load("gold")}
    tools, parents = postcall_eval.open_tools(None), call_set.parents()
    results = [postcall_eval.judge(call, gold[call["id"]], tools, parents, heard=True) for call in calls[:3]]
    assert {entry.answer for result in results for entry in result.items} <= {"pass", "fail", "na", "not_scorable"}
    assert [result.spoilt for result in results] == [call["asr_errors"] for call in calls[:3]]
    assert postcall_eval.report(results, "some")[0].startswith("== some: 3 calls, 2 with")
    assert len(postcall_eval.errors(results)) > 0
    assert not any(postcall_eval.judge(call, gold[call["id"]], tools, parents, heard=False).spoilt for call in calls[:3])
