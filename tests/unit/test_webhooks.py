"""Webhooks against a real receiver, in virtual time: one effect per key whatever fails, and nothing reaches where it may not."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpcore
import pytest

from copilot.domain.artifacts import ARTIFACT_KINDS, Artifact, Summary, TicketClassification, TicketSlot
from copilot.domain.errors import Conflict, InvalidInput, NotFound
from copilot.domain.events import CallEnded
from copilot.domain.webhooks import WEBHOOK_EVENTS
from copilot.store.store import Store
from copilot.telemetry.clock import ManualClock
from postcall.webhooks.guard import Allowed, GuardedNetwork, check_addresses
from postcall.webhooks.payload import Payloads
from postcall.webhooks.sender import WAITS_S, WebhookSender
from postcall.webhooks.signing import secret_bytes, secret_text, sign, verify
from postcall.webhooks.templates import Templates, parse_template
from tests.fakes.celery_target import sample_packs
from tests.fakes.stores import AT, CALL, ORG, make_store, said, scope, sqlite_url, started
from tests.fakes.webhook_receiver import Receiver
from tests.unit.test_relay import BODIES

pytestmark = pytest.mark.anyio
TICKET = TicketClassification(
    level1="credit-card",
    level2="card-loss-replacement",
    confidence=0.9,
    taxonomy_version="1",
    measures=("办理挂失", '寄"新"卡'),
    slots=(TicketSlot(name="amount", value="3000.00", utterance_id="customer-1"),),  # type: ignore[arg-type]
)
SUMMARY = Summary(language="zh", overall='客户说"卡丢了"\n{{ 7 * 7 }}')


class Bench:
    """A store, a sender in virtual time, and a receiver."""

    def __init__(self, tmp_path: Path) -> None:
        self.clock = ManualClock(AT)
        self.store: Store = make_store(sqlite_url(tmp_path), tmp_path, self.clock)
        self.store.people.ensure_org(ORG)
        self.receiver = Receiver(b"", lambda: self.clock.now().timestamp())
        self.results: list[str] = []
        self.events = WEBHOOK_EVENTS
        self.subscription = self.store.webhooks.create(ORG, "ops", url=self.receiver.url, events=WEBHOOK_EVENTS)
        self.receiver.secret = self.subscription[1]
        self.allowed = Allowed(hosts=(self.receiver.host,))

    @property
    def name(self) -> str:
        return self.subscription[0].subscription_id

    def sender(self, **environment: str) -> WebhookSender:
        payloads = Payloads(calls=self.store.calls, taxonomy=lambda _org: sample_packs().taxonomy)
        return WebhookSender(
            self.store.webhooks,
            payloads,
            Templates(),
            self.allowed,
            self.clock,
            environment=environment,
            jitter=lambda: 0.5,
            on_result=self.results.append,
        )

    async def look(self, sender: WebhookSender | None = None) -> int:
        async with httpcore.AsyncConnectionPool(network_backend=GuardedNetwork(self.allowed)) as pool:
            return await (sender or self.sender()).look(pool)

    async def ended_call(self) -> None:
        opened = await self.store.journal.open(ORG, CALL, "node")
        await self.store.journal.append(ORG, opened, [started(), said("卡丢了"), CallEnded(reason="hangup", duration_ms=5000)])

    def finish_all(self) -> None:
        self.clock.advance(3)
        bodies = {**BODIES, "ticket": TICKET, "summary": SUMMARY}
        for job in self.store.outbox.lease(self.clock.now(), 60):
            self.store.outbox.finish(job.job_id, Artifact(kind=job.kind, version=1, body=bodies[job.kind]))

    def states(self) -> set[str]:
        return {message.state for message in self.store.webhooks.messages(ORG, self.name)}  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.receiver.close()
    made.store.close()


# --- signatures -----------------------------------------------------------------------------------------------------------------------


def test_the_published_vector_of_the_specification() -> None:
    secret = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert secret_bytes(secret_text(secret)) == secret


def test_a_changed_body_an_old_time_and_another_secret_are_refused() -> None:
    headers = {"webhook-id": "m", "webhook-timestamp": "1000", "webhook-signature": "v1,bm9uZQ== " + sign(b"s", "m", 1000, b"{}")}
    assert verify(b"s", headers, b"{}", 1000) == "m"
    for secret, body, now in ((b"s", b"{} ", 1000), (b"s", b"{}", 1301), (b"s", b"{}", 699), (b"t", b"{}", 1000)):
        with pytest.raises(InvalidInput):
            verify(secret, headers, body, now)


# --- delivery -------------------------------------------------------------------------------------------------------------------------


async def test_what_happens_to_a_call_is_told_once_and_in_the_words_of_its_versions(bench: Bench) -> None:
    await bench.ended_call()
    bench.finish_all()
    while await bench.look():
        pass
    kinds = [payload["type"] for payload in bench.receiver.effects.values()]
    assert sorted(kinds) == sorted(["call.ended", *["artifact.ready"] * len(ARTIFACT_KINDS), "qa.finished", "artifacts.ready"])
    assert len(bench.receiver.deliveries) == len(bench.receiver.effects)
    assert bench.states() == {"delivered"}
    whole = next(payload for payload in bench.receiver.effects.values() if payload["type"] == "artifacts.ready")
    assert whole["data"]["category"] == {"level1": "信用卡", "level2": "挂失补卡"}
    assert "recording" not in whole["data"]["artifacts"], "where the audio lies is not for others"
    assert whole["data"]["call"]["call_id"] == CALL
    assert "ani" not in whole["data"]["call"]


async def test_the_agents_confirmation_is_told_with_the_version_that_was_handed_in(bench: Bench) -> None:
    await bench.ended_call()
    bench.finish_all()
    bench.store.wrap_up.submit(scope("u1", "agent"), CALL)
    while await bench.look():
        pass
    (told,) = [payload for payload in bench.receiver.effects.values() if payload["type"] == "ticket.confirmed"]
    assert told["data"]["artifacts"]["ticket"] == {"version": 1, "body": told["data"]["artifacts"]["ticket"]["body"]}
    assert told["data"]["artifacts"]["ticket"]["body"]["level2"] == "card-loss-replacement"


async def test_a_target_that_is_down_for_an_hour_gets_each_message_once(bench: Bench) -> None:
    await bench.ended_call()
    bench.finish_all()
    bench.receiver.answer = lambda _number: 503
    until = bench.clock.now() + timedelta(hours=1)
    while bench.clock.now() < until:
        await bench.look()
        bench.clock.advance(60)
    assert bench.receiver.effects == {}
    bench.receiver.answer = lambda _number: 204
    for _ in range(60):
        await bench.look()
        bench.clock.advance(300)
    assert bench.states() == {"delivered"}
    assert len(bench.receiver.effects) == len(ARTIFACT_KINDS) + 3
    assert sorted(bench.receiver.deliveries) == sorted(bench.receiver.effects)


async def test_nobody_listens_for_days_then_a_person_sends_it_again(bench: Bench) -> None:
    await bench.ended_call()
    bench.receiver.answer = lambda _number: 500
    for wait_s in (*WAITS_S, 0):
        assert await bench.look() == 1
        assert await bench.look() == 0, "not before its time"
        bench.clock.advance(wait_s)
    assert bench.clock.now() - AT > timedelta(days=3)
    (message,) = bench.store.webhooks.messages(ORG, bench.name)  # type: ignore[arg-type]
    assert (message.state, message.attempts, message.status) == ("failed", len(WAITS_S) + 1, 500)
    attempts = bench.store.webhooks.attempts(ORG, message.message_id)
    assert [attempt.number for attempt in attempts] == list(range(1, len(WAITS_S) + 2))
    assert await bench.look() == 0
    bench.receiver.answer = lambda _number: 200
    assert bench.store.webhooks.replay_failed(ORG, "ops", bench.name) == 1  # type: ignore[arg-type]
    assert await bench.look() == 1
    assert list(bench.receiver.effects) == [message.message_id], "under the same id"


async def test_a_second_delivery_has_one_effect(bench: Bench) -> None:
    await bench.ended_call()
    await bench.look()
    (message,) = bench.store.webhooks.messages(ORG, bench.name)  # type: ignore[arg-type]
    bench.store.webhooks.replay(ORG, "ops", message.message_id)
    await bench.look()
    assert bench.receiver.deliveries == [message.message_id] * 2
    assert len(bench.receiver.effects) == 1


async def test_a_sender_that_died_after_sending_sends_again(bench: Bench) -> None:
    await bench.ended_call()
    (lost,) = bench.store.webhooks.lease(bench.clock.now(), 60)
    assert await bench.look() == 0
    bench.clock.advance(60)
    assert await bench.look() == 1
    assert list(bench.receiver.effects) == [lost.message_id]


async def test_the_receiver_may_ask_for_time(bench: Bench) -> None:
    await bench.ended_call()
    bench.receiver.answer = lambda number: 429 if number == 1 else 204
    bench.receiver.extra = {"retry-after": "120"}
    await bench.look()
    bench.clock.advance(119)
    assert await bench.look() == 0
    bench.clock.advance(1)
    assert await bench.look() == 1
    assert bench.results == ["retry", "delivered"]


async def test_both_secrets_sign_for_a_day_after_the_change(bench: Bench) -> None:
    old = bench.receiver.secret
    new = bench.store.webhooks.rotate(ORG, "ops", bench.name)  # type: ignore[arg-type]
    await bench.ended_call()
    await bench.look()
    assert len(bench.receiver.effects) == 1, "the receiver that still has the old secret takes it"
    bench.receiver.secret = new
    bench.store.webhooks.test(ORG, "ops", bench.name)  # type: ignore[arg-type]
    await bench.look()
    assert len(bench.receiver.effects) == 2
    bench.clock.advance(25 * 3600)
    bench.receiver.secret = old
    bench.store.webhooks.test(ORG, "ops", bench.name)  # type: ignore[arg-type]
    await bench.look()
    assert bench.receiver.refused == 1


async def test_an_erased_call_and_a_removed_webhook_are_told_no_more(bench: Bench) -> None:
    await bench.ended_call()
    bench.finish_all()
    bench.store.calls.erase_call(ORG, CALL, "ops")
    while await bench.look():
        pass
    told = {payload["type"] for payload in bench.receiver.effects.values()}
    assert told == {"call.ended"}, "that it ended is no content"
    assert bench.states() == {"delivered", "withdrawn"}
    withdrawn = bench.store.webhooks.messages(ORG, bench.name, state="withdrawn")[0]  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        bench.store.webhooks.replay(ORG, "ops", withdrawn.message_id)
    bench.store.webhooks.remove(ORG, "ops", bench.name)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        bench.store.webhooks.subscription(ORG, bench.name)  # type: ignore[arg-type]


async def test_one_that_is_off_waits_and_hears_nothing_new(bench: Bench) -> None:
    await bench.ended_call()
    bench.store.webhooks.change(ORG, "ops", bench.name, active=False)  # type: ignore[arg-type]
    assert await bench.look() == 0
    bench.finish_all()
    bench.store.webhooks.change(ORG, "ops", bench.name, active=True)  # type: ignore[arg-type]
    while await bench.look():
        pass
    assert {payload["type"] for payload in bench.receiver.effects.values()} == {"call.ended"}


async def test_an_authorization_comes_from_a_variable_of_the_server_alone(bench: Bench) -> None:
    bench.store.webhooks.change(ORG, "ops", bench.name, authorization_env="PANGTING_WEBHOOK_JIRA")  # type: ignore[arg-type]
    await bench.ended_call()
    await bench.look(bench.sender())
    assert bench.receiver.requests == 0
    bench.clock.advance(5)
    await bench.look(bench.sender(PANGTING_WEBHOOK_JIRA="Basic abc"))
    assert bench.receiver.headers[0]["authorization"] == "Basic abc"
    bench.store.webhooks.change(ORG, "ops", bench.name, authorization_env="HOME")  # type: ignore[arg-type]
    bench.store.webhooks.test(ORG, "ops", bench.name)  # type: ignore[arg-type]
    await bench.look(bench.sender(HOME="/root"))
    assert len(bench.receiver.headers) == 1


# --- where they may go ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://bank.example/hook",
        "ftp://bank.example",
        "https://",
        "https://user:pw@bank.example",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1]/",
        "https://0.0.0.0/",
        "https://bank.example:99999/",
        "nonsense",
    ],
)
def test_an_address_that_may_not_be_called_is_refused_before_it_is_stored(url: str) -> None:
    with pytest.raises(InvalidInput):
        Allowed().check_url(url)


def test_what_the_operator_lists_may_be_called_and_nothing_else_if_he_says_so() -> None:
    Allowed().check_url("https://bank.example/hook")
    Allowed(hosts=("10.1.2.3:8080",)).check_url("http://10.1.2.3:8080/hook")
    with pytest.raises(InvalidInput):
        Allowed(hosts=("10.1.2.3:8080",)).check_url("http://10.1.2.3:8081/hook")
    with pytest.raises(InvalidInput):
        Allowed(hosts=("crm.bank.example",), only=True).check_url("https://bank.example/hook")
    Allowed(hosts=("crm.bank.example",), only=True).check_url("https://CRM.bank.example/hook")


@pytest.mark.parametrize("address", ["100.64.0.1", "192.168.1.1", "::ffff:127.0.0.1", "224.0.0.1", "fc00::1", "0.0.0.0"])
def test_private_addresses_by_any_spelling(address: str) -> None:
    with pytest.raises(InvalidInput):
        check_addresses([ipaddress.ip_address("93.184.216.34"), ipaddress.ip_address(address)])


async def test_a_name_that_leads_inside_is_not_connected_to(bench: Bench) -> None:
    port = bench.receiver.host.rpartition(":")[2]
    bench.store.webhooks.change(ORG, "ops", bench.name, url=f"https://localhost:{port}/hook")  # type: ignore[arg-type]
    await bench.ended_call()
    await bench.look()
    (message,) = bench.store.webhooks.messages(ORG, bench.name)  # type: ignore[arg-type]
    assert (message.state, bench.receiver.requests) == ("failed", 0)
    assert "webhooks.hosts" in message.error


async def test_a_redirect_is_not_followed(bench: Bench) -> None:
    bench.receiver.answer = lambda _number: 302
    bench.receiver.extra = {"location": "http://169.254.169.254/"}
    await bench.ended_call()
    await bench.look()
    (message,) = bench.store.webhooks.messages(ORG, bench.name)  # type: ignore[arg-type]
    assert (message.state, message.status, bench.receiver.requests) == ("queued", 302, 1)


# --- templates ------------------------------------------------------------------------------------------------------------------------


async def payload_of(bench: Bench, event: str) -> dict:
    await bench.ended_call()
    bench.finish_all()
    bench.store.wrap_up.submit(scope("u1", "agent"), CALL)
    message = next(item for item in bench.store.webhooks.messages(ORG, bench.name) if item.event == event)  # type: ignore[arg-type]
    return Payloads(calls=bench.store.calls, taxonomy=lambda _org: sample_packs().taxonomy).of(message)


async def test_every_template_writes_what_its_system_takes_and_quotes_what_was_said(bench: Bench) -> None:
    payload = await payload_of(bench, "ticket.confirmed")
    templates = Templates()
    assert {template.name for template in templates} == {"generic", "jira", "servicenow", "zendesk"}
    import json

    for template in templates:
        body = json.loads(template.render(payload))
        text = json.dumps(body, ensure_ascii=False)
        assert "信用卡" in text
        assert "{{ 7 * 7 }}" in text, "what was said is text, not a template"
        assert "49" not in text
    generic = json.loads(templates.body("generic", payload))
    assert generic["facts"] == {"amount": "3000.00"}
    assert generic["measures"] == ["办理挂失", '寄"新"卡']
    assert json.loads(templates.body("jira", payload))["fields"]["summary"] == "信用卡 › 挂失补卡"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ | string | tojson }}",
        "{{ self.__init__.__globals__ | string | tojson }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() | tojson }}",
        "{{ data.nothing.here | tojson }}",
        "{% include '/etc/passwd' %}",
        "{{ data.call.call_id }}",
        "{}",
    ],
)
async def test_a_template_cannot_break_out_nor_yield_something_else(bench: Bench, text: str) -> None:
    payload = await payload_of(bench, "ticket.confirmed")
    template = parse_template("t", f"description: d\nevents: [ticket.confirmed]\nrequired: [id]\nbody: |\n  {text}\n")
    with pytest.raises(InvalidInput) as caught:
        template.render(payload)
    assert "卡丢了" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "description: d\nevents: [x]\nbody: '{}'",
        "description: d\nevents: []\nbody: '{}'",
        "events: [call.ended]\nbody: '{}'",
        "description: d\nevents: [call.ended]\nbody: '{% if %}'",
        "- 1",
    ],
)
def test_a_file_that_is_no_template_says_why(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_template("t", text)


async def test_a_template_that_does_not_fit_waits_for_a_person(bench: Bench) -> None:
    bench.store.webhooks.change(ORG, "ops", bench.name, template="jira")  # type: ignore[arg-type]
    await bench.ended_call()
    await bench.look()
    (message,) = bench.store.webhooks.messages(ORG, bench.name)  # type: ignore[arg-type]
    assert message.state == "failed"
    assert "jira" in message.error
