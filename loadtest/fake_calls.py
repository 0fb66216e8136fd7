"""A million invented calls for measuring the console: projections only, no events and nothing sealed.

    python -m loadtest.fake_calls --store sqlite:////tmp/million.db --calls 1000000
    python -m loadtest.fake_calls --store sqlite:////tmp/million.db --measure

Drawn from a generator with a fixed seed: 40 teams of 25 agents, 365 days, weekdays busier than weekends, categories and intents with the
uneven shares that a bank sees. Rows go in as tuples through the driver: what is measured is reading, not writing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from copilot.domain.ids import OrgId
from copilot.store import tables as t
from copilot.store.database import Database
from copilot.store.facts import risk_band, score_band
from copilot.store.migrate import upgrade

ORG = OrgId("default")
TEAMS, AGENTS_EACH = 40, 25
DAYS = 365
_BATCH = 10_000
CATEGORIES: tuple[tuple[str, str, str, float], ...] = (
    ("credit-card", "card-billing", "card_bill", 0.17),
    ("credit-card", "card-instalment", "card_instalment", 0.12),
    ("credit-card", "card-credit-limit", "card_limit", 0.1),
    ("credit-card", "card-loss-replacement", "card_loss", 0.06),
    ("credit-card", "card-fraud-dispute", "card_fraud", 0.03),
    ("account", "account-freeze", "account_freeze", 0.08),
    ("account", "account-limit", "account_limit", 0.07),
    ("transfer", "transfer-wrong", "transfer_wrong", 0.06),
    ("transfer", "transfer-status", "transfer_status", 0.07),
    ("loan", "loan-prepay", "loan_prepay", 0.07),
    ("wealth", "wealth-redeem", "wealth_redeem", 0.06),
    ("e-banking", "app-login", "app_login", 0.07),
    ("complaint", "complaint-fee", "complaint_fee", 0.02),
    ("complaint", "complaint-service", "complaint_service", 0.015),
    ("complaint", "complaint-mis-selling", "complaint_sales", 0.005),
)
"""(level 1, level 2, intent, share)."""


def people(database: Database) -> None:
    """Teams and agents by name, so that lists can show them."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    with database.write() as connection:
        connection.execute(sa.insert(t.orgs).values(org_id=ORG, name=ORG, created_at=at))
        connection.execute(sa.insert(t.teams), [{"org_id": ORG, "team_id": f"t{n:02}", "name": f"客服{n + 1}组"} for n in range(TEAMS)])
        names = [f"a{team:02}{number:02}" for team in range(TEAMS) for number in range(AGENTS_EACH)]
        users = [
            {
                "org_id": ORG,
                "user_id": n,
                "username": n,
                "username_key": n,
                "display_name": f"坐席{n[1:]}",
                "active": True,
                "created_at": at,
            }
            for n in names
        ]
        connection.execute(sa.insert(t.users), users)
        connection.execute(sa.insert(t.user_roles), [{"org_id": ORG, "user_id": name, "role": "agent"} for name in names])
        connection.execute(sa.insert(t.user_teams), [{"org_id": ORG, "user_id": n, "team_id": f"t{n[1:3]}"} for n in names])


def rows(calls: int, end: datetime, seed: int = 1) -> Iterator[list[dict[str, Any]]]:
    """Batches of rows of ``calls``, oldest first, ending at ``end``."""
    rng = np.random.default_rng(seed)
    shares = np.array([row[3] for row in CATEGORIES])
    starts = np.sort(rng.random(calls))
    for begin in range(0, calls, _BATCH):
        size = min(_BATCH, calls - begin)
        agents = rng.integers(0, TEAMS * AGENTS_EACH, size)
        kinds = rng.choice(len(CATEGORIES), size, p=shares / shares.sum())
        lengths = rng.lognormal(5.3, 0.5, size)
        scores = np.clip(rng.normal(86, 11, size), 0, 100)
        alerts = rng.poisson(0.15, size)
        fatal = rng.random(size) < 0.004
        states = rng.random(size)
        made = []
        for n in range(size):
            level1, level2, intent, _ = CATEGORIES[kinds[n]]
            at = end - timedelta(days=DAYS * float(1 - starts[begin + n]))
            complaint = level1 == "complaint"
            team = int(agents[n]) // AGENTS_EACH
            state = "reviewed" if states[n] < 0.03 else "machine" if states[n] < 0.99 else ""
            risk = min(100, (75 if complaint else 0) + 10 * int(alerts[n]) + (30 if fatal[n] else 0))
            score = 0.0 if fatal[n] else round(float(scores[n]), 1)
            made.append(
                {
                    "org_id": ORG, "call_id": f"m{begin + n:08d}", "epoch": 1, "owner": "node", "team_id": f"t{team:02}", "last_seq": 60,
                    "phase": "ended", "external_id": "", "protocol": "raw", "language": "zh",
                    "agent_id": f"a{team:02}{int(agents[n]) % AGENTS_EACH:02}",
                    "direction": "inbound", "ani": "", "dnis": "95555", "customer_id": "", "skill": level1, "held": False,
                    "started_at": at, "duration_ms": int(lengths[n] * 1000), "end_reason": "hangup", "utterances": 40, "suggestions": 6,
                    "suggestions_used": 2, "alerts": int(alerts[n]), "intents": [intent], "artifacts": ["summary", "ticket", "qa"],
                    "changed_at": at, "intent": intent, "ticket_level1": level1, "ticket_level2": level2, "qa_state": state,
                    "qa_score": score if state else None, "qa_fatal": bool(fatal[n]),
                    "qa_confidence": 0.8, "risk": risk, "risk_band": risk_band(risk),
                    "score_band": score_band(score, bool(fatal[n])) if state else "",
                }
            )  # fmt: skip
        yield made


def fill(url: str, calls: int, *, end: datetime, say: Callable[[str], None] = print) -> None:
    """Makes the store at ``url`` and fills it."""
    database = Database(url)
    upgrade(database)
    people(database)
    done, begun = 0, time.monotonic()
    for batch in rows(calls, end):
        with database.write() as connection:
            connection.execute(sa.insert(t.calls), batch)
        done += len(batch)
        if done % 100_000 == 0:
            say(f"{done:,} calls, {time.monotonic() - begun:.0f} s")
    with database.write() as connection:
        connection.execute(sa.text("ANALYZE"))
    database.close()


def timed(work: Callable[[], Any], times: int) -> dict[str, float]:
    """Milliseconds of the first time and the median and worst of the others."""
    spent = []
    for _ in range(times + 1):
        begun = time.perf_counter()
        work()
        spent.append((time.perf_counter() - begun) * 1000)
    later = sorted(spent[1:])
    return {"first_ms": round(spent[0], 1), "median_ms": round(later[len(later) // 2], 1), "worst_ms": round(later[-1], 1)}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.fake_calls", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", required=True, help="sqlite:////path or postgresql+psycopg://…; it must be empty, or filled by this")
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--measure", action="store_true", help="measure the console's queries instead of filling")
    parser.add_argument("--times", type=int, default=7)
    options = parser.parse_args(argv)
    end = datetime.now(UTC).replace(microsecond=0)
    if not options.measure:
        fill(options.store, options.calls, end=end)
        return
    from loadtest.console_timing import measure

    print(json.dumps(measure(options.store, options.times), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
