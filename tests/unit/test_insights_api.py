"""Analytics over HTTP, on a schedule and as a command: rounds over real calls, who may see what, files, what is audited."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from openpyxl import load_workbook

from copilot.assembly.insight_desk import InsightDesk, last_period
from copilot.domain.artifacts import Artifact, Keyword, Keywords, MoodReport, QaItem, QaScorecard, Statement, Summary, TicketClassification
from copilot.domain.events import UtteranceFinal
from copilot.domain.ids import CallId, UtteranceId
from copilot.settings import AnalyticsSettings, ReportSettings
from tests.fakes.api_bench import ApiBench
from tests.fakes.stores import ORG

pytestmark = pytest.mark.anyio
EACH, UPSET = 9, 7
WINDOW = "since=2026-03-01&until=2026-03-07"
LEADS = (Path(__file__).parents[2] / "kb/samples/bank/leads.yaml").read_text(encoding="utf-8")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ApiBench]:
    made = ApiBench(tmp_path)
    made.join("ann", "agent", teams=("t1",))
    made.join("ben", "agent", teams=("t2",))
    made.join("lead", "team_lead", teams=("t1",))
    made.join("qi", "inspector")
    made.join("ed", "editor")
    made.store.articles(ORG).put_pack("leads", "*", LEADS)
    yield made
    made.close()


def spoken(name: str, channel: str, at: int, text: str) -> UtteranceFinal:
    return UtteranceFinal(
        utterance_id=UtteranceId(name), channel=channel, start_ms=at, end_ms=at + 900, language="zh", confidence=0.9, text=text
    )  # type: ignore[arg-type]


def artifacts(level2: str, *, upset: bool, failed: bool) -> tuple[Artifact, ...]:
    first = (UtteranceId("u1"),)
    bodies = {
        "summary": Summary(language="zh", overall="", problems=(Statement(text="年费怎么收的", utterance_ids=first),)),
        "ticket": TicketClassification(level1="card", level2=level2, confidence=0.8, taxonomy_version="1"),
        "qa": QaScorecard(
            rubric_version="1", score=50, fatal=False,
            items=(QaItem(item_id="greet", section="s", answer="fail" if failed else "pass", points=0, max_points=1),),
        ),
        "mood": MoodReport(
            points=(), trend="steady", complaint_risk=0.6 if upset else 0.0, risk_evidence=(), pace=(), silence_ms=0,
            longest_silence_ms=0, longest_silence_at_ms=0, overtalk_ms=0,
        ),
        "keywords": Keywords(language="zh", terms=(Keyword(term="年费", weight=1.0, count=2, utterance_ids=first, known=True),)),
    }  # fmt: skip
    return tuple(Artifact(kind=kind, version=1, body=body) for kind, body in bodies.items())  # type: ignore[arg-type]


async def finished(bench: ApiBench, call: str, agent: str, level2: str = "fee", *, upset: bool = False, failed: bool = False) -> None:
    said = [
        spoken("u1", "customer", 1000, "我想问一下年费怎么收的"),
        spoken("u2", "agent", 3000, "这张卡每年刷满六次就可以免年费的"),
        spoken("u3", "customer", 6000, "好的明白了，我想再申请一张信用卡"),
    ]
    await bench.call(call, agent, *said, ended=True)
    bench.finish(call, *artifacts(level2, upset=upset, failed=failed))


async def center(bench: ApiBench) -> None:
    """Ann's calls about a fee make customers angry and lack a greeting; Ben's about a loss do not."""
    for number in range(EACH):
        await finished(bench, f"a{number}", "ann", "fee", upset=number < UPSET, failed=True)
        await finished(bench, f"b{number}", "ben", "loss")
    bench.review.rounds.run(ORG)
    assert bench.insight_rounds.run(ORG) == 2 * EACH


async def test_what_was_planted_is_found_and_leads_to_the_sentence(bench: ApiBench) -> None:
    await center(bench)
    found = (await bench.ask("qi", "GET", f"/console/insights?{WINDOW}")).json()
    assert found["total"] == {"calls": 2 * EACH, "upset": UPSET}
    assert len(found["days"]) == 7
    assert found["compared"] == {"first": "2026-02-22", "last": "2026-02-28"}
    topics = {one["key"]: one for one in found["movements"] if one["kind"] == "topic"}
    fee = topics["fee"]
    assert (fee["now"], fee["upset"], fee["verdict"]) == (EACH, UPSET, "few"), "without calls before, no trend"
    assert [(one["kind"], one["key"]) for one in found["drivers"]] == [("topic", "fee")]
    assert found["leads"] == {"credit-card": 2 * EACH}
    point = found["coaching"][0]
    assert (point["agent_id"], point["item_id"], point["failed"]) == (bench.people["ann"].user_id, "greet", EACH)
    assert point["peers_share"] == 0.0
    assert found["agents"] == {bench.people["ann"].user_id: "Ann"}
    assert found["facets"]["products"] == [{"key": "card", "calls": 2 * EACH}]
    assert [cluster["size"] for cluster in found["clusters"]] == [2 * EACH]
    group = found["clusters"][0]["cluster_id"]
    for about, key, at, text in (
        ("topic", "fee", 1000, "年费怎么收的"),
        ("cluster", group, 1000, "年费怎么收的"),
        ("term", "年费", 1000, "我想问一下年费怎么收的"),
        ("lead", "credit-card", 6000, "好的明白了，我想再申请一张信用卡"),
    ):
        calls = (await bench.ask("qi", "GET", f"/console/insights/evidence?{WINDOW}&about={about}&key={key}")).json()["calls"]
        assert len(calls) == (EACH if about == "topic" else 2 * EACH), about
        assert (calls[0]["at_ms"], calls[0]["text"]) == (at, text)
    failed = (await bench.ask("qi", "GET", f"/console/insights/evidence?{WINDOW}&about=question&key=greet")).json()["calls"]
    assert {call["agent_name"] for call in failed} == {"Ann"}


async def test_questions_that_agents_answer_are_candidates_until_they_are_drafts(bench: ApiBench) -> None:
    from copilot.domain.article_life import Origin
    from kb.mining import Mined, draft

    await center(bench)
    (one,) = (await bench.ask("qi", "GET", f"/console/insights/candidates?{WINDOW}")).json()["candidates"]
    assert (one["question"], one["answer"], one["calls"]) == ("年费怎么收的", "这张卡每年刷满六次就可以免年费的", 2 * EACH)
    pair = Mined(language="zh", question=one["question"], answer=one["answer"], origin=Origin(kind="call", source="a0", quote=""))
    bench.store.article_desk(ORG).create(draft(pair), bench.people["ed"], pair.origin)
    assert (await bench.ask("qi", "GET", f"/console/insights/candidates?{WINDOW}")).json()["candidates"] == []


async def test_everybody_sees_within_their_scope(bench: ApiBench) -> None:
    await center(bench)
    assert (await bench.ask("lead", "GET", f"/console/insights?{WINDOW}")).json()["total"]["calls"] == EACH
    assert (await bench.ask("lead", "GET", f"/console/insights?{WINDOW}&team=t2")).json()["total"]["calls"] == 0
    for path in ("", "/candidates", "/report", "/reports", "/reports/x"):
        for person in ("ann", "ed"):
            assert (await bench.ask(person, "GET", f"/console/insights{path}?{WINDOW}")).status_code == 403, path
    own = (await bench.ask("ann", "GET", f"/console/insights/coaching?{WINDOW}")).json()["coaching"]
    assert [(one["item_id"], one["failed"], one["peers_share"]) for one in own] == [("greet", EACH, None)]
    assert (await bench.ask("ben", "GET", f"/console/insights/coaching?{WINDOW}")).json()["coaching"] == []
    evidence = f"/console/insights/evidence?{WINDOW}&about=topic&key="
    assert (await bench.ask("ben", "GET", f"{evidence}fee")).json()["calls"] == []
    assert len((await bench.ask("ben", "GET", f"{evidence}loss")).json()["calls"]) == EACH
    for wrong in ("since=2026-03-02&until=2026-03-01", "since=2025-01-01&until=2026-01-01", "since=soon", "channel=fax"):
        assert (await bench.ask("qi", "GET", f"/console/insights?{wrong}")).status_code == 422, wrong
    actions = [entry.action for entry in bench.audited()]
    assert actions.count("insights.evidence") == 2


async def test_an_erased_call_is_gone_at_the_next_round(bench: ApiBench) -> None:
    await center(bench)
    for number in range(EACH):
        bench.store.calls.erase_call(ORG, CallId(f"a{number}"), "tester")
    bench.clock.advance(120)
    bench.insight_rounds.run(ORG)
    found = (await bench.ask("qi", "GET", f"/console/insights?{WINDOW}")).json()
    assert found["total"] == {"calls": EACH, "upset": 0}
    assert all(point["agent_id"] != bench.people["ann"].user_id for point in found["coaching"])


async def test_files_hold_figures_and_names_and_nothing_that_was_said(bench: ApiBench) -> None:
    await center(bench)
    html = await bench.ask("qi", "GET", f"/console/insights/report?{WINDOW}&format=html")
    assert html.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<svg" in html.text
    assert "客服洞察 2026-03-01 – 2026-03-07" in html.text
    english = await bench.ask("qi", "GET", f"/console/insights/report?{WINDOW}&format=html&locale=en")
    assert "What goes with complaints" in english.text
    xlsx = await bench.ask("qi", "GET", f"/console/insights/report?{WINDOW}&format=xlsx&locale=en")
    book = load_workbook(io.BytesIO(xlsx.content))
    assert book.sheetnames[:3] == ["Overview", "Calls by day", "New and rising"]
    drivers = [[cell.value for cell in row] for row in book["What goes with complaints"].iter_rows()]
    assert drivers[1][:4] == ["Topic", "fee", EACH, UPSET]
    report = await bench.ask("qi", "GET", f"/console/insights/report?{WINDOW}&format=json")
    assert json.loads(report.content)["total"]["calls"] == 2 * EACH
    everything = html.text + english.text + report.text + "".join(str(row) for sheet in book for row in sheet.iter_rows(values_only=True))
    for said in ("怎么收的", "刷满六次", "我想再申请"):
        assert said not in everything
    assert "insights.report" in [entry.action for entry in bench.audited()]


async def test_reports_are_written_once_a_period_kept_and_read_by_those_who_may(bench: ApiBench, tmp_path: Path) -> None:
    await center(bench)
    settings = AnalyticsSettings(
        keep=2, reports=(ReportSettings(name="all-week"), ReportSettings(name="team-day", every="day", format="json", team="t1"))
    )
    desk = InsightDesk(bench.store, bench.review.policies, bench.clock, settings, tmp_path / "scheduled")
    bench.clock.advance(86_400)
    assert desk.write_due(ORG) == 2
    assert desk.write_due(ORG) == 0
    for _ in range(4):
        bench.clock.advance(86_400)
        desk.write_due(ORG)
    names = [one["file"] for one in desk.scheduled(bench.people["qi"])]
    assert sum(name.startswith("team-day_") for name in names) == 2, "the newest are kept"
    assert names[0] > names[1]
    assert {one["name"] for one in desk.scheduled(bench.people["lead"])} == {"team-day"}
    content, form = desk.scheduled_file(bench.people["lead"], next(name for name in names if name.startswith("team-day_")))
    assert (form, json.loads(content)["chosen"]["team"]) == ("json", "t1")
    whole = next(name for name in names if name.startswith("all-week_"))
    assert desk.scheduled_file(bench.people["qi"], whole)[0].startswith(b"<!doctype html>")
    for who, name in (("lead", whole), ("qi", "../master.key"), ("qi", "all-week_x.html")):
        with pytest.raises(Exception, match="There is no report"):
            desk.scheduled_file(bench.people[who], name)
    assert not list((tmp_path / "scheduled" / ORG).glob(".*")), "no half-written file stays"


@pytest.mark.parametrize(
    ("every", "first", "last"),
    [("day", "2026-03-03", "2026-03-03"), ("week", "2026-02-23", "2026-03-01"), ("month", "2026-02-01", "2026-02-28")],
)
def test_the_last_whole_period(every: str, first: str, last: str) -> None:
    today = date(2026, 3, 4)  # a Wednesday
    assert last_period(every, today) == (date.fromisoformat(first), date.fromisoformat(last))
    for back in range(800):
        begin, end = last_period(every, today + timedelta(days=back))
        assert begin <= end < today + timedelta(days=back)


async def test_a_round_again_changes_nothing(bench: ApiBench) -> None:
    await center(bench)
    before = (await bench.ask("qi", "GET", f"/console/insights?{WINDOW}")).json()
    bench.clock.advance(61)
    assert bench.insight_rounds.run(ORG) == 0, "what was seen a minute ago is not read again"
    assert (await bench.ask("qi", "GET", f"/console/insights?{WINDOW}")).json() == before
