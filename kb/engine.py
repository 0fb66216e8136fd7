"""What an index engine offers: candidates per ranker. Fusion, filters and confidence are ours, the same for every engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from copilot.domain.knowledge import EVERYTHING, Article, Passage, Scope
from kb.analysis import Terms

Vector = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Told (done, total) in passages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Per ranker (``dense``, ``words``, ``bigrams``, ``pinyin``): passage id → score. ``passages`` holds every passage named."""

    scores: Mapping[str, Mapping[str, float]]
    passages: Mapping[str, Passage]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """What is in an index. ``stale``: why it must be rebuilt before it may be searched (another model, another analysis); or empty."""

    watermark: int
    articles: int
    passages: int
    embedder: str
    stale: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a synchronisation did, in articles (one in two languages counts twice). ``rebuilt``: why all was built anew, or empty.

    ``passages``: how many the index holds now; ``written``: how many of them were analysed, embedded and written by this run.
    """

    added: int = 0
    removed: int = 0
    unchanged: int = 0
    rebuilt: str = ""
    passages: int = 0
    written: int = 0


class SearchEngine(Protocol):
    """An index of passages. Thread-safe; one writer at a time."""

    def own(self) -> None:
        """This process is the index's writer until ``close``, where an index belongs to one process. Raises Conflict naming the other."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Holds every other writer off; may be nested. What is read from the store inside is what the index will hold. Raises Conflict."""
        ...

    def state(self) -> IndexState: ...

    def contents(self) -> Mapping[str, str]:
        """``article_id:language`` → content hash of every article in the index; for checking it against the store."""
        ...

    def sync(self, articles: Sequence[Article], watermark: int, progress: Progress | None = None, *, rebuild: bool = False) -> SyncReport:
        """Makes the index hold exactly these articles: only what changed, or everything if the index is stale or ``rebuild``.

        Searches see the old content until it is complete, then the new. Raises Conflict when another process is writing.
        """
        ...

    def candidates(self, language: str, terms: Terms, vector: Vector, limit: int, scope: Scope = EVERYTHING) -> Candidates:
        """Up to ``limit`` passages in scope per ranker. Raises EngineError if the index is stale or cannot be reached."""
        ...

    def close(self) -> None: ...
