"""What every index engine must do.

Elasticsearch is the cluster that PANGTING_TEST_ELASTICSEARCH_URL names, else an emulator of its API (noida-db), which is not Elasticsearch.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

import kb.generations
from copilot.domain.errors import Conflict, EngineError, NotFound
from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article, Query, Scope
from kb.analysis import analyse
from kb.engine import SearchEngine
from kb.ranking import ablations
from kb.service import KnowledgeBase
from tests.fakes.elasticsearch_emulator import emulator
from tests.fakes.gram_embedder import GramEmbedder
from tests.fakes.memory_articles import MemoryArticles

Make = Callable[[GramEmbedder], SearchEngine]


def article(name: str, title: str, *questions: str, language: str = "zh", **fields: object) -> Article:
    given: dict[str, object] = {
        "article_id": ArticleId(name),
        "version": 1,
        "language": language,
        "domain": "cards",
        "title": title,
        "body": "",
        "answer": f"{title}。" if language == "zh" else f"{title}.",
        "questions": questions,
        **fields,
    }
    return Article(**given)  # type: ignore[arg-type]


BANK = [
    article(
        "loss",
        "信用卡丢失怎么挂失补卡",
        "我的卡不见了",
        intent="card_loss",
        body="## 工本费\n\n十五元，金卡免收。\n\n## 时间\n\n五到七个工作日。",
    ),
    article("fraud", "信用卡被盗刷怎么办", "有人刷了我的卡", intent="card_fraud", products=("credit_card",)),
    article("sms", "动账短信提醒每月收多少钱", "短信通知怎么开", intent="sms_alert"),
    article("sms", "How much are SMS alerts", "text message fee", language="en"),
    article("limit", "转账限额怎么调高", "一天能转多少"),
]


@pytest.fixture(scope="module")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = os.environ.get("PANGTING_TEST_ELASTICSEARCH_URL")
    if given:
        yield given
        return
    with emulator(tmp_path_factory.mktemp("emulator")) as url:
        yield url


@pytest.fixture(params=["embedded", "elastic"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[SearchEngine] = []
    if request.param == "embedded":
        from kb.embedded import EmbeddedEngine

        def build(embedder: GramEmbedder) -> SearchEngine:
            made.append(EmbeddedEngine(tmp_path / "index", embedder))
            return made[-1]

        yield build
    else:
        from kb.elastic import ElasticEngine

        url = request.getfixturevalue("elasticsearch")
        name = f"pangting-test-{uuid.uuid4().hex[:8]}"

        def build(embedder: GramEmbedder) -> SearchEngine:
            made.append(ElasticEngine(url, name, embedder))
            return made[-1]

        yield build
        made[-1].drop()  # type: ignore[attr-defined]
    for engine in made:
        engine.close()


def ids(engine: SearchEngine, embedder: GramEmbedder, text: str, language: str = "zh") -> list[str]:
    base = KnowledgeBase(engine, embedder)
    base.load(BANK, 1)
    return [hit.article.article_id for hit in base.search(Query(text=text, language=language))]


def test_each_article_once_best_first_with_its_passage(make: Make) -> None:
    embedder = GramEmbedder()
    base = KnowledgeBase(make(embedder), embedder)
    report = base.load(BANK, 7)
    assert (report.added, report.removed) == (5, 0)
    hits = base.search(Query(text="我的信用卡不见了要补卡", language="zh", top_k=3))
    assert hits[0].article.article_id == "loss"
    assert len({hit.article.article_id for hit in hits}) == len(hits) <= 3
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert set(hits[0].scores) == {"dense", "words", "bigrams", "pinyin"}
    assert all(0 <= hit.confidence <= 1 for hit in hits)
    state = base.state()
    assert (state.watermark, state.articles, state.stale) == (7, 5, "")


def test_a_passage_of_the_body_is_found_in_its_place(make: Make) -> None:
    embedder = GramEmbedder()
    base = KnowledgeBase(make(embedder), embedder)
    base.load(BANK, 1)
    hit = base.search(Query(text="五到七个工作日", language="zh"))[0]
    assert (hit.article.article_id, hit.passage.section) == ("loss", "时间")
    assert hit.article.body[hit.passage.start : hit.passage.end] == hit.passage.text == "五到七个工作日。"


def test_homophones_are_found(make: Make) -> None:
    embedder = GramEmbedder()
    engine = make(embedder)
    KnowledgeBase(engine, embedder).load(BANK, 1)
    found = engine.candidates("zh", analyse("到刷", "zh"), embedder.embed(["到刷"], "query")[0], 10)
    assert {found.passages[name].article_id for name in found.scores["pinyin"]} == {"fraud"}
    assert found.scores["bigrams"] == {}


@pytest.mark.parametrize(
    ("said", "stands"),
    [("资姐", "直接"), ("撒车", "沙车"), ("残品", "常品"), ("隆腻", "农历"), ("哈款", "发款"), ("怎民", "证明")],
    ids=["zh-z", "sh-s", "ch-c-ang-an", "n-l", "f-h", "eng-en-ing-in"],
)
def test_every_engine_folds_sounds_alike(make: Make, said: str, stands: str) -> None:
    embedder = GramEmbedder()
    engine = make(embedder)
    KnowledgeBase(engine, embedder).load([article("one", stands), article("two", "网点几点开门")], 1)
    found = engine.candidates("zh", analyse(said, "zh"), embedder.embed([said], "query")[0], 10)
    assert {found.passages[name].article_id for name in found.scores["pinyin"]} == {"one"}
    assert found.scores["bigrams"] == {}


def test_weights_rank_alike_on_every_engine(make: Make) -> None:
    """A field that is left out finds nothing and stands in no explanation; the others do."""
    embedder = GramEmbedder()
    base = KnowledgeBase(make(embedder), embedder)
    base.load(BANK, 1)
    for name, ranking in ablations(base.ranking).items():
        hits = base.ranked_by(ranking).search(Query(text="信用卡丢失怎么挂失", language="zh", top_k=10))
        assert hits[0].article.article_id == "loss", name
        kind, _, field = name.partition(" ")
        seen = {one for hit in hits for one in hit.scores}
        left_out = {"mending": set(), "sounds": {"pinyin"}}.get(field, {field})
        assert seen == ({field} if kind == "only" else {"dense", "words", "bigrams", "pinyin"} - left_out), name


def test_languages_do_not_mix(make: Make) -> None:
    embedder = GramEmbedder()
    engine = make(embedder)
    assert ids(engine, embedder, "text message fee", "en") == ["sms"]
    assert ids(engine, embedder, "短信通知", "zh")[0] == "sms"
    base = KnowledgeBase(engine, embedder)
    base.load(BANK, 1)
    assert base.search(Query(text="text message fee", language="en"))[0].article.language == "en"
    assert base.search(Query(text="quoi", language="fr")) == ()


def test_only_what_changed_is_written_and_deleted_articles_are_gone(make: Make) -> None:
    embedder = GramEmbedder()
    base = KnowledgeBase(make(embedder), embedder)
    base.load(BANK, 1)
    before = embedder.embedded
    changed = [replace(BANK[1], questions=("陌生人用我的卡买东西",), version=2), *BANK[2:], article("new", "网点几点开门")]
    report = base.load(changed, 2)
    assert (report.added, report.removed, report.unchanged, report.rebuilt) == (2, 1, 3, "")
    assert embedder.embedded - before == 5, "an article of three passages and one of two; unchanged ones are not embedded again"
    assert report.written == 5
    for text in ("信用卡丢失挂失补卡", "我的卡不见了", "五到七个工作日", "有人刷了我的卡", "网点几点开门"):
        hits = base.search(Query(text=text, language="zh", top_k=10))
        assert "loss" not in {hit.article.article_id for hit in hits}
        assert "有人刷了我的卡" not in {hit.passage.text for hit in hits}
    assert base.search(Query(text="网点几点开门", language="zh"))[0].article.article_id == "new"
    assert base.search(Query(text="陌生人用我的卡买东西", language="zh"))[0].article.version == 2
    unchanged = base.load(changed, 2)
    assert (unchanged.added, unchanged.removed) == (0, 0)


def test_many_small_changes_leave_the_same_index_as_one_build(make: Make) -> None:
    embedder = GramEmbedder()
    base = KnowledgeBase(make(embedder), embedder)
    for number in range(6):
        kept = [one for place, one in enumerate(BANK) if place != number % len(BANK)]
        base.load(kept, number)
    base.load(BANK, 10)
    texts = ["挂失补卡工本费", "有人刷了我的卡", "短信多少钱", "一天能转多少"]
    grown = [
        [(hit.article.article_id, hit.passage.text) for hit in base.search(Query(text=text, language="zh", top_k=10))] for text in texts
    ]
    base.load(BANK, 11, rebuild=True)
    built = [
        [(hit.article.article_id, hit.passage.text) for hit in base.search(Query(text=text, language="zh", top_k=10))] for text in texts
    ]
    assert [{name for name, _ in found} for found in grown] == [{name for name, _ in found} for found in built]
    assert [found[0] for found in grown] == [found[0] for found in built]


def test_an_index_outlives_its_process(make: Make) -> None:
    embedder = GramEmbedder()
    KnowledgeBase(make(embedder), embedder).load(BANK, 5)
    later = GramEmbedder()
    base = KnowledgeBase(make(later), later)
    report = base.load(BANK, 5)
    assert (report.added, report.unchanged, later.embedded) == (0, 5, 0)
    assert base.search(Query(text="短信通知怎么开", language="zh"))[0].article.article_id == "sms"


def test_another_model_is_refused_and_builds_anew(make: Make) -> None:
    embedder = GramEmbedder()
    KnowledgeBase(make(embedder), embedder).load(BANK, 1)
    other = GramEmbedder(dimension=64, seed="other")
    engine = make(other)
    assert "another embedding model" in engine.state().stale
    with pytest.raises(EngineError, match="must be built again"):
        engine.candidates("zh", analyse("挂失", "zh"), other.embed(["挂失"], "query")[0], 5)
    base = KnowledgeBase(engine, other)
    report = base.load(BANK, 1)
    assert report.rebuilt == "it was built with another embedding model"
    assert report.added == len(BANK)
    assert base.search(Query(text="短信通知怎么开", language="zh"))[0].article.article_id == "sms"


def test_only_what_is_valid_on_the_day(make: Make) -> None:
    embedder = GramEmbedder()
    base = KnowledgeBase(make(embedder), embedder)
    base.load(
        [
            article("old", "短信提醒每月两元", valid_to=date(2026, 1, 31)),
            article("new", "短信提醒每月三元", valid_from=date(2026, 2, 1)),
            article("draft", "短信提醒每月五元", state="draft"),
        ],
        1,
    )

    def found(day: date | None) -> set[str]:
        return {hit.article.article_id for hit in base.search(Query(text="短信提醒每月几元", language="zh", day=day))}

    assert found(date(2026, 1, 31)) == {"old"}
    assert found(date(2026, 2, 1)) == {"new"}
    assert found(None) == {"old", "new"}


def test_an_intent_settles_what_the_words_leave_open(make: Make) -> None:
    embedder = GramEmbedder()
    base = KnowledgeBase(make(embedder), embedder)
    base.load([article("a", "手续费怎么收", intent="loan_prepay"), article("b", "手续费怎么收", intent="card_instalment")], 1)
    first = base.search(Query(text="手续费怎么收", language="zh"))[0].article.article_id
    other = {"a": "card_instalment", "b": "loan_prepay"}[first]
    assert base.search(Query(text="手续费怎么收", language="zh", intents={other: 0.9}))[0].article.article_id != first


def test_empty_indexes_and_empty_queries_find_nothing(make: Make) -> None:
    embedder = GramEmbedder()
    base = KnowledgeBase(make(embedder), embedder)
    assert base.state().stale == "the index is empty"
    assert base.search(Query(text="挂失", language="zh")) == ()
    base.load(BANK, 1)
    assert base.search(Query(text="，。", language="zh")) == ()
    assert base.search(Query(text="【卡号#1】", language="zh")) == ()
    base.load([], 2)
    assert base.search(Query(text="挂失", language="zh")) == ()
    with pytest.raises(NotFound):
        base.article("loss", "zh")


def test_articles_are_given_out_by_language(make: Make) -> None:
    embedder = GramEmbedder()
    base = KnowledgeBase(make(embedder), embedder)
    base.load(BANK, 1)
    assert base.article("sms", "en").title == "How much are SMS alerts"
    with pytest.raises(NotFound, match="'loss' in en"):
        base.article("loss", "en")


def test_a_filter_leaves_out_what_is_for_others_in_every_field(make: Make) -> None:
    """Of 120 articles that say the same, the one in scope is found, although each ranker gives only its best hundred."""
    embedder = GramEmbedder()
    others = [article(f"o{number}", "年费怎么收取", products=("gold card",), channels=("branch",)) for number in range(118)]
    mine = article("mine", "年费怎么收取呢", products=("debit_card",), channels=("app", "phone"))
    for_all = article("all", "年费什么时候收取")
    base = KnowledgeBase(make(embedder), embedder)
    base.load([*others, mine, for_all], 1)

    def found(**scope: tuple[str, ...]) -> set[str]:
        query = Query(text="年费怎么收取", language="zh", top_k=50, scope=Scope(**scope))
        hits = base.search(query)
        assert all(set(hit.scores) == {"dense", "words", "bigrams", "pinyin"} for hit in hits)
        return {str(hit.article.article_id) for hit in hits}

    assert found(products=("debit_card",)) == {"mine", "all"}
    assert found(products=("debit_card",), channels=("phone",)) == {"mine", "all"}
    assert found(products=("debit_card",), channels=("branch",)) == {"all"}
    assert found(products=("gold card", "debit_card"), channels=("app",)) == {"mine", "all"}
    assert len(found(products=("gold card",))) == 50


def test_index_and_store_agree_and_are_compared_by_content(make: Make) -> None:
    embedder, store = GramEmbedder(), MemoryArticles()
    store.upsert(BANK)
    base = KnowledgeBase(make(embedder), embedder)
    assert len(base.differences(store)) == len(BANK)
    base.refresh(store)
    assert base.differences(store) == ()
    store.upsert([replace(BANK[1], answer="马上挂失。")])
    assert base.differences(store) == ("fraud:zh",)
    assert base.refresh(store).added == 1
    assert base.differences(store) == ()
    assert base.state().watermark == store.watermark()


def test_an_edit_that_stops_half_way_is_made_whole_by_the_next(make: Make) -> None:
    """Also if the store has moved on meanwhile: an article that only the interrupted edit had written is not left over."""

    class Fails(GramEmbedder):
        after = 10**9

        def embed(self, texts, kind):  # type: ignore[no-untyped-def]
            if kind == "passage":
                self.after -= 1
                if self.after < 0:
                    raise RuntimeError("killed")
            return super().embed(texts, kind)

    embedder = Fails()
    engine = make(embedder)
    base = KnowledgeBase(engine, embedder)
    base.load(BANK, 1)
    many = [article(f"n{number}", f"第{number}号网点几点开门") for number in range(150)]
    embedder.after = 3
    with pytest.raises(RuntimeError, match="killed"):
        base.load([*BANK[1:], *many], 2)
    embedder.after = 10**9
    held = set(engine.contents())
    assert held <= {f"{one.article_id}:{one.language}" for one in BANK}, "nothing half done counts as done"
    again = KnowledgeBase(make(embedder), embedder)
    again.load(BANK, 3)
    assert set(engine.contents()) == {f"{one.article_id}:{one.language}" for one in BANK}
    found = again.search(Query(text="网点几点开门", language="zh", top_k=50))
    assert not any(hit.article.article_id.startswith("n") for hit in found)
    assert again.state().passages == KnowledgeBase(engine, embedder).state().passages == 17
    assert again.search(Query(text="五到七个工作日", language="zh"))[0].article.article_id == "loss"


def test_one_writes_at_a_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kb.generations, "_LOCK_WAIT_S", 0.1)
    monkeypatch.setattr("kb.elastic_lease._WAIT_S", 0.1)
    embedder = GramEmbedder()
    first, second = KnowledgeBase(make(embedder), embedder), make(embedder)
    first.load(BANK, 1)
    with second.writing(), second.writing(), pytest.raises(Conflict, match="writing the index"):
        first.load(BANK[1:], 2)
    assert first.load(BANK[1:], 2).removed == 1
