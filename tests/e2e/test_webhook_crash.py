"""kill -9 of the process that sends webhooks, between the receiver's effect and our record of it: one effect per key, nothing lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from copilot.domain.events import CallEnded
from copilot.domain.ids import CallId, OrgId
from copilot.store.keyring import KeyRing
from copilot.store.store import open_store
from copilot.telemetry.clock import SystemClock
from tests.fakes.stores import said, started
from tests.fakes.webhook_receiver import Receiver

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]
ORG = OrgId("default")
CALLS = 5
SENDER = """
import asyncio, sys
from pathlib import Path
from copilot.store.keyring import KeyRing
from copilot.store.store import open_store
from copilot.telemetry.clock import SystemClock
from postcall.webhooks.guard import Allowed
from postcall.webhooks.payload import Payloads
from postcall.webhooks.sender import WebhookSender
from postcall.webhooks.templates import Templates
place, host = Path(sys.argv[1]), sys.argv[2]
store = open_store(f"sqlite:///{place / 'pangting.db'}", KeyRing.open(place / "master.key"), SystemClock())
payloads = Payloads(calls=store.calls, taxonomy=lambda _org: None)
sender = WebhookSender(store.webhooks, payloads, Templates(), Allowed(hosts=(host,)), SystemClock(), idle_s=0.1, lease_s=2.0)
asyncio.run(sender.run())
"""


async def test_a_killed_sender_loses_nothing_and_the_receiver_applies_each_message_once(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'pangting.db'}", KeyRing.open(tmp_path / "master.key"), SystemClock())
    store.people.ensure_org(ORG)
    receiver = Receiver(b"")
    subscription, receiver.secret = store.webhooks.create(ORG, "ops", url=receiver.url, events=("call.ended",))
    # The third message has its effect, and its answer does not come.
    receiver.answer = lambda number: None if number == 3 else 204
    for number in range(CALLS):
        opened = await store.journal.open(ORG, CallId(f"c{number}"), "node")
        await store.journal.append(ORG, opened, [started(), said("卡丢了"), CallEnded(reason="hangup", duration_ms=5000)])

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SENDER, str(tmp_path), receiver.host], env={**os.environ, "PYTHONPATH": str(ROOT)})

    sender = begin()
    try:
        async with asyncio.timeout(120):
            while receiver.requests < 3:  # noqa: ASYNC110  another thread rings no bell
                await asyncio.sleep(0.02)
        sender.send_signal(signal.SIGKILL)
        sender.wait(30)
        receiver.answer = lambda _number: 204
        receiver.release.set()
        sender = begin()
        async with asyncio.timeout(120):
            while {item.state for item in store.webhooks.messages(ORG, subscription.subscription_id)} != {"delivered"}:  # noqa: ASYNC110  another process
                await asyncio.sleep(0.1)
    finally:
        sender.kill()
        sender.wait(30)
        receiver.close()
    ids = {item.message_id for item in store.webhooks.messages(ORG, subscription.subscription_id)}
    assert set(receiver.effects) == ids
    assert len(ids) == CALLS
    assert sorted(payload["data"]["call"]["call_id"] for payload in receiver.effects.values()) == [f"c{n}" for n in range(CALLS)]
    assert len(receiver.deliveries) > CALLS, "the message that was cut off came twice"
    store.close()
