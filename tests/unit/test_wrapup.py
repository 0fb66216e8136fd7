"""Notes, the after-call form, whispers and preferences over the API on a real store: who may, what is masked, what stays."""

from __future__ import annotations

import pytest

from copilot.codec import to_json
from copilot.domain.artifacts import Artifact, Statement, Summary, TicketClassification
from copilot.domain.ids import CallId
from copilot.domain.wrapup import Change, changes
from copilot.privacy.typed import mask_typed
from tests.fakes.api_bench import HOST_KEY, ApiBench
from tests.fakes.stores import ORG

pytestmark = pytest.mark.anyio
CRM = "https://crm.bank.example"
SUMMARY = Summary(
    language="zh",
    overall="客户的信用卡被盗刷。",
    problems=(Statement(text="昨天被刷三千元", utterance_ids=("customer-1",)),),
    follow_ups=(Statement(text="三个工作日内回电", utterance_ids=("agent-2",)),),
)
TICKET = TicketClassification(level1="credit-card", level2="card-fraud", confidence=0.9, taxonomy_version="1", measures=("冻结卡片",))


@pytest.fixture
def bench(tmp_path):
    import hashlib

    digest = "sha256:" + hashlib.sha256(HOST_KEY.encode()).hexdigest()
    bench = ApiBench(tmp_path, origins=(CRM,), host_keys=(digest,))
    bench.join("lin", "agent", teams=("cards",))
    bench.join("zhou", "agent", teams=("loans",))
    bench.join("lead", "team_lead", teams=("cards",))
    bench.join("other-lead", "team_lead", teams=("loans",))
    bench.join("inspector", "inspector")
    bench.join("admin", "sys_admin")
    yield bench
    bench.close()


async def ended(bench: ApiBench, call_id: str = "c1") -> str:
    await bench.call(call_id, "lin", ended=True)
    await bench.store.journal.put_secrets(ORG, CallId(call_id), {"【手机号#1】": "13800138000", "【尾号#1】": "3678"})
    bench.finish(call_id, Artifact(kind="summary", version=1, body=SUMMARY), Artifact(kind="ticket", version=1, body=TICKET))
    return call_id


def edited(**fields):
    return {"base_version": 1, "body": {**to_json(SUMMARY), **fields}}


# ---------------------------------------------------------------------- notes


async def test_a_note_is_kept_masked_and_seen_by_its_writer_and_by_those_who_review(bench):
    await bench.call("c1", "lin")
    await bench.store.journal.put_secrets(ORG, CallId("c1"), {"【手机号#1】": "13800138000"})
    answer = await bench.ask("lin", "PUT", "/calls/c1/notes", {"text": "回电13800138000，备用13912345678"})
    assert answer.json()["text"] == "回电【手机号#1】，备用【手机号】"
    await bench.ask("lead", "PUT", "/calls/c1/notes", {"text": "语速偏快"})
    mine = (await bench.ask("lin", "GET", "/calls/c1/notes")).json()["notes"]
    assert [(note["text"], note["mine"]) for note in mine] == [("回电【手机号#1】，备用【手机号】", True)], (
        "a lead's note is not the agent's"
    )
    seen = (await bench.ask("lead", "GET", "/calls/c1/notes")).json()["notes"]
    assert {(note["name"], note["mine"]) for note in seen} == {("Lin", False), ("Lead", True)}
    for stranger in ("zhou", "other-lead"):
        assert (await bench.ask(stranger, "GET", "/calls/c1/notes")).status_code == 404
        assert (await bench.ask(stranger, "PUT", "/calls/c1/notes", {"text": "x"})).status_code == 404
    await bench.ask("lin", "PUT", "/calls/c1/notes", {"text": ""})
    assert (await bench.ask("lin", "GET", "/calls/c1/notes")).json()["notes"] == []


async def test_notes_and_drafts_go_with_the_call(bench):
    call = await ended(bench)
    await bench.ask("lin", "PUT", f"/calls/{call}/notes", {"text": "记一笔"})
    await bench.ask("lin", "PUT", f"/calls/{call}/wrap-up/summary", edited(overall="改过"))
    bench.store.calls.erase_call(ORG, CallId(call), "admin")
    assert (await bench.ask("lin", "GET", f"/calls/{call}/notes")).json()["notes"] == []
    assert (await bench.ask("lin", "GET", f"/calls/{call}/wrap-up")).json()["drafts"] == []
    assert (await bench.ask("lin", "PUT", f"/calls/{call}/notes", {"text": "再记"})).status_code == 404


# ---------------------------------------------------------------------- the form


async def test_the_form_is_saved_as_typed_handed_in_as_versions_and_taken_back(bench):
    call = await ended(bench)
    for text in ("客户的卡被盗刷", "客户的卡被盗刷，已冻结"):
        assert (await bench.ask("lin", "PUT", f"/calls/{call}/wrap-up/summary", edited(overall=text))).status_code == 204
    drafts = (await bench.ask("lin", "GET", f"/calls/{call}/wrap-up")).json()["drafts"]
    assert [(draft["kind"], draft["base_version"], draft["body"]["overall"]) for draft in drafts] == [
        ("summary", 1, "客户的卡被盗刷，已冻结")
    ]
    assert bench.store.calls.artifacts(ORG, CallId(call))[0].version == 1, "what is typed is no version yet"

    answer = await bench.ask("lin", "POST", f"/calls/{call}/wrap-up/submit")
    assert answer.json()["versions"] == {"summary": 2, "ticket": 1}
    newest = {item.kind: item for item in bench.store.calls.artifacts(ORG, CallId(call))}
    assert newest["summary"].body.overall == "客户的卡被盗刷，已冻结"
    assert (await bench.ask("lin", "GET", f"/calls/{call}/wrap-up")).json()["drafts"] == []
    assert (await bench.ask("lin", "POST", f"/calls/{call}/wrap-up/submit")).status_code == 409
    assert (await bench.ask("lin", "PUT", f"/calls/{call}/wrap-up/summary", edited(overall="晚了"))).status_code == 409

    assert (await bench.ask("lin", "POST", f"/calls/{call}/wrap-up/reopen")).status_code == 204
    assert (await bench.ask("lin", "POST", f"/calls/{call}/wrap-up/reopen")).status_code == 409
    await bench.ask("lin", "PUT", f"/calls/{call}/wrap-up/summary", {**edited(overall="第三版"), "base_version": 2})
    assert (await bench.ask("lin", "POST", f"/calls/{call}/wrap-up/submit")).json()["versions"] == {"summary": 3, "ticket": 1}

    versions = (await bench.ask("lead", "GET", f"/calls/{call}/artifacts/summary/versions")).json()["versions"]
    assert [(item["version"], item["author_name"], item["base_version"]) for item in versions] == [
        (1, "", None),
        (2, "Lin", 1),
        (3, "Lin", 2),
    ]
    assert versions[1]["changes"] == [{"field": "overall", "before": "客户的信用卡被盗刷。", "after": "客户的卡被盗刷，已冻结"}]
    kinds = [item.event.type for item in bench.store.calls.events(ORG, CallId(call))][-3:]
    assert kinds == ["wrap_up_submitted", "wrap_up_reopened", "wrap_up_submitted"]
    audited = [(entry.action, entry.detail) for entry in bench.audited() if entry.target == call]
    assert audited == [
        ("artifact.edit", "summary 1 → 2"), ("wrap_up.submit", ""), ("wrap_up.reopen", ""), ("artifact.edit", "summary 2 → 3"),
        ("wrap_up.submit", ""),
    ]  # fmt: skip


async def test_what_is_typed_into_the_form_is_masked_and_the_banks_own_ids_are_not(bench):
    call = await ended(bench)
    lines = [{"text": "尾号3678已冻结，回电13912345678", "utterance_ids": ["customer-1"]}]
    await bench.ask("lin", "PUT", f"/calls/{call}/wrap-up/summary", edited(follow_ups=lines))
    draft = (await bench.ask("lin", "GET", f"/calls/{call}/wrap-up")).json()["drafts"][0]["body"]
    [line] = draft["follow_ups"]
    assert (line["text"], line["utterance_ids"]) == ("尾号【尾号#1】已冻结，回电【手机号】", ["customer-1"])
    assert draft["language"] == "zh"


async def test_only_the_agent_of_an_ended_call_fills_its_form_in(bench):
    await bench.call("live", "lin")
    assert (await bench.ask("lin", "PUT", "/calls/live/wrap-up/summary", edited())).status_code == 409
    assert (await bench.ask("lin", "POST", "/calls/live/wrap-up/submit")).status_code == 409
    call = await ended(bench)
    for who, status in (("lead", 403), ("inspector", 403), ("zhou", 404)):
        assert (await bench.ask(who, "PUT", f"/calls/{call}/wrap-up/summary", edited())).status_code == status
        assert (await bench.ask(who, "POST", f"/calls/{call}/wrap-up/submit")).status_code == status
        assert (await bench.ask(who, "POST", f"/calls/{call}/wrap-up/reopen")).status_code == status
    assert (await bench.ask("lin", "PUT", f"/calls/{call}/wrap-up/qa", edited())).status_code == 404
    assert (await bench.ask("lin", "PUT", f"/calls/{call}/wrap-up/summary", {"base_version": 1, "body": {"x": 1}})).status_code == 422


async def test_running_after_call_work_again_takes_a_number_that_no_edit_has(bench):
    call = await ended(bench)
    await bench.ask("lin", "PUT", f"/calls/{call}/wrap-up/summary", edited(overall="改过"))
    await bench.ask("lin", "POST", f"/calls/{call}/wrap-up/submit")
    job = bench.store.outbox.rerun(ORG, CallId(call), "summary")
    assert job.version == 3
    bench.finish(call, Artifact(kind="summary", version=1, body=SUMMARY))
    versions = (await bench.ask("lin", "GET", f"/calls/{call}/artifacts/summary/versions")).json()["versions"]
    assert [(item["version"], item["author"] is None) for item in versions] == [(1, True), (2, False), (3, True)]


def test_changes_are_told_line_by_line():
    before = to_json(SUMMARY)
    after = {
        **before,
        "problems": [{"text": "前天被刷三千元", "utterance_ids": []}, {"text": "新的一行", "utterance_ids": []}],
        "follow_ups": [],
    }
    assert changes(before, after) == (
        Change(field="problems", before="昨天被刷三千元", after="前天被刷三千元"),
        Change(field="problems", before="", after="新的一行"),
        Change(field="follow_ups", before="三个工作日内回电", after=""),
    )
    assert changes(before, before) == ()


def test_typed_text_is_masked_with_the_calls_tokens_first():
    vault = {"【手机号#1】": "13800138000", "【姓名#1】": "王"}
    assert mask_typed("13800138000 与 13912345678", vault) == "【手机号#1】 与 【手机号】"
    assert mask_typed("王先生的定期三千元，热线95588", vault) == mask_typed("王先生的定期三千元，热线95588")
    assert "95588" in mask_typed("热线95588，三千元")


# ---------------------------------------------------------------------- whispers


async def test_a_whisper_reaches_the_agents_screen_masked_and_is_audited_without_its_text(bench):
    await bench.call("c1", "lin")
    async with bench.screen("lin") as screen:
        answer = await bench.ask("lead", "POST", "/calls/c1/whispers", {"text": " 先核实身份，回电13912345678 "})
        assert answer.status_code == 201
        [whisper] = await screen.until("whisper_sent")
        assert whisper["text"] == "先核实身份，回电【手机号】"
        assert whisper["user_id"] == bench.people["lead"].user_id
    entries = [entry for entry in bench.audited() if entry.action == "call.whisper"]
    assert [(entry.actor, entry.target, entry.detail) for entry in entries] == [(bench.people["lead"].user_id, "c1", "")]


async def test_who_may_whisper(bench):
    await bench.call("c1", "lin")
    for who, status in (("zhou", 403), ("lin", 403), ("admin", 403), ("other-lead", 404), ("inspector", 201)):
        assert (await bench.ask(who, "POST", "/calls/c1/whispers", {"text": "慢一点"})).status_code == status, who
    assert (await bench.ask("lead", "POST", "/calls/c1/whispers", {"text": "字" * 201})).status_code == 422
    call = await ended(bench, "c2")
    assert (await bench.ask("lead", "POST", f"/calls/{call}/whispers", {"text": "晚了"})).status_code == 409


# ---------------------------------------------------------------------- preferences and host pages


async def test_shortcuts_are_kept_per_person_and_nonsense_is_refused(bench):
    assert (await bench.ask("lin", "GET", "/me/preferences")).json() == {"keys": {}, "style": "standard"}
    mine = {"keys": {"adopt1": "Ctrl+Shift+1", "search": "Alt+K"}, "style": "plain"}
    assert (await bench.ask("lin", "PUT", "/me/preferences", mine)).json() == mine
    assert (await bench.ask("lin", "GET", "/me/preferences")).json() == mine
    assert (await bench.ask("zhou", "GET", "/me/preferences")).json()["keys"] == {}
    for wrong in (
        {"keys": {"adopt1": "Alt+1", "adopt2": "Alt+1"}},
        {"keys": {"adopt1": "1+Alt"}},
        {"keys": {"fly": "Alt+1"}},
        {"style": "rude"},
    ):
        assert (await bench.ask("lin", "PUT", "/me/preferences", wrong)).status_code == 422


async def test_a_hosts_back_end_signs_its_agent_in_once_from_its_own_origin(bench):
    key = {"Authorization": f"Bearer {HOST_KEY}"}
    body = {"username": "lin", "origin": CRM}
    token = (await bench.ask(None, "POST", "/embed/tokens", body, **key)).json()["token"]
    wrong = await bench.ask(None, "POST", "/embed/sessions", {"token": token, "host": "https://evil.example"})
    assert wrong.status_code == 401
    answer = await bench.ask(None, "POST", "/embed/sessions", {"token": token, "host": CRM})
    assert answer.json()["user"]["username"] == "lin"
    assert (await bench.ask(None, "POST", "/embed/sessions", {"token": token, "host": CRM})).status_code == 401, "it works once"
    actions = [entry.action for entry in bench.audited()][-2:]
    assert actions == ["embed.token", "login.embedded"]

    token = (await bench.ask(None, "POST", "/embed/tokens", body, **key)).json()["token"]
    assert (await bench.ask(None, "POST", "/embed/sessions", {"token": token, "host": CRM}, Origin=CRM)).status_code == 401
    bench.clock.advance(61)
    assert (await bench.ask(None, "POST", "/embed/sessions", {"token": token, "host": CRM})).status_code == 401, "it lasts a minute"


async def test_who_gets_no_host_token(bench):
    key = {"Authorization": f"Bearer {HOST_KEY}"}
    for headers, body, status in (
        ({}, {"username": "lin", "origin": CRM}, 401),
        ({"Authorization": "Bearer guess"}, {"username": "lin", "origin": CRM}, 403),
        (key, {"username": "lin", "origin": "https://evil.example"}, 403),
        (key, {"username": "nobody", "origin": CRM}, 404),
        (key, {"username": "admin", "origin": CRM}, 403),
        (key, {"username": "inspector", "origin": CRM}, 403),
    ):
        assert (await bench.ask(None, "POST", "/embed/tokens", body, **headers)).status_code == status
    for host, allowed in ((CRM, True), (CRM + "/page", True), ("https://evil.example", False), ("javascript:alert(1)", False)):
        from urllib.parse import quote

        assert (await bench.ask(None, "GET", f"/embed?host={quote(host)}")).json() == {"allowed": allowed}
