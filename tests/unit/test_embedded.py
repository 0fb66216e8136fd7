"""The embedded index on disk: crashes, damage, two processes. What every engine does is in tests/contracts/test_kbsearch_engines.py."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

import kb.generations
import kb.shelf
from copilot.domain.errors import Conflict, EngineError
from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article, Query
from kb.embedded import EmbeddedEngine
from kb.ranking import ablations
from kb.service import KnowledgeBase
from tests.fakes.gram_embedder import GramEmbedder
from tests.fakes.memory_articles import MemoryArticles


def article(name: str, title: str) -> Article:
    return Article(article_id=ArticleId(name), version=1, language="zh", domain="d", title=title, body="", answer=f"{title}。")


BANK = [article("loss", "信用卡丢失怎么挂失"), article("sms", "短信提醒多少钱")]


def open_base(path: Path) -> KnowledgeBase:
    embedder = GramEmbedder()
    return KnowledgeBase(EmbeddedEngine(path, embedder), embedder)


def first(base: KnowledgeBase, text: str) -> str:
    hits = base.search(Query(text=text, language="zh"))
    return hits[0].article.article_id if hits else ""


def test_what_an_interrupted_build_leaves_behind_does_no_harm(tmp_path: Path) -> None:
    base = open_base(tmp_path)
    base.load(BANK, 1)
    (tmp_path / "gen-000002.part").mkdir()
    (tmp_path / "gen-000002.part/meta.json").write_text("{", encoding="utf-8")
    (tmp_path / "gen-000003").mkdir()  # complete but never pointed at
    again = open_base(tmp_path)
    assert again.load([*BANK, article("new", "网点几点开门")], 2).added == 1
    assert first(again, "网点开门") == "new"
    assert {path.name for path in tmp_path.glob("gen-*") if not path.name.endswith(".part")} == {(tmp_path / "current").read_text()}


@pytest.mark.parametrize("damaged", ["meta.json", "zh/main.jsonl", "zh/tail.jsonl", "zh/tail.npy", "zh/state.json", "zh/terms/meta.json"])
def test_a_damaged_index_is_built_again(tmp_path: Path, damaged: str) -> None:
    open_base(tmp_path).load(BANK, 1)
    generation = tmp_path / (tmp_path / "current").read_text()
    (generation / damaged).write_bytes(b"\x00broken")
    base = open_base(tmp_path)
    assert base.state().stale == "the index is empty"
    assert base.load(BANK, 1).added == 2
    assert first(base, "短信提醒") == "sms"


def test_a_failing_embedder_leaves_the_old_index_in_use(tmp_path: Path) -> None:
    class Fails(GramEmbedder):
        broken = False

        def embed(self, texts, kind):  # type: ignore[no-untyped-def]
            if self.broken and kind == "passage":
                raise RuntimeError("out of memory")
            return super().embed(texts, kind)

    embedder = Fails()
    base = KnowledgeBase(EmbeddedEngine(tmp_path, embedder), embedder)
    base.load(BANK, 1)
    embedder.broken = True
    with pytest.raises(RuntimeError, match="out of memory"):
        base.load([*BANK, article("new", "网点几点开门")], 2)
    assert first(base, "短信提醒") == "sms"
    assert base.state().watermark == 1
    embedder.broken = False
    assert base.load([*BANK, article("new", "网点几点开门")], 2).added == 1


def test_another_process_writing_is_a_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kb.generations, "_LOCK_WAIT_S", 0.05)
    base = open_base(tmp_path)
    tmp_path.mkdir(exist_ok=True)
    with FileLock(tmp_path / "writer.lock"), pytest.raises(Conflict, match="Another process is writing"):
        base.load(BANK, 1)
    assert base.load(BANK, 1).added == 2


def test_the_owner_keeps_others_from_writing_until_it_closes_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kb.generations, "_LOCK_WAIT_S", 0.05)
    owner, other = open_base(tmp_path), open_base(tmp_path)
    owner.own()
    owner.load(BANK, 1)
    with pytest.raises(Conflict, match=rf"Process {os.getpid()} .* is writing the index"):
        other.load(BANK, 1)
    with pytest.raises(Conflict):
        other.own()
    store = MemoryArticles()
    store.upsert(BANK)
    other.follow(store)
    assert first(other, "短信提醒") == "sms", "who may not write may read"
    owner.close()
    assert other.load(BANK[:1], 2).removed == 1


def test_a_build_that_is_closed_stops_and_leaves_the_old_index(tmp_path: Path) -> None:
    base = open_base(tmp_path)
    base.load(BANK, 1)
    many = [article(f"a{number}", f"第{number}号网点几点开门") for number in range(400)]
    with pytest.raises(EngineError, match="being closed"):
        base.load(many, 2, lambda _done, _total: threading.Thread(target=base.close).start() or time.sleep(0.2))
    assert open_base(tmp_path).state().watermark == 1


def found_by(base: KnowledgeBase, bank: list[Article]) -> list[list[str]]:
    """What is found for some titles, all fields and each alone."""
    return [
        [hit.article.article_id for hit in one.search(Query(text=wanted.title, language="zh", top_k=3))][:1]
        for ranking in ablations(base.ranking).values()
        for one in [base.ranked_by(ranking)]
        for wanted in bank[::7]
    ]


def test_main_part_tail_and_the_dead_find_what_one_build_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kb.shelf, "TAIL_LIMIT", 64)
    words = ["开户", "销户", "挂失", "补卡", "转账", "限额", "理财", "贷款", "外汇", "年费"]
    bank = [article(f"a{n}", f"{words[n % 10]}第{n}号业务怎么办{words[n // 10 % 10]}") for n in range(120)]
    grown = open_base(tmp_path / "grown")
    for number, size in enumerate((40, 100, 104, 110, 120), 1):
        grown.load(bank[:size], number)
    edited = [article(f"a{n}", f"{words[n % 10]}改成了{n}这样办理") if n % 25 == 0 else one for n, one in enumerate(bank)][5:]
    report = grown.load(edited, 6)
    assert 0 < report.written < 2 * len(edited)
    state = json.loads((tmp_path / "grown" / (tmp_path / "grown/current").read_text() / "zh/state.json").read_text())
    assert state["boundary"] > 0
    assert state["dead"], "the case that is wanted here: a main part with dead keys, and a tail"
    assert state["next"] > state["boundary"]
    built = open_base(tmp_path / "built")
    built.load(edited, 1)
    assert grown.state().passages == built.state().passages == 2 * len(edited)
    assert found_by(grown, edited) == found_by(built, edited)
    reopened = open_base(tmp_path / "grown")
    reopened.load(edited, 6)
    assert found_by(reopened, edited) == found_by(built, edited)


def test_an_edit_shares_the_main_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kb.shelf, "TAIL_LIMIT", 64)
    base = open_base(tmp_path)
    bank = [article(f"a{number}", f"第{number}号网点几点开门") for number in range(100)]
    base.load(bank, 1)

    def main() -> list[int]:
        folder = tmp_path / (tmp_path / "current").read_text() / "zh"
        return [(folder / name).stat().st_ino for name in ("main.usearch", "main.jsonl")]

    before = main()
    bank[7] = article("a7", "外币现钞怎么预约")
    base.load(bank, 2)
    assert main() == before
    assert first(base, "外币现钞预约") == "a7"


def test_a_reader_sees_what_another_engine_wrote(tmp_path: Path) -> None:
    writer, reader = open_base(tmp_path), open_base(tmp_path)
    writer.load(BANK, 1)
    reader.load(BANK, 1)
    bigger = [*BANK, article("new", "网点几点开门")]
    writer.load(bigger, 2)
    assert reader.state().articles == 3
    assert reader.load(bigger, 2).added == 0
    assert first(reader, "网点开门") == "new"


def test_searching_while_the_index_changes(tmp_path: Path) -> None:
    base = open_base(tmp_path)
    base.load(BANK, 1)
    failures: list[BaseException] = []
    stop = threading.Event()

    def search() -> None:
        try:
            while not stop.is_set():
                assert first(base, "短信提醒多少钱") == "sms"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2, 8):
        base.load([*BANK, article(f"a{number}", f"第{number}个网点开门时间")], number)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_field_of_weight_zero_is_left_out_and_the_base_itself_stays(tmp_path: Path) -> None:
    base = open_base(tmp_path)
    base.load(BANK, 1)
    query = Query(text="短信提醒", language="zh")
    whole = base.search(query)
    chinese = replace(base.ranking.of("zh"), weights={**base.ranking.of("zh").weights, "pinyin": 0.0, "dense": 0.0})
    part = base.ranked_by(replace(base.ranking, languages={**base.ranking.languages, "zh": chinese})).search(query)
    assert {"pinyin", "dense", "words"} <= set(whole[0].scores)
    assert set(part[0].scores) == {"words", "bigrams"}
    assert part[0].article == whole[0].article
    assert base.search(query) == whole


def segments(path: Path) -> dict[str, int]:
    """Segment → documents in it, of the generation in use."""
    terms = path / (path / "current").read_text() / "zh/terms"
    return {one["segment_id"]: one["max_doc"] for one in json.loads((terms / "meta.json").read_text())["segments"]}


def inodes(path: Path) -> dict[str, int]:
    """File of a segment → inode, of the generation in use; without the small files that are written anew."""
    terms = path / (path / "current").read_text() / "zh/terms"
    return {file.name: file.stat().st_ino for file in terms.iterdir() if file.suffix not in {".json", ".lock", ".del"}}


def test_an_edit_writes_the_passages_of_its_article_and_no_others(tmp_path: Path) -> None:
    embedder = GramEmbedder()
    base = KnowledgeBase(EmbeddedEngine(tmp_path, embedder), embedder)
    bank = [article(f"a{number}", f"第{number}号网点几点开门") for number in range(400)]
    assert base.load(bank, 1).written == 800
    before, files, embedded = segments(tmp_path), inodes(tmp_path), embedder.embedded
    edited = [*bank[:200], article("a200", "外币现钞怎么预约"), *bank[201:]]
    report = base.load(edited, 2)
    assert (report.added, report.unchanged, report.passages, report.written) == (1, 399, 800, 2)
    assert embedder.embedded - embedded == 2
    after = segments(tmp_path)
    assert {name: count for name, count in after.items() if name in before} == before, "what was written stays as it is"
    assert sum(count for name, count in after.items() if name not in before) == 2
    assert files.items() <= inodes(tmp_path).items(), "its files are shared with the generation before, not copied"
    assert first(base, "外币现钞预约") == "a200"


def test_editing_day_after_day_rewrites_little(tmp_path: Path) -> None:
    """Now and then the term index merges eight segments of under 10,000 documents; nothing is analysed or embedded for that."""
    embedder = GramEmbedder()
    base = KnowledgeBase(EmbeddedEngine(tmp_path, embedder), embedder)
    bank = [article(f"a{number}", f"第{number}号网点几点开门") for number in range(300)]
    base.load(bank, 1)
    embedded, rewritten, known = embedder.embedded, 0, segments(tmp_path)
    for number in range(30):
        bank[number] = article(f"a{number}", f"第{number}号网点周末也开门")
        base.load(bank, number + 2)
        now = segments(tmp_path)
        rewritten += sum(count for name, count in now.items() if name not in known)
        known = now
    assert embedder.embedded - embedded == 30 * 2
    assert 30 * 2 <= rewritten < 30 * 600 / 5, "a fifth of what thirty rebuilds would write, at most"
