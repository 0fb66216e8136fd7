"""How long the figures of the insights page take on a store that ``loadtest.fake_calls`` has filled.

    python -m loadtest.insights_timing --store sqlite:////var/tmp/million.db [--fill] [--json]

``--fill`` makes the analytics' own rows from the calls: a digest row each (sealed part empty), and keywords and answers by day, as invented
as the calls are. Measured is the reading and the reckoning of one report, not the opening of digests.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from copilot.assembly.insight_desk import InsightDesk
from copilot.domain.ids import TeamId, UserId
from copilot.domain.insights import InsightFilter
from copilot.domain.people import Scope
from copilot.review.desk import Policies
from copilot.settings import AnalyticsSettings
from copilot.store.database import Database
from copilot.store.keyring import KeyRing
from copilot.store.store import Store
from copilot.telemetry.clock import ManualClock
from loadtest.fake_calls import AGENTS_EACH, ORG, TEAMS, timed

_DIGESTS = """
INSERT INTO call_digests
SELECT org_id, call_id, substr(started_at, 1, 10), started_at, COALESCE(team_id, ''), COALESCE(agent_id, ''), language, direction,
  ticket_level1, ticket_level2, CASE abs(random()) % 5 WHEN 0 THEN 'system-fault' ELSE '' END, 'zh-' || (abs(random()) % 60),
  CASE abs(random()) % 20 WHEN 0 THEN 'loan' ELSE '' END, risk >= 60, x'00'
FROM calls WHERE started_at IS NOT NULL
"""
TERMS_OF_A_DAY, QUESTIONS = 250, 18


def fill(database: Database) -> tuple[str, str]:
    """The first and the last day."""
    with database.write() as connection:
        connection.execute(sa.text("DELETE FROM call_digests"))
        connection.execute(sa.text("DELETE FROM insight_days"))
        connection.execute(sa.text(_DIGESTS))
        days = sorted(connection.execute(sa.text("SELECT DISTINCT day FROM call_digests")).scalars())
    rng = np.random.default_rng(1)
    insert = sa.text(
        "INSERT INTO insight_days (org_id, dimension, day, team_id, agent_id, product, channel, key, calls, hits)"
        " VALUES (:org, :dimension, :day, :team, :agent, 'credit-card', 'inbound', :key, :calls, :hits)"
    )
    for day in days:

        def row(dimension: str, team: str, agent: str, key: str, calls: int, hits: int, day: str = day) -> dict[str, Any]:
            values = {"dimension": dimension, "team": team, "agent": agent, "key": key, "calls": calls, "hits": hits}
            return {"org": ORG, "day": day, **values}

        made = [
            row("term", f"t{team:02}", "", f"词{term}", int(n), int(n > 2))
            for team in range(TEAMS)
            for term, n in enumerate(rng.poisson(4 / np.arange(1, TERMS_OF_A_DAY + 1) ** 0.7))
            if n
        ]
        made += [
            row("question", f"t{team:02}", f"a{team:02}{agent:02}", f"q{item}", 3, int(rng.random() < 0.2))
            for team in range(TEAMS)
            for agent in range(AGENTS_EACH)
            for item in range(QUESTIONS)
        ]
        with database.write() as connection:
            connection.execute(insert, made)
    with database.write() as connection:
        connection.execute(sa.text("ANALYZE"))
    return days[0], days[-1]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.insights_timing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", required=True)
    parser.add_argument("--fill", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    database = Database(given.store)
    if given.fill:
        fill(database)
    with database.read() as connection:
        calls, last = connection.execute(sa.text("SELECT count(*), max(day) FROM call_digests")).one()
    clock = ManualClock(datetime.fromisoformat(last).replace(tzinfo=UTC))
    path = Path(str(database.engine.url.database)).with_suffix(".key")
    store = Store(database, KeyRing.open(path), clock, None, None)
    everybody = Scope(org_id=ORG, user_id=UserId("qa"), roles=frozenset({"qa_lead"}))
    lead = Scope(org_id=ORG, user_id=UserId("lead"), roles=frozenset({"team_lead"}), team_ids=frozenset({TeamId("t07")}))
    found: dict[str, Any] = {"calls": calls}
    for name, scope in (("everything", everybody), ("one team", lead)):
        for days in (7, 28, 90):
            end = date.fromisoformat(last)
            chosen = InsightFilter(first=end - timedelta(days=days - 1), last=end)

            def once(scope: Scope = scope, chosen: InsightFilter = chosen) -> None:
                # A desk of its own each time: one that has answered remembers for a minute.
                InsightDesk(store, Policies(store.articles), clock, AnalyticsSettings(), Path("unused")).report(scope, chosen)

            found[f"{name}, {days} days"] = timed(once, 3)
    store.close()
    print(json.dumps(found, indent=2) if given.json else "\n".join(f"{name:24}{value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
