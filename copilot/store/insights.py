"""What finished calls say to analytics: digests with their facts as columns, figures by day, and the clusters of problems.

A digest's texts and its vector are sealed with the call's key and go with it. Beside them stand only ids of the bank's own lists. Keywords
are rolled up by day without their calls; one that is no word of the bank is
kept only when ``LEAST_CALLS_OF_A_TERM`` calls of a day have it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from copilot import codec
from copilot.domain.clock import Clock
from copilot.domain.ids import CallId, OrgId
from copilot.domain.insights import CallDigest, Channel, Cluster, Counted, DigestedCall, InsightFilter, Kind
from copilot.domain.people import Scope
from copilot.store import rows
from copilot.store import tables as t
from copilot.store.database import Database
from copilot.store.keyring import CallCipher, KeyRing, call_context

LEAST_CALLS_OF_A_TERM = 3
_COUNTED: Mapping[Kind, sa.Column[str]] = {
    "topic": t.call_digests.c.topic,
    "cluster": t.call_digests.c.cluster_id,
    "cause": t.call_digests.c.cause,
}
_PLAIN = ("call_id", "day", "started_at", "team_id", "agent_id", "language", "channel", "product", "topic", "cause", "cluster_id")
_CHUNK = 500
Daily = dict[tuple[Kind, str], dict[str, Counted]]
About = Literal["topic", "cluster", "cause", "lead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCluster:
    """``middle``: little-endian 32-bit floats. The one with an empty id is the mean of its language."""

    cluster: Cluster
    middle: bytes


class SqlInsights:
    """Synchronous and thread-safe. What takes a ``Scope`` answers within it; the rest is for the server's rounds."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    # rounds

    def save(self, org_id: OrgId, calls: Sequence[DigestedCall]) -> set[date]:
        """Writes digests in place of earlier ones; the days that they are of. Calls that were erased meanwhile are left out."""
        days: set[date] = set()
        with self._database.write() as connection:
            for call in calls:
                connection.execute(sa.delete(t.call_digests).where(rows.is_call(t.call_digests, org_id, call.call_id)))
                cipher = rows.find_cipher(connection, self._keyring, org_id, call.call_id)
                if cipher is None:
                    continue
                body = codec.dumps(codec.to_json(call.digest)).encode()
                values = {name: getattr(call, name) for name in _PLAIN} | {"day": call.day.isoformat(), "upset": int(call.upset)}
                values |= {"org_id": org_id, "lead": call.digest.leads[0].lead if call.digest.leads else ""}
                connection.execute(sa.insert(t.call_digests).values(**values, ciphertext=cipher.seal(body, rows.place("call_digests"))))
                days.add(call.day)
        return days

    def roll(self, org_id: OrgId, day: date) -> None:
        """Makes the keywords and the answers of a day anew, from its digests."""
        sums: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        said: Counter[str] = Counter()
        known: set[str] = set()
        for call in self.every(org_id, day, day):
            place = (call.team_id, call.agent_id, call.product, call.channel)
            for word in call.digest.terms:
                said[word.term] += 1
                known |= {word.term} if word.known else set()
                sums["term", call.team_id, "", call.product, call.channel, word.term].update(calls=1, hits=int(call.upset))
            for item in call.digest.questions:
                sums["question", *place, item.item_id].update(calls=1, hits=int(not item.passed))
        names = ("dimension", "team_id", "agent_id", "product", "channel", "key")
        made = [
            {**dict(zip(names, key, strict=True)), "org_id": org_id, "day": day.isoformat(), "calls": one["calls"], "hits": one["hits"]}
            for key, one in sums.items()
            if key[0] != "term" or key[-1] in known or said[key[-1]] >= LEAST_CALLS_OF_A_TERM
        ]
        c = t.insight_days.c
        with self._database.write() as connection:
            connection.execute(sa.delete(t.insight_days).where(c.org_id == org_id, c.day == day.isoformat()))
            if made:
                connection.execute(sa.insert(t.insight_days), made)

    def days_of(self, org_id: OrgId, call_ids: Collection[CallId]) -> set[date]:
        """The days of the digests that these calls have."""
        c = t.call_digests.c
        query = sa.select(c.day).distinct().where(c.org_id == org_id, c.call_id.in_(list(call_ids)))
        with self._database.read() as connection:
            return {date.fromisoformat(day) for day in connection.execute(query).scalars()}

    def forget(self, org_id: OrgId, call_ids: Collection[CallId]) -> None:
        c = t.call_digests.c
        with self._database.write() as connection:
            connection.execute(sa.delete(t.call_digests).where(c.org_id == org_id, c.call_id.in_(list(call_ids))))

    def every(self, org_id: OrgId, first: date, last: date) -> Iterator[DigestedCall]:
        """Digests of the days, newest first, read in pages."""
        c = t.call_digests.c
        inside = [c.org_id == org_id, c.day >= first.isoformat(), c.day <= last.isoformat()]
        before: tuple[datetime, str] | None = None
        while True:
            found = self._page(inside, before, _CHUNK)
            yield from found
            if len(found) < _CHUNK:
                return
            before = (found[-1].started_at, found[-1].call_id)

    def ids(self, org_id: OrgId, language: str, first: date, last: date) -> list[CallId]:
        """Of the digests of one language in these days, newest first."""
        c = t.call_digests.c
        query = sa.select(c.call_id).where(
            c.org_id == org_id, c.day >= first.isoformat(), c.day <= last.isoformat(), c.language == language
        )
        with self._database.read() as connection:
            return [CallId(name) for name in connection.execute(query.order_by(c.started_at.desc(), c.call_id)).scalars()]

    def some(self, org_id: OrgId, call_ids: Sequence[CallId]) -> Iterator[DigestedCall]:
        """These digests, opened."""
        c = t.call_digests.c
        for start in range(0, len(call_ids), _CHUNK):
            yield from self._page([c.org_id == org_id, c.call_id.in_(call_ids[start : start + _CHUNK])], None, _CHUNK)

    def regroup(self, org_id: OrgId, ids: Mapping[CallId, str]) -> None:
        """Puts calls into clusters."""
        c = t.call_digests.c
        by_cluster: dict[str, list[str]] = defaultdict(list)
        for call_id, cluster_id in ids.items():
            by_cluster[cluster_id].append(call_id)
        with self._database.write() as connection:
            for cluster_id, calls in by_cluster.items():
                here = sa.and_(c.org_id == org_id, c.call_id.in_(calls))
                connection.execute(sa.update(t.call_digests).where(here).values(cluster_id=cluster_id))

    def clusters(self, org_id: OrgId) -> list[StoredCluster]:
        """By language, the mean and then the largest first."""
        c = t.problem_clusters.c
        query = sa.select(t.problem_clusters).where(c.org_id == org_id).order_by(c.language, c.position)
        with self._database.read() as connection:
            return [_cluster(row) for row in connection.execute(query).mappings()]

    def clustered_at(self, org_id: OrgId) -> datetime | None:
        c = t.problem_clusters.c
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.max(c.made_at)).where(c.org_id == org_id)).scalar()

    def save_clusters(self, org_id: OrgId, language: str, made: Sequence[StoredCluster]) -> None:
        """In place of the earlier ones of the language, in this order."""
        c, now = t.problem_clusters.c, self._clock.now()
        values = [
            {
                "org_id": org_id, "language": language, "cluster_id": one.cluster.cluster_id, "position": position,
                "terms": list(one.cluster.terms), "size": one.cluster.size, "middle": one.middle, "made_at": now,
            }
            for position, one in enumerate(made)
        ]  # fmt: skip
        with self._database.write() as connection:
            connection.execute(sa.delete(t.problem_clusters).where(c.org_id == org_id, c.language == language))
            if values:
                connection.execute(sa.insert(t.problem_clusters), values)

    # figures

    def totals(self, scope: Scope, chosen: InsightFilter) -> dict[str, Counted]:
        """Day → its calls, of the days that had any."""
        c = t.call_digests.c
        query = sa.select(c.day, sa.func.count(), sa.func.sum(c.upset)).where(*_inside(scope, chosen, c)).group_by(c.day)
        with self._database.read() as connection:
            return {day: Counted(calls=int(n), upset=int(upset)) for day, n, upset in connection.execute(query)}

    def daily(self, scope: Scope, chosen: InsightFilter) -> Daily:
        """Topics, clusters, causes and keywords → day → calls, upset ones."""
        found: Daily = {}
        days, c = t.insight_days.c, t.call_digests.c
        queries: list[tuple[Kind, sa.Select[Any]]] = [
            (
                kind,
                sa.select(column, c.day, sa.func.count(), sa.func.sum(c.upset))
                .where(*_inside(scope, chosen, c), column != "")
                .group_by(column, c.day),
            )
            for kind, column in _COUNTED.items()
        ]
        terms = sa.select(days.key, days.day, sa.func.sum(days.calls), sa.func.sum(days.hits))
        queries.append(("term", terms.where(*_inside(scope, chosen, days), days.dimension == "term").group_by(days.key, days.day)))
        with self._database.read() as connection:
            for kind, query in queries:
                for key, day, n, upset in connection.execute(query):
                    found.setdefault((kind, key), {})[day] = Counted(calls=int(n), upset=int(upset))
        return found

    def leads(self, scope: Scope, chosen: InsightFilter) -> dict[str, int]:
        """Lead → calls."""
        c = t.call_digests.c
        query = sa.select(c.lead, sa.func.count()).where(*_inside(scope, chosen, c), c.lead != "").group_by(c.lead)
        with self._database.read() as connection:
            return {lead: int(n) for lead, n in connection.execute(query)}

    def answers(self, scope: Scope, chosen: InsightFilter) -> dict[tuple[str, str], tuple[int, int]]:
        """(agent, question) → (asked, failed) in calls of known agents."""
        c = t.insight_days.c
        query = sa.select(c.agent_id, c.key, sa.func.sum(c.calls), sa.func.sum(c.hits))
        query = query.where(*_inside(scope, chosen, c), c.dimension == "question", c.agent_id != "").group_by(c.agent_id, c.key)
        with self._database.read() as connection:
            return {(agent, item): (int(n), int(failed)) for agent, item, n, failed in connection.execute(query)}

    def facets(self, scope: Scope, chosen: InsightFilter) -> dict[str, list[tuple[str, int]]]:
        """``product`` and ``team_id`` → values with their calls, most first."""
        c = t.call_digests.c
        found = {}
        with self._database.read() as connection:
            for column in (c.product, c.team_id):
                query = sa.select(column, sa.func.count()).where(*_inside(scope, chosen, c), column != "").group_by(column)
                counts = [(str(key), int(n)) for key, n in connection.execute(query)]
                found[column.name] = sorted(counts, key=lambda item: (-item[1], item[0]))
        return found

    def newest(
        self, scope: Scope, chosen: InsightFilter, limit: int, *, about: tuple[About, str] | None = None, agent_id: str | None = None
    ) -> list[DigestedCall]:
        """The newest calls of the window, opened; of a topic, cluster, cause or lead, or of an agent."""
        c = t.call_digests.c
        inside = _inside(scope, chosen, c)
        if about is not None:
            inside.append(c["cluster_id" if about[0] == "cluster" else about[0]] == about[1])
        if agent_id is not None:
            inside.append(c.agent_id == agent_id)
        return self._page(inside, None, limit)

    def _page(self, inside: Sequence[sa.ColumnElement[bool]], before: tuple[datetime, str] | None, limit: int) -> list[DigestedCall]:
        c = t.call_digests.c
        key = sa.and_(t.call_keys.c.org_id == c.org_id, t.call_keys.c.call_id == c.call_id)
        query = sa.select(t.call_digests, t.call_keys.c.key_id, t.call_keys.c.wrapped_key).join(t.call_keys, key).where(*inside)
        if before is not None:
            there = sa.tuple_(sa.literal(before[0], c.started_at.type), sa.literal(before[1]))
            query = query.where(sa.tuple_(c.started_at, c.call_id) < there)
        query = query.order_by(c.started_at.desc(), c.call_id.desc()).limit(limit)
        with self._database.read() as connection:
            return list(self._opened(connection, query))

    def _opened(self, connection: Connection, query: sa.Select[Any]) -> Iterable[DigestedCall]:
        for row in connection.execute(query).mappings():
            context = call_context(row["org_id"], row["call_id"])
            cipher = CallCipher(self._keyring.unwrap(row["key_id"], row["wrapped_key"], context), context)
            body = json.loads(cipher.open(row["ciphertext"], rows.place("call_digests")))
            plain = {name: row[name] for name in _PLAIN} | {"day": date.fromisoformat(row["day"]), "upset": bool(row["upset"])}
            yield DigestedCall(**plain, digest=codec.from_json(CallDigest, body))


def _inside(scope: Scope, chosen: InsightFilter, c: sa.sql.base.ReadOnlyColumnCollection[str, Any]) -> list[sa.ColumnElement[bool]]:
    """Of the figures and of the digests alike; an agent sees what is their own."""
    found = [c.org_id == scope.org_id, c.day >= chosen.first.isoformat(), c.day <= chosen.last.isoformat()]
    if not scope.sees_all_calls:
        found.append(c.team_id.in_(sorted(scope.team_ids)) if scope.sees_team_calls else c.agent_id == scope.user_id)
    if chosen.team is not None:
        found.append(c.team_id == chosen.team)
    if chosen.product is not None:
        found.append(c.product == chosen.product)
    if chosen.channel is not None:
        found.append(c.channel == chosen.channel)
    return found


def _cluster(row: RowMapping) -> StoredCluster:
    made = Cluster(cluster_id=row["cluster_id"], language=row["language"], terms=tuple(row["terms"]), size=row["size"])
    return StoredCluster(cluster=made, middle=bytes(row["middle"]))


def channel_of(direction: str, protocol: str) -> Channel:
    """How a call came: a recording that was brought in, else by its direction."""
    from copilot.domain.calls import IMPORTED

    return "imported" if protocol == IMPORTED else cast("Channel", direction) if direction == "outbound" else "inbound"
