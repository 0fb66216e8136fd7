"""The HTTP API and the feed at a real server: who may, what is answered to what is wrong, and that nothing makes it fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import websockets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtest.calls import all_artifacts, events_until, new_call_id, send, signed_in
from loadtest.server_process import ROOT, ServerProcess

pytestmark = [pytest.mark.anyio, pytest.mark.models]

OPENAPI = json.loads((ROOT / "docs/reference/openapi.json").read_text(encoding="utf-8"))
OPEN = {
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("post", "/api/v1/auth/login"),
    ("get", "/api/v1/auth/enrolment/{token}"),
    ("post", "/api/v1/auth/enrol"),
    ("get", "/api/v1/embed"),
    # A host's key and its agent's token open these; tests/browser/test_embed.py and the unit tests refuse others.
    ("post", "/api/v1/embed/tokens"),
    ("post", "/api/v1/embed/sessions"),
}
BY_KEY = {
    ("post", "/api/v1/telephony/calls"),
    *(("post", f"/api/v1/telephony/calls/{{call_id}}/{what}") for what in ("pause", "hold", "resume", "transfer", "end")),
}
"""For telephone systems: an integration's key opens them, a person's session does not."""
ROUTES = sorted((method, path) for path, methods in OPENAPI["paths"].items() for method in methods)
PARAMETERS = {
    "call_id": "no-such-call",
    "channel": "customer",
    "kind": "summary",
    "article_id": "no-such-article",
    "token": "no-such-token",
    "run_id": "no-such-run",
    "review_id": "no-such-review",
    "appeal_id": "no-such-appeal",
    "session_id": "no-such-session",
    "job_id": "no-such-job",
    "subscription_id": "no-such-subscription",
    "message_id": "no-such-message",
    "tool_id": "no-such-tool",
    "form": "csv",
    "name": "no-such-pack",
    "version": "7",
    "report": "no-such-report",
}
QUERIES = {
    "/api/v1/kb/search": {"q": "挂失"},
    "/api/v1/calls/{call_id}/audio/copy.flac": {"version": 1},
    "/api/v1/console/insights/evidence": {"about": "topic", "key": "card-fraud-dispute"},
}
KB_STEPS = ("draft", "submit", "withdraw", "reject", "publish", "discard", "retire")
BODIES = {
    "/api/v1/kb/graph/changes": {"kind": "verdict", "target": "no-such-fact", "state": "confirmed"},
    "/api/v1/kb/graph/changes/take-back": {"kind": "verdict", "target": "no-such-fact"},
    "/api/v1/auth/login": {"username": "nobody-here", "password": "not the password"},
    "/api/v1/auth/enrol": {"token": "no-such-token", "password": "long enough for one"},
    "/api/v1/tickets": {"purpose": "feed"},
    "/api/v1/telephony/calls": {"legs": [{"channel": "customer"}]},
    "/api/v1/telephony/calls/{call_id}/pause": {"paused": True},
    "/api/v1/telephony/calls/{call_id}/transfer": {"agent": "somebody"},
    "/api/v1/calls/{call_id}/feedback": {"suggestion_id": "s1", "action": "used"},
    **{f"/api/v1/kb/articles/{{article_id}}/{step}": {"revision": 1, "reason": "no reason"} for step in KB_STEPS},
    "/api/v1/qa/reviews": {"call_id": "no-such-call"},
    "/api/v1/qa/reviews/{review_id}/submit": {"qa_version": 1, "answers": []},
    "/api/v1/qa/calibrations": {"name": "x", "call_ids": ["no-such-call"], "inspectors": ["a", "b"]},
    "/api/v1/qa/appeals": {"call_id": "no-such-call", "items": ["x"], "reason": "y"},
    "/api/v1/qa/appeals/{appeal_id}/steps": {"action": "forward"},
    "/api/v1/qa/appeals/{appeal_id}/decision": {"qa_version": 1, "answers": [], "comment": "x"},
    "/api/v1/notices/read": {"ids": []},
    "/api/v1/calls/{call_id}/whispers": {"text": "x"},
    "/api/v1/calls/{call_id}/notes": {"text": "x"},
    "/api/v1/calls/{call_id}/wrap-up/{kind}": {"base_version": 1, "body": {"language": "zh", "overall": "x"}},
    "/api/v1/packs/{name}/check": {"text": "x"},
    "/api/v1/packs/{name}/drafts": {"text": "x"},
    "/api/v1/packs/{name}/versions/{version}/save": {"text": "x", "revision": 1, "base_version": 1},
    "/api/v1/packs/{name}/versions/{version}/publish": {"revision": 1},
    "/api/v1/packs/{name}/versions/{version}/dry-runs": {},
    "/api/v1/tools/{tool_id}": {},
    "/api/v1/webhooks/{subscription_id}/change": {},
}
EDITORS_ONLY = (
    {("post", f"/api/v1/kb/articles/{{article_id}}/{step}") for step in KB_STEPS}
    | {("get", f"/api/v1/kb/articles/{{article_id}}/{what}") for what in ("versions", "diff", "checks")}
    | {("get", "/api/v1/kb/imports/{run_id}"), ("post", "/api/v1/kb/imports/{run_id}/cancel")}
)
"""Refused to an inspector before anything is looked up."""
OTHERS_ONLY = {("post", "/api/v1/tools/{tool_id}")} | {route for route in ROUTES if route[1].startswith("/api/v1/webhooks/")}
"""Refused to an inspector too: agents' look-ups, and what administrators keep."""


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: PARAMETERS[match.group(1)], path)


def ask(client: httpx.Client, method: str, path: str) -> httpx.Response:
    """A request that fits the API."""
    return client.request(method, filled(path), params=QUERIES.get(path), json=BODIES.get(path))


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Checks that the answer is an RFC 9457 problem with one sentence for a person."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"]
    assert body["title"]
    assert body["detail"]
    assert "\n" not in body["detail"]
    assert "Traceback" not in answer.text
    return body


@pytest.fixture
def nobody(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def inspector(server: ServerProcess) -> Iterator[httpx.Client]:
    with sign_in(server, "inspector") as client:
        yield client


@contextlib.contextmanager
def sign_in(server: ServerProcess, username: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base, timeout=30) as client:
        answer = client.post("/api/v1/auth/login", json={"username": username, "password": server.passwords[username]})
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        yield client


@pytest.fixture(scope="module")
async def call_id(server: ServerProcess) -> str:
    """A finished call of agent-a."""
    name = new_call_id("contract")
    await send(server, name, "short", speed=8)
    async with signed_in(server, "agent-a") as agent:
        await events_until(agent, name, all_artifacts)
    return name


# Who may


def test_the_served_document_is_the_published_one(nobody: httpx.Client):
    assert nobody.get("/api/v1/openapi.json").json() == OPENAPI


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route not in OPEN | BY_KEY])
def test_without_sign_in_nothing_is_told(nobody: httpx.Client, method: str, path: str):
    problem(ask(nobody, method, path), 401)
    if path == "/api/v1/auth/logout":
        return  # a session that is over may be ended again
    for header in ("Bearer", "Bearer x", "Basic YTpi", "x"):
        nobody.headers["Authorization"] = header
        problem(ask(nobody, method, path), 401)


@pytest.mark.parametrize(("method", "path"), sorted(BY_KEY))
def test_telephone_systems_need_a_key_and_sessions_are_none(nobody: httpx.Client, inspector: httpx.Client, method: str, path: str):
    problem(ask(nobody, method, path), 401)
    problem(ask(inspector, method, path), 403)
    for header, status in (("Bearer", 401), ("Bearer x", 403), ("Basic YTpi", 403), ("x", 401)):
        nobody.headers["Authorization"] = header
        problem(ask(nobody, method, path), status)


@pytest.mark.parametrize(
    ("method", "path"), [route for route in ROUTES if "{" in route[1].replace("{form}", "csv") and route not in BY_KEY]
)
def test_what_does_not_exist_is_not_found(inspector: httpx.Client, method: str, path: str):
    problem(ask(inspector, method, path), 403 if (method, path) in EDITORS_ONLY | OTHERS_ONLY else 404)


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/calls/x/y/z", "/api/v2/calls", "/assets/nothing.js"])
def test_unknown_paths_are_problems_too(nobody: httpx.Client, path: str):
    problem(nobody.get(path), 404)
    assert nobody.delete(path).status_code in {404, 405}


WRONG = [
    ("get", "/api/v1/calls", {"params": {"limit": 0}}),
    ("get", "/api/v1/calls", {"params": {"limit": 201}}),
    ("get", "/api/v1/calls", {"params": {"limit": "many"}}),
    ("get", "/api/v1/calls", {"params": {"phase": "over"}}),
    ("get", "/api/v1/calls", {"params": {"cursor": "nonsense"}}),
    ("get", "/api/v1/calls", {"params": {"cursor": "WzEsMl0="}}),
    ("get", "/api/v1/calls/x/events", {"params": {"after": -1}}),
    ("get", "/api/v1/calls/x/events", {"params": {"limit": 5001}}),
    ("get", "/api/v1/kb/search", {}),
    ("get", "/api/v1/kb/search", {"params": {"q": ""}}),
    ("get", "/api/v1/kb/search", {"params": {"q": "长" * 501}}),
    ("get", "/api/v1/kb/search", {"params": {"q": "x", "language": "fr"}}),
    ("get", "/api/v1/kb/search", {"params": {"q": "x", "top_k": 51}}),
    ("get", "/api/v1/bank/labels", {"params": {"language": "fr"}}),
    ("get", "/api/v1/packs/rubric/versions/0", {}),
    ("get", "/api/v1/packs/rubric/versions/1/diff", {"params": {"against": "x"}}),
    ("post", "/api/v1/packs/rubric/drafts", {"json": {"text": "x" * 500_001}}),
    ("post", "/api/v1/packs/rubric/versions/1/dry-runs", {"json": {"limit": 1001}}),
    ("get", "/api/v1/dry-runs/x/calls", {"params": {"limit": 51}}),
    ("get", "/api/v1/console/insights", {"params": {"since": "2026-03-02", "until": "2026-03-01"}}),
    ("get", "/api/v1/console/insights", {"params": {"channel": "fax"}}),
    ("get", "/api/v1/console/insights/evidence", {"params": {"about": "mood", "key": "x"}}),
    ("get", "/api/v1/calls/x/audio/customer/peaks", {"params": {"buckets": 1}}),
    ("post", "/api/v1/tickets", {"json": {"purpose": "everything"}}),
    ("post", "/api/v1/tickets", {"json": {}}),
    ("post", "/api/v1/tickets", {"json": []}),
    ("post", "/api/v1/tickets", {"content": b"{", "headers": {"content-type": "application/json"}}),
    ("post", "/api/v1/tickets", {"content": b"\xff\xfe", "headers": {"content-type": "application/json"}}),
    ("post", "/api/v1/calls/x/feedback", {"json": {"suggestion_id": "s1", "action": "eaten"}}),
    ("post", "/api/v1/calls/x/feedback", {"json": {"suggestion_id": "s" * 65, "action": "used"}}),
    ("post", "/api/v1/auth/login", {"json": {"username": "x"}}),
    ("post", "/api/v1/auth/login", {"json": {"username": "x", "password": "p" * 1025}}),
    ("post", "/api/v1/auth/login", {"json": {"username": 5, "password": None}}),
]


@pytest.mark.parametrize(("method", "path", "request_"), WRONG, ids=[f"{path} {str(request)[:60]}" for _, path, request in WRONG])
def test_wrong_input_is_a_problem(inspector: httpx.Client, method: str, path: str, request_: dict[str, Any]):
    body = problem(inspector.request(method, path, **request_), 422)
    assert "p" * 100 not in json.dumps(body), "what was sent does not come back: it may be a password"


def test_a_body_that_is_too_large_is_refused(inspector: httpx.Client):
    problem(inspector.post("/api/v1/tickets", json={"purpose": "feed", "call_id": "x" * 1_000_001}), 413)


def test_a_chunked_body_that_is_too_large_is_refused(inspector: httpx.Client):
    def chunks() -> Iterator[bytes]:
        yield b'{"purpose": "feed", "call_id": "'
        for _ in range(40):
            yield b"x" * 50_000
        yield b'"}'

    problem(inspector.post("/api/v1/tickets", content=chunks(), headers={"content-type": "application/json"}), 413)


@pytest.mark.parametrize("path", ["/", "/agent", "/healthz", "/metrics", "/api/v1/me", "/api/v1/nothing", "/assets/nothing.js"])
def test_every_answer_has_the_security_headers(nobody: httpx.Client, path: str):
    headers = nobody.get(path).headers
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"], "scripts come from the server alone"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_other_origins_are_not_let_in(nobody: httpx.Client):
    answer = nobody.get("/healthz", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_files_outside_the_web_app_are_not_served(nobody: httpx.Client, server: ServerProcess):
    for path in ("/..%2f..%2fcopilot%2fsettings.py", "/assets/..%2f..%2f__init__.py", f"/%2f{quote(str(server.log_path))}"):
        answer = nobody.get(path)
        assert "import" not in answer.text.split("</head>")[0][:200]
        assert answer.status_code in {200, 404, 503}
        assert answer.status_code == 404 or answer.headers["content-type"].startswith("text/html")


# Sign-in


def invite(server: ServerProcess, username: str) -> str:
    link = server.command("users", "invite", username, "--role", "agent", "--name", "新人").strip()
    assert link.startswith(f"{server.base}/enrol#")
    return link.rpartition("#")[2]


def test_an_invited_person_enrols_once_and_signs_in(server: ServerProcess, nobody: httpx.Client):
    token = invite(server, "newcomer")
    shown = nobody.get(f"/api/v1/auth/enrolment/{token}").json()
    assert (shown["username"], shown["display_name"], shown["roles"]) == ("newcomer", "新人", ["agent"])
    problem(nobody.post("/api/v1/auth/enrol", json={"token": token, "password": "short"}), 422)
    session = nobody.post("/api/v1/auth/enrol", json={"token": token, "password": "long enough for one"})
    assert session.status_code == 200
    assert session.json()["user"]["username"] == "newcomer"
    problem(nobody.get(f"/api/v1/auth/enrolment/{token}"), 404)
    problem(nobody.post("/api/v1/auth/enrol", json={"token": token, "password": "another long one"}), 404)
    login = nobody.post("/api/v1/auth/login", json={"username": "newcomer", "password": "long enough for one"})
    assert login.status_code == 200
    nobody.headers["Authorization"] = f"Bearer {login.json()['token']}"
    me = nobody.get("/api/v1/me").json()
    assert me == login.json()["user"]
    assert not {"password", "password_hash"} & set(me)
    assert nobody.post("/api/v1/auth/logout").status_code == 204
    problem(nobody.get("/api/v1/me"), 401)


def test_a_new_link_makes_the_old_one_useless(server: ServerProcess, nobody: httpx.Client):
    first, second = invite(server, "forgetful"), invite(server, "forgetful")
    assert nobody.get(f"/api/v1/auth/enrolment/{second}").status_code == 200
    problem(nobody.get(f"/api/v1/auth/enrolment/{first}"), 404)


@pytest.mark.parametrize("username", ["throttled", "nobody-of-this-name"])
def test_failed_sign_ins_are_slowed_down_and_say_so(server: ServerProcess, nobody: httpx.Client, username: str):
    if username == "throttled":
        nobody.post("/api/v1/auth/enrol", json={"token": invite(server, username), "password": "long enough for one"}).raise_for_status()
    details = []
    for _ in range(7):
        answer = nobody.post("/api/v1/auth/login", json={"username": username, "password": "wrong wrong wrong"})
        assert answer.status_code in {401, 429}
        details.append(problem(answer, answer.status_code)["detail"])
    assert details[0] == "The username or the password is wrong."
    assert re.search(r"wait \d+ s", details[-1])
    right = nobody.post("/api/v1/auth/login", json={"username": username, "password": "long enough for one"})
    assert re.search(r"wait \d+ s", problem(right, right.status_code)["detail"]), "not even the right password helps before that"


# The feed


def ticket(client: httpx.Client, server: ServerProcess, purpose: str = "feed", origin: str | None = None, **more: str) -> str:
    answer = client.post("/api/v1/tickets", json={"purpose": purpose, **more}, headers={"Origin": origin or server.base})
    assert answer.status_code == 200, answer.text
    assert 0 < answer.json()["expires_in_s"] <= 300
    return answer.json()["ticket"]


async def talk(server: ServerProcess, *messages: str | bytes, origin: str | None = None) -> tuple[list[dict[str, Any]], int]:
    """Sends and reads until the server closes, or until it has said welcome; what came, and the close code (0: still open)."""
    url = server.base.replace("http", "ws", 1) + "/api/v1/feed"
    came: list[dict[str, Any]] = []
    options = {"subprotocols": [websockets.Subprotocol("pangting.feed.v1")], "origin": websockets.Origin(origin or server.base)}
    async with asyncio.timeout(30), websockets.connect(url, **options) as socket:
        assert socket.subprotocol == "pangting.feed.v1"
        with contextlib.suppress(websockets.ConnectionClosed):
            for message in messages:
                await socket.send(message)
            async for text in socket:
                came.append(json.loads(text))
                if came[-1]["type"] == "welcome":
                    return came, 0
        return came, socket.close_code or 0


def hello(value: Any) -> str:
    return json.dumps({"type": "hello", "ticket": value})


async def test_a_feed_ticket_works_once(server: ServerProcess, inspector: httpx.Client):
    once = ticket(inspector, server)
    came, code = await talk(server, hello(once))
    assert (came[0]["user"]["username"], code) == ("inspector", 0)
    came, code = await talk(server, hello(once))
    assert (came[-1]["type"], code) == ("problem", 4401)


async def test_a_ticket_is_bound_to_its_origin_purpose_and_session(server: ServerProcess, inspector: httpx.Client):
    other = "https://elsewhere.example"
    assert (await talk(server, hello(ticket(inspector, server)), origin=other))[1] == 4401
    assert (await talk(server, hello(ticket(inspector, server, "audio", call_id="x"))))[1] == 4401
    assert (await talk(server, hello("nonsense")))[1] == 4401
    assert (await talk(server, hello(5)))[1] == 4401
    with sign_in(server, "agent-b") as leaving:
        left = ticket(leaving, server)
        leaving.post("/api/v1/auth/logout").raise_for_status()
    assert (await talk(server, hello(left)))[1] == 4401


async def test_a_feed_that_does_not_say_hello_is_closed_in_time(server: ServerProcess):
    begun = time.monotonic()
    came, code = await talk(server)
    assert (came[-1]["type"], code) == ("problem", 1008)
    assert time.monotonic() - begun < 20, "the limit is five seconds; the rest is for a busy machine"


@pytest.mark.parametrize(
    "first",
    ["", "hello", "[]", "null", "{}", '{"type": "pong"}', '{"type": "watch", "call_id": "x"}', "[" * 10_000, "x" * 20_000, b"\x00\x01"],
    ids=["empty", "word", "list", "null", "object", "pong", "watch", "deep", "long", "binary"],
)
async def test_another_first_message_than_hello_is_refused(server: ServerProcess, first: str | bytes):
    came, code = await talk(server, first)
    assert code == 1008
    assert came[-1]["type"] == "problem"


@pytest.mark.parametrize(
    "resume",
    [[1], 5, {"x": -1}, {"x": "1"}, {"x": True}, {"x": 1.5}, {"x": 10**30}],
    ids=["list", "number", "below", "text", "bool", "half", "huge"],
)
async def test_a_resume_that_is_none_is_refused(server: ServerProcess, inspector: httpx.Client, resume: Any):
    came, code = await talk(server, json.dumps({"type": "hello", "ticket": ticket(inspector, server), "resume": resume}))
    if resume == {"x": 10**30}:
        assert code == 0, "a call that does not exist is passed over, whatever was seen of it"
    else:
        assert (came[-1]["type"], code) == ("problem", 1008)


async def test_wrong_messages_on_an_open_feed_are_answered_and_it_goes_on(server: ServerProcess, call_id: str):
    wrong = [
        {"type": "nothing"},
        {"type": "watch"},
        {"type": "watch", "call_id": "no-such-call"},
        {"type": "watch", "call_id": call_id, "after_seq": -1},
        {"type": "watch", "call_id": call_id, "after_seq": "x"},
        {"type": "feedback", "call_id": call_id, "client_id": "c1"},
        {"type": "feedback", "call_id": call_id, "suggestion_id": "s99", "action": "used", "client_id": "c2"},
        {"type": "feedback", "call_id": "no-such-call", "suggestion_id": "s1", "action": "used", "client_id": "c3"},
        {"type": "feedback", "call_id": call_id, "suggestion_id": "s1", "action": "eaten", "client_id": "c4"},
    ]
    async with signed_in(server, "agent-a") as agent:
        once = (await agent.http.post("/tickets", json={"purpose": "feed"}, headers={"Origin": server.base})).json()["ticket"]
        url = server.base.replace("http", "ws", 1) + "/api/v1/feed"
        async with asyncio.timeout(60), websockets.connect(url, origin=websockets.Origin(server.base), max_size=2**22) as socket:
            await socket.send(hello(once))
            assert json.loads(await socket.recv())["type"] == "welcome"
            for message in wrong:
                await socket.send(json.dumps(message))
                answer = await until(socket, "problem")
                assert answer["detail"]
                assert answer.get("client_id") == message.get("client_id")
            await socket.send(json.dumps({"type": "watch", "call_id": call_id, "after_seq": 0}))
            opened = await until(socket, "call_opened")
            assert opened["call"]["call_id"] == call_id


async def until(socket: websockets.ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        message = json.loads(await socket.recv())
        if message["type"] == kind:
            return message


# What monitoring sees


def test_metrics_have_neither_calls_nor_words(nobody: httpx.Client, call_id: str):
    text = nobody.get("/metrics").text
    assert "pangting_calls_total" in text
    assert call_id not in text
    assert not re.search(r"[\u4e00-\u9fff]", text)
    assert "agent-a" not in text
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    families = {name for name in re.findall(r"^# TYPE (pangting_\w+) ", text, re.MULTILINE) if not name.endswith("_created")}
    documented = set(re.findall(r"^\| `(pangting_\w+)` ", page, re.MULTILINE))
    assert {name.removesuffix("_total") for name in families} == {name.removesuffix("_total") for name in documented}


def test_health_needs_no_sign_in_and_tells_nothing(nobody: httpx.Client):
    assert nobody.get("/healthz").json() == {"status": "ok"}
    assert nobody.get("/readyz").json() == {"ready": True}


# Nothing makes it fail

FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
NASTY = st.sampled_from(["\x00", "'; drop table calls; --", "%00", "../..", "９" * 300, "𠮷", "\u202e", "null", "1e309", "-0", str(10**40)])
VALUES = st.one_of(st.text(max_size=40), NASTY, st.integers().map(str), st.floats().map(str))
GETS = sorted(path for method, path in ROUTES if method == "get")


def parameters(path: str) -> list[str]:
    """What the route takes, and a name that it does not know."""
    declared = {parameter["name"] for parameter in OPENAPI["paths"][path]["get"].get("parameters", ()) if parameter["in"] == "query"}
    return sorted({*declared, "stranger"})


@pytest.mark.parametrize(("path", "known"), [(path, known) for path in GETS for known in (True, False) if not known or "{call_id}" in path])
@settings(FUZZ, max_examples=12)
@given(data=st.data())
def test_no_query_makes_the_server_fail(inspector: httpx.Client, call_id: str, path: str, known: bool, data: st.DataObject):
    def piece(match: re.Match[str]) -> str:
        if known and match.group(1) == "call_id":
            return call_id
        # A dot alone would be another path.
        return quote(data.draw(VALUES, match.group(1)), safe="").replace(".", "%2E") or "x"

    query = data.draw(st.dictionaries(st.sampled_from(parameters(path)), VALUES, max_size=3), "query")
    answer = inspector.get(re.sub(r"\{(\w+)\}", piece, path), params=query)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and answer.status_code != 416:
        assert answer.headers["content-type"] == "application/problem+json"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(["\ud800", "\x00", "used", "feed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = {
    "/api/v1/tickets": ["purpose", "call_id"],
    "/api/v1/calls/{call_id}/feedback": ["suggestion_id", "action", "text", "reason"],
    "/api/v1/auth/enrol": ["token", "password", "username"],
    "/api/v1/auth/login": ["username", "password"],
}


@pytest.mark.parametrize("path", sorted(FIELDS))
@settings(FUZZ, max_examples=25)
@given(data=st.data())
def test_no_body_makes_the_server_fail(inspector: httpx.Client, call_id: str, path: str, data: st.DataObject):
    fields = st.fixed_dictionaries({name: st.text(min_size=1, max_size=20) | JSON for name in FIELDS[path]})
    body = data.draw(JSON | fields, "body")
    content = json.dumps(body).encode()
    answer = inspector.post(path.replace("{call_id}", call_id), content=content, headers={"content-type": "application/json"})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        problem(answer, answer.status_code)


SURROGATE = '"\\ud800"'


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/auth/login", f'{{"username": {SURROGATE}, "password": "x"}}'),
        ("/api/v1/auth/login", f'{{"username": "x", "password": {SURROGATE}}}'),
        ("/api/v1/auth/enrol", f'{{"token": {SURROGATE}, "password": "x"}}'),
        ("/api/v1/tickets", f'{{"purpose": "audio", "call_id": {SURROGATE}}}'),
        ("/api/v1/calls/{call_id}/feedback", f'{{"suggestion_id": {SURROGATE}, "action": "used"}}'),
        ("/api/v1/tickets", "[" * 100_000),
    ],
)
def test_half_characters_and_deep_nesting_are_wrong_input(inspector: httpx.Client, path: str, body: str):
    answer = inspector.post(path.replace("{call_id}", "x"), content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    problem(answer, answer.status_code)


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/assets/%00",
        "/" + "x" * 5000,
        "/assets/" + "x" * 300,
        f"/api/v1/calls/x/events?after={10**30}",
        "/api/v1/calls?cursor=WyIyMDI2LTAxLTAxIiwgIngiXQ==",
        "/api/v1/calls?cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwgIngiXQ==",
        "/api/v1/calls?cursor=" + "W1tb" * 3000,
        "/api/v1/calls/x%00y",
        "/api/v1/kb/search?q=%00",
        "/api/v1/kb/search?q=%5C%22%28%29%2A%3A%5E~%2B-AND%20OR%20NOT",
    ],
)
def test_known_troublemakers(inspector: httpx.Client, path: str):
    assert inspector.get(path).status_code < 500


def test_the_log_has_no_failure_of_these(server: ServerProcess, inspector: httpx.Client):
    inspector.get("/api/v1/me")
    assert "Traceback" not in server.log_path.read_text(errors="replace")
