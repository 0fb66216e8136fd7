"""Clusters, their names, leads and digests: on invented sentences."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from copilot.domain.artifacts import (
    Evidence,
    Keyword,
    Keywords,
    MoodReport,
    QaItem,
    QaScorecard,
    Statement,
    Summary,
    TicketClassification,
    Turn,
)
from copilot.domain.errors import InvalidInput
from copilot.domain.events import EventEnvelope, UtteranceFinal
from copilot.domain.ids import CallId, OrgId, UserId, UtteranceId
from kb.packs import faults
from postcall.analytics.clusters import LEAST_SIZE, cluster, distinctive
from postcall.analytics.digest import digested
from postcall.analytics.leads import LeadRules, leads_of, parse_leads
from postcall.mood import tells_mood
from tests.fakes.stores import started

PACK = (Path(__file__).parents[2] / "kb/samples/bank/leads.yaml").read_text(encoding="utf-8")
RULES = parse_leads(PACK)


def vectors(groups: list[int], noise: float = 0.25, seed: int = 1) -> np.ndarray:
    """Unit rows around one direction for each group, all of them leaning the same way as the vectors of a real model do."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]
    rows = [3 * directions[0] + directions[1 + group] + noise * rng.normal(size=64) / 8 for group in groups]
    made = np.array(rows, np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


PROBLEMS = ["扫码支付提示风险拦截付不了", "信用卡年费怎么扣了", "手机银行登录不上一直转圈"]


def test_problems_alike_are_one_cluster_named_by_their_words() -> None:
    groups = [0] * 12 + [1] * 8 + [2] * 6 + [5, 6]
    texts = [PROBLEMS[group] if group < 3 else "别的事情" for group in groups]
    found = cluster(vectors(groups), texts, "zh")
    assert [len(one.members) for one in found.clusters] == [12, 8, 6]
    assert [{groups[row] for row in one.members} for one in found.clusters] == [{0}, {1}, {2}]
    assert "拦截" in " ".join(found.clusters[0].terms)
    assert "年费" in found.clusters[1].terms
    assert all(one.cluster_id.startswith("zh-") for one in found.clusters)
    again = cluster(vectors(groups), texts, "zh")
    assert [one.cluster_id for one in again.clusters] == [one.cluster_id for one in found.clusters], "the same in, the same out"
    assert found.assign(vectors([1, 0, 9], seed=2)) == [found.clusters[1].cluster_id, found.clusters[0].cluster_id, ""]


def test_a_cluster_keeps_its_id_from_round_to_round_and_few_problems_are_none() -> None:
    groups = [0] * 10 + [1] * 10
    first = cluster(vectors(groups, seed=1), [PROBLEMS[group] for group in groups], "zh")
    later = [1] * 14 + [0] * 9 + [2] * 7
    second = cluster(vectors(later, seed=2), [PROBLEMS[group] for group in later], "zh", first)
    names = {one.terms: one.cluster_id for one in first.clusters}
    kept = {one.cluster_id for one in second.clusters} & set(names.values())
    assert len(kept) == 2
    assert len(second.clusters) == 3
    assert cluster(vectors([0] * (LEAST_SIZE - 1)), ["x"] * (LEAST_SIZE - 1), "zh").clusters == ()
    assert cluster(vectors([0])[:0], [], "zh").assign(vectors([0, 1])) == ["", ""]


def test_a_word_of_one_customer_names_nothing() -> None:
    named = distinctive([["年费扣款 王府井"] + ["年费扣款"] * 4, ["密码锁定"] * 5], "zh")
    assert "王府井" not in named[0]
    assert named[0]
    assert not set(named[0]) & set(named[1])
    assert distinctive([["The payment was declined"] * 3], "en") == [("declined", "payment")]


def turn(text: str, channel: str = "customer", at: int = 1000) -> Turn:
    return Turn(utterance_id=UtteranceId(f"{channel}-{at}"), channel=channel, start_ms=at, end_ms=at + 900, text=text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("我想申请一张信用卡", "zh", {"credit-card"}),
        ("我没有想申请信用卡，是你们打给我的", "zh", set()),
        ("我信用卡丢了", "zh", set()),
        ("额度能不能提高一点", "zh", {"higher-limit"}),
        ("这个账单能不能分期", "zh", {"instalment"}),
        ("有没有收益高一点的理财", "zh", {"wealth"}),
        ("我想贷款买房，再办一张信用卡", "zh", {"loan"}),
        ("我的贷款还有多少没还", "zh", set()),
        ("I'd like to apply for a new credit card", "en", {"credit-card"}),
        ("I do not want to apply for a new credit card", "en", set()),
        ("How much can I borrow for a house?", "en", {"loan"}),
        ("My card was declined", "en", set()),
    ],
)
def test_wishes_are_leads_and_mentions_are_not(text: str, language: str, expected: set[str]) -> None:
    assert {lead.lead for lead in leads_of([turn(text)], language, RULES)} == expected


def test_who_wants_no_calls_gives_no_lead_and_agents_never_do() -> None:
    wish = turn("我想申请一张信用卡")
    assert leads_of([wish, turn("不要再给我打电话推销了", at=5000)], "zh", RULES) == ()
    assert leads_of([turn("您想申请一张信用卡吗", "agent")], "zh", RULES) == ()
    assert leads_of([wish], "zh", LeadRules()) == ()
    twice = leads_of([wish, turn("我想办信用卡", at=9000)], "zh", RULES)
    assert [(lead.lead, lead.place.at_ms) for lead in twice] == [("credit-card", 1000)]


def test_the_pack_is_checked() -> None:
    assert faults("leads", PACK) == []
    assert faults("leads", "version: 1\nleads: [{id: x, name: {zh: x, en: x}, patterns: {zh: ['(']}}]")
    with pytest.raises(InvalidInput, match="lead x"):
        parse_leads("version: 1\nleads: [{id: x, name: {zh: x}}]")


def test_words_that_make_the_risk_are_known_as_such() -> None:
    assert tells_mood("投诉", "zh")
    assert tells_mood("complaint", "en")
    assert not tells_mood("年费", "zh")


AT = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_digest_points_into_the_call_and_a_persons_answer_stands() -> None:
    said = [
        ("u1", "customer", 1000, "你好，我想问一下年费多少钱"),
        ("u2", "agent", 3000, "您好，这张卡每年刷满六次就可以免年费的"),
        ("u3", "customer", 6000, "好的明白了，我想再申请一张信用卡"),
    ]
    events = [started(UserId("ann"))]
    events += [
        UtteranceFinal(
            utterance_id=UtteranceId(name), channel=channel, start_ms=at, end_ms=at + 1500, text=text, language="zh", confidence=0.9
        )  # type: ignore[arg-type, list-item]
        for name, channel, at, text in said
    ]
    stored = [
        EventEnvelope(org_id=OrgId("o"), call_id=CallId("c"), seq=number, epoch=1, at=AT, event=event)  # type: ignore[arg-type]
        for number, event in enumerate(events, 1)
    ]
    evidence = Evidence(utterance_id=UtteranceId("u2"), channel="agent", start_ms=3000, end_ms=4500, quote="您好")
    artifacts = [
        Summary(language="zh", overall="", problems=(Statement(text="我想问一下年费多少钱", utterance_ids=(UtteranceId("u1"),)),)),
        TicketClassification(level1="credit-card", level2="card-annual-fee", confidence=1, taxonomy_version="1", cause="unclear-terms"),
        QaScorecard(
            rubric_version="1",
            score=50,
            fatal=False,
            items=(
                QaItem(item_id="greet", section="s", answer="pass", points=1, max_points=1, evidence=(evidence,)),
                QaItem(item_id="close", section="s", answer="fail", points=0, max_points=1),
                QaItem(item_id="verify", section="s", answer="na", points=0, max_points=1),
            ),
        ),
        MoodReport(
            points=(), trend="steady", complaint_risk=0.55, risk_evidence=(), pace=(), silence_ms=0, longest_silence_ms=0,
            longest_silence_at_ms=0, overtalk_ms=0,
        ),
        Keywords(language="zh", terms=(Keyword(term="年费", weight=1, count=2, utterance_ids=(UtteranceId("u1"),), known=True),)),
    ]  # fmt: skip
    found = digested("c", stored, artifacts, {"greet": "fail"}, RULES)
    digest = found.digest
    assert (found.upset, found.cause, found.complete) == (True, "unclear-terms", True)
    assert digest.problem is not None
    assert (digest.problem.utterance_id, digest.problem.at_ms, digest.problem.text) == ("u1", 1000, "年费多少钱")
    assert [(word.term, word.known, word.place.at_ms) for word in digest.terms] == [("年费", True, 1000)]
    assert {(item.item_id, item.passed) for item in digest.questions} == {("greet", False), ("close", False)}
    assert digest.questions[0].place is not None
    assert digest.questions[0].place.at_ms == 3000
    assert [(lead.lead, lead.place.utterance_id) for lead in digest.leads] == [("credit-card", "u3")]
    assert [(pair.question, pair.place.utterance_id) for pair in digest.asked] == [("年费多少钱", "u1")]
    assert not digested("c", stored, artifacts[:1], {}, LeadRules()).complete


def test_the_same_problem_again_and_again_is_one_cluster() -> None:
    same = np.repeat(vectors([0]), 9, axis=0)
    (one,) = cluster(same, [PROBLEMS[1]] * 9, "zh").clusters
    assert len(one.members) == 9
    assert cluster(same, [PROBLEMS[1]] * 9, "zh").assign(same[:1]) == [one.cluster_id]
