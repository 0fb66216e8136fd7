"""The jobs of after-call work over HTTP: who sees them, and what a decision about a dead letter leaves behind."""

from __future__ import annotations

from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from copilot.api import calls, jobs, problems
from copilot.domain.artifacts import ARTIFACT_KINDS
from copilot.domain.events import CallEnded
from copilot.telemetry.clock import ManualClock
from tests.fakes.stores import AT, CALL, ORG, make_store, said, scope, sqlite_url, started

pytestmark = pytest.mark.anyio


class Site:
    """The routes over a store with one ended call of agent ``u1``, whose summary failed."""

    def __init__(self, tmp_path) -> None:
        self.clock = ManualClock(AT)
        self.store = make_store(sqlite_url(tmp_path), tmp_path, self.clock)
        self.store.people.ensure_org(ORG)
        roles = {"u1": "agent", "qi": "inspector", "ed": "editor"}
        self.users = {name: self.store.people.create_user(ORG, name, name, [role], user_id=name) for name, role in roles.items()}
        self.rung = 0
        context = SimpleNamespace(
            calls=self.store.calls,
            jobs=self.store.jobs,
            audit=self.store.audit,
            signin=self.store.signin,
            people=self.store.people,
            clock=self.clock,
            jobs_changed=self.ring,
        )
        app = FastAPI()
        problems.install(app)
        app.include_router(jobs.router(context))
        app.include_router(calls.router(context))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    def ring(self) -> None:
        self.rung += 1

    async def failed_job(self) -> str:
        opened = await self.store.journal.open(ORG, CALL, "node")
        await self.store.journal.append(ORG, opened, [started(), said("卡丢了"), CallEnded(reason="hangup", duration_ms=5000)])
        job = next(job for job in self.store.outbox.lease(self.clock.now(), 60) if job.kind == "summary")
        self.store.outbox.begin(job.job_id, 60)
        self.store.outbox.fail(job.job_id, "The model is away.", retry_at=None)
        return job.job_id

    async def ask(self, who: str, method: str, path: str) -> httpx.Response:
        token = self.store.signin.start_session(self.users[who]).token
        return await self.http.request(method, path, headers={"Authorization": f"Bearer {token}"})


async def test_a_supervisor_sees_dead_letters_and_decides_about_them(tmp_path) -> None:
    site = Site(tmp_path)
    job_id = await site.failed_job()
    page = (await site.ask("qi", "GET", "/jobs")).json()
    (line,) = page["jobs"]
    assert (line["job_id"], line["error"], line["attempts"], line["call_id"]) == (job_id, "The model is away.", 1, CALL)
    assert page["counts"]["failed"] == 1
    assert (page["next_cursor"], line["closed_at"]) == (None, "2026-03-01T09:00:00Z")
    assert (await site.ask("qi", "POST", f"/jobs/{job_id}/discard")).json()["job"]["state"] == "discarded"
    assert (await site.ask("qi", "GET", "/jobs")).json()["jobs"] == []
    assert [line["job_id"] for line in (await site.ask("qi", "GET", "/jobs?state=discarded")).json()["jobs"]] == [job_id]
    assert (await site.ask("qi", "POST", f"/jobs/{job_id}/run")).status_code == 202
    assert site.rung == 1
    assert (await site.ask("qi", "POST", f"/jobs/{job_id}/discard")).status_code == 409, "it is open again"
    actions = [entry.action for entry in site.store.audit.entries(scope("a", "auditor")) if entry.action.startswith("job.")]
    assert actions == ["job.rerun", "job.discard"]


async def test_pages_follow_each_other(tmp_path) -> None:
    site = Site(tmp_path)
    await site.failed_job()
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await site.ask("qi", "GET", f"/jobs?state=open&limit=2{cursor}")).json()
        seen += [line["job_id"] for line in page["jobs"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen)) == len(ARTIFACT_KINDS) - 1


async def test_others_may_not_but_the_agent_sees_how_far_the_own_call_is(tmp_path) -> None:
    site = Site(tmp_path)
    job_id = await site.failed_job()
    for who in ("u1", "ed"):
        assert (await site.ask(who, "GET", "/jobs")).status_code == 403
        assert (await site.ask(who, "POST", f"/jobs/{job_id}/run")).status_code == 403
    own = (await site.ask("u1", "GET", f"/calls/{CALL}/jobs")).json()["jobs"]
    assert {line["kind"] for line in own} == set(ARTIFACT_KINDS)
    assert (await site.ask("ed", "GET", f"/calls/{CALL}/jobs")).status_code == 404
    assert (await site.ask("qi", "POST", "/jobs/none/run")).status_code == 404
