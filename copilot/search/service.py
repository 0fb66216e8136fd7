"""Search over the calls of one organisation: what a person may find, with the words marked, and facets with their counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from copilot.domain.artifacts import Summary
from copilot.domain.events import UtteranceFinal
from copilot.domain.ids import ArticleId, CallId, OrgId, PassageId
from copilot.domain.knowledge import Passage
from copilot.domain.people import Scope
from copilot.domain.ports.knowledge import Embedder
from copilot.search.engine import FACETS, Asked, CallIndex, Chosen, IndexState
from copilot.search.highlight import Line, Snippet, snippets
from copilot.search.terms import Blinder, Terms, Word, wanted
from copilot.store.call_list import ListedCall, SqlCallList
from copilot.store.call_texts import SqlCallTexts
from kb.engine import Candidates
from kb.fusion import DEFAULT_WEIGHTS, fuse

Mode = Literal["words", "sound", "meaning"]
MOST_ALIKE = 100
"""So many calls of like meaning are found at most: behind them the order says nothing."""

_CANDIDATES = 200
_EXPORT_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Behind the calls shown so far. ``skip``: those of them that began at ``until_ms``; in a search by meaning, all of them."""

    until_ms: int = 0
    skip: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """``words``: every word is there; ``sound``: or sounds like it; ``meaning``: what the calls were about is like ``text``, nearest first.

    Without ``text`` every call that fits the facets is found. Times in ms since 1970, [since, until).
    """

    text: str = ""
    mode: Mode = "words"
    chosen: Chosen = field(default_factory=dict)
    since_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCall:
    """``nearness``: fused score of a search by meaning, for comparing within one answer; None otherwise."""

    listed: ListedCall
    snippets: tuple[Snippet, ...]
    nearness: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A page of calls. ``facets`` has what was asked for: facet → value → calls."""

    calls: tuple[FoundCall, ...]
    total: int
    facets: Mapping[str, Mapping[str, int]]
    next: Place | None


class CallSearch:
    """Synchronous (tens of ms; the embedding of a query by meaning takes most) and thread-safe."""

    def __init__(
        self, *, org_id: OrgId, index: CallIndex, embedder: Embedder, blinder: Blinder, call_list: SqlCallList, texts: SqlCallTexts
    ) -> None:
        self._org_id = org_id
        self._index = index
        self._embedder = embedder
        self._blind = blinder
        self._call_list = call_list
        self._texts = texts
        self.catching_up = False
        """Whether calls may be missing because the index has not followed the store to its end yet; who lets it follow says so."""

    def state(self) -> IndexState:
        return self._index.state()

    def search(
        self, scope: Scope, search: Search, *, place: Place | None = None, limit: int = 20, facets: bool = True, lines: bool = True
    ) -> Answer:
        """A page, with counts and with the lines that were found unless they are not wanted. Raises EngineError while there is no index."""
        if search.mode == "meaning" and search.text.strip():
            return self._by_meaning(scope, search, place or Place(), limit, facets, lines)
        return self._by_words(scope, search, place, limit, facets, lines)

    def every(self, scope: Scope, search: Search, most: int) -> Iterator[ListedCall]:
        """All calls that are found, ``most`` at most, in the order of ``search``: for exports."""
        place: Place | None = None
        left = most
        while left > 0:
            answer = self.search(scope, search, place=place, limit=min(_EXPORT_PAGE, left), facets=False, lines=False)
            yield from (found.listed for found in answer.calls)
            left -= len(answer.calls)
            if answer.next is None:
                return
            place = answer.next

    def _by_words(self, scope: Scope, search: Search, place: Place | None, limit: int, facets: bool, lines: bool) -> Answer:
        query, by_sound = wanted(search.text), search.mode == "sound"
        asked = replace(
            _asked(scope, search),
            needs=tuple(self._blind.phrases(word, by_sound) for word in query.words),
            without=tuple(phrase for word in query.without for phrase in self._blind.phrases(word, by_sound)),
        )
        if search.text.strip() and not query.words:
            return Answer(calls=(), total=0, facets={name: {} for name in FACETS} if facets else {}, next=None)
        until, skip = (place.until_ms, place.skip) if place is not None else (None, 0)
        found = self._index.newest(asked, limit + 1, until_ms=until, skip=skip)
        page = found.calls[:limit]
        following = None
        if len(found.calls) > limit:
            last = page[-1][1]
            shown = sum(1 for _, at in page if at == last) + (skip if until == last else 0)
            following = Place(until_ms=last, skip=shown)
        counted = self._index.counts(asked, FACETS) if facets else {}
        shown_lines = lines and bool(query.words)
        calls = self._shown(scope, [(name, None) for name, _ in page], query.words, by_sound=by_sound, lines=shown_lines)
        return Answer(calls=calls, total=found.total, facets=counted, next=following)

    def _by_meaning(self, scope: Scope, search: Search, place: Place, limit: int, facets: bool, lines: bool) -> Answer:
        asked = _asked(scope, search)
        vector = self._embedder.embed([search.text], "query")[0]
        terms = self._blind.terms([search.text])
        found = {
            "dense": self._index.nearest(vector, asked, _CANDIDATES),
            "bigrams": self._index.matching("text", _distinct(terms, "text"), asked, _CANDIDATES),
            "pinyin": self._index.matching("sounds", _distinct(terms, "sounds"), asked, _CANDIDATES),
        }
        # A call takes the place of an article with one passage: the ranking is the knowledge base's own.
        passages = {name: _passage(name) for scores in found.values() for name in scores}
        fused = fuse(Candidates(scores=found, passages=passages), DEFAULT_WEIGHTS)[:MOST_ALIKE]
        ranked: list[tuple[str, float | None]] = [(str(one.article_id), one.score) for one in fused]
        page = ranked[place.skip : place.skip + limit]
        following = Place(skip=place.skip + limit) if len(ranked) > place.skip + limit else None
        only = replace(asked, only=tuple(name for name, _ in ranked))
        counted = self._index.counts(only, FACETS) if facets else {}
        calls = self._shown(scope, page, wanted(search.text).words, by_sound=False, lines=lines)
        return Answer(calls=calls, total=len(ranked), facets=counted, next=following)

    def _shown(
        self, scope: Scope, page: Sequence[tuple[str, float | None]], words: Sequence[Word], *, by_sound: bool, lines: bool
    ) -> tuple[FoundCall, ...]:
        """The calls of a page as the store has them now, within the scope."""
        rows = self._call_list.visible(scope, [CallId(name) for name, _ in page])
        if not lines:
            return tuple(FoundCall(listed=rows[name], snippets=(), nearness=nearness) for name, nearness in page if name in rows)
        said = self._texts.utterances(self._org_id, [CallId(name) for name in rows])
        made = self._texts.summaries(self._org_id, [CallId(name) for name in rows])
        calls = []
        for name, nearness in page:
            if name not in rows or name not in said:  # erased a moment ago: nothing is left that could be shown
                continue
            summary = made.get(CallId(name))
            gist = _summarised(summary.body) if summary is not None else ()
            shown = snippets([*_said(said[CallId(name)]), *gist], words, by_sound)
            if nearness is not None:
                # What the call was about says why it is here, also where none of the words was used.
                shown = shown or tuple(Snippet(line=line, text=line.text, marks=()) for line in gist[:1])
            calls.append(FoundCall(listed=rows[name], snippets=shown, nearness=round(nearness, 4) if nearness is not None else None))
        return tuple(calls)


def _asked(scope: Scope, search: Search) -> Asked:
    """The facets and times, within what the scope reaches (as ``copilot.store.calls.reaches``)."""
    own: tuple[str, tuple[str, ...]] = ("agent", (scope.user_id,))
    reach: tuple[tuple[str, tuple[str, ...]], ...] | None
    if scope.sees_all_calls:
        reach = None
    elif scope.sees_team_calls:
        reach = (own, ("team", tuple(sorted(scope.team_ids))))
    else:
        reach = (own,)
    chosen = {facet: values for facet, values in search.chosen.items() if values}
    return Asked(chosen=chosen, reach=reach, since_ms=search.since_ms, until_ms=search.until_ms)


def _distinct(terms: Terms, name: Literal["text", "sounds"]) -> Sequence[str]:
    return [term for term in dict.fromkeys(getattr(terms, name)) if term != "."]


def _passage(call_id: str) -> Passage:
    return Passage(passage_id=PassageId(call_id), article_id=ArticleId(call_id), version=1, language="", kind="body", section="", text="")


def _said(utterances: Sequence[UtteranceFinal]) -> list[Line]:
    return [Line(utterance_id=one.utterance_id, channel=one.channel, start_ms=one.start_ms, text=one.text) for one in utterances]


def _summarised(body: object) -> tuple[Line, ...]:
    if not isinstance(body, Summary):
        return ()
    statements = [*body.problems, *body.actions, *body.commitments, *body.follow_ups]
    lines = [
        Line(utterance_id=one.utterance_ids[0] if one.utterance_ids else "", channel="", start_ms=0, text=one.text) for one in statements
    ]
    return (*lines, Line(utterance_id="", channel="", start_ms=0, text=body.overall))
