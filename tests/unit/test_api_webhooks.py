"""Webhooks over HTTP: kept by those who run the server, the secret shown once, every change audited."""

from __future__ import annotations

from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from copilot.api import exports, problems, webhooks
from copilot.assembly.webhooks import TicketFiles, Webhooks
from copilot.settings import Settings
from copilot.telemetry.clock import ManualClock
from tests.fakes.stores import AT, ORG, make_store, scope, sqlite_url

pytestmark = pytest.mark.anyio
HOOK = {"url": "https://tickets.bank.example/in", "events": ["ticket.confirmed"], "template": "generic"}


class Site:
    def __init__(self, tmp_path) -> None:
        clock = ManualClock(AT)
        self.store = make_store(sqlite_url(tmp_path), tmp_path, clock)
        self.store.people.ensure_org(ORG)
        roles = {"ops": "ops_admin", "qi": "inspector", "ag": "agent"}
        self.users = {name: self.store.people.create_user(ORG, name, name, [role], user_id=name) for name, role in roles.items()}
        rules = Webhooks(Settings(data_dir=tmp_path), self.store, clock, lambda _result: None)
        context = SimpleNamespace(
            webhooks=self.store.webhooks,
            webhook_rules=rules,
            signin=self.store.signin,
            audit=self.store.audit,
            clock=clock,
            tickets=TicketFiles(self.store),
        )
        app = FastAPI()
        problems.install(app)
        app.include_router(webhooks.router(context))
        app.include_router(exports.router(context))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    async def ask(self, who: str, method: str, path: str, body: object = None) -> httpx.Response:
        token = self.store.signin.start_session(self.users[who]).token
        return await self.http.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})


async def test_a_webhook_is_made_changed_tried_and_removed(tmp_path) -> None:
    site = Site(tmp_path)
    made = (await site.ask("ops", "POST", "/webhooks", HOOK)).json()
    assert made["secret"].startswith("whsec_")
    name = made["webhook"]["subscription_id"]
    listed = (await site.ask("ops", "GET", "/webhooks")).json()
    assert [item["url"] for item in listed["webhooks"]] == [HOOK["url"]]
    assert "secret" not in str(listed)
    assert {item["name"] for item in listed["templates"]} == {"generic", "jira", "servicenow", "zendesk"}
    changed = (await site.ask("ops", "POST", f"/webhooks/{name}/change", {"active": False})).json()["webhook"]
    assert (changed["active"], changed["url"]) == (False, HOOK["url"])
    assert (await site.ask("ops", "POST", f"/webhooks/{name}/test")).status_code == 202
    (message,) = (await site.ask("ops", "GET", f"/webhooks/{name}/messages")).json()["messages"]
    assert (message["event"], message["state"]) == ("webhook.test", "queued")
    assert (await site.ask("ops", "GET", f"/webhooks/messages/{message['message_id']}/attempts")).json() == {"attempts": []}
    assert (await site.ask("ops", "POST", f"/webhooks/messages/{message['message_id']}/replay")).status_code == 202
    assert (await site.ask("ops", "POST", f"/webhooks/{name}/rotate")).json()["secret"] != made["secret"]
    assert (await site.ask("ops", "POST", f"/webhooks/{name}/remove")).status_code == 204
    assert (await site.ask("ops", "GET", f"/webhooks/{name}/messages")).status_code == 404
    actions = [entry.action for entry in site.store.audit.entries(scope("a", "auditor"))]
    expected = ["create", "change", "test", "replay", "rotate", "remove"]
    assert [action for action in reversed(actions) if action.startswith("webhook.")] == [f"webhook.{name}" for name in expected]


@pytest.mark.parametrize(
    "fault",
    [
        {"url": "https://10.0.0.1/x"},
        {"url": "http://tickets.bank.example"},
        {"events": ["qa.finished"]},
        {"template": "none"},
        {"events": ["nonsense"]},
        {"authorization_env": "HOME"},
    ],
)
async def test_what_may_not_be_is_refused(tmp_path, fault: dict) -> None:
    site = Site(tmp_path)
    assert (await site.ask("ops", "POST", "/webhooks", {**HOOK, **fault})).status_code in (404, 422)
    assert (await site.ask("ops", "GET", "/webhooks")).json()["webhooks"] == []


async def test_others_keep_no_webhooks_and_agents_export_nothing(tmp_path) -> None:
    site = Site(tmp_path)
    for who in ("qi", "ag"):
        assert (await site.ask(who, "GET", "/webhooks")).status_code == 403
        assert (await site.ask(who, "POST", "/webhooks", HOOK)).status_code == 403
    assert (await site.ask("ag", "GET", "/exports/tickets.csv")).status_code == 403
    answer = await site.ask("qi", "GET", "/exports/tickets.csv?language=en&after=2026-01-01T00:00:00%2B08:00")
    assert answer.status_code == 200
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert "attachment" in answer.headers["content-disposition"]
    assert (await site.ask("qi", "GET", "/exports/tickets.csv?after=yesterday")).status_code == 422
    entry = next(entry for entry in site.store.audit.entries(scope("a", "auditor")) if entry.action == "export.tickets")
    assert (entry.actor, entry.target) == ("qi", "csv")
