"""A page with a microphone: what its handshake must hold, and that its ticket makes it nobody but its user."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from copilot.api.context import PageCalls
from copilot.assembly.telephony import page_calls
from copilot.domain.errors import Unauthenticated
from copilot.settings import ServerSettings, Settings, TelephonySettings
from copilot.store.signin import SqlSignIn
from streaming.browser import TicketHolder
from streaming.gateway import Gateway
from streaming.handshake import BrowserTicket, Refusal, browser_ticket
from tests.fakes.stores import ORG, make_store, sqlite_url
from tests.fakes.telephony_bench import TelephonyBench

PAGE = "https://bank.example"
OFFER = {"sec-websocket-protocol": "pangting.raw.v1, pangting.ticket.T-1_x", "origin": PAGE}
START = {"type": "start", "call_id": "pbx-call-1", "channels": ["customer"], "encoding": "pcm_s16le", "sample_rate": 16000}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_a_pages_offer_is_understood():
    assert browser_ticket("/v1/raw", OFFER) == BrowserTicket(ticket="T-1_x", origin=PAGE)
    assert "T-1_x" not in repr(browser_ticket("/v1/raw", OFFER))


@pytest.mark.parametrize("headers", [{}, {"origin": PAGE}, {"sec-websocket-protocol": "pangting.raw.v1", "origin": PAGE}])
def test_a_request_without_a_ticket_is_not_a_pages(headers):
    assert browser_ticket("/v1/raw", headers) is None


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/v1/raw?x=1", {}),
        ("/v1/raw/pbx", {}),
        ("/v1/twilio", {}),
        ("/v1/raw", {"origin": "null"}),
        ("/v1/raw", {"origin": None}),
        ("/v1/raw", {"authorization": "Bearer k"}),
        ("/v1/raw", {"x-api-key": "k"}),
        ("/v1/raw", {"sec-websocket-protocol": "pangting.ticket.T"}),
        ("/v1/raw", {"sec-websocket-protocol": "pangting.raw.v1, pangting.ticket."}),
        ("/v1/raw", {"sec-websocket-protocol": "pangting.raw.v1, pangting.ticket.A, pangting.ticket.B"}),
    ],
)
def test_an_offer_that_is_not_exactly_so_is_refused(path, changes):
    headers = {name: value for name, value in (OFFER | changes).items() if value is not None}
    refusal = browser_ticket(path, headers)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 401
    assert "T-1_x" not in refusal.sentence


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20))
def test_no_header_gets_through_without_an_origin_and_one_ticket(offered, origin, path):
    found = browser_ticket("/v1/" + path, {"sec-websocket-protocol": offered, "origin": origin})
    if isinstance(found, BrowserTicket):
        assert path == "raw"
        assert found.ticket
        assert found.origin not in ("", "null")


class Tickets:
    """Two people with a ticket each; a ticket works once and from its page."""

    def __init__(self) -> None:
        self.left = {"t-lin": "lin", "t-lin-2": "lin", "t-zhou": "zhou"}

    async def redeem(self, ticket, origin):
        name = self.left.pop(ticket, None) if origin == PAGE else None
        if name is None:
            raise Unauthenticated("This ticket was used already.")
        return TicketHolder(org_id="org", user_id=f"u-{name}", username=name)


@pytest.fixture
async def bench(tmp_path):
    bench = TelephonyBench(tmp_path, browser_calls=1)
    bench.gateway = Gateway(bench.gateway._config, bench.gateway._services, Tickets().redeem)
    async with bench.running():
        yield bench


def page(bench, ticket, origin=PAGE, path="/v1/raw"):
    return connect(bench.url(path), subprotocols=["pangting.raw.v1", f"pangting.ticket.{ticket}"], origin=origin, proxy=None)


async def begun(websocket, **changes):
    await websocket.send(json.dumps(START | changes))
    return json.loads(await websocket.recv())


@pytest.mark.anyio
async def test_the_call_is_its_users_whatever_the_page_says(bench):
    async with page(bench, "t-lin") as websocket:
        assert websocket.subprotocol == "pangting.raw.v1", "the ticket is not said back"
        answer = await begun(websocket, metadata={"agent": "zhou"})
        assert answer["type"] == "started"
        assert answer["call_id"].startswith("browser-"), "a page cannot name, and so not take over, a call"
        handle = bench.sink.calls[answer["call_id"]]
        assert handle.start.metadata["agent"] == "lin"
        assert (handle.integration.org_id, handle.integration.name) == ("org", "browser:u-lin")
        async with page(bench, "t-lin-2") as second:
            refused = await begun(second)
            assert refused["code"] == 1013, "one call at once for each person"
            assert "another window" in refused["message"]
        async with page(bench, "t-zhou") as other:
            refused = await begun(other, resume=True, call_id=answer["call_id"])
            assert refused.get("call_id") != answer["call_id"], "nobody resumes another person's call"


@pytest.mark.anyio
async def test_a_dropped_page_goes_on_with_its_own_call_and_nobody_elses(bench):
    first = await page(bench, "t-lin")
    answer = await begun(first, resumable=True)
    call_id = answer["call_id"]
    assert answer["resume_window_ms"] == 15_000
    await first.send(bytes(32_000))
    await bench.heard(call_id, 1000)
    first.transport.abort()
    going_on = {"call_id": call_id, "resume": {"offset_bytes": 16_000}}
    async with page(bench, "t-zhou") as other:
        assert (await begun(other, **going_on))["code"] == 4404, "another person's call is not there"
    async with page(bench, "t-lin-2") as second:
        answer = await begun(second, **going_on)
        assert (answer["call_id"], answer["expected_offset_bytes"]) == (call_id, 32_000)
        await second.send(bytes(32_000))
        await bench.heard(call_id, 1500)
        await second.send('{"type":"stop"}')
        assert json.loads(await second.recv()) == {"type": "stopped", "duration_ms": 1500}
    assert bench.sink.calls[call_id].ended == ("hangup", 1500)


@pytest.mark.anyio
async def test_a_page_is_told_that_there_is_no_room(bench):
    """A script cannot read the HTTP status of a handshake that failed."""
    bench.gateway.board.draining = True
    async with page(bench, "t-lin") as websocket:
        refused = await begun(websocket)
        assert (refused["type"], refused["code"]) == ("error", 1013)
        assert "shutting down" in refused["message"]
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
    assert websocket.close_code == 1013
    assert bench.sink.calls == {}
    assert [reason[:4] for _, reason in bench.sink.audits] == ["1013"]


@pytest.mark.parametrize(
    ("telephony", "server", "host", "url"),
    [
        ({}, {}, "127.0.0.1", "ws://127.0.0.1:9001/v1/raw"),
        ({}, {}, "::1", "ws://[::1]:9001/v1/raw"),
        ({}, {"public_url": "http://desk:8000"}, "desk", "ws://desk:9001/v1/raw"),
        ({}, {"public_url": "https://bank.example/"}, "10.0.0.5", "wss://bank.example/v1/raw"),
        ({"public_url": "wss://voice.bank.example/in/"}, {"public_url": "https://bank.example"}, "x", "wss://voice.bank.example/in/v1/raw"),
    ],
)
def test_where_a_page_connects_to(telephony, server, host, url):
    settings = Settings(telephony=TelephonySettings(browser_calls=2, **telephony), server=ServerSettings(**server))
    assert page_calls(settings, 9001, host) == PageCalls(calls_each=2, setting="telephony.browser_calls", url=url)


def test_a_page_learns_that_calls_are_off_and_which_setting_it_is():
    assert page_calls(Settings(), 9001, "desk") == PageCalls(calls_each=0, setting="telephony.browser_calls", url="")


@pytest.mark.parametrize("url", ["https://bank.example", "bank.example", "wss://", "wss://bank.example/?a=b"])
def test_a_public_address_that_no_page_can_open_is_refused(url):
    with pytest.raises(ValidationError):
        TelephonySettings(public_url=url)


@pytest.mark.anyio
async def test_a_ticket_works_once_from_its_own_page_and_only_there(bench):
    for ticket, origin in (("wrong", PAGE), ("t-zhou", "https://evil.example")):
        with pytest.raises(InvalidStatus) as refused:
            await page(bench, ticket, origin)
        assert refused.value.response.status_code == 401
    async with page(bench, "t-lin"):
        pass
    with pytest.raises(InvalidStatus) as refused:
        await page(bench, "t-lin")
    assert refused.value.response.status_code == 401
    assert [reason[:3] for _, reason in bench.sink.audits] == ["401", "401", "401"]


@pytest.mark.anyio
async def test_pages_are_not_admitted_unless_the_operator_says_so(tmp_path):
    bench = TelephonyBench(tmp_path)
    async with bench.running():
        with pytest.raises(InvalidStatus) as refused:
            await page(bench, "t-lin")
        assert refused.value.response.status_code == 403


def test_a_microphones_ticket_opens_nothing_else_and_once(tmp_path):
    store = make_store(sqlite_url(tmp_path), tmp_path)
    store.people.ensure_org(ORG)
    user = store.people.create_user(ORG, "lin", "Lin", frozenset({"agent"}))
    signin: SqlSignIn = store.signin
    ticket = signin.issue_ticket(user, "microphone", PAGE).ticket
    for purpose, origin in (("feed", PAGE), ("audio", PAGE), ("microphone", "https://evil.example"), ("microphone", None)):
        with pytest.raises(Unauthenticated):
            signin.redeem_ticket(ticket, purpose, origin)
    assert signin.redeem_ticket(ticket, "microphone", PAGE).user_id == user.user_id
    with pytest.raises(Unauthenticated):
        signin.redeem_ticket(ticket, "microphone", PAGE)
    store.close()
