"""Knowledge and understanding ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Literal, Protocol

from copilot.domain.intents import IntentPrediction
from copilot.domain.knowledge import Article, Hit, Query
from copilot.domain.moods import MoodReading

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Embedder(Protocol):
    """Text → unit vectors. Thread-safe. ``identity`` names the model and its bytes; an index built with another one is refused."""

    @property
    def identity(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> npt.NDArray[np.float32]:
        """``[len(texts), dimension]``, rows of length 1."""
        ...


class KnowledgeSearch(Protocol):
    """The knowledge base of one organisation. Synchronous (tens of ms): call it from a worker thread. Thread-safe."""

    def search(self, query: Query) -> tuple[Hit, ...]:
        """Articles, best first, at most ``query.top_k``; each article once, by its best passage. Only what is valid on ``query.day``."""
        ...

    def article(self, article_id: str, language: str) -> Article:
        """The published version. Raises NotFound."""
        ...


class IntentClassifier(Protocol):
    """What the customer wants. Synchronous and thread-safe."""

    def classify(self, text: str, language: str, context: Sequence[str] = ()) -> IntentPrediction:
        """``context``: earlier customer utterances, oldest first."""
        ...


class MoodClassifier(Protocol):
    """How a customer's turn reads. Synchronous and thread-safe."""

    def read(self, text: str, language: str) -> MoodReading:
        """The mood by the words alone."""
        ...


class ArticleStore(Protocol):
    """Articles as stored, the truth from which an index can be rebuilt at any time."""

    def upsert(self, articles: Sequence[Article]) -> int:
        """Stores versions whose content changed (a new version number each); how many changed."""
        ...

    def today(self) -> date:
        """The calendar day that decides about validity."""
        ...

    def changes(self, articles: Sequence[Article]) -> int:
        """How many ``upsert`` would store."""
        ...

    def published(self, day: date | None = None, held: Mapping[tuple[str, str], Article] | None = None) -> Sequence[Article]:
        """The version of every article that is in force on ``day`` (None: today); what has ended among them, by ``valid_to``.

        ``held``: (id, language) → article of an earlier answer; what has not changed is given back as the same object.
        """
        ...

    def in_force(self, keys: Iterable[tuple[str, str]], day: date | None = None) -> Mapping[tuple[str, str], int]:
        """Of these (article id, language): the version that may be quoted on ``day``. One without any is left out."""
        ...

    def watermark(self) -> int:
        """Grows with every change; the index keeps the watermark it was built to."""
        ...

    def put_pack(self, name: str, language: str, body: str) -> bool:
        """Stores a configuration file (``intents``, ``taxonomy``, ``rubric``, ``sop``, ``compliance``, ``lexicon``) as versioned YAML.

        It is in force at once. True if it changed.
        """
        ...

    def pack(self, name: str) -> tuple[int, str] | None:
        """(version, YAML text) of the pack in force, None if there never was one."""
        ...
