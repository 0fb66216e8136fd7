"""The index follows the store: every change of a call marks its row (``changed_at``), and whoever follows the marks finds it.

Everything may be done twice with one effect, so that a crash anywhere costs only what is done again: a call that the index holds as it is
now is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from copilot.domain.clock import Clock
from copilot.domain.ids import CallId, OrgId
from copilot.domain.ports.knowledge import Embedder
from copilot.search.documents import document, revision
from copilot.search.engine import CallIndex, Document, IndexWriter, Mark
from copilot.search.terms import Blinder
from copilot.store.call_texts import CallText, SqlCallTexts
from copilot.store.facts import CallFacts

SETTLE = timedelta(seconds=2)
"""A call is left alone so long after its last change: its artifacts come one by one in the seconds after it ended."""

OVERLAP = timedelta(seconds=60)
"""Clocks of other nodes may be behind by so much: what was seen last is looked at again."""

BATCH = 200
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
Progress = Callable[[int], None]
"""Told how many calls were looked at."""


class Changes(Protocol):
    """``copilot.store.facts.SqlFacts``."""

    def changed(self, org_id: OrgId, since: datetime | None, after: str = "", limit: int = 500) -> list[CallFacts]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How many documents were written, and how many were taken out."""

    written: int = 0
    removed: int = 0

    def plus(self, other: Followed) -> Followed:
        return Followed(written=self.written + other.written, removed=self.removed + other.removed)


class Follower:
    """Brings the index of one organisation to what the store holds. Synchronous; one at a time in a process."""

    def __init__(
        self, *, org_id: OrgId, changes: Changes, texts: SqlCallTexts, index: CallIndex, embedder: Embedder, blinder: Blinder, clock: Clock
    ) -> None:
        self._org_id = org_id
        self._changes = changes
        self._texts = texts
        self._index = index
        self._embedder = embedder
        self._blind = blinder
        self._clock = clock

    def follow(self, *, after_batch: Callable[[], None] = lambda: None) -> Followed:
        """What has changed since the last time; a stale index is rebuilt. ``after_batch`` may wait, or raise to stop."""
        if self._index.state().stale:
            return self.rebuild(after_batch=after_batch)
        done = Followed()
        for page in self._pages(self._index.state().mark):
            done = done.plus(self._write(self._index, page))
            after_batch()
        if self._index.state().mark is None:
            self._index.write([], [], None)  # no call yet: there is an index all the same, and nothing is in it
        return done

    def rebuild(self, progress: Progress = lambda _done: None, *, after_batch: Callable[[], None] = lambda: None) -> Followed:
        """The whole index anew, beside the one in use. Vectors that it holds are not made again."""
        done, looked = Followed(), 0
        with self._index.rebuilding() as fresh:
            for page in self._pages(None):
                done = done.plus(self._write(fresh, page, anew=True))
                looked += len(page)
                progress(looked)
                after_batch()
            if not looked:
                fresh.write([], [], None)
        return done

    def differences(self) -> tuple[str, ...]:
        """Calls that the index lacks, has as they were before, or should not have any more."""
        different: list[str] = []
        known = set(self._index.call_ids())
        for page in self._pages(None, settled=False):
            ids = [call.call_id for call in page]
            held, texts = self._index.held(ids), self._texts.read(self._org_id, ids)
            different += [name for name in ids if (held[name].revision if name in held else None) != _revision(texts.get(name))]
            known.difference_update(ids)
        return tuple(sorted({*different, *known}))

    def _pages(self, mark: Mark | None, *, settled: bool = True) -> Iterator[Sequence[CallFacts]]:
        """What changed after the mark, oldest change first, as far as it has settled."""
        since, after = (mark.at - OVERLAP, "") if mark is not None else (_BEGINNING, "")
        until = self._clock.now() - SETTLE if settled else None
        while page := self._changes.changed(self._org_id, since, after, BATCH):
            ready = [call for call in page if until is None or (call.changed_at is not None and call.changed_at <= until)]
            if ready:
                yield ready
            if len(ready) < len(page):
                return
            since, after = page[-1].changed_at or since, page[-1].call_id

    def _write(self, into: IndexWriter, page: Sequence[CallFacts], *, anew: bool = False) -> Followed:
        ended = [call.call_id for call in page if call.phase == "ended"]
        held = self._index.held(ended)
        fresh = [
            call
            for call in page
            if call.phase == "ended"
            and (
                anew or call.call_id not in held or held[call.call_id].revision != (call.changed_at.isoformat() if call.changed_at else "")
            )
        ]
        wanted: list[CallId] = [call.call_id for call in fresh]
        texts = self._texts.read(self._org_id, wanted)
        made = [document(texts[name], self._blind, held.get(name)) for name in wanted if name in texts]
        gone = [name for name in wanted if name not in texts and (name in held or anew)]
        last = page[-1]
        into.write(self._embedded(made), gone, Mark(at=last.changed_at or _BEGINNING, call_id=last.call_id))
        return Followed(written=len(made), removed=len(gone))

    def _embedded(self, made: Sequence[tuple[Document, str]]) -> list[Document]:
        lacking = [text for _, text in made if text]
        vectors = iter(self._embedder.embed(lacking, "passage")) if lacking else iter(())
        return [replace(one, vector=next(vectors)) if text else one for one, text in made]


def _revision(call: CallText | None) -> str | None:
    return revision(call) if call is not None else None
