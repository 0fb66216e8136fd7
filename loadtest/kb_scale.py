"""The embedded knowledge base at scale: ``python -m loadtest.kb_scale`` (100,000 passages).

Articles of a bank are made from templates (``kb_scale.yaml``; seeded; the words repeat more than a real bank's do), put into a real
store, indexed, searched and edited. Vectors are synthetic: unit vectors that lie near those of the same article and of its topic, so that
the graph has neighbourhoods; they say nothing about finding the right article. Queries are of the same templates with characters gone
wrong. Times of a search leave out the embedding of the query, which is measured apart with the real model (``--embedding``), as is the rate
at which passages are embedded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import yaml

from copilot.assembly import engines
from copilot.domain.ids import ArticleId, OrgId
from copilot.domain.knowledge import Article, Query, Scope
from copilot.settings import Settings
from kb.analysis import analyse
from kb.chunking import entries
from kb.embedded import EmbeddedEngine
from kb.noise import Noise, noisy
from kb.service import CANDIDATES, KnowledgeBase
from kb.shelf import load_shelf

Json = dict[str, Any]
Floats = npt.NDArray[np.float32]

WORDS: Json = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
DIMENSION = 384
_NEAR, _TOPIC = 0.55, 0.45


class SyntheticEmbedder:
    """Vectors without a model: of a text, near those of its first line and of its topic."""

    dimension = DIMENSION
    identity = f"synthetic:{DIMENSION}"

    def __init__(self) -> None:
        self._known: dict[str, Floats] = {}

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> Floats:
        """``[len(texts), DIMENSION]``. A query's vector is kept, so that asking again costs nothing."""
        if kind == "passage":
            return np.stack([self._one(text) for text in texts])
        for text in texts:
            if text not in self._known:
                self._known[text] = self._one(text)
        return np.stack([self._known[text] for text in texts])

    def _one(self, text: str) -> Floats:
        topic = next((topic for topic in WORDS["topics"] if topic in text), "")
        product = next((product for product in WORDS["products"] if product in text), "")
        vector = _direction(text) + _NEAR * 2 * _direction(text.partition("\n")[0][:14]) + _TOPIC * 4 * _direction(topic + product)
        unit: Floats = vector / np.linalg.norm(vector)
        return unit


def _direction(text: str) -> Floats:
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION, np.float32)
    unit: Floats = vector / np.linalg.norm(vector)
    return unit


def make_article(number: int) -> Article:
    """One article of about twelve passages, always the same for a number."""
    rng = random.Random(number)
    limit = rng.choice((1, 2, 5, 10, 20, 50)) * 10_000
    fill: Json = {
        "number": f"{number:06d}",
        "product": WORDS["products"][number % len(WORDS["products"])],
        "topic": WORDS["topics"][number // len(WORDS["products"]) % len(WORDS["topics"])],
        "papers": "、".join(rng.sample(WORDS["papers"], 3)),
        "fee": rng.choice((0, 5, 10, 15, 20, 50, 100)),
        "limit": limit,
        "day_limit": limit * rng.randint(2, 5),
    }
    for name, words in (("product", "products"), ("topic", "topics"), ("customer", "customers"), ("place", "places"), ("paper", "papers")):
        fill |= {key: rng.choice(WORDS[words]) for key in (name, f"{name}_2", f"{name}_3") if key not in fill}
    fill |= {name: rng.randint(1, most) for name, most in (("days", 30), ("months", 24), ("share", 9), ("more", 5), ("objection", 60))}
    sections = [f"## {heading}\n\n{text.format(**fill)}" for heading, text in WORDS["sections"].items()]
    return Article(
        article_id=ArticleId(f"kb{number:06d}"),
        version=1,
        language="zh",
        domain="scale",
        title=WORDS["title"].format(**fill),
        body="\n\n".join(sections),
        answer=WORDS["answer"].format(**fill),
        questions=tuple(ask.format(**fill) for ask in rng.sample(WORDS["questions"], 3)),
        products=(fill["product"],),
        channels=(fill["place"],),
    )


def make_articles(passages: int) -> list[Article]:
    """As many articles as have at least ``passages`` passages together."""
    found: list[Article] = []
    count = 0
    while count < passages:
        found.append(make_article(len(found)))
        count += len(entries(found[-1]))
    return found


def make_queries(articles: Sequence[Article], count: int) -> list[str]:
    """Questions about articles drawn by chance, a tenth of the characters gone wrong."""
    rng = random.Random(7)
    noise = Noise(kind="mixed", rate=0.1)
    chosen = [rng.choice(articles) for _ in range(count)]
    return [noisy(f"{rng.choice(article.questions)}，我是{article.title[:2]}客户", noise, number) for number, article in enumerate(chosen)]


def timed(work: Callable[..., object], *given: Any) -> tuple[float, float]:
    """(wall, this thread's CPU) in ms."""
    begun, used = time.perf_counter(), time.thread_time()
    work(*given)
    return (time.perf_counter() - begun) * 1000, (time.thread_time() - used) * 1000


def percentiles(values: Sequence[tuple[float, float]]) -> Json:
    """p50 and p95 of wall and CPU times."""
    wall, cpu = np.array(values).T
    return {
        "count": len(values),
        "p50_ms": round(float(np.percentile(wall, 50)), 2),
        "p95_ms": round(float(np.percentile(wall, 95)), 2),
        "cpu_p50_ms": round(float(np.percentile(cpu, 50)), 2),
        "cpu_p95_ms": round(float(np.percentile(cpu, 95)), 2),
    }


def resident_mb() -> float:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)


def disk_mb(folder: Path) -> float:
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6, 1)


def graph_recall(index: Path, vectors: Floats) -> float:
    """Of the nearest hundred passages by an exact scan, the share that the graph gives."""
    folder = index / (index / "current").read_text(encoding="utf-8").strip() / "zh"
    shelf = load_shelf(folder, "zh", DIMENSION)
    if shelf.main is None:
        return 1.0
    keys = np.array([key for key in shelf.passages if key < shelf.boundary])
    rows = np.asarray(shelf.main.get(keys), np.float32)
    shares = []
    for vector in vectors:
        exact = set(keys[np.argpartition(-(rows @ vector), CANDIDATES)[:CANDIDATES]].tolist())
        shares.append(len(exact & set(shelf.nearest(vector, CANDIDATES, None))) / CANDIDATES)
    return round(float(np.mean(shares)), 4)


def measure(passages: int, queries: int, edits: int, folder: Path, threads: int) -> Json:
    """Builds, searches and edits; every figure."""
    report: Json = {"machine": {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}}
    settings = Settings(data_dir=folder, org="scale")
    store = engines.open_store(settings).articles(OrgId("scale"))
    articles = make_articles(passages)
    _say(f"{len(articles)} articles; writing the store")
    store.upsert(articles)
    embedder = SyntheticEmbedder()
    before = resident_mb()
    engine = EmbeddedEngine(folder / "index", embedder, threads=threads)
    base = KnowledgeBase(engine, embedder)
    base.own()
    begun, used = time.perf_counter(), time.process_time()
    built = base.refresh(store, _progress())
    report["build"] = {
        "articles": len(articles),
        "passages": built.passages,
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu_seconds": round(time.process_time() - used, 1),
        "disk_mb": disk_mb(folder / "index"),
        "memory_mb": round(resident_mb() - before, 1),
    }
    del articles
    asked = make_queries(base.articles, queries)
    vectors = embedder.embed(asked, "query")
    for text in asked[:50]:
        base.search(Query(text=text, language="zh"))
    report["search"] = percentiles([timed(base.search, Query(text=text, language="zh")) for text in asked])
    scopes = [Scope(products=(WORDS["products"][number % len(WORDS["products"])],)) for number in range(len(asked))]
    filtered = [Query(text=text, language="zh", scope=scope) for text, scope in zip(asked, scopes, strict=True)]
    report["search_one_product"] = percentiles([timed(base.search, query) for query in filtered])
    parts: dict[str, list[tuple[float, float]]] = {"analyse": [], "candidates": []}
    for text, vector in zip(asked, vectors, strict=True):
        parts["analyse"].append(timed(analyse, text, "zh"))
        terms = analyse(text, "zh")
        parts["candidates"].append(timed(engine.candidates, "zh", terms, vector, CANDIDATES))
    report["parts"] = {name: percentiles(values) for name, values in parts.items()}
    report["graph_recall_at_100"] = graph_recall(folder / "index", vectors[:50])
    report["edit"] = percentiles([timed(_edit, base, store, number) for number in range(edits)])
    report["load_after"] = os.getloadavg()[0]
    begun = time.perf_counter()
    EmbeddedEngine(folder / "index", embedder)
    report["open_seconds"] = round(time.perf_counter() - begun, 2)
    base.close()
    return report


def _edit(base: KnowledgeBase, store: Any, number: int) -> None:
    """One article is changed in the store and found by its new words."""
    wanted = f"第{number}次修改后的专属条款"
    store.upsert([replace(make_article(number * 7), answer=f"{wanted}自下月起执行。")])
    base.refresh(store)
    article = base.article(f"kb{number * 7:06d}", "zh")
    assert wanted in article.answer
    hits = base.search(Query(text=wanted, language="zh", top_k=10))
    assert any(hit.article.article_id == article.article_id for hit in hits), "the edit is not found"


def embedding_rate(settings: Settings, passages: int) -> Json:
    """Passages a second with the real model on one core, and a query's time."""
    embedder = engines.open_embedder(settings)
    texts = [entry.dense for number in range(passages) for entry in entries(make_article(number))][:passages]
    embedder.embed(texts[:2], "passage")
    wall, cpu = timed(embedder.embed, texts, "passage")
    return {
        "passages": passages,
        "per_second": round(passages / wall * 1000, 1),
        "per_cpu_second": round(passages / cpu * 1000, 1),
        "query": percentiles([timed(embedder.embed, [text], "query") for text in make_queries([make_article(1)], 30)]),
    }


def _progress() -> Callable[[int, int], None]:
    begun, last = time.monotonic(), [0.0]

    def show(done: int, total: int) -> None:
        now = time.monotonic()
        if now - last[0] > 10 or done == total:
            last[0] = now
            _say(f"{done}/{total} passages, {done / max(now - begun, 0.01):.0f} a second")

    return show


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.kb_scale", description="Measures the embedded knowledge base at scale.")
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--edits", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cores that build the graph")
    parser.add_argument("--embedding", type=int, default=0, metavar="N", help="also embed N passages with the real model")
    parser.add_argument("--json", type=Path, help="write every figure here too")
    parser.add_argument("--keep", type=Path, help="use this empty folder, and leave it")
    options = parser.parse_args(arguments)
    engines.one_core_each()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="kb-scale-"))
    try:
        report = measure(options.passages, options.queries, options.edits, folder, options.threads)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if options.embedding:
        report["embedding"] = embedding_rate(Settings(), options.embedding)
    text = json.dumps(report, ensure_ascii=False, indent=1)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
