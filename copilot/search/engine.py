"""What an index of calls is asked and given, whatever engine keeps it. One contract suite runs against all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

from copilot.search.terms import Phrase, Terms

FACETS = ("team", "agent", "ticket", "intent", "score", "risk", "state", "protocol", "direction", "language")
"""``ticket`` has two values of a call: its first level, and ``/`` with its second; ``intent`` has all of them."""

MOST_VALUES = 1000
"""So many values of a facet are counted, the most frequent ones."""

Vector = npt.NDArray[np.float32]
Chosen = Mapping[str, tuple[str, ...]]
"""Facet → values of which one must fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A call as the index holds it. ``revision`` changes with the call; ``about`` names the text that ``vector`` is of, "" for none."""

    call_id: str
    revision: str
    started_ms: int
    facets: Chosen
    terms: Terms
    about: str = ""
    vector: Vector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the index has of a call."""

    revision: str
    about: str
    vector: Vector | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which calls: every group of ``needs`` has a phrase that occurs, none of ``without`` does, and all facets fit.

    ``reach``: what the caller may see, (facet, values) of which one must fit; None: every call. Times in ms since 1970, [since, until).
    ``only``: none but these calls.
    """

    needs: tuple[tuple[Phrase, ...], ...] = ()
    without: tuple[Phrase, ...] = ()
    chosen: Chosen = field(default_factory=dict)
    reach: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    only: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """``calls``: (call id, when it began in ms), newest first. ``total``: all that fit, whatever was asked for of them."""

    calls: tuple[tuple[str, int], ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far the store was followed: the change (time, call) that was written last."""

    at: datetime
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """``mark`` None: nothing was followed yet. ``stale``: why the index must be built anew before it is searched; "" if it need not."""

    mark: Mark | None
    calls: int
    stale: str = ""


class IndexWriter(Protocol):
    """Takes documents; a call has one, the newest that was written."""

    def write(self, documents: Sequence[Document], gone: Collection[str], mark: Mark | None) -> None:
        """All of it, or after a crash none of it; then it can be found. ``gone``: calls that must not be found any more.

        After a crash the index may say an older mark than what it holds: what comes again is written again.
        """
        ...


class CallIndex(IndexWriter, Protocol):
    """An index of one organisation's calls. Synchronous and thread-safe; one process writes, any number search."""

    def own(self) -> None:
        """From here on this process is the one that writes. Raises Conflict naming the process that is."""
        ...

    def state(self) -> IndexState: ...

    def held(self, call_ids: Collection[str]) -> Mapping[str, Held]:
        """Those of these calls that the index has."""
        ...

    def call_ids(self) -> Sequence[str]:
        """Of every call in it."""
        ...

    def rebuilding(self) -> AbstractContextManager[IndexWriter]:
        """A new index beside the one in use, which takes its place when the block ends without an exception."""
        ...

    def newest(self, asked: Asked, limit: int, *, until_ms: int | None = None, skip: int = 0) -> Found:
        """Of the calls that fit, the newest ``limit`` that began at or before ``until_ms``, after the first ``skip`` of those.

        Raises EngineError when the index is stale or not there yet.
        """
        ...

    def counts(self, asked: Asked, facets: Sequence[str]) -> dict[str, dict[str, int]]:
        """Facet → value → calls that fit, whatever is chosen of that facet itself. Raises as ``newest``."""
        ...

    def nearest(self, vector: Vector, asked: Asked, limit: int) -> dict[str, float]:
        """Cosine of the calls whose text is nearest among those that fit, best first. Raises as ``newest``."""
        ...

    def matching(self, field: str, terms: Sequence[str], asked: Asked, limit: int) -> dict[str, float]:
        """BM25 of the calls that fit and share a term of ``text`` or ``sounds``, best first. Raises as ``newest``."""
        ...

    def close(self) -> None: ...
