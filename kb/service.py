"""The knowledge base of one organisation: queries in words, articles with confidence out, whatever engine holds the index."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from copilot.domain.errors import NotFound
from copilot.domain.knowledge import EVERYTHING, Article, Hit, Query, Scope
from copilot.domain.ports.knowledge import ArticleStore, Embedder
from kb.analysis import Terms, analyse, sound_terms, spoken_core
from kb.chunking import entries
from kb.digests import article_key, content_hash
from kb.engine import Candidates, IndexState, Progress, SearchEngine, SyncReport
from kb.fusion import FIELDS, FusedArticle, best_scores, confidence, fuse
from kb.mending import Vocabulary
from kb.ranking import DEFAULT_RANKING, PACK, PRIOR, Ranking, stored_ranking
from kb.reranking import Reranker

CANDIDATES = 100
"""Passages asked of each ranker: enough for some thirty articles."""

RERANKED = 10
"""Articles that a reranker puts in order."""

PRODUCT_BOOST = 0.1
"""What an article gains in fused score when the caller's product is its own: settles near ties, overrules nothing clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Of one query: article id → field → the score of its best passage, by id; and article id → share of the query's terms it has."""

    scores: Mapping[str, Mapping[str, float]]
    overlaps: Mapping[str, float]


class KnowledgeBase:
    """Search over an engine and the articles it holds. Thread-safe; call it from worker threads.

    ``embedder`` embeds queries. ``refresh`` must run once before the first search; until then nothing is found.
    """

    def __init__(
        self, engine: SearchEngine, embedder: Embedder, *, ranking: Ranking = DEFAULT_RANKING, reranker: Reranker | None = None
    ) -> None:
        self._engine = engine
        self._embedder = embedder
        self._ranking = ranking
        self._reranker = reranker
        self._ranking_version = 0
        self._articles: Mapping[tuple[str, str], Article] = {}
        self._vocabulary: dict[tuple[str, str], frozenset[str]] = {}
        self._words = Vocabulary()
        self._lock = threading.Lock()

    def refresh(self, store: ArticleStore, progress: Progress | None = None, *, rebuild: bool = False) -> SyncReport:
        """Brings index, articles and ranking to what the store holds. Cheap when nothing changed. Raises Conflict if another one writes.

        ``rebuild``: all is built anew beside the old, which is searched until then.
        """
        with self._engine.writing():
            # The watermark first: a change that comes between the two is written now and noticed again.
            watermark = store.watermark()
            self.take_ranking(store)
            return self.load(store.published(None, self._articles), watermark, progress, rebuild=rebuild)

    def own(self) -> None:
        """This process writes the index from now on. Raises Conflict naming the one that does."""
        self._engine.own()

    def follow(self, store: ArticleStore) -> None:
        """Searches what the index holds and writes nothing: another process does that."""
        self.take_ranking(store)
        self._take(store.published(None, self._articles))

    def differences(self, store: ArticleStore) -> tuple[str, ...]:
        """``article_id:language`` of every article that index and store hold differently; empty: they agree."""
        held = self._engine.contents()
        wanted = {article_key(article): content_hash(article) for article in store.published()}
        return tuple(sorted(key for key in {*held, *wanted} if held.get(key) != wanted.get(key)))

    def load(self, articles: Sequence[Article], watermark: int, progress: Progress | None = None, *, rebuild: bool = False) -> SyncReport:
        """As ``refresh``, from articles at hand."""
        report = self._engine.sync(articles, watermark, progress, rebuild=rebuild)
        self._take(articles)
        return report

    @property
    def articles(self) -> Sequence[Article]:
        """What is searched."""
        return tuple(self._articles.values())

    def _take(self, articles: Sequence[Article]) -> None:
        before = self._articles
        found: dict[tuple[str, str], Article] = {(article.article_id, article.language): article for article in articles}
        with self._lock:
            self._words.take(articles)
            self._articles = found
            self._vocabulary = {key: words for key, words in self._vocabulary.items() if found.get(key) is before.get(key)}

    def close(self) -> None:
        """Gives the index up."""
        self._engine.close()

    def take_ranking(self, store: ArticleStore) -> None:
        """Ranks from now on as the store says; as shipped if it says nothing, or something fitted with another embedding model."""
        found = store.pack(PACK)
        self._ranking = stored_ranking(found[1] if found is not None else None, self._embedder.identity)
        self._ranking_version = found[0] if found is not None else 0

    def has_newer_ranking(self, store: ArticleStore) -> bool:
        """True if the store's ranking is another than the one taken last."""
        found = store.pack(PACK)
        return (found[0] if found is not None else 0) != self._ranking_version

    def ranked_by(self, ranking: Ranking) -> KnowledgeBase:
        """The same index and articles, as they are now, ranked otherwise; for measuring."""
        other = KnowledgeBase(self._engine, self._embedder, ranking=ranking, reranker=self._reranker)
        other._articles, other._vocabulary, other._words = self._articles, self._vocabulary, self._words
        return other

    @property
    def ranking(self) -> Ranking:
        """How it ranks now."""
        return self._ranking

    @property
    def embedder_identity(self) -> str:
        """Of the model that a ranking fitted here belongs to."""
        return self._embedder.identity

    def state(self) -> IndexState:
        """What the index holds, and whether it may be used."""
        return self._engine.state()

    def search(self, query: Query) -> tuple[Hit, ...]:
        """See ``KnowledgeSearch.search``. Hesitations, courtesy and placeholders of personal data are not searched for."""
        looked_up = self._look_up(query.text, query.language, query.scope)
        if looked_up is None:
            return ()
        terms, candidates = looked_up
        ranking = self._ranking.of(query.language)
        articles = self._articles
        usable: set[str] = {
            article_id
            for article_id in {passage.article_id for passage in candidates.passages.values()}
            if _usable(articles.get((article_id, query.language)), query.day)
        }
        boosts: dict[str, float] = {article_id: _boost(articles[article_id, query.language], query) for article_id in usable}
        # Standardised over all candidates, then filtered: what has expired still tells how unusual a score is.
        ranked = [article for article in fuse(candidates, ranking.weights, boosts) if article.article_id in usable][
            : max(query.top_k, RERANKED if self._reranker else 2)
        ]
        if not ranked:
            return ()
        overlap = self._overlap(terms, ranked[0].article_id, query.language)
        sure, bar = confidence(ranked, overlap, ranking.calibration), ranking.threshold
        if query.intents is not None:
            likely = (_likely(articles[one.article_id, query.language], query.intents) for one in ranked)
            sure = [PRIOR.confidence(value, bar, chance) for value, chance in zip(sure, likely, strict=True)]
            bar = 0.5
        found = self._rerank(query.text, ranked, sure)
        return tuple(
            Hit(
                article=articles[one.article_id, query.language],
                passage=one.passage,
                score=round(one.score, 4),
                confidence=round(value, 4),
                fits=value >= bar,
                scores={name: round(score, 4) for name, score in one.scores.items()},
            )
            for one, value in found[: query.top_k]
        )

    def _rerank(self, text: str, ranked: Sequence[FusedArticle], sure: Sequence[float]) -> list[tuple[FusedArticle, float]]:
        """The articles with their confidences; the first of them in the reranker's order, if there is one and it answers.

        Its score stands among the scores as ``rerank``. The confidence stays the calibrated one of the article itself.
        """
        pairs = list(zip(ranked, sure, strict=True))
        if self._reranker is None:
            return pairs
        first = pairs[:RERANKED]
        scores = self._reranker.scores(text, [one.passage.text for one, _ in first])
        if scores is None:
            return pairs
        order = sorted(range(len(first)), key=lambda number: -scores[number])
        again = [
            (replace(first[number][0], scores={**first[number][0].scores, "rerank": scores[number]}), first[number][1]) for number in order
        ]
        return again + pairs[RERANKED:]

    def observe(self, text: str, language: str) -> Observed | None:
        """What ``search`` ranks, before it is weighted: for fitting weights. None if there is nothing to look up or nothing is found."""
        looked_up = self._look_up(text, language)
        if looked_up is None:
            return None
        terms, candidates = looked_up
        articles = self._articles
        best = {
            article_id: scores
            for article_id, scores in sorted(best_scores(candidates, FIELDS).items())
            if (article_id, language) in articles
        }
        overlaps = {article_id: self._overlap(terms, article_id, language) for article_id in best}
        return Observed(scores=best, overlaps=overlaps) if best else None

    def article(self, article_id: str, language: str) -> Article:
        """The published version. Raises NotFound."""
        found = self._articles.get((article_id, language))
        if found is None:
            raise NotFound(f"There is no published article {article_id!r} in {language}; look it up in the knowledge base.")
        return found

    def _look_up(self, text: str, language: str, scope: Scope = EVERYTHING) -> tuple[Terms, Candidates] | None:
        """The terms of a spoken text and what every ranker finds for it; None if the text says nothing.

        Where words of the articles sound like what was written, both are looked for: their terms, and the mean of their vectors.
        """
        core = spoken_core(text, language)
        terms = analyse(core, language)
        if not terms.words and not terms.bigrams:
            return None
        vector = self._embedder.embed([core], "query")[0]
        meant = self._words.mend(core) if language == "zh" and self._ranking.of(language).mend else core
        if meant != core:
            terms = terms.joined(analyse(meant, language))
            vector = vector + self._embedder.embed([meant], "query")[0]
            vector = vector / np.linalg.norm(vector)
        return terms, self._engine.candidates(language, terms, vector, CANDIDATES, scope)

    def _overlap(self, terms: Terms, article_id: str, language: str) -> float:
        """The share of the query's sounds (zh) or words (en) that the article has."""
        wanted = _features(terms, language)
        return len(wanted & self._known_terms(article_id, language)) / len(wanted) if wanted else 0.0

    def _known_terms(self, article_id: str, language: str) -> frozenset[str]:
        key = (article_id, language)
        known = self._vocabulary.get(key)
        if known is None:
            article = self._articles[key]
            texts = [entry.lexical for entry in entries(article)]
            known = frozenset[str]().union(
                *(sound_terms(text) if language == "zh" else _features(analyse(text, language), language) for text in texts)
            )
            self._vocabulary[key] = known
        return known


def _features(terms: Terms, language: str) -> frozenset[str]:
    return (
        frozenset(terms.pinyin) | frozenset(word for word in terms.words if word.isascii()) if language == "zh" else frozenset(terms.words)
    )


def _usable(article: Article | None, day: date | None) -> bool:
    if article is None:
        return False
    return article.state == "published" if day is None else article.valid_on(day)


def _boost(article: Article, query: Query) -> float:
    boost = PRIOR.boost * _likely(article, query.intents or {})
    return boost + (PRODUCT_BOOST if set(query.products) & set(article.products) else 0.0)


def _likely(article: Article, intents: Mapping[str, float]) -> float:
    return intents.get(article.intent, 0.0) if article.intent else 0.0
