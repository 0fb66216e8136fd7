"""An ArticleStore in memory, with the contract's meaning: versions count, the watermark grows with every change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from copilot.domain.knowledge import Article


class MemoryArticles:
    def __init__(self) -> None:
        self._articles: dict[tuple[str, str], Article] = {}
        self._packs: dict[str, tuple[int, str]] = {}
        self._watermark = 0

    def upsert(self, articles: Sequence[Article]) -> int:
        changed = 0
        for article in articles:
            key = (article.article_id, article.language)
            known = self._articles.get(key)
            if known is not None and replace(known, version=1) == replace(article, version=1):
                continue
            self._articles[key] = replace(article, version=known.version + 1 if known else 1)
            changed += 1
        self._watermark += changed
        return changed

    def today(self) -> date:
        return date(2026, 3, 1)

    def changes(self, articles: Sequence[Article]) -> int:
        known = {key: replace(article, version=1) for key, article in self._articles.items()}
        return sum(known.get((article.article_id, article.language)) != replace(article, version=1) for article in articles)

    def published(self, day: date | None = None, held: Mapping[tuple[str, str], Article] | None = None) -> Sequence[Article]:
        found = [article for article in self._articles.values() if article.state == "published"]
        kept = [(held or {}).get((article.article_id, article.language)) for article in found]
        return [old if old is not None and old.version == new.version else new for old, new in zip(kept, found, strict=True)]

    def in_force(self, keys: Iterable[tuple[str, str]], day: date | None = None) -> Mapping[tuple[str, str], int]:
        found = {key: self._articles[key] for key in keys if key in self._articles}
        return {key: article.version for key, article in found.items() if article.valid_on(day or self.today())}

    def watermark(self) -> int:
        return self._watermark

    def put_pack(self, name: str, language: str, body: str) -> bool:
        version, known = self._packs.get(name, (0, ""))
        if known == body:
            return False
        self._packs[name] = (version + 1, body)
        return True

    def pack(self, name: str) -> tuple[int, str] | None:
        return self._packs.get(name)
