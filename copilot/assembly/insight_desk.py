"""What the console, a command and the schedule ask of analytics: a report, the calls behind a figure, FAQ candidates, files."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from copilot.api.kb import bank_labels, bank_packs
from copilot.domain.errors import NotFound
from copilot.domain.ids import OrgId, TeamId, UserId
from copilot.domain.insights import CallDigest, DigestedCall, FaqCandidate, InsightFilter, InsightReport, Place
from copilot.domain.knowledge_use import Gap, GapReport
from copilot.domain.people import Scope, User
from copilot.review.policy import ReviewPolicy
from copilot.store.facts import HIGH_RISK

if TYPE_CHECKING:
    from copilot.domain.clock import Clock
    from copilot.settings import AnalyticsSettings, ReportSettings
    from copilot.store.store import Store
    from postcall.analytics.files import Format, Names

Json = dict[str, Any]
MOST_EVIDENCE = 20
_LOOKED_AT = 1000
"""Newest digests of a window that are opened to find those with a keyword or a failed question."""
_FRESH_S = 60.0
_MOST_KEPT = 32
_FILE = re.compile(
    r"^(?P<name>[a-z0-9-]+)_(?P<first>\d{4}-\d{2}-\d{2})_(?P<last>\d{4}-\d{2}-\d{2})\.(?P<language>zh|en)\.(?P<form>html|xlsx|json)$"
)
About = Literal["topic", "cluster", "cause", "lead", "term", "question"]


class InsightDesk:
    """Blocking; thread-safe. ``gaps``: the knowledge gaps of the last days, None where nothing can be said of them."""

    def __init__(
        self,
        store: Store,
        policies: Callable[[OrgId], ReviewPolicy],
        clock: Clock,
        settings: AnalyticsSettings,
        directory: Path,
        gaps: Callable[[OrgId, int], GapReport] | None = None,
    ) -> None:
        self._store = store
        self._policies = policies
        self._clock = clock
        self._settings = settings
        self._directory = directory
        self._gaps = gaps
        self._kept: OrderedDict[tuple[object, ...], tuple[float, InsightReport]] = OrderedDict()
        self._lock = threading.Lock()

    def today(self, org_id: OrgId) -> date:
        return self._policies(org_id).calendar.local_day(self._clock.now())

    def report(self, scope: Scope, chosen: InsightFilter) -> InsightReport:
        """The findings of the window; one that was made less than a minute ago is given again."""
        from postcall.analytics.report import report

        everybody = scope.sees_all_calls
        key = (scope.org_id, everybody, scope.team_ids if not everybody else None, None if everybody else scope.user_id, chosen)
        now = self._clock.now().timestamp()
        with self._lock:
            if key in self._kept and now - self._kept[key][0] < _FRESH_S:
                return self._kept[key][1]
        insights = self._store.insights
        both = InsightFilter(first=chosen.before.first, last=chosen.last, team=chosen.team, product=chosen.product, channel=chosen.channel)
        made = report(
            chosen,
            daily=insights.daily(scope, both),
            totals=insights.totals(scope, both),
            clusters=[one.cluster for one in insights.clusters(scope.org_id) if one.cluster.cluster_id],
            leads=insights.leads(scope, chosen),
            answers=insights.answers(scope, chosen),
            defining=self._defining(scope.org_id),
        )
        with self._lock:
            self._kept[key] = (now, made)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return made

    def facets(self, scope: Scope, chosen: InsightFilter) -> Json:
        """What the window can be narrowed by: products and teams with their calls."""
        found = self._store.insights.facets(scope, chosen)
        teams = self._store.people.teams(scope.org_id)
        return {
            "products": [{"key": key, "calls": calls} for key, calls in found["product"]],
            "teams": [{"key": key, "name": teams.get(TeamId(key), key), "calls": calls} for key, calls in found["team_id"]],
        }

    def evidence(self, scope: Scope, chosen: InsightFilter, about: About, key: str, agent_id: str | None = None) -> list[Json]:
        """The newest calls behind a figure, each with the sentence and its time in the call. Texts are masked."""
        if about in ("term", "question"):
            calls = self._store.insights.newest(scope, chosen, _LOOKED_AT, agent_id=agent_id)
        else:
            calls = self._store.insights.newest(scope, chosen, MOST_EVIDENCE, about=(about, key), agent_id=agent_id)  # type: ignore[arg-type]
        found = [(call, place) for call in calls for place in _places(call.digest, about, key)][:MOST_EVIDENCE]
        names = self._store.people.names(scope.org_id, {call.agent_id for call, _ in found if call.agent_id})
        return [
            {
                "call_id": call.call_id,
                "started_at": call.started_at.isoformat(),
                "agent_id": call.agent_id,
                "agent_name": names.get(UserId(call.agent_id), ""),
                "upset": call.upset,
                "utterance_id": place.utterance_id if place is not None else "",
                "at_ms": place.at_ms if place is not None else 0,
                "text": place.text if place is not None else "",
            }
            for call, place in found
        ]

    def candidates(self, scope: Scope, chosen: InsightFilter) -> list[FaqCandidate]:
        """Questions of two calls at least that agents answered to their customers' content, alike ones together, those of most calls first;
        no pair of them is a draft or an article yet (``kb mine`` makes the same pairs)."""
        from kb.mining import Mined
        from kb.use import CallDigest as Questions
        from kb.use import Unanswered, gaps

        calls = self._store.insights.newest(scope, chosen, _LOOKED_AT)
        pairs = {(str(call.call_id), pair.question): (call, pair) for call in calls for pair in call.digest.asked}
        asked = [
            Questions(
                call_id=call.call_id,
                language=call.language,
                day=call.day,
                usages=(),
                unanswered=tuple(Unanswered(text=pair.question, intent="", rejected=False) for pair in call.digest.asked),
            )
            for call in calls
            if call.digest.asked
        ]
        articles = self._store.articles(scope.org_id)
        found = []
        for group in gaps(asked):
            match = next((pairs[call_id, group.examples[0]] for call_id in group.call_ids if (call_id, group.examples[0]) in pairs), None)
            if match is None or len(group.call_ids) < 2:
                continue
            call, pair = match
            known = Mined(language=call.language, question=pair.question, answer=pair.answer, origin=_origin(call)).article_id
            try:
                articles.article(known, call.language, version=1)
                continue
            except NotFound:
                pass
            found.append(
                FaqCandidate(
                    question=pair.question,
                    answer=pair.answer,
                    language=call.language,
                    calls=len(group.call_ids),
                    call_id=call.call_id,
                    place=pair.place,
                )
            )
        return found[:MOST_EVIDENCE]

    # files

    def file(self, scope: Scope, chosen: InsightFilter, form: Format, language: str) -> bytes:
        """The report as a file. Knowledge gaps are in it where the whole organisation's calls are."""
        from postcall.analytics.files import written

        whole = scope.sees_all_calls and chosen.team is None
        gaps: Sequence[Gap] = self._gaps(scope.org_id, min(chosen.days, 90)).gaps if whole and self._gaps is not None else ()
        return written(self.report(scope, chosen), form, language, self._names(scope.org_id, language, chosen.team), gaps)

    def scheduled(self, user: User) -> list[Json]:
        """The files that this person may read, newest first."""
        return [
            {"file": path.name, "name": match["name"], "first": match["first"], "last": match["last"], "form": match["form"],
             "language": match["language"], "bytes": path.stat().st_size}
            for path, match in self._files(user.org_id)
            if self._may_read(user, match["name"])
        ]  # fmt: skip

    def scheduled_file(self, user: User, name: str) -> tuple[bytes, str]:
        """(content, form). Raises NotFound, also for what this person may not read."""
        for path, match in self._files(user.org_id):
            if path.name == name and self._may_read(user, match["name"]):
                return path.read_bytes(), match["form"]
        raise NotFound(f"There is no report {name}.")

    def write_due(self, org_id: OrgId) -> int:
        """Writes the report of the last whole period of each schedule, if it is not there; how many. Old ones go."""
        today, written = self.today(org_id), 0
        for setting in self._settings.reports:
            first, last = last_period(setting.every, today)
            path = self._folder(org_id) / f"{setting.name}_{first}_{last}.{setting.language}.{setting.format}"
            if not path.exists():
                scope = Scope(org_id=org_id, user_id=UserId("reports"), roles=frozenset({"ops_admin"}))
                chosen = InsightFilter(first=first, last=last, team=setting.team or None)
                _put(path, self.file(scope, chosen, setting.format, setting.language))
                written += 1
            self._prune(org_id, setting)
        return written

    def _prune(self, org_id: OrgId, setting: ReportSettings) -> None:
        own = [path for path, match in self._files(org_id) if match["name"] == setting.name]
        for path in own[self._settings.keep :]:
            path.unlink(missing_ok=True)

    def _folder(self, org_id: OrgId) -> Path:
        return self._directory / org_id

    def _files(self, org_id: OrgId) -> list[tuple[Path, Mapping[str, str]]]:
        folder = self._folder(org_id)
        paths = sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []
        found = [(path, match.groupdict()) for path in paths if (match := _FILE.match(path.name)) is not None]
        return sorted(found, key=lambda item: (item[1]["last"], item[1]["name"]), reverse=True)

    def _may_read(self, user: User, name: str) -> bool:
        if any(role in user.roles for role in ("inspector", "qa_lead", "ops_admin")):
            return True
        team = next((setting.team for setting in self._settings.reports if setting.name == name), "")
        return "team_lead" in user.roles and TeamId(team) in user.team_ids

    def _defining(self, org_id: OrgId) -> frozenset[str]:
        """Topics whose category and intents together make the complaint risk high: that their calls are upset is the definition."""
        weights = self._policies(org_id).risk
        found = set()
        for top in bank_packs(self._store.articles(org_id))["taxonomy"].get("categories", ()):
            for leaf in top.get("children", ()):
                intents = max((weights.intents.get(intent, 0) for intent in leaf.get("intents", ())), default=0)
                category = max(weights.categories.get(top["id"], 0), weights.categories.get(leaf["id"], 0))
                if category + intents >= HIGH_RISK:
                    found.add(leaf["id"])
        return frozenset(found)

    def _names(self, org_id: OrgId, language: str, team: str | None) -> Names:
        from postcall.analytics.files import Names

        labels = bank_labels(bank_packs(self._store.articles(org_id)), language)
        teams = self._store.people.teams(org_id)
        return Names(
            categories=labels["categories"],
            causes=labels["causes"],
            leads=labels["leads"],
            questions={key: item["name"] for key, item in labels["rubric_items"].items()},
            intents=labels["intents"],
            agents={user.user_id: user.display_name for user in self._store.people.users(org_id)},
            team=teams.get(TeamId(team), team) if team else "",
        )


def last_period(every: str, today: date) -> tuple[date, date]:
    """First and last day of the last whole day, week (from Monday) or month before ``today``."""
    if every == "day":
        return today - timedelta(days=1), today - timedelta(days=1)
    if every == "week":
        last = today - timedelta(days=today.weekday() + 1)
        return last - timedelta(days=6), last
    last = today.replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last


def _places(digest: CallDigest, about: About, key: str) -> Sequence[Place | None]:
    """Where in the call what was counted can be heard; None: nowhere in particular, the call as a whole counts."""
    match about:
        case "term":
            return [word.place for word in digest.terms if word.term == key][:1]
        case "question":
            return [item.place for item in digest.questions if item.item_id == key and not item.passed][:1]
        case "lead":
            return [lead.place for lead in digest.leads if lead.lead == key][:1]
        case _:
            return [digest.problem]


def _origin(call: DigestedCall) -> Any:
    from copilot.domain.article_life import Origin

    return Origin(kind="call", source=call.call_id, quote="")


def _put(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
