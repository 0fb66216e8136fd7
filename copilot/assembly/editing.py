"""What the knowledge console works with: drafts and lists in the store, the machine's checks, and how articles are used in calls."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from copilot.assembly.interrupted import read_events
from copilot.domain.article_checks import Finding
from copilot.domain.ids import OrgId, UserId
from copilot.domain.knowledge import Article, Passage, Query
from copilot.domain.knowledge_use import GapReport, UseReport
from copilot.domain.people import Scope

if TYPE_CHECKING:
    from copilot.assembly.organisation import Organisation
    from copilot.store.store import Store
    from kb.article_checks import Neighbour, PromiseRule
    from kb.use import CallDigest

MAX_CALLS = 2000
"""Calls that one report looks at: the newest."""
_PAGE = 200
_NEIGHBOURS = 5
_QUESTIONS = 4
"""Questions of an article, its title first, that are compared with those of another."""


class Editing:
    """Of one organisation. Blocking; thread-safe."""

    def __init__(self, store: Store, organisation: Organisation) -> None:
        org_id = organisation.org_id
        self.desk = store.article_desk(org_id)
        self.listing = store.article_list(org_id)
        self._store = store
        self._org_id: OrgId = org_id
        self._organisation = organisation
        self._digests: OrderedDict[tuple[str, int], CallDigest] = OrderedDict()
        self._lock = threading.Lock()

    # -- checks ------------------------------------------------------------------------------------------------------------------------

    def findings(self, article: Article) -> tuple[Finding, ...]:
        """What the machine finds in a text, saved or not."""
        from kb.article_checks import check

        day = self._organisation.articles.today()
        return check(article, self._promises(article.language), self._neighbours(article), day)

    def passages(self, article: Article) -> tuple[Passage, ...]:
        """What the index would hold of it."""
        from kb.chunking import passages

        return passages(article)

    def weights(self, language: str) -> Mapping[str, float]:
        """Field → weight in the fused score."""
        return self._organisation.knowledge.ranking.of(language).weights

    def _promises(self, language: str) -> list[PromiseRule]:
        from kb.article_checks import PromiseRule

        return [
            PromiseRule(
                rule_id=rule.rule_id,
                name=rule.name.get(language, rule.rule_id),
                advice=rule.advice.get(language, ""),
                patterns=rule.patterns.get(language, ()),
                secret=rule.kind == "sensitive_request",
            )
            for rule in self._organisation.rules().compliance
            if rule.kind in ("forbidden", "sensitive_request") and rule.channel in ("agent", "any")
        ]

    def _neighbours(self, article: Article) -> list[Neighbour]:
        """Articles in force that its title or a question finds, each with the nearest pair of questions."""
        from kb.article_checks import Neighbour

        mine = [text for text in (article.title, *article.questions) if text.strip()][:_QUESTIONS]
        day = self._organisation.articles.today()
        knowledge = self._organisation.knowledge
        found: dict[str, Article] = {}
        for text in mine:
            query = Query(text=text, language=article.language, day=day, top_k=_NEIGHBOURS)
            found.update({hit.article.article_id: hit.article for hit in knowledge.search(query)})
        found.pop(article.article_id, None)
        if not found:
            return []
        theirs = [(other, text) for other in found.values() for text in (other.title, *other.questions)[:_QUESTIONS]]
        embed = self._organisation.embed
        near = embed(mine, "query") @ embed([text for _, text in theirs], "query").T
        pairs = []
        for other in found.values():
            columns = [index for index, (owner, _) in enumerate(theirs) if owner is other]
            cosines = near[:, columns]
            row, column = divmod(int(cosines.argmax()), len(columns))
            question = theirs[columns[column]][1]
            pairs.append(Neighbour(article=other, mine=mine[row], question=question, nearness=float(cosines[row, column])))
        return pairs

    # -- use ---------------------------------------------------------------------------------------------------------------------------

    def use(self, days: int) -> UseReport:
        """How often each article was offered, used, edited, rejected and said in the calls of the last ``days`` days."""
        from kb.use import uses

        digests, capped = self._ended(days)
        articles, by_day = uses(digests)
        return UseReport(days=days, calls=len(digests), capped=capped, articles=articles, by_day=by_day)

    def gaps(self, days: int) -> GapReport:
        """What customers asked that nothing answered, alike questions together. Examples are masked turns."""
        from kb.use import gaps

        digests, capped = self._ended(days)
        return GapReport(days=days, calls=len(digests), capped=capped, gaps=gaps(digests))

    def _ended(self, days: int) -> tuple[list[CallDigest], bool]:
        """Digests of the newest ended calls, and whether there were more than are looked at."""
        scope = Scope(org_id=self._org_id, user_id=UserId("knowledge"), roles=frozenset({"ops_admin"}))
        since = self._organisation.now() - timedelta(days=days)
        found: list[CallDigest] = []
        before = None
        while len(found) < MAX_CALLS:
            calls = self._store.calls.calls(scope, limit=_PAGE, before=before, phase="ended")
            readable = self._store.calls.readable(self._org_id, [call.call_id for call in calls])
            for call in calls:
                if call.started_at is None or call.started_at < since:
                    return found, False
                if call.call_id not in readable:
                    continue  # erased: what was read of it before is not shown any more either
                found.append(self._digest(call.call_id, call.last_seq, call.language, call.started_at.astimezone().date()))
            if len(calls) < _PAGE:
                return found, False
            last = calls[-1]
            assert last.started_at is not None
            before = (last.started_at, last.call_id)
        return found, True

    def _digest(self, call_id: str, last_seq: int, language: str, day: object) -> CallDigest:
        """Read once: an ended call says the same again until something is added to it."""
        from kb.use import digest

        key = (call_id, last_seq)
        with self._lock:
            if key in self._digests:
                return self._digests[key]
        events = [envelope.event for envelope in read_events(self._store, self._org_id, call_id)]  # type: ignore[arg-type]
        made = digest(call_id, language, day, events)  # type: ignore[arg-type]
        with self._lock:
            self._digests[key] = made
            while len(self._digests) > MAX_CALLS:
                self._digests.popitem(last=False)
        return made
