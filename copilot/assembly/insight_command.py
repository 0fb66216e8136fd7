"""Analytics for a command, with or without a server beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from copilot.assembly import engines
from copilot.assembly.insight_desk import InsightDesk
from copilot.assembly.insights import InsightRounds
from copilot.domain.errors import InvalidInput, NotFound
from copilot.domain.ids import OrgId, TeamId, UserId
from copilot.domain.insights import InsightFilter
from copilot.domain.knowledge_use import GapReport
from copilot.domain.people import Scope
from copilot.review.desk import Policies
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.domain.ports.knowledge import Embedder
    from copilot.store.store import Store
    from postcall.analytics.files import Format


class InsightCommand:
    """Of one organisation."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._org_id = OrgId(settings.org)
        self._policies = Policies(store.articles)
        self._clock = engines.system_clock()
        self._desk = InsightDesk(store, self._policies, self._clock, settings.analytics, settings.data_dir / "reports", self._gaps)

    @cached_property
    def _embedder(self) -> Embedder:
        return engines.open_embedder(self._settings)

    def report(self, first: date | None, last: date | None, form: Format, language: str, team: str | None) -> bytes:
        """The file, of all calls or of a team. Raises InvalidInput, NotFound."""
        if team is not None and TeamId(team) not in self._store.people.teams(self._org_id):
            raise NotFound(f"There is no team {team}.")
        last = last or self._desk.today(self._org_id) - timedelta(days=1)
        first = first or last - timedelta(days=6)
        if first > last:
            raise InvalidInput(f"The window begins on {first} and ends before that, on {last}; correct --from or --to.")
        scope = Scope(org_id=self._org_id, user_id=UserId("cli"), roles=frozenset({"ops_admin"}))
        return self._desk.file(scope, InsightFilter(first=first, last=last, team=team), form, language)

    def update(self) -> int:
        """One round, now; how many calls were read."""
        rounds = InsightRounds(self._store, self._policies, partial(self._embedder.embed, kind="query"), self._clock)
        return rounds.run(self._org_id)

    def _gaps(self, org_id: OrgId, days: int) -> GapReport:
        from copilot.assembly.editing import Editing
        from copilot.assembly.organisation import Organisation

        organisation = Organisation(self._settings, org_id, self._store.articles(org_id), self._embedder)
        return Editing(self._store, organisation).gaps(days)


@contextmanager
def open_insights(settings: Settings) -> Iterator[InsightCommand]:
    """For a command."""
    store = engines.open_store(settings)
    try:
        yield InsightCommand(settings, store)
    finally:
        store.close()
