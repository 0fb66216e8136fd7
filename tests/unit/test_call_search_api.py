"""Search over calls by HTTP: what is answered, to whom, what is audited, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.api_bench import ApiBench
from tests.fakes.call_search import keywords, line, scorecard, summary, ticket
from tests.fakes.stores import AT, ORG

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ApiBench]:
    made = ApiBench(tmp_path)
    made.join("ann", "agent", teams=("t1",))
    made.join("ben", "agent", teams=("t2",))
    made.join("lead", "team_lead", teams=("t1",))
    made.join("qi", "inspector")
    yield made
    made.close()


async def filled(bench: ApiBench) -> None:
    made = [
        ("c1", "ann", "我的信用卡被盗刷了三千块", ("card", "fraud"), 40.0),
        ("c2", "ann", "信用卡年费怎么减免", ("card", "fee"), 90.0),
        ("c3", "ben", "信用卡被盗刷，我要投诉", ("complaint", "charge"), 70.0),
    ]
    for number, (name, agent, text, category, score) in enumerate(made):
        await bench.found.call(
            name, line(1, "您好"), line(2, text), agent=bench.people[agent].user_id, at=AT + timedelta(hours=number),
            artifacts=[summary(text), ticket(*category), scorecard(score), keywords("盗刷" if "盗刷" in text else "年费")],
        )  # fmt: skip
    bench.review.rounds.run(ORG)
    bench.found.follow()


async def ids(bench: ApiBench, who: str, query: str) -> list[str]:
    answer = await bench.ask(who, "GET", f"/console/search?{query}")
    assert answer.status_code == 200, answer.text
    return [call["call_id"] for call in answer.json()["calls"]]


async def test_lines_facets_and_pages(bench: ApiBench) -> None:
    await filled(bench)
    answer = (await bench.ask("qi", "GET", "/console/search?q=盗刷")).json()
    assert [call["call_id"] for call in answer["calls"]] == ["c3", "c1"]
    assert (answer["total"], answer["catching_up"]) == (2, False)
    first = answer["calls"][1]
    assert (first["agent_name"], first["ticket_level2"], first["qa_score"], first["nearness"]) == ("Ann", "fraud", 40.0, None)
    shown = first["matches"][0]
    assert (shown["utterance_id"], shown["channel"], shown["start_ms"]) == ("customer-2", "customer", 8000)
    assert [shown["text"][start:end] for start, end in shown["marks"]] == ["盗刷"]
    assert {facet["name"]: facet["calls"] for facet in answer["facets"]["agent"]} == {"Ann": 1, "Ben": 1}
    assert {facet["key"]: facet["calls"] for facet in answer["facets"]["ticket"]} == {"card": 1, "/fraud": 1, "complaint": 1, "/charge": 1}
    assert answer["next_cursor"] is None
    for query, expected in {
        "q=信用卡": ["c3", "c2", "c1"],
        "q=信用卡&team=t1": ["c2", "c1"],
        "q=信用卡&ticket=card/fee": ["c2"],
        "q=信用卡&ticket=complaint&ticket=/fraud": ["c3", "c1"],
        "q=信用卡&score=0&score=60": ["c3", "c1"],
        "q=信用卡 -投诉&score=60": [],
        "q=到刷": [],
        "q=到刷&mode=sound": ["c3", "c1"],
        "score=60": ["c3"],
        "q=信用卡&since=2026-03-02": [],
        "q=信用卡&until=2026-03-01": ["c3", "c2", "c1"],
    }.items():
        assert await ids(bench, "qi", query) == expected, query
    assert (await ids(bench, "qi", "q=信用卡年费减免&mode=meaning"))[0] == "c2"
    first_page = (await bench.ask("qi", "GET", "/console/search?q=信用卡&limit=2&facets=false")).json()
    assert first_page["facets"] is None
    assert await ids(bench, "qi", f"q=信用卡&limit=2&cursor={first_page['next_cursor']}") == ["c1"]


async def test_everybody_finds_their_own(bench: ApiBench) -> None:
    await filled(bench)
    for who, expected in {"ann": ["c2", "c1"], "ben": ["c3"], "lead": ["c2", "c1"], "qi": ["c3", "c2", "c1"]}.items():
        for mode in ("words", "sound", "meaning"):
            assert sorted(await ids(bench, who, f"q=信用卡&mode={mode}")) == sorted(expected), (who, mode)
    answer = (await bench.ask("lead", "GET", "/console/search?q=信用卡&team=t2")).json()
    assert (answer["calls"], answer["total"]) == ([], 0)
    assert [facet["key"] for facet in answer["facets"]["team"]] == ["t1"], "not even the number of others' calls is told"


async def test_who_searched_is_audited_and_not_for_what(bench: ApiBench) -> None:
    await filled(bench)
    page = (await bench.ask("qi", "GET", "/console/search?q=信用卡&limit=1&team=t1&team=t2")).json()
    await bench.ask("qi", "GET", f"/console/search?q=信用卡&limit=1&cursor={page['next_cursor']}")
    await bench.ask("qi", "GET", "/console/search?score=60")
    entries = [entry for entry in bench.audited() if entry.action == "calls.search"]
    assert [(entry.actor, entry.target, entry.detail) for entry in entries] == [(bench.people["qi"].user_id, "words", "team=t1,t2")]
    assert "信用卡" not in str(bench.audited())


async def test_what_was_found_is_exported_as_a_file(bench: ApiBench) -> None:
    await filled(bench)
    answer = await bench.ask("lead", "GET", "/console/search/export?q=信用卡&format=csv&score=90&score=85&score=75&score=0&locale=en")
    assert answer.status_code == 422
    answer = await bench.ask("lead", "GET", "/console/search/export?q=信用卡&format=csv&score=85&score=0&locale=en")
    lines = answer.text.lstrip("\ufeff").splitlines()
    assert lines[0].startswith("Call,Started")
    assert [line.split(",")[0] for line in lines[1:]] == ["c2", "c1"]
    assert "信用卡" not in answer.text, "nothing that was said is in it"
    book = await bench.ask("qi", "GET", "/console/search/export?q=信用卡&format=xlsx")
    assert book.content[:2] == b"PK"
    assert (await bench.ask("ann", "GET", "/console/search/export?q=信用卡")).status_code == 403
    assert [entry.target for entry in bench.audited() if entry.action == "calls.export"] == ["search csv", "search xlsx"]


async def test_an_erased_call_is_not_found(bench: ApiBench) -> None:
    await filled(bench)
    bench.store.calls.erase_call(ORG, "c1", "test")  # type: ignore[arg-type]
    assert await ids(bench, "qi", "q=盗刷") == ["c3"]
    bench.found.follow()
    answer = (await bench.ask("qi", "GET", "/console/search?q=盗刷")).json()
    assert answer["total"] == 1
    assert [facet["key"] for facet in answer["facets"]["agent"]] == [bench.people["ben"].user_id]


async def test_before_there_is_an_index_the_answer_says_so(bench: ApiBench) -> None:
    answer = await bench.ask("qi", "GET", "/console/search?q=x")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "no index of calls yet" in answer.json()["detail"]
    bench.found.follow()
    assert await ids(bench, "qi", "q=x") == [], "where no call was taken yet there is an index too"


@pytest.mark.parametrize(
    "wrong",
    ["cursor=nonsense", "cursor=WzEsMl0", "cursor=WyJ4IiwxXQ==", "cursor=Wy0xLDFd", "score=50", "risk=x", "since=soon", "limit=0",
     "limit=51", "mode=magic", "q=" + "长" * 201, "team="],
)  # fmt: skip
async def test_wrong_questions_are_refused(bench: ApiBench, wrong: str) -> None:
    await filled(bench)
    assert (await bench.ask("qi", "GET", f"/console/search?{wrong}")).status_code == 422
