"""Analytics in a server: digests of finished calls as they come, figures of their days, clusters once a day, and reports on a schedule."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

import structlog

from copilot.assembly import rounds
from copilot.assembly.interrupted import read_events
from copilot.domain.errors import InvalidInput
from copilot.domain.ids import CallId, OrgId
from copilot.domain.insights import Cluster, DigestedCall
from copilot.review.policy import ReviewPolicy
from copilot.review.rounds import OVERLAP, risk_of_call
from copilot.store.facts import HIGH_RISK, CallFacts
from copilot.store.insights import StoredCluster, channel_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from copilot.domain.clock import Clock
    from copilot.store.store import Store
    from postcall.analytics.clusters import Clustering
    from postcall.analytics.digest import Digested
    from postcall.analytics.leads import LeadRules

log = structlog.get_logger(__name__)
ROUND_S = 60.0
CLUSTERED_DAYS = 56
"""Calls of so many days are put into clusters again when those are made anew."""
CLUSTER_EVERY = timedelta(hours=24)
_PAGE = 100
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_MARK = "insights"
_PAUSE_S = 0.05
"""Between two pages: live calls share this process."""
LANGUAGES = ("zh", "en")


class InsightRounds:
    """``run`` does one round for one organisation; every step may be done twice with one effect. Synchronous; one at a time.

    ``pause``: how the time between two pages passes.
    """

    def __init__(
        self,
        store: Store,
        policies: Callable[[OrgId], ReviewPolicy],
        embed: Callable[[Sequence[str]], npt.NDArray[np.float32]],
        clock: Clock,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._policies = policies
        self._embed = embed
        self._clock = clock
        self._pause = pause
        self._rules: tuple[int, LeadRules] | None = None
        self._read: dict[CallId, datetime | None] = {}

    def run(self, org_id: OrgId) -> int:
        """How many calls were digested."""
        policy = self._policies(org_id)
        groups = self._clusterings(org_id)
        seen = self._store.facts.mark(org_id, _MARK)
        since, after = (seen[0] - OVERLAP, "") if seen is not None else (_NEVER, "")
        done = 0
        while page := self._store.facts.changed(org_id, since, after, _PAGE):
            # The overlap brings again what the last round has read: only what has changed since is worth reading.
            fresh = [call for call in page if self._read.get(call.call_id, _NEVER) != call.changed_at]
            made = self._digest(org_id, policy, groups, [call for call in fresh if call.phase == "ended"])
            stale = self._store.insights.days_of(org_id, [call.call_id for call in fresh])
            stale |= {policy.calendar.local_day(call.started_at) for call in fresh if call.started_at is not None}
            self._store.insights.save(org_id, made)
            done += len(made)
            for day in sorted(stale):
                self._store.insights.roll(org_id, day)
            since, after = page[-1].changed_at or since, page[-1].call_id
            self._read |= {call.call_id: call.changed_at for call in fresh}
            self._read = {name: at for name, at in self._read.items() if at is not None and at >= since - 2 * OVERLAP}
            self._store.facts.set_mark(org_id, _MARK, since, after)
            self._pause(_PAUSE_S)
        if self._due(org_id, policy):
            self._regroup(org_id, policy, groups)
        return done

    # digests

    def _digest(self, org_id: OrgId, policy: ReviewPolicy, groups: dict[str, Clustering], calls: Sequence[CallFacts]) -> list[DigestedCall]:
        from postcall.analytics.digest import digested

        readable = self._store.calls.readable(org_id, [call.call_id for call in calls])
        found: list[tuple[CallFacts, Digested]] = []
        for call in calls:
            if call.call_id not in readable or call.started_at is None:
                continue  # erased: the digest went with the key
            bodies = [artifact.body for artifact in self._store.calls.artifacts(org_id, call.call_id)]
            if not bodies:
                continue
            answers: dict[str, str] = {}
            for verdict in self._store.reviews.verdicts(org_id, call.call_id):
                answers |= {item: person for item, (_, person) in verdict.answers.items()}
            events = read_events(self._store, org_id, call.call_id)
            found.append((call, digested(call.call_id, events, bodies, answers, self._lead_rules(org_id))))
        return self._with_vectors(policy, groups, found)

    def _with_vectors(
        self, policy: ReviewPolicy, groups: dict[str, Clustering], found: Sequence[tuple[CallFacts, Digested]]
    ) -> list[DigestedCall]:
        from dataclasses import replace

        from postcall.analytics.clusters import packed

        texts = [made.digest.problem.text for _, made in found if made.digest.problem is not None]
        vectors: list[npt.NDArray[np.float32]] = list(self._embed(texts)) if texts else []
        calls = []
        for call, made in found:
            digest, cluster_id = made.digest, ""
            if digest.problem is not None:
                vector = vectors.pop(0)
                digest = replace(digest, vector=packed(vector))
                group = groups.get(call.language)
                cluster_id = group.assign(vector[None, :])[0] if group is not None else ""
            assert call.started_at is not None
            calls.append(
                DigestedCall(
                    call_id=call.call_id,
                    day=policy.calendar.local_day(call.started_at),
                    started_at=call.started_at,
                    team_id=call.team_id or "",
                    agent_id=call.agent_id or "",
                    language=call.language,
                    channel=channel_of(call.direction, call.protocol),
                    product=call.ticket_level1,
                    topic=call.ticket_level2,
                    cause=made.cause,
                    cluster_id=cluster_id,
                    upset=made.upset or risk_of_call(policy, call) >= HIGH_RISK,
                    digest=digest,
                )
            )
        return calls

    def _lead_rules(self, org_id: OrgId) -> LeadRules:
        from postcall.analytics.leads import PACK, LeadRules, parse_leads

        found = self._store.articles(org_id).pack(PACK)
        if found is None:
            return LeadRules()
        if self._rules is None or self._rules[0] != found[0]:
            try:
                rules = parse_leads(found[1])
            except InvalidInput as error:
                log.warning("leads_pack_unusable", error=str(error))
                rules = LeadRules()
            self._rules = (found[0], rules)
        return self._rules[1]

    # clusters

    def _clusterings(self, org_id: OrgId) -> dict[str, Clustering]:
        import numpy as np

        from postcall.analytics.clusters import Clustering, Found

        means: dict[str, npt.NDArray[np.float32]] = {}
        found: dict[str, list[Found]] = {}
        for stored in self._store.insights.clusters(org_id):
            one, middle = stored.cluster, np.frombuffer(stored.middle, "<f4").astype(np.float32)
            if not one.cluster_id:
                means[one.language] = middle
            else:
                found.setdefault(one.language, []).append(Found(cluster_id=one.cluster_id, terms=one.terms, members=(), middle=middle))
        return {language: Clustering(mean=mean, clusters=tuple(found.get(language, ()))) for language, mean in means.items()}

    def _window(self, policy: ReviewPolicy) -> tuple[date, date]:
        today = policy.calendar.local_day(self._clock.now())
        return today - timedelta(days=CLUSTERED_DAYS - 1), today

    def _due(self, org_id: OrgId, policy: ReviewPolicy) -> bool:
        """Once a day; earlier while the center is new and has twice the calls of the last time."""
        from postcall.analytics.clusters import LEAST_SIZE, MOST_PROBLEMS

        stored = [one.cluster for one in self._store.insights.clusters(org_id) if not one.cluster.cluster_id]
        used = sum(one.size for one in stored)
        at = self._store.insights.clustered_at(org_id)
        if at is not None and self._clock.now() - at >= CLUSTER_EVERY:
            return True
        if used >= MOST_PROBLEMS:
            return False
        first, last = self._window(policy)
        waiting = sum(len(self._store.insights.ids(org_id, language, first, last)) for language in LANGUAGES)
        return waiting >= max(LEAST_SIZE, 2 * used)

    def _regroup(self, org_id: OrgId, policy: ReviewPolicy, earlier: dict[str, Clustering]) -> None:
        from postcall.analytics.clusters import MOST_PROBLEMS, cluster, unpacked

        first, last = self._window(policy)
        for language in LANGUAGES:
            ids = self._store.insights.ids(org_id, language, first, last)
            # Every k-th: an even sample over the days, the same on every node.
            chosen = ids[:: max(1, ceil(len(ids) / MOST_PROBLEMS))]
            sample = [call for call in self._store.insights.some(org_id, chosen) if call.digest.problem is not None and call.digest.vector]
            if not sample:
                continue
            texts = [call.digest.problem.text for call in sample if call.digest.problem is not None]
            made = cluster(unpacked([call.digest.vector for call in sample]), texts, language, earlier.get(language))
            mean = Cluster(cluster_id="", language=language, terms=(), size=len(ids))
            stored = [StoredCluster(cluster=mean, middle=made.mean.astype("<f4").tobytes())]
            for one in made.clusters:
                named = Cluster(cluster_id=one.cluster_id, language=language, terms=one.terms, size=len(one.members))
                stored.append(StoredCluster(cluster=named, middle=one.middle.astype("<f4").tobytes()))
            self._assign(org_id, ids, made)
            self._store.insights.save_clusters(org_id, language, stored)
            log.info("problems_clustered", language=language, calls=len(ids), sample=len(sample), clusters=len(made.clusters))

    def _assign(self, org_id: OrgId, ids: Sequence[CallId], made: Clustering) -> None:
        from postcall.analytics.clusters import unpacked

        for start in range(0, len(ids), _PAGE):
            page = [call for call in self._store.insights.some(org_id, ids[start : start + _PAGE]) if call.digest.vector]
            names = made.assign(unpacked([call.digest.vector for call in page])) if page else []
            changed = {call.call_id: name for call, name in zip(page, names, strict=True) if call.cluster_id != name}
            if changed:
                self._store.insights.regroup(org_id, changed)
            self._pause(_PAUSE_S)


def insights_kept(insight_rounds: InsightRounds, write_due: Callable[[OrgId], int], org_id: OrgId) -> AbstractAsyncContextManager[None]:
    """The rounds of a server beside a block, and the reports that are due after each."""

    def one() -> dict[str, int]:
        return {"calls": insight_rounds.run(org_id), "reports": write_due(org_id)}

    return rounds.running(rounds.keep("insights", one, ROUND_S), "insight-rounds")
