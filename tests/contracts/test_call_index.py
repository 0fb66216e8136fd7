"""What every engine that keeps the index of calls must do, and the search and the follower over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

import kb.generations
from copilot.domain.errors import Conflict, EngineError
from copilot.domain.people import Scope
from copilot.search.embedded import EmbeddedCallIndex
from copilot.search.engine import Asked, CallIndex, Document, Mark
from copilot.search.service import Place, Search
from copilot.search.terms import Blinder, Word
from copilot.store.call_list import CallFilter
from tests.fakes.call_search import EVERYBODY, SearchBench, keywords, line, scorecard, summary, ticket
from tests.fakes.gram_embedder import GramEmbedder
from tests.fakes.stores import AT, ORG, new_database, postgres_server, sqlite_url

pytestmark = pytest.mark.anyio
BLIND = Blinder(b"k" * 32)
EMBED = GramEmbedder()
Make = Callable[[], CallIndex]


@pytest.fixture(params=["embedded"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[CallIndex] = []

    def open_() -> CallIndex:
        made.append(EmbeddedCallIndex(tmp_path / "calls", EMBED, "key1"))
        return made[-1]

    yield open_
    for index in made:
        index.close()


def document(name: str, text: str, started_ms: int, *, about: str = "", revision: str = "1", **facets: tuple[str, ...]) -> Document:
    vector = EMBED.embed([about], "passage")[0] if about else None
    return Document(
        call_id=name, revision=revision, started_ms=started_ms, facets=facets, terms=BLIND.terms([text]), about=about, vector=vector
    )


def need(text: str, by_sound: bool = False):
    return BLIND.phrases(Word(han=text), by_sound)


THREE = [
    document("a", "我的信用卡被盗刷了", 1000, about="信用卡盗刷", team=("t1",), agent=("ann",), ticket=("card", "/fraud")),
    document("b", "信用卡账单不对", 2000, about="账单有误", team=("t1",), agent=("bob",), ticket=("card", "/bill")),
    document("c", "转账没有到账", 3000, about="转账未到账", team=("t2",), agent=("eve",), ticket=("transfer", "/status")),
]
MARK = Mark(at=AT, call_id="c")


def ids(index: CallIndex, asked: Asked, limit: int = 10, **more: int) -> list[str]:
    return [name for name, _ in index.newest(asked, limit, **more).calls]


def test_newest_first_with_all_needs_and_none_of_the_others(make: Make) -> None:
    index = make()
    index.write(THREE, [], MARK)
    assert ids(index, Asked()) == ["c", "b", "a"]
    assert ids(index, Asked(needs=(need("信用卡"),))) == ["b", "a"]
    assert ids(index, Asked(needs=(need("信用卡"), need("盗刷")))) == ["a"]
    assert ids(index, Asked(needs=(need("信用卡"),), without=need("盗刷"))) == ["b"]
    assert ids(index, Asked(needs=(need("卡账单"),))) == ["b"], "a run of characters is found across words"
    assert ids(index, Asked(needs=(need("用账"),))) == []
    assert ids(index, Asked(needs=(need("卡信"),))) == [], "in their order"
    assert ids(index, Asked(needs=(need("账"),))) == ["c", "b"], "a single character"
    assert ids(index, Asked(needs=(need("盗耍"),))) == []
    assert ids(index, Asked(needs=(need("到刷", by_sound=True),))) == ["a"], "a homophone of 盗刷"


def test_facets_times_and_reach(make: Make) -> None:
    index = make()
    index.write(THREE, [], MARK)
    assert ids(index, Asked(chosen={"team": ("t1",)})) == ["b", "a"]
    assert ids(index, Asked(chosen={"team": ("t1", "t2"), "agent": ("bob", "eve")})) == ["c", "b"]
    assert ids(index, Asked(chosen={"ticket": ("/bill",)})) == ["b"]
    assert ids(index, Asked(chosen={"ticket": ("card", "/status")})) == ["c", "b", "a"]
    assert ids(index, Asked(since_ms=2000)) == ["c", "b"]
    assert ids(index, Asked(until_ms=2000)) == ["a"]
    assert ids(index, Asked(reach=(("agent", ("ann",)),))) == ["a"]
    assert ids(index, Asked(reach=(("agent", ("eve",)), ("team", ("t1",))))) == ["c", "b", "a"]
    assert ids(index, Asked(reach=(("agent", ("x",)), ("team", ())))) == []
    assert ids(index, Asked(only=("a", "c", "zz"))) == ["c", "a"]


def test_pages_go_on_behind_the_last(make: Make) -> None:
    index = make()
    index.write([document(f"d{number}", "话", 5000 + number // 4, team=("t",)) for number in range(20)], [], MARK)
    seen: list[str] = []
    until, skip = None, 0
    while page := index.newest(Asked(), 3, until_ms=until, skip=skip).calls:
        seen += [name for name, _ in page]
        last = page[-1][1]
        skip = sum(1 for _, at in page if at == last) + (skip if until == last else 0)
        until = last
    assert len(seen) == len(set(seen)) == 20
    assert index.newest(Asked(), 3).total == 20


def test_counts_leave_the_choice_of_the_facet_itself_out(make: Make) -> None:
    index = make()
    index.write(THREE, [], MARK)
    found = index.counts(Asked(chosen={"team": ("t1",)}), ["team", "agent", "ticket", "score"])
    assert found == {
        "team": {"t1": 2, "t2": 1},
        "agent": {"ann": 1, "bob": 1},
        "ticket": {"card": 2, "/fraud": 1, "/bill": 1},
        "score": {},
    }
    assert index.counts(Asked(needs=(need("盗刷"),)), ["team"]) == {"team": {"t1": 1}}
    assert index.counts(Asked(only=("c",)), ["team"]) == {"team": {"t2": 1}}


def test_a_call_is_replaced_and_taken_out(make: Make) -> None:
    index = make()
    index.write(THREE, [], MARK)
    index.write([document("a", "没有这回事", 1000, about="无", revision="2")], ["c"], MARK)
    assert ids(index, Asked()) == ["b", "a"]
    assert ids(index, Asked(needs=(need("盗刷"),))) == []
    assert index.held(["a", "b", "c"])["a"].revision == "2"
    assert sorted(index.held(["a", "b", "c"])) == sorted(index.call_ids()) == ["a", "b"]
    assert "c" not in index.nearest(EMBED.embed(["转账未到账"], "query")[0], Asked(), 10)


def test_the_nearest_by_meaning_within_what_fits(make: Make) -> None:
    index = make()
    index.write([*THREE, document("none", "没有小结", 4000, team=("t1",))], [], MARK)
    vector = EMBED.embed(["信用卡盗刷"], "query")[0]
    found = index.nearest(vector, Asked(), 2)
    assert next(iter(found)) == "a"
    assert found["a"] == pytest.approx(1.0, abs=0.01)
    assert len(found) == 2
    assert set(index.nearest(vector, Asked(chosen={"team": ("t2",)}), 5)) == {"c"}
    assert index.nearest(vector, Asked(chosen={"team": ("t9",)}), 5) == {}
    scores = index.matching("text", BLIND.terms(["信用卡盗刷"]).text[:-1], Asked(), 5)
    assert list(scores) == ["a", "b"]
    assert set(index.matching("text", BLIND.terms(["信用卡盗刷"]).text[:-1], Asked(reach=(("agent", ("bob",)),)), 5)) == {"b"}


def test_among_many_the_graph_is_asked_and_filters_hold(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copilot.search.embedded.FEW", 10)
    index = make()
    texts = [f"第{number}号业务{number * 7 % 13}" for number in range(300)]
    index.write([document(f"d{n}", text, n, about=text, team=(f"t{n % 3}",)) for n, text in enumerate(texts)], [], MARK)
    vectors = EMBED.embed(texts, "passage")
    for number in (5, 70, 299):
        exact = {f"d{n}" for n in np.argsort(-(vectors @ vectors[number]))[:5].tolist()}
        assert f"d{number}" in index.nearest(vectors[number], Asked(), 5)
        assert len(exact & set(index.nearest(vectors[number], Asked(), 5))) >= 3
        within = index.nearest(vectors[number], Asked(chosen={"team": ("t1",)}), 20)
        assert len(within) == 20
        assert {int(name[1:]) % 3 for name in within} == {1}


def test_what_is_written_is_there_after_opening_again(make: Make) -> None:
    first = make()
    first.write(THREE, [], MARK)
    first.close()
    again = make()
    assert (again.state().mark, again.state().calls, again.state().stale) == (MARK, 3, "")
    assert ids(again, Asked(needs=(need("信用卡"),))) == ["b", "a"]
    assert next(iter(again.nearest(EMBED.embed(["信用卡盗刷"], "query")[0], Asked(), 2))) == "a"


def test_a_reader_sees_what_the_writer_does(make: Make) -> None:
    writer, reader = make(), make()
    assert (reader.state().mark, reader.state().calls) == (None, 0)
    with pytest.raises(EngineError, match="no index of calls yet"):
        reader.newest(Asked(), 5)
    writer.write(THREE[:2], [], MARK)
    assert ids(reader, Asked()) == ["b", "a"]
    writer.write([THREE[2]], ["a"], MARK)
    assert ids(reader, Asked()) == ["c", "b"]
    assert set(reader.nearest(EMBED.embed(["转账"], "query")[0], Asked(), 5)) == {"b", "c"}
    with writer.rebuilding() as fresh:
        fresh.write(THREE[:1], [], MARK)
        assert ids(reader, Asked()) == ["c", "b"], "the old one is in use until the new one is whole"
    assert ids(reader, Asked()) == ["a"]


def test_a_rebuild_that_fails_changes_nothing(make: Make) -> None:
    index = make()
    index.write(THREE, [], MARK)

    def fail() -> None:
        with index.rebuilding() as fresh:
            fresh.write(THREE[:1], [], MARK)
            raise EngineError("away")

    with pytest.raises(EngineError):
        fail()
    assert ids(index, Asked()) == ["c", "b", "a"]
    index.write([document("d", "再来", 9000)], [], MARK)
    assert ids(index, Asked()) == ["d", "c", "b", "a"]


def test_one_writes_at_a_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kb.generations, "_LOCK_WAIT_S", 0.05)
    first, second = make(), make()
    first.own()
    with pytest.raises(Conflict, match="writing the index"):
        second.own()
    first.close()
    second.own()


def test_another_model_or_key_makes_it_stale(tmp_path: Path) -> None:
    index = EmbeddedCallIndex(tmp_path, EMBED, "key1")
    index.write(THREE, [], MARK)
    index.close()
    for other in (EmbeddedCallIndex(tmp_path, EMBED, "key2"), EmbeddedCallIndex(tmp_path, GramEmbedder(64), "key1")):
        assert other.state().stale
        with pytest.raises(EngineError, match="reindex"):
            other.newest(Asked(), 1)
        assert other.held(["a"]) == {}
        other.close()


# The follower and the search over it.


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SearchBench]:
    url = sqlite_url(tmp_path) if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))
    made = SearchBench(tmp_path, url)
    yield made
    made.close()


def names(bench: SearchBench, text: str, scope: Scope = EVERYBODY, **more: object) -> list[str]:
    return [found.listed.call.call_id for found in bench.search.search(scope, Search(text=text, **more)).calls]  # type: ignore[arg-type]


async def test_the_index_follows_the_store(bench: SearchBench) -> None:
    await bench.call("c1", line(1, "我的信用卡昨天被盗刷了"), line(2, "我帮您冻结卡片", "agent"), intents=["card_fraud"])
    await bench.call("live", line(1, "还在说盗刷"), ended=False)
    bench.follow()
    assert names(bench, "盗刷") == ["c1"], "a call that goes on is not in it"
    bench.finish("c1", summary("客户称信用卡被盗用"), ticket("card", "fraud"), keywords("拒付"), scorecard(40))
    bench.follow()
    assert names(bench, "盗用") == names(bench, "拒付") == ["c1"]
    answer = bench.search.search(EVERYBODY, Search(text="盗刷", chosen={"ticket": ("/fraud",), "score": ("0",)}))
    assert answer.total == 1
    assert answer.facets["ticket"] == {"card": 1, "/fraud": 1}
    assert answer.facets["intent"] == {"card_fraud": 1}
    assert bench.follower.differences() == ()
    before = bench.embedder.embedded
    assert bench.follower.follow().written == 0, "what has not changed is not written again"
    bench.follower.rebuild()
    assert bench.embedder.embedded == before, "and its vector is not made again, not even by a rebuild"
    assert bench.follower.differences() == ()


async def test_an_erased_call_vanishes(bench: SearchBench) -> None:
    await bench.call("c1", line(1, "盗刷"), artifacts=[summary("盗刷")])
    await bench.call("c2", line(1, "盗刷"), at=AT + timedelta(minutes=1), artifacts=[summary("盗刷")])
    bench.follow()
    assert names(bench, "盗刷") == ["c2", "c1"]
    bench.store.calls.erase_call(ORG, "c1", "test")  # type: ignore[arg-type]
    assert names(bench, "盗刷") == ["c2"], "at once: what is shown of a call is read from the store"
    assert names(bench, "盗刷", mode="meaning") == ["c2"]
    assert bench.follower.differences() == ("c1",)
    bench.follow()
    assert bench.follower.differences() == ()
    assert bench.index.call_ids() == ["c2"]
    assert bench.search.search(EVERYBODY, Search(text="盗刷")).total == 1
    bench.follower.rebuild()
    assert bench.index.call_ids() == ["c2"]


async def test_a_line_that_is_redacted_is_not_found_any_more(bench: SearchBench) -> None:
    await bench.call("c1", line(1, "我叫张三丰"))
    bench.follow()
    assert names(bench, "张三丰") == ["c1"]
    bench.store.calls.rewrite(ORG, "c1", {2: line(1, "我叫【姓名#1】")})  # type: ignore[arg-type]
    bench.follow()
    assert names(bench, "张三丰") == []


async def test_everybody_finds_what_the_list_shows_them(bench: SearchBench) -> None:
    people = bench.store.people
    people.ensure_org(ORG)
    for team in ("t1", "t2"):
        people.create_team(ORG, team, team)  # type: ignore[arg-type]
    for name, team in (("ann", "t1"), ("ben", "t1"), ("eve", "t2")):
        people.create_user(ORG, name, name, ["agent"], [team], user_id=name)  # type: ignore[arg-type, list-item]
    for number, agent in enumerate(("ann", "ben", "eve")):
        await bench.call(f"c-{agent}", line(1, "挂失"), agent=agent, at=AT + timedelta(minutes=number), artifacts=[summary("挂失")])
    bench.follow()
    scopes = {
        "ann": Scope(org_id=ORG, user_id="ann", roles=frozenset({"agent"}), team_ids=frozenset({"t1"})),  # type: ignore[arg-type]
        "lead": Scope(org_id=ORG, user_id="lead", roles=frozenset({"team_lead"}), team_ids=frozenset({"t1"})),  # type: ignore[arg-type]
        "editor": Scope(org_id=ORG, user_id="x", roles=frozenset({"editor"})),  # type: ignore[arg-type]
        "qi": EVERYBODY,
    }
    expected = {"ann": {"c-ann"}, "lead": {"c-ann", "c-ben"}, "editor": set(), "qi": {"c-ann", "c-ben", "c-eve"}}
    for who, scope in scopes.items():
        for mode in ("words", "sound", "meaning"):
            answer = bench.search.search(scope, Search(text="挂失", mode=mode))  # type: ignore[arg-type]
            assert {found.listed.call.call_id for found in answer.calls} == expected[who], (who, mode)
            assert sum(answer.facets["team"].values()) == answer.total == len(expected[who]), (who, mode)
        assert {row.call.call_id for row in bench.store.call_list.page(scope, CallFilter())} == expected[who]


async def test_lines_are_shown_with_their_words_marked_and_lead_to_their_place(bench: SearchBench) -> None:
    await bench.call(
        "c1",
        line(1, "您好"),
        line(2, "我要查信用卡的年费，年费太贵"),
        line(3, "信用卡年费可以减免", "agent"),
        artifacts=[summary("客户询问年费减免")],
    )
    bench.follow()
    (found,) = bench.search.search(EVERYBODY, Search(text="信用卡 年费")).calls
    assert [(one.line.channel, one.line.start_ms) for one in found.snippets] == [("customer", 8000), ("agent", 12000), ("", 0)]
    first = found.snippets[0]
    assert [first.text[start:end] for start, end in first.marks] == ["信用卡", "年费", "年费"]
    assert found.snippets[2].line.utterance_id == "customer-1"
    (alike,) = bench.search.search(EVERYBODY, Search(text="年费能不能减免", mode="meaning")).calls
    assert alike.nearness is not None
    assert alike.snippets


async def test_pages_and_english(bench: SearchBench) -> None:
    for number in range(7):
        await bench.call(
            f"e{number}", line(1, f"My credit cards were stolen, case {number}", language="en"),
            language="en", at=AT + timedelta(minutes=number),
        )  # fmt: skip
    bench.follow()
    seen: list[str] = []
    place: Place | None = None
    while True:
        answer = bench.search.search(EVERYBODY, Search(text="credit card"), place=place, limit=3)
        seen += [found.listed.call.call_id for found in answer.calls]
        assert answer.total == 7
        if (place := answer.next) is None:
            break
    assert seen == [f"e{number}" for number in range(6, -1, -1)]
    assert names(bench, '"cards credit"') == []
    assert names(bench, '"credit card"', chosen={"language": ("zh",)}) == []
    assert names(bench, "credit -stolen") == []
    assert names(bench, "the") == names(bench, "！？") == [], "nothing that tells anything"
    assert len(names(bench, "")) == 7, "no words at all: whatever fits the facets"
    alike = bench.search.search(EVERYBODY, Search(text="stolen card", mode="meaning"), limit=5)
    rest = bench.search.search(EVERYBODY, Search(text="stolen card", mode="meaning"), limit=5, place=alike.next)
    assert len({found.listed.call.call_id for found in (*alike.calls, *rest.calls)}) == 7
    assert rest.next is None
